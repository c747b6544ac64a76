from odoo import fields, models


class ResUsers(models.Model):
    _inherit = "res.users"
    _library_personal_data = {
        "*": "staff",
        "login": "login",
        "partner_id": "login",
    }

    library_branch_id = fields.Many2one(
        "library.branch",
        string="Sits at",
        help="The branch where what this user logs has happened.",
    )
    library_branch_ids = fields.Many2many(
        "library.branch",
        string="Sees the Branches",
        help="Desk staff see the patrons, memberships, requests and uses of these "
        "branches; empty: of all.",
    )

    def _get_invalidation_fields(self):
        """Record rules read the branches, and their result is cached."""
        return super()._get_invalidation_fields() | {"library_branch_ids"}
