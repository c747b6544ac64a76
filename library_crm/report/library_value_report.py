from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL


class LibraryValueReport(models.Model):
    """What the use of services was worth, by each table of prices, beside what it cost:
    a row for a month, branch, service and table.

    The tables tell the same uses at different prices, so figures of several are never
    added up: put the tables side by side. A service that a table has no price for is
    counted, and has no value. Costs are turned into the currency of the table at the
    rate of the end of the month; where there is no rate they are not told. The return
    compares only what has both: the value of a month (and branch, or service) for
    which no cost was entered does not go into it.
    """

    _name = "library.value.report"
    _description = "Value of Use"
    _inherit = "library.ratio.mixin"
    _auto = False
    _order = "month desc, branch_id, service_id, table_id, id"
    _rec_name = "service_id"
    _ratios = {"value_rate": ("compared_value", "cost")}
    #: What is said of one table only.
    _FIGURES = ("quantity", "unpriced", "value", "compared_value", "cost", "value_rate")
    #: The columns of audiences, and their names in prices: nobody knows who it was
    #: where there is no category.
    _AUDIENCES = {
        "adult": "adult",
        "young_adult": "young_adult",
        "child": "child",
        "unknown": None,
    }
    _depends = {
        "library.cost": [
            *("branch_id", "company_amount", "company_id", "date_from", "date_to"),
            *("service_category", "service_id"),
        ],
        "library.patron.category": ["kind"],
        "library.service": ["category"],
        "library.service.usage.month": [
            *("branch_id", "company_id", "month", "patron_category_id", "quantity"),
            "service_id",
        ],
        "library.value.line": [
            *("audience", "category", "service_id", "table_id", "unit_value"),
            "units_per_use",
        ],
        "library.value.table": ["active", "company_id", "currency_id"],
        "res.company": ["currency_id"],
        "res.currency.rate": ["company_id", "currency_id", "name", "rate"],
    }

    table_id = fields.Many2one(
        "library.value.table", string="Value Table", readonly=True
    )
    currency_id = fields.Many2one("res.currency", readonly=True)
    company_id = fields.Many2one("res.company", string="Library", readonly=True)
    branch_id = fields.Many2one(
        "library.branch", readonly=True, help="Empty: costs of the whole library."
    )
    service_id = fields.Many2one(
        "library.service", readonly=True, help="Empty: costs of all services."
    )
    category = fields.Selection(
        lambda self: (
            self.env["library.service"]
            ._fields["category"]
            ._description_selection(self.env)
        ),
        string="Kind of Service",
        readonly=True,
    )
    month = fields.Date(readonly=True)
    quantity = fields.Integer(string="Uses", readonly=True)
    unpriced = fields.Integer(
        string="Uses without a Price",
        readonly=True,
        help="Of services that the table has no price for: their value is not told.",
    )
    value = fields.Monetary(readonly=True)
    compared_value = fields.Monetary(
        string="Value Compared with Cost",
        readonly=True,
        help="That of months, branches and services for which a cost was entered.",
    )
    cost = fields.Monetary(
        readonly=True, help="In the currency of the table; empty: there is no rate."
    )
    value_rate = fields.Float(
        string="Return (%)",
        digits=(16, 0),
        readonly=True,
        aggregator="avg",
        help="Value for a hundred spent, where both are known. Of a branch or a kind "
        "of service: for what was spent on it alone; what was spent for all together "
        "is in the total only.",
    )

    def _read_group_select(self, aggregate_spec, query):
        expression = super()._read_group_select(aggregate_spec, query)
        if aggregate_spec.partition(":")[0] not in self._FIGURES:
            return expression
        table = self._field_to_sql(self._table, "table_id", query)
        return SQL("CASE WHEN MIN(%s) = MAX(%s) THEN %s END", table, table, expression)

    @api.model
    def _search(self, domain, *args, **options):
        # What is left of the domain when all that is not of months holds: no stricter
        # than the domain, if nothing in it is negated.
        asked = Domain(domain).optimize(self)
        if "!" in list(asked):
            asked = Domain.TRUE
        months = asked.map_conditions(
            lambda condition: (
                condition if condition.field_expr == "month" else Domain.TRUE
            )
        )
        report = self.with_context(library_value_months=months.optimize_full(self))
        return super(LibraryValueReport, report)._search(domain, *args, **options)

    @property
    def _table_query(self):
        """Cost: one pass over the index of the roll-up, of the months that are asked
        for, whatever the number of uses. The uses of each audience are a column until
        they meet their prices, so that a cell is one row and not one for each.

        Rows are numbered within their library and month, so that PostgreSQL looks at no
        other. Costs are looked at from several places, where it does not see which
        months are asked for: these it is told (``_search``)."""
        months = self.env.context.get("library_value_months", Domain.TRUE)
        return SQL(
            """
            WITH spent AS MATERIALIZED (
                SELECT * FROM (%(costs)s) dated WHERE %(months)s
            ),
            rate AS MATERIALIZED (
                SELECT * FROM (%(rates)s) dated WHERE %(months)s
            ),
            price AS MATERIALIZED (
                SELECT table_id, service_id, %(price_columns)s
                  FROM (%(prices)s) price
              GROUP BY table_id, service_id
            ),
            cell AS (
                SELECT month, company_id, branch_id, service_id, category,
                       sum(amount) AS amount, sum(adult)::int AS adult,
                       sum(young_adult)::int AS young_adult,
                       sum(child)::int AS child, sum(unknown)::int AS unknown
                  FROM (
                        SELECT month, company_id, branch_id, service_id,
                               NULL AS category, NULL::float8 AS amount,
                               %(use_columns)s
                          FROM library_service_usage_month
                      GROUP BY 1, 2, 3, 4
                     UNION ALL
                        SELECT month, company_id, branch_id, service_id,
                               CASE WHEN service_id IS NULL THEN category END, amount,
                               0, 0, 0, 0
                          FROM spent
                       ) part
              GROUP BY 1, 2, 3, 4, 5
            ),
            told AS (
                SELECT cell.month, cell.company_id, cell.branch_id, cell.service_id,
                       coalesce(service.category, cell.category) AS category,
                       value_table.id AS table_id, value_table.currency_id,
                       priced.quantity::int AS quantity,
                       priced.unpriced::int AS unpriced, priced.value,
                       CASE WHEN rate.rate IS NOT NULL AND %(has_cost)s
                            THEN priced.value
                        END AS compared_value,
                       cell.amount * rate.rate AS cost
                  FROM cell
             LEFT JOIN library_service service ON service.id = cell.service_id
                  JOIN library_value_table value_table
                    ON value_table.active
                   AND (value_table.company_id IS NULL
                        OR value_table.company_id = cell.company_id)
             LEFT JOIN price
                    ON price.table_id = value_table.id
                   AND price.service_id = cell.service_id
            CROSS JOIN LATERAL (
                        SELECT sum(uses) AS quantity,
                               coalesce(sum(uses) FILTER (WHERE price IS NULL), 0)
                                   AS unpriced,
                               sum(uses * price) FILTER (WHERE uses != 0) AS value
                          FROM (
                                VALUES (cell.adult, price.adult),
                                       (cell.young_adult, price.young_adult),
                                       (cell.child, price.child),
                                       (cell.unknown, price.unknown)
                               ) audience (uses, price)
                       ) priced
             LEFT JOIN rate
                    ON rate.company_id = cell.company_id
                   AND rate.currency_id = value_table.currency_id
                   AND rate.month = cell.month
            )
            SELECT (10000::bigint * company_id
                    + 12 * (date_part('year', month)::int - 1900)
                    + date_part('month', month)::int) * 1000000
                   + row_number() OVER (
                       PARTITION BY company_id, month
                       ORDER BY table_id, branch_id, category, service_id
                   ) AS id,
                   month, company_id, branch_id, service_id, category, table_id,
                   currency_id, quantity, unpriced, value, compared_value, cost,
                   %(ratios)s
              FROM told
            """,
            costs=self._query_costs(),
            months=months._to_sql(self, "dated", None),
            prices=self.env["library.value.table"]._sql_prices(),
            price_columns=self._sql_price_columns(),
            use_columns=self._sql_use_columns(),
            has_cost=self._sql_has_cost(),
            rates=self._query_rates(),
            ratios=self._sql_ratios(),
        )

    def _sql_price_columns(self):
        """The price of a use by each audience, for a query of prices that has a row for
        each. As float8, in which PostgreSQL multiplies much faster."""
        return SQL(", ").join(
            SQL(
                "max(price::float8) FILTER ("
                "WHERE audience IS NOT DISTINCT FROM %s) AS %s",
                audience,
                SQL.identifier(name),
            )
            for name, audience in self._AUDIENCES.items()
        )

    def _sql_use_columns(self):
        """The uses of each audience, for a query of the roll-up."""
        audience_of = self.env["library.value.table"]._sql_audience(SQL("category"))
        return SQL(", ").join(
            SQL(
                "coalesce(sum(quantity) FILTER (WHERE %s), 0)::int AS %s",
                SQL("patron_category_id IS NULL")
                if audience is None
                else SQL(
                    """
                    patron_category_id = ANY (ARRAY(
                        SELECT id FROM library_patron_category category WHERE %s = %s
                    ))
                    """,
                    audience_of,
                    audience,
                ),
                SQL.identifier(name),
            )
            for name, audience in self._AUDIENCES.items()
        )

    def _query_costs(self):
        """What was spent by month, each day its part, up to today.

        :return: a query of month, company_id, branch_id, service_id, category and
            amount in the library's currency
        :rtype: odoo.tools.SQL
        """
        return SQL(
            """
            SELECT month.start::date AS month, cost.company_id, cost.branch_id,
                   cost.service_id,
                   coalesce(service.category, cost.service_category) AS category,
                   sum(
                       cost.company_amount::float8
                       * (1 + LEAST(
                                  cost.date_to, CURRENT_DATE,
                                  (month.start + interval '1 month - 1 day')::date
                              )
                            - GREATEST(cost.date_from, month.start::date))
                       / (1 + cost.date_to - cost.date_from)
                   ) AS amount
              FROM library_cost cost
         LEFT JOIN library_service service ON service.id = cost.service_id
        CROSS JOIN LATERAL generate_series(
                       date_trunc('month', cost.date_from::timestamp),
                       LEAST(cost.date_to, CURRENT_DATE)::timestamp,
                       interval '1 month'
                   ) month (start)
          GROUP BY 1, 2, 3, 4, 5
            """
        )

    def _sql_has_cost(self):
        """Whether a cost was entered that covers a use: of its service, of the kind of
        service or of all, and of its branch or of all. Written so that PostgreSQL looks
        it up in a hash."""
        covers = []
        for places in (["branch_id"], []):
            for services in (["service_id"], ["category"], []):
                told = places + services
                untold = {"branch_id", "service_id", "category"} - set(told)
                if services == ["service_id"]:
                    untold.remove("category")  # It has that of the service.
                names = ["month", "company_id", *told]
                conditions = [
                    SQL("%s IS NOT NULL", SQL.identifier(name)) for name in told
                ]
                conditions += [
                    SQL("%s IS NULL", SQL.identifier(name)) for name in sorted(untold)
                ]
                covers.append(
                    SQL(
                        "(%s) IN (SELECT %s FROM spent WHERE %s)",
                        SQL(", ").join(
                            SQL.identifier(
                                "service" if name == "category" else "cell", name
                            )
                            for name in names
                        ),
                        SQL(", ").join(map(SQL.identifier, names)),
                        SQL(" AND ").join(conditions),
                    )
                )
        return SQL("(%s)", SQL(" OR ").join(covers))

    def _query_rates(self):
        """By how much a cost in the library's currency is to be multiplied to have it
        in that of a table, for each month since the first cost. Of another currency
        than the library's, the rate must have been entered: Odoo would else take it
        for 1."""
        return SQL(
            """
            SELECT need.company_id, need.currency_id, need.month,
                   CASE WHEN need.currency_id = need.company_currency_id THEN 1
                        ELSE wanted.rate / coalesce(given.rate, 1)
                    END AS rate
              FROM (
                    SELECT month.start::date AS month, first.company_id,
                           company.currency_id AS company_currency_id,
                           split_part(company.parent_path, '/', 1)::int AS root_id,
                           value_table.currency_id
                      FROM (
                            SELECT company_id, min(date_from)::timestamp AS day
                              FROM library_cost
                          GROUP BY company_id
                           ) first
                      JOIN res_company company ON company.id = first.company_id
                CROSS JOIN LATERAL generate_series(
                               date_trunc('month', first.day), CURRENT_DATE::timestamp,
                               interval '1 month'
                           ) month (start)
                CROSS JOIN (
                            SELECT DISTINCT currency_id
                              FROM library_value_table
                             WHERE active
                           ) value_table
                   ) need
         LEFT JOIN LATERAL (%(wanted)s) wanted ON TRUE
         LEFT JOIN LATERAL (%(given)s) given ON TRUE
            """,
            wanted=self._query_rate(SQL("need.currency_id")),
            given=self._query_rate(SQL("need.company_currency_id")),
        )

    def _query_rate(self, currency):
        return SQL(
            """
            SELECT rate.rate
              FROM res_currency_rate rate
             WHERE rate.currency_id = %s
               AND (rate.company_id IS NULL OR rate.company_id = need.root_id)
               AND rate.name < need.month + interval '1 month'
          ORDER BY rate.company_id, rate.name DESC
             LIMIT 1
            """,
            currency,
        )
