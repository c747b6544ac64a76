from datetime import date

from lxml import html

from odoo.exceptions import ValidationError
from odoo.fields import Command
from odoo.tests import Form, freeze_time, tagged

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestAnnualReport(LibraryCommon):
    """The library's year on paper."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["library.value.table"].search([]).active = False
        cls.low, cls.high = cls.env["library.value.table"].create(
            [
                {
                    "name": name,
                    "source": f"Source of {name}",
                    "currency_id": cls.library.currency_id.id,
                    "line_ids": [
                        Command.create(
                            {
                                "name": "Book",
                                "service_id": cls.loan.id,
                                "unit_value": price,
                            }
                        )
                    ],
                }
                for name, price in (("Low", 10), ("High", 20))
            ]
        )

    def _use(self, quantity, day, **values):
        self.env["library.service.usage"].create(
            {
                "service_id": self.loan.id,
                "branch_id": self.main.id,
                "date": day,
                "quantity": quantity,
                **values,
            }
        )

    def _report(self, year=2025, user=None, **values):
        return (
            self.env["library.annual.report"]
            .with_user(user or self.manager)
            .with_context(allowed_company_ids=self.library.ids)
            .create({"company_id": self.library.id, "year": year, **values})
        )

    def _rows(self, report):
        """The rows of all tables, by what they begin with."""
        self.env.flush_all()
        report.invalidate_recordset()
        page = html.fromstring(str(report.body))
        return {
            cells[0]: cells[1:]
            for cells in (
                [" ".join(cell.text_content().split()) for cell in row]
                for row in page.xpath("//tbody/tr")
            )
        }

    def _text(self, report):
        self.env.flush_all()
        report.invalidate_recordset()
        return " ".join(html.fromstring(str(report.body)).text_content().split())

    def test_low_and_high_table_stand_side_by_side(self):
        self._use(30, date(2025, 3, 1))
        self.env["library.cost"].create(
            {
                "name": "All",
                "company_id": self.library.id,
                "amount": 100,
                "date_from": date(2025, 3, 1),
                "date_to": date(2025, 3, 31),
            }
        )
        rows = self._rows(self._report())
        self.assertIn("300.00", rows["Low"][0])
        self.assertIn("3.00", rows["Low"][2])
        self.assertIn("6.00", rows["High"][2])
        self.assertIn("300.00", rows["Lending"][1])
        self.assertIn("600.00", rows["Lending"][2])
        text = self._text(self._report())
        self.assertRegex(text, r"Between \D*300\.00 and \D*600\.00")
        self.assertIn("Source of High", text)

    def test_without_a_cost_the_return_is_not_told(self):
        self._use(30, date(2025, 3, 1))
        self.assertEqual(
            self._rows(self._report())["Low"][1:3], ["—", "no cost entered"]
        )

    def test_trend_of_five_years_has_gaps_and_no_zeros(self):
        for year, quantity in ((2021, 5), (2024, 50), (2025, 60)):
            self._use(quantity, date(year, 6, 30))
        self._use(999, date(2020, 12, 31))
        self.assertEqual(
            self._rows(self._report())["Loans"][:6],
            ["5", "—", "—", "50", "60", "+20 %"],
        )

    def test_year_from_july_has_the_name_of_the_year_it_ends_in(self):
        self.library.library_fiscal_month = "7"
        self._use(1, date(2024, 6, 30))
        self._use(20, date(2024, 7, 1))
        self._use(300, date(2025, 6, 30))
        self._use(4000, date(2025, 7, 1))
        rows = self._rows(self._report())
        self.assertEqual(rows["Loans"][3:5], ["1", "320"])
        self.assertIn("3,200.00", rows["Low"][0])
        self.assertIn("07/01/2024 – 06/30/2025", self._text(self._report()))

    def test_last_year_that_is_over_is_proposed(self):
        Report = self.env["library.annual.report"].with_company(self.library)
        for month, today, year in (
            ("1", "2026-01-01", 2025),
            ("1", "2025-12-31", 2024),
            ("7", "2026-06-30", 2025),
            ("7", "2026-07-01", 2026),
        ):
            self.library.library_fiscal_month = month
            with self.subTest(month=month, today=today), freeze_time(today):
                self.assertEqual(Report._get_last_year(), year)

    def test_branch_that_was_not_open_has_no_figure(self):
        self._use(30, date(2025, 3, 1))
        self._use(
            4, date(2025, 3, 1), branch_id=self.north.id, service_id=self.visit.id
        )
        rows = self._rows(self._report())
        self.assertEqual((rows["Main"][0], rows["North"][:2]), ("30", ["—", "4"]))
        self.assertNotIn("Hill", rows)
        self.assertEqual(
            self._rows(self._report(branch_id=self.north.id))["Visits"][-3], "4"
        )

    def test_library_without_figures_says_so(self):
        self.assertIn("Nothing was counted", self._text(self._report()))

    def test_year_is_a_year(self):
        with self.assertRaisesRegex(ValidationError, "such as 2026"):
            self._report(25)

    def test_page_is_for_marketing_and_changes_with_the_form(self):
        self._use(30, date(2024, 3, 1))
        self.env.flush_all()
        with Form(self._report(user=self.marketing)) as form:
            form.year = 2024
            self.assertIn("300.00", form.body)

    def test_report_is_printed_or_shown(self):
        self._use(30, date(2025, 3, 1))
        report = self._report()
        Report = self.env["ir.actions.report"].with_user(self.manager)
        name = "library_crm.library_annual_report_document"
        content, kind = Report._render_qweb_html(name, report.ids)
        self.assertEqual(kind, "html")
        self.assertIn("Riverside Library", content.decode())
        self.assertIn("300.00", content.decode())
        if Report.get_wkhtmltopdf_state() in ("install", "broken"):
            self.skipTest("wkhtmltopdf is missing: Odoo shows the page instead")
        content, kind = Report.with_context(
            force_report_rendering=True
        )._render_qweb_pdf(name, report.ids)
        self.assertEqual((kind, content[:4]), ("pdf", b"%PDF"))
