from odoo import api, fields, models


class LibraryPeerColumn(models.Model):
    """What a column of a data set of libraries is."""

    _name = "library.peer.column"
    _description = "Column of a Data Set of Libraries"
    _order = "sequence, id"
    _library_personal_data = {"*": "setting"}

    set_id = fields.Many2one(
        "library.peer.set", required=True, index=True, ondelete="cascade"
    )
    sequence = fields.Integer(default=10)
    name = fields.Char(string="Column of the File", required=True)
    what = fields.Selection("_selection_what", string="Is")
    left_out = fields.Char(
        string="Leave Out Rows That Say",
        help="Rows that say one of these there are not libraries like yours; several "
        "are parted by commas.",
    )

    @api.model
    def _selection_what(self):
        return [
            ("ref", self.env._("Number of the library")),
            ("name", self.env._("Name of the library")),
            ("region", self.env._("Region")),
            ("population", self.env._("People to be served")),
            *self.env["library.peer.set"]._get_figures(),
        ]
