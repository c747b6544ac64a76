from dateutil.relativedelta import relativedelta
from freezegun import freeze_time

from odoo import fields
from odoo.tests import tagged

from odoo.addons.mass_mailing.tests.common import MassMailCommon

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestConsentMinors(LibraryCommon, MassMailCommon):
    """Noor is a child with an address of her own; Amal, her guardian, agreed for her,
    but not for herself."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.today = fields.Date.today()
        cls.news = cls.env.ref("library_crm.library_consent_purpose_news")
        cls.noor = cls.env["library.patron"].create(
            {
                "name": "Noor Idris",
                "email": "noor.idris@test.example.com",
                "patron_category_id": cls.child.id,
                "company_id": cls.library.id,
                "guardian_id": cls.amal.id,
                "birth_date": cls.today - relativedelta(years=9),
            }
        )
        cls.env["library.consent"]._record(cls.noor, cls.news)

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

    def _send(self, mailing):
        """:return: the addresses that were written to"""
        with self.mock_mail_gateway():
            mailing.action_send_mail()
        return sorted(address for mail in self._mails for address in mail["email_to"])

    def test_age_of_own_consent_is_reached_on_the_birthday(self):
        for days, is_minor in [(1, True), (0, False), (-1, False)]:
            with self.subTest(days=days):
                self.noor.birth_date = self.today - relativedelta(years=16, days=-days)
                self.assertEqual(self.noor.is_minor, is_minor)
        self.library.library_minor_age = 18
        self.noor.invalidate_recordset(["is_minor"])
        self.assertTrue(self.noor.is_minor)

    def test_year_of_birth_alone_counts_to_its_end(self):
        self.noor.birth_date = False
        for years, is_minor in [(15, True), (16, True), (17, False)]:
            with self.subTest(years=years):
                self.noor.birth_year = self.today.year - years
                self.assertEqual(self.noor.is_minor, is_minor)

    def test_without_a_birth_the_kind_of_the_category_decides(self):
        self.noor.write({"birth_date": False, "birth_year": False})
        self.assertTrue(self.noor.is_minor)
        self.noor.patron_category_id = self.adult
        self.assertFalse(self.noor.is_minor)

    def test_all_who_ask_for_an_age_reckon_it_alike(self):
        """Consent, figures and the join form may each have another age; who is younger
        is one question. With one age for all, they give one answer."""
        form = self.env["library.join.form"].create(
            {"company_id": self.library.id, "minor_age": 16}
        )
        self.assertEqual(self.library.library_minor_age, 16)
        self.env["library.engagement.rule"]._get_for(self.library).profile_from_age = 16
        born = [self.today - relativedelta(years=16, days=days) for days in (-1, 0, 1)]
        cases = [({"birth_date": day, "birth_year": day.year}, day) for day in born]
        cases += [
            ({"birth_date": False, "birth_year": self.today.year - years}, None)
            for years in (15, 16, 17)
        ]
        cases += [({"birth_date": False, "birth_year": False}, None)]
        answers = []
        for values, day in cases:
            self.noor.write(values)
            answers.append(self.noor.is_minor)
            with self.subTest(values):
                self.assertEqual(not self.noor.lifecycle, self.noor.is_minor)
                if day:
                    rule = form.rule_ids.new({"needs_guardian": False})
                    self.assertEqual(
                        form._needs_guardian(rule, "self", day), self.noor.is_minor
                    )
        self.assertEqual(answers, [True, False, False, True, True, False, True])

    def test_who_was_born_on_a_leap_day_is_older_on_the_first_of_march(self):
        Patron = self.env["library.patron"]
        for today, is_younger in [
            ("2027-02-27", True),
            ("2027-02-28", True),
            ("2027-03-01", False),
            ("2028-02-28", False),
        ]:
            with self.subTest(today), freeze_time(today):
                self.assertEqual(Patron._is_younger("2012-02-29", 15), is_younger)

    def test_minors_are_found(self):
        both = self.amal + self.noor
        found = self.env["library.patron"].search(
            [("is_minor", "=", True), ("id", "in", both.ids)]
        )
        self.assertEqual(found, self.noor)

    def test_library_may_let_everybody_agree_for_themselves(self):
        self.library.library_minor_age = 0
        self.assertFalse(self.noor.is_minor)

    def test_what_is_meant_for_a_child_goes_to_the_guardian(self):
        addresses = self._send(self._mailing(self.noor))
        self.assertEqual(addresses, ['"Amal Idris" <amal.idris@test.example.com>'])

    def test_child_without_a_guardian_gets_no_marketing(self):
        mailing = self._mailing(self.noor)
        self.amal.email = False
        self.assertFalse(mailing._get_recipients(), "Nor one without an address")
        self.noor.guardian_id = False
        self.assertFalse(mailing._get_recipients())

    def test_service_message_to_a_child_without_a_guardian_goes_to_the_child(self):
        self.noor.guardian_id = False
        service = self.env.ref("library_crm.library_consent_purpose_service")
        addresses = self._send(self._mailing(self.noor, library_purpose_id=service.id))
        self.assertEqual(addresses, ['"Noor Idris" <noor.idris@test.example.com>'])

    def test_guardian_who_did_not_agree_for_the_child_gets_nothing(self):
        self.env["library.consent"]._record(self.noor, self.news, state="withdrawn")
        self.env["library.consent"]._record(self.amal, self.news)
        self.assertFalse(self._mailing(self.noor)._get_recipients())

    def test_guardian_and_child_get_one_mail_together(self):
        self.env["library.consent"]._record(self.amal, self.news)
        self.assertEqual(len(self._send(self._mailing(self.amal + self.noor))), 1)

    def test_blacklisted_guardian_is_not_written_to_for_the_child(self):
        self.env["mail.blacklist"]._add(self.amal.email)
        self.assertFalse(self._send(self._mailing(self.noor)))

    def test_child_is_never_a_recipient_as_a_contact(self):
        contact = self.env["mailing.contact"].create({"email": self.noor.email})
        for records in (self.noor.partner_id, contact):
            with self.subTest(model=records._name):
                self.assertFalse(self._mailing(records)._get_recipients())

    def test_who_has_grown_up_is_written_to_themselves(self):
        self.noor.birth_date = self.today - relativedelta(years=16)
        addresses = self._send(self._mailing(self.noor))
        self.assertEqual(addresses, ['"Noor Idris" <noor.idris@test.example.com>'])
