from unittest.mock import patch

from dateutil.relativedelta import relativedelta

from odoo import fields
from odoo.tests import tagged

from odoo.addons.library_crm.tests.common import LibraryCommon
from odoo.addons.sms.tests.common import SMSCase


@tagged("post_install", "-at_install")
class TestSmsConsent(LibraryCommon, SMSCase):
    """No text message reaches a patron who did not agree to it. Amal agreed to news by
    phone; Bruno did by email only."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.Consent = cls.env["library.consent"]
        cls.news, cls.surveys, cls.service = (
            cls.env.ref(f"library_crm.library_consent_purpose_{code}")
            for code in ("news", "survey", "service")
        )
        cls.amal.phone, cls.bruno.phone = "+32456001122", "+32456001133"
        cls.Consent._record(cls.amal, cls.news, "phone")
        cls.Consent._record(cls.bruno, cls.news, "email")
        cls.both = cls.amal + cls.bruno
        cls.stranger = cls.env["res.partner"].create(
            {"name": "Stranger", "phone": "+32456001144"}
        )
        cls.template = cls.env["sms.template"].create(
            {
                "name": "Closed",
                "model_id": cls.env["ir.model"]._get_id("library.patron"),
                "body": "We are closed today",
            }
        )

    def _compose(self, records, user=None, **values):
        """Open the composer as an action of a list does."""
        return (
            self.env["sms.composer"]
            .with_user(user or self.env.user)
            .with_context(
                default_res_model=records._name,
                default_res_ids=repr(records.ids),
                default_composition_mode="mass",
            )
            .create({"body": "Come and see", **values})
        )

    def _queue(self, records, **values):
        """:return: the messages in the queue"""
        with self.mockSMSGateway():
            self._compose(records, **values).action_send_sms()
        return self._new_sms.filtered(lambda sms: sms.state == "outgoing")

    def _send_now(self, composer):
        """:return: the numbers that were written to"""
        with self.mockSMSGateway():
            composer.action_send_sms_mass_now()
        return sorted(sms["number"] for sms in self._sms)

    # ------------------------------------------------------------
    # WHO IS WRITTEN TO
    # ------------------------------------------------------------

    def test_patrons_who_did_not_agree_by_phone_are_left_out(self):
        composer = self._compose(self.both, user=self.marketing)
        self.assertEqual(composer.library_purpose_id, self.news)
        self.assertIn("1 of 2", composer.library_reach)
        self.assertEqual(self._send_now(composer), ["+32456001122"])

    def test_contacts_who_are_patrons_are_left_out_too(self):
        contacts = self.both.partner_id + self.stranger
        self.assertEqual(
            self._send_now(self._compose(contacts)), ["+32456001122", "+32456001144"]
        )

    def test_purpose_that_is_chosen_is_what_is_asked(self):
        self.Consent._record(self.bruno, self.surveys, "phone")
        composer = self._compose(self.both, library_purpose_id=self.surveys.id)
        self.assertEqual(self._send_now(composer), ["+32456001133"])

    def test_what_belongs_to_the_service_reaches_all(self):
        composer = self._compose(self.both, library_purpose_id=self.service.id)
        self.assertFalse(composer.library_reach)
        self.assertEqual(self._send_now(composer), ["+32456001122", "+32456001133"])

    def test_child_is_not_texted(self):
        self.amal.birth_date = fields.Date.today() - relativedelta(years=9)
        self.assertEqual(self._send_now(self._compose(self.both)), [])

    def test_automation_texts_who_agreed_though_it_takes_them_one_by_one(self):
        for method in ("sms", "comment", "note"):
            action = self.env["ir.actions.server"].create(
                {
                    "name": "Closed today",
                    "model_id": self.env["ir.model"]._get_id("library.patron"),
                    "state": "sms",
                    "sms_method": method,
                    "sms_template_id": self.template.id,
                }
            )
            with self.subTest(method), self.mockSMSGateway():
                for patron in self.both:
                    action.with_context(
                        active_model="library.patron", active_id=patron.id
                    ).run()
                self.assertEqual(self._new_sms.mapped("number"), ["+32456001122"])

    def test_many_messages_one_by_one_are_a_mailing(self):
        composer = self._compose(self.both, composition_mode="comment")
        with self.mockSMSGateway():
            composer.action_send_sms()
        self.assertEqual([sms["number"] for sms in self._sms], ["+32456001122"])

    def test_message_to_one_patron_is_nobodys_mailing(self):
        with self.mockSMSGateway():
            self._compose(self.bruno, composition_mode="comment").action_send_sms()
        self.assertEqual([sms["number"] for sms in self._sms], ["+32456001133"])

    def test_records_of_other_applications_are_texted_for_their_own_sake(self):
        leads = self.env["crm.lead"].create(
            {"name": "A quotation", "partner_id": self.bruno.partner_id.id}
        )
        composer = self._compose(leads)
        self.assertFalse(composer.library_purpose_id)
        self.assertEqual(self._send_now(composer), ["+32456001133"])

    # ------------------------------------------------------------
    # WHAT WAITS IN THE QUEUE
    # ------------------------------------------------------------

    def test_who_takes_it_back_is_not_sent_what_waits(self):
        for records in (self.amal, self.amal.partner_id):
            with self.subTest(model=records._name):
                self.Consent._record(self.amal, self.news + self.surveys, "phone")
                news = self._queue(records)
                surveys = self._queue(records, library_purpose_id=self.surveys.id)
                self.Consent._record(self.amal, self.news, "email", "withdrawn")
                self.assertEqual(news.state, "outgoing", "That was about mails")
                self.Consent._record(self.amal, self.news, "phone", "withdrawn")
                self.assertEqual(news.state, "canceled")
                self.assertEqual(news.failure_type, "sms_optout")
                self.assertEqual(surveys.state, "outgoing", "Still agreed to")

    def test_consent_is_asked_again_when_the_message_leaves(self):
        waiting = self._queue(self.amal)
        with patch.object(type(self.Consent), "_recall", lambda rows: None):
            self.Consent._record(self.amal, self.news, "phone", "withdrawn")
        self.assertEqual(waiting.state, "outgoing")
        with self.mockSMSGateway():
            waiting.send()
        self.assertFalse(self._sms)
        self.assertEqual(waiting.state, "canceled")

    def test_who_is_erased_is_not_sent_what_waits(self):
        waiting = self._queue(self.amal.partner_id)
        self.amal.unlink()
        self.assertEqual(waiting.state, "canceled")
