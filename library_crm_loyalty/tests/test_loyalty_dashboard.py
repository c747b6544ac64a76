import json
import re
from datetime import timedelta

from odoo import fields
from odoo.tests import tagged

from odoo.addons.spreadsheet.utils.validate_data import (
    fields_in_spreadsheet,
    menus_xml_ids_in_spreadsheet,
)

from .common import LoyaltyCommon


@tagged("post_install", "-at_install")
class TestLoyaltyDashboard(LoyaltyCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dashboard = cls.env.ref("library_crm_loyalty.library_loyalty_dashboard")
        cls.today = fields.Date.today()

    def test_dashboard_names_fields_and_menus_that_are_there(self):
        data = json.loads(self.dashboard.spreadsheet_data)
        names = fields_in_spreadsheet(data)
        self.assertEqual(
            set(names),
            {
                f"library.loyalty.{name}"
                for name in ("cost", "effect", "liability", "month", "participation")
            },
        )
        for model, chains in names.items():
            for chain in chains:
                self.assertIn(chain, self.env[model]._fields)
        menus = menus_xml_ids_in_spreadsheet(data)
        self.assertEqual(len(data["chartOdooMenusReferences"]), 5)
        for xml_id in menus:
            self.assertTrue(self.env.ref(xml_id).action)

    def test_dashboard_asks_for_figures_that_are_added_up_rightly(self):
        data = json.loads(self.dashboard.spreadsheet_data)
        for pivot in data["pivots"].values():
            for measure in pivot["measures"]:
                field = self.env[pivot["model"]]._fields[measure["fieldName"]]
                self.assertEqual(measure["aggregator"], field.aggregator, field)
        for formula in data["sheets"][1]["cells"].values():
            for number, spec in re.findall(r'PIVOT\.VALUE\((\d+),"([^"]+)"', formula):
                measures = data["pivots"][number]["measures"]
                self.assertIn(spec, [measure["id"] for measure in measures])

    def test_dashboard_is_for_those_who_may_see_figures(self):
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
                "kpi_library_loyalty_joined": True,
                "kpi_library_loyalty_earned": True,
            }
        )
        return {
            kpi["kpi_name"]: [kpi[f"kpi_col{n}"].get("value") for n in (1, 2, 3)]
            for kpi in digest._compute_kpis(self.library, user)
        }

    def test_digest_tells_who_joined_and_who_earned_in_the_period(self):
        """Of a day, a week and a month. Marketing is told the numbers and sees none of
        the cards."""
        card = self._join(self.bruno)
        card.library_joined_on = self.today - timedelta(days=20)
        for day in (0, 0, 3):
            self._use(self.today - timedelta(days=day))
        self._use(self.today - timedelta(days=10), patron=self.bruno)
        programme = self._create_library_programme(self.other_library)
        programme._library_join(self.other_patron)
        for user in (self.marketing, self.desk, self.manager):
            with self.subTest(user.login):
                self.assertEqual(
                    self._kpis(user),
                    {
                        "kpi_library_loyalty_joined": [0, 0, 1],
                        "kpi_library_loyalty_earned": [1, 1, 2],
                    },
                )

    def test_digest_of_others_has_no_figures_of_the_library(self):
        self.assertEqual(self._kpis(self.employee), {})
