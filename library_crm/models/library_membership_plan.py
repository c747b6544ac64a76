from datetime import date

from dateutil.relativedelta import relativedelta

from odoo import fields, models


class LibraryMembershipPlan(models.Model):
    """What a membership costs, how long it lasts and how it is renewed."""

    _name = "library.membership.plan"
    _description = "Membership Plan"
    _order = "sequence, name, id"
    _check_company_auto = True
    _library_personal_data = {"*": "setting"}

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    color = fields.Integer()
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    fee = fields.Monetary(
        required=True, default=0, help="For one period; 0: free of charge."
    )
    period_count = fields.Integer(
        string="Period",
        required=True,
        default=1,
        help="How many days, months or years a membership lasts; 0: it never ends.",
    )
    period_unit = fields.Selection(
        [("day", "Days"), ("month", "Months"), ("year", "Years")],
        required=True,
        default="year",
    )
    grace_days = fields.Integer(
        string="Grace Period (days)",
        default=30,
        help="Days after the end in which the membership may still be renewed as if "
        "it had not ended.",
    )
    renewal_window_days = fields.Integer(
        string="Renewable From (days before the end)",
        default=60,
        help="0: at any time.",
    )
    late_renewal_start = fields.Selection(
        [
            ("end", "The day after the old end"),
            ("today", "The day of the renewal"),
        ],
        string="Renewal in Grace Starts",
        required=True,
        default="end",
    )
    suspension_extends = fields.Boolean(
        string="Suspension Stops the Clock",
        help="On: the days of a suspension are added to the end. Off: a suspended "
        "membership ends on its day.",
    )
    membership_count = fields.Integer(
        string="Current Memberships", compute="_compute_membership_count"
    )

    _period_not_negative = models.Constraint(
        "CHECK (period_count >= 0)", "Period: it can not be below zero."
    )
    _grace_not_negative = models.Constraint(
        "CHECK (grace_days >= 0)", "Grace period: it can not be below zero."
    )
    _window_not_negative = models.Constraint(
        "CHECK (renewal_window_days >= 0)",
        "Renewable from: the number of days can not be below zero.",
    )
    _fee_not_negative = models.Constraint(
        "CHECK (fee >= 0)", "Fee: it can not be below zero."
    )

    def _compute_membership_count(self):
        counts = dict(
            self.env["library.membership"]._read_group(
                [
                    ("plan_id", "in", self.ids),
                    ("state", "in", self.env["library.membership"]._OPEN_STATES),
                ],
                ["plan_id"],
                ["__count"],
            )
        )
        for plan in self:
            plan.membership_count = counts.get(plan, 0)

    def _get_end(self, start):
        """The last day of a period of this plan.

        A period ends the day before its anniversary. Where the month of the
        anniversary has no such day, the anniversary is the first day after that
        month: a year from 29 February 2024 ends on 28 February 2025, a month from
        31 January on the last day of February.

        :param datetime.date start: the first day
        :return: the last day, or False where the plan never ends
        :rtype: datetime.date | bool
        """
        self.ensure_one()
        if not self.period_count:
            return False
        step = relativedelta(**{f"{self.period_unit}s": self.period_count})
        try:
            anniversary = start + step
        except (OverflowError, ValueError):  # after the end of the calendar
            return date.max
        day_is_missing = self.period_unit != "day" and anniversary.day != start.day
        return anniversary - relativedelta(days=0 if day_is_missing else 1)
