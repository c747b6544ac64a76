from odoo import api, fields, models


class LibraryPeerImportColumn(models.TransientModel):
    """What a column of the file is."""

    _name = "library.peer.import.column"
    _description = "Column of an Import of Libraries"
    _order = "sequence, id"

    import_id = fields.Many2one(
        "library.peer.import", required=True, index=True, ondelete="cascade"
    )
    sequence = fields.Integer()
    name = fields.Char(string="Column", readonly=True)
    sample = fields.Char(string="For Example", readonly=True)
    what = fields.Selection("_selection_what", string="Is")
    left_out = fields.Char(
        string="Leave Out Rows That Say",
        help="Rows that say one of these there are not libraries like yours; several "
        "are parted by commas.",
    )

    @api.model
    def _selection_what(self):
        return self.env["library.peer.column"]._selection_what()

    def _get_label(self):
        return dict(self._selection_what())[self.what]
