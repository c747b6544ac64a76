from odoo.exceptions import UserError
from odoo.tests import tagged

from odoo.addons.mass_mailing.tests.common import MassMailCommon

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestConsentReach(LibraryCommon, MassMailCommon):
    """Nothing is written to a patron who did not agree to it, whichever door it is
    meant to leave by. Amal agreed to news; Bruno did not."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.Consent = cls.env["library.consent"]
        cls.news = cls.env.ref("library_crm.library_consent_purpose_news")
        cls.survey_purpose = cls.env.ref("library_crm.library_consent_purpose_survey")
        cls.service = cls.env.ref("library_crm.library_consent_purpose_service")
        cls.Consent._record(cls.amal, cls.news)
        cls.stranger = cls.env["res.partner"].create(
            {"name": "Stranger", "email": "stranger@test.example.com"}
        )
        cls.contacts = (cls.amal + cls.bruno).partner_id + cls.stranger

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

    def _compose(self, records, **values):
        """Send to many from a list; :return: the addresses that were written to."""
        composer = (
            self.env["mail.compose.message"]
            .with_context(active_ids=records.ids, active_model=records._name)
            .create(
                {
                    "composition_mode": "mass_mail",
                    "model": records._name,
                    "res_ids": repr(records.ids),
                    "subject": "News",
                    "body": "<p>Hello</p>",
                    **values,
                }
            )
        )
        with self.mock_mail_gateway():
            composer._action_send_mail()
        return self._addresses()

    def _addresses(self):
        self._new_mails.filtered(lambda mail: mail.state == "outgoing").send()
        return sorted(
            mail.email_to or ",".join(mail.recipient_ids.mapped("email"))
            for mail in self._new_mails
        )

    # ------------------------------------------------------------
    # MAILINGS
    # ------------------------------------------------------------

    def test_mailing_to_contacts_leaves_out_patrons_who_did_not_agree(self):
        mailing = self._mailing(self.contacts)
        self.assertEqual(mailing.library_purpose_id, self.news)
        self.assertEqual(
            set(mailing._get_recipients()),
            set((self.amal.partner_id + self.stranger).ids),
        )
        self.assertIn("1 of 3 are left out", mailing.library_reach)
        self.Consent._record(self.bruno, self.news)
        mailing.invalidate_recordset(["library_reach"])
        self.assertEqual(set(mailing._get_recipients()), set(self.contacts.ids))
        self.assertFalse(mailing.library_reach)

    def test_mailing_to_contacts_without_a_purpose_reaches_no_patron(self):
        mailing = self._mailing(self.contacts)
        mailing.library_purpose_id = False
        self.assertEqual(mailing._get_recipients(), self.stranger.ids)

    def test_mailing_to_contacts_that_belongs_to_the_service_reaches_all(self):
        mailing = self._mailing(self.contacts, library_purpose_id=self.service.id)
        self.assertEqual(set(mailing._get_recipients()), set(self.contacts.ids))

    def test_mailing_list_leaves_out_the_addresses_of_patrons(self):
        mailing_list = self.env["mailing.list"].create({"name": "Everybody"})
        contacts = self.env["mailing.contact"].create(
            [
                {"name": name, "email": email, "list_ids": mailing_list.ids}
                for name, email in [
                    ("Amal", "AMAL.IDRIS@test.example.com"),
                    ("Bruno", '"Bruno" <bruno.silva@test.example.com>'),
                    ("Stranger", "stranger@test.example.com"),
                    ("Nobody", False),
                ]
            ]
        )
        mailing = self._mailing(
            contacts,
            mailing_model_id=self.env["ir.model"]._get_id("mailing.list"),
            contact_list_ids=mailing_list.ids,
        )
        self.assertEqual(
            set(mailing._get_recipients()), set((contacts - contacts[1]).ids)
        )

    def test_leads_are_left_out_by_their_contact_and_by_their_address(self):
        leads = self.env["crm.lead"].create(
            [
                {"name": "contact", "partner_id": self.bruno.partner_id.id},
                {"name": "address", "email_from": "Bruno.Silva@test.example.com"},
                {"name": "agreed", "partner_id": self.amal.partner_id.id},
                {"name": "stranger", "email_from": "stranger@test.example.com"},
                {"name": "no address"},
            ]
        )
        self.assertEqual(self._mailing(leads)._get_recipients(), leads[2:].sorted().ids)

    def test_contact_that_is_a_double_of_a_patron_is_left_out(self):
        double = self.env["res.partner"].create(
            {"name": "B. Silva", "email": "bruno.silva@test.example.com"}
        )
        self.assertFalse(self._mailing(double)._get_recipients())

    def test_shared_address_is_written_to_where_one_agreed(self):
        self.bruno.email = self.amal.email
        self.assertEqual(
            self._mailing(self.contacts[:2])._get_recipients(),
            self.amal.partner_id.ids,
            "The one who agreed, not the other",
        )
        contact = self.env["mailing.contact"].create({"email": self.amal.email})
        self.assertEqual(self._mailing(contact)._get_recipients(), contact.ids)

    def test_archived_patron_has_not_agreed_by_leaving(self):
        self.bruno.active = False
        self.assertFalse(self._mailing(self.bruno.partner_id)._get_recipients())

    def test_of_two_libraries_the_one_that_writes_decides(self):
        there = self.env["library.patron"].create(
            {
                "partner_id": self.amal.partner_id.id,
                "company_id": self.other_library.id,
            }
        )
        mailing = self._mailing(self.amal.partner_id, user_id=self.marketing.id)
        self.assertTrue(mailing._get_recipients())
        self.marketing.write(
            {
                "company_ids": [(4, self.other_library.id)],
                "company_id": self.other_library.id,
            }
        )
        self.assertFalse(mailing._get_recipients(), "Nothing was agreed there")
        self.Consent._record(there, self.news)
        self.Consent._record(self.amal, self.news, state="withdrawn")
        self.assertTrue(mailing._get_recipients())

    def test_a_firm_beside_the_libraries_needs_the_consent_of_one(self):
        firm = self.env["res.company"].create({"name": "The Town"})
        self.marketing.write(
            {"company_ids": [(4, firm.id)], "company_id": firm.id},
        )
        mailing = self._mailing(self.contacts, user_id=self.marketing.id)
        self.assertEqual(
            set(mailing._get_recipients()),
            set((self.amal.partner_id + self.stranger).ids),
        )

    def test_text_message_needs_consent_for_the_phone(self):
        mailing = self._mailing(self.amal + self.bruno)
        mailing.flush_recordset()
        # What the addon for text messages adds to the selection.
        self.env.cr.execute(
            "UPDATE mailing_mailing SET mailing_type = 'sms' WHERE id = %s",
            [mailing.id],
        )
        mailing.invalidate_recordset()
        self.assertFalse(mailing._get_recipients())
        self.Consent._record(self.bruno, self.news, channel="phone")
        self.assertEqual(mailing._get_recipients(), self.bruno.ids)

    def test_names_that_a_program_gives_need_consent_too(self):
        for records in (self.amal + self.bruno, self.contacts[:2]):
            mailing = self._mailing(records)
            with self.subTest(model=records._name), self.mock_mail_gateway():
                mailing.action_send_mail(res_ids=records.ids)
            self.assertEqual(
                mailing.mailing_trace_ids.mapped("res_id"), records[:1].ids
            )

    def test_mailing_that_reaches_nobody_says_so(self):
        with self.assertRaisesRegex(UserError, "no recipients"):
            self._mailing(self.bruno).action_send_mail()

    # ------------------------------------------------------------
    # THE COMPOSER
    # ------------------------------------------------------------

    def test_composer_for_many_leaves_out_who_did_not_agree(self):
        for records, expected in [
            (self.amal + self.bruno, 1),
            (self.contacts, 2),
        ]:
            with self.subTest(model=records._name):
                addresses = self._compose(records)
                self.assertEqual(len(addresses), expected)
                self.assertNotIn("bruno", "".join(addresses))

    def test_composer_that_makes_a_mailing_hands_it_the_purpose(self):
        self.Consent._record(self.bruno, self.survey_purpose)
        addresses = self._compose(
            self.amal + self.bruno,
            mass_mailing_name="A question",
            library_purpose_id=self.survey_purpose.id,
        )
        self.assertEqual(len(addresses), 1)
        self.assertIn("bruno", addresses[0])
        mailing = self.env["mailing.mailing"].search([("name", "=", "A question")])
        self.assertEqual(mailing.library_purpose_id, self.survey_purpose)

    def test_composer_for_what_belongs_to_the_service_reaches_all(self):
        addresses = self._compose(
            self.amal + self.bruno, library_purpose_id=self.service.id
        )
        self.assertEqual(len(addresses), 2)

    def test_composer_of_other_applications_is_left_alone(self):
        leads = self.env["crm.lead"].create(
            {"name": "A quotation", "partner_id": self.bruno.partner_id.id}
        )
        self.assertEqual(len(self._compose(leads)), 1)

    def test_composer_that_posts_on_many_leaves_out_who_did_not_agree(self):
        both = self.amal + self.bruno
        for subtype, expected in [
            ("mail.mt_comment", self.amal),
            ("mail.mt_note", both),
        ]:
            values = {"model": "library.patron", "subject": "To many"}
            values["subtype_id"] = self.env.ref(subtype).id
            composer = self.env["mail.compose.message"].create(
                {
                    **values,
                    "composition_mode": "comment",
                    "res_ids": repr(both.ids),
                    "body": "<p>Hello</p>",
                }
            )
            with self.subTest(subtype), self.mock_mail_gateway():
                composer._action_send_mail()
                posted = self.env["mail.message"].search(
                    [(name, "=", value) for name, value in values.items()]
                )
                self.assertEqual(set(posted.mapped("res_id")), set(expected.ids))

    def test_automation_writes_to_who_agreed_though_it_takes_them_one_by_one(self):
        for model in ("library.patron", "res.partner"):
            model_id = self.env["ir.model"]._get_id(model)
            template = self.env["mail.template"].create(
                {
                    "name": "News",
                    "model_id": model_id,
                    "subject": "News",
                    "body_html": "<p>Hello</p>",
                    "use_default_to": True,
                }
            )
            action = self.env["ir.actions.server"].create(
                {
                    "name": "Write the news",
                    "model_id": model_id,
                    "state": "mail_post",
                    "mail_post_method": "email",
                    "template_id": template.id,
                }
            )
            both = self.amal + self.bruno
            records = both if model == both._name else both.partner_id
            for purpose, expected in [(self.news, 1), (self.service, 2)]:
                action.library_purpose_id = purpose
                with self.subTest(model, purpose=purpose.code):
                    with self.mock_mail_gateway():
                        for record in records:
                            action.with_context(
                                active_model=model, active_id=record.id
                            ).run()
                    self.assertEqual(self._new_mails.library_purpose_id, purpose)
                    self.assertEqual(len(self._new_mails), expected)

    def test_letter_to_one_patron_is_nobodys_mailing(self):
        with self.mock_mail_gateway():
            self.bruno.message_post(
                body="Your book is here",
                partner_ids=self.bruno.partner_id.ids,
                message_type="comment",
                subtype_xmlid="mail.mt_comment",
            )
        self.assertEqual(len(self._new_mails), 1)

    # ------------------------------------------------------------
    # ADDRESSES ALONE
    # ------------------------------------------------------------

    def test_addresses_of_patrons_who_did_not_agree_are_left_out(self):
        emails = ["Amal <amal.idris@test.example.com>", "BRUNO.SILVA@test.example.com"]
        reachable = self.Consent._filter_reachable_emails(
            [*emails, "x@y.zz"], self.news
        )
        self.assertEqual(reachable, [emails[0], "x@y.zz"])

    def test_many_are_decided_as_few_are(self):
        self.patch(type(self.Consent), "_FEW", 0)
        self.assertEqual(
            self.Consent._filter_reachable(self.contacts, self.news),
            self.contacts[0] + self.contacts[2],
        )
