from odoo import api, fields, models
from odoo.exceptions import ValidationError


class LibraryCost(models.Model):
    """What a library spent in a period: on a service, a category of services or
    everything; in a branch or in none in particular. It is spread over the days of the
    period, so that a year's subscription costs each month its share."""

    _name = "library.cost"
    _inherit = ["library.indicator.source.mixin"]
    _description = "Cost"
    _order = "date_from desc, id desc"
    _check_company_auto = True
    _library_personal_data = {"*": "setting"}

    name = fields.Char(required=True, help="E.g. staff, or a subscription.")
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    branch_id = fields.Many2one(
        "library.branch",
        check_company=True,
        index="btree_not_null",
        ondelete="restrict",
        help="Empty: of no branch in particular, so part of the whole library's cost.",
    )
    service_id = fields.Many2one(
        "library.service",
        check_company=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    service_category = fields.Selection(
        lambda self: (
            self.env["library.service"]
            ._fields["category"]
            ._description_selection(self.env)
        ),
        compute="_compute_service_category",
        store=True,
        readonly=False,
        precompute=True,
        help="Empty: of no service in particular; it is part of the cost of all use.",
    )
    date_from = fields.Date(string="First Day", required=True)
    date_to = fields.Date(string="Last Day", required=True)
    currency_id = fields.Many2one(
        "res.currency",
        required=True,
        default=lambda self: self.env.company.currency_id,
    )
    amount = fields.Monetary(required=True)
    company_currency_id = fields.Many2one(
        related="company_id.currency_id", string="Currency of the Library"
    )
    company_amount = fields.Monetary(
        string="In the Library's Currency",
        currency_field="company_currency_id",
        compute="_compute_company_amount",
        store=True,
        precompute=True,
        help="At the rate of the first day.",
    )

    _period_forward = models.Constraint(
        "CHECK (date_to >= date_from)", "Last day: it can not be before the first day."
    )
    _amount_not_negative = models.Constraint(
        "CHECK (amount >= 0)", "Amount: it can not be below zero."
    )

    @api.depends("service_id")
    def _compute_service_category(self):
        for cost in self:
            cost.service_category = cost.service_id.category or cost.service_category

    @api.depends("amount", "currency_id", "company_id", "date_from")
    def _compute_company_amount(self):
        for cost in self:
            if cost.currency_id and cost.company_id and cost.date_from:
                cost.company_amount = cost.currency_id._convert(
                    cost.amount,
                    cost.company_id.currency_id,
                    cost.company_id,
                    cost.date_from,
                )
            else:
                cost.company_amount = cost.amount

    @api.constrains("currency_id", "company_id")
    def _check_rate(self):
        for cost in self:
            others = cost.currency_id - cost.company_id.currency_id
            if others and not others.rate_ids:
                raise ValidationError(
                    self.env._(
                        "%(currency)s has no rate, so that %(cost)s can not be told in "
                        "%(own)s: enter a rate, or the amount in %(own)s.",
                        currency=cost.currency_id.name,
                        cost=cost.name,
                        own=cost.company_id.currency_id.name,
                    )
                )

    def _get_touched_period(self):
        return self.date_from, self.date_to
