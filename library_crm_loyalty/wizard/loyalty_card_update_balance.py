from odoo import api, fields, models
from odoo.exceptions import UserError


class LoyaltyCardUpdateBalance(models.TransientModel):
    """Points by hand in a library's programme: so many more or fewer, with a reason,
    and no more at once than the programme allows."""

    _inherit = "loyalty.card.update.balance"

    is_library = fields.Boolean(related="card_id.is_library")
    program_id = fields.Many2one(related="card_id.program_id")
    library_rule_id = fields.Many2one(
        "library.loyalty.rule",
        string="For",
        domain="[('program_id', '=', program_id), ('event', '=', 'manual')]",
        help="What is given often has a rule of its own.",
    )
    library_points = fields.Integer(
        string="Points to Give", help="Below zero: points are taken."
    )

    @api.onchange("library_rule_id")
    def _onchange_library_rule_id(self):
        if self.library_rule_id:
            self.library_points = self.library_rule_id.points
            self.description = self.library_rule_id.name

    def action_update_card_point(self):
        if not self.is_library:
            return super().action_update_card_point()
        card = self.card_id
        card.check_access("write")
        limit = card.program_id.library_manual_limit
        if not 0 < abs(self.library_points) <= limit:
            raise UserError(
                self.env._(
                    "Points: %(points)s can not be given or taken at once; 1 to "
                    "%(limit)s can. The limit stands on the programme.",
                    points=self.library_points,
                    limit=limit,
                )
            )
        if not (self.description or "").strip():
            raise UserError(self.env._("Reason: the ledger says why points are given."))
        description = self.library_rule_id.name or self.env._("Given by staff")
        if self.library_points < 0:
            description = self.env._("Taken by staff")
        card._library_post(
            [
                {
                    "card_id": card.id,
                    "description": description,
                    "library_kind": "manual",
                    "library_rule_id": self.library_rule_id.id or None,
                    "library_date": card.program_id._library_today(),
                    "library_note": self.description,
                    "points": self.library_points,
                }
            ]
        )
