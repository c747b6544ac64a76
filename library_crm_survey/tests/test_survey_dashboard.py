from datetime import timedelta

from odoo.tests import tagged

from odoo.addons.library_crm.tests.dashboards import ShowsFigures

from .common import SurveyResultCommon


@tagged("post_install", "-at_install")
class TestSurveyDashboard(ShowsFigures, SurveyResultCommon):
    dashboard_xmlid = "library_crm_survey.library_satisfaction_dashboard"
    dashboard_models = ("library.survey.result", "library.survey.gap.result")
    chart_count = 5
    kpis = ("kpi_library_survey_nps", "kpi_library_survey_answers")

    def _is_figure(self, model, measure):
        return measure["id"] in model._get_figure_specs().values()

    def test_digest_tells_nps_and_answers_of_the_period(self):
        self._answer_scale(self.nps, [10] * 12, library_answered_on=self.today)
        self._answer_scale(
            self.nps, [0] * 12, library_answered_on=self.today - timedelta(days=20)
        )
        self.assertEqual(
            self._kpis(self.marketing),
            {
                "kpi_library_survey_nps": ["100.00", "100.00", "0.00"],
                "kpi_library_survey_answers": [12, 12, 24],
            },
        )

    def test_digest_hides_the_nps_of_few(self):
        self._answer_scale(self.nps, [10] * 9, library_answered_on=self.today)
        kpis = self._kpis(self.manager)
        self.assertEqual(kpis["kpi_library_survey_nps"], ["too few answers"] * 3)
        self.assertEqual(kpis["kpi_library_survey_answers"], [9] * 3)
