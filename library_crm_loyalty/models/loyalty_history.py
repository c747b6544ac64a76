from odoo import api, fields, models
from odoo.exceptions import UserError

#: Lines that tell what became of points, not how many there were.
SPENT_KINDS = ("redeemed", "undone", "expired", "donated")


class LoyaltyHistory(models.Model):
    """The ledger of points: what was earned or given away, when, under which rule, for
    which use. It says which service and day, never what was read.

    Lines of a library's programme are added by ``loyalty.card._library_post`` and never
    changed: a mistake is put right by another line.
    """

    _inherit = "loyalty.history"

    library_rule_id = fields.Many2one(
        "library.loyalty.rule",
        string="Rule",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    library_kind = fields.Selection(
        [
            ("earned", "Earned"),
            ("corrected", "Corrected"),
            ("manual", "By hand"),
            ("journey", "By a journey"),
            ("redeemed", "Redeemed"),
            ("undone", "Redemption undone"),
            ("expired", "Expired"),
            ("merged", "Merged"),
            ("moved", "Moved"),
            ("donated", "Donated"),
        ],
        string="What",
        readonly=True,
    )
    library_date = fields.Date(
        string="Day",
        readonly=True,
        help="Of the use or whatever the points are for; when the line was added is "
        "another day where the use came late.",
    )
    library_usage_id = fields.Many2one(
        "library.service.usage",
        string="Use",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
        help="Empty: the points are for a day, a week or something else, or the use is "
        "kept no longer.",
    )
    library_redemption_id = fields.Many2one(
        "library.loyalty.redemption",
        string="Redemption",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    library_key = fields.Char(
        readonly=True, help="What the points are for; nothing earns twice under a rule."
    )
    library_note = fields.Char(string="Reason", readonly=True)
    library_points = fields.Float(
        string="Points",
        compute="_compute_library_points",
        digits=(16, 0),
        help="Added or taken.",
    )
    library_patron_id = fields.Many2one(
        related="card_id.library_patron_id",
        string="Patron",
        groups="library_crm.group_library_user",
    )
    library_program_id = fields.Many2one(
        related="card_id.program_id", string="Programme"
    )

    # What earns is looked for here as well, so the card stands first.
    _library_earned_once = models.UniqueIndex(
        "(card_id, library_rule_id, library_key) WHERE library_kind = 'earned'",
        "Ledger: this earned points under the rule already.",
    )
    _library_given_once = models.UniqueIndex(
        "(library_key) WHERE library_kind = 'journey'",
        "Ledger: this step of the journey gave its points already.",
    )
    _library_line_plausible = models.Constraint(
        "CHECK (library_kind IS NULL OR (issued >= 0 AND used >= 0 "
        "AND (issued = 0) != (used = 0) AND library_date IS NOT NULL))",
        "Ledger: a line adds points or takes some, and has a day.",
    )

    @api.depends("issued", "used")
    def _compute_library_points(self):
        for line in self:
            line.library_points = line.issued - line.used

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        lines._refuse_library_lines()
        return lines

    def write(self, vals):
        self._refuse_library_lines()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_library_lines(self):
        self._refuse_library_lines()

    def _refuse_library_lines(self):
        if any(self.sudo().card_id.mapped("is_library")):
            raise UserError(
                self.env._(
                    "The ledger of points is only added to. To give or take points by "
                    "hand open the card and press Update next to its points."
                )
            )
