from datetime import date, timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import format_date


def _move_day(day, days):
    """The day so many days later (or sooner), within the calendar: library systems
    write its last day for a card that never expires."""
    moved = day.toordinal() + days
    return date.fromordinal(min(max(moved, 1), date.max.toordinal()))


class LibraryMembership(models.Model):
    """A patron's membership under one plan, from a first to a last day.

    There is at most one open line per patron and plan. Renewals extend the line and
    leave a row in ``library.membership.renewal``; a membership that was allowed to
    expire is followed by a new line, so that the gap stays visible.

    States: *draft* waits for its day or its fee; *active*; *grace* is past its end
    but may be renewed as if it were not; *expired* is past the grace; *suspended* is
    barred by staff, with or without a day on which that ends; *cancelled* has a
    reason. ``_cron_update_states`` moves what the calendar moves, once a day.
    """

    _name = "library.membership"
    _description = "Membership"
    _inherit = ["mail.thread", "mail.activity.mixin", "library.bulk.mixin"]
    _order = "date_end desc, id desc"
    _check_company_auto = True
    _library_personal_data = {"*": "membership"}

    _OPEN_STATES = ("draft", "active", "grace", "suspended")
    _CRON_BATCH = 1000

    # Who and what
    patron_id = fields.Many2one(
        "library.patron",
        required=True,
        index=True,
        ondelete="cascade",
        check_company=True,
    )
    plan_id = fields.Many2one(
        "library.membership.plan",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        tracking=True,
    )
    company_id = fields.Many2one(
        related="patron_id.company_id", store=True, index=True, precompute=True
    )
    branch_id = fields.Many2one(
        related="patron_id.branch_id", store=True, index="btree_not_null"
    )
    patron_category_id = fields.Many2one(
        related="patron_id.patron_category_id", store=True, string="Category"
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    fee = fields.Monetary(
        compute="_compute_fee", store=True, readonly=False, precompute=True
    )

    # When
    date_start = fields.Date(
        string="First Day",
        required=True,
        default=fields.Date.context_today,
        tracking=True,
    )
    date_end = fields.Date(
        string="Last Day",
        compute="_compute_date_end",
        store=True,
        readonly=False,
        precompute=True,
        index=True,
        tracking=True,
        help="The last day on which the membership is valid; empty: it never ends.",
    )
    date_grace_end = fields.Date(
        string="End of Grace",
        compute="_compute_date_grace_end",
        store=True,
        precompute=True,
        index=True,
    )
    days_left = fields.Integer(compute="_compute_days_left")
    is_renewable = fields.Boolean(compute="_compute_is_renewable")

    # State
    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("active", "Active"),
            ("grace", "In grace"),
            ("suspended", "Suspended"),
            ("expired", "Expired"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        default="draft",
        index=True,
        tracking=True,
        copy=False,
        group_expand=True,
    )
    suspended_on = fields.Date(readonly=True, copy=False)
    suspended_until = fields.Date(
        readonly=True, copy=False, help="The last day of the suspension."
    )
    cancelled_on = fields.Date(readonly=True, copy=False)
    reason_id = fields.Many2one(
        "library.membership.reason",
        ondelete="restrict",
        copy=False,
        tracking=True,
    )
    renewal_ids = fields.One2many(
        "library.membership.renewal",
        "membership_id",
        string="Renewals",
        groups="library_crm.group_library_user",
    )
    renewal_count = fields.Integer(
        compute="_compute_renewal_count", groups="library_crm.group_library_user"
    )
    previous_id = fields.Many2one(
        "library.membership",
        string="Follows",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        help="The membership that this one continues after it had ended.",
    )

    _end_after_start = models.Constraint(
        "CHECK (date_end IS NULL OR date_end >= date_start)",
        "Last day: it can not be before the first day.",
    )
    _fee_not_negative = models.Constraint(
        "CHECK (fee >= 0)", "Fee: it can not be below zero."
    )
    _cancelled_has_reason = models.Constraint(
        "CHECK (state != 'cancelled' OR reason_id IS NOT NULL)",
        "Reason: a cancelled membership must say why.",
    )
    _one_open_per_plan = models.UniqueIndex(
        "(patron_id, plan_id) WHERE state IN ('draft', 'active', 'grace', 'suspended')",
        "Plan: the patron already has an open membership under this plan. "
        "Renew or cancel that one.",
    )

    # ------------------------------------------------------------
    # COMPUTES
    # ------------------------------------------------------------

    @api.depends("plan_id")
    def _compute_fee(self):
        for membership in self:
            membership.fee = membership.plan_id.fee

    @api.depends("plan_id", "date_start")
    def _compute_date_end(self):
        for membership in self:
            plan, start = membership.plan_id, membership.date_start
            membership.date_end = plan._get_end(start) if plan and start else False

    @api.depends("date_end", "plan_id.grace_days")
    def _compute_date_grace_end(self):
        for membership in self:
            end = membership.date_end
            membership.date_grace_end = end and _move_day(
                end, membership.plan_id.grace_days
            )

    @api.depends("date_end")
    def _compute_days_left(self):
        today = fields.Date.context_today(self)
        for membership in self:
            end = membership.date_end
            membership.days_left = (end - today).days if end else 0

    @api.depends("state", "date_end", "plan_id")
    def _compute_is_renewable(self):
        today = fields.Date.context_today(self)
        for membership in self:
            first_day = membership._get_renewable_from()
            membership.is_renewable = (
                membership.state in ("active", "grace", "expired")
                and membership.date_end not in (False, date.max)
                and membership.plan_id.period_count
                and not (first_day and today < first_day)
            )

    @api.depends("renewal_ids")
    def _compute_renewal_count(self):
        counts = dict(
            self.env["library.membership.renewal"]._read_group(
                [("membership_id", "in", self.ids)], ["membership_id"], ["__count"]
            )
        )
        for membership in self:
            membership.renewal_count = counts.get(membership, 0)

    @api.depends("patron_id.complete_name", "plan_id.name")
    def _compute_display_name(self):
        for membership in self:
            membership.display_name = self.env._(
                "%(patron)s: %(plan)s",
                patron=membership.patron_id.complete_name or "",
                plan=membership.plan_id.name or "",
            )

    @api.constrains("suspended_on", "suspended_until")
    def _check_suspension(self):
        for membership in self:
            until = membership.suspended_until
            if until and until < membership.suspended_on:
                raise ValidationError(
                    self.env._(
                        "Suspended until: %(until)s is before the suspension begins "
                        "(%(start)s).",
                        until=format_date(self.env, until),
                        start=format_date(self.env, membership.suspended_on),
                    )
                )

    # ------------------------------------------------------------
    # WHAT STAFF DO
    # ------------------------------------------------------------

    def _get_state_by_date(self, today):
        """The state that the dates alone give to a membership that was started.

        :param datetime.date today: the day asked about
        :return: ``active``, ``grace`` or ``expired``
        :rtype: str
        """
        self.ensure_one()
        if not self.date_end or today <= self.date_end:
            return "active"
        return "grace" if today <= self.date_grace_end else "expired"

    def action_activate(self):
        """Start a draft: its day has come and, where there is one, its fee is paid.

        :raise UserError: if a line is no draft, or its first day is still to come
        """
        today = fields.Date.context_today(self)
        for membership in self:
            membership._check_state("draft")
            if membership.date_start > today:
                raise UserError(
                    self.env._(
                        "First day: this membership begins on %(date)s. Change the "
                        "first day to start it now.",
                        date=format_date(self.env, membership.date_start),
                    )
                )
            membership.state = membership._get_state_by_date(today)

    def action_renew(self):
        """Extend by one period of the plan, or begin a new line after expiry.

        Before the end and in grace the same line goes on (in grace from the old end
        or from today, as the plan says). An expired line stays as it is and a new
        line begins today.

        :return: the memberships that are now running, in the order of ``self``
        :raise UserError: if a line never ends, is a draft, suspended or cancelled,
            or the plan does not allow a renewal so early
        """
        today = fields.Date.context_today(self)
        running = self.browse()
        for membership in self:
            membership._check_state("active", "grace", "expired")
            running += (
                membership._start_again(today)
                if membership._get_state_by_date(today) == "expired"
                else membership._extend(today)
            )
        return running

    def _get_renewable_from(self):
        """The first day on which the line may be renewed, as its plan says.

        :return: the day, or False where it may be renewed at any time
        :rtype: datetime.date | bool
        """
        self.ensure_one()
        window = self.plan_id.renewal_window_days
        if not window or not self.date_end:
            return False
        return _move_day(self.date_end, -window)

    def _extend(self, today):
        self.ensure_one()
        plan, old_end = self.plan_id, self.date_end
        if old_end in (False, date.max) or not plan.period_count:
            raise UserError(
                self.env._(
                    "Last day: this membership never ends, there is nothing to renew."
                )
            )
        first_day = self._get_renewable_from()
        if first_day and today < first_day:
            raise UserError(
                self.env._(
                    "Renewable from: the plan %(plan)s can be renewed from %(date)s "
                    "on.",
                    plan=plan.name,
                    date=format_date(self.env, first_day),
                )
            )
        in_grace = today > old_end
        start = (
            today
            if in_grace and plan.late_renewal_start == "today"
            else old_end + timedelta(days=1)
        )
        new_end = plan._get_end(start)
        self.env["library.membership.renewal"].create(
            self._prepare_renewal_values(today, old_end, new_end)
        )
        self.date_end = new_end
        self.state = self._get_state_by_date(today)
        return self

    def _prepare_renewal_values(self, today, old_end, new_end):
        """Values of the row that remembers a renewal; a hook."""
        return {
            "membership_id": self.id,
            "date": today,
            "old_end": old_end,
            "new_end": new_end,
            "fee": self.plan_id.fee,
        }

    def _start_again(self, today, **values):
        self.ensure_one()
        if self.state not in ("expired", "cancelled"):
            self.state = "expired"
            # Or the database sees two open lines: Odoo inserts before it updates.
            self.flush_recordset(["state"])
        return self.create(
            {
                "patron_id": self.patron_id.id,
                "plan_id": self.plan_id.id,
                "date_start": today,
                "previous_id": self.id,
                "state": "active",
                **values,
            }
        )

    def action_suspend(self, reason, until=False):
        """Bar the memberships from today on.

        :param reason: ``library.membership.reason`` for suspension
        :param datetime.date until: last day of the suspension; False: until resumed
        :raise UserError: if a line is neither active nor in grace
        """
        self._check_state("active", "grace")
        self.write(
            {
                "state": "suspended",
                "suspended_on": fields.Date.context_today(self),
                "suspended_until": until,
                "reason_id": reason.id,
            }
        )

    def action_resume(self):
        """End a suspension. Where the plan stops the clock, the days are given back.

        :raise UserError: if a line is not suspended
        """
        self._check_state("suspended")
        self._resume(fields.Date.context_today(self))

    def _resume(self, today):
        """End the suspension as of ``today``, the first day that is not barred."""
        for membership in self:
            values = {
                "suspended_on": False,
                "suspended_until": False,
                "reason_id": False,
            }
            if membership.plan_id.suspension_extends and membership.date_end:
                values["date_end"] = _move_day(
                    membership.date_end, (today - membership.suspended_on).days
                )
            membership.write(values)
            membership.state = membership._get_state_by_date(today)

    def action_cancel(self, reason):
        """End the memberships today, for a reason.

        :param reason: ``library.membership.reason`` for cancellation
        :raise UserError: if a line has already ended
        """
        self._check_state(*self._OPEN_STATES)
        self.write(
            {
                "state": "cancelled",
                "cancelled_on": fields.Date.context_today(self),
                "reason_id": reason.id,
            }
        )

    def action_change_plan(self, plan):
        """Go on under another plan from today; the old line is kept as cancelled.

        :param plan: the new ``library.membership.plan``
        :return: the new membership
        :raise UserError: if the line is not running, or already has that plan
        """
        self.ensure_one()
        self._check_state("active", "grace")
        if plan == self.plan_id:
            raise UserError(
                self.env._("Plan: the membership already has %(plan)s.", plan=plan.name)
            )
        self.action_cancel(
            self.env.ref("library_crm.library_membership_reason_plan_change")
        )
        return self.create(
            {
                "patron_id": self.patron_id.id,
                "plan_id": plan.id,
                "previous_id": self.id,
                "state": "active",
            }
        )

    def _check_state(self, *expected):
        """:raise UserError: naming the first line that is in none of the states"""
        labels = dict(self._fields["state"]._description_selection(self.env))
        for membership in self:
            if membership.state not in expected:
                raise UserError(
                    self.env._(
                        "State: %(membership)s is %(state)s; this can be done when it "
                        "is %(expected)s.",
                        membership=membership.display_name,
                        state=labels[membership.state],
                        expected=", ".join(labels[state] for state in expected),
                    )
                )

    # ------------------------------------------------------------
    # WHAT THE LIBRARY SYSTEM SAYS
    # ------------------------------------------------------------

    @api.model
    def _start_from_ils(self, vals_list):
        """Memberships that run in the library system already, whatever fee the plan
        has here: in the state that their dates give.

        :param list vals_list: as for ``create``
        :return: the new memberships
        """
        memberships = self.create([{**vals, "state": "active"} for vals in vals_list])
        memberships._follow_dates()
        return memberships

    def _set_end_from_ils(self, date_end):
        """Take over the last day that the library system holds.

        A later day is a renewal and leaves its row. After a membership that had
        ended a new line begins today, as with ``action_renew``, so that the gap stays
        visible. An earlier day is a correction. A suspension stays.

        :param datetime.date date_end: the last day; not before the first
        :return: the membership that now holds the day
        """
        self.ensure_one()
        today = fields.Date.context_today(self)
        old_end = self.date_end
        is_later = old_end and date_end > old_end
        if self.state in ("expired", "cancelled") and is_later and date_end >= today:
            return self._start_again(today, date_end=date_end)
        if is_later and self.state != "draft":
            self.env["library.membership.renewal"].create(
                self._prepare_renewal_values(today, old_end, date_end)
            )
        self.date_end = date_end
        if self.state == "draft" and self.date_start <= today:
            self.state = "active"
        if self.state in ("active", "grace", "expired"):
            self._follow_dates()
        return self

    def _follow_dates(self):
        """Give running lines the state of their dates, those in step left alone."""
        today = fields.Date.context_today(self)
        for state, memberships in self.grouped(
            lambda membership: membership._get_state_by_date(today)
        ).items():
            memberships.filtered(lambda line, state=state: line.state != state).write(
                {"state": state}
            )

    # ------------------------------------------------------------
    # ACTIONS OF THE SCREEN
    # ------------------------------------------------------------

    def action_open_change(self):
        """Open the dialogue that suspends, cancels or changes the plan; which of
        them comes in the context as ``default_operation``."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Change the membership"),
            "res_model": "library.membership.change",
            "view_mode": "form",
            "target": "new",
            "context": {**self.env.context, "default_membership_ids": self.ids},
        }

    # ------------------------------------------------------------
    # CRON
    # ------------------------------------------------------------

    @api.model
    def _cron_update_states(self):
        """Move the memberships to the state of the day.

        Runs in batches and commits after each; what has been moved no longer
        matches, so a second run of the same day finds nothing to do.
        """
        today = fields.Date.context_today(self)
        for domain, move in self._get_daily_moves(today):
            domain = Domain(domain)
            remaining = self.search_count(domain)
            while batch := self.search(domain, limit=self._CRON_BATCH):
                move(batch.with_context(tracking_disable=True))
                remaining -= len(batch)
                if not self.env["ir.cron"]._commit_progress(
                    len(batch), remaining=max(remaining, 0)
                ):
                    return
                self.env.invalidate_all()

    def _get_daily_moves(self, today):
        """What the calendar does to memberships, in the order in which it is done.

        :return: pairs of a domain and a function that moves the records found, so
            that they no longer match the domain
        """
        started = [("state", "=", "draft"), ("date_start", "<=", today)]
        over = [
            ("date_end", "<", today),
            "|",
            ("date_grace_end", "=", False),
            ("date_grace_end", "<", today),
        ]
        clock_runs = [
            "|",
            ("state", "in", ["active", "grace"]),
            "&",
            ("state", "=", "suspended"),
            ("plan_id.suspension_extends", "=", False),
        ]
        return [
            (
                [*started, ("plan_id.fee", "=", 0)],
                lambda batch: batch.write({"state": "active"}),
            ),
            (
                [("state", "=", "suspended"), ("suspended_until", "<", today)],
                lambda batch: batch._resume_on_time(),
            ),
            (
                Domain(over) & Domain(clock_runs),
                lambda batch: batch.write({"state": "expired"}),
            ),
            (
                [("state", "=", "active"), ("date_end", "<", today)],
                lambda batch: batch.write({"state": "grace"}),
            ),
        ]

    def _resume_on_time(self):
        """Resume each on the day after its suspension ended, also where the job is
        late, so that a late job gives no extra days."""
        for until, memberships in self.grouped("suspended_until").items():
            memberships._resume(until + timedelta(days=1))
