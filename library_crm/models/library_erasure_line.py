from odoo import fields, models


class LibraryErasureLine(models.Model):
    """How many records of a kind an erasure removed and kept, and why."""

    _name = "library.erasure.line"
    _description = "What an Erasure Did"
    _order = "erasure_id, id"
    _rec_name = "what"
    _log_access = False
    _library_personal_data = {"*": "erased"}

    erasure_id = fields.Many2one(
        "library.erasure",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(related="erasure_id.company_id")
    what = fields.Char(required=True, readonly=True)
    removed = fields.Integer(readonly=True, aggregator="sum")
    kept = fields.Integer(
        readonly=True,
        aggregator="sum",
        help="Without the person, where nothing else is said.",
    )
    reason = fields.Char(string="Why It Is Kept", readonly=True)
