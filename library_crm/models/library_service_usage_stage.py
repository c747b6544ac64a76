from odoo import fields, models


class LibraryServiceUsageStage(models.Model):
    """A batch of rows of use that a load has read and not yet merged. Nobody sees it.

    It is an ordinary table, so that a load outlives a crash of PostgreSQL. A batch is
    one record, each column of it one text: the values of the rows as PostgreSQL writes
    an array. Thousands of rows are so written, read and deleted at the cost of one.
    """

    _name = "library.service.usage.stage"
    _description = "Use That Is Being Loaded"
    _log_access = False
    _library_personal_data = {"*": "load"}

    # No foreign keys: the rows live for minutes, and are checked when they are merged.
    load_id = fields.Integer(required=True, index=True)
    row_count = fields.Integer(required=True)
    keys = fields.Text(required=True)
    patron_ids = fields.Text(required=True)
    service_ids = fields.Text(required=True)
    branch_ids = fields.Text(required=True)
    dates = fields.Text(required=True)
    quantities = fields.Text(required=True)
    channels = fields.Text(required=True)
