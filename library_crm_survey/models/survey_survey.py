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
    library_call_days = fields.Integer(
        string="Call Back Within Days",
        default=3,
        help="Who is not satisfied and agrees to be called is called within so many "
        "days.",
    )
    library_thanks_template_id = fields.Many2one(
        "mail.template",
        string="Thanks To the Happy",
        domain=[("model", "=", "survey.user_input")],
        ondelete="set null",
        default=lambda self: self.env.ref(
            "library_crm_survey.mail_template_thanks", raise_if_not_found=False
        ),
        help="Who is satisfied gets this mail, if they agreed to be written to about "
        "surveys; empty: nobody does.",
    )
    library_round_count = fields.Integer(
        string="Rounds",
        compute="_compute_library_round_count",
        groups="library_crm.group_library_manager",
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

    def _compute_library_round_count(self):
        counts = dict(
            self.env["library.survey.round"]._read_group(
                [("survey_id", "in", self.ids)], ["survey_id"], ["__count"]
            )
        )
        for survey in self:
            survey.library_round_count = counts.get(survey, 0)

    def action_view_library_rounds(self):
        """The rounds in which patrons were asked, and a new one."""
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm_survey.library_survey_round_action"
            ),
            "domain": [("survey_id", "=", self.id)],
            "context": {
                "default_survey_id": self.id,
                "default_name": self.title,
                "default_company_id": self.library_company_id.id,
            },
        }
