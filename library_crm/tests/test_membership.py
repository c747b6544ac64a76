from datetime import date

from freezegun import freeze_time
from psycopg2 import IntegrityError

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestMembership(LibraryCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.moved, cls.lost_card = (
            cls.env.ref("library_crm.library_membership_reason_moved"),
            cls.env.ref("library_crm.library_membership_reason_lost_card"),
        )

    def _run_daily_job(self):
        with self.enter_registry_test_mode():
            self.env.ref(
                "library_crm.ir_cron_update_memberships"
            ).method_direct_trigger()
        self.env.invalidate_all()

    # ------------------------------------------------------------
    # PERIODS
    # ------------------------------------------------------------

    def test_period_ends_the_day_before_its_anniversary(self):
        month = self.paid_plan
        for plan, start, end in [
            (self.plan, date(2025, 5, 10), date(2026, 5, 9)),
            (self.plan, date(2023, 3, 1), date(2024, 2, 29)),
            (self.plan, date(2024, 2, 29), date(2025, 2, 28)),
            (self.plan, date(2027, 2, 28), date(2028, 2, 27)),
            (month, date(2025, 1, 31), date(2025, 2, 28)),
            (month, date(2024, 1, 31), date(2024, 2, 29)),
            (month, date(2025, 3, 31), date(2025, 4, 30)),
            (month, date(2025, 4, 30), date(2025, 5, 29)),
        ]:
            with self.subTest(plan=plan.name, start=start):
                self.assertEqual(plan._get_end(start), end)

    def test_period_in_days_and_without_end(self):
        self.plan.write({"period_count": 28, "period_unit": "day"})
        self.assertEqual(self.plan._get_end(date(2025, 1, 10)), date(2025, 2, 6))
        self.plan.period_count = 0
        self.assertFalse(self.plan._get_end(date(2025, 1, 1)))

    # ------------------------------------------------------------
    # RENEWAL
    # ------------------------------------------------------------

    @freeze_time("2026-05-01 12:00:00")
    def test_renewal_before_the_end_goes_on_from_the_end(self):
        self.plan.fee = 3
        membership = self._create_membership(
            date_start=date(2025, 6, 1), date_end=date(2026, 5, 31)
        )
        self.assertTrue(membership.is_renewable)
        self.assertEqual(membership.action_renew(), membership)
        self.assertEqual(membership.date_end, date(2027, 5, 31))
        self.assertEqual(membership.state, "active")
        self.assertRecordValues(
            membership.renewal_ids,
            [
                {
                    "date": date(2026, 5, 1),
                    "old_end": date(2026, 5, 31),
                    "new_end": date(2027, 5, 31),
                    "fee": 3,
                }
            ],
        )

    @freeze_time("2026-03-01 12:00:00")
    def test_renewal_too_early_says_from_when_it_is_possible(self):
        membership = self._create_membership(
            date_start=date(2025, 6, 1), date_end=date(2026, 5, 31)
        )
        self.assertFalse(membership.is_renewable)
        with self.assertRaisesRegex(UserError, "Renewable from.*04/01/2026"):
            membership.action_renew()
        self.assertFalse(membership.renewal_ids)

    @freeze_time("2026-06-10 12:00:00")
    def test_renewal_in_grace_starts_as_the_plan_says(self):
        for start, end in [("end", date(2027, 5, 31)), ("today", date(2027, 6, 9))]:
            with self.subTest(late_renewal_start=start):
                self.plan.late_renewal_start = start
                membership = self._create_membership(
                    date_start=date(2025, 6, 1),
                    date_end=date(2026, 5, 31),
                    state="grace",
                )
                membership.action_renew()
                self.assertEqual(membership.date_end, end)
                self.assertEqual(membership.state, "active")
                membership.unlink()

    def test_renewal_on_the_first_and_on_the_last_day_that_the_plan_allows(self):
        self.plan.late_renewal_start = "today"
        for day, end in [
            ("2026-04-01", date(2027, 5, 31)),  # 60 days before the end
            ("2026-05-31", date(2027, 5, 31)),  # the last day is not in grace yet
            ("2026-06-30", date(2027, 6, 29)),  # the last day of grace
        ]:
            with self.subTest(day=day), freeze_time(f"{day} 12:00:00"):
                membership = self._create_membership(
                    date_start=date(2025, 6, 1), date_end=date(2026, 5, 31)
                )
                self.assertTrue(membership.is_renewable)
                self.assertEqual(membership.action_renew(), membership)
                self.assertEqual(membership.date_end, end)
            self.amal.membership_ids.unlink()

    @freeze_time("2026-07-01 12:00:00")
    def test_renewal_after_grace_does_not_wait_for_the_daily_job(self):
        still_active = self._create_membership(
            date_start=date(2025, 6, 1), date_end=date(2026, 5, 31)
        )
        again = still_active.action_renew()
        self.assertEqual(again.date_start, date(2026, 7, 1))
        self.assertEqual(still_active.state, "expired")

    @freeze_time("2026-08-01 12:00:00")
    def test_renewal_after_expiry_begins_a_new_line_and_keeps_the_gap(self):
        expired = self._create_membership(
            date_start=date(2025, 6, 1), date_end=date(2026, 5, 31), state="expired"
        )
        again = expired.action_renew()
        self.assertNotEqual(again, expired)
        self.assertRecordValues(
            expired + again,
            [
                {"date_end": date(2026, 5, 31), "state": "expired"},
                {"date_end": date(2027, 7, 31), "state": "active"},
            ],
        )
        self.assertEqual(again.previous_id, expired)
        self.assertEqual(again.date_start, date(2026, 8, 1))
        self.assertEqual(self.amal.membership_id, again)

    def test_membership_without_end_can_not_be_renewed(self):
        emptied = self._create_membership(date_end=False)
        self.paid_plan.period_count = 0
        endless = self._create_membership(plan_id=self.paid_plan.id)
        for membership in emptied + endless:
            self.assertFalse(membership.date_end)
            with self.assertRaisesRegex(UserError, "never ends"):
                membership.action_renew()

    # ------------------------------------------------------------
    # SUSPENSION AND CANCELLATION
    # ------------------------------------------------------------

    def test_card_that_expires_while_suspended(self):
        for stops_the_clock, end, state in [
            (False, date(2026, 5, 31), "expired"),
            (True, date(2026, 7, 20), "active"),
        ]:
            with self.subTest(suspension_extends=stops_the_clock):
                self.plan.suspension_extends = stops_the_clock
                membership = self._create_membership(
                    date_start=date(2025, 6, 1), date_end=date(2026, 5, 31)
                )
                with freeze_time("2026-05-20 12:00:00"):
                    membership.action_suspend(self.lost_card)
                with freeze_time("2026-07-09 12:00:00"):
                    self._run_daily_job()
                    if stops_the_clock:
                        self.assertEqual(membership.state, "suspended")
                        membership.action_resume()
                self.assertRecordValues(membership, [{"date_end": end, "state": state}])
                membership.unlink()

    def test_resuming_within_grace_gives_grace(self):
        membership = self._create_membership(
            date_start=date(2025, 6, 1), date_end=date(2026, 5, 31)
        )
        with freeze_time("2026-05-20 12:00:00"):
            membership.action_suspend(self.lost_card)
        self.assertEqual(membership.reason_id, self.lost_card)
        with freeze_time("2026-06-05 12:00:00"):
            membership.action_resume()
        self.assertEqual(membership.state, "grace")
        self.assertFalse(membership.reason_id)

    def test_suspension_with_an_end_is_lifted_by_the_job_without_extra_days(self):
        self.plan.suspension_extends = True
        membership = self._create_membership(
            date_start=date(2025, 6, 1), date_end=date(2026, 5, 31)
        )
        with freeze_time("2026-03-01 12:00:00"):
            membership.action_suspend(self.lost_card, until=date(2026, 3, 10))
        with freeze_time("2026-03-10 12:00:00"):
            self._run_daily_job()
            self.assertEqual(membership.state, "suspended", "It is the last day")
        with freeze_time("2026-03-25 12:00:00"):
            self._run_daily_job()
        self.assertEqual(membership.state, "active")
        self.assertEqual(membership.date_end, date(2026, 6, 10))

    @freeze_time("2026-03-10 12:00:00")
    def test_suspension_can_not_end_before_it_begins(self):
        membership = self._create_membership()
        with self.assertRaisesRegex(ValidationError, "Suspended until"):
            membership.action_suspend(self.lost_card, until=date(2026, 3, 9))

    def test_cancellation_has_a_reason(self):
        membership = self._create_membership()
        with (
            self.assertRaises(IntegrityError),
            mute_logger("odoo.sql_db"),
            self.cr.savepoint(),
        ):
            membership.state = "cancelled"
            membership.flush_recordset()
        membership.invalidate_recordset()
        membership.action_cancel(self.moved)
        self.assertEqual(membership.state, "cancelled")
        self.assertEqual(membership.reason_id, self.moved)
        with self.assertRaisesRegex(UserError, "State: .* is Cancelled"):
            membership.action_cancel(self.moved)

    @freeze_time("2026-06-10 12:00:00")
    def test_each_state_allows_what_fits_it_and_nothing_else(self):
        actions = {
            "activate": lambda line: line.action_activate(),
            "renew": lambda line: line.action_renew(),
            "suspend": lambda line: line.action_suspend(self.lost_card),
            "resume": lambda line: line.action_resume(),
            "cancel": lambda line: line.action_cancel(self.moved),
            "change plan": lambda line: line.action_change_plan(self.paid_plan),
        }
        for state, allowed in {
            "draft": {"activate", "cancel"},
            "active": {"renew", "suspend", "cancel", "change plan"},
            "grace": {"renew", "suspend", "cancel", "change plan"},
            "suspended": {"resume", "cancel"},
            "expired": {"renew"},
            "cancelled": set(),
        }.items():
            for name, action in actions.items():
                membership = self._create_membership(
                    date_start=date(2025, 6, 1),
                    date_end=date(2026, 5, 31),
                    state=state,
                    suspended_on=state == "suspended" and date(2026, 5, 20),
                    reason_id=self.moved.id,
                )
                with self.subTest(state=state, action=name):
                    if name in allowed:
                        action(membership)
                    else:
                        with self.assertRaisesRegex(UserError, "State: "):
                            action(membership)
                self.amal.membership_ids.unlink()

    def _change(self, memberships, operation, **values):
        """What the manager does to the memberships in the dialogue."""
        context = memberships.with_user(self.manager).action_open_change()["context"]
        return (
            self.env["library.membership.change"]
            .with_user(self.manager)
            .with_context(**context)
            .create({"operation": operation, **values})
            .action_apply()
        )

    @freeze_time("2026-03-10 12:00:00")
    def test_dialogue_suspends_for_a_reason_until_a_day(self):
        memberships = self._create_membership() + self._create_membership(self.bruno)
        until = date(2026, 3, 20)
        with self.assertRaisesRegex(UserError, "Reason: choose one"):
            self._change(memberships, "suspend", suspended_until=until)
        self._change(
            memberships,
            "suspend",
            suspended_until=until,
            reason_id=self.lost_card.id,
        )
        suspended = {
            "state": "suspended",
            "reason_id": self.lost_card.id,
            "suspended_until": until,
        }
        self.assertRecordValues(memberships, [suspended, suspended])

    def test_dialogue_changes_the_plan_of_each(self):
        memberships = self._create_membership() + self._create_membership(self.bruno)
        with self.assertRaisesRegex(UserError, "New plan: choose one"):
            self._change(memberships, "plan")
        self._change(memberships, "plan", plan_id=self.paid_plan.id)
        self.assertEqual(set(memberships.mapped("state")), {"cancelled"})
        for patron in self.amal + self.bruno:
            self.assertEqual(patron.membership_id.plan_id, self.paid_plan)

    def test_dialogue_cancels_for_a_reason(self):
        membership = self._create_membership()
        with self.assertRaisesRegex(UserError, "Reason: choose one"):
            self._change(membership, "cancel")
        self._change(membership, "cancel", reason_id=self.moved.id)
        self.assertEqual(membership.state, "cancelled")
        self.assertEqual(membership.reason_id, self.moved)

    # ------------------------------------------------------------
    # PLANS
    # ------------------------------------------------------------

    @freeze_time("2026-03-10 12:00:00")
    def test_plan_change_mid_term_keeps_the_old_line(self):
        old = self._create_membership(date_start=date(2026, 1, 1))
        new = old.action_change_plan(self.paid_plan)
        self.assertRecordValues(
            old + new,
            [
                {
                    "plan_id": self.plan.id,
                    "state": "cancelled",
                    "previous_id": False,
                    "cancelled_on": date(2026, 3, 10),
                    "date_end": date(2026, 12, 31),
                },
                {
                    "plan_id": self.paid_plan.id,
                    "state": "active",
                    "previous_id": old.id,
                    "cancelled_on": False,
                    "date_end": date(2026, 4, 9),
                },
            ],
        )
        self.assertFalse(old.reason_id.is_leaving)
        self.assertEqual(self.amal.membership_id, new)

    def test_plan_change_to_the_same_plan_is_refused(self):
        membership = self._create_membership()
        with self.assertRaisesRegex(UserError, "already has A year, free"):
            membership.action_change_plan(self.plan)
        self.assertEqual(membership.state, "active")

    def test_longer_grace_of_the_plan_holds_for_who_is_a_member(self):
        membership = self._create_membership(
            date_start=date(2025, 6, 1), date_end=date(2026, 5, 31)
        )
        self.assertEqual(membership.date_grace_end, date(2026, 6, 30))
        self.plan.grace_days = 40
        self.assertEqual(membership.date_grace_end, date(2026, 7, 10))

    def test_two_plans_at_once_the_longer_one_counts(self):
        short = self._create_membership(plan_id=self.paid_plan.id)
        long = self._create_membership()
        self.assertEqual(self.amal.membership_id, long)
        self.assertEqual(self.amal.expiry_date, long.date_end)
        long.action_suspend(self.lost_card)
        self.assertEqual(self.amal.membership_id, short, "Running before suspended")
        short.date_end = False
        long.action_resume()
        self.assertEqual(self.amal.membership_id, short, "Without end it is longest")

    @mute_logger("odoo.sql_db")
    def test_one_open_line_a_plan(self):
        self._create_membership()
        with self.assertRaisesRegex(IntegrityError, "one_open_per_plan"):
            self._create_membership(state="draft")

    def test_end_before_start_is_refused(self):
        with (
            self.assertRaisesRegex(IntegrityError, "end_after_start"),
            mute_logger("odoo.sql_db"),
        ):
            self._create_membership(
                date_start=date(2026, 5, 1), date_end=date(2026, 4, 30)
            )

    # ------------------------------------------------------------
    # DAILY JOB
    # ------------------------------------------------------------

    def test_expired_card_enters_grace_then_expires(self):
        membership = self._create_membership(
            date_start=date(2025, 6, 1), date_end=date(2026, 5, 31)
        )
        for day, state in [
            ("2026-05-31", "active"),
            ("2026-06-01", "grace"),
            ("2026-06-30", "grace"),
            ("2026-07-01", "expired"),
        ]:
            with self.subTest(day=day), freeze_time(f"{day} 12:00:00"):
                self._run_daily_job()
                self.assertEqual(membership.state, state)
                self.assertEqual(self.amal.membership_state, state)

    def test_free_draft_starts_on_its_day_a_paid_one_waits(self):
        free = self._create_membership(date_start=date(2026, 6, 1), state="draft")
        paid = self._create_membership(
            date_start=date(2026, 6, 1), state="draft", plan_id=self.paid_plan.id
        )
        with freeze_time("2026-05-31 12:00:00"):
            self._run_daily_job()
            self.assertEqual(free.state, "draft")
            with self.assertRaisesRegex(UserError, "First day.*06/01/2026"):
                paid.action_activate()
        with freeze_time("2026-06-01 12:00:00"):
            self._run_daily_job()
            self.assertEqual(free.state, "active")
            self.assertEqual(paid.state, "draft")
            paid.action_activate()
            self.assertEqual(paid.state, "active")

    def test_draft_that_starts_late_has_the_state_of_the_day(self):
        for day, state in [
            ("2026-05-31", "active"),
            ("2026-06-01", "grace"),
            ("2026-06-30", "grace"),
            ("2026-07-01", "expired"),
        ]:
            membership = self._create_membership(
                date_start=date(2025, 6, 1), date_end=date(2026, 5, 31), state="draft"
            )
            with self.subTest(day=day), freeze_time(f"{day} 12:00:00"):
                membership.action_activate()
                self.assertEqual(membership.state, state)
            membership.unlink()

    def test_job_twice_a_day_and_in_batches_does_the_same(self):
        patrons = self.env["library.patron"].create(
            [
                {"name": f"P{n}", "company_id": self.library.id, "branch_id": False}
                for n in range(7)
            ]
        )
        memberships = self.env["library.membership"].concat(
            *(
                self._create_membership(
                    patron, date_start=date(2025, 6, 1), date_end=date(2026, 5, 31)
                )
                for patron in patrons
            )
        )
        self.patch(type(memberships), "_CRON_BATCH", 3)
        with freeze_time("2026-06-10 12:00:00"):
            self._run_daily_job()
            self.assertEqual(set(memberships.mapped("state")), {"grace"})
            written, write = [], type(memberships).write

            def counted(records, vals):
                written.append(records)
                return write(records, vals)

            self.patch(type(memberships), "write", counted)
            self._run_daily_job()
            self.assertFalse(written)
