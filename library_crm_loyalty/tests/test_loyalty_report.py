from datetime import date

from freezegun import freeze_time
from psycopg2 import IntegrityError

from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import LoyaltyCommon


@tagged("post_install", "-at_install")
@freeze_time("2024-06-20 12:00:00")
class TestLoyaltyReport(LoyaltyCommon):
    """Amal comes in March; the rule gives two points a day."""

    @classmethod
    def _create_members(cls, number, branch=None, category=None):
        patrons = cls.env["library.patron"].create(
            [
                {
                    "name": f"Member {index}",
                    "company_id": cls.library.id,
                    "branch_id": (branch or cls.main).id,
                    "patron_category_id": (category or cls.adult).id,
                    "enrolled_on": date(2020, 1, 1),
                }
                for index in range(number)
            ]
        )
        cls._join(patrons)
        return patrons

    def _come(self, patrons, *days):
        for patron in patrons:
            for day in days:
                self._use(day, patron=patron)

    def _count(self, name, company=None):
        """Count the figures of a library, and give them."""
        Model = self.env[f"library.loyalty.{name}"]
        Model._count(company or self.library)
        return Model.search([("company_id", "=", (company or self.library).id)])

    def _post(self, card, points, day=date(2024, 3, 1), kind="manual"):
        self.env["loyalty.card"]._library_post(
            [
                {
                    "card_id": card.id,
                    "description": "For a test",
                    "library_kind": kind,
                    "library_date": day,
                    "points": points,
                }
            ]
        )

    def _seen_by(self, user, rows):
        return (
            rows.with_user(user)
            .with_context(allowed_company_ids=self.library.ids)
            .search([("id", "in", rows.ids)])
        )

    # ------------------------------------------------------------
    # POINTS BY MONTH
    # ------------------------------------------------------------

    def test_points_of_a_month_are_told_by_what_they_are_for(self):
        self._use(0)
        self._use(1)
        self._use(30)
        self._post(self.card, 50)
        self._post(self.card, -10)
        self._post(self.card, -20, kind="redeemed")
        self._post(self.card, -5, kind="donated")
        self._post(self.card, 20, kind="undone")
        self._post(self.card, -7, kind="expired")
        april, march = self._count("month")
        self.assertEqual(
            (march.earned, march.by_hand, march.redeemed, march.expired),
            (4, 40, 5, 7),
        )
        self.assertEqual((april.month, april.earned), (date(2024, 4, 1), 2))
        self.assertEqual(march.change + april.change, self.card.points)

    def test_corrected_use_changes_the_month_that_it_belongs_to(self):
        usage = self._use(0)
        self._use(1)
        usage.unlink()
        self.assertEqual(self._count("month").earned, 2)

    def test_points_of_who_was_erased_stay_in_the_sums(self):
        self._use(0)
        self.card.active = False
        self.card.partner_id = False
        rows = self._count("month")
        self.assertEqual((rows.earned, rows.patrons, rows.branch_id.id), (2, 1, False))

    def test_points_of_small_groups_go_together_and_of_four_are_for_managers(self):
        self.card.unlink()
        patrons = (
            self._create_members(3)
            + self._create_members(2, category=self.child)
            + self._create_members(5, category=self.child, branch=self.north)
            + self._create_members(1, branch=self.north)
        )
        self._come(patrons, 0)
        rows = self._count("month")
        self.assertEqual(sum(rows.mapped("earned")), 22)
        self.assertEqual(
            {
                (row.branch_id.id, row.patron_category_id.id, row.patrons)
                for row in rows
            },
            {
                (self.main.id, False, 5),
                (self.north.id, self.child.id, 5),
                (False, False, 1),
            },
        )
        for user, sizes in (
            (self.desk, [5]),  # of the main branch
            (self.marketing, [5, 5]),
            (self.manager, [1, 5, 5]),
        ):
            with self.subTest(user.login):
                seen = self._seen_by(user, rows)
                self.assertEqual(sorted(seen.mapped("patrons")), sizes)

    # ------------------------------------------------------------
    # OPEN POINTS
    # ------------------------------------------------------------

    def test_open_points_are_told_by_the_month_in_which_they_expire(self):
        """100 points of January, 40 of March, less 110 that were spent: the oldest."""
        self.programme.library_expire_months = 12
        self.programme.library_point_value = 0.05
        self._post(self.card, 100, date(2024, 1, 10))
        self._post(self.card, 40, date(2024, 3, 10))
        self._post(self.card, -70, date(2024, 4, 1), "redeemed")
        january, march = self._count("liability").sorted("expires_in")
        self.assertEqual((january.expires_in, january.points), (date(2025, 1, 1), 30))
        self.assertEqual((march.expires_in, march.points), (date(2025, 3, 1), 40))
        self.assertAlmostEqual(january.value, 1.5)
        self.assertEqual(january.currency_id, self.library.currency_id)
        self._post(self.card, -40, date(2024, 4, 1), "donated")
        rows = self._count("liability")
        self.assertEqual((rows.expires_in, rows.points), (date(2025, 3, 1), 30))

    def test_open_points_expire_in_the_month_that_is_told(self):
        self.programme.library_expire_months = 12
        self._post(self.card, 8, date(2024, 1, 31))
        rows = self._count("liability")
        self.assertEqual(rows.expires_in, date(2025, 2, 1))
        for day, points in ((date(2025, 1, 31), 8), (date(2025, 2, 1), 0)):
            self.programme._library_expire(day)
            self.assertEqual(self.card.points, points)

    def test_open_points_of_a_programme_without_expiry_never_expire(self):
        self._use(0)
        self._use(40)
        rows = self._count("liability")
        self.assertEqual((rows.expires_in, rows.points, rows.patrons), (False, 4, 1))

    def test_open_points_are_those_of_the_cards(self):
        self.programme.library_expire_months = 6
        patrons = self._create_members(6)
        self._come(patrons, 0, 20, 60)
        for patron in patrons[:3]:
            self._post(patron.loyalty_card_ids, -3, kind="redeemed")
        self._post(patrons[0].loyalty_card_ids, -2)
        self._post(patrons[1].loyalty_card_ids, 10, date(2024, 5, 1))
        cards = patrons.loyalty_card_ids
        rows = self._count("liability")
        self.assertEqual(sum(rows.mapped("points")), sum(cards.mapped("points")))
        self.assertTrue(all(row.points > 0 for row in rows))

    def test_ended_programme_and_card_owe_nothing(self):
        self._use(0)
        self.assertTrue(self._count("liability"))
        self.card.active = False
        self.assertFalse(self._count("liability"))
        self.card.active = True
        self.programme.active = False
        self.assertFalse(self._count("liability"))

    def test_point_is_not_worth_less_than_nothing(self):
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(IntegrityError),
            self.env.cr.savepoint(),
        ):
            self.programme.library_point_value = -1
            self.programme.flush_recordset()

    # ------------------------------------------------------------
    # PARTICIPATION
    # ------------------------------------------------------------

    def test_participation_is_members_among_those_who_came_in_the_month(self):
        members = self._create_members(2)
        self._come(members, 0, 1, 2)
        others = self._create_members(6)
        others.loyalty_card_ids.unlink()
        self._come(others, 3)
        self._come(members[0] + others[:5], 40)
        # The library's first use is of January: else March is not wholly known.
        self._come(others[0], date(2024, 1, 1))
        april, march = self._count("participation").filtered("members")
        self.assertEqual((march.patrons, march.members, march.share), (8, 2, 25))
        self.assertEqual((april.month, april.patrons), (date(2024, 4, 1), 6))
        self.assertAlmostEqual(april.share, 100 / 6)

    def test_member_counts_from_the_month_of_joining_to_that_of_leaving(self):
        self._come(self._create_members(1), date(2024, 1, 1))
        self._come(self.amal, date(2024, 1, 1), date(2024, 2, 1), 0, 35)
        self.card.write({"library_joined_on": date(2024, 2, 20), "active": False})
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE loyalty_card SET write_date = '2024-03-20' WHERE id = %s",
            [self.card.id],
        )
        rows = self._count("participation").sorted("month")
        self.assertEqual(
            [(row.month.month, row.patrons, row.members) for row in rows],
            [(1, 2, 1), (2, 1, 1), (3, 1, 1), (4, 1, 0)],
        )

    def test_participation_outlives_the_rows_of_use(self):
        members = self._create_members(5)
        self._come(members, date(2024, 1, 1), 0)
        self.assertEqual(len(self._count("participation")), 2)
        self.env["library.service.usage"].search(
            [("patron_id", "in", members.ids), ("date", "<", "2024-03-01")]
        ).unlink()
        rows = self._count("participation")
        self.assertEqual(rows.mapped("patrons"), [5, 5])

    def test_patrons_of_several_months_are_averaged_and_shares_weighed(self):
        members = self._create_members(5)
        others = self._create_members(15, branch=self.north)
        others.loyalty_card_ids.unlink()
        self._come(members + others, date(2024, 1, 1))
        self._come(members, 0)
        self._count("participation")
        [row] = self.env["library.loyalty.participation"]._read_group(
            [("company_id", "=", self.library.id)],
            [],
            ["patrons:avg", "members:avg", "share:avg"],
        )
        self.assertEqual(row, (12.5, 5, 100 * 10 / 25))

    # ------------------------------------------------------------
    # COST OF REWARDS
    # ------------------------------------------------------------

    def _create_reward(self, **values):
        return self.env["library.loyalty.reward"].create(
            {"program_id": self.programme.id, "name": "A bag", "points": 60, **values}
        )

    def test_reward_costs_what_was_handed_over(self):
        """Of five vouchers two are handed over, one is undone, one is too old, and one
        is still out. The price of then counts."""
        self._post(self.card, 300)
        bag = self._create_reward(cost=4.5, is_given_back=False)
        vouchers = self.env["library.loyalty.redemption"]
        for _turn in range(5):
            vouchers += bag._issue(self.card)
        bag.cost = 99
        vouchers[0]._redeem()
        vouchers[1]._redeem()
        vouchers[2]._undo("Wrong patron")
        vouchers[3]._expire()
        row = self._count("cost")
        self.assertEqual(row.month, date(2024, 6, 1))
        self.assertEqual((row.given, row.handed_over, row.points), (4, 2, 120))
        self.assertEqual((row.cost, row.cost_each), (9, 4.5))
        self.assertEqual((row.waiting, row.waiting_cost), (1, 4.5))

    def test_cost_per_reward_of_several_is_that_of_all_by_all(self):
        """One bag of 10 and three books of 2: 4 each."""
        self._post(self.card, 300)
        bag = self._create_reward(cost=10)
        book = self._create_reward(name="A book", cost=2)
        for reward in (bag, book, book, book):
            reward._issue(self.card)._redeem()
        rows = self._count("cost")
        self.assertEqual(sorted(rows.mapped("cost_each")), [2, 10])
        [row] = rows._read_group(
            [("id", "in", rows.ids)], [], ["cost:sum", "cost_each:avg"]
        )
        self.assertEqual(row, (16, 4))

    def test_gift_to_a_cause_is_handed_over_at_once(self):
        self._post(self.card, 100)
        gift = self._create_reward(
            kind="donation", cause="Books", cost=20, goal_points=600
        )
        gift._issue(self.card)
        row = self._count("cost")
        self.assertEqual((row.kind, row.handed_over, row.waiting), ("donation", 1, 0))
        self.assertAlmostEqual(row.cost, 2)

    def test_rewards_of_four_are_for_managers(self):
        bag = self._create_reward(cost=1)
        for patron in self._create_members(5):
            self._post(patron.loyalty_card_ids, 60)
            bag._issue(patron.loyalty_card_ids)
        self._post(self.card, 60)
        bag._issue(self.card)
        book = self._create_reward(name="A book", points=1)
        for patron in self._create_members(4):
            self._post(patron.loyalty_card_ids, 1)
            book._issue(patron.loyalty_card_ids)
        rows = self._count("cost")
        for user, sizes in (
            (self.desk, [6]),
            (self.marketing, [6]),
            (self.manager, [4, 6]),
        ):
            with self.subTest(user.login):
                seen = self._seen_by(user, rows)
                self.assertEqual(sorted(seen.mapped("patrons")), sizes)

    # ------------------------------------------------------------
    # EVERY NIGHT
    # ------------------------------------------------------------

    def test_jobs_count_each_library(self):
        programme = self._create_library_programme(self.other_library)
        card = self._join(self.other_patron, programme)
        self._post(card, 5)
        self._create_reward(program_id=programme.id, points=1)._issue(card)
        self._use(
            date(2024, 1, 1), patron=self.other_patron, branch_id=self.other_branch.id
        )
        self._use(0)
        for name in ("month", "liability", "participation", "cost"):
            with self.subTest(name):
                cron = self.env.ref(f"library_crm_loyalty.ir_cron_count_loyalty_{name}")
                with self.enter_registry_test_mode():
                    cron.method_direct_trigger()
                rows = self.env[f"library.loyalty.{name}"].search(
                    [("company_id", "=", self.other_library.id)]
                )
                self.assertEqual(rows.program_id, programme)
                self.assertFalse(rows.with_user(self.manager).has_access("read"))
