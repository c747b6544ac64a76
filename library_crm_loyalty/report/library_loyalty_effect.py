from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.tools import SQL

from odoo.addons.library_crm.models.library_service_usage import FEWEST_PATRONS

#: A figure is told from so many members on.
FEWEST_COMPARED = 10
#: Standard errors on each side of a 95 % interval.
Z_95 = 1.96


class LibraryLoyaltyEffect(models.Model):
    """Do patrons use the library more since they take part in a programme, compared
    with patrons alike who do not?

    Of each member the days of use in the six months before the month of joining and in
    the six months after it are set against the mean of those who have the same home
    branch and category, used the library as often in the same six months before, and
    have joined no programme by the end of the six months after. What members changed
    more than these is the effect (difference in differences).

    ``docs/LOYALTY.md`` has the method, the formulas and what they cannot tell.

    All quarters of joining whose use is still there are counted anew every night; what
    was counted of earlier ones stays.
    """

    _name = "library.loyalty.effect"
    _description = "Use Before and After Joining"
    _inherit = "library.loyalty.figures"
    _order = "cohort desc, program_id, branch_id, patron_category_id, id"
    _rec_name = "cohort"

    #: Months on each side of the month of joining.
    _MONTHS = 6
    #: Months after these, in which late use is waited for.
    _LATE_MONTHS = 1
    #: The bands of use: days of use in six months, from which each band begins. None,
    #: less than once a month, less than twice, less than weekly, and more.
    _BANDS = (1, 6, 12, 24)

    cohort = fields.Date(
        string="Joined in",
        required=True,
        readonly=True,
        help="The first day of the quarter in which they joined the programme.",
    )
    joined = fields.Integer(
        required=True,
        readonly=True,
        aggregator="sum",
        help="All who joined the programme in the quarter.",
    )
    patrons = fields.Integer(
        string="Compared",
        aggregator="sum",
        help="Of these, who were patrons for the six months before, and of whose "
        "branch, category and band of use there are five or more who did not join.",
    )
    alike = fields.Float(
        string="Patrons Alike",
        digits=(16, 0),
        readonly=True,
        aggregator="avg",
        help="How many patrons alike a member is compared with, on the average.",
    )
    before = fields.Float(
        string="Members: Before",
        digits=(16, 2),
        readonly=True,
        aggregator="avg",
        help="Days of use a month, in the six months before the month of joining.",
    )
    after = fields.Float(
        string="Members: After",
        digits=(16, 2),
        readonly=True,
        aggregator="avg",
        help="Days of use a month, in the six months after the month of joining.",
    )
    alike_before = fields.Float(
        string="Alike: Before",
        digits=(16, 2),
        readonly=True,
        aggregator="avg",
        help="Days of use a month, in the same months.",
    )
    alike_after = fields.Float(
        string="Alike: After",
        digits=(16, 2),
        readonly=True,
        aggregator="avg",
        help="Days of use a month, in the same months.",
    )
    effect = fields.Float(
        string="More Days a Month",
        digits=(16, 2),
        readonly=True,
        aggregator="avg",
        help="By how many days of use a month members changed more than patrons alike "
        "who did not join. Empty: fewer than ten members, too few to tell.",
    )
    margin = fields.Float(
        string="More Days ±",
        digits=(16, 2),
        readonly=True,
        aggregator="avg",
        help="Half the 95 % interval. An effect that is smaller than this may be "
        "chance.",
    )
    verdict = fields.Selection(
        [
            ("more", "They come more often"),
            ("less", "They come less often"),
            ("unclear", "No clear difference"),
            ("few", "Too few to tell"),
        ],
        string="In Words",
        required=True,
        readonly=True,
        help="Whether the effect is larger than its margin. The words are of a row; "
        "for several together compare the effect with the margin.",
    )

    # What rows are added up from: sums over the members who are compared.
    alike_sum = fields.Float(readonly=True, aggregator=None)
    before_sum = fields.Float(readonly=True, aggregator=None)
    after_sum = fields.Float(readonly=True, aggregator=None)
    alike_before_sum = fields.Float(readonly=True, aggregator=None)
    alike_after_sum = fields.Float(readonly=True, aggregator=None)
    effect_square_sum = fields.Float(readonly=True, aggregator=None)
    alike_variance_sum = fields.Float(readonly=True, aggregator=None)

    _SUMS = (
        *("alike_sum", "before_sum", "after_sum", "alike_before_sum"),
        *("alike_after_sum", "effect_square_sum", "alike_variance_sum"),
    )
    _MEANS = (
        *("alike", "before", "after", "alike_before", "alike_after", "effect"),
        "margin",
    )

    _cohort_idx = models.Index("(company_id, cohort)")

    # ------------------------------------------------------------
    # FIGURES OF SUMS
    # ------------------------------------------------------------

    def _read_group_select(self, aggregate_spec, query):
        name, _colon, function = aggregate_spec.partition(":")
        if name not in self._MEANS or function != "avg":
            return super()._read_group_select(aggregate_spec, query)
        sums = {
            field: SQL("SUM(%s)", self._field_to_sql(self._table, field, query))
            for field in ("patrons", *self._SUMS)
        }
        return self._sql_mean(name, sums)

    @api.model
    def _sql_mean(self, name, sums):
        """A figure of a group, NULL where it is of too few to tell.

        :param sums: what ``patrons`` and ``_SUMS`` of the group are, as SQL
        """
        number = sums["patrons"]
        effect_sum = SQL(
            "((%(after)s - %(before)s) - (%(alike_after)s - %(alike_before)s))",
            **{
                field: sums[f"{field}_sum"]
                for field in ("after", "before", "alike_after", "alike_before")
            },
        )
        if name == "effect":
            figure = SQL("%s / %s", effect_sum, number)
        elif name == "margin":
            # The variance among members of how much more they changed than patrons
            # alike, and that of the means that they are compared with.
            figure = SQL(
                """
                %(z)s * sqrt(
                    greatest(0, %(squares)s - %(effect)s ^ 2 / %(number)s)
                    / (%(number)s - 1) / %(number)s
                    + %(alike)s / %(number)s::float ^ 2
                )
                """,
                z=Z_95,
                squares=sums["effect_square_sum"],
                effect=effect_sum,
                number=number,
                alike=sums["alike_variance_sum"],
            )
        else:
            figure = SQL("%s / %s", sums[f"{name}_sum"], number)
        return SQL("CASE WHEN %s >= %s THEN %s END", number, FEWEST_COMPARED, figure)

    # ------------------------------------------------------------
    # COUNTING
    # ------------------------------------------------------------

    @api.model
    def _refresh(self, company):
        """Cost: one pass over the uses of the library, and for each month in which
        somebody joined one over the patrons and their months of use."""
        since = self.env["library.service.usage"]._get_kept_since(company)
        if not since:
            return
        values = {
            "company": company.id,
            # The first and the last quarter of which all use is known.
            "first": since + relativedelta(months=self._MONTHS),
            "last": fields.Date.context_today(self.with_company(company))
            - relativedelta(months=3 + self._MONTHS + self._LATE_MONTHS),
            "months": self._MONTHS,
            "fewest": FEWEST_PATRONS,
            "bands": list(self._BANDS),
        }
        self.env.cr.execute(
            SQL(
                """
                DELETE FROM library_loyalty_effect
                 WHERE company_id = %(company)s AND cohort >= %(first)s
                """,
                **values,
            )
        )
        self.env.cr.execute(self._sql_insert(values))

    @api.model
    def _sql_insert(self, values):
        sums = {name: SQL.identifier(name) for name in ("patrons", *self._SUMS)}
        means = {name: self._sql_mean(name, sums) for name in self._MEANS}
        return SQL(
            """
            INSERT INTO library_loyalty_effect (
                   company_id, program_id, cohort, branch_id, patron_category_id,
                   joined, patrons, %(sum_names)s, %(mean_names)s, verdict
                   )
            SELECT %(company)s, program_id, cohort, branch, category, joined, patrons,
                   %(sum_names)s, %(means)s,
                   CASE WHEN patrons < %(few)s THEN 'few'
                        WHEN %(effect)s > %(margin)s THEN 'more'
                        WHEN - %(effect)s > %(margin)s THEN 'less'
                        ELSE 'unclear' END
              FROM (
                    SELECT program_id, cohort, branch, category,
                           count(*) AS joined, count(alike) AS patrons,
                           coalesce(sum(alike), 0) AS alike_sum,
                           %(sums)s,
                           coalesce(sum(effect ^ 2), 0) AS effect_square_sum,
                           coalesce(sum(alike_variance), 0) AS alike_variance_sum
                      FROM (%(pooled)s) told
                  GROUP BY program_id, cohort, branch, category
                   ) cell
            """,
            company=values["company"],
            few=FEWEST_COMPARED,
            effect=means["effect"],
            margin=means["margin"],
            means=SQL(", ").join(means.values()),
            mean_names=SQL(", ").join(map(SQL.identifier, means)),
            sum_names=SQL(", ").join(map(SQL.identifier, self._SUMS)),
            sums=SQL(", ").join(
                SQL(
                    "coalesce(sum(%s) FILTER (WHERE alike IS NOT NULL), 0) AS %s",
                    SQL.identifier(name),
                    SQL.identifier(f"{name}_sum"),
                )
                for name in ("before", "after", "alike_before", "alike_after")
            ),
            pooled=self._query_pooled(
                self._query_members(values),
                ("program_id", "cohort"),
                counts=SQL("alike IS NOT NULL"),
            ),
        )

    @api.model
    def _query_members(self, values):
        """A row for each who joined, with their own days of use a month before and
        after, those of patrons alike, and by how much more they changed. ``alike``, the
        number of patrons alike, is empty of whom there is nobody to compare with.

        The variance of the mean of patrons alike weighs, for each member, by the
        members who share it: their sum is that of the sum of their differences.
        """
        return SQL(
            """
            WITH joiner AS (%(joiners)s),
            month AS (SELECT DISTINCT month FROM joiner),
            person AS (%(persons)s),
            alike AS (
                SELECT month, branch, category, band, count(*) AS alike,
                       avg(before) AS alike_before, avg(after) AS alike_after,
                       var_samp(after - before) / count(*) AS variance
                  FROM person
                 WHERE joined_on IS NULL
                    OR joined_on >= month + make_interval(months => %(months)s + 1)
              GROUP BY 1, 2, 3, 4
                HAVING count(*) >= %(fewest)s
            )
            SELECT joiner.program_id,
                   date_trunc('quarter', joiner.month)::date AS cohort,
                   joiner.branch_id, joiner.patron_category_id,
                   person.before, person.after, alike.alike_before, alike.alike_after,
                   (person.after - person.before)
                   - (alike.alike_after - alike.alike_before) AS effect,
                   alike.alike,
                   alike.variance * count(*) OVER (
                       PARTITION BY joiner.program_id, joiner.month, person.branch,
                                    person.category, person.band
                   ) AS alike_variance
              FROM joiner
         LEFT JOIN person USING (month, patron_id)
         LEFT JOIN alike USING (month, branch, category, band)
            """,
            joiners=self._query_joiners(values),
            persons=self._query_persons(values),
            **values,
        )

    @api.model
    def _query_joiners(self, values):
        """Who joined a programme in the quarters that can be told."""
        return SQL(
            """
            SELECT DISTINCT ON (card.program_id, patron.id)
                   card.program_id, patron.id AS patron_id, patron.branch_id,
                   patron.patron_category_id,
                   date_trunc('month', card.library_joined_on)::date AS month
              FROM loyalty_card card
              JOIN library_patron patron ON patron.id = card.library_patron_id
             WHERE card.is_library
               AND card.company_id = %(company)s
               AND date_trunc('quarter', card.library_joined_on)
                   BETWEEN %(first)s AND %(last)s
          ORDER BY card.program_id, patron.id, card.library_joined_on
            """,
            **values,
        )

    @api.model
    def _query_persons(self, values):
        """Each patron in each month in which somebody joined, with the days of use a
        month in the months before and after, the band of use before, and the day on
        which they first joined a programme themselves."""
        return SQL(
            """
            SELECT month.month, patron.id AS patron_id,
                   coalesce(patron.branch_id, 0) AS branch,
                   coalesce(patron.patron_category_id, 0) AS category,
                   width_bucket(coalesce(used.before, 0), %(bands)s::numeric[]) AS band,
                   coalesce(used.before, 0)::float / %(months)s AS before,
                   coalesce(used.after, 0)::float / %(months)s AS after,
                   first.joined_on
              FROM month
              JOIN library_patron patron
                ON patron.company_id = %(company)s
               AND patron.enrolled_on
                   <= month.month - make_interval(months => %(months)s)
         LEFT JOIN (%(used)s) used
                ON used.month = month.month AND used.patron_id = patron.id
         LEFT JOIN (
                    SELECT library_patron_id, min(library_joined_on) AS joined_on
                      FROM loyalty_card
                     WHERE is_library AND company_id = %(company)s
                  GROUP BY 1
                   ) first ON first.library_patron_id = patron.id
            """,
            used=self._query_days(values),
            **values,
        )

    @api.model
    def _query_days(self, values):
        """The days of use of patrons in the months before and after each month in
        which somebody joined, of those who used anything."""
        return SQL(
            """
            SELECT month.month, days.patron_id,
                   sum(days.days) FILTER (WHERE days.month < month.month) AS before,
                   sum(days.days) FILTER (WHERE days.month > month.month) AS after
              FROM month
              JOIN (
                    SELECT usage.patron_id,
                           date_trunc('month', usage.date)::date AS month,
                           count(DISTINCT usage.date) AS days
                      FROM library_service_usage usage
                      JOIN library_patron patron ON patron.id = usage.patron_id
                     WHERE patron.company_id = %(company)s
                  GROUP BY 1, 2
                   ) days
                ON days.month
                   BETWEEN month.month - make_interval(months => %(months)s)
                       AND month.month + make_interval(months => %(months)s)
          GROUP BY 1, 2
            """,
            **values,
        )
