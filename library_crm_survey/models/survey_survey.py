from odoo import api, fields, models
from odoo.exceptions import UserError


class SurveySurvey(models.Model):
    """A survey belongs to a library, whose patrons its answers are linked to.

    A *template* belongs to no library: it is copied, with all its languages, and never
    answered, so it is kept closed. What has answers is not deleted; what has to change
    afterwards goes into a new *version*, which knows the one before it.
    """

    _inherit = "survey.survey"
    _library_personal_data = {"*": "setting"}

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
    library_template = fields.Boolean(
        string="Template", copy=False, readonly=True, help="Copied, never answered."
    )
    library_summary = fields.Char(
        string="What It Is For",
        translate=True,
        help="For staff who look for a template.",
    )
    library_occasion = fields.Selection(
        [("membership_cancelled", "Somebody leaves the library")],
        string="Sent When",
        help="The newest open survey of the library with this occasion is sent. The "
        "reasons of cancellation say whether they are asked about.",
    )
    library_version = fields.Integer(
        string="Version", default=1, copy=False, readonly=True
    )
    library_previous_id = fields.Many2one(
        "survey.survey",
        string="Version Before",
        copy=False,
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
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

    @api.ondelete(at_uninstall=False)
    def _unlink_except_answered(self):
        surveys = self.filtered("library_company_id")
        answered = (
            self.env["survey.user_input"]
            .sudo()
            ._read_group(
                [
                    ("survey_id", "in", surveys.ids),
                    ("test_entry", "=", False),
                    ("state", "!=", "new"),
                ],
                ["survey_id"],
                limit=1,
            )
        )
        for (survey,) in answered:
            raise UserError(
                self.env._(
                    "“%(survey)s” has answers, so it can not be deleted. Close it, and "
                    "nobody can answer it any more.",
                    survey=survey.title,
                )
            )

    def _generate_session_codes(self, code_count=1, excluded_codes=False):
        """Templates and closed surveys have codes too, which no other may have."""
        return super(
            SurveySurvey, self.with_context(active_test=False)
        )._generate_session_codes(code_count, excluded_codes)

    # ------------------------------------------------------------
    # TEMPLATES AND VERSIONS
    # ------------------------------------------------------------

    def _copy_with_title(self, values):
        """:return: an open copy under the same title, in all its languages"""
        self.ensure_one()
        new = self.copy({"active": True, **values})
        for code, _name in self.env["res.lang"].get_installed():
            new.with_context(lang=code).title = self.with_context(lang=code).title
        return new

    def action_new_version(self):
        """Copy the survey, so that it can change. This one stays open until somebody
        closes it."""
        self.ensure_one()
        return self._copy_with_title(
            {
                "library_previous_id": self.id,
                "library_version": self.library_version + 1,
            }
        ).action_show_sample()

    def action_use_template(self):
        """Make a survey of this library from a template, and open it."""
        self.ensure_one()
        survey = self._copy_with_title(
            {
                "library_company_id": self.env.company.id,
                "user_id": self.env.user.id,
                "lang_ids": False,
            }
        )
        survey.question_ids._offer_interests()
        return survey.action_show_sample()

    @api.model
    def _get_library_templates(self):
        return self.with_context(active_test=False).search(
            [("library_template", "=", True)], order="id"
        )

    @api.model
    def get_survey_templates_data(self):
        """Where there is no survey yet, the library's templates come first."""
        data = super().get_survey_templates_data()
        if not self.env.user.has_group("library_crm.group_library_manager"):
            return data
        return {
            f"library_{template.id}": {
                "description": template.library_summary,
                "icon": "/library_crm_survey/static/src/img/survey_template.svg",
                "template_key": f"library_{template.id}",
                "title": template.title,
            }
            for template in self._get_library_templates()
        } | data

    @api.model
    def action_load_survey_template_sample(self, template_key):
        for template in self._get_library_templates():
            if template_key == f"library_{template.id}":
                return template.action_use_template()
        return super().action_load_survey_template_sample(template_key)

    # ------------------------------------------------------------
    # ROUNDS OF ASKING
    # ------------------------------------------------------------

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
