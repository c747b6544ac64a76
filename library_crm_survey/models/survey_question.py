from odoo import fields, models


class SurveyQuestion(models.Model):
    """A question can measure something that the library follows over time."""

    _inherit = "survey.question"

    question_type = fields.Selection(
        selection_add=[("library_gap", "Service quality: minimum, desired, perceived")],
        ondelete={"library_gap": "cascade"},
    )
    library_metric = fields.Selection(
        [
            ("nps", "Recommendation (NPS)"),
            ("csat", "Satisfaction"),
            ("effort", "Effort"),
            ("outcome", "Outcome"),
        ],
        string="Measures",
    )
    library_outcome = fields.Selection(
        [
            ("knowledge", "Knowledge"),
            ("confidence", "Confidence"),
            ("application", "Application"),
            ("awareness", "Awareness"),
        ],
        string="Outcome",
    )
