from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestJob(LibraryCommon):
    """The page that says how the jobs are, and whom it tells."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["library.job"]._add_missing()
        cls.env["library.job.run"].search([]).unlink()
        cls.now = fields.Datetime.now()
        cls.crons = cls.env["library.job"].search([]).cron_id
        cls.crons.nextcall = cls.now + timedelta(minutes=10)
        cls.env["ir.cron.trigger"].search([]).unlink()
        cls.loads = cls._get_job("library_crm.ir_cron_run_data_loads")
        cls.links = cls._get_job("library_crm.ir_cron_send_preferences_links")

    @classmethod
    def _get_job(cls, xml_id):
        return cls.env["library.job"].search([("cron_id", "=", cls.env.ref(xml_id).id)])

    def _run(self, job, **values):
        """A run of a job that was an hour ago, or as it is said."""
        return self.env["library.job.run"].create(
            {
                "job_id": job.id,
                "started_on": self.now - timedelta(hours=1),
                "ended_on": self.now - timedelta(hours=1),
                "result": "done",
                **values,
            }
        )

    def _alert(self):
        self.env.invalidate_all()
        self.env["library.job"].search([])._alert()
        return self.env["mail.activity"].search([("res_model", "=", "library.job")])

    def test_each_scheduled_action_of_the_library_has_a_job(self):
        ours = (
            self.env["ir.cron"]
            .with_context(active_test=False)
            .search([])
            .filtered(
                lambda cron: any(
                    name.startswith("library_crm")
                    for name in cron._get_external_ids()[cron.id]
                )
            )
        )
        self.assertGreaterEqual(len(ours), 12)
        self.assertEqual(self.env["library.job"].search([]).cron_id, ours)
        self.assertIn("Run the loads that wait", self.loads.name)

    def test_what_is_watched_is_there(self):
        crons = self.env["library.job"].search([])
        known = {
            name
            for names in crons.cron_id._get_external_ids().values()
            for name in names
        }
        self.assertLessEqual(set(crons._get_watched()), known)
        for job in crons:
            self.assertGreaterEqual(job.backlog, 0)

    def test_run_is_written_down_with_what_it_did_and_what_is_left(self):
        self.amal.email = "amal@example.com"
        self.amal.preferences_asked_at = self.now
        self.assertEqual(self.links.backlog, 1)
        with self.enter_registry_test_mode():
            self.links.cron_id.method_direct_trigger()
        self.env.invalidate_all()
        run = self.links.run_ids[0]
        self.assertEqual((run.result, run.backlog, run.failure), ("done", 0, False))
        self.assertTrue(run.ended_on)
        self.assertEqual(self.links.state, "ok")
        self.assertGreater(self.links.next_run_on, self.now)

    def test_run_that_fails_names_the_kind_of_the_error_and_nobody(self):
        with (
            self.enter_registry_test_mode(),
            patch.object(
                self.registry["library.patron"],
                "_cron_send_preferences_links",
                side_effect=KeyError("amal@example.com"),
            ),
            self.assertLogs("odoo.addons.base.models.ir_cron", "ERROR"),
        ):
            self.links.cron_id.method_direct_trigger()
        self.env.invalidate_all()
        run = self.links.run_ids[0]
        self.assertEqual((run.result, run.failure), ("failed", "KeyError"))
        self.assertEqual((self.links.state, self.links.failure_count), ("failed", 1))
        self.assertNotIn("amal", self.links.trouble)

    def test_job_runs_although_its_run_can_not_be_written_down(self):
        with (
            self.enter_registry_test_mode(),
            patch.object(
                self.registry["library.job"], "_begin", side_effect=ValueError
            ),
            self.assertLogs("odoo.addons.library_crm.models.ir_cron", "ERROR"),
            patch.object(
                self.registry["library.patron"], "_cron_send_preferences_links"
            ) as done,
        ):
            self.links.cron_id.method_direct_trigger()
        done.assert_called_once()

    def test_open_run_was_killed_when_the_next_begins(self):
        run = self._run(self.links, result="running", ended_on=False)
        self.links._begin()
        self.assertEqual(run.result, "killed")
        self.assertEqual(self.links.last_result, "running")

    def test_other_scheduled_actions_are_left_alone(self):
        with self.enter_registry_test_mode():
            self.env.ref("base.autovacuum_job").method_direct_trigger()
        self.assertFalse(self.env["library.job.run"].search([]))

    def test_job_that_should_have_run_is_late(self):
        self.loads.cron_id.nextcall = self.now - timedelta(minutes=30)
        self.assertEqual(self.loads.state, "new")
        self.loads.cron_id.nextcall = self.now - timedelta(minutes=90)
        self.env.invalidate_all()
        self.assertEqual(self.loads.state, "late")
        self._run(self.loads, result="running", ended_on=False)
        self.env.invalidate_all()
        self.assertEqual(self.loads.state, "running")
        self.loads.cron_id.active = False
        self.env.invalidate_all()
        self.assertEqual(self.loads.state, "off")

    def _leave(self, *backlogs, hours=6):
        """Runs, one after the other, each of which left something; the last ended an
        hour ago."""
        self.env["library.job.run"].search([]).unlink()
        for after, backlog in enumerate(backlogs, 1):
            ago = timedelta(hours=1 + hours * (len(backlogs) - after))
            self._run(self.loads, ended_on=self.now - ago, backlog=backlog)
        self.env.invalidate_all()

    def test_job_whose_work_becomes_no_less_for_a_day_falls_behind(self):
        source = self.env["library.data.source"].create(
            {"name": "Koha", "format": "koha_patrons", "company_id": self.library.id}
        )
        self.env["library.data.load"].create(
            {"source_id": source.id, "state": "queued"}
        )
        for backlogs, state in (
            ((1, 2, 3, 3), "behind"),
            ((2, 3, 1, 4), "ok"),
            ((0, 1, 2, 3), "ok"),
            ((1, 2), "ok"),
        ):
            with self.subTest(backlogs):
                self._leave(*backlogs)
                self.assertEqual(self.loads.state, state)
        with self.subTest("two runs"):
            self._leave(1, 2, hours=20)
            self.assertEqual(self.loads.state, "ok")
        with self.subTest("within an hour"):
            self._leave(1, 2, 3, 4, hours=0)
            self.assertEqual(self.loads.state, "ok")

    def test_what_a_job_left_is_told_by_its_last_run_where_nothing_else_tells(self):
        job = self._get_job("library_crm.ir_cron_refresh_engagement")
        self._run(job, result="partly", backlog=9)
        self._run(job, result="partly", backlog=7)
        self.assertEqual(job.backlog, 7)

    def test_run_that_kept_some_of_its_work_and_failed_counts_as_a_failure(self):
        self._run(self.loads)
        self._run(self.loads, result="partly")
        self.assertEqual(self.loads.failure_count, 0)
        self._run(self.loads, result="partly", failure="KeyError")
        self.env.invalidate_all()
        self.assertEqual(self.loads.failure_count, 1)
        eight_days_ago = self.now - timedelta(days=8)
        self._run(self.loads, result="failed", started_on=eight_days_ago)
        self.env.invalidate_all()
        self.assertEqual(self.loads.failure_count, 1)

    def test_what_a_job_could_not_do_is_counted_and_shown(self):
        source = self.env["library.data.source"].create(
            {"name": "Koha", "format": "koha_patrons", "company_id": self.library.id}
        )
        before = self.loads.undone_count
        load = self.env["library.data.load"].create(
            {"source_id": source.id, "state": "failed", "ended_on": self.now}
        )
        self._run(self.loads)
        self.env.invalidate_all()
        self.assertEqual(
            (self.loads.state, self.loads.undone_count), ("undone", before + 1)
        )
        action = self.loads.with_user(self.manager).action_view_undone()
        self.assertIn(load, self.env[action["res_model"]].search(action["domain"]))

    def test_managers_are_told_once_until_it_is_over(self):
        self.env["library.data.load"].search([("state", "=", "failed")]).unlink()
        others = self._alert()
        self._run(self.loads, result="failed", failure="KeyError")
        told = self._alert() - others
        self.assertEqual(set(told.mapped("res_id")), {self.loads.id})
        self.assertIn(self.manager, told.user_id)
        self.assertNotIn(self.desk, told.user_id)
        self.assertEqual(len(told), len(told.user_id))
        self.assertIn("Failed", told[0].summary)
        self.assertEqual(self._alert() - others, told)
        # Who has dealt with it is not told of the same again.
        told.filtered(lambda activity: activity.user_id == self.manager).unlink()
        self.assertNotIn(self.manager, (self._alert() - others).user_id)
        # It runs again: the others need not look any more.
        self._run(self.loads)
        self.assertFalse(self._alert() - others)
        # And if it fails once more, all are told once more.
        self._run(self.loads, result="failed", failure="KeyError")
        self.assertIn(self.manager, (self._alert() - others).user_id)

    def test_managers_are_told_again_of_more_that_is_not_done_not_of_less(self):
        source = self.env["library.data.source"].create(
            {"name": "Koha", "format": "koha_patrons", "company_id": self.library.id}
        )
        values = {"source_id": source.id, "state": "failed", "ended_on": self.now}
        first, second = self.env["library.data.load"].create([values, values])
        self._run(self.loads)

        def dismiss():
            mine = self._alert().filtered(
                lambda activity: (
                    activity.res_id == self.loads.id
                    and activity.user_id == self.manager
                )
            )
            count = len(mine)
            mine.unlink()
            return count

        self.assertEqual(dismiss(), 1)
        first.unlink()
        self.assertEqual(dismiss(), 0)
        first = second.copy()
        first.write(values)
        self.assertEqual(dismiss(), 1)

    def test_manager_can_run_a_job_now_and_the_desk_does_not_see_any(self):
        self.loads.with_user(self.manager).action_run()
        self.assertTrue(
            self.env["ir.cron.trigger"].search(
                [("cron_id", "=", self.loads.cron_id.id)]
            )
        )
        self.env.invalidate_all()
        self.assertLessEqual(self.loads.next_run_on, fields.Datetime.now())
        manager = self.env["library.job"].with_user(self.manager)
        found = manager.search([("state", "in", ["failed", "late"])])
        self.assertEqual(
            found, manager.search([]).filtered(lambda j: j.state in ("failed", "late"))
        )

    def test_runs_are_kept_for_a_month(self):
        old = self._run(self.loads, started_on=self.now - timedelta(days=31))
        kept = self._run(self.loads, started_on=self.now - timedelta(days=29))
        self.env["library.job.run"]._gc_runs()
        self.assertEqual((old | kept).exists(), kept)
