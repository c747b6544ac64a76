from odoo import api, fields, models
from odoo.exceptions import UserError


class LibraryLoyaltyUndo(models.TransientModel):
    """Undo a redemption, or points that were given within a household, and say why."""

    _name = "library.loyalty.undo"
    _description = "Undo a Redemption"

    redemption_id = fields.Many2one("library.loyalty.redemption", readonly=True)
    line_id = fields.Many2one("loyalty.history", readonly=True)
    points = fields.Integer(string="Points Given Back", compute="_compute_points")
    reason = fields.Char(help="It stays in the ledger.")

    @api.depends("redemption_id", "line_id")
    def _compute_points(self):
        for wizard in self:
            wizard.points = wizard.redemption_id.points or abs(
                wizard.line_id.library_points
            )

    def action_undo(self):
        self.ensure_one()
        reason = (self.reason or "").strip()
        if not reason:
            raise UserError(self.env._("Reason: say why, it stays in the ledger."))
        if self.line_id:
            giving, receiving = self.line_id._get_move()
            (self.line_id | giving | receiving).with_env(self.env).check_access("read")
            self.line_id._undo_move(reason)
        else:
            self.redemption_id.check_access("read")
            self.redemption_id._undo(reason)
        return {"type": "ir.actions.client", "tag": "soft_reload"}
