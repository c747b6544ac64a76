from odoo import api, fields, models
from odoo.tools import SQL, formatLang

#: Fewer libraries than these are nobody to be compared with.
FEWEST_PEERS = 5


class LibraryPeerComparison(models.Model):
    """Where our figure of a fiscal year stands among those of other libraries: a row an
    indicator, year and data set.

    Compared are rates, not numbers, which only say who is bigger; with the libraries of
    the own population band, and with all of the set where fewer than five of the band
    have the figure; money in one currency only. The set is the last one that is not of
    a later year.

    The percentile is the percentile rank in the direction that is better: the share of
    libraries that do worse, and half of those that do the same, times 100.
    """

    _name = "library.peer.comparison"
    _description = "Comparison with Other Libraries"
    _auto = False
    _order = "year desc, indicator_id, set_id, id"
    _rec_name = "indicator_id"
    #: What is said of one indicator only.
    _FIGURES = (
        *("value", "percentile", "minimum", "quartile", "median", "upper_quartile"),
        "maximum",
    )
    _depends = {
        "library.indicator": [
            *("denominator", "direction", "numerator", "scale", "service_category"),
            "unit",
        ],
        "library.indicator.value": [
            *("branch_id", "company_id", "denominator_year", "indicator_id"),
            *("is_year_end", "month", "value_year", "year"),
        ],
        "library.peer": ["band_id", "is_own", "population", "set_id"],
        "library.peer.band": ["lower"],
        "library.peer.set": ["company_id", "currency_id", "name", "year"],
        "library.peer.value": ["amount", "indicator_id", "measure", "peer_id"],
        "res.company": ["currency_id"],
    }

    value_id = fields.Many2one(
        "library.indicator.value", string="Figure", readonly=True
    )
    indicator_id = fields.Many2one("library.indicator", readonly=True)
    company_id = fields.Many2one("res.company", string="Library", readonly=True)
    year = fields.Integer(string="Fiscal Year", readonly=True, aggregator=None)
    is_latest = fields.Boolean(
        string="Last Fiscal Year",
        readonly=True,
        help="The last one of which the indicator has a figure.",
    )
    set_id = fields.Many2one("library.peer.set", string="Data Set", readonly=True)
    set_year = fields.Integer(
        string="Year of the Data Set", readonly=True, aggregator=None
    )
    band_id = fields.Many2one(
        "library.peer.band",
        string="Population Band",
        readonly=True,
        help="Empty: compared with all libraries of the set, since fewer than five of "
        "the band have the figure, or how many people are served is not known.",
    )
    peers = fields.Integer(string="Libraries Compared", readonly=True, aggregator=None)
    value = fields.Float(
        string="Our Figure", digits=(16, 2), readonly=True, aggregator="avg"
    )
    percentile = fields.Float(
        string="Better than (%)",
        digits=(16, 0),
        readonly=True,
        aggregator="avg",
        help="Percentile rank: the share of libraries that do worse, and half of those "
        "that do the same.",
    )
    minimum = fields.Float(
        string="Lowest", digits=(16, 2), readonly=True, aggregator="avg"
    )
    quartile = fields.Float(
        string="Lower Quartile", digits=(16, 2), readonly=True, aggregator="avg"
    )
    median = fields.Float(digits=(16, 2), readonly=True, aggregator="avg")
    upper_quartile = fields.Float(digits=(16, 2), readonly=True, aggregator="avg")
    maximum = fields.Float(
        string="Highest", digits=(16, 2), readonly=True, aggregator="avg"
    )
    unit = fields.Selection(related="indicator_id.unit")
    direction = fields.Selection(related="indicator_id.direction")
    text = fields.Char(string="In Words", compute="_compute_text")

    @api.depends("percentile", "peers", "band_id", "set_id")
    def _compute_text(self):
        for row in self:
            names = {
                "percentile": formatLang(self.env, row.percentile, digits=0),
                "peers": row.peers,
                "band": row.band_id.display_name,
                "set": row.set_id.display_name,
            }
            if row.band_id:
                row.text = self.env._(
                    "better than %(percentile)s %% of %(peers)s libraries of %(band)s "
                    "(%(set)s)",
                    **names,
                )
            else:
                row.text = self.env._(
                    "better than %(percentile)s %% of all %(peers)s libraries "
                    "(%(set)s)",
                    **names,
                )

    def _read_group_select(self, aggregate_spec, query):
        """Of different indicators together there is no figure."""
        expression = super()._read_group_select(aggregate_spec, query)
        if aggregate_spec.partition(":")[0] not in self._FIGURES:
            return expression
        indicator = self._field_to_sql(self._table, "indicator_id", query)
        return SQL(
            "CASE WHEN MIN(%s) = MAX(%s) THEN %s END", indicator, indicator, expression
        )

    @property
    def _table_query(self):
        """Cost: one pass over the figures of the sets that are compared with."""
        return SQL(
            """
            WITH compared AS MATERIALIZED (%(compared)s),
            figure AS MATERIALIZED (%(figures)s),
            sized AS (
                SELECT set_id, indicator_id, band_id, count(*) AS peers
                  FROM figure
              GROUP BY set_id, indicator_id, band_id
            ),
            placed AS (
                SELECT compared.*,
                       CASE WHEN sized.peers >= %(fewest)s THEN compared.own_band_id END
                           AS band_id
                  FROM compared
             LEFT JOIN sized
                    ON sized.set_id = compared.set_id
                   AND sized.indicator_id = compared.indicator_id
                   AND sized.band_id = compared.own_band_id
            )
            SELECT row_number() OVER (ORDER BY placed.value_id, placed.set_id) AS id,
                   placed.value_id, placed.indicator_id, placed.company_id, placed.year,
                   placed.is_latest, placed.set_id, placed.set_year, placed.band_id,
                   placed.value, ranked.*
              FROM placed,
                   LATERAL (
                    SELECT count(*)::int AS peers,
                           100.0 * (
                               count(*) FILTER (
                                   WHERE CASE WHEN placed.direction = 'up'
                                              THEN amount < rounded
                                              ELSE amount > rounded END
                               ) + 0.5 * count(*) FILTER (WHERE amount = rounded)
                           ) / count(*) AS percentile,
                           min(amount) AS minimum,
                           percentile_cont(0.25) WITHIN GROUP (ORDER BY amount)
                               AS quartile,
                           percentile_cont(0.5) WITHIN GROUP (ORDER BY amount)
                               AS median,
                           percentile_cont(0.75) WITHIN GROUP (ORDER BY amount)
                               AS upper_quartile,
                           max(amount) AS maximum
                      FROM figure,
                           LATERAL (
                               SELECT round(placed.value::numeric, 6)::float8
                           ) ours (rounded)
                     WHERE figure.set_id = placed.set_id
                       AND figure.indicator_id = placed.indicator_id
                       AND (placed.band_id IS NULL OR figure.band_id = placed.band_id)
                    HAVING count(*) >= %(fewest)s
                   ) ranked
            """,
            compared=self._query_compared(),
            figures=self._query_figures(),
            fewest=FEWEST_PEERS,
        )

    def _query_compared(self):
        """Our figures of fiscal years, each with the sets that it is compared with and
        the band that the library is in by the people it served."""
        return SQL(
            """
            SELECT value.id AS value_id, value.indicator_id, value.company_id,
                   value.year, value.value_year AS value, indicator.direction,
                   chosen.id AS set_id, chosen.year AS set_year, band.id AS own_band_id,
                   value.year = max(value.year) OVER (
                       PARTITION BY value.company_id, value.indicator_id
                   ) AS is_latest
              FROM library_indicator_value value
              JOIN library_indicator indicator ON indicator.id = value.indicator_id
              JOIN res_company company ON company.id = value.company_id,
                   LATERAL (
                    SELECT DISTINCT ON (peer_set.name) peer_set.id, peer_set.year
                      FROM library_peer_set peer_set
                     WHERE (peer_set.company_id IS NULL
                            OR peer_set.company_id = value.company_id)
                       AND peer_set.year <= value.year
                       AND (indicator.unit != 'money'
                            OR peer_set.currency_id = company.currency_id)
                  ORDER BY peer_set.name, peer_set.year DESC, peer_set.company_id
                   ) chosen
         LEFT JOIN LATERAL (
                    SELECT max(people.denominator_year) AS number
                      FROM library_indicator_value people
                      JOIN library_indicator per_person
                        ON per_person.id = people.indicator_id
                       AND per_person.denominator = 'population'
                     WHERE people.company_id = value.company_id
                       AND people.month = value.month
                       AND people.branch_id IS NULL
                   ) served ON TRUE
         LEFT JOIN LATERAL (
                    SELECT band.id
                      FROM library_peer_band band
                     WHERE band.lower <= served.number
                  ORDER BY band.lower DESC
                     LIMIT 1
                   ) band ON TRUE
             WHERE value.is_year_end
               AND value.branch_id IS NULL
               AND value.value_year IS NOT NULL
               AND indicator.unit != 'count'
            """
        )

    def _query_figures(self):
        """The figures of other libraries: an indicator as they reported it, or made of
        the numbers that they reported. These are known of a library as a whole, so of
        them no indicator is made that is of a kind of service."""
        return SQL(
            """
            SELECT *
              FROM (
                    SELECT peer.set_id, peer.band_id, indicator.id AS indicator_id,
                           round(
                               coalesce(
                                   reported.amount,
                                   indicator.scale * above.amount / nullif(
                                       CASE indicator.denominator
                                           WHEN 'population' THEN peer.population
                                           ELSE below.amount END, 0
                                   )
                               )::numeric, 6
                           )::float8 AS amount
                      FROM (SELECT DISTINCT set_id, indicator_id FROM compared) asked
                      JOIN library_peer peer ON peer.set_id = asked.set_id
                      JOIN library_indicator indicator
                        ON indicator.id = asked.indicator_id
                 LEFT JOIN library_peer_value reported
                        ON reported.peer_id = peer.id
                       AND reported.indicator_id = indicator.id
                 LEFT JOIN library_peer_value above
                        ON above.peer_id = peer.id
                       AND above.measure = indicator.numerator
                       AND indicator.service_category IS NULL
                 LEFT JOIN library_peer_value below
                        ON below.peer_id = peer.id
                       AND below.measure = indicator.denominator
                     WHERE peer.is_own IS NOT TRUE
                   ) known
             WHERE amount IS NOT NULL
            """
        )
