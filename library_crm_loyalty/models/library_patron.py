from odoo import api, fields, models
from odoo.fields import Domain


class LibraryPatron(models.Model):
    """The patron's loyalty cards and their points."""

    _inherit = "library.patron"

    loyalty_card_ids = fields.One2many(
        "loyalty.card",
        "library_patron_id",
        string="Loyalty Cards",
        groups="library_crm.group_library_user",
    )
    loyalty_points = fields.Float(
        string="Loyalty",
        compute="_compute_loyalty_points",
        groups="library_crm.group_library_user",
        help="Points on the cards of loyalty programmes that are running.",
    )

    loyalty_tier_ids = fields.Many2many(
        "library.loyalty.tier",
        string="Loyalty Tiers",
        compute="_compute_loyalty_tier_ids",
        search="_search_loyalty_tier_ids",
        groups="library_crm.group_library_user",
    )

    @api.depends("loyalty_card_ids.library_tier_id")
    def _compute_loyalty_tier_ids(self):
        for patron in self:
            patron.loyalty_tier_ids = patron.loyalty_card_ids.library_tier_id

    @api.model
    def _search_loyalty_tier_ids(self, operator, value):
        if operator != "in":
            return NotImplemented
        tiers = [id_ for id_ in value if id_]
        found = Domain("loyalty_card_ids.library_tier_id", "in", tiers)
        if False in value:
            found |= ~Domain("loyalty_card_ids.library_tier_id", "!=", False)
        return found

    def _compute_loyalty_points(self):
        points = dict(
            self.env["loyalty.card"]._read_group(
                [
                    ("library_patron_id", "in", self.ids),
                    ("program_id.program_type", "in", ("library", "loyalty")),
                    ("program_id.active", "=", True),
                ],
                ["library_patron_id"],
                ["points:sum"],
            )
        )
        for patron in self:
            patron.loyalty_points = points.get(patron, 0)

    def action_view_loyalty_cards(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm_loyalty.loyalty_card_action"
            ),
            "domain": [("library_patron_id", "=", self.id)],
            "context": {"create": False},
        }
