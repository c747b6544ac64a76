from odoo import fields, models
from odoo.tools import SQL


class LibrarySurveyResult(models.Model):
    """How satisfied people are: recommendation, satisfaction, effort and outcome, by
    month, branch, service, category and segment.

    - NPS: of the answers from 0 to 10, the share of promoters (9 and 10) less that of
      detractors (0 to 6), from −100 to 100.
    - CSAT: of the answers from 1 to 5, the share of 4 and 5.
    - Effort (very easy to very hard) and outcome: the mean of the answers from 1 to 5.

    Each score is there only of the answers that it is made of, so surveys that ask
    different things can stand in one group.
    """

    _name = "library.survey.result"
    _description = "Satisfaction"
    _inherit = "library.survey.figures"
    _auto = False
    _rec_name = "question_id"

    _figures = {
        "nps": "mean",
        "nps_margin": "nps_margin",
        "nps_answers": "count",
        "promoter_share": "mean",
        "detractor_share": "mean",
        "csat": "mean",
        "csat_margin": "share_margin",
        "csat_answers": "count",
        "csat_mean": "mean",
        "effort": "mean",
        "effort_margin": "mean_margin",
        "effort_answers": "count",
        "outcome": "mean",
        "outcome_margin": "mean_margin",
        "outcome_answers": "count",
    }

    metric = fields.Selection(
        lambda self: (
            self.env["survey.question"]
            ._fields["library_metric"]
            ._description_selection(self.env)
        ),
        string="Measures",
        readonly=True,
    )
    outcome_kind = fields.Selection(
        lambda self: (
            self.env["survey.question"]
            ._fields["library_outcome"]
            ._description_selection(self.env)
        ),
        readonly=True,
    )
    value = fields.Integer(string="Answer", readonly=True, aggregator=None)

    nps = fields.Float(
        string="NPS",
        readonly=True,
        aggregator="avg",
        help="Promoters (9 and 10) less detractors (0 to 6), in percent of the "
        "answers; hidden below 10 answers.",
    )
    nps_margin = fields.Float(
        string="NPS ±",
        readonly=True,
        aggregator="avg",
        help="Half the 95 % interval, in points.",
    )
    nps_answers = fields.Integer(
        string="Answers on NPS", readonly=True, aggregator="sum"
    )
    promoter_share = fields.Float(
        string="Promoters (%)", readonly=True, aggregator="avg"
    )
    detractor_share = fields.Float(
        string="Detractors (%)", readonly=True, aggregator="avg"
    )
    csat = fields.Float(
        string="Satisfied (%)",
        readonly=True,
        aggregator="avg",
        help="Answers of 4 or 5, in percent; hidden below 10 answers.",
    )
    csat_margin = fields.Float(
        string="Satisfied ±",
        readonly=True,
        aggregator="avg",
        help="Half the 95 % interval, in percentage points.",
    )
    csat_answers = fields.Integer(
        string="Answers on Satisfaction", readonly=True, aggregator="sum"
    )
    csat_mean = fields.Float(
        string="Satisfaction (1–5)", readonly=True, aggregator="avg"
    )
    effort = fields.Float(
        string="Effort (1–5)",
        readonly=True,
        aggregator="avg",
        help="From very easy (1) to very hard (5): the less, the better; hidden below "
        "10 answers.",
    )
    effort_margin = fields.Float(string="Effort ±", readonly=True, aggregator="avg")
    effort_answers = fields.Integer(
        string="Answers on Effort", readonly=True, aggregator="sum"
    )
    outcome = fields.Float(string="Outcome (1–5)", readonly=True, aggregator="avg")
    outcome_margin = fields.Float(string="Outcome ±", readonly=True, aggregator="avg")
    outcome_answers = fields.Integer(
        string="Answers on Outcome", readonly=True, aggregator="sum"
    )

    _depends = {
        "library.survey.round": ["segment_id"],
        "survey.question": ["library_metric", "library_outcome"],
        "survey.survey": ["library_company_id"],
        "survey.user_input": [
            *("state", "test_entry", "survey_id", "library_answered_on"),
            *("library_round_id", "library_branch_id", "library_service_id"),
            "library_category_id",
        ],
        "survey.user_input.line": [
            *("user_input_id", "question_id", "answer_type", "value_scale"),
        ],
    }

    @property
    def _table_query(self):
        """Cost: one pass over the answers on a scale, joined with the rest by hash."""
        scores = {
            "nps": SQL(
                """
                CASE WHEN metric = 'nps'
                     THEN CASE WHEN value >= 9 THEN 100.0
                               WHEN value <= 6 THEN -100.0
                               ELSE 0.0
                          END
                END
                """
            ),
            "promoter_share": SQL(
                """
                CASE WHEN metric = 'nps'
                     THEN CASE WHEN value >= 9 THEN 100.0 ELSE 0.0 END
                END
                """
            ),
            "detractor_share": SQL(
                """
                CASE WHEN metric = 'nps'
                     THEN CASE WHEN value <= 6 THEN 100.0 ELSE 0.0 END
                END
                """
            ),
            "csat": SQL(
                """
                CASE WHEN metric = 'csat'
                     THEN CASE WHEN value >= 4 THEN 100.0 ELSE 0.0 END
                END
                """
            ),
            **{
                name: SQL("CASE WHEN metric = %s THEN value END", metric)
                for name, metric in (
                    ("csat_mean", "csat"),
                    ("effort", "effort"),
                    ("outcome", "outcome"),
                )
            },
        }
        for metric in ("nps", "csat", "effort", "outcome"):
            scores[f"{metric}_margin"] = scores[metric]
            scores[f"{metric}_answers"] = SQL(
                "CASE WHEN metric = %s THEN 1 END", metric
            )
        return SQL(
            """
            SELECT answered.*, %s
              FROM (
                    SELECT line.id,
                           answer.library_answered_on AS date,
                           survey.library_company_id AS company_id,
                           answer.survey_id,
                           answer.library_round_id AS round_id,
                           asked.segment_id,
                           answer.library_branch_id AS branch_id,
                           answer.library_service_id AS service_id,
                           answer.library_category_id AS patron_category_id,
                           line.question_id,
                           question.library_metric AS metric,
                           question.library_outcome AS outcome_kind,
                           line.value_scale AS value
                      FROM survey_user_input_line line
                      JOIN survey_question question ON question.id = line.question_id
                      JOIN survey_user_input answer ON answer.id = line.user_input_id
                      JOIN survey_survey survey ON survey.id = answer.survey_id
                 LEFT JOIN library_survey_round asked
                        ON asked.id = answer.library_round_id
                     WHERE question.library_metric IS NOT NULL
                       AND line.answer_type = 'scale'
                       AND answer.state = 'done'
                       AND answer.test_entry IS NOT TRUE
                       AND survey.library_company_id IS NOT NULL
                   ) answered
            """,
            SQL(", ").join(
                SQL("(%s)::float8 AS %s", score, SQL.identifier(name))
                for name, score in scores.items()
            ),
        )
