from odoo import api, fields, models
from odoo.tools import SQL

from .library_service_usage import FEWEST_PATRONS


class LibraryRetention(models.Model):
    """How many of those who joined together still use the library: patrons of one
    quarter, branch and category, and of them those who used any service in their first
    thirteen weeks, in the next thirteen, and so on.

    Everybody counts, also who has left and been archived, or else only those who stayed
    would be counted. Nobody is profiled: the figures are of groups, so patrons who
    objected to profiling are among them. Who was erased is counted nowhere. Branch and
    category are those of today.

    The figures are counted every night and kept: they outlive the rows of use.
    """

    _name = "library.retention"
    _description = "Retention"
    _inherit = ["library.count.mixin", "library.ratio.mixin"]
    _order = "cohort desc, branch_id, patron_category_id, period, id"
    _rec_name = "cohort"
    _log_access = False
    _ratios = {"share": ("used", "patrons")}
    _library_personal_data = {"*": "figures"}

    # Thirteen weeks, so that each period has the same weekdays. Quarters and not
    # months: many patrons come every other month, and have not left in between.
    _PERIOD_DAYS = 91

    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    cohort = fields.Date(
        string="Joined in",
        required=True,
        readonly=True,
        help="The first day of the quarter in which they became patrons.",
    )
    branch_id = fields.Many2one(
        "library.branch",
        string="Home Branch",
        readonly=True,
        ondelete="cascade",
        help="Empty: patrons of several branches, of whom there are too few to be "
        "shown by branch.",
    )
    patron_category_id = fields.Many2one(
        "library.patron.category",
        string="Category",
        readonly=True,
        ondelete="cascade",
        help="Empty: patrons of several categories, of whom there are too few to be "
        "shown by category.",
    )
    period = fields.Integer(
        string="Quarter after Joining",
        required=True,
        readonly=True,
        aggregator=None,
        help="1: the first thirteen weeks from the day of joining.",
    )
    patrons = fields.Integer(
        required=True,
        readonly=True,
        aggregator="avg",
        help="Who joined. Of several quarters after joining together: the average.",
    )
    used = fields.Integer(
        string="Used a Service",
        required=True,
        readonly=True,
        aggregator="avg",
        help="Patrons who used any service in the quarter, each counted once. Of "
        "several quarters after joining together: the average.",
    )
    share = fields.Float(
        string="Still Come (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Of a hundred who joined, how many used a service in the quarter.",
    )

    _cell_idx = models.Index("(company_id, cohort, period)")

    def _read_group_select(self, aggregate_spec, query):
        """Patrons are in each of their quarters, so adding up would count them again
        and again; groups of one quarter after joining are added up."""
        if aggregate_spec in ("patrons:avg", "used:avg"):
            return SQL(
                "SUM(%s)::float / NULLIF(COUNT(DISTINCT %s), 0)",
                self._field_to_sql(
                    self._table, aggregate_spec.partition(":")[0], query
                ),
                self._field_to_sql(self._table, "period", query),
            )
        return super()._read_group_select(aggregate_spec, query)

    @api.model
    def _count_since(self, company, since):
        """Count the patrons of a library anew, for the quarters after joining that are
        over for all who joined together and whose uses are all still there. What was
        counted of earlier quarters stays.

        Cost: one pass over the uses of the library.
        """
        values = {
            "company": company.id,
            "since": since,
            "today": fields.Date.context_today(self.with_company(company)),
            "days": self._PERIOD_DAYS,
            "fewest": FEWEST_PATRONS,
        }
        self.env.cr.execute(
            SQL(
                """
                DELETE FROM library_retention
                 WHERE company_id = %(company)s
                   AND cohort + %(days)s * (period - 1) >= %(since)s
                """,
                **values,
            )
        )
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO library_retention (
                       company_id, cohort, branch_id, patron_category_id, period,
                       patrons, used, share
                       )
                WITH alike AS (%(alike)s),
                use AS (
                    SELECT alike.id, (usage.date - alike.enrolled_on) / %(days)s + 1
                               AS period
                      FROM library_service_usage usage
                      JOIN alike ON alike.id = usage.patron_id
                     WHERE usage.date >= alike.enrolled_on
                  GROUP BY 1, 2
                ),
                used AS (
                    SELECT cohort, branch, category, period, sum(patrons) AS patrons
                      FROM (
                            SELECT cohort, branch, category, period, 1 AS patrons
                              FROM use
                              JOIN alike USING (id)
                         UNION ALL
                            SELECT placed.cohort, placed.branch, placed.category,
                                   former.period, former.patrons
                              FROM library_retention_former former
                              JOIN (
                                    SELECT DISTINCT cohort, home, sort, branch, category
                                      FROM alike
                                   ) placed
                                ON placed.cohort = former.cohort
                               AND placed.home = coalesce(former.branch_id, 0)
                               AND placed.sort = coalesce(former.patron_category_id, 0)
                             WHERE former.company_id = %(company)s
                               AND former.period > 0
                           ) each
                  GROUP BY 1, 2, 3, 4
                ),
                joined AS (
                    SELECT cohort, branch, category, count(*) AS patrons
                      FROM alike
                  GROUP BY 1, 2, 3
                )
                SELECT %(company)s, cohort, nullif(branch, 0), nullif(category, 0),
                       period, joined.patrons, coalesce(used.patrons, 0),
                       100.0 * coalesce(used.patrons, 0) / joined.patrons
                  FROM joined
                  JOIN LATERAL generate_series(
                           greatest(
                               1,
                               ceil((%(since)s - cohort)::numeric / %(days)s)::int + 1
                           ),
                           (%(today)s - (cohort + interval '3 months')::date + 1)
                           / %(days)s
                       ) period ON TRUE
             LEFT JOIN used USING (cohort, branch, category, period)
                """,
                alike=self._query_alike(values),
                **values,
            )
        )

    def _query_alike(self, values):
        """The patrons of a library, and without an id those who were erased, with the
        group that each is counted in; ``home`` and ``sort`` are the own branch and
        category. Where a category of a branch has too few, they go together with those
        of its other small categories; where these are too few, with those of other
        branches; where even these are too few, they are left out. So every figure that
        can be made of the groups, by adding up or by taking away, is of five patrons or
        more."""
        return SQL(
            """
            SELECT *
              FROM (
                    SELECT id, enrolled_on, cohort, home, sort, branch, category,
                           count(*) OVER (PARTITION BY cohort, branch, category)
                               AS size
                      FROM (
                            SELECT id, enrolled_on, cohort,
                                   branch AS home, category AS sort,
                                   CASE WHEN size >= %(fewest)s
                                          OR rest >= %(fewest)s
                                        THEN branch ELSE 0 END AS branch,
                                   CASE WHEN size >= %(fewest)s
                                        THEN category ELSE 0 END AS category
                              FROM (
                                    SELECT *,
                                           count(*) FILTER (WHERE size < %(fewest)s)
                                               OVER (PARTITION BY cohort, branch)
                                               AS rest
                                      FROM (%(patrons)s) by_category
                                   ) by_branch
                           ) placed
                   ) sized
             WHERE size >= %(fewest)s
            """,
            patrons=SQL(
                """
                SELECT *, count(*) OVER (PARTITION BY cohort, branch, category) AS size
                  FROM (
                        SELECT id, enrolled_on,
                               date_trunc('quarter', enrolled_on)::date AS cohort,
                               coalesce(branch_id, 0) AS branch,
                               coalesce(patron_category_id, 0) AS category
                          FROM library_patron
                         WHERE company_id = %(company)s
                           AND enrolled_on <= %(today)s
                     UNION ALL
                        SELECT NULL, NULL, cohort, coalesce(branch_id, 0),
                               coalesce(patron_category_id, 0)
                          FROM library_retention_former
                          JOIN generate_series(1, patrons) ON TRUE
                         WHERE company_id = %(company)s
                           AND period = 0
                       ) patron
                """,
                **values,
            ),
            **values,
        )
