from datetime import date, timedelta

from freezegun import freeze_time

from odoo.tests import Form, tagged

from .common import LibraryCommon

JOINED = date(2024, 1, 1)


@tagged("post_install", "-at_install")
@freeze_time("2026-05-20 12:00:00")
class TestRetentionReport(LibraryCommon):
    """Who joined in the first quarter of 2024, looked at more than two years later."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.young = cls.child.copy({"name": "Young Adult", "code": "TYA"})
        # Of these, use is known since the day on which the cohort begins.
        cls._use(cls.amal, JOINED)

    @classmethod
    def _join(cls, number, branch=None, category=None, day=JOINED, **values):
        return cls.env["library.patron"].create(
            [
                {
                    "name": f"Patron {index}",
                    "company_id": cls.library.id,
                    "branch_id": (branch or cls.main).id,
                    "patron_category_id": (category or cls.adult).id,
                    "enrolled_on": day,
                    **values,
                }
                for index in range(number)
            ]
        )

    @classmethod
    def _use(cls, patrons, *days):
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

    def _count(self):
        self.env["library.retention"]._count(self.library)

    def _find(self, **conditions):
        return self.env["library.retention"].search(
            [
                ("company_id", "=", self.library.id),
                *((name, "=", value) for name, value in conditions.items()),
            ]
        )

    def _sum(self, domain, *fields):
        [row] = self.env["library.retention"]._read_group(
            [("company_id", "=", self.library.id), *domain],
            [],
            [f"{name}:avg" for name in fields],
        )
        return row

    def test_thirteen_weeks_from_the_day_of_joining_are_a_quarter(self):
        patrons = self._join(6, day=date(2024, 2, 10))
        for patron, days in zip(patrons, (0, 90, 91, 181, 182), strict=False):
            self._use(patron, date(2024, 2, 10) + timedelta(days=days))
        self._count()
        self.assertEqual(
            [(cell.patrons, cell.used) for cell in self._find().sorted("period")[:4]],
            [(6, 2), (6, 2), (6, 1), (6, 0)],
        )
        self.assertAlmostEqual(self._find(period=1).share, 100 / 3)
        self.assertEqual(set(self._find().mapped("cohort")), {JOINED})

    def test_patron_who_comes_every_day_counts_once(self):
        patrons = self._join(5)
        self._use(patrons[0], *(JOINED + timedelta(days=day) for day in range(30)))
        self._count()
        self.assertEqual(self._find(period=1).used, 1)

    def test_use_before_joining_is_none(self):
        patrons = self._join(5, day=date(2024, 3, 1))
        self._use(patrons[0], date(2024, 2, 29))
        self._count()
        self.assertEqual(self._find(period=1).used, 0)

    def test_quarter_that_is_not_over_for_all_is_left_out(self):
        """Who joined on the last day of March 2024 ends the eighth quarter on
        29 March 2026, and the ninth in June."""
        self._join(5)
        self._count()
        self.assertEqual(max(self._find().mapped("period")), 8)
        with freeze_time("2026-03-28 12:00:00"):
            self._count()
            self.assertEqual(max(self._find().mapped("period")), 7)
        with freeze_time("2026-03-29 12:00:00"):
            self._count()
            self.assertEqual(max(self._find().mapped("period")), 8)

    def test_quarters_before_use_was_known_are_left_out_and_not_zero(self):
        self._join(5, day=date(2023, 6, 1))
        self._count()
        # From April 2023, the third quarter begins in October, the fourth in January.
        self.assertEqual(min(self._find().mapped("period")), 5)

    def test_figures_outlive_the_rows_of_use(self):
        patrons = self._join(5)
        self._use(patrons[:3], JOINED)
        self._use(patrons[:2], date(2024, 7, 10))
        self._count()
        self.env["library.service.usage"].search(
            [("date", "<", "2024-07-01"), ("patron_id", "!=", False)]
        ).unlink()
        self._count()
        self.assertEqual(self._find(period=1).used, 3)
        self.assertEqual(self._find(period=3).used, 2)
        self._use(patrons[2], date(2024, 10, 10))
        self._count()
        self.assertEqual(self._find(period=4).used, 1, "What is known is counted anew")

    # ------------------------------------------------------------
    # WHO COUNTS
    # ------------------------------------------------------------

    def _read_cells(self):
        return sorted(
            (cell.branch_id.id, cell.period, cell.patrons, cell.used)
            for cell in self._find()
        )

    def test_who_left_and_who_was_erased_count(self):
        """Or else only those who stay would, once the others are erased."""
        patrons = self._join(7) + self._join(2, branch=self.north)
        self._use(patrons, JOINED)
        self._use(patrons[:3] + patrons[-1], date(2024, 7, 10))
        self._count()
        before = self._read_cells()
        self.assertEqual(sum(used for *_, used in before), 7 + 3)
        patrons[0].active = False
        (patrons[1:3] + patrons[-1]).unlink()
        self._count()
        self.assertEqual(self._read_cells(), before)

    def test_objecting_to_be_profiled_keeps_nobody_out_of_a_sum(self):
        patrons = self._join(5)
        self.env["library.consent"].create(
            {
                "patron_id": patrons[0].id,
                "purpose_id": self.env.ref(
                    "library_crm.library_consent_purpose_profiling"
                ).id,
                "state": "withdrawn",
            }
        )
        self._use(patrons[0], JOINED)
        self._count()
        cell = self._find(period=1)
        self.assertEqual((cell.patrons, cell.used), (5, 1))

    def test_small_categories_of_a_branch_are_counted_together(self):
        self._join(5)
        self._use(self._join(3, category=self.child), JOINED)
        self._join(2, category=self.young)
        self._count()
        cells = self._find(period=1)
        self.assertEqual(
            {(cell.patron_category_id, cell.patrons, cell.used) for cell in cells},
            {(self.adult, 5, 0), (self.adult.browse(), 5, 3)},
        )
        self.assertEqual(cells.branch_id, self.main)

    def test_small_branches_are_counted_together(self):
        self._join(5)
        self._join(2, category=self.child)
        self._use(self._join(3, branch=self.north), JOINED)
        self._count()
        together = self._find(period=1, branch_id=False)
        self.assertEqual((together.patrons, together.used), (5, 3))
        self.assertFalse(together.patron_category_id)

    def test_fewer_than_five_are_shown_nowhere(self):
        """Nor can they be told by taking the other figures from their sum."""
        self._join(5)
        self._use(self._join(4, branch=self.north), JOINED)
        self._count()
        self.assertEqual(self._sum([("period", "=", 1)], "patrons", "used"), (5, 0))
        self._join(1, branch=self.north)
        self._count()
        self.assertEqual(self._sum([("period", "=", 1)], "patrons", "used"), (10, 4))

    # ------------------------------------------------------------
    # SUMS
    # ------------------------------------------------------------

    def test_share_of_two_branches_weighs_by_their_patrons(self):
        self._use(self._join(5), JOINED)
        self._join(15, branch=self.north)
        self._count()
        self.assertEqual(self._sum([("period", "=", 1)], "share"), (25,))
        self.assertEqual(self._sum([("period", "<=", 2)], "share"), (12.5,))

    def test_patrons_are_not_counted_again_in_each_quarter(self):
        self._join(5)
        self._join(15, branch=self.north)
        self._count()
        self.assertEqual(self._sum([], "patrons"), (20,))

    # ------------------------------------------------------------
    # WHO SEES IT
    # ------------------------------------------------------------

    def test_job_counts_each_library(self):
        self._join(
            5,
            branch=self.other_branch,
            patron_category_id=False,
            company_id=self.other_library.id,
        )
        self.env["library.service.usage"].create(
            {
                "patron_id": self.other_patron.id,
                "service_id": self.visit.id,
                "branch_id": self.other_branch.id,
                "date": JOINED,
            }
        )
        self._join(5)
        cron = self.env.ref("library_crm.ir_cron_count_retention")
        with self.enter_registry_test_mode():
            cron.method_direct_trigger()
        other = self.env["library.retention"].search(
            [("company_id", "=", self.other_library.id)]
        )
        self.assertTrue(other)
        self.assertTrue(self._find())
        for user in (self.marketing, self.manager, self.desk):
            with self.subTest(user=user.name):
                self.assertFalse(other.with_user(user).has_access("read"))

    def test_marketing_sees_all_branches_and_a_desk_its_own(self):
        self._join(5)
        self._join(5, branch=self.north)
        self._count()
        for user, branches in (
            (self.marketing, self.main + self.north),
            (self.desk, self.main),
        ):
            with self.subTest(user=user.name):
                cells = self._find().with_user(user).search([])
                self.assertEqual(cells.branch_id, branches)

    def test_from_the_branch_to_its_reports(self):
        self._join(5)
        self._count()
        for user in (self.manager, self.marketing, self.desk):
            branch = self.main.with_user(user)
            Form(branch)
            action = branch.action_view_retention()
            self.assertTrue(
                self.env[action["res_model"]].with_user(user).search(action["domain"])
            )
