from ast import literal_eval
from datetime import date, timedelta

from dateutil.relativedelta import relativedelta
from lxml import etree
from psycopg2 import IntegrityError

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestPatron(LibraryCommon):
    # ------------------------------------------------------------
    # WHO
    # ------------------------------------------------------------

    def test_one_contact_may_be_patron_of_two_libraries(self):
        twin = self.env["library.patron"].create(
            {"partner_id": self.amal.partner_id.id, "company_id": self.other_library.id}
        )
        self.assertEqual(twin.name, "Amal Idris")
        self.assertEqual(self.amal.partner_id.library_patron_ids, self.amal + twin)

    @mute_logger("odoo.sql_db")
    def test_one_contact_is_patron_of_a_library_once(self):
        with self.assertRaisesRegex(IntegrityError, "partner_uniq"):
            self.env["library.patron"].create(
                {"partner_id": self.amal.partner_id.id, "company_id": self.library.id}
            )

    def test_card_number_keeps_leading_zeros_and_loses_spaces(self):
        self.amal.card_number = "  00042 "
        self.assertEqual(self.amal.card_number, "00042")
        self.amal.card_number = "   "
        self.assertFalse(self.amal.card_number)

    @mute_logger("odoo.sql_db")
    def test_duplicate_card_is_refused_in_the_words_of_the_screen(self):
        with self.assertRaisesRegex(IntegrityError, "card_uniq"):
            self.bruno.card_number = "0042"
            self.bruno.flush_recordset()

    def test_same_card_in_another_library_is_another_card(self):
        self.assertEqual(self.other_patron.card_number, self.amal.card_number)

    def test_scanned_card_finds_one_patron_and_a_name_finds_names(self):
        search = self.env["library.patron"].name_search
        self.assertEqual([found[0] for found in search("0043")], self.bruno.ids)
        self.assertIn(self.bruno.id, [found[0] for found in search("bruno si")])
        self.assertIn(self.bruno.id, [found[0] for found in search("004")])

    def test_birth_year_follows_the_birth_date_and_stands_alone(self):
        self.assertEqual(self.amal.birth_year, 1984)
        self.bruno.birth_year = 1990
        self.assertFalse(self.bruno.birth_date)
        with self.assertRaisesRegex(ValidationError, "Birth date"):
            self.bruno.birth_date = fields.Date.today() + timedelta(days=2)

    @mute_logger("odoo.sql_db")
    def test_implausible_birth_year_is_refused(self):
        with self.assertRaisesRegex(IntegrityError, "birth_year_plausible"):
            self.bruno.birth_year = 84
            self.bruno.flush_recordset()

    def test_guardians_can_not_go_in_a_circle(self):
        self.bruno.guardian_id = self.amal
        with self.assertRaisesRegex(ValidationError, "Guardian"):
            self.amal.guardian_id = self.bruno

    @mute_logger("odoo.sql_db")
    def test_nobody_is_their_own_guardian(self):
        with self.assertRaisesRegex(IntegrityError, "not_own_guardian"):
            self.amal.guardian_id = self.amal
            self.amal.flush_recordset()

    def test_household_and_guardian_are_of_the_same_library(self):
        own, other = self.env["library.household"].create(
            [
                {"name": "Hill Street", "company_id": library.id}
                for library in (self.library, self.other_library)
            ]
        )
        (self.amal + self.bruno).household_id = own
        self.assertEqual(own.patron_count, 2)
        self.assertEqual(other.patron_count, 0)
        for values in (
            {"household_id": other.id},
            {"guardian_id": self.other_patron.id},
        ):
            with (
                self.subTest(values),
                self.assertRaisesRegex(UserError, "company inconsistencies"),
            ):
                self.amal.write(values)

    def test_card_number_is_not_copied(self):
        copy = self.amal.copy()
        self.assertFalse(copy.card_number)
        self.assertNotEqual(copy.partner_id, self.amal.partner_id)

    def test_patron_form_of_the_desk_saves(self):
        with Form(self.env["library.patron"].with_user(self.desk)) as form:
            form.name = "Noor Haddad"
            form.card_number = "0099"
            form.patron_category_id = self.adult
        patron = form.record
        self.assertEqual(patron.branch_id, self.main, "The branch where the desk sits")
        self.assertEqual(patron.company_id, self.library)

    # ------------------------------------------------------------
    # USE
    # ------------------------------------------------------------

    def _use(self, patron, on, service=None, quantity=1):
        return self.env["library.service.usage"].create(
            {
                "patron_id": patron.id,
                "service_id": (service or self.visit).id,
                "branch_id": self.main.id,
                "date": on,
                "quantity": quantity,
            }
        )

    def test_last_use_follows_the_rows(self):
        first = self._use(self.amal, date(2025, 1, 5))
        second = self._use(self.amal, date(2025, 3, 5))
        self.assertEqual(self.amal.last_use_date, date(2025, 3, 5))
        second.date = date(2024, 12, 1)
        self.assertEqual(self.amal.last_use_date, date(2025, 1, 5))
        first.patron_id = self.bruno
        self.assertEqual(self.amal.last_use_date, date(2024, 12, 1))
        self.assertEqual(self.bruno.last_use_date, date(2025, 1, 5))
        (first + second).unlink()
        self.assertFalse(self.amal.last_use_date)
        self.assertFalse(self.bruno.last_use_date)

    def test_no_use_filters_count_from_the_last_use_or_from_enrolment(self):
        today = fields.Date.today()
        arch = self.env["library.patron"].get_view(
            self.env.ref("library_crm.library_patron_view_search").id, "search"
        )["arch"]
        node = etree.fromstring(arch).find(".//filter[@name='unused_6m']")
        domain = literal_eval(node.get("domain"))
        never_new, never_old, long_ago, lately = self.env["library.patron"].create(
            [
                {"name": name, "company_id": self.library.id, "enrolled_on": enrolled}
                for name, enrolled in [
                    ("never, new", today - timedelta(days=10)),
                    ("never, old", today - timedelta(days=400)),
                    ("long ago", today - timedelta(days=400)),
                    ("lately", today - timedelta(days=400)),
                ]
            ]
        )
        self._use(long_ago, today - relativedelta(months=6, days=2))
        self._use(lately, today - relativedelta(months=5))
        self.assertEqual(
            self.env["library.patron"].search(
                domain + [("id", "in", (never_new + never_old + long_ago + lately).ids)]
            ),
            long_ago + never_old,
        )

    def test_use_in_the_future_is_refused(self):
        with self.assertRaisesRegex(ValidationError, "Date: .* is in the future"):
            self._use(self.amal, fields.Date.today() + timedelta(days=2))

    @mute_logger("odoo.sql_db")
    def test_negative_or_no_quantity_is_refused(self):
        for quantity in (-1, 0):
            with (
                self.subTest(quantity=quantity),
                self.assertRaisesRegex(IntegrityError, "quantity_positive"),
                self.cr.savepoint(),
            ):
                self._use(self.amal, date(2025, 1, 5), quantity=quantity)

    def test_use_at_a_branch_of_another_library_is_refused(self):
        with self.assertRaisesRegex(ValidationError, "belongs to the library"):
            self.env["library.service.usage"].create(
                {
                    "patron_id": self.amal.id,
                    "service_id": self.visit.id,
                    "branch_id": self.other_branch.id,
                }
            )

    def test_visit_is_logged_with_one_click_where_the_desk_sits(self):
        self.amal.branch_id = False
        self.amal.with_user(self.desk).action_log_visit()
        usage = self.env["library.service.usage"].search(
            [("patron_id", "=", self.amal.id)]
        )
        self.assertRecordValues(
            usage,
            [
                {
                    "service_id": self.visit.id,
                    "branch_id": self.main.id,
                    "date": fields.Date.today(),
                    "quantity": 1,
                    "channel": "onsite",
                }
            ],
        )
        self.assertEqual(self.amal.last_use_date, fields.Date.today())

    def test_service_is_logged_by_the_dialogue(self):
        form = Form(
            self.env["library.usage.log"]
            .with_user(self.desk)
            .with_context(default_patron_id=self.amal.id)
        )
        form.service_id = self.env.ref("library_crm.library_service_reference")
        form.save().action_log()
        self.assertEqual(self.amal.use_count, 1)

    def test_anonymous_tally_is_logged_without_a_patron(self):
        form = Form(self.env["library.usage.log"].with_user(self.desk))
        form.service_id = self.visit
        form.quantity = 12
        form.save().action_log()
        usage = self.env["library.service.usage"].search(
            [("branch_id", "=", self.main.id), ("patron_id", "=", False)]
        )
        self.assertEqual(usage.quantity, 12)

    def test_uses_of_the_last_twelve_months_are_counted(self):
        today = fields.Date.today()
        year_ago = today - relativedelta(years=1)
        self._use(self.amal, today, quantity=2)
        self._use(self.amal, year_ago + timedelta(days=1))
        self._use(self.amal, year_ago)
        self.assertEqual(self.amal.use_count, 3)
        self.assertEqual(self.bruno.use_count, 0)

    def test_chart_shows_twelve_months_by_service(self):
        today = fields.Date.today()
        self._use(self.amal, today, self.visit, 2)
        self._use(self.amal, today, self.loan, 5)
        self._use(self.amal, today - relativedelta(months=1), self.loan, 3)
        self._use(self.amal, today - relativedelta(months=13), self.loan, 50)
        chart = self.amal.with_user(self.desk).get_use_by_month()
        self.assertEqual(len(chart["months"]), 12)
        self.assertEqual(
            chart["months"][-1], fields.Date.to_string(today.replace(day=1))
        )
        self.assertEqual(
            [(row["name"], row["quantities"][-2:]) for row in chart["services"]],
            [("Loan", [3, 5]), ("Visit", [0, 2])],
        )

    def test_chart_puts_rarely_used_services_together(self):
        today = fields.Date.today()
        services = self.env["library.service"].search([], limit=8)
        for place, service in enumerate(services):
            self._use(self.amal, today, service, 10 - place)
        rows = self.amal.get_use_by_month()["services"]
        self.assertEqual(len(rows), 6)
        self.assertEqual(rows[-1]["name"], "Other services")
        self.assertEqual(rows[-1]["quantities"][-1], 5 + 4 + 3)

    # ------------------------------------------------------------
    # CONSENT
    # ------------------------------------------------------------

    def _consent(
        self, patron, state="given", purpose="news", channel="email", **values
    ):
        return self.env["library.consent"].create(
            {
                "patron_id": patron.id,
                "purpose_id": self.env.ref(
                    f"library_crm.library_consent_purpose_{purpose}"
                ).id,
                "state": state,
                "channel": channel,
                **values,
            }
        )

    def test_newest_row_of_the_ledger_holds(self):
        news = self.env.ref("library_crm.library_consent_purpose_news")
        domain = [
            ("agreed_purpose_ids", "in", news.ids),
            ("id", "in", (self.amal + self.bruno).ids),
        ]
        Patron = self.env["library.patron"]
        self.assertFalse(Patron.search(domain), "Without a row nothing was agreed")
        self._consent(self.amal)
        self._consent(self.bruno, channel="post")
        self.assertEqual(Patron.search(domain), self.amal)
        self.assertEqual(self.amal.agreed_purpose_ids, news)
        self.assertFalse(self.bruno.agreed_purpose_ids)
        self._consent(self.amal, "withdrawn")
        self.assertFalse(Patron.search(domain))
        self.assertFalse(self.amal.agreed_purpose_ids)
        self._consent(self.amal)
        self.assertEqual(Patron.search(domain), self.amal)

    def test_consent_remembers_the_wording(self):
        purpose = self.env.ref("library_crm.library_consent_purpose_news")
        consent = self._consent(self.amal)
        purpose.wording_version = "2"
        self.assertEqual(consent.wording_version, "1")
        self.assertEqual(self._consent(self.amal).wording_version, "2")

    def test_old_paper_does_not_undo_what_was_said_since(self):
        news = self.env.ref("library_crm.library_consent_purpose_news")
        self._consent(self.amal, "withdrawn")
        self._consent(self.amal, source="paper", date="2020-05-01 10:00:00")
        self.assertFalse(self.amal.agreed_purpose_ids)
        self.assertFalse(
            self.env["library.patron"].search(
                [
                    ("agreed_purpose_ids", "in", news.ids),
                    ("id", "=", self.amal.id),
                ]
            )
        )

    def test_what_holds_already_is_not_recorded_again(self):
        Consent = self.env["library.consent"]
        purposes = self.env["library.consent.purpose"].search([])
        patrons = self.amal + self.bruno
        rows = Consent._record(patrons, purposes, source="desk")
        refusable = purposes.filtered("is_refusable")
        self.assertLess(len(refusable), len(purposes), "Some need no consent")
        self.assertEqual(len(rows), 2 * len(refusable))
        self.assertEqual(self.bruno.agreed_purpose_ids, refusable)
        self.assertFalse(Consent._record(patrons, purposes, source="desk"))
        back = Consent._record(self.amal, refusable[0], state="withdrawn")
        self.assertEqual(len(back), 1)
        again = Consent._record(patrons, refusable[0], proof="Said so on the phone")
        self.assertEqual(again.patron_id, self.amal)
        self.assertEqual(again.proof, "Said so on the phone")

    def test_desk_gives_and_takes_back_with_one_click(self):
        news = self.env.ref("library_crm.library_consent_purpose_news")
        amal = self.amal.with_user(self.desk)
        for is_given, state in [(True, "given"), (False, "withdrawn")]:
            with self.subTest(state):
                block = amal.set_consent(news.id, "phone", is_given)
                rows = {line["id"]: line["rows"] for line in block["purposes"]}
                self.assertEqual(rows[news.id]["phone"]["state"], state)
                self.assertNotIn("email", rows[news.id])
        row = self.env["library.consent"].search(
            [("patron_id", "=", self.amal.id)], limit=1
        )
        self.assertEqual((row.source, row.user_id), ("desk", self.desk))
        self.assertTrue(block["can_change"])

    def test_desk_records_no_consent_of_another_branch(self):
        news = self.env.ref("library_crm.library_consent_purpose_news")
        with self.assertRaises(AccessError):
            self.bruno.with_user(self.desk).set_consent(news.id, "email", True)

    def test_marketing_sees_what_is_agreed_and_gives_nothing(self):
        news = self.env.ref("library_crm.library_consent_purpose_news")
        amal = self.amal.with_user(self.marketing)
        self.assertFalse(amal.get_consents()["can_change"])
        with self.assertRaises(AccessError):
            amal.set_consent(news.id, "email", True)
