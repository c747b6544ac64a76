from odoo import api, fields, models
from odoo.exceptions import ValidationError


class LibraryDataValue(models.Model):
    """What a file calls a branch, a patron category or a service."""

    _name = "library.data.value"
    _description = "Value of a Data Source"
    _order = "field, found, id"
    _rec_name = "found"
    _check_company_auto = True
    _library_personal_data = {"*": "setting"}

    source_id = fields.Many2one(
        "library.data.source", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="source_id.company_id")
    field = fields.Selection(
        [
            ("branch_code", "Branch"),
            ("category_code", "Patron category"),
            ("service_code", "Service"),
        ],
        required=True,
    )
    found = fields.Char(
        string="In the File", help="Empty: whatever is not in the list."
    )
    branch_id = fields.Many2one(
        "library.branch", check_company=True, ondelete="cascade", index="btree_not_null"
    )
    category_id = fields.Many2one(
        "library.patron.category",
        check_company=True,
        ondelete="cascade",
        index="btree_not_null",
    )
    service_id = fields.Many2one(
        "library.service",
        check_company=True,
        ondelete="cascade",
        index="btree_not_null",
        help="Empty: it is no use of a service, and its rows are not counted.",
    )

    _found_uniq = models.UniqueIndex(
        "(source_id, field, COALESCE(found, ''))",
        "In the file: this value stands in the list already.",
    )

    @api.constrains("field", "branch_id", "category_id")
    def _check_target(self):
        for value in self:
            target = {
                "branch_code": value.branch_id,
                "category_code": value.category_id,
            }
            if not target.get(value.field, True):
                raise ValidationError(
                    self.env._(
                        "%(found)s: say which branch or patron category it is.",
                        found=value.found or "—",
                    )
                )

    def get_code(self):
        """Our code for what the file says; empty: it is no use of a service.

        :rtype: str
        """
        self.ensure_one()
        record = self.branch_id or self.category_id or self.service_id
        return record.code or ""
