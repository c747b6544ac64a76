from odoo import fields, models


class LibraryServiceUsageStage(models.Model):
    """Rows of use that a load has read and not yet merged. Nobody sees them.

    It is an ordinary table, so that a load outlives a crash of PostgreSQL.
    """

    _name = "library.service.usage.stage"
    _description = "Use That Is Being Loaded"
    _log_access = False

    # No foreign keys: the rows live for minutes, and are checked when they are merged.
    load_id = fields.Integer(required=True)
    line = fields.Integer(required=True)
    key = fields.Char(required=True)
    patron_id = fields.Integer()
    service_id = fields.Integer(required=True)
    branch_id = fields.Integer(required=True)
    date = fields.Date(required=True)
    quantity = fields.Integer(required=True)
    channel = fields.Char()

    _load_line_idx = models.Index("(load_id, line)")
