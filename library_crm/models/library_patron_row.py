from odoo import fields, models


class LibraryPatronRow(models.Model):
    """What a source has said last of a patron, so that nobody need look at the same
    again. Nobody sees it.

    ``digest`` is a keyed digest of the row of the file and ``state`` one of what stood
    here afterwards. As long as both are the same there is nothing to do. It goes with
    the patron.
    """

    _name = "library.patron.row"
    _description = "Row of a Patron"
    _log_access = False
    _library_personal_data = {"*": "link"}

    patron_id = fields.Many2one("library.patron", required=True, ondelete="cascade")
    source_id = fields.Many2one(
        "library.data.source", required=True, ondelete="cascade"
    )
    digest = fields.Char()
    state = fields.Char()
    guardian_ref = fields.Char(
        help="The guardian, who was not among the patrons when the row was read; until "
        "the end of the load."
    )

    _patron_source_uniq = models.UniqueIndex("(patron_id, source_id)")
    _digest_idx = models.Index("(digest, source_id)")
    _guardian_idx = models.Index("(source_id, id) WHERE guardian_ref IS NOT NULL")
