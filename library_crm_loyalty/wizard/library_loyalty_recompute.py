from odoo import api, fields, models
from odoo.exceptions import UserError


class LibraryLoyaltyRecompute(models.TransientModel):
    """Let the rules of a programme, as they stand, hold for the past too; after a look
    at what that would change."""

    _name = "library.loyalty.recompute"
    _description = "Recompute Points"

    program_id = fields.Many2one(
        "loyalty.program", string="Programme", required=True, readonly=True
    )
    since = fields.Date(
        string="From",
        help="The rules as they stand hold for what happened from this day on. Empty: "
        "from the beginning.",
    )
    gaining = fields.Integer(string="Patrons Who Gain", compute="_compute_preview")
    losing = fields.Integer(string="Patrons Who Lose", compute="_compute_preview")
    given = fields.Integer(string="Points Given", compute="_compute_preview")
    taken = fields.Integer(string="Points Taken", compute="_compute_preview")
    waived = fields.Integer(
        string="Not Asked Back",
        compute="_compute_preview",
        help="Points taken that patrons have spent already.",
    )

    @api.depends("program_id", "since")
    def _compute_preview(self):
        for wizard in self:
            preview = wizard.program_id._library_preview(wizard.since or None)
            for name, value in preview.items():
                wizard[name] = value

    def action_recompute(self):
        self.ensure_one()
        self.program_id.check_access("write")
        today = self.program_id._library_today()
        if self.since and self.since > today:
            raise UserError(
                self.env._("From: a day that is over is expected, or none at all.")
            )
        self.program_id._library_recompute(self.since or None)
        return self.program_id.action_view_library_ledger()
