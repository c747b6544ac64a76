from odoo import api, fields, models


class LibraryUsageLog(models.TransientModel):
    """Log that a service was used: choose the service, save."""

    _name = "library.usage.log"
    _description = "Log a Use"
    _check_company_auto = True

    patron_id = fields.Many2one(
        "library.patron", help="Empty: nobody in particular, an anonymous tally."
    )
    service_id = fields.Many2one(
        "library.service", required=True, domain=[("logged_at_desk", "=", True)]
    )
    branch_id = fields.Many2one(
        "library.branch",
        required=True,
        compute="_compute_branch_id",
        store=True,
        readonly=False,
        precompute=True,
    )
    date = fields.Date(required=True, default=fields.Date.context_today)
    quantity = fields.Integer(required=True, default=1)

    @api.depends("patron_id")
    def _compute_branch_id(self):
        for log in self:
            log.branch_id = (
                log.branch_id
                or self.env.user.library_branch_id
                or log.patron_id.branch_id
            )

    def action_log(self):
        self.ensure_one()
        self.env["library.service.usage"].create(
            {
                "patron_id": self.patron_id.id,
                "service_id": self.service_id.id,
                "branch_id": self.branch_id.id,
                "date": self.date,
                "quantity": self.quantity,
            }
        )
        return {"type": "ir.actions.act_window_close"}
