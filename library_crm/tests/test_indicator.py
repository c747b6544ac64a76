from datetime import date, datetime

from freezegun import freeze_time
from psycopg2 import IntegrityError

from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import LibraryCommon


@tagged("post_install", "-at_install")
@freeze_time("2026-05-20 12:00:00")
class TestIndicator(LibraryCommon):
    """Figures of a library that is looked at in May 2026: April is the last month that
    is over."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.programme = cls.env.ref("library_crm.library_service_programme")
        cls.eresource = cls.env.ref("library_crm.library_service_eresource")
        cls.turnaway = cls.env.ref("library_crm.library_service_turnaway")

    @classmethod
    def _use(cls, day, service=None, branch=None, patrons=None, quantity=1):
        return cls.env["library.service.usage"].create(
            [
                {
                    "date": day,
                    "service_id": (service or cls.visit).id,
                    "branch_id": (branch or cls.main).id,
                    "patron_id": patron.id if patron else False,
                    "quantity": quantity,
                }
                for patron in (patrons or [None])
            ]
        )

    @classmethod
    def _use_a_year(cls, year=2025, month=5, months=12, **values):
        """Ten visits each month, from the month on."""
        for number in range(months):
            at = month - 1 + number
            cls._use(date(year + at // 12, at % 12 + 1, 15), quantity=10, **values)

    @classmethod
    def _join(cls, number, **values):
        return cls.env["library.patron"].create(
            [
                {
                    "name": f"Patron {index}",
                    "company_id": cls.library.id,
                    "branch_id": cls.main.id,
                    "enrolled_on": date(2020, 1, 1),
                    **values,
                }
                for index in range(number)
            ]
        )

    @classmethod
    def _populate(cls, number, year=2020, branch=None):
        return cls.env["library.population"].create(
            {
                "company_id": cls.library.id,
                "branch_id": branch.id if branch else False,
                "year": year,
                "number": number,
            }
        )

    @classmethod
    def _spend(cls, amount, date_from, date_to, **values):
        return cls.env["library.cost"].create(
            {
                "name": "Money",
                "company_id": cls.library.id,
                "amount": amount,
                "date_from": date_from,
                "date_to": date_to,
                **values,
            }
        )

    def _count(self):
        self.env["library.indicator.value"]._count(self.library)

    def _indicator(self, code):
        return self.env.ref(f"library_crm.library_indicator_{code}")

    def _find(self, code, month=date(2026, 4, 1), branch=None):
        """The row, or nothing."""
        return self.env["library.indicator.value"].search(
            [
                ("indicator_id", "=", self._indicator(code).id),
                ("company_id", "=", self.library.id),
                ("branch_id", "=", branch.id if branch else False),
                ("month", "=", month),
            ]
        )

    # ------------------------------------------------------------
    # WHAT IS COUNTED
    # ------------------------------------------------------------

    def test_figures_are_of_the_month_and_of_the_twelve_that_end_with_it(self):
        self._use_a_year()
        self._populate(50)
        self._count()
        figure = self._find("visits_per_capita")
        self.assertAlmostEqual(figure.value, 10 / 50)
        self.assertAlmostEqual(figure.value_year, 120 / 50)

    def test_branches_and_the_whole_library(self):
        self._use(date(2026, 4, 2), quantity=30)
        self._use(date(2026, 4, 2), branch=self.north, quantity=10)
        self._populate(100)
        self._populate(20, branch=self.north)
        self._count()
        self.assertAlmostEqual(self._find("visits_per_capita").value, 0.4)
        self.assertAlmostEqual(
            self._find("visits_per_capita", branch=self.north).value, 0.5
        )
        self.assertFalse(
            self._find("visits_per_capita", branch=self.main),
            "Nobody knows how many people it is there for",
        )

    def test_library_without_a_number_of_people_has_that_of_its_branches(self):
        self.main.population = 60
        self._populate(40, branch=self.north)
        self._use(date(2026, 4, 2), quantity=10)
        self._count()
        self.assertAlmostEqual(self._find("visits_per_capita").value, 0.1)

    def test_month_that_is_not_over_is_not_told(self):
        self._use(date(2026, 5, 2), patrons=self._join(6))
        self._count()
        self.assertFalse(self._find("active_users", date(2026, 5, 1)))

    def test_whoever_uses_two_branches_is_one_active_user_of_the_library(self):
        self._use(date(2026, 3, 31))
        self._use(date(2026, 2, 15), patrons=self.amal)
        patrons = self._join(6)
        for branch in (self.main, self.north):
            self._use(date(2026, 4, 2), branch=branch, patrons=patrons)
        self._count()
        self.assertEqual(self._find("active_users").value, 6)
        self.assertEqual(self._find("active_users", branch=self.north).value, 6)

    def test_users_who_stayed(self):
        self._use(date(2026, 2, 1), patrons=self.amal)
        patrons = self._join(10)
        self._use(date(2026, 3, 10), patrons=patrons[:8])
        self._use(date(2026, 4, 10), patrons=patrons[2:])
        self._count()
        self.assertAlmostEqual(self._find("user_retention").value, 75)

    def test_users_of_many_years_are_told_in_the_months_in_which_they_came(self):
        patrons = self._join(9)
        came = {
            date(2020 + number // 12, number % 12 + 1, 1): 5 + number % 5
            for number in range(76)
        }
        for month, number in came.items():
            self._use(month, patrons=patrons[:number])
        self._count()
        told = {month: self._find("active_users", month).value for month in came}
        self.assertEqual(told, came)
        year = self._find("active_users", date(2023, 1, 1)).value_year
        self.assertEqual(year, 9)

    def test_who_was_away_for_a_year_came_back_and_who_is_new_did_not(self):
        self._use(date(2024, 1, 1), patrons=self.amal)
        self._use(date(2026, 4, 10), patrons=self._join(5))
        self._use(date(2026, 4, 10), patrons=self._join(7, enrolled_on="2026-04-10"))
        stayed = self._join(9)
        self._use(date(2025, 6, 10), patrons=stayed)
        self._use(date(2026, 4, 10), patrons=stayed)
        self._count()
        self.assertEqual(self._find("returned_users").value, 5)
        self.assertEqual(self._find("new_users").value, 7)

    def test_renewals_over_all_that_came_to_their_end(self):
        self._use(date(2026, 4, 2))
        for patron in self._join(6):
            membership = self._create_membership(
                patron, date_start="2025-04-11", date_end="2027-04-10"
            )
            self.env["library.membership.renewal"].create(
                {
                    "membership_id": membership.id,
                    "date": "2026-04-01",
                    "old_end": "2026-04-10",
                    "new_end": "2027-04-10",
                }
            )
        for patron in self._join(2):
            self._create_membership(
                patron, date_start="2025-04-11", date_end="2026-04-10", state="expired"
            )
        self._count()
        self.assertAlmostEqual(self._find("membership_renewal").value, 75)

    def test_requests_answered_within_five_days(self):
        self._use(date(2026, 4, 2))
        for closed in ("2026-04-06", "2026-04-14 23:00:00", "2026-04-16", False) * 2:
            self._ask("2026-04-10 00:00:00", closed)
        self._count()
        self.assertAlmostEqual(self._find("requests_in_time").value, 50)

    def _ask(self, came, closed):
        lead = self.env["crm.lead"].create(
            {
                "name": "Question",
                "library_request_kind": "reference",
                "library_branch_id": self.main.id,
                "company_id": self.library.id,
            }
        )
        lead.flush_recordset()
        self.env.cr.execute(
            "UPDATE crm_lead SET create_date = %s, date_closed = %s WHERE id = %s",
            [came, closed or None, lead.id],
        )
        lead.invalidate_recordset()

    def test_turn_aways_are_no_uses(self):
        self._use(date(2026, 4, 2), self.eresource, quantity=50)
        self._use(date(2026, 4, 2), self.turnaway, quantity=5)
        self._spend(100, "2026-04-01", "2026-04-30", service_id=self.eresource.id)
        self._count()
        self.assertEqual(self._find("turnaways").value, 5)
        self.assertAlmostEqual(self._find("turnaways_per_hundred").value, 10)
        self.assertAlmostEqual(self._find("cost_per_euse").value, 2)
        self.assertAlmostEqual(self._find("cost_per_use").value, 2)

    def test_patrons_reached_is_of_the_day_when_the_month_was_over(self):
        self._use(date(2026, 4, 2))
        news = self.env.ref("library_crm.library_consent_purpose_news")
        patrons = self._join(8)
        for patron in patrons[:4]:
            patron.email = f"{patron.id}@test.example.com"
            self.env["library.consent"].create(
                {"patron_id": patron.id, "purpose_id": news.id}
            )
        self._count()
        told = self._find("reached_with_consent").value
        self.assertAlmostEqual(told, 40, msg="Four of eight, and Amal and Bruno")
        patrons[5:].unlink()
        self._count()
        self.assertEqual(self._find("reached_with_consent").value, told)

    def test_each_rate_is_what_its_formula_says(self):
        """A month reckoned by hand; what is not here has a test of its own."""
        self._use(date(2026, 3, 1), patrons=self.amal)
        self._use(date(2026, 4, 2), patrons=self._join(5), quantity=2)
        self._use(date(2026, 4, 2), self.loan, quantity=20)
        self._use(date(2026, 4, 2), self.programme, quantity=8)
        self._use(date(2026, 4, 2), self.eresource, quantity=50)
        self._use(date(2026, 4, 2), self.turnaway, quantity=5)
        self._offer(10)
        self._populate(100)
        for amount, service in (
            *((930, None), (40, self.loan), (30, self.visit)),
            *((16, self.programme), (100, self.eresource)),
        ):
            self._spend(
                amount, "2026-04-01", "2026-04-30", service_id=service and service.id
            )
        self._count()
        reckoned = {
            "active_users": 5,
            "market_penetration": 100 * 5 / 100,
            "visits_per_capita": 10 / 100,
            "loans_per_capita": 20 / 100,
            "attendance_per_capita": 8 / 100,
            "programme_fill": 100 * 8 / 10,
            "euse_per_capita": 50 / 100,
            "loans_per_active_user": 20 / 5,
            "cost_per_use": 1116 / (10 + 20 + 8 + 50),
            "cost_per_loan": 40 / 20,
            "cost_per_visit": 30 / 10,
            "cost_per_attendance": 16 / 8,
            "cost_per_euse": 100 / 50,
            "cost_per_active_user": 1116 / 5,
            "turnaways": 5,
            "turnaways_per_hundred": 100 * 5 / 50,
        }
        for code, figure in reckoned.items():
            with self.subTest(code=code):
                self.assertAlmostEqual(self._find(code).value, figure)
        shipped = self.env["ir.model.data"].search(
            [("module", "=", "library_crm"), ("model", "=", "library.indicator")]
        )
        tested_apart = {
            *("user_retention", "new_users", "returned_users", "membership_renewal"),
            *("requests_in_time", "reached_with_consent"),
        }
        self.assertEqual(
            {
                name.removeprefix("library_indicator_")
                for name in shipped.mapped("name")
            },
            {*reckoned, *tested_apart},
        )

    def test_whoever_came_in_several_months_is_one_active_user_of_the_year(self):
        self._use_a_year(2025, 4, 13)
        patrons = self._join(6)
        for day in (date(2025, 5, 1), date(2025, 6, 10), date(2026, 4, 10)):
            self._use(day, patrons=patrons)
        self._use(date(2025, 9, 10), patrons=self._join(3))
        self._use(date(2025, 4, 30), patrons=self._join(7))
        self._count()
        figure = self._find("active_users")
        self.assertEqual((figure.value, figure.value_year), (6, 9))

    def test_year_is_compared_with_the_year_before_for_who_stayed_and_came_back(self):
        self._use_a_year(2024, 4, 25)
        before = self._join(10)
        self._use(date(2024, 5, 1), patrons=before)
        self._use(date(2025, 10, 10), patrons=before[:6])
        self._use(date(2026, 4, 30), patrons=before[6:8])
        self._use(date(2025, 7, 10), patrons=self._join(5))
        self._use(date(2025, 7, 10), patrons=self._join(6, enrolled_on="2024-05-01"))
        self._count()
        self.assertAlmostEqual(self._find("user_retention").value_year, 80)
        self.assertEqual(self._find("returned_users").value_year, 5)

    def test_year_of_people_is_not_told_before_a_year_is_known(self):
        self._use_a_year()
        self._use(date(2025, 6, 10), patrons=self._join(6))
        self._count()
        self.assertFalse(self._find("active_users").denominator_year)

    # ------------------------------------------------------------
    # PLACES
    # ------------------------------------------------------------

    @classmethod
    def _offer(cls, places, month="2026-04-01", branch=None):
        return cls.env["library.service.place"].create(
            {
                "month": month,
                "branch_id": (branch or cls.main).id,
                "service_id": cls.programme.id,
                "places": places,
            }
        )

    def test_attendances_count_where_the_places_are_known(self):
        workshop = self.programme.copy({"code": "workshop", "name": "Workshop"})
        self._use(date(2026, 4, 2), self.programme, quantity=30)
        self._use(date(2026, 4, 2), workshop, quantity=500)
        self._use(date(2026, 4, 2), self.programme, self.north, quantity=10)
        self._offer(40, "2026-04-17")
        self._count()
        self.assertAlmostEqual(self._find("programme_fill").value, 75)
        self.assertAlmostEqual(self._find("programme_fill", branch=self.main).value, 75)
        self.assertFalse(self._find("programme_fill", branch=self.north))
        self._offer(10, branch=self.north)
        self._count()
        self.assertAlmostEqual(self._find("programme_fill").value, 100 * 40 / 50)

    def test_programme_in_which_nobody_was_counted_is_a_gap_and_not_empty(self):
        self._use_a_year()
        self._use(date(2026, 4, 2), self.programme, quantity=30)
        self._use(date(2025, 6, 2), self.programme, quantity=15)
        self._offer(40)
        self._offer(60, "2025-06-01")
        self._offer(1000, "2026-03-01")
        self._count()
        self.assertFalse(self._find("programme_fill", date(2026, 3, 1)))
        self.assertAlmostEqual(
            self._find("programme_fill").value_year, 100 * (30 + 15) / (40 + 60)
        )

    def test_no_places_at_all_are_no_figure(self):
        self._use(date(2026, 4, 2), self.programme, quantity=30)
        self._offer(0)
        self._count()
        self.assertFalse(self._find("programme_fill"))

    def test_places_that_are_entered_late_open_their_month(self):
        self._use_a_year(2024, 5, 24)
        self._use(date(2025, 6, 2), self.programme, quantity=15)
        self._count()
        place = self._offer(60, "2025-06-20")
        self._count()
        figure = self._find("programme_fill", date(2025, 6, 1))
        self.assertAlmostEqual(figure.value, 25)
        place.places = 30
        self._count()
        self.assertAlmostEqual(figure.value, 50)
        place.unlink()
        self._count()
        self.assertFalse(figure.exists(), "What was entered by mistake is not kept")

    def test_places_are_of_a_month_and_stand_once(self):
        place = self._offer(5, "2026-04-17")
        self.assertEqual(place.month, date(2026, 4, 1))
        place.month = "2026-03-31"
        self.assertEqual(place.month, date(2026, 3, 1))
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError):
            self._offer(6, "2026-03-02")

    def test_desk_enters_the_places_of_its_branches(self):
        Place = self.env["library.service.place"].with_user(self.desk)
        values = {"service_id": self.programme.id, "places": 5, "month": "2026-04-01"}
        Place.create({**values, "branch_id": self.main.id})
        with self.assertRaises(AccessError):
            Place.create({**values, "branch_id": self.north.id})

    # ------------------------------------------------------------
    # COST
    # ------------------------------------------------------------

    def test_cost_of_a_year_is_spread_over_its_days(self):
        self._use(date(2026, 4, 2), quantity=10)
        self._spend(365, "2026-01-01", "2026-12-31")
        self._count()
        self.assertAlmostEqual(self._find("cost_per_use").value, 30 / 10)

    def test_leap_year_has_a_day_more(self):
        self._use(date(2024, 2, 29), quantity=29)
        self._spend(366, "2024-01-01", "2024-12-31")
        self._count()
        self.assertAlmostEqual(self._find("cost_per_use", date(2024, 2, 1)).value, 1)

    def test_no_cost_entered_is_no_figure_and_not_zero(self):
        self._use(date(2026, 4, 2), quantity=10)
        self._count()
        self.assertFalse(self._find("cost_per_use"))

    def test_cost_of_no_branch_is_that_of_the_whole_library(self):
        self._use(date(2026, 4, 2), quantity=10)
        self._spend(60, "2026-04-01", "2026-04-30")
        self._spend(40, "2026-04-01", "2026-04-30", branch_id=self.main.id)
        self._count()
        self.assertAlmostEqual(self._find("cost_per_use").value, 10)
        self.assertAlmostEqual(self._find("cost_per_use", branch=self.main).value, 4)

    def test_cost_of_a_category_is_of_its_uses_only(self):
        self._use(date(2026, 4, 2), quantity=10)
        self._use(date(2026, 4, 2), self.loan, quantity=20)
        self._spend(40, "2026-04-01", "2026-04-30", service_id=self.loan.id)
        self._count()
        self.assertAlmostEqual(self._find("cost_per_loan").value, 2)
        self.assertFalse(self._find("cost_per_visit"))
        self.assertAlmostEqual(self._find("cost_per_use").value, 40 / 30)

    def test_cost_in_another_currency_is_converted(self):
        other = self.env["res.currency"].create(
            {
                "name": "XTS",
                "symbol": "X",
                "rate_ids": [
                    (0, 0, {"name": "2026-01-01", "rate": 4, "company_id": False})
                ],
            }
        )
        cost = self._spend(100, "2026-04-01", "2026-04-30", currency_id=other.id)
        self.assertAlmostEqual(cost.company_amount, 25)

    def test_cost_in_a_currency_without_a_rate_is_refused(self):
        other = self.env["res.currency"].create({"name": "XTS", "symbol": "X"})
        with self.assertRaisesRegex(ValidationError, "XTS has no rate"):
            self._spend(100, "2026-04-01", "2026-04-30", currency_id=other.id)

    @mute_logger("odoo.sql_db")
    def test_cost_that_ends_before_it_begins_is_refused(self):
        with self.assertRaises(IntegrityError):
            self._spend(100, "2026-04-30", "2026-04-01")

    # ------------------------------------------------------------
    # GAPS
    # ------------------------------------------------------------

    def test_nobody_to_be_served_is_no_figure(self):
        self._use(date(2026, 4, 2), quantity=10)
        self._populate(0)
        self.main.population = 100
        self._count()
        self.assertFalse(self._find("visits_per_capita"))

    def test_month_without_data_is_a_gap_and_leaves_the_year_untold(self):
        self._use_a_year(months=10)
        self._use(date(2026, 4, 2), quantity=10)
        self._populate(10)
        self._count()
        self.assertFalse(self._find("visits_per_capita", date(2026, 3, 1)))
        figure = self._find("visits_per_capita")
        self.assertEqual(figure.value, 1)
        self.assertFalse(figure.denominator_year)
        self.assertEqual(figure.value_text, "–")

    def test_branch_that_opened_in_the_year_counts_from_then_on(self):
        self._use_a_year()
        self._use_a_year(2026, 3, 2, branch=self.north)
        self._populate(10, branch=self.north)
        self._populate(10)
        self._count()
        self.assertFalse(
            self._find("visits_per_capita", date(2026, 2, 1), branch=self.north)
        )
        self.assertEqual(
            self._find("visits_per_capita", branch=self.north).value_year, 2
        )
        self.assertEqual(self._find("visits_per_capita").value_year, 14)

    def test_branch_that_closed_in_the_year_is_told_no_longer(self):
        self._use_a_year()
        self._use_a_year(2025, 5, 3, branch=self.north)
        self._populate(10, branch=self.north)
        self._populate(10)
        self.north.active = False
        self._count()
        self.assertTrue(
            self._find("visits_per_capita", date(2025, 7, 1), branch=self.north)
        )
        self.assertFalse(self._find("visits_per_capita", branch=self.north))
        self.assertEqual(self._find("visits_per_capita").value_year, 15)

    def test_population_holds_until_the_figure_of_a_later_year(self):
        self._use(date(2025, 12, 31), quantity=10)
        self._use(date(2026, 1, 1), quantity=10)
        self._populate(10, 2024)
        self._populate(20, 2026)
        self._count()
        self.assertEqual(self._find("visits_per_capita", date(2025, 12, 1)).value, 1)
        self.assertEqual(self._find("visits_per_capita", date(2026, 1, 1)).value, 0.5)

    # ------------------------------------------------------------
    # SMALL NUMBERS
    # ------------------------------------------------------------

    def test_fewer_than_five_people_are_not_told(self):
        self._use(date(2026, 3, 1), patrons=self.amal)
        self._use(date(2026, 4, 2), patrons=self._join(4))
        self._count()
        self.assertFalse(self._find("active_users"))
        self._use(date(2026, 4, 3), patrons=self.bruno)
        self._count()
        self.assertEqual(self._find("active_users").value, 5)

    def test_fewer_than_five_people_of_the_year_are_not_told(self):
        self._use_a_year(2025, 4, 13)
        self._use(date(2025, 4, 1), patrons=self.amal)
        self._populate(50)
        self._use(date(2025, 6, 2), patrons=self._join(4))
        self._count()
        for code in ("active_users", "market_penetration", "loans_per_active_user"):
            with self.subTest(code=code):
                self.assertFalse(self._find(code).denominator_year)
        self._use(date(2025, 7, 2), patrons=self._join(1))
        self._count()
        self.assertEqual(self._find("active_users").value_year, 5)
        self.assertEqual(self._find("market_penetration").value_year, 10)

    def test_rate_of_people_is_told_of_five_however_few_did(self):
        self._use(date(2026, 2, 1), patrons=self.amal)
        patrons = self._join(9)
        self._use(date(2026, 3, 10), patrons=patrons[:4])
        self._use(date(2026, 4, 10), patrons=patrons[3:])
        self._count()
        self.assertFalse(self._find("user_retention"))
        self._use(date(2026, 3, 11), patrons=patrons[8])
        self._count()
        self.assertAlmostEqual(self._find("user_retention").value, 100 * 2 / 5)

    def test_few_new_patrons_are_not_told_by_taking_away(self):
        """Of 14 new patrons with 3 in the north, 5 in the main branch and 6 on the
        hill, the 3 would be 14 − 5 − 6."""
        hill = self.env["library.branch"].create(
            {"name": "Hilltop", "code": "TTOP", "company_id": self.library.id}
        )
        for branch, number in ((self.north, 3), (self.main, 5), (hill, 6)):
            self._use(date(2026, 4, 2), branch=branch)
            self._join(number, branch_id=branch.id, enrolled_on="2026-04-10")
        self._count()
        self.assertEqual(self._find("new_users").value, 14)
        self.assertEqual(self._find("new_users", branch=hill).value, 6)
        self.assertFalse(self._find("new_users", branch=self.north))
        self.assertFalse(self._find("new_users", branch=self.main))

    # ------------------------------------------------------------
    # KEPT, AND OPENED AGAIN
    # ------------------------------------------------------------

    def test_figures_outlive_the_rows_of_use(self):
        patrons = self._join(6)
        self._use(date(2025, 4, 30), patrons=patrons)
        self._use(date(2025, 6, 10), patrons=patrons)
        self._use(date(2026, 4, 10), patrons=patrons)
        self._count()
        before = self._find("active_users", date(2025, 6, 1))
        self.assertEqual(before.value, 6)
        # As the nightly job of privacy does it: the roll-up stays.
        self.env.cr.execute(
            "DELETE FROM library_service_usage WHERE date < '2026-01-01'"
        )
        self.env["library.indicator.month"].search(
            [("company_id", "=", self.library.id)]
        ).uses = False
        self._count()
        self.assertEqual(before.exists().value, 6)

    def test_years_of_people_outlive_the_rows_of_use(self):
        self._use_a_year(2024, 4, 25)
        self._use(date(2024, 4, 1), patrons=self.amal)
        self._use(date(2025, 2, 10), patrons=self._join(6))
        self._count()
        before = self._find("active_users", date(2025, 4, 1))
        self.assertEqual(before.value_year, 6)
        self.env.cr.execute(
            "DELETE FROM library_service_usage WHERE date < '2026-01-01'"
        )
        self._populate(10)
        self.env["library.indicator.month"].search(
            [("company_id", "=", self.library.id)]
        ).uses = False
        self._count()
        self.assertEqual(before.value_year, 6)
        self.assertEqual(
            self._find("visits_per_capita", date(2025, 4, 1)).value_year,
            120 / 10 + 6 / 10,
            "What is made of the roll-up is counted again",
        )

    def test_late_use_opens_its_month_and_the_years_it_is_part_of(self):
        self._use_a_year(2024, 5, 24)
        self._populate(10)
        self._count()
        old = self._find("visits_per_capita", date(2025, 6, 1))
        later = self._find("visits_per_capita", date(2025, 12, 1))
        earlier = self._find("visits_per_capita", date(2025, 5, 1))
        with freeze_time("2026-05-21 12:00:00"):
            self._use(date(2025, 6, 20), quantity=5)
            self._count()
        self.assertEqual(old.value, 1.5)
        self.assertEqual(old.reopened_on, datetime(2026, 5, 21, 12))
        self.assertEqual(later.value_year, 12.5)
        self.assertFalse(later.reopened_on, "The month itself is as it was told")
        self.assertEqual(earlier.counted_on, datetime(2026, 5, 20, 12))

    def test_load_is_told_which_months_it_opened_again(self):
        source = self.env["library.data.source"].create(
            {"name": "Counts", "kind": "usage", "company_id": self.library.id}
        )
        self._use_a_year(2024, 5, 24)
        self._count()
        with freeze_time("2026-05-21 12:00:00"):
            self._use(date(2025, 6, 20)).source_id = source
            load = self.env["library.data.load"].create({"source_id": source.id})
            load.write({"state": "done", "ended_on": datetime(2026, 5, 21, 11)})
            self._count()
        self.assertIn("2025-06", load.notes_text)

    def test_moving_a_use_to_another_branch_opens_the_month(self):
        self._use_a_year()
        use = self._use(date(2025, 6, 20), quantity=5)
        self._populate(10)
        self._count()
        use.branch_id = self.north
        self._populate(10, branch=self.north)
        self._count()
        self.assertEqual(
            self._find("visits_per_capita", date(2025, 6, 1), self.north).value, 0.5
        )

    def test_cost_that_is_entered_late_opens_its_months(self):
        self._use_a_year()
        self._count()
        self._spend(300, "2025-06-01", "2025-06-30")
        self._count()
        self.assertEqual(self._find("cost_per_use", date(2025, 6, 1)).value, 30)
        self.assertFalse(self._find("cost_per_use", date(2025, 7, 1)).denominator)

    def test_nothing_new_leaves_old_months_alone(self):
        self._use_a_year(2024, 5, 24)
        self._populate(10)
        self._count()
        with freeze_time("2026-05-21 12:00:00"):
            self._count()
        self.assertEqual(
            self._find("visits_per_capita", date(2025, 6, 1)).counted_on,
            datetime(2026, 5, 20, 12),
        )
        self.assertEqual(
            self._find("visits_per_capita").counted_on, datetime(2026, 5, 21, 12)
        )
        self.assertFalse(self._find("visits_per_capita").reopened_on)

    # ------------------------------------------------------------
    # THE CLOCK AND THE CALENDAR
    # ------------------------------------------------------------

    @freeze_time("2026-04-30 13:00:00")
    def test_month_is_over_when_it_is_on_the_clock_of_the_library(self):
        self._use(date(2026, 4, 2), quantity=10)
        self._populate(10)
        self._count()
        self.assertFalse(self._find("visits_per_capita"))
        self.library.partner_id.tz = "Pacific/Auckland"  # 1 May, 1 o'clock
        self._count()
        self.assertEqual(self._find("visits_per_capita").value, 1)

    def test_request_of_the_last_night_is_of_the_month_on_the_librarys_clock(self):
        self._use(date(2026, 3, 2))
        self._use(date(2026, 4, 2))
        for _number in range(5):
            self._ask("2026-03-31 22:30:00", "2026-04-01 08:00:00")
        self.library.partner_id.tz = "Europe/Berlin"  # 0:30 on 1 April
        self._count()
        self.assertFalse(self._find("requests_in_time", date(2026, 3, 1)))
        self.assertEqual(self._find("requests_in_time").value, 100)

    def test_fiscal_year_that_starts_in_july_has_the_number_of_its_end(self):
        self._use_a_year()
        self._populate(10)
        self.library.library_fiscal_month = "7"
        self._count()
        june, july = (
            self._find("visits_per_capita", date(2025, month, 1)) for month in (6, 7)
        )
        self.assertEqual((june.year, june.is_year_end), (2025, True))
        self.assertEqual((july.year, july.is_year_end), (2026, False))
        self.library.library_fiscal_month = "1"
        self.assertEqual((june.year, june.is_year_end), (2025, False))
        self.assertEqual(july.year, 2025)

    # ------------------------------------------------------------
    # TARGETS
    # ------------------------------------------------------------

    def _aim(self, code, target, year, branch=None):
        return self.env["library.indicator.target"].create(
            {
                "indicator_id": self._indicator(code).id,
                "company_id": self.library.id,
                "branch_id": branch.id if branch else False,
                "year": year,
                "target": target,
            }
        )

    def test_target_is_compared_with_the_twelve_months(self):
        self._use_a_year()
        self._populate(10)
        self._spend(120, "2025-05-01", "2026-04-30")
        self._aim("visits_per_capita", 12, 2026)
        self._aim("cost_per_use", 0.5, 2026)
        self._count()
        self.assertEqual(self._find("visits_per_capita").standing, "met")
        self.assertEqual(self._find("cost_per_use").standing, "missed")

    def test_target_in_the_past_says_nothing_of_this_year(self):
        self._use_a_year(2024, 5, 24)
        self._populate(10)
        self._count()
        self._aim("visits_per_capita", 20, 2025)
        self.assertEqual(self._find("visits_per_capita").standing, "none")
        self.assertEqual(
            self._find("visits_per_capita", date(2025, 12, 1)).standing, "missed"
        )

    def test_target_of_the_library_is_not_that_of_a_branch(self):
        self._use_a_year()
        self._populate(10)
        self._populate(10, branch=self.main)
        self._aim("visits_per_capita", 12, 2026)
        self._count()
        self.assertEqual(
            self._find("visits_per_capita", branch=self.main).standing, "none"
        )

    def test_target_of_a_branch_is_compared_with_that_branch(self):
        self._use_a_year()
        self._use_a_year(branch=self.north)
        self._populate(10, branch=self.main)
        self._populate(20, branch=self.north)
        self._aim("visits_per_capita", 8, 2026, self.main)
        self._aim("visits_per_capita", 8, 2026, self.north)
        self._aim("visits_per_capita", 1, 2025, self.north)
        self._count()
        found = {
            branch: self._find("visits_per_capita", branch=branch).standing
            for branch in (self.main, self.north)
        }
        self.assertEqual(found, {self.main: "met", self.north: "missed"})

    def test_change_is_from_the_year_before(self):
        self._use_a_year(2024, 5, 24)
        self._use(date(2026, 2, 2), quantity=60)
        self._populate(10)
        self._count()
        figure = self._find("visits_per_capita")
        self.assertAlmostEqual(figure.change, 50)
        self.assertEqual(figure.trend, "better")

    # ------------------------------------------------------------
    # GROUPS
    # ------------------------------------------------------------

    def test_rate_of_branches_together_is_that_of_their_sums(self):
        self._use(date(2026, 4, 2), quantity=90)
        self._use(date(2026, 4, 2), branch=self.north, quantity=10)
        self._populate(10, branch=self.main)
        self._populate(90, branch=self.north)
        self._count()
        [(value,)] = self.env["library.indicator.value"]._read_group(
            [
                ("indicator_id", "=", self._indicator("visits_per_capita").id),
                ("company_id", "=", self.library.id),
                ("branch_id", "!=", False),
            ],
            [],
            ["value:avg"],
        )
        self.assertAlmostEqual(value, 1)

    def test_different_indicators_together_have_no_figure(self):
        self._use(date(2026, 4, 2), patrons=self._join(6))
        self._populate(10)
        self._count()
        [(value,)] = self.env["library.indicator.value"]._read_group(
            [("company_id", "=", self.library.id), ("branch_id", "=", False)],
            [],
            ["value:avg"],
        )
        self.assertFalse(value)

    def test_graph_has_a_gap_where_nothing_is_told(self):
        """In the first year there is no figure of twelve months."""
        self._use_a_year()
        self._populate(10)
        self._count()
        groups = self.env["library.indicator.value"].formatted_read_group(
            [
                ("indicator_id", "=", self._indicator("visits_per_capita").id),
                ("company_id", "=", self.library.id),
                ("branch_id", "=", False),
            ],
            ["month:month"],
            ["value_year:avg"],
        )
        self.assertEqual([group["value_year:avg"] for group in groups], [12])

    # ------------------------------------------------------------
    # WHO SEES WHAT
    # ------------------------------------------------------------

    def test_desk_sees_its_branches_and_the_whole_library(self):
        for branch in (self.main, self.north):
            self._use(date(2026, 4, 2), branch=branch)
            self._populate(10, branch=branch)
        self._count()
        domain = [
            ("indicator_id", "=", self._indicator("visits_per_capita").id),
            ("month", "=", date(2026, 4, 1)),
        ]
        for user, branches in (
            (self.desk, self.main),
            (self.marketing, self.main + self.north),
            (self.manager, self.main + self.north),
        ):
            with self.subTest(user=user.name):
                found = self.env["library.indicator.value"].with_user(user)
                found = found.search(domain)
                self.assertEqual(found.branch_id, branches)
                self.assertEqual(len(found), len(branches) + 1)

    def test_cost_of_the_whole_library_is_for_all_staff(self):
        """Money of no branch in particular is in its figures only."""
        self._use(date(2026, 4, 2), quantity=10)
        self._use(date(2026, 4, 2), branch=self.north, quantity=10)
        self._spend(60, "2026-04-01", "2026-04-30")
        self._count()
        for user in (self.desk, self.marketing, self.manager):
            with self.subTest(user=user.name):
                found = self.env["library.indicator.value"].with_user(user)
                [figure] = found.search(
                    [
                        ("indicator_id", "=", self._indicator("cost_per_use").id),
                        ("month", "=", date(2026, 4, 1)),
                    ]
                )
                self.assertFalse(figure.branch_id)
                self.assertEqual(figure.value, 3)

    def test_job_counts_every_library(self):
        self._use(date(2026, 4, 2), quantity=10)
        self._populate(10)
        cron = self.env.ref("library_crm.ir_cron_count_indicators")
        with self.enter_registry_test_mode():
            cron.method_direct_trigger()
        self.assertEqual(self._find("visits_per_capita").value, 1)
