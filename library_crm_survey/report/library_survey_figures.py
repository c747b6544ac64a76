from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL

#: A figure is told from so many answers on.
FEWEST_ANSWERS = 10
#: A number of answers is told from so many on.
FEWEST_IN_CELL = 5
#: Standard errors on each side of a 95 % interval.
Z_95 = 1.96


class LibrarySurveyFigures(models.AbstractModel):
    """Figures of many answers, and never one of them.

    A model of results has a row for each answer, so that its figures are right however
    they are grouped. Nobody reads these rows: searching and reading are refused, and a
    question for groups gets the figures alone, in ``_figures``. A figure of fewer than
    10 answers is hidden, and so is a group of fewer than 5. The database does that, so
    it holds for pivot, graph, dashboard, export and API alike.

    What cannot be held: whoever asks for a whole and for all of its parts but one can
    subtract. With at least ten answers on both sides of the sum that tells a little
    about a few, and of nobody in particular, because the rows carry no patron.
    """

    _name = "library.survey.figures"
    _description = "Figures of Survey Answers"

    #: How a field is summed up, by its name:
    #:
    #: - ``count``: how many answers it has a value of
    #: - ``distinct``: how many different values it has
    #: - ``sum``: of ones and zeros, so how many it holds for
    #: - ``mean``
    #: - ``mean_margin``: half the 95 % interval of a mean, ``1.96 · s / √n``
    #: - ``share_margin``: of a share, whose rows are 100 or 0, after Agresti and Coull
    #:   (The American Statistician 52:2, 1998): two answers of each kind are added
    #:   first, so that ten equal answers do not look like certainty
    #: - ``nps_margin``: of an NPS, whose rows are 100, 0 or −100. Its variance is
    #:   ``p + d − (p − d)²`` with the shares of promoters and detractors; ¾ of a
    #:   promoter, 1½ passives and ¾ of a detractor are added first (B. Rocks, Interval
    #:   Estimation for the "Net Promoter Score", The American Statistician 70:4, 2016)
    _figures = {}

    date = fields.Date(
        string="Answered on",
        readonly=True,
        help="Of an anonymous answer the first day of the month.",
    )
    company_id = fields.Many2one("res.company", string="Library", readonly=True)
    survey_id = fields.Many2one("survey.survey", readonly=True)
    round_id = fields.Many2one("library.survey.round", readonly=True)
    segment_id = fields.Many2one(
        "library.segment", readonly=True, help="Whom the round asked."
    )
    branch_id = fields.Many2one("library.branch", readonly=True)
    service_id = fields.Many2one("library.service", readonly=True)
    patron_category_id = fields.Many2one(
        "library.patron.category", string="Category", readonly=True
    )
    question_id = fields.Many2one("survey.question", readonly=True)

    @api.model
    def _get_figure_specs(self):
        """:return: what to ask ``_read_group`` for, by the names of all figures"""
        return {
            name: f"{name}:{self._fields[name].aggregator}" for name in self._figures
        }

    def _read_group_select(self, aggregate_spec, query):
        if aggregate_spec == "__count":
            return SQL(
                "CASE WHEN COUNT(*) >= %s THEN COUNT(*) ELSE 0 END", FEWEST_IN_CELL
            )
        name = aggregate_spec.partition(":")[0]
        if self._get_figure_specs().get(name) != aggregate_spec:
            raise AccessError(
                self.env._(
                    "Of survey answers only the figures are told, and %(figure)s is "
                    "none of them.",
                    figure=aggregate_spec,
                )
            )
        return self._sql_figure(
            self._figures[name], self._field_to_sql(self._table, name, query)
        )

    @api.model
    def _sql_figure(self, kind, column):
        """:return: the figure of a column of scores, NULL where it may not be told"""
        if kind in ("count", "distinct"):
            count = SQL(
                "COUNT(%s)" if kind == "count" else "COUNT(DISTINCT %s)", column
            )
            return SQL(
                "CASE WHEN %(count)s >= %(fewest)s THEN %(count)s END",
                count=count,
                fewest=FEWEST_IN_CELL,
            )
        figure = {
            "sum": SQL("SUM(%s)", column),
            "mean": SQL("AVG(%s)", column),
            "mean_margin": SQL(
                "%(z)s * STDDEV_SAMP(%(column)s) / SQRT(COUNT(%(column)s))",
                z=Z_95,
                column=column,
            ),
            "share_margin": self._sql_adjusted_margin(column, 4, 200, 20_000),
            "nps_margin": self._sql_adjusted_margin(column, 3, 0, 15_000),
        }[kind]
        return SQL(
            "CASE WHEN COUNT(%(column)s) >= %(fewest)s THEN %(figure)s END",
            column=column,
            fewest=FEWEST_ANSWERS,
            figure=figure,
        )

    @api.model
    def _sql_adjusted_margin(self, column, count, total, squares):
        """The margin of a mean of scores, after answers were added: so many, with that
        sum of their scores and that sum of the squares."""
        return SQL(
            """
            %(z)s * SQRT(
                (
                    (SUM(%(column)s ^ 2) + %(squares)s)
                    / (COUNT(%(column)s) + %(count)s)
                    - ((SUM(%(column)s) + %(total)s)
                       / (COUNT(%(column)s) + %(count)s)) ^ 2
                ) / (COUNT(%(column)s) + %(count)s)
            )
            """,
            z=Z_95,
            column=column,
            count=count,
            total=total,
            squares=squares,
        )

    @api.model
    def _read_group(
        self,
        domain,
        groupby=(),
        aggregates=(),
        having=(),
        offset=0,
        limit=None,
        order=None,
    ):
        if groupby:
            having = [*having, ("__count", ">=", FEWEST_IN_CELL)]
        rows = super()._read_group(
            domain, groupby, aggregates, having, offset, limit, order
        )
        return self._without_empty_groups(rows, groupby, aggregates)

    @api.model
    def _read_grouping_sets(self, domain, grouping_sets, aggregates=(), order=None):
        found = super()._read_grouping_sets(
            domain, grouping_sets, [*aggregates, "__count"], order
        )
        return [
            self._without_empty_groups(
                [row[:-1] for row in rows if row[-1] or not groupby],
                groupby,
                aggregates,
            )
            for groupby, rows in zip(grouping_sets, found, strict=True)
        ]

    @api.model
    def _without_empty_groups(self, rows, groupby, aggregates):
        """Leave out the groups of which no figure is told: a graph would draw a zero.
        Who asks without groups gets the one row that they expect."""
        places = [
            len(groupby) + place
            for place, spec in enumerate(aggregates)
            if spec != "__count"
        ]
        if not groupby or not places:
            return rows
        return [row for row in rows if any(row[place] is not False for place in places)]

    @api.model
    @api.readonly
    def formatted_read_group(self, domain, groupby=(), aggregates=(), *args, **kwargs):
        groups = super().formatted_read_group(
            domain, groupby, aggregates, *args, **kwargs
        )
        figures = [spec for spec in aggregates if spec != "__count"]
        if groupby or not figures:
            return groups
        return [
            group
            for group in groups
            if any(group[spec] is not False for spec in figures)
        ]

    @api.model
    @api.readonly
    def search_count(self, domain, limit=None):
        count = super().search_count(domain)
        if count < FEWEST_IN_CELL:
            return 0
        return min(count, limit) if limit else count

    @api.model
    @api.private
    def search_fetch(self, domain, field_names=None, offset=0, limit=None, order=None):
        raise self._make_single_answer_error()

    def _fetch_query(self, query, fields):
        raise self._make_single_answer_error()

    def _make_single_answer_error(self):
        return AccessError(
            self.env._("Survey answers are told as figures of many, not one by one.")
        )
