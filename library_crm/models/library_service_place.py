from dateutil.relativedelta import relativedelta

from odoo import api, fields, models


class LibraryServicePlace(models.Model):
    """How many places a programme offered in a month, in a branch: of all its sittings
    together. With the attendances of that month it tells how full they were."""

    _name = "library.service.place"
    _inherit = ["library.indicator.source.mixin"]
    _description = "Places Offered"
    _order = "month desc, branch_id, service_id, id"
    _rec_name = "service_id"
    _check_company_auto = True
    _library_personal_data = {"*": "figures"}

    month = fields.Date(
        required=True,
        default=lambda self: fields.Date.start_of(
            self.env.company._get_library_today(), "month"
        ),
        help="Any day of it will do.",
    )
    branch_id = fields.Many2one(
        "library.branch",
        required=True,
        index=True,
        ondelete="cascade",
        default=lambda self: self.env.user.library_branch_ids[:1],
    )
    company_id = fields.Many2one(
        related="branch_id.company_id", string="Library", store=True, index=True
    )
    service_id = fields.Many2one(
        "library.service",
        string="Programme",
        required=True,
        index=True,
        ondelete="cascade",
        check_company=True,
        domain=[("indicator", "=", "attendances")],
    )
    places = fields.Integer(
        string="Places Offered",
        required=True,
        aggregator="sum",
        help="Of all sittings in the month: eight story times of 20 places are 160.",
    )

    _month_uniq = models.UniqueIndex(
        "(branch_id, service_id, month)",
        "Places offered: there is a number for this programme, branch and month "
        "already.",
    )
    _places_not_negative = models.Constraint(
        "CHECK (places >= 0)", "Places offered: the number can not be below zero."
    )
    _month_first_day = models.Constraint(
        "CHECK (date_part('day', month) = 1)", "Month: its first day is expected."
    )

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([self._with_first_day(vals) for vals in vals_list])

    def write(self, vals):
        return super().write(self._with_first_day(vals))

    @api.model
    def _with_first_day(self, vals):
        if not vals.get("month"):
            return vals
        month = fields.Date.start_of(fields.Date.to_date(vals["month"]), "month")
        return {**vals, "month": month}

    def _get_touched_period(self):
        return self.month, self.month + relativedelta(months=1, days=-1)
