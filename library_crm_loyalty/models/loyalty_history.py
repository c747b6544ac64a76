from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

#: Lines that tell what became of points, not how many there were.
SPENT_KINDS = ("redeemed", "undone", "expired", "donated")


class LoyaltyHistory(models.Model):
    """The ledger of points: what was earned or given away, when, under which rule, for
    which use. It says which service and day, never what was read.

    Lines of a library's programme are added by ``loyalty.card._library_post`` and never
    changed: a mistake is put right by another line.
    """

    _inherit = "loyalty.history"
    _library_personal_data = {
        "*": "loyalty",
        "card_id": "loyalty",
        "description": "loyalty",
        "issued": "loyalty",
        "used": "loyalty",
    }

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
    library_is_undoable = fields.Boolean(
        compute="_compute_library_is_undoable",
        compute_sudo=True,
        help="Points that were given within a household, and not given back.",
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
    _library_moved_once = models.UniqueIndex(
        "(library_key, (issued > 0)) WHERE library_kind = 'moved'",
        "Ledger: these points were given, or given back, already.",
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

    def _compute_library_is_undoable(self):
        for line in self:
            giving, receiving = line._get_move()
            line.library_is_undoable = giving and receiving

    # ------------------------------------------------------------
    # GIVEN WITHIN A HOUSEHOLD
    # ------------------------------------------------------------

    #: Before the key of what was given, in the key of the lines that give it back.
    _BACK = "back "

    def _get_move(self):
        """The line that gave these points to somebody of the household and the line
        that received them, as superuser; none where they were given back, or one of the
        two is erased.

        :rtype: tuple[loyalty.history, loyalty.history]
        """
        self.ensure_one()
        nothing = self.sudo().browse()
        key = self.library_key
        if self.library_kind != "moved" or not key or key.startswith(self._BACK):
            return nothing, nothing
        lines = self.sudo().search(
            [
                ("library_kind", "=", "moved"),
                ("library_key", "in", (key, self._BACK + key)),
            ]
        )
        if len(lines) != 2 or not all(lines.card_id.mapped("active")):
            return nothing, nothing
        return lines.filtered("used"), lines.filtered("issued")

    def action_library_undo(self):
        """Ask for the reason."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Undo"),
            "res_model": "library.loyalty.undo",
            "view_mode": "form",
            "target": "new",
            "context": {"default_line_id": self.id},
        }

    def _undo_move(self, reason):
        """Give points back that were given within a household. Whoever calls this has
        seen to it that the user may do so.

        :param str reason: kept with the lines
        :raise UserError: if they can not be given back, or are spent
        """
        self.ensure_one()
        giving, receiving = self._get_move()
        if not giving:
            raise UserError(self.env._("These points can not be given back any more."))
        cards = giving.card_id | receiving.card_id
        cards._library_lock(SQL("card.id = ANY(%s)", list(cards._ids)))
        receiving.card_id._library_move(
            giving.card_id,
            receiving.issued,
            self._BACK + giving.library_key,
            receiving.library_date,
            reason,
        )

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
