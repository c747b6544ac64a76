from odoo import fields, models


class LibrarySurveyRound(models.Model):
    """A survey is asked in rounds: whom, when, and where."""

    _name = "library.survey.round"
    _description = "Survey Round"
    _order = "id desc"

    name = fields.Char(required=True)
    survey_id = fields.Many2one(
        "survey.survey", required=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        related="survey_id.library_company_id", string="Library", store=True, index=True
    )
    segment_id = fields.Many2one(
        "library.segment", index="btree_not_null", ondelete="set null"
    )
    branch_id = fields.Many2one("library.branch", index="btree_not_null")
    service_id = fields.Many2one("library.service", index="btree_not_null")
