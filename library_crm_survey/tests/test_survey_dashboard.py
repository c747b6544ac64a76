import json
import re
from datetime import timedelta

from odoo import fields
from odoo.tests import tagged

from odoo.addons.spreadsheet.utils.validate_data import (
    fields_in_spreadsheet,
    menus_xml_ids_in_spreadsheet,
)

from .common import SurveyResultCommon


@tagged("post_install", "-at_install")
class TestSurveyDashboard(SurveyResultCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dashboard = cls.env.ref("library_crm_survey.library_satisfaction_dashboard")
        cls.today = fields.Date.today()

    def test_dashboard_names_fields_and_menus_that_are_there(self):
        data = json.loads(self.dashboard.spreadsheet_data)
        names = fields_in_spreadsheet(data)
        self.assertEqual(
            set(names), {"library.survey.result", "library.survey.gap.result"}
        )
        for model, chains in names.items():
            for chain in chains:
                self.assertIn(chain, self.env[model]._fields)
        menus = menus_xml_ids_in_spreadsheet(data)
        self.assertEqual(len(data["chartOdooMenusReferences"]), 5)
        for xml_id in menus:
            self.assertTrue(self.env.ref(xml_id).action)

    def test_dashboard_asks_for_figures_only(self):
        data = json.loads(self.dashboard.spreadsheet_data)
        for pivot in data["pivots"].values():
            specs = self.env[pivot["model"]]._get_figure_specs().values()
            for measure in pivot["measures"]:
                self.assertIn(measure["id"], specs)
        cells = data["sheets"][1]["cells"]
        for formula in cells.values():
            for number, spec in re.findall(r'PIVOT\.VALUE\((\d+),"([^"]+)"', formula):
                measures = data["pivots"][number]["measures"]
                self.assertIn(spec, [measure["id"] for measure in measures])

    def test_dashboard_is_for_those_who_may_see_results(self):
        for user, expected in (
            (self.desk, True),
            (self.marketing, True),
            (self.manager, True),
            (self.employee, False),
        ):
            dashboard = self.dashboard.with_user(user)
            self.assertEqual(dashboard.has_access("read"), expected, user.login)

    def _kpis(self, user):
        digest = self.env["digest.digest"].create(
            {
                "name": "Library",
                "company_id": self.library.id,
                "kpi_library_survey_nps": True,
                "kpi_library_survey_answers": True,
            }
        )
        return {
            kpi["kpi_name"]: [kpi[f"kpi_col{n}"].get("value") for n in (1, 2, 3)]
            for kpi in digest._compute_kpis(self.library, user)
        }

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

    def test_digest_of_others_has_no_figures_of_the_library(self):
        self.assertEqual(self._kpis(self.employee), {})
