from odoo import api, fields, models


class LibraryChallengeSquare(models.Model):
    """A square of a bingo card: something to do, such as “read outdoors” or “visit
    another branch”. Patrons tick it; one with a service ticks itself when they use it.
    """

    _name = "library.challenge.square"
    _description = "Square of a Bingo Card"
    _order = "challenge_id, sequence, id"
    _library_personal_data = {"*": "setting"}

    challenge_id = fields.Many2one(
        "library.challenge", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="challenge_id.company_id", string="Library")
    name = fields.Char(
        string="To Do",
        required=True,
        translate=True,
        help="What patrons read. Ask for something to do, not for what was read.",
    )
    sequence = fields.Integer(default=10)
    service_id = fields.Many2one(
        "library.service",
        string="Ticks Itself with",
        ondelete="restrict",
        index="btree_not_null",
        help="When the patron uses this service in the time of the challenge.",
    )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_on_a_card(self):
        self.challenge_id._refuse_when_taken_part()
