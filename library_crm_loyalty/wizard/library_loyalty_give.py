from odoo import api, fields, models
from odoo.exceptions import UserError


class LibraryLoyaltyGive(models.TransientModel):
    """Points of one patron for another one of the household, asked for at the desk."""

    _name = "library.loyalty.give"
    _description = "Give Points within a Household"

    card_id = fields.Many2one(
        "loyalty.card", string="Of", required=True, readonly=True, ondelete="cascade"
    )
    patron_id = fields.Many2one(related="card_id.library_patron_id", string="From")
    program_id = fields.Many2one(related="card_id.program_id", string="Programme")
    points_there = fields.Float(related="card_id.points", string="There Are")
    patron_ids = fields.Many2many("library.patron", compute="_compute_patron_ids")
    receiver_id = fields.Many2one(
        "library.patron", string="To", domain="[('id', 'in', patron_ids)]"
    )
    points = fields.Integer(string="Points to Give")

    @api.depends("card_id")
    def _compute_patron_ids(self):
        for wizard in self:
            receivers = wizard.card_id._library_get_receivers().library_patron_id
            wizard.patron_ids = receivers.with_env(self.env)._filtered_access("read")

    def action_give(self):
        self.ensure_one()
        if not self.receiver_id:
            raise UserError(self.env._("To: whom are the points for?"))
        self.card_id.check_access("read")
        self.receiver_id.check_access("read")
        self.card_id._library_give(
            self.card_id._library_get_receivers().filtered(
                lambda card: card.library_patron_id == self.receiver_id
            ),
            self.points,
        )
        return {"type": "ir.actions.client", "tag": "soft_reload"}
