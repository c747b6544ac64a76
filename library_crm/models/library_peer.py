from odoo import api, fields, models


class LibraryPeer(models.Model):
    """Another library in a year, as a data set has it."""

    _name = "library.peer"
    _description = "Library to Compare with"
    _order = "name, id"
    _log_access = False
    _library_personal_data = {"*": "figures"}

    set_id = fields.Many2one(
        "library.peer.set",
        string="Data Set",
        required=True,
        index=True,
        ondelete="cascade",
    )
    year = fields.Integer(related="set_id.year")
    ref = fields.Char(
        string="Number",
        required=True,
        help="What tells it from others in the set, and finds it again the next year.",
    )
    name = fields.Char(required=True)
    region = fields.Char()
    population = fields.Integer(
        string="People to Be Served", required=True, aggregator="sum"
    )
    band_id = fields.Many2one(
        "library.peer.band",
        string="Population Band",
        compute="_compute_band_id",
        store=True,
        index="btree_not_null",
        ondelete="set null",
    )
    is_own = fields.Boolean(
        string="Our Library",
        help="It is left out: nobody is compared with themselves.",
    )
    value_ids = fields.One2many("library.peer.value", "peer_id", string="Figures")

    _ref_uniq = models.UniqueIndex(
        "(set_id, ref)", "Number: another library of the set has it already."
    )
    _population_positive = models.Constraint(
        "CHECK (population > 0)", "People to be served: a number above 0 is expected."
    )

    @api.depends("population")
    def _compute_band_id(self):
        for peer in self:
            peer.band_id = self.env["library.peer.band"]._find(peer.population)
