import json

from dateutil.relativedelta import relativedelta

from odoo import fields
from odoo.fields import Command
from odoo.tests import HttpCase, new_test_user, tagged

from .common import LibraryCommon
from .dashboards import ChecksDashboard

DASHBOARDS = ("director", "branch", "marketing", "services", "eresources")


class ChecksOfLibrary(ChecksDashboard):
    #: What is asked for the whole library, and therefore not by branch.
    unmatched = ()

    def _is_figure(self, model, measure):
        name, aggregator = measure["fieldName"], measure["aggregator"]
        if name == "__count" or aggregator == "count_distinct":
            return True
        return model._fields[name].aggregator == aggregator

    def _get_sources(self):
        """Pivots, lists and charts: name, model, domain and matched filters."""
        for pivot in (*self.data["pivots"].values(), *self.data["lists"].values()):
            yield pivot["name"], pivot["model"], pivot["domain"], pivot["fieldMatching"]
        for figure in self.data["sheets"][0]["figures"]:
            chart = figure["data"]
            if chart["type"].startswith("odoo_"):
                yield (
                    chart["title"]["text"],
                    chart["metaData"]["resModel"],
                    chart["searchParams"]["domain"],
                    chart["fieldMatching"],
                )

    def test_every_filter_reaches_what_has_its_field(self):
        filters = {one["id"]: one for one in self.data["globalFilters"]}
        self.assertEqual(list(filters), ["period", "branch", "category"])
        self.assertEqual(filters["period"]["defaultValue"], "last_12_months")
        for name, model, domain, matching in self._get_sources():
            with self.subTest(name):
                expected = {
                    key
                    for key, field in (
                        ("branch", "branch_id"),
                        ("category", "patron_category_id"),
                    )
                    if field in self.env[model]._fields
                }
                if model == "library.branch":
                    expected = {"branch"}
                # The whole library is no branch; formulas choose between the two.
                if ["branch_id", "=", False] in domain:
                    expected.remove("branch")
                if {"month", "date", "cohort"} & set(self.env[model]._fields):
                    expected.add("period")
                self.assertEqual(set(matching), expected)
                for key, match in matching.items():
                    field = self._get_field(model, match["chain"])
                    self.assertEqual(field.type, match["type"])
                    if key != "period" and match["chain"] != "id":
                        self.assertEqual(field.comodel_name, filters[key]["modelName"])

    def test_no_row_of_use_is_read(self):
        models = {model for _name, model, _domain, _matching in self._get_sources()}
        self.assertNotIn("library.service.usage", models)


@tagged("post_install", "-at_install")
class TestDirectorDashboard(ChecksOfLibrary, LibraryCommon):
    dashboard_xmlid = "library_crm.library_director_dashboard"
    dashboard_models = (
        *("library.indicator.value", "library.service.usage.month"),
        *("library.value.report", "library.branch"),
    )
    chart_count = 12
    dashboard_users = ("manager",)


@tagged("post_install", "-at_install")
class TestBranchDashboard(ChecksOfLibrary, LibraryCommon):
    dashboard_xmlid = "library_crm.library_branch_dashboard"
    dashboard_models = (
        *("library.indicator.value", "library.service.usage.month"),
        "library.membership",
    )
    chart_count = 14
    dashboard_users = ("desk", "manager")


@tagged("post_install", "-at_install")
class TestMarketingDashboard(ChecksOfLibrary, LibraryCommon):
    dashboard_xmlid = "library_crm.library_marketing_dashboard"
    dashboard_models = (
        *("library.indicator.value", "library.acquisition.funnel"),
        *("library.mailing.result", "library.journey.result"),
        *("library.segment.snapshot", "library.retention"),
    )
    chart_count = 13
    dashboard_users = ("marketing", "manager")


@tagged("post_install", "-at_install")
class TestServicesDashboard(ChecksOfLibrary, LibraryCommon):
    dashboard_xmlid = "library_crm.library_services_dashboard"
    dashboard_models = (
        *("library.indicator.value", "library.service.usage.month"),
        "library.value.report",
    )
    chart_count = 12
    dashboard_users = ("desk", "marketing", "manager")


@tagged("post_install", "-at_install")
class TestEresourcesDashboard(ChecksOfLibrary, LibraryCommon):
    dashboard_xmlid = "library_crm.library_eresources_dashboard"
    dashboard_models = (
        *("library.indicator.value", "library.service.usage.month"),
        "library.counter.report",
    )
    chart_count = 11
    dashboard_users = ("manager",)


#: Opens a dashboard and waits until everything in it was asked and told; ``figures``
#: are those of the sheet of data, by their label.
READ = """
    const services = odoo.__WOWL_DEBUG__.root.env.services;
    const pause = () => new Promise((resolve) => setTimeout(resolve, 100));
    const getModel = () =>
        services.spreadsheet_dashboard_loader?.getActiveDashboard()?.model;
    async function settle() {
        let quiet = 0;
        for (let tries = 0; tries < 300 && quiet < 5; tries++) {
            await pause();
            quiet = getModel() && !isLoading() ? quiet + 1 : 0;
        }
        if (quiet < 5) {
            throw new Error("The dashboard is still loading");
        }
    }
    function* getCells() {
        const getters = getModel().getters;
        for (const sheet of getters.getSheetIds()) {
            for (const id of Object.keys(getters.getCells(sheet))) {
                const place = getters.getCellPosition(id);
                yield [place, getters.getEvaluatedCell(place)];
            }
        }
    }
    function getCharts() {
        const getters = getModel().getters;
        return getters
            .getFigures(getters.getSheetIds()[0])
            .map((figure) => getters.getChartIdFromFigureId(figure.id))
            .filter((id) => getters.getChartDefinition(id).type.startsWith("odoo_"))
            .map((id) => getters.getChartDataSource(id));
    }
    function isLoading() {
        for (const [, cell] of getCells()) {
            if (cell.value === "Loading...") {
                return true;
            }
        }
        // Odoo asks for what is below the screen when somebody scrolls there.
        const waiting = getCharts().filter((chart) => !chart.isReady());
        waiting.forEach((chart) => chart.load());
        return waiting.length > 0;
    }
    function getErrors() {
        const errors = [];
        for (const [place, cell] of getCells()) {
            if (cell.type === "error" || String(cell.value).startsWith("#")) {
                errors.push(`${place.row + 1}:${place.col + 1} ${cell.message}`);
            }
        }
        for (const chart of getCharts()) {
            if (!chart._isValid) {
                errors.push(`${chart._metaData.resModel} ${chart._loadError.message}`);
            }
        }
        return errors;
    }
    function getFigures() {
        const getters = getModel().getters;
        const sheet = getters.getSheetIds()[1];
        const figures = {};
        for (let row = 0; row < getters.getNumberRows(sheet); row++) {
            const [label, now] = [0, 1].map((col) =>
                getters.getEvaluatedCell({ sheetId: sheet, row, col })
            );
            figures[label.value] ??= now.value;
        }
        return figures;
    }
"""


@tagged("post_install", "-at_install")
class TestDashboardsInBrowser(LibraryCommon, HttpCase):
    """Dashboards as they open before who looks at them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.month = fields.Date.start_of(fields.Date.today(), "month")
        cls.empty_library = cls.env["res.company"].create({"name": "New Library"})
        new_test_user(
            cls.env,
            "library_founder",
            "library_crm.group_library_manager",
            company_id=cls.empty_library.id,
            company_ids=[Command.set(cls.empty_library.ids)],
        )

    @classmethod
    def _fill(cls):
        """Fourteen months of use: of each month six adults and six children visit the
        main branch, and six adults the north branch; they borrow one thing each."""
        people = {
            (branch, category): cls.env["library.patron"].create(
                [
                    {
                        "name": f"Patron {number}",
                        "company_id": cls.library.id,
                        "branch_id": branch.id,
                        "patron_category_id": category.id,
                        "enrolled_on": cls.month - relativedelta(years=3),
                    }
                    for number in range(6)
                ]
            )
            for branch, category in (
                (cls.main, cls.adult),
                (cls.main, cls.child),
                (cls.north, cls.adult),
            )
        }
        cls.env["library.service.usage"].create(
            [
                {
                    "date": cls.month
                    - relativedelta(months=ago)
                    + relativedelta(day=9),
                    "service_id": service.id,
                    "branch_id": branch.id,
                    "patron_id": patron.id,
                    "quantity": 1,
                }
                for ago in range(1, 15)
                for (branch, _category), patrons in people.items()
                for patron in patrons
                for service in (cls.visit, cls.loan)
            ]
        )
        cls.env["library.population"].create(
            {
                "company_id": cls.library.id,
                "year": cls.month.year - 3,
                "number": 100,
            }
        )
        cls.env["library.cost"].create(
            {
                "name": "Staff",
                "company_id": cls.library.id,
                "date_from": cls.month - relativedelta(years=2),
                "date_to": cls.month,
                "amount": 1000,
            }
        )
        cls.env["library.indicator.target"].create(
            {
                "indicator_id": cls.env.ref(
                    "library_crm.library_indicator_active_users"
                ).id,
                "company_id": cls.library.id,
                "year": (cls.month - relativedelta(months=1)).year,
                "target": 10,
            }
        )
        for patrons in people.values():
            cls._create_membership(
                patrons[0], date_end=cls.month + relativedelta(months=1, days=20)
            )
        cls.env["library.indicator.value"]._count(cls.library)
        cls.env["library.retention"]._count_since(
            cls.library, cls.month - relativedelta(years=3)
        )
        cls.env.ref("library_crm.library_segment_new")._take_snapshot(cls.library)

    def _check(self, steps, login="library_manager"):
        """Open dashboards, and look after each step whether there is an error and
        whether the figures are these.

        :param steps: name of the dashboard, values of filters that are to be set, and
            figures by their label
        """
        boards = {
            name: self.env.ref(f"library_crm.library_{name}_dashboard").id
            for name, _filters, _figures in steps
        }
        code = f"""
            const boards = {json.dumps(boards)};
            for (const [name, filters, expected] of {json.dumps(steps)}) {{
                services.spreadsheet_dashboard_loader.activateDashboard(boards[name]);
                await settle();
                for (const [id, value] of Object.entries(filters)) {{
                    getModel().dispatch("SET_GLOBAL_FILTER_VALUE", {{
                        id,
                        value: value ?? undefined,
                    }});
                }}
                await settle();
                const at = `${{name}} ${{JSON.stringify(filters)}}`;
                const errors = getErrors();
                if (errors.length) {{
                    throw new Error(`${{at}} ${{errors.slice(0, 5).join("; ")}}`);
                }}
                const figures = getFigures();
                for (const [label, value] of Object.entries(expected)) {{
                    const told = figures[label];
                    if (told !== value) {{
                        throw new Error(`${{at}} ${{label}} ${{told}} ${{value}}`);
                    }}
                }}
            }}
        """
        self.browser_js(
            f"/odoo/dashboards?dashboard_id={boards[steps[0][0]]}",
            f"""
            {READ}
            (async () => {{
                {code}
                console.log("test successful");
            }})().catch((error) => console.error(error.message));
            """,
            ready="!!odoo.__WOWL_DEBUG__?.root?.env?.services"
            "?.spreadsheet_dashboard_loader?.getActiveDashboard()?.model",
            login=login,
            timeout=180,
        )

    def test_dashboards_of_a_library_with_data_have_no_error(self):
        self._fill()
        self._check([(name, {}, {}) for name in DASHBOARDS])

    def test_dashboards_of_a_new_library_have_no_error(self):
        nothing = {
            "director": ("Active users", "Visits", "Targets met"),
            "branch": ("Active users", "Loans"),
            "marketing": ("Mails sent", "New patrons"),
            "services": ("Uses", "Value for 100 spent"),
            "eresources": ("Uses of e-resources", "Turn-aways"),
        }
        self._check(
            [
                (name, {}, dict.fromkeys(labels, "–"))
                for name, labels in nothing.items()
            ],
            login="library_founder",
        )

    def test_director_chooses_period_branch_and_category(self):
        self._fill()
        north, both, child = (
            {"operator": "in", "ids": records.ids}
            for records in (self.north, self.north + self.main, self.child)
        )
        steps = (
            (
                {"period": self._period(12)},
                {"Active users": 18, "People reached (%)": 18, "Visits": 18 * 12},
            ),
            ({"branch": north}, {"Active users": 6, "Visits": 6 * 12}),
            ({"branch": None, "category": child}, {"Visits": 6 * 12}),
            (
                {"category": None, "period": self._period(2)},
                {"Active users": 18, "Visits": 18 * 2},
            ),
            # Whoever was in both would be counted twice.
            ({"branch": both}, {"Active users": "–", "Visits": 18 * 2}),
        )
        self._check([("director", *step) for step in steps])

    def test_desk_and_marketing_open_theirs(self):
        self._fill()
        for login, names in (
            ("library_desk", ("branch", "services")),
            ("library_marketing", ("marketing", "services")),
        ):
            with self.subTest(login):
                self._check([(name, {}, {}) for name in names], login=login)

    def _period(self, months):
        """The value of the filter: so many months that are over."""
        return {
            "type": "range",
            "from": str(self.month - relativedelta(months=months)),
            "to": str(self.month - relativedelta(days=1)),
        }
