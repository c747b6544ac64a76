from odoo import fields, models
from odoo.tools import SQL


class LibrarySurveyGapResult(models.Model):
    """How good the services are against what people need: of each item they say the
    minimum that they accept, what they desire and what they perceive, from 1 to 9.

    Between minimum and desired lies the zone of tolerance. Adequacy is perceived less
    minimum (below zero: not good enough), superiority is perceived less desired.

    There is a row for each item of each answer. Of answers that were set aside, and of
    items without an opinion, nothing is in the means; they are counted.
    """

    _name = "library.survey.gap.result"
    _description = "Service Quality"
    _inherit = "library.survey.figures"
    _auto = False
    _rec_name = "item_id"

    _figures = {
        "answers": "count",
        "minimum": "mean",
        "desired": "mean",
        "perceived": "mean",
        "perceived_margin": "mean_margin",
        "adequacy": "mean",
        "superiority": "mean",
        "inverted": "sum",
        "no_opinion": "sum",
        "set_aside": "distinct",
    }

    item_id = fields.Many2one("survey.question.answer", readonly=True)
    dimension = fields.Selection(
        lambda self: (
            self.env["survey.question.answer"]
            ._fields["library_dimension"]
            ._description_selection(self.env)
        ),
        readonly=True,
    )

    answers = fields.Integer(string="Ratings", readonly=True, aggregator="sum")
    minimum = fields.Float(readonly=True, aggregator="avg")
    desired = fields.Float(readonly=True, aggregator="avg")
    perceived = fields.Float(readonly=True, aggregator="avg")
    perceived_margin = fields.Float(
        string="Perceived ±",
        readonly=True,
        aggregator="avg",
        help="Half the 95 % interval of the mean.",
    )
    adequacy = fields.Float(
        readonly=True,
        aggregator="avg",
        help="Perceived less minimum; below zero: not good enough.",
    )
    superiority = fields.Float(
        readonly=True,
        aggregator="avg",
        help="Perceived less desired; above zero: better than desired.",
    )
    inverted = fields.Integer(
        readonly=True, aggregator="sum", help="The minimum stands above the desired."
    )
    no_opinion = fields.Integer(readonly=True, aggregator="sum")
    set_aside = fields.Integer(
        string="Answers Set Aside",
        readonly=True,
        aggregator="count_distinct",
        help="More than 11 times no opinion, or more than 9 times a minimum above the "
        "desired: they are not in the means.",
    )
    set_aside_reason = fields.Selection(
        lambda self: (
            self.env["survey.user_input"]
            ._fields["library_set_aside"]
            ._description_selection(self.env)
        ),
        string="Why Set Aside",
        readonly=True,
    )

    _depends = {
        "library.survey.round": ["segment_id"],
        "survey.question.answer": ["library_dimension"],
        "survey.survey": ["library_company_id"],
        "survey.user_input": [
            *("state", "test_entry", "survey_id", "library_answered_on"),
            *("library_round_id", "library_branch_id", "library_service_id"),
            *("library_category_id", "library_set_aside"),
        ],
        "survey.user_input.line": [
            *("user_input_id", "question_id", "matrix_row_id", "value_scale"),
            "library_gap_level",
        ],
    }

    @property
    def _table_query(self):
        """The levels of an item stand in a line each, and are brought together here.

        Answers are joined before the lines are grouped, and the group has the key of
        the answer, so that the database applies the conditions of a search to answers
        and not to groups; what is only told by is joined afterwards.
        Cost: one pass over the lines of the answers that are looked for.
        """
        levels = {
            level: SQL(
                "max(line.value_scale) FILTER (WHERE line.library_gap_level = %s)",
                level,
            )
            for level in ("minimum", "desired", "perceived")
        }
        return SQL(
            """
            SELECT grouped.*,
                   survey.library_company_id AS company_id,
                   asked.segment_id,
                   item.matrix_question_id AS question_id,
                   item.library_dimension AS dimension,
                   %(kept)s,
                   CASE WHEN is_kept THEN level_perceived END::float8
                       AS perceived_margin,
                   CASE WHEN is_kept THEN level_perceived - level_minimum END::float8
                       AS adequacy,
                   CASE WHEN is_kept THEN level_perceived - level_desired END::float8
                       AS superiority,
                   CASE WHEN is_kept THEN (level_minimum > level_desired)::int END
                       AS inverted,
                   CASE WHEN is_kept THEN 1 END AS answers,
                   (is_without AND set_aside_reason IS NULL)::int AS no_opinion,
                   CASE WHEN set_aside_reason IS NOT NULL THEN answer_id END
                       AS set_aside
              FROM (
                    SELECT min(line.id) AS id,
                           line.matrix_row_id AS item_id,
                           answer.id AS answer_id,
                           answer.survey_id,
                           answer.library_answered_on AS date,
                           answer.library_round_id AS round_id,
                           answer.library_branch_id AS branch_id,
                           answer.library_service_id AS service_id,
                           answer.library_category_id AS patron_category_id,
                           answer.library_set_aside AS set_aside_reason,
                           bool_or(line.library_gap_level = 'no_opinion')
                               AS is_without,
                           answer.library_set_aside IS NULL
                               AND %(sum)s IS NOT NULL AS is_kept,
                           %(levels)s
                      FROM survey_user_input_line line
                      JOIN survey_user_input answer
                        ON answer.id = line.user_input_id
                     WHERE line.library_gap_level IS NOT NULL
                       AND answer.state = 'done'
                       AND answer.test_entry IS NOT TRUE
                  GROUP BY answer.id, line.matrix_row_id
                   ) grouped
              JOIN survey_survey survey ON survey.id = grouped.survey_id
              JOIN survey_question_answer item ON item.id = grouped.item_id
         LEFT JOIN library_survey_round asked ON asked.id = grouped.round_id
             WHERE survey.library_company_id IS NOT NULL
            """,
            kept=SQL(", ").join(
                SQL(
                    "CASE WHEN is_kept THEN %s END::float8 AS %s",
                    SQL.identifier(f"level_{level}"),
                    SQL.identifier(level),
                )
                for level in levels
            ),
            sum=SQL(" + ").join(levels.values()),
            levels=SQL(", ").join(
                SQL("%s AS %s", rating, SQL.identifier(f"level_{level}"))
                for level, rating in levels.items()
            ),
        )
