from odoo import fields, models


class SurveyQuestionAnswer(models.Model):
    """An item of a question about service quality belongs to a dimension."""

    _inherit = "survey.question.answer"

    library_dimension = fields.Selection(
        [
            ("affect", "Affect of service"),
            ("control", "Information control"),
            ("place", "Library as place"),
        ],
        string="Dimension",
    )
