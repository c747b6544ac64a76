from odoo import api, fields, models
from odoo.exceptions import ValidationError


class SurveyQuestion(models.Model):
    """What a question measures, and whether it asks to call back."""

    _inherit = "survey.question"

    library_metric = fields.Selection(
        [
            ("nps", "Recommendation (NPS, 0–10)"),
            ("csat", "Satisfaction (1–5)"),
            ("effort", "Effort (1–5)"),
            ("outcome", "Outcome (1–5)"),
        ],
        string="Measures",
    )
    library_is_call_question = fields.Boolean(
        string="May We Call You?",
        help="Who chooses the first answer agrees to be called about this survey, and "
        "that whoever calls is told what they answered.",
    )

    @api.constrains("library_is_call_question", "question_type")
    def _check_library_is_call_question(self):
        for question in self:
            if (
                question.library_is_call_question
                and question.question_type != "simple_choice"
            ):
                raise ValidationError(
                    self.env._(
                        "%(question)s: whether somebody may call is a question with "
                        "one answer to choose; the first answer means yes.",
                        question=question.title,
                    )
                )
