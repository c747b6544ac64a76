from datetime import date, timedelta

from dateutil.relativedelta import relativedelta
from psycopg2.errors import CheckViolation

from odoo import fields
from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestEngagement(LibraryCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.today = fields.Date.today()
        cls.ebook = cls.env.ref("library_crm.library_service_ebook")
        cls.computer = cls.env.ref("library_crm.library_service_computer")
        cls.programme = cls.env.ref("library_crm.library_service_programme")
        cls.rule = cls.env["library.engagement.rule"]._get_for(cls.library)

    def _use(self, days_ago, patron=None, service=None, **values):
        self.env["library.service.usage"].create(
            [
                {
                    "patron_id": (patron or self.amal).id,
                    "service_id": (service or self.loan).id,
                    "branch_id": self.main.id,
                    "date": self.today - timedelta(days=ago),
                    **values,
                }
                for ago in days_ago
            ]
        )

    def _every(self, days, since, until):
        """Days ago, from ``since`` to ``until``, one each so many days."""
        return list(range(since, until - 1, -days))

    def _night(self):
        with self.enter_registry_test_mode():
            self.env.ref(
                "library_crm.ir_cron_refresh_engagement"
            ).method_direct_trigger()
        self.env.invalidate_all()

    def test_who_joined_in_the_last_three_months_is_new(self):
        self.amal.enrolled_on = self.today - timedelta(days=89)
        self.assertEqual(self.amal.lifecycle, "new")
        self._use([3])
        self.assertEqual(self.amal.lifecycle, "new")
        self.amal.enrolled_on = self.today - timedelta(days=90)
        self.assertEqual(self.amal.lifecycle, "active")

    def test_who_never_came_is_lapsed_once_no_longer_new(self):
        self.assertEqual(self.amal.lifecycle, "lapsed")
        self.assertIn("has not used a service yet", self.amal.lifecycle_reason)

    def test_lapsing_is_measured_by_the_own_rhythm_and_says_why(self):
        # Every three weeks; silent for eleven.
        self._use(self._every(21, 329, 77))
        self.assertEqual(self.amal.usual_gap, 21)
        self.assertEqual(self.amal.lifecycle, "lapsing")
        self.assertEqual(
            self.amal.lifecycle_reason,
            "Usually every 3 weeks, last use 11 weeks ago.",
        )
        # The same silence is nothing unusual for who comes every two months.
        self._use(self._every(56, 357, 77), self.bruno)
        self.assertEqual(self.bruno.lifecycle, "active")

    def test_line_of_lapsing_is_three_times_the_gap(self):
        self._use(self._every(21, 315, 63))
        self.assertEqual(self.amal.lifecycle, "active")
        self._use(self._every(21, 316, 64), self.bruno)
        self.assertEqual(self.bruno.lifecycle, "lapsing")

    def test_holiday_of_a_daily_visitor_worries_nobody(self):
        self._use(self._every(1, 120, 29))
        self.assertEqual((self.amal.usual_gap, self.amal.lifecycle), (1, "active"))
        self.rule.lapsing_days = 29
        self.amal._refresh_engagement()
        self.assertEqual(self.amal.lifecycle, "lapsing")

    def test_few_uses_make_no_rhythm(self):
        self._use([200, 100, 80])
        self.assertFalse(self.amal.usual_gap)
        self.assertEqual(self.amal.lifecycle, "active")
        self._use([90, 91, 92, 93, 94], self.bruno)
        self.assertFalse(self.bruno.usual_gap)
        self.assertEqual(self.bruno.lifecycle, "occasional")

    def test_silence_of_three_months_is_occasional_and_of_a_year_lapsed(self):
        for silence, lifecycle in (
            (89, "active"),
            (90, "occasional"),
            (364, "occasional"),
            (365, "lapsed"),
        ):
            with self.subTest(silence=silence):
                self.env["library.service.usage"].search(
                    [("patron_id", "=", self.amal.id)]
                ).unlink()
                self._use([silence])
                self.assertEqual(self.amal.lifecycle, lifecycle)

    def test_who_comes_again_after_a_year_has_returned(self):
        self._use([500])
        self._use([10, 3])
        self.assertEqual(self.amal.lifecycle, "returned")
        # Long ago counts as well, though no row of the last 15 months tells of it.
        self._use([1500, 20], self.bruno)
        self.assertEqual(self.bruno.lifecycle, "returned")

    def test_who_comes_again_sooner_has_not_returned(self):
        self._use([374, 10])
        self.assertEqual(self.amal.lifecycle, "active")
        self._use([375, 10], self.bruno)
        self.assertEqual(self.bruno.lifecycle, "returned")

    def test_return_is_news_for_three_months(self):
        self._use([600, 89])
        self.assertEqual(self.amal.lifecycle, "returned")
        self._use([600, 90], self.bruno)
        self.assertNotEqual(self.bruno.lifecycle, "returned")

    def test_recency_frequency_and_variety_have_fixed_cuts(self):
        self._use(range(2, 54))
        self.assertEqual(self.amal.use_day_count, 52)
        figures = ("recency", "frequency", "variety")
        self.assertEqual(
            [self.amal[name] for name in figures], ["recent", "often", "one"]
        )
        self._use(range(100, 117), self.bruno)
        self.assertEqual(
            [self.bruno[name] for name in figures], ["earlier", "rare", "one"]
        )
        self._use([100], self.bruno, self.ebook)
        self.assertEqual(self.bruno.use_day_count, 17, "Two uses of a day are one day")
        self.assertEqual((self.bruno.service_count, self.bruno.variety), (2, "some"))
        self._use([117], self.bruno)
        self.assertEqual(self.bruno.frequency, "regular")

    def test_score_does_not_move_because_others_moved(self):
        self._use([5, 15, 25], self.bruno)
        before = self.bruno.read(["lifecycle", "recency", "frequency", "variety"])
        self._use(range(1, 200))
        self._night()
        self.assertEqual(
            self.bruno.read(["lifecycle", "recency", "frequency", "variety"]), before
        )

    def test_manager_moves_the_cuts(self):
        self._use(range(2, 22))
        self.assertEqual(self.amal.frequency, "regular")
        rule = self.rule.with_user(self.manager)
        rule.often_days = 20
        rule.action_apply()
        self._night()
        self.assertEqual(self.amal.frequency, "often")

    def test_cuts_that_contradict_each_other_are_refused(self):
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(CheckViolation),
            self.cr.savepoint(),
        ):
            self.rule.often_days = self.rule.regular_days
            self.rule.flush_recordset()

    def test_desk_and_marketing_do_not_move_the_cuts(self):
        for user in (self.desk, self.marketing):
            with self.assertRaises(AccessError):
                self.rule.with_user(user).often_days = 20

    def test_use_that_is_logged_corrected_or_taken_back_counts_at_once(self):
        self._use([400])
        self.assertEqual(self.amal.lifecycle, "lapsed")
        self.amal.with_user(self.desk).action_log_visit()
        self.assertEqual(
            (self.amal.lifecycle, self.amal.recency), ("returned", "recent")
        )
        use = self.env["library.service.usage"].search(
            [("patron_id", "=", self.amal.id), ("service_id", "=", self.visit.id)]
        )
        use.patron_id = self.bruno
        self.assertEqual(self.amal.lifecycle, "lapsed")
        self.assertEqual(self.bruno.lifecycle, "active")
        use.unlink()
        self.assertEqual(self.bruno.lifecycle, "lapsed")

    def test_day_that_passes_changes_the_figures_at_night(self):
        self._use([89])
        self.assertEqual(self.amal.lifecycle, "active")
        self.env.cr.execute(
            SQL(
                "UPDATE library_service_usage SET date = date - 1 WHERE patron_id = %s",
                self.amal.id,
            )
        )
        self.env.cr.execute(
            SQL(
                "UPDATE library_patron SET last_use_date = last_use_date - 1 "
                "WHERE id = %s",
                self.amal.id,
            )
        )
        self.env.invalidate_all()
        self._night()
        self.assertEqual(self.amal.lifecycle, "occasional")
        self.assertEqual(self.amal.lifecycle_since, self.today)

    def test_nightly_job_reckons_everybody_part_by_part_and_writes_what_changed(self):
        self._use([5])
        patrons = self.env["library.patron"].search([])
        batch = len(patrons) // 3
        self.patch(type(self.env["library.patron"]), "_ENGAGEMENT_BATCH", batch)
        self.env.cr.execute("UPDATE library_patron SET lifecycle = NULL")
        self.env.invalidate_all()
        self._night()
        self.assertEqual(self.amal.lifecycle, "active")
        grown = patrons.filtered(
            lambda patron: not patron.birth_year and not patron.patron_category_id
        )
        self.assertTrue(all(grown.mapped("lifecycle")))
        self.env.cr.execute("SELECT id, xmin::text FROM library_patron")
        before = self.env.cr.fetchall()
        self._night()
        self.env.cr.execute("SELECT id, xmin::text FROM library_patron")
        self.assertEqual(sorted(self.env.cr.fetchall()), sorted(before))

    def test_of_children_there_are_no_figures(self):
        self._use([5])
        self.assertTrue(self.amal.lifecycle)
        self.amal.birth_date = self.today - relativedelta(years=16) + timedelta(days=1)
        figures = ("lifecycle", "recency", "frequency", "variety", "use_day_count")
        self.assertFalse([self.amal[name] for name in figures if self.amal[name]])
        self.assertFalse(self.amal.cluster_id)
        self.amal.birth_date = self.today - relativedelta(years=16)
        self.assertTrue(self.amal.lifecycle)

    def test_whose_birth_is_not_known_is_a_child_if_the_category_says_so(self):
        self._use([5], self.bruno)
        self.assertTrue(self.bruno.lifecycle)
        self.bruno.patron_category_id = self.child
        self.assertFalse(self.bruno.lifecycle)
        self.bruno.birth_year = self.today.year - 20
        self.assertTrue(self.bruno.lifecycle)

    def test_staff_switch_the_figures_off_for_a_patron(self):
        self._use([5])
        self.amal.with_user(self.desk).profiling_stopped = True
        self.assertFalse(self.amal.lifecycle)
        self.assertIn("switched them off", self.amal.lifecycle_reason)
        self.amal.with_user(self.desk).profiling_stopped = False
        self.assertEqual(self.amal.lifecycle, "active")

    def test_of_who_objects_to_personal_suggestions_there_are_no_figures(self):
        self._use([5])
        profiling = self.env.ref("library_crm.library_consent_purpose_profiling")
        Consent = self.env["library.consent"]
        values = {"patron_id": self.amal.id, "purpose_id": profiling.id}
        Consent.create({**values, "state": "withdrawn"})
        self.assertFalse(self.amal.lifecycle, "At once, and not in the night")
        Consent.create({**values, "state": "given"})
        self.assertEqual(self.amal.lifecycle, "active")

    def test_marketing_sees_the_lifecycle_and_no_figures_of_one_person(self):
        self._use([5])
        amal = self.amal.with_user(self.marketing)
        self.assertEqual(amal.lifecycle, "active")
        for name in ("use_day_count", "usual_gap", "lifecycle_reason"):
            with self.assertRaises(AccessError):
                amal.read([name])

    # ------------------------------------------------------------
    # CLUSTERS
    # ------------------------------------------------------------

    def test_online_only_is_who_uses_hardly_anything_else(self):
        online = self.env.ref("library_crm.library_cluster_digital")
        self._use(range(1, 20), service=self.ebook)
        self.assertEqual(self.amal.cluster_id, online)
        self._use([3, 4])
        self.assertNotEqual(self.amal.cluster_id, online)

    def test_families_are_who_look_after_children(self):
        self._use([5])
        child = self.env["library.patron"].create(
            {
                "name": "Bela Idris",
                "patron_category_id": self.child.id,
                "company_id": self.library.id,
                "guardian_id": self.amal.id,
            }
        )
        self.amal._refresh_engagement()
        self.assertEqual(
            self.amal.cluster_id, self.env.ref("library_crm.library_cluster_family")
        )
        self.assertFalse(child.cluster_id)

    def test_programmes_only_is_who_borrows_nothing(self):
        self._use([5, 50], service=self.programme)
        programmes = self.env.ref("library_crm.library_cluster_programme")
        self.assertEqual(self.amal.cluster_id, programmes)
        self._use([5])
        self.assertNotEqual(self.amal.cluster_id, programmes)

    def test_who_uses_nothing_belongs_to_no_cluster(self):
        self._use([400])
        self.assertFalse(self.amal.cluster_id)

    def test_first_cluster_that_fits_is_taken(self):
        self._use(range(1, 9), service=self.computer)
        clusters = self.env["library.cluster"]
        computing = self.env.ref("library_crm.library_cluster_computing")
        self.assertEqual(self.amal.cluster_id, computing)
        own = clusters.with_user(self.manager).create(
            {
                "name": "Evening people",
                "sequence": 1,
                "company_id": self.library.id,
                "patron_domain": "[('patron_category_id.kind', '=', 'adult')]",
                "condition_ids": [
                    Command.create({"rule": "at_least", "amount": 8, "unit": "days"})
                ],
            }
        )
        self.amal._refresh_engagement()
        self.assertEqual(self.amal.cluster_id, own)
        self.assertEqual(own.patron_count, 1)
        own.sequence = 1000
        self.amal._refresh_engagement()
        self.assertEqual(self.amal.cluster_id, computing)

    def test_exam_time_asks_for_the_months(self):
        condition = self.env["library.use.condition"].new({"months": "1, 6,7"})
        self.assertEqual(condition._get_months(), [1, 6, 7])
        with self.assertRaisesRegex(ValidationError, "13"):
            self.env["library.cluster"].create(
                {
                    "name": "Exams",
                    "condition_ids": [Command.create({"months": "6, 13"})],
                }
            )

    def test_cluster_whose_patrons_can_not_be_read_is_refused_by_name(self):
        for domain in ("[('nothing', '=', 1)]", "[('name', '=']", "spoiled("):
            with self.assertRaisesRegex(ValidationError, "Evening people"):
                self.env["library.cluster"].create(
                    {"name": "Evening people", "patron_domain": domain}
                )

    def test_clusters_of_another_library_are_not_ours(self):
        self._use([5])
        other = self.env["library.cluster"].create(
            {"name": "Hill", "sequence": 1, "company_id": self.other_library.id}
        )
        self.amal._refresh_engagement()
        self.assertNotEqual(self.amal.cluster_id, other)

    def test_first_day_of_the_year_is_not_counted_twice(self):
        """The year ends today and has as many days as a year."""
        year_ago = self.today - relativedelta(years=1)
        self._use([0, (self.today - year_ago).days])
        self.assertEqual(self.amal.use_day_count, 1)
        self.assertLess(year_ago, date.today())
