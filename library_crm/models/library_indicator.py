from odoo import api, fields, models


class LibraryIndicator(models.Model):
    """A figure by which a library shows what it does: a numerator, over a denominator
    where it is a rate, each a measure that is known by name.

    The shipped ones are made in the style of ISO 11620 and ISO 2789, of which they are
    no copy: the formula says in words what is counted here.
    """

    _name = "library.indicator"
    _description = "Indicator"
    _order = "sequence, name, id"
    _rec_names_search = ["name", "code"]
    _library_personal_data = {"*": "setting"}

    name = fields.Char(required=True, translate=True)
    code = fields.Char(required=True, help="By which reports find it.")
    sequence = fields.Integer(default=10)
    active = fields.Boolean(
        default=True, help="Archived: it is not counted any more; its figures stay."
    )
    formula = fields.Text(
        translate=True, help="In words, for whoever reads the figure."
    )
    numerator = fields.Selection("_selection_measures", required=True)
    denominator = fields.Selection(
        "_selection_measures", help="Empty: the numerator is the figure."
    )
    service_category = fields.Selection(
        lambda self: (
            self.env["library.service"]
            ._fields["category"]
            ._description_selection(self.env)
        ),
        help="Uses and costs of services of this category only; empty: of all.",
    )
    scale = fields.Float(
        required=True,
        default=1,
        digits=(16, 2),
        help="What the figure is multiplied by: 100 of a percentage, 1000 of a figure "
        "per thousand people.",
    )
    unit = fields.Selection(
        [
            ("count", "Number"),
            ("percent", "Percent"),
            ("per_capita", "Per person"),
            ("money", "Money"),
            ("score", "Score"),
            ("days", "Days"),
        ],
        required=True,
        default="count",
    )
    direction = fields.Selection(
        [("up", "More is better"), ("down", "Less is better")],
        required=True,
        default="up",
    )
    target_ids = fields.One2many(
        "library.indicator.target", "indicator_id", string="Targets"
    )

    comparison_text = fields.Char(
        string="Among Other Libraries",
        compute="_compute_comparison_text",
        help="The last fiscal year, in the library where you work.",
    )

    _code_uniq = models.UniqueIndex(
        "(code)", "Indicator code: another indicator already has this code."
    )
    _scale_positive = models.Constraint(
        "CHECK (scale > 0)", "Scale: a number above zero is expected."
    )

    @api.model
    def _selection_measures(self):
        return list(self.env["library.indicator.measure"]._get_labels().items())

    @api.depends_context("company")
    def _compute_comparison_text(self):
        last = self.env["library.peer.comparison"].search(
            [
                ("indicator_id", "in", self.ids),
                ("company_id", "=", self.env.company.id),
                ("is_latest", "=", True),
            ]
        )
        values = last.value_id
        texts = {value.indicator_id: value.comparison_text for value in values}
        for indicator in self:
            indicator.comparison_text = texts.get(indicator)

    def action_view_comparison(self):
        """Where the figures of the indicator stand among other libraries."""
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_peer_comparison_action"
            ),
            "name": self.name,
            "domain": [("indicator_id", "=", self.id)],
            "context": {},
        }

    def action_view_values(self):
        """The figures of the indicator, month by month."""
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_indicator_value_action"
            ),
            "name": self.name,
            "views": [(False, "graph"), (False, "list"), (False, "pivot")],
            "domain": [("indicator_id", "=", self.id)],
            "context": {"search_default_whole_library": 1},
        }
