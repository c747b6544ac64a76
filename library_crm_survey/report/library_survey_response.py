from odoo import fields, models
from odoo.tools import SQL


class LibrarySurveyResponse(models.Model):
    """How many of those who were asked have answered: one row for a round that asked
    patrons by mail. It says of nobody whether they did, of anonymous rounds neither."""

    _name = "library.survey.response"
    _description = "Response to a Round of Asking"
    _inherit = "library.ratio.mixin"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "round_id"
    _ratios = {
        "answer_rate": ("answered", "asked"),
        "reminded_rate": ("reminded", "asked"),
    }
    _depends = {
        "library.survey.invitation": ["asked_on", "reminded_on", "round_id", "state"],
        "library.survey.round": [
            *("branch_id", "company_id", "is_anonymous", "kind", "segment_id"),
            *("service_id", "survey_id", "user_id"),
        ],
        "survey.user_input": ["library_round_id", "state"],
    }

    round_id = fields.Many2one("library.survey.round", readonly=True)
    survey_id = fields.Many2one("survey.survey", readonly=True)
    company_id = fields.Many2one("res.company", string="Library", readonly=True)
    branch_id = fields.Many2one("library.branch", readonly=True)
    service_id = fields.Many2one("library.service", readonly=True)
    segment_id = fields.Many2one("library.segment", readonly=True)
    user_id = fields.Many2one("res.users", string="Responsible", readonly=True)
    kind = fields.Selection(
        selection=lambda self: (
            self.env["library.survey.round"]
            ._fields["kind"]
            ._description_selection(self.env)
        ),
        string="Who Is Asked",
        readonly=True,
    )
    is_anonymous = fields.Boolean(string="Anonymous", readonly=True)
    date = fields.Date(
        string="Asked Since", readonly=True, help="The day of the first mail."
    )
    asked = fields.Integer(readonly=True)
    left_out = fields.Integer(
        readonly=True,
        help="Drawn, and not written to: no address, no consent any more, archived.",
    )
    reminded = fields.Integer(readonly=True)
    answered = fields.Integer(string="Answers", readonly=True)
    answer_rate = fields.Float(
        string="Answered (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Of a hundred who were asked.",
    )
    reminded_rate = fields.Float(
        string="Reminded (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Of a hundred who were asked.",
    )

    @property
    def _table_query(self):
        """Cost: one pass over the invitations, and over the answers of rounds."""
        return SQL(
            """
            SELECT cell.*, %(ratios)s
              FROM (
                    SELECT asking.id, asking.id AS round_id, asking.survey_id,
                           asking.company_id, asking.branch_id, asking.service_id,
                           asking.segment_id, asking.user_id, asking.kind,
                           asking.is_anonymous, invited.date, invited.asked,
                           invited.left_out, invited.reminded,
                           coalesce(answer.answered, 0) AS answered
                      FROM library_survey_round asking
                      JOIN (
                            SELECT round_id, min(asked_on) AS date,
                                   count(*) FILTER (WHERE state = 'asked')::int
                                       AS asked,
                                   count(*) FILTER (WHERE state = 'skipped')::int
                                       AS left_out,
                                   count(reminded_on)::int AS reminded
                              FROM library_survey_invitation
                             WHERE state != 'waiting'
                          GROUP BY round_id
                           ) invited ON invited.round_id = asking.id
                 LEFT JOIN (
                            SELECT library_round_id, count(*)::int AS answered
                              FROM survey_user_input
                             WHERE library_round_id IS NOT NULL AND state = 'done'
                          GROUP BY library_round_id
                           ) answer ON answer.library_round_id = asking.id
                   ) cell
            """,
            ratios=self._sql_ratios(),
        )
