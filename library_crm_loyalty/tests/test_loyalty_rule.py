from datetime import date, timedelta

from psycopg2 import IntegrityError

from odoo.exceptions import ValidationError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import LoyaltyCommon


@tagged("post_install", "-at_install")
class TestLoyaltyRule(LoyaltyCommon):
    def _points_of(self, rule):
        return sum(
            self.card.history_ids.filtered(
                lambda line: line.library_rule_id == rule
            ).mapped("library_points")
        )

    def _loan_rule(self, **values):
        return self._create_rule(
            name="Loans",
            **{
                "per": "use",
                "points": 1,
                "cap_day": 1000,
                "service_ids": [Command.set(self.loan.ids)],
                **values,
            },
        )

    def test_each_use_counts_as_often_as_it_was(self):
        rule = self._loan_rule(points=3)
        use = self._use(0, self.loan, quantity=4)
        self.assertEqual(self._points_of(rule), 12)
        self.assertEqual(
            self.card.history_ids.filtered("library_usage_id").library_usage_id, use
        )
        use.quantity = 2
        self.assertEqual(self._points_of(rule), 6)

    def test_no_more_than_the_most_a_day_a_week_and_in_all(self):
        rule = self._loan_rule(cap_day=5, cap_week=12, cap_program=20)
        for day, expected in enumerate((5, 10, 12, 12, 12, 12, 12, 17, 20, 20)):
            self._use(day, self.loan, quantity=3)
            self._use(day, self.loan, quantity=3)
            self.assertEqual(self._points_of(rule), expected, f"Day {day}")

    def test_most_in_all_counts_what_the_earlier_wording_gave(self):
        rule = self._loan_rule(cap_day=0, cap_program=10)
        self._use(0, self.loan, quantity=8)
        rule.points = 2
        self._use(date.today(), self.loan, quantity=8)
        self.assertEqual(self._points_of(rule), 10)

    def test_late_use_within_a_limit_takes_the_place_of_a_later_one(self):
        rule = self._loan_rule(cap_day=0, cap_week=4)
        self._use(4, self.loan, quantity=4)
        self._use(0, self.loan, quantity=3)
        self.assertEqual(self._points_of(rule), 4)
        self._assert_balanced()

    def test_rule_asks_for_branch_category_and_period(self):
        rule = self._loan_rule(
            branch_ids=[Command.set(self.north.ids)],
            patron_category_ids=[Command.set(self.adult.ids)],
            date_from=self.monday,
            date_to=self.monday + timedelta(days=1),
        )
        self._use(0, self.loan)
        self._use(2, self.loan, branch_id=self.north.id)
        self.assertEqual(self._points_of(rule), 0)
        self._use(1, self.loan, branch_id=self.north.id)
        self.assertEqual(self._points_of(rule), 1)
        rule.patron_category_ids = self.child
        self.programme._library_recompute(None)
        self.assertEqual(self._points_of(rule), 0)

    def test_kind_of_service_holds_for_services_added_later(self):
        rule = self._create_rule(service_category="programme", points=10)
        talk = self.env["library.service"].create(
            {"name": "Talk", "code": "TALK", "category": "programme"}
        )
        self._use(0, talk)
        self._use(1, self.loan)
        self.assertEqual(self._points_of(rule), 10)

    def test_who_leaves_the_segment_keeps_the_points(self):
        segment = self.env["library.segment"].create(
            {
                "name": "Helpers",
                "kind": "list",
                "listed_patron_ids": [Command.set(self.amal.ids)],
            }
        )
        rule = self._loan_rule(segment_id=segment.id)
        self._use(0, self.loan)
        segment.listed_patron_ids = self.bruno
        self._use(1, self.loan)
        self.assertEqual(self._points_of(rule), 1)

    def test_points_are_multiplied_in_a_period(self):
        rule = self._loan_rule(
            points=3,
            multiplier=1.5,
            multiplier_from=self.monday,
            multiplier_to=self.monday,
        )
        self._use(0, self.loan)
        self.assertEqual(self._points_of(rule), 5, "4.5, rounded up")
        self._use(1, self.loan)
        self.assertEqual(self._points_of(rule), 8)

    def test_first_use_ever_counts_once_and_not_when_it_was_before_joining(self):
        rule = self._create_rule(
            event="first_use", points=25, service_ids=[Command.set(self.loan.ids)]
        )
        self._use(5, self.loan)
        self.assertEqual(self._points_of(rule), 25)
        self._use(2, self.loan)
        self._use(9, self.loan)
        self.assertEqual(self._points_of(rule), 25)
        self._use(date(2023, 5, 1), self.loan)
        self.assertEqual(self._points_of(rule), 0)

    def test_streak_of_weeks(self):
        rule = self._create_rule(event="streak", streak_weeks=3, points=20)
        uses = [self._use(7 * week) for week in (0, 1)]
        self.assertEqual(self._points_of(rule), 0)
        uses.append(self._use(7 * 2 + 6))
        self.assertEqual(self._points_of(rule), 20)
        for week in (3, 4, 5, 7):
            self._use(7 * week)
        self.assertEqual(self._points_of(rule), 40, "Six weeks are two times three")
        uses[1].unlink()
        self.assertEqual(self._points_of(rule), 20, "Weeks two to five are four")

    def test_variety_in_a_month(self):
        rule = self._create_rule(event="variety", variety_count=3, points=15)
        talk = self.env["library.service"].create({"name": "Talk", "code": "TALK"})
        self._use(date(2024, 3, 30))
        self._use(date(2024, 3, 31), self.loan)
        self._use(date(2024, 4, 1), talk)
        self.assertEqual(self._points_of(rule), 0)
        self._use(date(2024, 4, 2), self.loan)
        self._use(date(2024, 4, 3))
        self._use(date(2024, 4, 4))
        self.assertEqual(self._points_of(rule), 15)

    def test_joining_renewing_and_anniversaries(self):
        joined = self._create_rule(event="joined", points=10)
        renewed = self._create_rule(event="renewed", points=5)
        years = self._create_rule(event="anniversary", points=7)
        for rule in (joined, renewed, years):
            rule.since = False
        membership = self._create_membership()
        self.env["library.membership.renewal"].create(
            [
                {
                    "membership_id": membership.id,
                    "date": day,
                    "old_end": day,
                    "new_end": day + timedelta(days=365),
                }
                for day in (date(2023, 6, 1), date(2024, 6, 1))
            ]
        )
        self.programme._library_recompute(None)
        self.assertEqual(self._points_of(joined), 10)
        self.assertEqual(self._points_of(renewed), 5, "The first was before joining")
        passed = date.today().year - 2024 + 1
        self.assertEqual(self._points_of(years), 7 * passed, "On 1 January each year")

    def test_occasions_earn_once(self):
        survey = self._create_rule(event="survey", points=5)
        friend = self._create_rule(event="referral", points=30, cap_program=60)
        Occasion = self.env["library.loyalty.occasion"]
        for key in (1, 1, 2):
            Occasion._note(self.amal + self.bruno, "survey", key)
        self.assertEqual(self._points_of(survey), 10)
        for key in range(3):
            Occasion._note(self.amal, "referral", key)
        self.assertEqual(self._points_of(friend), 60, "The most in all")

    # Rules that are refused

    def test_rule_that_would_give_points_without_end_is_refused(self):
        with self.assertRaisesRegex(ValidationError, "nothing limits them"):
            self._loan_rule(cap_day=0)
        with self.assertRaisesRegex(ValidationError, "each friend"):
            self._create_rule(event="referral")
        rule = self._loan_rule()
        with self.assertRaisesRegex(ValidationError, "nothing limits them"):
            rule.cap_day = 0
        segment = self.env["library.segment"].create(
            {"name": "Rich", "domain": "[('loyalty_card_ids.points', '>', 5)]"}
        )
        with self.assertRaisesRegex(ValidationError, "without end"):
            self._create_rule(segment_id=segment.id)

    def test_implausible_rules_are_refused(self):
        for values in (
            {"points": 0},
            {"points": -5},
            {"points": 10_001},
            {"multiplier": 0},
            {"multiplier": 11},
            {"cap_day": -1},
            {"event": "streak", "streak_weeks": 0},
            {"event": "variety", "variety_count": 1},
            {"date_from": "2024-02-01", "date_to": "2024-01-01"},
        ):
            with (
                self.subTest(**values),
                self.assertRaises(IntegrityError),
                mute_logger("odoo.sql_db"),
                self.cr.savepoint(),
            ):
                self._create_rule(**values)

    def test_huge_counts_do_not_break_the_ledger(self):
        rule = self._loan_rule(points=10_000, cap_day=20)
        self._use(0, self.loan, quantity=2**31 - 1)
        self.assertEqual(self._points_of(rule), 20)

    # A rule that is changed

    def test_changed_rule_holds_from_today_on(self):
        late = self._use(0)
        self.visit_rule.points = 5
        self.assertEqual(self.card.points, 2)
        self._use(date.today())
        self.assertEqual(self.card.points, 7)
        self._use(1)
        self.assertEqual(self.card.points, 9, "Late use earns what it was worth then")
        late.unlink()
        self.assertEqual(self.card.points, 7)
        self.assertEqual(self.visit_rule.version_ids.points, 2)
        self.assertEqual(
            self.visit_rule.version_ids.until, date.today() - timedelta(days=1)
        )

    def test_weeks_and_months_go_on_when_the_rule_is_changed(self):
        talk = self.env["library.service"].create({"name": "Talk", "code": "TALK"})
        weeks = self._create_rule(
            event="streak",
            streak_weeks=3,
            points=20,
            service_ids=[Command.set(self.visit.ids)],
        )
        month = self._create_rule(
            event="variety",
            variety_count=2,
            points=15,
            service_ids=[Command.set((self.loan + talk).ids)],
        )
        (weeks + month).since = False
        today = date.today()
        for rule in weeks + month:
            # It has given points before, so that its wording is kept.
            self.card._library_post(
                [
                    {
                        "card_id": self.card.id,
                        "description": rule.name,
                        "library_kind": "manual",
                        "library_rule_id": rule.id,
                        "library_date": self.monday,
                        "points": 1,
                    }
                ]
            )
        for days in (14, 7):
            self._use(today - timedelta(days=days))
        self._use(today.replace(day=1), self.loan)
        weeks.points, month.points = 30, 25
        self.assertTrue(weeks.version_ids and month.version_ids)
        self._use(today)
        self._use(today, talk)
        self.assertEqual(self._points_of(weeks) - 1, 30, "The third week")
        self.assertEqual(self._points_of(month) - 1, 25, "The second service")
        self._assert_balanced()

    def test_recomputing_is_previewed_and_keeps_history(self):
        other = self._join(self.bruno)
        self._use(0)
        self._use(1)
        self._use(8, patron=self.bruno)
        self.visit_rule.points = 5
        wizard = (
            self.env["library.loyalty.recompute"]
            .with_user(self.manager)
            .with_context(allowed_company_ids=self.library.ids)
            .create({"program_id": self.programme.id})
        )
        self.assertEqual((wizard.gaining, wizard.losing), (2, 0))
        self.assertEqual((wizard.given, wizard.taken), (9, 0))
        wizard.since = self.monday + timedelta(days=1)
        self.assertEqual((wizard.gaining, wizard.given), (2, 6))
        self.assertEqual(self.card.points, 4, "A preview changes nothing")
        wizard.action_recompute()
        self.env.invalidate_all()
        self.assertEqual((self.card.points, other.points), (7, 5))
        self.assertEqual(
            self._lines(), [("earned", 2), ("earned", 2), ("corrected", 3)]
        )
        self.assertEqual(self.visit_rule.version_ids.until, self.monday)
        self.programme._library_recompute(None)
        self.assertEqual((self.card.points, other.points), (10, 5))
        self.assertFalse(self.visit_rule.version_ids)
        self._assert_balanced()

    def test_preview_tells_what_is_not_asked_back(self):
        self._use(0)
        self._use(1)
        self.card._library_post(
            [
                {
                    "card_id": self.card.id,
                    "description": "A bag",
                    "library_kind": "redeemed",
                    "library_date": self.monday,
                    "points": -3,
                }
            ]
        )
        self.visit_rule.points = 1
        preview = self.programme._library_preview(None)
        self.assertEqual(
            preview,
            {"gaining": 0, "losing": 1, "given": 0, "taken": 2, "waived": 1},
        )
        self.programme._library_recompute(None)
        self.assertEqual(self.card.points, 0)
        self._assert_balanced()

    def test_archived_rule_leaves_what_it_gave(self):
        self._use(0)
        self.visit_rule.active = False
        self._use(date.today())
        self.assertEqual(self.card.points, 4)
        self.visit_rule.until = date.today() - timedelta(days=1)
        self.programme._library_recompute(date.today())
        self.assertEqual(self.card.points, 2)
        self.visit_rule.active = True
        self.card._library_reckon()
        self.assertEqual(self.card.points, 4)

    def test_new_rule_of_a_running_programme_gives_nothing_for_the_past(self):
        self._use(0)
        self._use(0, self.loan)
        rule = self._loan_rule()
        self.card._library_reckon()
        self.assertEqual(self._points_of(rule), 0)
        self.programme._library_recompute(None)
        self.assertEqual(self._points_of(rule), 1)

    def test_rule_says_what_it_is_in_words(self):
        rule = self._loan_rule(points=3, cap_day=6, cap_week=12)
        self.assertEqual(
            rule.in_words,
            f"+3 for each use of {self.loan.name} · at most 6 a day, 12 a week",
        )
        rule.write({"multiplier": 2, "multiplier_from": "2024-05-01"})
        self.assertIn("2 times 05/01/2024 – …", rule.in_words)
