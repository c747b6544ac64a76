from ast import literal_eval

from odoo.tests import tagged

from odoo.addons.mass_mailing.tests.common import MassMailCommon

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestMailing(LibraryCommon, MassMailCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.news = cls.env.ref("library_crm.library_consent_purpose_news")
        cls.service = cls.env.ref("library_crm.library_consent_purpose_service")
        cls._agree(cls.amal + cls.other_patron)

    @classmethod
    def _agree(cls, patrons, state="given"):
        cls.env["library.consent"].create(
            [
                {
                    "patron_id": patron.id,
                    "purpose_id": cls.news.id,
                    "state": state,
                }
                for patron in patrons
            ]
        )

    def _mailing(self, patrons, **values):
        return self.env["mailing.mailing"].create(
            {
                "subject": "What is new at the library",
                "body_html": "<p>Hello</p>",
                "mailing_model_id": self.env["ir.model"]._get_id("library.patron"),
                "mailing_domain": repr([("id", "in", patrons.ids)]),
                **values,
            }
        )

    def test_mailing_to_patrons_has_a_purpose(self):
        mailing = self._mailing(self.amal)
        self.assertEqual(mailing.library_purpose_id, self.news)
        mailing.library_purpose_id = False
        self.assertFalse(
            mailing._get_recipients(), "Without a purpose nobody is written to"
        )

    def test_only_who_agreed_is_a_recipient(self):
        mailing = self._mailing(self.amal + self.bruno)
        self.assertEqual(mailing._get_recipients(), self.amal.ids)
        self.assertIn("1 of 2", mailing.library_reach)
        self._agree(self.bruno)
        self._agree(self.amal, "withdrawn")
        self.assertEqual(mailing._get_recipients(), self.bruno.ids)

    def test_service_message_needs_no_consent(self):
        mailing = self._mailing(
            self.amal + self.bruno, library_purpose_id=self.service.id
        )
        self.assertEqual(
            sorted(mailing._get_recipients()), sorted((self.amal + self.bruno).ids)
        )

    def test_mailing_from_a_list_keeps_the_whole_search(self):
        domain = [
            ("card_number", "in", ["0042", "0043"]),
            ("company_id", "=", self.library.id),
        ]
        patrons = self.amal + self.bruno
        whole = patrons.with_context(active_domain=domain).action_new_mailing()
        self.assertEqual(
            literal_eval(whole["context"]["default_mailing_domain"]), domain
        )
        part = self.amal.with_context(active_domain=domain).action_new_mailing()
        self.assertEqual(
            literal_eval(part["context"]["default_mailing_domain"]),
            [("id", "in", self.amal.ids)],
        )

    def test_mailing_begun_by_marketing_starts_with_the_chosen_patrons(self):
        action = self.amal.with_user(self.marketing).action_new_mailing()
        mailing = (
            self.env["mailing.mailing"]
            .with_user(self.marketing)
            .with_context(**action["context"])
            .create({"subject": "Come back", "body_html": "<p>Hello</p>"})
        )
        self.assertEqual(mailing.mailing_model_name, "library.patron")
        self.assertEqual(
            literal_eval(mailing.mailing_domain), [("id", "in", self.amal.ids)]
        )

    def test_mail_goes_to_who_agreed_and_not_to_the_blacklisted(self):
        self._agree(self.bruno)
        self.env["mail.blacklist"]._add(self.bruno.email)
        mailing = self._mailing(self.amal + self.bruno)
        with self.mock_mail_gateway():
            mailing.action_send_mail()
        self.assertEqual(
            [mail["email_to"] for mail in self._mails],
            [['"Amal Idris" <amal.idris@test.example.com>']],
        )
        self.assertEqual(self.amal.mailing_trace_count, 1)
        trace = self.env["mailing.trace"].search(
            [("mass_mailing_id", "=", mailing.id), ("res_id", "=", self.bruno.id)]
        )
        self.assertEqual(trace.trace_status, "cancel")
        self.assertEqual(trace.failure_type, "mail_bl")
