from odoo import fields, models
from odoo.exceptions import UserError


class LibraryLoyaltyUndo(models.TransientModel):
    """Undo a redemption, and say why."""

    _name = "library.loyalty.undo"
    _description = "Undo a Redemption"

    redemption_id = fields.Many2one(
        "library.loyalty.redemption", required=True, readonly=True
    )
    points = fields.Integer(related="redemption_id.points", string="Points Given Back")
    reason = fields.Char(help="It stays with the redemption.")

    def action_undo(self):
        self.ensure_one()
        if not (self.reason or "").strip():
            raise UserError(
                self.env._("Reason: say why, it stays with the redemption.")
            )
        self.redemption_id.check_access("read")
        self.redemption_id._undo(self.reason.strip())
        return {"type": "ir.actions.client", "tag": "soft_reload"}
