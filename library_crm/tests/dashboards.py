import json
import re

from odoo import fields

from odoo.addons.spreadsheet.utils.validate_data import (
    fields_in_spreadsheet,
    menus_xml_ids_in_spreadsheet,
)


class TellsInDigest:
    """What figures of a library in the digest promise. To be put before a test class
    with the users of ``LibraryCommon``."""

    #: The fields of the digest that are switched on.
    kpis = ()

    def _kpis(self, user):
        """The figures of the digest for a user: a day, a week, a month."""
        digest = self.env["digest.digest"].create(
            {
                "name": "Library",
                "company_id": self.library.id,
                **dict.fromkeys(self.kpis, True),
            }
        )
        return {
            kpi["kpi_name"]: [kpi[f"kpi_col{n}"].get("value") for n in (1, 2, 3)]
            for kpi in digest._compute_kpis(self.library, user)
        }

    def test_digest_of_others_has_no_figures_of_the_library(self):
        self.assertEqual(self._kpis(self.employee), {})


class ChecksDashboard:
    """What a dashboard of a library promises. To be put before a test class with the
    users of ``LibraryCommon``."""

    #: External id of the dashboard, and the models that it asks.
    dashboard_xmlid = None
    dashboard_models = ()
    #: How many charts lead into a list.
    chart_count = 0
    #: Whom it is for: names of users.
    dashboard_users = ("desk", "marketing", "manager")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dashboard = cls.env.ref(cls.dashboard_xmlid)
        cls.data = json.loads(cls.dashboard.spreadsheet_data)
        cls.today = fields.Date.today()

    def _is_figure(self, model, measure):
        """Whether a measure of a pivot is a figure that the model adds up rightly."""
        raise NotImplementedError

    def _get_field(self, model, chain):
        """The field at the end of a chain, or None."""
        field = None
        for name in chain.split("."):
            field = self.env[model]._fields.get(name)
            if field is None:
                return None
            model = field.comodel_name
        return field

    def test_dashboard_names_fields_and_menus_that_are_there(self):
        names = fields_in_spreadsheet(self.data)
        self.assertEqual(set(names), set(self.dashboard_models))
        for model, chains in names.items():
            for chain in chains:
                self.assertTrue(self._get_field(model, chain), f"{model}: {chain}")
        menus = self.data["chartOdooMenusReferences"]
        self.assertEqual(len(menus), self.chart_count)
        figures = [figure["id"] for figure in self.data["sheets"][0]["figures"]]
        self.assertLessEqual(set(menus), set(figures))
        for xml_id in menus_xml_ids_in_spreadsheet(self.data):
            self.assertTrue(self.env.ref(xml_id).action)

    def test_dashboard_asks_for_figures_that_are_added_up_rightly(self):
        for pivot in self.data["pivots"].values():
            for measure in pivot["measures"]:
                self.assertTrue(
                    self._is_figure(self.env[pivot["model"]], measure), measure
                )
        for sheet in self.data["sheets"]:
            for formula in sheet["cells"].values():
                for number, spec in re.findall(
                    r'PIVOT\.VALUE\((\d+),"([^"]+)"', formula
                ):
                    measures = self.data["pivots"][number]["measures"]
                    self.assertIn(spec, [measure["id"] for measure in measures])

    def test_dashboard_is_for_those_who_may_see_figures(self):
        for name in ("desk", "marketing", "manager", "employee"):
            dashboard = self.dashboard.with_user(getattr(self, name))
            self.assertEqual(
                dashboard.has_access("read"), name in self.dashboard_users, name
            )


class ShowsFigures(ChecksDashboard, TellsInDigest):
    """What a dashboard of a library, and the figures beside it in the digest, promise.
    To be put before a test class with the users of ``LibraryCommon``."""
