import base64
import copy
import json
from datetime import date

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import SQL
from odoo.tools.misc import file_open

from .test_data_source import DataSourceCase

_FIXTURES = "library_crm/tests/fixtures/"


def make_report(report_id, *figures, **header):
    """A report of figures: platform, database, metric and the count by month."""
    return json.dumps(
        {
            "Report_Header": {
                "Release": "5.1",
                "Report_ID": report_id,
                "Report_Filters": {
                    "Begin_Date": "2026-01-01",
                    "End_Date": "2026-03-31",
                },
                **header,
            },
            "Report_Items": [
                {
                    "Platform": platform,
                    **({"Database": database} if database else {}),
                    "Attribute_Performance": [{"Performance": {metric: months}}],
                }
                for platform, database, metric, months in figures
            ],
        }
    )


@tagged("post_install", "-at_install")
class TestCounterLoad(DataSourceCase):
    """The use of e-resources is counted from COUNTER reports: once, by the month, of
    nobody, and without what was read."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.online = cls.env["library.branch"].create(
            {"name": "Online", "code": "TONLINE", "company_id": cls.library.id}
        )
        cls.source, cls.second = cls.env["library.data.source"].create(
            [
                {
                    "name": name,
                    "format": "counter",
                    "company_id": cls.library.id,
                    "branch_id": cls.online.id,
                }
                for name in ("Reedbed by hand", "Reedbed by the consortium")
            ]
        )
        with file_open(f"{_FIXTURES}counter_tr.json", "rb") as file:
            cls.title_report = file.read()
        with file_open(f"{_FIXTURES}counter_tr.tsv", "rb") as file:
            cls.title_report_tsv = file.read()

    def load(self, *arguments, source=None, **header):
        """A load of a report of such figures, or of such bytes."""
        content = arguments[0]
        if isinstance(content, str):
            content = make_report(*arguments, **header).encode()
        load = self.upload(source or self.source, content)
        self.assertEqual(load.state, "done", load.message)
        return load

    def get_use(self):
        """By month and service, how much was counted."""
        rows = self.env["library.service.usage"]._read_group(
            [("branch_id", "=", self.online.id)],
            ["date:month", "service_id"],
            ["quantity:sum"],
        )
        return {
            (f"{month:%Y-%m}", service.code): quantity
            for month, service, quantity in rows
        }

    def get_figures(self):
        """The same from the roll-up."""
        self.env.flush_all()
        return {
            (f"{month:%Y-%m}", code): quantity
            for month, code, quantity in self.env.execute_query(
                SQL(
                    """
                    SELECT month, service.code, sum(quantity)
                      FROM library_service_usage_month figure
                      JOIN library_service service ON service.id = service_id
                     WHERE branch_id = %s
                  GROUP BY 1, 2
                    HAVING sum(quantity) != 0
                    """,
                    self.online.id,
                )
            )
        }

    def assertUse(self, **expected):
        """``jan_eresource=5``: as the rows say and as the roll-up does."""
        months = {"jan": "2026-01", "feb": "2026-02", "mar": "2026-03"}
        expected = {
            (months[name[:3]], name[4:]): quantity
            for name, quantity in expected.items()
        }
        self.assertEqual(self.get_use(), expected)
        self.assertEqual(self.get_figures(), expected)

    # ------------------------------------------------------------
    # WHAT IS COUNTED
    # ------------------------------------------------------------

    def test_title_report_becomes_monthly_use_of_nobody(self):
        load = self.load(self.title_report)
        self.assertUse(
            jan_eresource=20,
            feb_eresource=8,
            mar_eresource=7,
            jan_turnaway=1,
            mar_turnaway=2,
        )
        usages = self.env["library.service.usage"].search(
            [("branch_id", "=", self.online.id)]
        )
        self.assertFalse(usages.patron_id)
        self.assertEqual({usage.date.day for usage in usages}, {1})
        self.assertEqual(set(usages.mapped("channel")), {"online"})
        self.assertEqual(load.rows_new, len(usages))

    def test_tsv_and_json_of_a_report_are_the_same_report(self):
        self.load(self.title_report)
        load = self.load(self.title_report_tsv)
        self.assertEqual((load.rows_new, load.rows_refused), (0, 0))
        self.assertEqual(load.rows_unchanged, load.rows_read)

    def test_no_title_is_stored_and_the_load_says_what_was_dropped(self):
        load = self.load(self.title_report)
        self.assertIn("ISBN", load.forbidden_columns)
        stored = [
            str(value)
            for model in ("library.data.load", "library.counter.report")
            for record in self.env[model].search([("company_id", "=", self.library.id)])
            for value in record.read()[0].values()
        ]
        for secret in ("Secret", "979-8-77777", "10.9999", "secret-1"):
            self.assertFalse([text for text in stored if secret in text], secret)

    def test_database_report_counts_searches_and_turn_aways(self):
        self.load(
            "DR",
            ("Reedbed", "Birds", "Total_Item_Requests", {"2026-01": 5}),
            ("Reedbed", "Fish", "Total_Item_Requests", {"2026-01": 2}),
            ("Reedbed", "Birds", "Searches_Regular", {"2026-01": 9}),
            ("Reedbed", "Birds", "No_License", {"2026-02": 1}),
            ("Reedbed", "Birds", "Unique_Item_Requests", {"2026-01": 4}),
        )
        self.assertUse(jan_eresource=7, jan_search=9, feb_turnaway=1)

    def test_database_counts_for_a_service_of_its_own(self):
        birds = self.env["library.service"].create(
            {"name": "Birds", "code": "tbirds", "category": "eresource"}
        )
        self.source.value_ids = [
            Command.create(
                {"field": "service_code", "found": "Birds", "service_id": birds.id}
            )
        ]
        self.load(
            "DR",
            ("Reedbed", "Birds", "Total_Item_Requests", {"2026-01": 5}),
            ("Reedbed", "Fish", "Total_Item_Requests", {"2026-01": 2}),
        )
        self.assertUse(jan_tbirds=5, jan_eresource=2)

    # ------------------------------------------------------------
    # AGAIN
    # ------------------------------------------------------------

    def test_same_report_again_changes_nothing(self):
        self.load(self.title_report)
        before = self.get_use()
        load = self.load(self.title_report)
        self.assertEqual(
            (load.rows_new, load.rows_changed, load.rows_unchanged),
            (0, 0, load.rows_total),
        )
        self.assertEqual(self.get_use(), before)

    def test_corrected_report_takes_the_place_of_what_it_said(self):
        requests = "Total_Item_Requests"
        self.load(
            "PR",
            ("Reedbed", "", requests, {"2026-01": 5, "2026-02": 6, "2026-03": 7}),
            ("Reedbed", "", "Searches_Platform", {"2026-01": 3}),
        )
        load = self.load("PR", ("Reedbed", "", requests, {"2026-01": 5, "2026-02": 60}))
        self.assertEqual((load.rows_changed, load.rows_unchanged), (1, 1))
        self.assertIn("taken out", load.notes_text)
        self.assertUse(jan_eresource=5, feb_eresource=60)

    def test_report_of_one_platform_takes_nothing_from_another(self):
        requests = "Total_Item_Requests"
        self.load("PR", ("Reedbed", "", requests, {"2026-01": 5}))
        self.load("PR", ("Weir", "", requests, {"2026-01": 4}))
        self.assertUse(jan_eresource=9)

    def test_longer_report_adds_its_months(self):
        requests = "Total_Item_Requests"
        self.load("PR", ("Reedbed", "", requests, {"2026-01": 5}))
        load = self.load("PR", ("Reedbed", "", requests, {"2026-01": 5, "2026-02": 6}))
        self.assertEqual((load.rows_new, load.rows_unchanged), (1, 1))
        self.assertUse(jan_eresource=5, feb_eresource=6)

    # ------------------------------------------------------------
    # OVERLAP
    # ------------------------------------------------------------

    def test_other_report_of_the_same_uses_is_refused_with_the_reason(self):
        requests = "Total_Item_Requests"
        self.load("PR", ("Reedbed", "", requests, {"2026-01": 5}))
        load = self.load(
            "TR",
            ("reedbed", "", requests, {"2026-01": 5, "2026-02": 8}),
            ("Weir", "", requests, {"2026-01": 4}),
        )
        self.assertEqual((load.rows_new, load.rows_refused), (2, 1))
        for text in ("Reedbed", "2026-01", "PR", "Reedbed by hand", "delete"):
            self.assertIn(text, load.refusal_ids.reason)
        self.assertUse(jan_eresource=9, feb_eresource=8)

    def test_same_report_of_another_source_is_refused(self):
        figure = ("Reedbed", "", "Total_Item_Requests", {"2026-01": 5})
        self.load("PR", figure)
        load = self.load("PR", figure, source=self.second)
        self.assertEqual(load.rows_refused, 1)
        self.assertUse(jan_eresource=5)

    def test_reports_of_different_uses_are_both_counted(self):
        self.load("TR_J1", ("Reedbed", "", "Total_Item_Requests", {"2026-01": 5}))
        self.load("TR_B1", ("Reedbed", "", "Total_Item_Requests", {"2026-01": 3}))
        self.load("DR_D2", ("Reedbed", "Birds", "No_License", {"2026-01": 2}))
        self.assertUse(jan_eresource=8, jan_turnaway=2)

    def test_counted_report_can_be_taken_out_for_another(self):
        requests = "Total_Item_Requests"
        self.load("PR", ("Reedbed", "", requests, {"2026-01": 5}))
        counted = self.env["library.counter.report"].search(
            [("source_id", "=", self.source.id)]
        )
        self.assertEqual((counted.platform, counted.quantity), ("Reedbed", 5))
        self.assertEqual(self.source.counter_report_count, 1)
        with self.assertRaises(AccessError):
            counted.with_user(self.desk).unlink()
        counted.with_user(self.manager).unlink()
        self.assertUse()
        self.load("TR", ("Reedbed", "", requests, {"2026-01": 6}))
        self.assertUse(jan_eresource=6)

    def test_other_library_counts_for_itself(self):
        figure = ("Reedbed", "", "Total_Item_Requests", {"2026-01": 5})
        self.load("PR", figure)
        other = self.env["library.data.source"].create(
            {
                "name": "Hillside",
                "format": "counter",
                "company_id": self.other_library.id,
                "branch_id": self.other_branch.id,
            }
        )
        load = self.env["library.data.load"].create({"source_id": other.id})
        report = make_report("PR", figure).encode()
        load.write({"file": base64.b64encode(report)})
        load.action_run()
        self.assertEqual((load.rows_new, load.rows_refused), (1, 0))

    # ------------------------------------------------------------
    # WHAT IS TOLD
    # ------------------------------------------------------------

    def test_report_that_disagrees_with_itself_is_told(self):
        report = json.loads(self.title_report)
        performance = report["Report_Items"][0]["Attribute_Performance"][0]
        performance["Performance"]["Unique_Item_Requests"]["2026-01"] = 70
        load = self.load(json.dumps(report).encode())
        self.assertIn("contradicts itself", load.notes_text)
        self.assertIn("it says 78", load.notes_text)
        self.assertTrue(load.rows_new)

    def test_missing_months_and_parts_are_told(self):
        load = self.load(
            "PR",
            ("Reedbed", "", "Total_Item_Requests", {"2026-01": 5}),
            Exceptions=[
                {
                    "Code": 3040,
                    "Message": "Partial Data Returned",
                    "Data": "Secret Herons",
                }
            ],
            Report_Filters={
                "Begin_Date": "2026-01-01",
                "End_Date": "2026-03-31",
                "YOP": ["2019"],
            },
        )
        self.assertIn("3040", load.notes_text)
        self.assertIn("YOP", load.notes_text)
        self.assertNotIn("Secret", load.notes_text)

    def test_report_with_missing_months_takes_nothing_out(self):
        requests = "Total_Item_Requests"
        self.load("PR", ("Reedbed", "", requests, {"2026-01": 5, "2026-02": 6}))
        self.load(
            "PR",
            ("Reedbed", "", requests, {"2026-01": 5}),
            Exceptions=[{"Code": 3031, "Message": "Not Ready", "Data": "2026-02"}],
        )
        self.assertUse(jan_eresource=5, feb_eresource=6)

    def test_dry_run_counts_the_same_and_leaves_nothing(self):
        load = self.upload(self.source, self.title_report, run=False)
        load.action_dry_run()
        dry = load.rows_new
        self.assertUse()
        self.assertFalse(self.source.counter_report_count)
        load.action_run()
        self.assertEqual(load.rows_new, dry)

    def test_report_that_can_not_be_read_says_why(self):
        report = json.loads(self.title_report)
        for change, text in (
            ({"Release": "5"}, "release 5;"),
            ({"Report_ID": "XR"}, "XR is not known"),
            ({"Report_Attributes": {"Granularity": ["Total"]}}, "by month"),
        ):
            changed = copy.deepcopy(report)
            changed["Report_Header"].update(change)
            with self.subTest(text), self.assertRaisesRegex(UserError, text):
                self.upload(self.source, json.dumps(changed))
        deep = b'{"Report_Header": ' + b"[" * 10_000 + b"]" * 10_000 + b"}"
        for content, text in (
            (deep, "nested too deeply"),
            (self.title_report[:-20], "breaks off"),
            (b"PK\x03\x04", "XLSX"),
            (b" ", "empty"),
        ):
            with self.subTest(text), self.assertRaisesRegex(UserError, text):
                self.upload(self.source, content)
        self.assertUse()

    def test_source_needs_a_branch(self):
        with self.assertRaisesRegex(ValidationError, "Branch"):
            self.make_source("counter")

    def test_count_that_no_database_holds_is_refused(self):
        load = self.load(
            "PR", ("Reedbed", "", "Total_Item_Requests", {"2026-01": 2**31})
        )
        self.assertEqual((load.rows_new, load.rows_refused), (0, 1))

    def test_months_of_a_report_are_those_of_the_figure(self):
        self.load("PR", ("Reedbed", "", "Total_Item_Requests", {"2026-03": 5}))
        counted = self.env["library.counter.report"].search(
            [("source_id", "=", self.source.id)]
        )
        self.assertEqual(counted.month, date(2026, 3, 1))
