from odoo import fields, models
from odoo.exceptions import AccessError
from odoo.fields import Domain


class DigestDigest(models.Model):
    """How satisfied people are, in the mail that sums up the period."""

    _inherit = "digest.digest"
    _library_personal_data = {"*": "setting"}

    kpi_library_survey_nps = fields.Boolean("NPS of the Library")
    kpi_library_survey_nps_value = fields.Float(
        compute="_compute_kpi_library_survey_nps_value"
    )
    kpi_library_survey_answers = fields.Boolean("Survey Answers of Patrons")
    kpi_library_survey_answers_value = fields.Integer(
        compute="_compute_kpi_library_survey_answers_value"
    )

    def _compute_kpi_library_survey_nps_value(self):
        """0 as well where there are too few answers to tell: see _compute_kpis."""
        figures = self._get_library_survey_figures("nps:avg")
        for digest in self:
            digest.kpi_library_survey_nps_value = figures.get(
                digest.company_id or self.env.company, 0
            )

    def _compute_kpi_library_survey_answers_value(self):
        figures = self._get_library_survey_figures("__count")
        for digest in self:
            digest.kpi_library_survey_answers_value = figures.get(
                digest.company_id or self.env.company, 0
            )

    def _get_library_survey_figures(self, figure):
        """:return: a figure of the period in the context, by library; of a library that
        may not be told nothing"""
        if not self.env.user.has_group(
            "library_crm.group_library_user"
        ) and not self.env.user.has_group("library_crm.group_library_marketing"):
            raise AccessError(
                self.env._("Do not have access, skip this data for user's digest email")
            )
        start, end, companies = self._get_kpi_compute_parameters()
        return dict(
            self.env["library.survey.result"]._read_group(
                Domain("company_id", "in", companies.ids)
                & Domain("date", ">", fields.Date.to_date(start))
                & Domain("date", "<=", fields.Date.to_date(end)),
                ["company_id"],
                [figure],
            )
        )

    def _compute_kpis_actions(self, company, user):
        actions = super()._compute_kpis_actions(company, user)
        menu = self.env.ref("library_crm.library_crm_menu_root").id
        action = f"library_crm_survey.library_survey_result_action?menu_id={menu}"
        actions["kpi_library_survey_nps"] = action
        actions["kpi_library_survey_answers"] = action
        return actions

    def _compute_kpis(self, company, user):
        """Leave the NPS of fewer than ten answers out, and the change of an NPS in
        percent, which means nothing of a figure that can be zero or below."""
        kpis = super()._compute_kpis(company, user)
        for kpi in kpis:
            if kpi["kpi_name"] != "kpi_library_survey_nps":
                continue
            frames = self._compute_timeframes(company)
            for column, (_name, (current, _previous)) in enumerate(frames, 1):
                digest = (
                    self.with_context(
                        start_datetime=current[0], end_datetime=current[1]
                    )
                    .with_user(user)
                    .with_company(company)
                )
                kpi[f"kpi_col{column}"]["margin"] = 0
                if company not in digest._get_library_survey_figures("nps:avg"):
                    kpi[f"kpi_col{column}"]["value"] = self.env._("too few answers")
        return kpis
