from odoo import fields, models


class LibrarySegmentSnapshot(models.Model):
    """How many patrons a segment had on a day, in a library."""

    _name = "library.segment.snapshot"
    _description = "Size of a Segment"
    _order = "date desc, id desc"
    _rec_name = "segment_id"
    _log_access = False
    _library_personal_data = {"*": "figures"}

    segment_id = fields.Many2one(
        "library.segment", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        "res.company", string="Library", required=True, ondelete="cascade"
    )
    date = fields.Date(required=True)
    patron_count = fields.Integer(
        string="Patrons",
        required=True,
        aggregator="avg",
        help="Of several days: the average.",
    )

    _day_uniq = models.UniqueIndex(
        "(segment_id, company_id, date)",
        "Size of a segment: it was counted on that day already.",
    )
