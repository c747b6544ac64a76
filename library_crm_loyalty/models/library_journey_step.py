from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL


class LibraryJourneyStep(models.Model):
    """A step can give points of a programme to whoever takes part in it.

    The line of the ledger and the event of the journey are written together, and the
    line carries the number of both, so nobody gets the points twice.
    """

    _inherit = "library.journey.step"

    kind = fields.Selection(
        selection_add=[("points", "Points"), ("condition",)],
        ondelete={"points": lambda steps: steps._pass_over()},
    )
    loyalty_program_id = fields.Many2one(
        "loyalty.program",
        string="Programme",
        index="btree_not_null",
        ondelete="restrict",
        domain="[('program_type', '=', 'library'), ('company_id', '=', company_id)]",
    )
    loyalty_points = fields.Integer(string="Points to Give", default=10)
    loyalty_text = fields.Char(
        string="What Patrons Read",
        translate=True,
        default=lambda self: self.env._("A gift of the library"),
        help="What the points are for, on the patron's card.",
    )

    _loyalty_points_plausible = models.Constraint(
        "CHECK (kind != 'points' OR loyalty_points BETWEEN 1 AND 10000)",
        "Points to give: 1 to 10,000.",
    )

    # ------------------------------------------------------------
    # WHO MAY GIVE POINTS
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        steps = super().create(vals_list)
        steps._check_may_give_points()
        return steps

    def write(self, vals):
        result = super().write(vals)
        if {"kind", "loyalty_program_id", "loyalty_points"} & vals.keys():
            self._check_may_give_points()
        return result

    def _check_may_give_points(self):
        """:raise AccessError: naming the step"""
        if self.env.su or self.env["loyalty.card"].has_access("write"):
            return
        for step in self:
            if step.kind == "points":
                raise AccessError(
                    self.env._(
                        "%(step)s: a manager can let a journey give points.",
                        step=step.name,
                    )
                )

    # ------------------------------------------------------------
    # WHAT A KIND OF STEP SAYS OF ITSELF
    # ------------------------------------------------------------

    def _say_missing(self):
        if self.kind == "points":
            program = self.loyalty_program_id.sudo()
            if (
                program.program_type != "library"
                or program.company_id != self.company_id
            ):
                return self.env._("a programme of the library is missing")
            if not program._library_runs():
                return self.env._("its programme is not running")
        return super()._say_missing()

    @api.model
    def _get_always_open(self):
        return super()._get_always_open() | {"loyalty_text"}

    def _say_detail(self):
        if self.kind == "points":
            program = self.loyalty_program_id.sudo()
            return f"+{self.loyalty_points} · {program.name or ''}"
        return super()._say_detail()

    def _get_icon(self):
        return "fa-star-o" if self.kind == "points" else super()._get_icon()

    # ------------------------------------------------------------
    # GIVING
    # ------------------------------------------------------------

    def _run_points(self, enrolments):
        treated = enrolments.filtered(lambda enrolment: enrolment.arm == "treated")
        (enrolments - treated)._pass(self, "held_out")
        program = self.loyalty_program_id.sudo()
        if not program._library_runs():
            treated._pass(self, "skipped", reason="programme_over")
            return
        cards = program._library_get_cards(treated.patron_id)
        given = treated.filtered(lambda enrolment: enrolment.patron_id in cards)
        (treated - given)._pass(self, "skipped", reason="no_card")
        self._give_points(
            {enrolment: cards[enrolment.patron_id] for enrolment in given}
        )
        given._pass(self, "done")

    def _give_points(self, cards):
        """:param dict cards: the card of each enrolment"""
        program = self.loyalty_program_id.sudo()
        lang = program.company_id.partner_id.lang or self.env.lang
        lines = {
            f"journey {enrolment.id}-{self.id}": {
                "card_id": card.id,
                "description": self.with_context(lang=lang).loyalty_text
                or program.name,
                "library_kind": "journey",
                "library_date": program._library_today(),
                "points": self.loyalty_points,
            }
            for enrolment, card in cards.items()
        }
        known = self.env["loyalty.history"].sudo()
        known = known.search(
            [("library_kind", "=", "journey"), ("library_key", "in", list(lines))]
        )
        for key in known.mapped("library_key"):
            del lines[key]
        self.env["loyalty.card"].sudo()._library_post(
            [{**line, "library_key": key} for key, line in lines.items()]
        )
        program._library_place(
            SQL("card.id = ANY(%s)", [line["card_id"] for line in lines.values()])
        )
