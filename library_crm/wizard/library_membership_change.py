from odoo import api, fields, models
from odoo.exceptions import UserError


class LibraryMembershipChange(models.TransientModel):
    """Suspend or cancel memberships for a reason, or change the plan of one."""

    _name = "library.membership.change"
    _description = "Change a Membership"

    operation = fields.Selection(
        [("suspend", "Suspend"), ("cancel", "Cancel"), ("plan", "Change the plan")],
        required=True,
        default="cancel",
    )
    membership_ids = fields.Many2many("library.membership", required=True)
    reason_type = fields.Char(compute="_compute_reason_type")
    reason_id = fields.Many2one(
        "library.membership.reason",
        compute="_compute_reason_id",
        store=True,
        readonly=False,
        domain="[('applies_to', '=', reason_type)]",
    )
    suspended_until = fields.Date(
        string="Until", help="The last day of the suspension; empty: until resumed."
    )
    plan_id = fields.Many2one("library.membership.plan", string="New Plan")

    @api.depends("operation")
    def _compute_reason_type(self):
        for change in self:
            change.reason_type = (
                change.operation if change.operation != "plan" else "cancel"
            )

    @api.depends("operation")
    def _compute_reason_id(self):
        for change in self:
            if change.reason_id.applies_to != change.operation:
                change.reason_id = False

    def action_apply(self):
        """:raise UserError: if the reason or the plan is missing"""
        self.ensure_one()
        if self.operation == "plan":
            if not self.plan_id:
                raise UserError(self.env._("New plan: choose one."))
            for membership in self.membership_ids:
                membership.action_change_plan(self.plan_id)
        elif not self.reason_id:
            raise UserError(self.env._("Reason: choose one."))
        elif self.operation == "suspend":
            self.membership_ids.action_suspend(self.reason_id, self.suspended_until)
        else:
            self.membership_ids.action_cancel(self.reason_id)
        return {"type": "ir.actions.act_window_close"}
