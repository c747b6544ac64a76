from unittest.mock import patch

from dateutil.relativedelta import relativedelta

from odoo import fields
from odoo.tests import tagged

from odoo.addons.mass_mailing.tests.common import MassMailCommon

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestConsentRecall(LibraryCommon, MassMailCommon):
    """What waits in the queue for whoever takes back the consent is not sent. Amal and
    Bruno agreed to news and surveys by email."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.Consent = cls.env["library.consent"]
        cls.news, cls.surveys, cls.service = (
            cls.env.ref(f"library_crm.library_consent_purpose_{code}")
            for code in ("news", "survey", "service")
        )
        cls.both = cls.amal + cls.bruno
        cls.Consent._record(cls.both, cls.news + cls.surveys)

    def _mailing(self, records, **values):
        return self.env["mailing.mailing"].create(
            {
                "subject": "What is new at the library",
                "body_html": "<p>Hello</p>",
                "mailing_model_id": self.env["ir.model"]._get_id(records._name),
                "mailing_domain": repr([("id", "in", records.ids)]),
                **values,
            }
        )

    def _queue(self, records, **values):
        """:return: the mails of a mailing, in the queue, in the order of the records"""
        mailing = self._mailing(records, **values)
        mailing.action_send_mail()
        mails = mailing.mailing_trace_ids.mail_mail_id
        self.assertEqual(set(mails.mapped("state")), {"outgoing"})
        return mails.sorted(lambda mail: records.ids.index(mail.res_id))

    def _withdraw(self, patrons=None, purposes=None):
        self.Consent._record(
            self.amal if patrons is None else patrons,
            self.news if purposes is None else purposes,
            state="withdrawn",
        )

    def _withdraw_unseen(self):
        """As if the mail came into the queue in the same moment."""
        with patch.object(type(self.Consent), "_recall", lambda rows: None):
            self._withdraw()

    def _leave(self, mails):
        """The queue is worked on; :return: the addresses that were written to"""
        with self.mock_mail_gateway():
            mails.send()
        return sorted(address for mail in self._mails for address in mail["email_to"])

    def assertRecalled(self, mail):
        self.assertEqual(mail.state, "cancel")
        trace = mail.mailing_trace_ids
        self.assertEqual(set(trace.mapped("trace_status")) - {"cancel"}, set())
        self.assertEqual(set(trace.mapped("failure_type")) - {"mail_optout"}, set())

    # ------------------------------------------------------------
    # AT ONCE
    # ------------------------------------------------------------

    def test_who_takes_it_back_is_not_sent_what_waits(self):
        for records in (self.both, self.both.partner_id):
            with self.subTest(model=records._name):
                self.Consent._record(self.amal, self.news)
                hers, his = self._queue(records)
                surveys = self._queue(records[0], library_purpose_id=self.surveys.id)
                service = self._queue(records[0], library_purpose_id=self.service.id)
                self._withdraw()
                self.assertRecalled(hers)
                self.assertEqual(his.state, "outgoing", "He did not take it back")
                self.assertEqual(surveys.state, "outgoing", "Surveys are agreed to")
                self.assertEqual(service.state, "outgoing", "It can not be refused")
                self.assertEqual(len(self._leave(hers + his + surveys + service)), 3)

    def test_what_was_sent_stays_sent(self):
        sent = self._queue(self.amal)
        sent.state = "sent"
        sent.mailing_trace_ids.set_sent()
        self._withdraw()
        self.assertEqual(sent.state, "sent")
        self.assertEqual(sent.mailing_trace_ids.trace_status, "sent")

    def test_channel_that_is_stopped_stops_what_waits(self):
        for source in ("bounce", "complaint"):
            with self.subTest(source):
                self.Consent._record(self.amal, self.news)
                mail = self._queue(self.amal)
                self.env["library.patron"]._stop_email(self.amal.email, source)
                self.assertRecalled(mail)

    def test_address_that_has_to_be_confirmed_stops_what_waits(self):
        self.amal.email_confirmed = self.amal.email_normalized
        self._withdraw()
        self.Consent._record(self.amal, self.news, source="portal")
        mail = self._queue(self.amal)
        self.amal.email = "amal@new.example.com"
        self.assertRecalled(mail)

    def test_guardian_takes_it_back_for_the_child(self):
        noor = self.env["library.patron"].create(
            {
                "name": "Noor Idris",
                "company_id": self.library.id,
                "guardian_id": self.amal.id,
                "birth_date": fields.Date.today() - relativedelta(years=9),
            }
        )
        self.Consent._record(noor, self.news)
        (mail,) = self._queue(noor)
        own = self._queue(self.amal)
        self._withdraw(noor)
        self.assertRecalled(mail)
        self.assertEqual(own.state, "outgoing", "The guardian's own")

    def test_who_is_erased_is_not_sent_what_waits(self):
        of_patron = self._queue(self.amal)
        of_contact = self._queue(self.amal.partner_id)
        self.amal.unlink()
        self.assertFalse(of_patron.exists())
        self.assertRecalled(of_contact)

    def test_composer_remembers_the_purpose(self):
        composer = (
            self.env["mail.compose.message"]
            .with_context(active_ids=self.both.ids, active_model="library.patron")
            .create(
                {
                    "composition_mode": "mass_mail",
                    "model": "library.patron",
                    "res_ids": repr(self.both.ids),
                    "subject": "News",
                    "body": "<p>Hello</p>",
                    "force_send": False,
                }
            )
        )
        with self.mock_mail_gateway():
            composer._action_send_mail()
        mails = self._new_mails
        self.assertEqual(mails.library_purpose_id, self.news)
        self._withdraw()
        self.assertEqual(
            sorted(mails.mapped(lambda mail: (mail.res_id, mail.state))),
            sorted([(self.amal.id, "cancel"), (self.bruno.id, "outgoing")]),
        )

    def test_mail_of_a_journey_is_recalled(self):
        trace = self._mailing(self.amal)._queue_for_journey(self.amal)[self.amal.id]
        mail = trace.mail_mail_id
        self._withdraw()
        self.assertRecalled(mail)

    # ------------------------------------------------------------
    # WHEN IT LEAVES
    # ------------------------------------------------------------

    def test_consent_is_asked_again_when_a_mail_leaves(self):
        contact = self.env["mailing.contact"].create({"email": self.amal.email})
        lead = self.env["crm.lead"].create(
            {"name": "A card", "email_from": self.amal.email}
        )
        for records in (self.both, self.both.partner_id, contact, lead):
            with self.subTest(model=records._name):
                self.Consent._record(self.amal, self.news)
                mails = self._queue(records)
                self._withdraw_unseen()
                self.assertEqual(mails[0].state, "outgoing")
                self.assertEqual(len(self._leave(mails)), len(records) - 1)
                self.assertRecalled(mails[0])

    def test_test_mail_goes_to_whoever_tries_a_mailing(self):
        mailing = self._mailing(self.amal)
        self._withdraw()
        test = self.env["mailing.mailing.test"].create(
            {"mass_mailing_id": mailing.id, "email_to": "mara@library.example.com"}
        )
        with self.mock_mail_gateway():
            test.send_mail_test()
        self.assertEqual(len(self._mails), 1)

    def test_mail_to_one_patron_is_never_asked_about(self):
        self._withdraw(purposes=self.news + self.surveys)
        mail = self.env["mail.mail"].create(
            {
                "subject": "Your book is here",
                "recipient_ids": [(4, self.amal.partner_id.id)],
                "model": "library.patron",
                "res_id": self.amal.id,
            }
        )
        self.assertEqual(len(self._leave(mail)), 1)
