from odoo import api, fields, models
from odoo.exceptions import ValidationError


class LibraryValueLine(models.Model):
    """What one use is worth. A price that no service has yet, such as that of a museum
    pass, counts nothing until it is given one."""

    _name = "library.value.line"
    _description = "Price of a Use"
    _order = "table_id, sequence, id"
    _rec_names_search = ["name", "table_id.name"]
    _library_personal_data = {"*": "setting"}

    name = fields.Char(
        string="As Published", required=True, translate=True, help="Of what it tells."
    )
    sequence = fields.Integer(default=10)
    table_id = fields.Many2one(
        "library.value.table", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="table_id.company_id", string="Library")
    currency_id = fields.Many2one(related="table_id.currency_id")
    service_id = fields.Many2one(
        "library.service",
        index="btree_not_null",
        ondelete="set null",
        help="Goes before a price of its category.",
    )
    category = fields.Selection(
        lambda self: (
            self.env["library.service"]
            ._fields["category"]
            ._description_selection(self.env)
        ),
        string="or Category",
        help="The price of all its services that have none of their own.",
    )
    audience = fields.Selection(
        [
            ("adult", "Adults"),
            ("young_adult", "Young adults"),
            ("child", "Children"),
        ],
        help="Empty: everybody, and whoever is counted without a name.",
    )
    unit_value = fields.Monetary(required=True)
    unit = fields.Selection(
        [
            ("use", "Use"),
            ("item", "Item"),
            ("hour", "Hour"),
            ("visit", "Attendance"),
            ("question", "Question"),
            ("search", "Search"),
        ],
        required=True,
        default="use",
    )
    units_per_use = fields.Float(
        string="Units a Use",
        required=True,
        default=1.0,
        help="How many units one counted use is: 2 where a price is that of an hour "
        "and a booking takes two.",
    )

    _price_uniq = models.UniqueIndex(
        "(table_id, COALESCE(service_id, 0), COALESCE(category, ''), "
        "COALESCE(audience, '')) "
        "WHERE service_id IS NOT NULL OR category IS NOT NULL",
        "Price of a use: the table already has one for this service and audience.",
    )
    _value_not_negative = models.Constraint(
        "CHECK (unit_value >= 0 AND units_per_use > 0)",
        "Price of a use: it can not be below zero, and a use is more than nothing.",
    )

    @api.constrains("service_id", "category")
    def _check_one_target(self):
        for line in self:
            if line.service_id and line.category:
                raise ValidationError(
                    self.env._(
                        "%(line)s: it is the price of a service or of a category, "
                        "not of both.",
                        line=line.name,
                    )
                )

    @api.constrains("service_id", "table_id")
    def _check_one_library(self):
        for line in self:
            company = line.service_id.company_id
            if company and company != line.table_id.company_id:
                raise ValidationError(
                    self.env._(
                        "%(service)s is a service of %(company)s only; so must be the "
                        "table.",
                        service=line.service_id.name,
                        company=company.name,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        lines.table_id._check_own()
        return lines

    def write(self, vals):
        # Which of its services a price is that of, is for the library to say.
        if not vals.keys() <= {"service_id", "category", "units_per_use", "sequence"}:
            self.table_id._check_own()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_shipped(self):
        self.table_id._check_own()
