import json

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, format_date, formatLang, groupby

from .library_indicator_measure import months_between
from .library_service_usage import FEWEST_PATRONS

#: Months after its end in which a month is counted again every night: until then
#: requests are answered and memberships renewed in grace.
OPEN_MONTHS = 3
#: Months whose figures a month is part of: twelve, and twelve more for who stayed.
REACH = 23
#: Years whose months are counted in one pass: with those that they reach back to they
#: are no more than a number has bits.
YEARS_AT_ONCE = 3


class LibraryIndicatorValue(models.Model):
    """An indicator in a month that is over, and in the twelve months that end with it,
    in a branch or in the whole library.

    The figures are counted at night and kept: they outlive the rows that they are made
    of. A month in which nothing was counted has no row; it is a gap, not a zero. A
    figure of fewer than five people is not told, nor one that would tell it by taking
    away.
    """

    _name = "library.indicator.value"
    _description = "Figure of an Indicator"
    _inherit = "library.count.mixin"
    _order = "month desc, indicator_id, branch_id, id"
    _rec_name = "indicator_id"
    _log_access = False
    _library_personal_data = {"*": "figures"}

    #: What is a quotient of sums: numerator and denominator.
    _quotients = {
        "value": ("numerator", "denominator"),
        "value_year": ("numerator_year", "denominator_year"),
    }

    indicator_id = fields.Many2one(
        "library.indicator", required=True, readonly=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    branch_id = fields.Many2one(
        "library.branch",
        readonly=True,
        ondelete="cascade",
        help="Empty: the whole library.",
    )
    month = fields.Date(required=True, readonly=True, help="Its first day.")
    year = fields.Integer(string="Fiscal Year", readonly=True, aggregator=None)
    is_year_end = fields.Boolean(
        string="Ends a Fiscal Year",
        readonly=True,
        help="The twelve months are a fiscal year.",
    )
    numerator = fields.Float(
        readonly=True, aggregator=None, help="Times the scale of the indicator."
    )
    denominator = fields.Float(readonly=True, aggregator=None)
    value = fields.Float(
        string="In the Month",
        digits=(16, 2),
        readonly=True,
        aggregator="avg",
        help="Of several months or branches: of their sums; of a number the average.",
    )
    numerator_year = fields.Float(
        string="Numerator in 12 Months", readonly=True, aggregator=None
    )
    denominator_year = fields.Float(
        string="Denominator in 12 Months", readonly=True, aggregator=None
    )
    value_year = fields.Float(
        string="In 12 Months",
        digits=(16, 2),
        readonly=True,
        aggregator="avg",
        help="That end with the month. Empty in the first year, and where a month of "
        "them is not known.",
    )
    counted_on = fields.Datetime(readonly=True)
    reopened_on = fields.Datetime(
        string="Changed on",
        readonly=True,
        help="When the figure became another than what had been told: a load, a cost "
        "or a number of people came late.",
    )

    # Compared
    unit = fields.Selection(related="indicator_id.unit")
    direction = fields.Selection(related="indicator_id.direction")
    target = fields.Float(
        compute="_compute_target",
        digits=(16, 2),
        help="Of the fiscal year, for twelve months.",
    )
    standing = fields.Selection(
        [("met", "Target met"), ("missed", "Target missed"), ("none", "No target")],
        compute="_compute_target",
    )
    change = fields.Float(
        string="Change in a Year (%)",
        compute="_compute_change",
        digits=(16, 1),
        help="Of the twelve months, from those a year before.",
    )
    trend = fields.Selection(
        [("better", "Better"), ("worse", "Worse"), ("same", "Same"), ("none", "")],
        compute="_compute_change",
    )
    value_text = fields.Char(string="Figure", compute="_compute_texts")
    period_text = fields.Char(string="Twelve Months to", compute="_compute_texts")
    target_text = fields.Char(string="Target in Words", compute="_compute_texts")
    comparison_text = fields.Char(
        string="Among Other Libraries",
        compute="_compute_comparison_text",
        help="Of a fiscal year, where a data set of libraries was imported.",
    )

    _cell_uniq = models.UniqueIndex(
        "(indicator_id, company_id, COALESCE(branch_id, 0), month)",
        "Figure of an indicator: it is there already.",
    )
    _month_idx = models.Index("(company_id, month)")

    @api.depends("value_year", "indicator_id", "branch_id", "year")
    def _compute_target(self):
        targets = self.env["library.indicator.target"]._find(self)
        for value in self:
            found = targets[value]
            value.target = found.target
            if not found or not value._has_year():
                value.standing = "none"
            elif value.direction == "up":
                value.standing = "met" if value.value_year >= found.target else "missed"
            else:
                value.standing = "met" if value.value_year <= found.target else "missed"

    def _has_year(self):
        """Whether the twelve months are told: an empty figure reads as 0."""
        return bool(self.denominator_year)

    def _compute_change(self):
        past = {
            (row.indicator_id, row.company_id, row.branch_id, row.month): row
            for row in self.search(
                [
                    ("indicator_id", "in", self.indicator_id.ids),
                    ("company_id", "in", self.company_id.ids),
                    (
                        "month",
                        "in",
                        [value.month - relativedelta(years=1) for value in self],
                    ),
                ]
            )
        }
        for value in self:
            before = past.get(
                (
                    value.indicator_id,
                    value.company_id,
                    value.branch_id,
                    value.month - relativedelta(years=1),
                )
            )
            if not value._has_year() or not before or not before.value_year:
                value.change, value.trend = 0, "none"
                continue
            value.change = (
                100 * (value.value_year - before.value_year) / abs(before.value_year)
            )
            if abs(value.change) < 0.05:
                value.trend = "same"
            else:
                is_better = (value.change > 0) == (value.direction == "up")
                value.trend = "better" if is_better else "worse"

    @api.depends("value_year", "target", "unit", "month")
    def _compute_texts(self):
        for value in self:
            value.period_text = format_date(
                self.env, value.month, date_format="MMMM yyyy"
            )
            value.value_text = (
                value._format(value.value_year) if value._has_year() else "–"
            )
            value.target_text = (
                value._format(value.target) if value.standing != "none" else False
            )

    def _compute_comparison_text(self):
        found = self._find_comparisons()
        for value in self:
            value.comparison_text = found[value].text

    def _find_comparisons(self):
        """By figure, where it stands among those of other libraries; of several data
        sets in the one of the latest year, and then with the most libraries."""
        Comparison = self.env["library.peer.comparison"]
        found = dict.fromkeys(self, Comparison)
        if year_ends := self.filtered("is_year_end"):
            for row in Comparison.search(
                [("value_id", "in", year_ends.ids)], order="set_year, peers"
            ):
                found[row.value_id] = row
        return found

    def _get_comparison(self):
        """Where the figure stands among those of other libraries; for reports.

        :return: nothing, if it is not compared; else ``percentile`` (see
            ``library.peer.comparison``), ``peers`` (how many libraries), ``minimum``,
            ``quartile``, ``median``, ``upper_quartile``, ``maximum``, ``band`` (its
            name; empty: all libraries of the set), ``set`` (the record), ``set_year``,
            and ``text``, which says it in words
        :rtype: dict
        """
        self.ensure_one()
        row = self._find_comparisons()[self]
        if not row:
            return {}
        return {
            "set": row.set_id,
            "band": row.band_id.display_name or "",
            **{
                name: row[name]
                for name in (
                    *("percentile", "peers", "minimum", "quartile", "median"),
                    *("upper_quartile", "maximum", "set_year", "text"),
                )
            },
        }

    def _format(self, amount):
        if self.unit == "money":
            return formatLang(
                self.env, amount, currency_obj=self.company_id.currency_id
            )
        digits = {"count": 0, "percent": 1, "per_capita": 2, "score": 1, "days": 1}
        text = formatLang(self.env, amount, digits=digits[self.unit])
        return f"{text} %" if self.unit == "percent" else text

    def _read_group_select(self, aggregate_spec, query):
        """Rates of several rows are those of their sums. Of different indicators
        together there is no figure."""
        name, _colon, function = aggregate_spec.partition(":")
        if function != "avg" or name not in self._quotients:
            return super()._read_group_select(aggregate_spec, query)
        part, whole, indicator = (
            self._field_to_sql(self._table, field, query)
            for field in (*self._quotients[name], "indicator_id")
        )
        value = self._field_to_sql(self._table, name, query)
        return SQL(
            """
            CASE WHEN MIN(%(indicator)s) = MAX(%(indicator)s)
                 THEN SUM(%(part)s) FILTER (WHERE %(value)s IS NOT NULL)
                      / NULLIF(SUM(%(whole)s) FILTER (WHERE %(value)s IS NOT NULL), 0)
            END
            """,
            indicator=indicator,
            part=part,
            whole=whole,
            value=value,
        )

    @api.model
    @api.readonly
    def formatted_read_group(self, domain, groupby=(), aggregates=(), *args, **kwargs):
        """Leave out the groups without a figure: a graph would draw a zero."""
        groups = super().formatted_read_group(
            domain, groupby, aggregates, *args, **kwargs
        )
        figures = {f"{name}:avg" for name in self._quotients} & set(aggregates)
        if not groupby or not figures:
            return groups
        return [
            group
            for group in groups
            if any(group[spec] not in (None, False) for spec in figures)
        ]

    # ------------------------------------------------------------
    # COUNTING
    # ------------------------------------------------------------

    @api.model
    def _count(self, company):
        """Count the months that are over and that are new, open still, or not the same
        any more. What was told before the rows of use were deleted stays."""
        self.env.flush_all()
        self._count_since(
            company, self.env["library.service.usage"]._get_kept_since(company)
        )
        self.invalidate_model()
        self.env["library.indicator.month"].invalidate_model()

    @api.model
    def _count_since(self, company, since):
        Month = self.env["library.indicator.month"]
        this_month = fields.Date.start_of(company._get_library_today(), "month")
        found = self.env.execute_query(
            SQL(
                """
                SELECT used.month, used.uses, counted.uses, counted.id
                  FROM (%s) used
             LEFT JOIN library_indicator_month counted
                    ON counted.company_id = %s
                   AND counted.month = used.month
              ORDER BY used.month
                """,
                Month._query_uses(company, this_month),
                company.id,
            )
        )
        if not found:
            return
        open_since = this_month - relativedelta(months=OPEN_MONTHS)
        new = [month for month, _now, _then, known in found if not known]
        changed = [month for month, now, then, known in found if known and now != then]
        whole = {month for month, *_ in found if month >= open_since} | set(new)
        reached = {
            month
            for month, *_ in found
            if month not in whole
            and any(
                0 <= months_between(other, month) <= REACH for other in [*changed, *new]
            )
        }
        Measure = self.env["library.indicator.measure"]
        indicators = self.env["library.indicator"].search(Domain.TRUE)
        of_today = Measure._get_of_today()
        reopened = Measure._get_reopened()
        lasting = indicators.filtered(
            lambda indicator: {indicator.numerator, indicator.denominator} & of_today
        )
        last = this_month - relativedelta(months=1)
        self._count_months(company, since, sorted(whole), indicators - lasting)
        self._count_months(
            company,
            since,
            sorted(reached),
            (indicators - lasting).filtered(
                lambda indicator: (
                    {indicator.numerator, indicator.denominator} & reopened
                )
            ),
        )
        if last in new:
            self._count_months(company, since, [last], lasting)
        self._remember(company, found, changed)

    @api.model
    def _count_months(self, company, since, months, indicators):
        """Count indicators in months, all branches at once.

        Cost: one pass over what each kind of measure is made of.

        :param since: the first day of which use is known, or None
        """
        for _years, some in groupby(months, lambda month: month.year // YEARS_AT_ONCE):
            if indicators:
                self._count_at_once(company, since, some, indicators)

    @api.model
    def _count_at_once(self, company, since, months, indicators):
        """Count indicators in months that are not too far from each other."""
        Measure = self.env["library.indicator.measure"]
        names = {*indicators.mapped("numerator"), *indicators.mapped("denominator")}
        by_category = Measure._get_by_category()
        kept = Measure._get_kept()

        def category(indicator, measure):
            return indicator.service_category or "" if measure in by_category else ""

        values = {
            "company": company.id,
            "months": months,
            "asked": indicators.ids,
            "since": since
            and fields.Date.start_of(since + relativedelta(months=1, days=-1), "month"),
            "now": fields.Datetime.now(),
            "fewest": FEWEST_PATRONS,
            "people": sorted(Measure._get_of_people()),
            # Made of rows that are deleted one day.
            "lasting": [
                indicator.id
                for indicator in indicators
                if not {indicator.numerator, indicator.denominator or "population"}
                <= kept
            ],
            "indicators": json.dumps(
                [
                    {
                        "id": indicator.id,
                        "scale": indicator.scale,
                        "numerator": indicator.numerator,
                        "above_category": category(indicator, indicator.numerator),
                        "denominator": indicator.denominator or "",
                        "below_category": category(indicator, indicator.denominator),
                    }
                    for indicator in indicators
                ]
            ),
        }
        queries = SQL(" UNION ALL ").join(
            SQL("(%s)", query) for query in Measure._get_queries(company, names, months)
        )
        # Read first and write then: PostgreSQL uses one processor only for what is
        # read by a statement that writes.
        rows = self.env.execute_query(
            SQL(
                """
                WITH span AS MATERIALIZED (%(span)s),
                served AS MATERIALIZED (%(served)s),
                figure (measure, category, branch_id, month, amount, amount_year)
                    AS MATERIALIZED (%(queries)s),
                told AS MATERIALIZED (%(told)s)
                %(counted)s
                """,
                span=self._query_span(values),
                served=self._query_served(values),
                queries=queries,
                told=self._query_told(values),
                counted=self._query_counted(values),
            )
        )
        self.env.cr.execute(self._sql_write(values, rows))
        self._set_fiscal_years(company)

    def _query_span(self, values):
        return SQL(
            """
            SELECT month, since, is_served AS has_year, known_months,
                   known_months > 0 AS is_known
              FROM (
                    SELECT asked.month, (asked.month - interval '11 months')::date
                               AS since,
                           (
                               SELECT bool_and(EXISTS (
                                          SELECT FROM library_service_usage_month usage
                                           WHERE usage.company_id = %(company)s
                                             AND usage.month = one::date
                                      ))
                                 FROM generate_series(
                                          asked.month - interval '11 months',
                                          asked.month, '1 month'
                                      ) one
                           ) AS is_served,
                           coalesce(
                               12 * date_part('year', age(asked.month, %(since)s::date))
                               + date_part('month', age(asked.month, %(since)s::date))
                               + 1, 0
                           )::int AS known_months
                      FROM unnest(%(months)s::date[]) AS asked (month)
                   ) asked
            """,
            **values,
        )

    def _query_served(self, values):
        return SQL(
            """
            SELECT month, CASE WHEN GROUPING(branch_id) = 1 THEN 0 ELSE branch_id END
                       AS branch_id
              FROM library_service_usage_month
             WHERE company_id = %(company)s
               AND month = ANY(%(months)s)
          GROUP BY month, GROUPING SETS ((branch_id), ())
            HAVING sum(quantity) > 0
            """,
            **values,
        )

    def _query_told(self, values):
        """The figures with what may not be told: numbers of people below five, and
        that of the next larger branch where the branches below five, taken from the
        whole library, would be told by it."""

        def is_hidden(amount):
            return SQL(
                """
                measure = ANY(%(people)s)
                AND (
                    coalesce(%(amount)s, 0) < %(fewest)s
                    OR branch_id != 0
                    AND coalesce(sum(%(amount)s) OVER (
                            PARTITION BY measure, month, branch_id = 0
                                ORDER BY %(amount)s, branch_id
                                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                        ), 0) BETWEEN 1 AND %(fewest)s - 1
                )
                """,
                amount=amount,
                **values,
            )

        return SQL(
            """
            SELECT figure.*, %s AS is_hidden, %s AS is_hidden_year,
                   measure = ANY(%s) AS is_of_people
              FROM figure
            """,
            is_hidden(SQL("amount")),
            is_hidden(SQL("amount_year")),
            values["people"],
        )

    def _query_counted(self, values):
        """The figures of indicators. A rate of people may be told where there are five
        of them in its denominator, however small the numerator is."""
        return SQL(
            """
            SELECT indicator_id, nullif(branch_id, 0), month, numerator, denominator,
                   numerator / denominator AS value, numerator_year, denominator_year,
                   numerator_year / denominator_year AS value_year
              FROM (
                    SELECT asked.id AS indicator_id, served.month, served.branch_id,
                           CASE WHEN month_told THEN asked.scale * part END
                               AS numerator,
                           CASE WHEN month_told THEN whole END AS denominator,
                           CASE WHEN year_told THEN asked.scale * part_year END
                               AS numerator_year,
                           CASE WHEN year_told THEN whole_year END AS denominator_year
                      FROM jsonb_to_recordset(%(indicators)s::jsonb) AS asked (
                           id int, scale float8, numerator text, denominator text,
                           above_category text, below_category text
                           )
                CROSS JOIN served
                 LEFT JOIN told above
                        ON above.measure = asked.numerator
                       AND above.category = asked.above_category
                       AND above.month = served.month
                       AND above.branch_id = served.branch_id
                 LEFT JOIN told below
                        ON below.measure = asked.denominator
                       AND below.category = asked.below_category
                       AND below.month = served.month
                       AND below.branch_id = served.branch_id,
                           LATERAL (
                    SELECT %(part)s AS part, %(part_year)s AS part_year,
                           CASE WHEN asked.denominator = '' THEN 1
                                ELSE nullif(below.amount, 0) END AS whole,
                           CASE WHEN asked.denominator = '' THEN 1
                                ELSE nullif(below.amount_year, 0) END AS whole_year
                           ) number,
                           LATERAL (
                    SELECT part IS NOT NULL AND whole IS NOT NULL AND NOT
                           CASE WHEN below.is_of_people THEN below.is_hidden
                                ELSE coalesce(above.is_hidden, FALSE) END AS month_told,
                           part_year IS NOT NULL AND whole_year IS NOT NULL AND NOT
                           CASE WHEN below.is_of_people THEN below.is_hidden_year
                                ELSE coalesce(above.is_hidden_year, FALSE) END
                               AS year_told
                           ) may
                   ) figures
             WHERE denominator IS NOT NULL OR denominator_year IS NOT NULL
            """,
            # Nobody of those who could is a zero; nothing counted at all is a gap.
            part=SQL(
                "CASE WHEN below.is_of_people AND asked.numerator = ANY(%s) "
                "THEN coalesce(above.amount, 0) ELSE above.amount END",
                values["people"],
            ),
            part_year=SQL(
                "CASE WHEN below.is_of_people AND asked.numerator = ANY(%s) "
                "THEN coalesce(above.amount_year, 0) ELSE above.amount_year END",
                values["people"],
            ),
            **values,
        )

    def _sql_write(self, values, rows):
        """Write what was counted, and take out what is not there any more. Where the
        rows behind it are gone, what is not known any more stays as it was told."""
        columns = ("numerator", "denominator", "value")
        assignments = SQL(", ").join(
            SQL(
                "%(column)s = CASE WHEN EXCLUDED.%(told)s IS NULL "
                "AND figure.indicator_id = ANY(%(lasting)s) "
                "THEN figure.%(column)s ELSE EXCLUDED.%(column)s END",
                column=SQL.identifier(f"{column}{suffix}"),
                told=SQL.identifier(f"value{suffix}"),
                lasting=values["lasting"],
            )
            for suffix in ("", "_year")
            for column in columns
        )
        counted = SQL(
            """
            SELECT *
              FROM unnest(
                       %s::int[], %s::int[], %s::date[], %s::float8[], %s::float8[],
                       %s::float8[], %s::float8[], %s::float8[], %s::float8[]
                   ) AS row (
                       indicator_id, branch_id, month, numerator, denominator, value,
                       numerator_year, denominator_year, value_year
                   )
            """,
            *([list(column) for column in zip(*rows, strict=True)] or [[]] * 9),
        )
        return SQL(
            """
            WITH counted AS MATERIALIZED (%(counted)s),
            served AS MATERIALIZED (%(served)s),
            written AS (
                INSERT INTO library_indicator_value AS figure (
                       indicator_id, branch_id, month, numerator, denominator, value,
                       numerator_year, denominator_year, value_year, company_id,
                       counted_on
                       )
                SELECT counted.*, %(company)s, %(now)s
                  FROM counted
           ON CONFLICT (indicator_id, company_id, COALESCE(branch_id, 0), month)
             DO UPDATE SET %(assignments)s,
                       counted_on = EXCLUDED.counted_on,
                       reopened_on = CASE
                           WHEN round(figure.value::numeric, 6)
                                IS DISTINCT FROM round(EXCLUDED.value::numeric, 6)
                           THEN EXCLUDED.counted_on
                           ELSE figure.reopened_on
                       END
            )
            DELETE FROM library_indicator_value figure
             WHERE figure.company_id = %(company)s
               AND figure.month = ANY(%(months)s)
               AND figure.indicator_id = ANY(%(asked)s)
               AND NOT EXISTS (
                       SELECT FROM counted
                        WHERE counted.indicator_id = figure.indicator_id
                          AND counted.month = figure.month
                          AND coalesce(counted.branch_id, 0)
                              = coalesce(figure.branch_id, 0)
                   )
               AND (
                   figure.indicator_id != ALL(%(lasting)s::int[])
                   OR NOT EXISTS (
                           SELECT FROM served
                            WHERE served.month = figure.month
                              AND served.branch_id = coalesce(figure.branch_id, 0)
                       )
               )
            """,
            counted=counted,
            served=self._query_served(values),
            assignments=assignments,
            **values,
        )

    @api.model
    def _set_fiscal_years(self, company):
        """Say of each figure in which fiscal year it is."""
        self.env["res.company"].flush_model(["library_fiscal_month"])
        self.env.cr.execute(
            SQL(
                """
                UPDATE library_indicator_value figure
                   SET year = date_part('year', placed.month),
                       is_year_end = date_part('month', placed.month) = 12
                  FROM (
                        SELECT id, month + %(shift)s * interval '1 month' AS month
                          FROM library_indicator_value
                         WHERE company_id = %(company)s
                       ) placed
                 WHERE placed.id = figure.id
                   AND (figure.year IS DISTINCT FROM date_part('year', placed.month)
                        OR figure.is_year_end IS DISTINCT FROM
                           (date_part('month', placed.month) = 12))
                """,
                shift=company._get_library_fiscal_shift(),
                company=company.id,
            )
        )
        self.invalidate_model(["year", "is_year_end"])

    @api.model
    def _remember(self, company, found, changed):
        """Remember what the months were counted from, and say on the loads which ones
        they opened again."""
        now = fields.Datetime.now()
        self._tell_loads(company, changed)
        self.env.cr.execute_values(
            """
            INSERT INTO library_indicator_month AS known (
                   company_id, month, uses, counted_on
                   )
            VALUES %s
       ON CONFLICT (company_id, month)
         DO UPDATE SET uses = EXCLUDED.uses,
                   counted_on = EXCLUDED.counted_on,
                   reopened_on = CASE WHEN known.uses != EXCLUDED.uses
                                      THEN EXCLUDED.counted_on
                                      ELSE known.reopened_on END
            """,
            [(company.id, month, uses, now) for month, uses, *_ in found],
        )

    @api.model
    def _tell_loads(self, company, months):
        """Say on the loads that came after a month was counted, and that have uses in
        it, that they opened it again."""
        if not months:
            return
        rows = self.env.execute_query(
            SQL(
                """
                SELECT load.id, array_agg(known.month ORDER BY known.month)
                  FROM library_data_load load
                  JOIN library_indicator_month known
                    ON known.company_id = %(company)s
                   AND known.month = ANY(%(months)s)
                   AND known.counted_on <= load.ended_on
                 WHERE load.company_id = %(company)s
                   AND load.state = 'done'
                   AND load.is_dry_run IS NOT TRUE
                   AND EXISTS (
                           SELECT FROM library_service_usage usage
                            WHERE usage.source_id = load.source_id
                              AND usage.date >= known.month
                              AND usage.date < known.month + interval '1 month'
                       )
              GROUP BY load.id
                """,
                company=company.id,
                months=months,
            )
        )
        for load_id, opened in rows:
            load = self.env["library.data.load"].browse(load_id)
            load.notes = {
                **(load.notes or {}),
                self.env._(
                    "Indicators were counted again of %(months)s.",
                    months=", ".join(month.strftime("%Y-%m") for month in opened),
                ): len(opened),
            }
