from collections import Counter
from datetime import date, timedelta
from unittest import SkipTest

from dateutil.relativedelta import relativedelta

from odoo import fields
from odoo.tests import TransactionCase, tagged

from ..demo.library import DemoLibrary
from ..demo.library_requests import STAGES
from ..demo.people import Town
from ..demo.use import Use

OPEN_DAYS = {
    "MAIN": {0, 1, 2, 3, 4, 5, 6},
    "WEST": {1, 2, 3, 4, 5},
    "HARB": {0, 2, 3, 4, 5},
    "OAKH": {1, 2, 3, 5},
    "CAMP": {0, 1, 2, 3, 4, 6},
    "BUS": {0, 1, 2, 3},
}


@tagged("post_install", "-at_install")
class TestDemo(TransactionCase):
    """What the demo data promises, looked at in a library made today: the one of the
    database may be old, and somebody may have worked in it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        demo_branch = cls.env.ref(
            "library_crm.library_branch_main", raise_if_not_found=False
        )
        if not demo_branch:
            raise SkipTest("This database was made without demo data.")
        cls.today = fields.Date.today()
        cls.library = cls._copy_empty_library(demo_branch.company_id)
        cls.env = cls.env(
            context={**cls.env.context, "allowed_company_ids": cls.library.ids}
        )
        cls.demo = DemoLibrary(cls.env, cls.library, 7, cls.today)
        cls.demo.make()
        cls.in_library = [("company_id", "=", cls.library.id)]

    @classmethod
    def _copy_empty_library(cls, origin):
        """A second library with the branches, categories and plans of the demo files,
        in which nothing has happened yet."""
        library = cls.env["res.company"].create({"name": "Riverbend, once more"})
        of_origin = [("company_id", "=", origin.id)]
        plans = {
            plan: plan.copy({"company_id": library.id, "name": plan.name})
            for plan in cls.env["library.membership.plan"].search(of_origin)
        }
        for category in cls.env["library.patron.category"].search(of_origin):
            category.copy(
                {
                    "company_id": library.id,
                    "plan_id": plans.get(category.plan_id, category.plan_id).id,
                    "next_category_id": False,
                }
            )
        for branch in cls.env["library.branch"].search(of_origin):
            branch.manager_id.company_ids |= library
            branch.copy(
                {
                    "company_id": library.id,
                    "partner_id": False,
                    "resource_calendar_id": branch.resource_calendar_id.copy(
                        {"company_id": library.id}
                    ).id,
                }
            )
        for name in ("desk", "marketing", "campus"):
            cls.env.ref(f"library_crm.library_user_{name}").company_ids |= library
        return library

    # ------------------------------------------------------------
    # THE TOWN
    # ------------------------------------------------------------

    def test_same_seed_makes_the_same_library(self):
        first, second = Town(7, self.today), Town(7, self.today)
        self.assertEqual(first.people, second.people)
        self.assertEqual(first.households, second.households)
        self.assertNotEqual(first.people, Town(8, self.today).people)
        self.assertEqual(
            Use(7, first.people, OPEN_DAYS, self.today).rows(),
            Use(7, second.people, OPEN_DAYS, self.today).rows(),
        )

    def test_six_branches_and_a_few_hundred_patrons_with_households(self):
        self.assertEqual(self.env["library.branch"].search_count(self.in_library), 6)
        Patron = self.env["library.patron"].with_context(active_test=False)
        patrons = Patron.search(self.in_library)
        self.assertTrue(300 <= len(patrons) <= 600, len(patrons))
        self.assertGreater(len(patrons.household_id), 100)
        self.assertFalse(patrons.filtered("active") == patrons, "some are archived")
        self.assertTrue(
            all(card.startswith("0") for card in patrons.mapped("card_number"))
        )
        children = patrons.filtered(
            lambda patron: patron.patron_category_id.kind == "child"
        )
        self.assertGreater(len(children), 30)
        for child in children:
            self.assertEqual(child.guardian_id.household_id, child.household_id)
        self.assertEqual(set(patrons.branch_id.mapped("code")), set(OPEN_DAYS))

    def test_nobody_was_born_or_joined_in_the_future_or_joined_unborn(self):
        Patron = self.env["library.patron"].with_context(active_test=False)
        for patron in Patron.search(self.in_library):
            self.assertLessEqual(patron.enrolled_on, self.today)
            if patron.birth_date:
                self.assertLess(patron.birth_date, patron.enrolled_on, patron.name)

    # ------------------------------------------------------------
    # MEMBERSHIP
    # ------------------------------------------------------------

    def test_memberships_are_in_every_state(self):
        Membership = self.env["library.membership"]
        counts = dict(Membership._read_group(self.in_library, ["state"], ["__count"]))
        for state, _label in Membership._fields["state"].selection:
            self.assertGreater(counts.get(state, 0), 2, state)
        suspended = Membership.search([*self.in_library, ("state", "=", "suspended")])
        self.assertEqual(
            {bool(membership.suspended_until) for membership in suspended},
            {True, False},
        )
        self.assertTrue(
            Membership.search(
                [
                    *self.in_library,
                    ("state", "=", "active"),
                    ("date_end", "<=", self.today + timedelta(days=30)),
                ]
            )
        )

    def test_daily_job_moves_nothing_wherever_the_clock_stands(self):
        Membership = self.env["library.membership"]
        for day in (-1, 0, 1):
            today = self.today + timedelta(days=day)
            for domain, _move in Membership._get_daily_moves(today):
                moved = Membership.search([*self.in_library, *domain])
                self.assertFalse(moved.mapped("display_name"), f"{day}: {domain}")

    def test_renewals_follow_one_another(self):
        Renewal = self.env["library.membership.renewal"]
        renewals = Renewal.search(self.in_library)
        self.assertGreater(len(renewals), 200)
        for membership, rows in renewals.grouped("membership_id").items():
            rows = rows.sorted("old_end")
            for row, following in zip(rows, rows[1:], strict=False):
                self.assertEqual(row.new_end, following.old_end)
            self.assertEqual(rows[-1].new_end, membership.date_end)
            self.assertTrue(all(row.date <= self.today for row in rows))

    # ------------------------------------------------------------
    # USE
    # ------------------------------------------------------------

    def test_three_years_of_use_with_seasons(self):
        Usage = self.env["library.service.usage"]
        here = [("branch_id.company_id", "=", self.library.id)]
        total, first, last = Usage._read_group(
            here, [], ["__count", "date:min", "date:max"]
        )[0]
        self.assertTrue(40_000 <= total <= 70_000, total)
        self.assertGreaterEqual((last - first).days, 3 * 365 - 1)
        self.assertLess(last, self.today)
        by_month = Counter()
        for month, service, quantity in Usage._read_group(
            [*here, ("date", "<", self.today.replace(day=1))],
            ["date:month", "service_id"],
            ["quantity:sum"],
        ):
            by_month[service.code, month.month] += quantity
        self.assertGreater(
            by_month["programme", 6] + by_month["programme", 7],
            2 * (by_month["programme", 8] + by_month["programme", 9]),
            "summer reading",
        )
        self.assertGreater(
            by_month["eresource", 5], 1.3 * by_month["eresource", 8], "examinations"
        )
        self.assertGreater(by_month["loan", 3], 1.3 * by_month["loan", 8], "summer dip")

    def test_figures_by_month_go_back_five_years(self):
        """Further than the rows that they are made of."""
        months = self.env["library.service.usage.month"]._read_group(
            self.in_library, ["month:month"], ["quantity:sum"]
        )
        last = self.today.replace(day=1) - relativedelta(days=self.today.day == 1)
        first = date(self.today.year - 5, 1, 1)
        self.assertEqual(
            [month for month, _uses in months],
            [
                first + relativedelta(months=n)
                for n in range(
                    12 * (last.year - first.year) + last.month - first.month + 1
                )
            ],
        )
        self.assertTrue(all(uses > 1000 for _month, uses in months[:-1]))

    def test_indicators_are_told_of_five_years(self):
        self.demo.make_reports()
        Value = self.env["library.indicator.value"]
        for code in ("active_users", "visits_per_capita", "user_retention"):
            ends = Value.search(
                [
                    *self.in_library,
                    ("indicator_id.code", "=", code),
                    ("branch_id", "=", False),
                    ("is_year_end", "=", True),
                ]
            )
            told = {end.year for end in ends if end.value_year}
            years = set(range(self.today.year - 5, self.today.year))
            self.assertEqual(told, years, code)
        before = Value.search_count(self.in_library)
        Value._count(self.library)
        self.assertEqual(Value.search_count(self.in_library), before, "the next night")

    def test_most_requests_are_answered_in_time(self):
        self.demo.make_reports()
        figures = self.env["library.indicator.value"].search(
            [
                *self.in_library,
                ("indicator_id.code", "=", "requests_in_time"),
                ("branch_id", "=", False),
            ],
            limit=1,
        )
        self.assertTrue(75 <= figures.value_year <= 95, figures.value_year)

    def test_closed_branches_are_not_used(self):
        self.env.cr.execute(
            """
            SELECT DISTINCT branch.code, extract(isodow FROM usage.date)::int - 1
              FROM library_service_usage usage
              JOIN library_branch branch ON branch.id = usage.branch_id
             WHERE branch.company_id = %s
               AND usage.channel != 'online'
            """,
            [self.library.id],
        )
        days = {}
        for code, weekday in self.env.cr.fetchall():
            days.setdefault(code, set()).add(weekday)
        self.assertEqual(days, OPEN_DAYS)

    def test_some_came_lately_and_some_not_for_months(self):
        Patron = self.env["library.patron"]
        for domain in (
            [("last_use_date", ">=", self.today - timedelta(days=14))],
            [("last_use_date", "<", self.today - timedelta(days=92))],
            [("last_use_date", "<", self.today - timedelta(days=183))],
            [("last_use_date", "<", self.today - timedelta(days=365))],
            [("last_use_date", "=", False)],
        ):
            self.assertGreater(
                Patron.search_count([*self.in_library, *domain]), 10, domain
            )

    # ------------------------------------------------------------
    # REQUESTS AND CONSENT
    # ------------------------------------------------------------

    def test_requests_are_of_every_kind_and_in_every_stage(self):
        Lead = self.env["crm.lead"].with_context(active_test=False)
        requests = Lead.search(self.in_library)
        self.assertEqual(
            set(requests.mapped("library_request_kind")),
            {kind for kind, _label in Lead._fields["library_request_kind"].selection},
        )
        for team, stages in STAGES.items():
            for stage in stages:
                self.assertIn(
                    self.env.ref(f"library_crm.crm_stage_{team}_{stage}"),
                    requests.stage_id,
                )
        self.assertEqual(set(requests.mapped("won_status")), {"pending", "won", "lost"})
        self.assertGreater(
            len({request.create_date.date() for request in requests}), 30
        )
        deadlines = requests.activity_ids.mapped("date_deadline")
        self.assertLess(min(deadlines), self.today)
        self.assertGreater(max(deadlines), self.today)

    def test_an_enquiry_is_of_somebody_who_has_a_card(self):
        enquiries = self.env["crm.lead"].search(
            [*self.in_library, ("library_patron_id", "=", False)]
        )
        self.assertTrue(
            any(enquiry._find_library_duplicates() for enquiry in enquiries)
        )
        self.assertFalse(
            all(enquiry._find_library_duplicates() for enquiry in enquiries)
        )

    def test_consents_are_given_and_withdrawn_in_time(self):
        consents = self.env["library.consent"].search(self.in_library, order="id")
        self.assertEqual(
            set(consents.mapped("state")),
            {key for key, _label in consents._fields["state"].selection},
        )
        self.assertEqual(
            set(consents.mapped("source")),
            {key for key, _label in consents._fields["source"].selection},
        )
        days = [consent.date.date() for consent in consents]
        self.assertEqual(days, sorted(days))
        self.assertLessEqual(days[-1], self.today)

    # ------------------------------------------------------------
    # THE DATABASE'S OWN DEMO
    # ------------------------------------------------------------

    def test_demo_is_not_made_twice(self):
        Usage = self.env["library.service.usage"]
        before = Usage.search_count([])
        self.env["library.demo"]._make()
        self.assertEqual(Usage.search_count([]), before)

    def test_patron_of_the_portal_guards_two_children_and_has_a_membership(self):
        user = self.env.ref("library_crm.library_user_patron")
        patron = self.env.ref("library_crm.library_patron")
        self.assertEqual(patron.partner_id, user.partner_id)
        self.assertTrue(user.share)
        self.assertEqual(len(patron.dependant_ids), 2)
        self.assertTrue(patron.membership_id)
