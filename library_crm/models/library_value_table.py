from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL


class LibraryValueTable(models.Model):
    """What uses of services are worth, by a list of prices that somebody published or
    that the library made itself: the price is what a person would pay elsewhere.

    Sets that are shipped are facts of others, so they are not changed; a copy can be.
    """

    _name = "library.value.table"
    _description = "Value Table"
    _order = "sequence, name, id"
    _library_personal_data = {"*": "setting"}

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        index="btree_not_null",
        help="Empty: all libraries may use it.",
    )
    source = fields.Char(help="Who published the prices, and where.")
    year = fields.Integer(help="Of the prices; empty: the source does not say.")
    currency_id = fields.Many2one(
        "res.currency",
        required=True,
        default=lambda self: self.env.company.currency_id,
        ondelete="restrict",
    )
    note = fields.Text()
    is_shipped = fields.Boolean(
        string="Comes along",
        readonly=True,
        copy=False,
        help="As it was published: copy it to change a price.",
    )
    line_ids = fields.One2many(
        "library.value.line", "table_id", string="Prices", copy=True
    )
    unused_count = fields.Integer(
        string="Prices without a Service", compute="_compute_unused_count"
    )

    _year_plausible = models.Constraint(
        "CHECK (year = 0 OR year BETWEEN 1900 AND 2200)",
        "Year: a year such as 2026 is expected.",
    )

    @api.depends("line_ids.service_id", "line_ids.category")
    def _compute_unused_count(self):
        for table in self:
            table.unused_count = len(
                table.line_ids.filtered(
                    lambda line: not line.service_id and not line.category
                )
            )

    def copy_data(self, default=None):
        return [
            {**values, "name": self.env._("%(table)s (copy)", table=table.name)}
            if "name" not in (default or {})
            else values
            for table, values in zip(self, super().copy_data(default), strict=True)
        ]

    @api.model_create_multi
    def create(self, vals_list):
        tables = super().create(vals_list)
        tables._activate_currency()
        return tables

    def write(self, vals):
        # A library may put a shipped set aside, but not change what it says.
        if not vals.keys() <= {"active", "sequence"}:
            self._check_own()
        result = super().write(vals)
        if vals.keys() & {"active", "currency_id"}:
            self._activate_currency()
        return result

    def _activate_currency(self):
        """The browser knows the signs of active currencies only, and would show amounts
        of another one as if they had none."""
        currencies = self.filtered("active").currency_id
        currencies.filtered(lambda currency: not currency.active).sudo().active = True

    def _check_own(self):
        """:raise UserError: if one of these came along, except while it is loaded"""
        if self.env.context.get("install_mode"):
            return
        for table in self:
            if table.is_shipped:
                raise UserError(
                    self.env._(
                        "%(table)s is a published set: it stays as it is. "
                        "Copy it, and change the copy.",
                        table=table.name,
                    )
                )

    @api.model
    def _read_year(self, patrons, until):
        """What patrons of one library used together in the twelve months before a day,
        by kind of service, at the prices that the library tells its patrons. Figures
        are made when they are asked for and are kept nowhere.

        Cost: an index look-up a patron and their uses of a year.

        :param patrons: ``library.patron`` of one library, as superuser
        :param datetime.date until: the first day after the year
        :return: since when, the table, rows of kind, uses and value, the sum of the
            values, and in words whose year it is and what the prices are; a value is
            None without a table or a price
        :rtype: dict
        """
        company = patrons.company_id
        company.ensure_one()
        table = company.library_value_table_id.filtered("active")
        year_ago = until - relativedelta(years=1)
        kept_since = self.env["library.service.usage"]._get_kept_since(company)
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT service.category, sum(usage.quantity)::int,
                       sum(usage.quantity * price.price)::float
                  FROM library_service_usage usage
                  JOIN library_service service ON service.id = usage.service_id
             LEFT JOIN library_patron_category category
                    ON category.id = usage.patron_category_id
             LEFT JOIN (%(prices)s) price
                    ON price.table_id = %(table)s
                   AND price.service_id = usage.service_id
                   AND price.audience IS NOT DISTINCT FROM %(audience)s
                 WHERE usage.patron_id = ANY(%(patrons)s)
                   AND usage.date >= %(since)s
                   AND usage.date < %(until)s
                   AND (service.indicator != 'none' OR price.price IS NOT NULL)
              GROUP BY service.category
              ORDER BY 3 DESC NULLS LAST, 2 DESC, 1
                """,
                prices=self._sql_prices(),
                table=table.id or None,
                audience=self._sql_audience(SQL("category")),
                patrons=list(patrons._ids),
                since=year_ago,
                until=until,
            )
        )
        return {
            "company": company,
            "patrons": patrons,
            "since": max(year_ago, kept_since or year_ago),
            "until": until - relativedelta(days=1),
            "table": table,
            "rows": rows,
            "value": sum(value or 0 for _kind, _uses, value in rows) or None,
            "whose": len(patrons) > 1
            and self.env._(
                "For %(names)s together.",
                names=", ".join(patrons.mapped("complete_name")),
            ),
            "prices": self.env._(
                "Prices: %(table)s. A dash: it has no price.", table=table._say_source()
            ),
        }

    def _say_source(self):
        """:return: the name of the table with its year and source"""
        name = ", ".join(
            part for part in (self.name, self.year and str(self.year)) if part
        )
        return f"{name} – {self.source}" if self.source else name

    @api.model
    def _get_kinds(self):
        """:return: the words for the kinds of services"""
        return dict(
            self.env["library.service"]
            ._fields["category"]
            ._description_selection(self.env)
        )

    @api.model
    def _sql_prices(self):
        """The price of one use of each service by each table, for each audience: the
        one place that knows which line counts. That of the service itself goes before
        that of its category, and that of an audience before that of everybody.

        Cost: tables × services × audiences, some hundred rows.

        :return: a query of table_id, service_id, audience (empty: not known) and price;
            the price is NULL where the table has no line for the service
        :rtype: odoo.tools.SQL
        """
        return SQL(
            """
            SELECT DISTINCT ON (value_table.id, service.id, audience.name)
                   value_table.id AS table_id, service.id AS service_id,
                   audience.name AS audience,
                   line.unit_value * line.units_per_use AS price
              FROM library_value_table value_table
        CROSS JOIN library_service service
        CROSS JOIN (
                    VALUES ('adult'), ('young_adult'), ('child'), (NULL)
                   ) audience (name)
         LEFT JOIN library_value_line line
                ON line.table_id = value_table.id
               AND (line.service_id = service.id
                    OR line.service_id IS NULL AND line.category = service.category)
               AND (line.audience IS NULL OR line.audience = audience.name)
             WHERE value_table.active
          ORDER BY value_table.id, service.id, audience.name,
                   line.service_id IS NULL, line.audience IS NULL
            """
        )

    @api.model
    def _sql_audience(self, category):
        """The audience of prices that a patron of this category belongs to.

        :param SQL category: the alias of the table of categories
        """
        return SQL(
            """
            CASE WHEN %(kind)s IN ('young_adult', 'child') THEN %(kind)s
                 WHEN %(kind)s IS NOT NULL THEN 'adult'
             END
            """,
            kind=SQL("%s.kind", category),
        )
