from odoo import api, fields, models


class LibraryDemo(models.AbstractModel):
    """Lets the people of the demo library answer surveys."""

    _inherit = "library.demo"

    @api.model
    def _make_survey_answers(self):
        """Make the answers once; where they are already there, nothing happens."""
        visit = self.env.ref("library_crm_survey.survey_visit")
        if visit.user_input_ids:
            return
        from ..demo.library_surveys import DemoSurveys  # noqa: PLC0415

        company = self.env.ref("base.main_company")
        DemoSurveys(
            self.with_company(company).env,
            company,
            self._SEED,
            fields.Date.context_today(self),
        ).make()
        # What the job of the night had counted without the answers.
        self.env["library.indicator.month"].search(
            [("company_id", "=", company.id)]
        ).unlink()
        self.env["library.indicator.value"]._count(company)
