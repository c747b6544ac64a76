from datetime import date
from math import sqrt

from freezegun import freeze_time

from odoo.tests import tagged

from .common import LoyaltyCommon

#: The month of joining is April 2024: before is October to March, after is May to
#: October.
JOINED = date(2024, 4, 10)
BEFORE = [date(2023, month, 5) for month in (10, 11, 12)] + [
    date(2024, month, 5) for month in (1, 2, 3)
]
AFTER = [date(2024, month, 5) for month in range(5, 11)]


@tagged("post_install", "-at_install")
@freeze_time("2025-06-20 12:00:00")
class TestLoyaltyEffect(LoyaltyCommon):
    """Who joined in the second quarter of 2024, looked at a year later."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Those who are in every test take no part and were no patrons then. All use is
        # known from the first of January 2023.
        cls.card.unlink()
        (cls.amal + cls.bruno).enrolled_on = date(2025, 1, 1)
        cls._come(cls.amal, [date(2023, 1, 1)])

    @classmethod
    def _create_patrons(cls, number, **values):
        return cls.env["library.patron"].create(
            [
                {
                    "name": f"Patron {index}",
                    "company_id": cls.library.id,
                    "branch_id": cls.main.id,
                    "patron_category_id": cls.adult.id,
                    "enrolled_on": date(2020, 1, 1),
                    **values,
                }
                for index in range(number)
            ]
        )

    @classmethod
    def _come(cls, patrons, days):
        cls.env["library.service.usage"].create(
            [
                {
                    "patron_id": patron.id,
                    "service_id": cls.visit.id,
                    "branch_id": cls.main.id,
                    "date": day,
                }
                for patron in patrons
                for day in days
            ]
        )

    @classmethod
    def _join_in(cls, patrons, day=JOINED):
        return cls.programme._library_join(patrons, day)

    def _count(self):
        self.env["library.loyalty.effect"]._count(self.library)

    def _find(self, **conditions):
        return self.env["library.loyalty.effect"].search(
            [
                ("company_id", "=", self.library.id),
                *((name, "=", value) for name, value in conditions.items()),
            ]
        )

    def _sum(self, *names, domain=()):
        [row] = self.env["library.loyalty.effect"]._read_group(
            [("company_id", "=", self.library.id), *domain],
            [],
            [
                f"{name}:{'sum' if name in ('joined', 'patrons') else 'avg'}"
                for name in names
            ],
        )
        return row

    # ------------------------------------------------------------
    # THE FIGURES
    # ------------------------------------------------------------

    def test_effect_is_what_members_changed_more_than_patrons_alike(self):
        """By hand. Ten members come 3 days in the six months before, that is 0.5 a
        month. Six of them come 6 days in the six months after, 1 a month, and four
        come 3. Five patrons alike come 3 days before; after, two come 0 days, three
        come 5: 2.5 a month in all, 0.5 each.

        Members change by (6 × 0.5 + 4 × 0) / 10 = 0.3, patrons alike by 0: effect 0.3.
        The differences are six of 0.5 and four of 0: their variance is
        (1.5 − 3² / 10) / 9 = 0.6 / 9. The changes of patrons alike are two of −0.5 and
        three of 1/3: variance (2 × 0.25 + 3 × 1/9) / 4 = 5/24, of their mean 5/24 / 5 =
        1/24. The ten members share that mean.
        """
        members = self._create_patrons(10)
        self._join_in(members)
        self._come(members, BEFORE[:3])
        self._come(members[:6], AFTER)
        self._come(members[6:], AFTER[:3])
        alike = self._create_patrons(5)
        self._come(alike, BEFORE[3:])
        self._come(alike[2:], AFTER[:5])
        self._count()
        row = self._find()
        self.assertEqual((row.joined, row.patrons, row.alike), (10, 10, 5))
        self.assertEqual(row.cohort, date(2024, 4, 1))
        self.assertEqual((row.branch_id, row.patron_category_id), self._here())
        self.assertAlmostEqual(row.before, 0.5)
        self.assertAlmostEqual(row.after, 0.8)
        self.assertAlmostEqual(row.alike_before, 0.5)
        self.assertAlmostEqual(row.alike_after, 0.5)
        self.assertAlmostEqual(row.effect, 0.3)
        self.assertAlmostEqual(row.margin, 1.96 * sqrt(0.6 / 9 / 10 + 1 / 24))
        self.assertEqual(row.verdict, "unclear")

    def _here(self):
        return self.main, self.adult

    def test_two_bands_weigh_by_their_members(self):
        """Eight members came before and change as those like them do; two never came
        and come every month since, those like them do not: (8 × 0 + 2 × 1) / 10."""
        members = self._create_patrons(10)
        self._join_in(members)
        self._come(members[:8], BEFORE[:3])
        self._come(members[8:], AFTER)
        self._come(self._create_patrons(20), BEFORE[:3])
        self._create_patrons(7)
        self._count()
        row = self._find()
        self.assertAlmostEqual(row.alike, (8 * 20 + 2 * 7) / 10)
        self.assertAlmostEqual(row.alike_after, 0)
        # The members of both bands changed: −0.5 as those alike, and +1.
        self.assertAlmostEqual(row.effect, 0.2)
        self.assertAlmostEqual(row.margin, 1.96 * sqrt((2 - 4 / 10) / 9 / 10))

    def test_effect_beyond_its_margin_is_told_in_words(self):
        self._compare(AFTER)
        self.assertEqual(self._find().verdict, "more")

    def test_effect_below_its_margin_is_told_in_words(self):
        self._compare([])
        self.assertEqual(self._find().verdict, "less")

    def _compare(self, days):
        """Ten members come on these days after, patrons alike on three as before."""
        members = self._create_patrons(10)
        self._join_in(members)
        alike = self._create_patrons(5)
        self._come(members + alike, BEFORE[:3])
        self._come(members, days)
        self._come(alike, AFTER[:3])
        self._count()

    def test_the_month_of_joining_is_in_neither(self):
        members = self._create_patrons(10)
        self._join_in(members)
        self._come(members, [date(2024, 4, 1), date(2024, 4, 30)])
        self._come(members, [date(2023, 9, 30), date(2024, 11, 1)])
        self._create_patrons(5)
        self._count()
        row = self._find()
        self.assertEqual((row.before, row.after, row.patrons), (0, 0, 10))

    def test_days_count_and_not_uses(self):
        members = self._create_patrons(10)
        self._join_in(members)
        self._come(members, AFTER[:1] * 3)
        self._create_patrons(5)
        self._count()
        self.assertAlmostEqual(self._find().after, 1 / 6)

    # ------------------------------------------------------------
    # WHO IS COMPARED
    # ------------------------------------------------------------

    def test_patrons_alike_are_of_the_same_branch_category_and_band(self):
        members = self._create_patrons(10)
        self._join_in(members)
        self._come(members, BEFORE)
        others = (
            self._create_patrons(5, branch_id=self.north.id)
            + self._create_patrons(5, patron_category_id=self.child.id)
            + self._create_patrons(5, enrolled_on=date(2023, 11, 1))
        )
        self._come(others, BEFORE)
        self._come(self._create_patrons(9), BEFORE[:5])
        self._come(self._create_patrons(4), BEFORE)
        self._count()
        self.assertEqual(self._sum("joined", "patrons"), (10, 0), "Five less than 6")
        self._come(self._create_patrons(1), BEFORE)
        self._count()
        self.assertEqual(self._sum("joined", "patrons", "alike"), (10, 10, 5))

    def test_who_joins_meanwhile_is_not_alike(self):
        members = self._create_patrons(10)
        self._join_in(members)
        self._join_in(self._create_patrons(1), date(2024, 10, 31))
        self._create_patrons(4)
        self._count()
        self.assertEqual(self._sum("patrons"), (0,))
        self._join_in(self._create_patrons(1), date(2024, 11, 1))
        self._count()
        self.assertEqual(self._sum("patrons"), (10,))

    def test_who_was_no_patron_before_is_not_compared(self):
        members = self._create_patrons(10) + self._create_patrons(
            3, enrolled_on=date(2023, 10, 2)
        )
        self._join_in(members)
        self._create_patrons(5)
        self._count()
        self.assertEqual(self._sum("joined", "patrons"), (13, 10))

    def test_nine_members_are_too_few_to_tell(self):
        members = self._create_patrons(9)
        self._join_in(members)
        self._come(members, AFTER)
        self._create_patrons(5)
        self._count()
        row = self._find()
        self.assertEqual((row.patrons, row.verdict), (9, "few"))
        self.assertFalse(row.effect)
        self.assertEqual(self._sum("effect", "margin", "after"), (False, False, False))

    def test_two_groups_that_are_too_few_are_told_together(self):
        """Five who come once a month more and fifteen who do not: 0.25."""
        members = self._create_patrons(5)
        north = self._create_patrons(15, branch_id=self.north.id)
        self._join_in(members + north)
        self._come(members, AFTER)
        self._create_patrons(5)
        self._create_patrons(5, branch_id=self.north.id)
        self._count()
        self.assertEqual(
            set(self._find().mapped("verdict")), {"few", "unclear"}, "Rows alone"
        )
        self.assertAlmostEqual(self._sum("effect")[0], 0.25)

    # ------------------------------------------------------------
    # WHICH QUARTERS
    # ------------------------------------------------------------

    def test_quarter_is_told_when_late_use_is_there(self):
        """The months after June 2024 end in December; January is waited for."""
        self._join_in(self._create_patrons(10))
        self._create_patrons(5)
        with freeze_time("2025-01-31 12:00:00"):
            self._count()
            self.assertFalse(self._find())
        with freeze_time("2025-02-01 12:00:00"):
            self._count()
            self.assertTrue(self._find())

    def test_quarter_whose_use_is_not_known_is_not_told(self):
        self._join_in(self._create_patrons(10), date(2023, 5, 1))
        self._create_patrons(5)
        self._count()
        self.assertFalse(self._find(), "Use is known since January, not November")
        self._come(self.bruno, [date(2022, 10, 1)])
        self._count()
        self.assertTrue(self._find())

    def test_figures_outlive_the_rows_of_use(self):
        members = self._create_patrons(10)
        self._join_in(members)
        self._come(members, AFTER)
        self._create_patrons(5)
        self._count()
        self.env["library.service.usage"].search(
            [("date", "<", "2024-01-01"), ("patron_id", "!=", False)]
        ).unlink()
        self._count()
        self.assertAlmostEqual(self._find().after, 1)

    # ------------------------------------------------------------
    # WHO SEES IT
    # ------------------------------------------------------------

    def test_small_groups_go_together_and_four_are_for_managers(self):
        self._join_in(
            self._create_patrons(3)
            + self._create_patrons(2, patron_category_id=self.child.id)
            + self._create_patrons(4, branch_id=self.north.id)
        )
        for values in (
            {},
            {"patron_category_id": self.child.id},
            {"branch_id": self.north.id},
        ):
            self._create_patrons(5, **values)
        self._count()
        rows = self._find()
        self.assertEqual(
            {(row.branch_id, row.patron_category_id.id, row.patrons) for row in rows},
            {(self.main, False, 5), (self.main.browse(), False, 4)},
        )
        for user, sizes in (
            (self.desk, [5]),
            (self.marketing, [5]),
            (self.manager, [4, 5]),
        ):
            with self.subTest(user.login):
                seen = (
                    rows.with_user(user)
                    .with_context(allowed_company_ids=self.library.ids)
                    .search([("id", "in", rows.ids)])
                )
                self.assertEqual(sorted(seen.mapped("patrons")), sizes)

    def test_programme_leads_to_its_own_figures(self):
        other = self._create_library_programme(self.library)
        self._join_in(self._create_patrons(10))
        other._library_join(self._create_patrons(10), JOINED)
        self._create_patrons(5)
        self._count()
        action = self.programme.with_user(self.desk).action_view_library_effect()
        rows = self.env[action["res_model"]].search(action["domain"])
        self.assertEqual((rows.program_id, rows.patrons), (self.programme, 10))

    def test_job_counts_each_library(self):
        programme = self._create_library_programme(self.other_library)
        patrons = self._create_patrons(
            15,
            company_id=self.other_library.id,
            branch_id=self.other_branch.id,
            patron_category_id=False,
        )
        self.env["library.service.usage"].create(
            {
                "patron_id": patrons[0].id,
                "service_id": self.visit.id,
                "branch_id": self.other_branch.id,
                "date": date(2023, 1, 1),
            }
        )
        programme._library_join(patrons[:10], JOINED)
        cron = self.env.ref("library_crm_loyalty.ir_cron_count_loyalty_effect")
        with self.enter_registry_test_mode():
            cron.method_direct_trigger()
        rows = self.env["library.loyalty.effect"].search(
            [("company_id", "=", self.other_library.id)]
        )
        self.assertEqual((rows.program_id, rows.patrons), (programme, 10))
        for user in (self.desk, self.marketing, self.manager):
            with self.subTest(user.login):
                self.assertFalse(rows.with_user(user).has_access("read"))
