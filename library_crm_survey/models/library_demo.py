from odoo import api, fields, models


class LibraryDemo(models.AbstractModel):
    """Lets the people of the demo library answer a yearly survey."""

    _inherit = "library.demo"

    @api.model
    def _make_yearly_answers(self):
        """Make the answers once; where they are already there, nothing happens."""
        if self.env.ref(
            "library_crm_survey.demo_survey_yearly", raise_if_not_found=False
        ):
            return
        from ..demo.library_answers import DemoAnswers  # noqa: PLC0415

        company = self.env.ref("base.main_company")
        DemoAnswers(
            self.with_company(company).env,
            company,
            self._SEED,
            fields.Date.context_today(self),
        ).make()
