from odoo import api, fields, models


class SurveySurvey(models.Model):
    """A survey belongs to a library, whose patrons its answers are linked to."""

    _inherit = "survey.survey"

    library_company_id = fields.Many2one(
        "res.company",
        string="Library",
        compute="_compute_library_company_id",
        store=True,
        readonly=False,
        precompute=True,
        index="btree_not_null",
        help="Answers are linked to the patrons of this library; empty: answers are "
        "linked to nobody.",
    )

    @api.depends("survey_type")
    def _compute_library_company_id(self):
        """Assessments, and the types of other applications, are about staff or
        courses and not the library's to keep with its patrons."""
        for survey in self:
            if survey.survey_type not in ("survey", "custom", "live_session"):
                survey.library_company_id = False
            elif not survey.library_company_id:
                survey.library_company_id = self.env.company
