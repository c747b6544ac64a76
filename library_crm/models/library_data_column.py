from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..formats.headers import get_forbidden


class LibraryDataColumn(models.Model):
    """That a column of a file is a field of ours.

    Of several columns for one field, a name and a street are made of all of them, one
    after the other; any other field takes the first that is not empty.
    """

    _name = "library.data.column"
    _description = "Column of a Data Source"
    _order = "sequence, id"
    _rec_name = "name"
    _library_personal_data = {"*": "setting"}

    source_id = fields.Many2one(
        "library.data.source", required=True, index=True, ondelete="cascade"
    )
    sequence = fields.Integer(default=10)
    name = fields.Char(
        string="Column of the File",
        required=True,
        help="As it stands in the first line; capital letters do not matter.",
    )
    field = fields.Selection(
        [
            ("card_number", "Card number"),
            ("ils_ref", "Number in the library system"),
            ("name", "Name"),
            ("street", "Street"),
            ("street2", "Street, second line"),
            ("city", "City"),
            ("state", "State"),
            ("zip", "Postcode"),
            ("country", "Country"),
            ("email", "Email"),
            ("phone", "Phone"),
            ("birth_date", "Birth date"),
            ("category_code", "Patron category"),
            ("enrolled_on", "Patron since"),
            ("expiry_date", "Card expires"),
            ("guardian_ref", "Guardian"),
            ("branch_code", "Branch"),
            ("date", "Day of the use"),
            ("time", "Time of the use (tells rows apart, is not kept)"),
            ("service_code", "Service, kind of use"),
            ("quantity", "Quantity"),
        ],
        string="Is",
        required=True,
    )

    @api.constrains("name", "field", "source_id")
    def _check_forbidden(self):
        for column in self:
            thing = get_forbidden(column.name, column.source_id.kind, column.field)
            if thing:
                raise ValidationError(
                    self.env._(
                        "The column “%(column)s” may not be read: its name says that "
                        "it holds what must not be kept (%(thing)s).",
                        column=column.name,
                        thing=thing,
                    )
                )
