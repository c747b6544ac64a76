from calendar import monthrange
from contextlib import suppress
from datetime import date, timedelta

from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import LibraryCommon
from .properties import EachExampleAlone, examples

DAY = timedelta(days=1)
#: Days around which calendars go wrong, and any other.
_EDGES = [
    *(date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1), date(2023, 2, 28)),
    *(date(2024, 1, 29), date(2024, 1, 31), date(2023, 12, 31), date(2024, 4, 30)),
]
DAYS = st.sampled_from(_EDGES) | st.dates(date(1990, 1, 1), date(2120, 12, 31))
PERIODS = st.tuples(
    st.integers(1, 40), st.sampled_from(["day", "month", "year"])
) | st.just((1, "month"))
#: What staff, the library system and the calendar do to the membership of a patron.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from([1, 2, 7, 29, 31, 60, 366])),
        st.tuples(st.just("night"), st.none()),
        st.tuples(st.just("renew"), st.none()),
        st.tuples(st.just("suspend"), st.none() | st.integers(-1, 40)),
        st.tuples(st.just("resume"), st.none()),
        st.tuples(st.just("cancel"), st.none()),
        st.tuples(st.just("change"), st.none()),
        st.tuples(st.just("told"), st.integers(-400, 800)),
    ),
    min_size=3,
    max_size=12,
)


def months_later(day, months):
    """The day of that number in a later month, or None where the month has none; and
    the last day of that month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    length = monthrange(year, month + 1)[1]
    same = date(year, month + 1, day.day) if day.day <= length else None
    return same, date(year, month + 1, length)


@tagged("post_install", "-at_install")
class TestMembershipProperties(EachExampleAlone, LibraryCommon):
    """What holds of the days of a membership, whenever it begins and whatever is done
    to it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.suspended = cls.env.ref("library_crm.library_membership_reason_lost_card")
        cls.left = cls.env.ref("library_crm.library_membership_reason_moved")
        cls.plans = cls.plan + cls.paid_plan

    def _set_period(self, period):
        self.plan.period_count, self.plan.period_unit = period

    # ------------------------------------------------------------
    # ONE PERIOD
    # ------------------------------------------------------------

    @given(DAYS, PERIODS)
    @examples(150)
    def test_period_ends_before_its_anniversary_or_with_the_month(self, start, period):
        count, unit = period
        self._set_period(period)
        end = self.plan._get_end(start)
        if unit == "day":
            self.assertEqual((end - start).days + 1, count)
            return
        same, last = months_later(start, count * (12 if unit == "year" else 1))
        self.assertEqual(end, same - DAY if same else last)

    @given(DAYS, DAYS, PERIODS)
    @examples(100)
    def test_who_begins_later_never_ends_sooner(self, one, other, period):
        self._set_period(period)
        first, second = sorted((one, other))
        self.assertLessEqual(self.plan._get_end(first), self.plan._get_end(second))
        self.assertLessEqual(first, self.plan._get_end(first))

    @given(DAYS, PERIODS, st.integers(1, 5))
    @examples(30)
    def test_renewals_follow_each_other_without_a_gap(self, start, period, times):
        self._set_period(period)
        self.plan.renewal_window_days = 0
        with freeze_time(start):
            line = self._create_membership(date_start=start)
            for _ in range(times):
                line.action_renew()
        rows = line.renewal_ids.sorted("id")
        ends = [self.plan._get_end(start)]
        for _ in range(times):
            ends.append(self.plan._get_end(ends[-1] + DAY))
        self.assertEqual(rows.mapped("old_end"), ends[:-1])
        self.assertEqual(rows.mapped("new_end"), ends[1:])
        self.assertEqual(line.date_end, ends[-1])

    # ------------------------------------------------------------
    # A LIFE
    # ------------------------------------------------------------

    @given(
        DAYS,
        PERIODS,
        st.sampled_from([0, 1, 30]),
        st.sampled_from([0, 60]),
        st.sampled_from(["end", "today"]),
        st.booleans(),
        STEPS,
    )
    @examples(25)
    def test_dates_and_states_hold_through_any_life(
        self, start, period, grace, window, late, extends, steps
    ):
        self._set_period(period)
        self.plans.write(
            {
                "grace_days": grace,
                "renewal_window_days": window,
                "late_renewal_start": late,
                "suspension_extends": extends,
            }
        )
        self.today = start
        with freeze_time(start) as clock:
            self._create_membership(date_start=start)
            for name, value in steps:
                if name == "wait":
                    self.today += timedelta(days=value)
                    clock.move_to(self.today)
                    self.env.invalidate_all()
                    continue
                lines = self.amal.membership_ids.sorted("id")
                before = self._tell(lines)
                # Who is refused has changed nothing.
                with suppress(UserError), self.env.cr.savepoint():
                    getattr(self, f"_step_{name}")(lines[-1], value)
                    self._check_kept(lines, before, name)
                    before = None
                if before:
                    self.assertEqual(self._tell(lines), before, name)
                self._check_all()

    def _tell(self, lines):
        return [(x.date_start, x.date_end, x.state, len(x.renewal_ids)) for x in lines]

    def _check_all(self):
        """What is never otherwise."""
        lines = self.amal.membership_ids
        for line in lines:
            self.assertLessEqual(line.date_start, line.date_end)
            grace = timedelta(days=line.plan_id.grace_days)
            self.assertEqual(line.date_grace_end, line.date_end + grace)
            if line.state in ("active", "grace", "suspended"):
                barred = line.state == "suspended"
                self.assertEqual(bool(line.suspended_on), barred)
            self.assertEqual(line.state == "cancelled", bool(line.cancelled_on))
            for row in line.renewal_ids:
                self.assertLess(row.old_end, row.new_end)
        open_lines = lines.filtered(lambda x: x.state in x._OPEN_STATES)
        self.assertEqual(len(open_lines), len(open_lines.plan_id))
        self.env.flush_all()

    def _check_kept(self, lines, before, name):
        """Renewals are never lost, and a first day never moves."""
        for line, (start, _end, _state, renewals) in zip(lines, before, strict=True):
            self.assertEqual(line.date_start, start, name)
            self.assertGreaterEqual(len(line.renewal_ids), renewals, name)

    def _step_night(self, _line, _value):
        Membership = self.env["library.membership"]
        with self.enter_registry_test_mode():
            job = self.env.ref("library_crm.ir_cron_update_memberships")
            job.method_direct_trigger()
            self.env.invalidate_all()
            lines = self.amal.membership_ids.sorted("id")
            done = self._tell(lines)
            job.method_direct_trigger()
            self.env.invalidate_all()
        self.assertEqual(self._tell(lines), done, "A second run finds nothing to do")
        for domain, _move in Membership._get_daily_moves(self.today):
            self.assertFalse(Membership.search([*domain, ("id", "in", lines.ids)]))
        for line in lines:
            if line.state in ("active", "grace"):
                self.assertEqual(line.state, self._by_date(line))
            elif line.state == "suspended":
                until = line.suspended_until
                self.assertFalse(until and until < self.today)

    def _by_date(self, line):
        if self.today <= line.date_end:
            return "active"
        in_grace = self.today <= line.date_end + timedelta(line.plan_id.grace_days)
        return "grace" if in_grace else "expired"

    def _step_renew(self, line, _value):
        plan, end, by_date = line.plan_id, line.date_end, self._by_date(line)
        running = line.action_renew()
        if by_date == "expired":
            first = self.today
            self.assertEqual((line.state, line.date_end), ("expired", end))
            self.assertEqual((running.previous_id, running.date_start), (line, first))
        else:
            is_late = self.today > end and plan.late_renewal_start == "today"
            first = self.today if is_late else end + DAY
            self.assertEqual(running, line)
            self.assertLessEqual(
                end - timedelta(plan.renewal_window_days or 10**5), self.today
            )
        self.assertEqual(running.date_end, plan._get_end(first))
        self.assertEqual(running.state, self._by_date(running))

    def _step_suspend(self, line, days):
        until = days is not None and self.today + timedelta(days=days)
        line.action_suspend(self.suspended, until)
        self.assertFalse(until and until < self.today)

    def _step_resume(self, line, _value):
        end, since = line.date_end, line.suspended_on
        line.action_resume()
        given_back = self.today - since
        extends = line.plan_id.suspension_extends
        self.assertEqual(line.date_end, end + given_back if extends else end)
        self.assertEqual(line.state, self._by_date(line))

    def _step_cancel(self, line, _value):
        line.action_cancel(self.left)
        self.assertEqual((line.state, line.cancelled_on), ("cancelled", self.today))

    def _step_change(self, line, _value):
        new = line.action_change_plan(self.plans - line.plan_id)
        self.assertEqual(line.state, "cancelled")
        self.assertEqual((new.date_start, new.state), (self.today, "active"))

    def _step_told(self, line, days):
        end = max(line.date_start, self.today + timedelta(days=days))
        was, state = line.date_end, line.state
        holds = line._set_end_from_ils(end)
        self.assertEqual(holds.date_end, end)
        if state == "suspended":
            self.assertEqual(line.state, state)
        elif holds == line and state != "cancelled":
            self.assertEqual(line.state, self._by_date(line))
        if holds != line:
            self.assertEqual((line.date_end, line.previous_id), (was, line.previous_id))

    # ------------------------------------------------------------
    # DAYS THAT A LIBRARY SYSTEM MAY SEND
    # ------------------------------------------------------------

    @given(
        st.sampled_from([date.max, date(9999, 12, 1), date(1850, 1, 1)])
        | st.dates(date(1850, 1, 1)),
        st.tuples(st.integers(1, 2**31 - 1), st.sampled_from(["day", "month", "year"])),
        *[st.sampled_from([0, 30, 2**31 - 1])] * 2,
    )
    @examples(40)
    def test_any_day_of_the_calendar_may_be_the_last_one(
        self, end, period, grace, window
    ):
        """Many a library system writes the last day of the calendar for “never”."""
        self._set_period(period)
        self.plan.grace_days = grace
        self.plan.renewal_window_days = window
        self.plan.suspension_extends = True
        line = self.env["library.membership"]._start_from_ils(
            [
                {
                    "patron_id": self.amal.id,
                    "plan_id": self.plan.id,
                    "date_start": min(end, date.today()),
                    "date_end": end,
                }
            ]
        )
        self.env.flush_all()
        self.assertEqual(line.date_end, end)
        self.assertLessEqual(end, line.date_grace_end)
        self.assertEqual(line._set_end_from_ils(end), line)
        with suppress(UserError):
            line.action_suspend(self.suspended)
            line.suspended_on = date(2000, 1, 1)
            line.action_resume()
            self.assertLessEqual(end, line.date_end)
        with suppress(UserError):
            self.assertLess(end, line.action_renew().date_end)
        self.env.flush_all()
