from odoo import fields, models


class LibraryDataRefusal(models.Model):
    """A row that a load could not take, and why, until it is mended."""

    _name = "library.data.refusal"
    _description = "Refused Row"
    _order = "line, id"
    _rec_name = "reason"
    _library_personal_data = {"*": "load"}

    load_id = fields.Many2one(
        "library.data.load", required=True, index=True, ondelete="cascade"
    )
    line = fields.Integer(required=True, aggregator=False)
    reason = fields.Text(required=True)
    content = fields.Text(
        string="Row",
        help="The columns that are read, as comma-separated text; columns that may "
        "not be kept are not in it.",
    )
