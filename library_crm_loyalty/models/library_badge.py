from odoo import api, fields, models
from odoo.exceptions import UserError


class LibraryBadge(models.Model):
    """A badge that patrons get, once, for finishing a challenge or from staff.

    Odoo's badges are for those who log in; a child of six has a badge too.
    """

    _name = "library.badge"
    _inherit = ["image.mixin"]
    _description = "Badge for Patrons"
    _order = "sequence, name, id"
    _library_personal_data = {"*": "setting"}

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    description = fields.Char(
        string="For What", translate=True, help="What patrons read under the badge."
    )
    award_ids = fields.One2many("library.badge.award", "badge_id", string="Awards")
    award_count = fields.Integer(
        string="Patrons Who Have It", compute="_compute_award_count"
    )

    @api.depends("award_ids")
    def _compute_award_count(self):
        """How many have a badge is no secret; who has it is for those who serve them:
        hence sudo."""
        counts = dict(
            self.env["library.badge.award"]
            .sudo()
            ._read_group([("badge_id", "in", self.ids)], ["badge_id"], ["__count"])
        )
        for badge in self:
            badge.award_count = counts.get(badge.sudo(), 0)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_awarded(self):
        for badge in self:
            if badge.award_count:
                raise UserError(
                    self.env._(
                        "%(count)s patrons have the badge %(badge)s. Archive it: they "
                        "keep it.",
                        count=badge.award_count,
                        badge=badge.name,
                    )
                )

    def action_view_awards(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm_loyalty.library_badge_award_action"
            ),
            "domain": [("badge_id", "=", self.id)],
            "context": {"default_badge_id": self.id},
        }
