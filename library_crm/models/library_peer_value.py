from odoo import api, fields, models


class LibraryPeerValue(models.Model):
    """What another library reported of a year: an indicator as it stands in the set, or
    a number of which indicators are made."""

    _name = "library.peer.value"
    _description = "Figure of Another Library"
    _order = "indicator_id, measure, id"
    _rec_name = "amount"
    _log_access = False
    _library_personal_data = {"*": "figures"}

    peer_id = fields.Many2one(
        "library.peer", required=True, index=True, ondelete="cascade"
    )
    indicator_id = fields.Many2one(
        "library.indicator", index="btree_not_null", ondelete="cascade"
    )
    measure = fields.Selection("_selection_measures", string="Number")
    amount = fields.Float(digits=(16, 2), required=True, aggregator=None)

    _figure_uniq = models.UniqueIndex(
        "(peer_id, COALESCE(indicator_id, 0), COALESCE(measure, ''))",
        "Figure of another library: it is there already.",
    )
    _one_of_two = models.Constraint(
        "CHECK ((indicator_id IS NULL) != (measure IS NULL))",
        "Figure: either an indicator or a number is expected.",
    )

    @api.model
    def _selection_measures(self):
        return list(self.env["library.indicator.measure"]._get_labels().items())
