from datetime import date
from io import BytesIO
from types import SimpleNamespace
from unittest.mock import patch

from lxml import html

from odoo.exceptions import ValidationError
from odoo.fields import Command
from odoo.tests import Form, HttpCase, freeze_time, tagged
from odoo.tools.pdf import PdfFileReader

from .common import LibraryCommon

DOCUMENT = "library_crm.library_annual_report_document"


class AnnualReportCommon(LibraryCommon):
    """Two tables of prices of a book: the low one says 10, the high one 20."""

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
        """The rows of all tables of figures, by what they begin with."""
        self.env.flush_all()
        report.invalidate_recordset()
        page = html.fromstring(str(report.body))
        rows = {}
        for row in page.xpath("//tbody/tr"):
            name, *cells = (" ".join(cell.text_content().split()) for cell in row)
            rows.setdefault(name, cells)
        return rows

    def _text(self, report):
        self.env.flush_all()
        report.invalidate_recordset()
        return " ".join(html.fromstring(str(report.body)).text_content().split())

    def _tell(self, code, years, branch=None):
        """Figures of an indicator as they were told at the end of years."""
        self.env["library.indicator.value"].create(
            [
                {
                    "indicator_id": self.env.ref(
                        f"library_crm.library_indicator_{code}"
                    ).id,
                    "company_id": self.library.id,
                    "branch_id": branch and branch.id,
                    "month": date(year, 12, 1),
                    "year": year,
                    "is_year_end": True,
                    "numerator_year": value,
                    "denominator_year": 1,
                    "value_year": value,
                }
                for year, value in years.items()
            ]
        )


@tagged("post_install", "-at_install")
class TestAnnualReport(AnnualReportCommon):
    """The library's year on paper."""

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
        self.assertRegex(text, r"Between \D*300\.00 \(Low\) and \D*600\.00 \(High\)")
        self.assertRegex(text, r"Value for 1 spent \D*3\.00 – \D*6\.00")
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
        self._use(10, date(2024, 6, 30))
        self._use(20, date(2024, 7, 1))
        self._use(300, date(2025, 6, 30))
        self._use(4000, date(2025, 7, 1))
        rows = self._rows(self._report())
        self.assertEqual(rows["Loans"][3:5], ["10", "320"])
        self.assertRegex(rows["Low"][0], r"3,200$")
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
            40, date(2025, 3, 1), branch_id=self.north.id, service_id=self.visit.id
        )
        self._tell("active_users", {2025: 12}, branch=self.main)
        rows = self._rows(self._report())
        self.assertEqual(rows["Main"], ["12", "30", "—"])
        self.assertEqual(rows["North"], ["—", "—", "40"])
        self.assertNotIn("Hill", rows)
        self.assertEqual(
            self._rows(self._report(branch_id=self.north.id))["Visits"][-3], "40"
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

    def test_indicators_have_five_years_and_the_target_of_the_last_one(self):
        self._use(30, date(2025, 3, 1))
        self._tell("visits_per_capita", {2020: 9, 2021: 1, 2024: 2, 2025: 3})
        self._tell("cost_per_use", {2025: 3})
        self._tell("loans_per_capita", {2025: 7})
        for code, year, target in (
            ("visits_per_capita", 2025, 2.5),
            ("cost_per_use", 2025, 2.5),
            ("loans_per_capita", 2024, 5),
        ):
            self.env["library.indicator.target"].create(
                {
                    "indicator_id": self.env.ref(
                        f"library_crm.library_indicator_{code}"
                    ).id,
                    "company_id": self.library.id,
                    "year": year,
                    "target": target,
                }
            )
        rows = self._rows(self._report())
        self.assertEqual(
            rows["Visits per person"],
            ["1.00", "—", "—", "2.00", "3.00", "2.50", "Target met"],
        )
        self.assertEqual(rows["Cost per use"][-1], "Target missed")
        self.assertEqual(rows["Loans per person"][-2:], ["", ""])
        self.assertIn("Visits ÷ people to be served", self._text(self._report()))

    def test_figure_stands_among_those_of_other_libraries(self):
        self.env["library.peer.set"].search([]).unlink()
        self._use(30, date(2025, 3, 1))
        self._tell("visits_per_capita", {2025: 4})
        visits = self.env.ref("library_crm.library_indicator_visits_per_capita")
        self.assertNotIn("Among other libraries", self._text(self._report()))
        peers = self.env["library.peer.set"].create({"name": "Survey", "year": 2025})
        self.env["library.peer"].create(
            [
                {
                    "set_id": peers.id,
                    "ref": f"L{amount}",
                    "name": f"Library {amount}",
                    "population": 1000,
                    "value_ids": [
                        Command.create({"indicator_id": visits.id, "amount": amount})
                    ],
                }
                for amount in (1, 2, 3, 4, 5)
            ]
        )
        text = self._text(self._report())
        self.assertRegex(
            text, r"Among other libraries Visits per person 4\.00 better than 70 % of"
        )
        self.assertIn("half of those that do the same", text)

    def test_indicators_of_a_branch_are_those_of_the_branch(self):
        self._use(30, date(2025, 3, 1))
        self._tell("visits_per_capita", {2025: 3})
        self._tell("visits_per_capita", {2025: 8}, branch=self.north)
        rows = self._rows(self._report(branch_id=self.north.id))
        self.assertEqual(rows["Visits per person"][4], "8.00")

    def test_page_begins_with_what_matters(self):
        for year, quantity in ((2024, 100), (2025, 110)):
            self._use(quantity, date(year, 3, 1))
        self._tell("active_users", {2024: 50, 2025: 40})
        self.assertRegex(
            self._text(self._report()),
            r"Active users 40 \W*-20 %\W* in a year Loans 110 \W*\+10 %\W* in a year "
            r"Value of use \D*1,100 – \D*2,200 What was used",
        )

    def test_year_that_is_not_over_is_not_compared_with_a_whole_one(self):
        for year, quantity in ((2024, 100), (2025, 30)):
            self._use(quantity, date(year, 1, 10))
        with freeze_time("2025-04-01"):
            report = self._report()
            self.assertEqual(self._rows(report)["Loans"][3:6], ["100", "30", ""])
            self.assertIn("This year is not over", self._text(report))
        self.assertEqual(self._rows(self._report())["Loans"][5], "-70 %")

    def test_uses_of_few_are_not_told_nor_found_by_taking_away(self):
        self._use(30, date(2025, 3, 1))
        self._use(3, date(2025, 3, 1), branch_id=self.north.id)
        hill = self.north.copy({"name": "Hill", "code": "THILL2"})
        self._use(7, date(2025, 3, 1), branch_id=hill.id)
        self._use(4, date(2024, 3, 1))
        question = self.env.ref("library_crm.library_service_reference")
        self._use(2, date(2025, 3, 1), service_id=question.id)
        rows = self._rows(self._report())
        few = "under 5"
        self.assertEqual(rows["Main"], ["—", "30", few])
        self.assertEqual(rows["North"], ["—", few, "—"])
        self.assertEqual(rows["Hill"], ["—", few, "—"])
        self.assertEqual(rows["Loans"][3:6], [few, "40", ""])
        self.assertEqual(rows["Enquiries"][4], few)
        self.assertEqual(rows["Reference and consultation"], [few, "—", "—"])
        self.assertEqual(rows["Lending"], [few, "—", "—"])

    def test_value_of_few_uses_is_not_told(self):
        self._use(4, date(2025, 3, 1))
        self._use(100, date(2025, 3, 1), service_id=self.visit.id)
        self.assertNotIn("Low", self._rows(self._report()))

    def test_prices_in_another_currency_are_not_the_ends_of_a_span(self):
        other = self.env["res.currency"].create({"name": "TEU", "symbol": "T"})
        self.high.currency_id = other
        self._use(30, date(2025, 3, 1))
        text = self._text(self._report())
        self.assertNotIn("Between", text)
        self.assertRegex(text, r"300\.00 by the table Low")
        self.assertIn("600.00", self._rows(self._report())["High"][0])

    def test_method_says_of_each_figure_what_it_counts(self):
        self._use(30, date(2025, 3, 1))
        text = self._text(self._report())
        loans = self.env["library.service"].search([("indicator", "=", "loans")])
        for name in loans.mapped("name"):
            self.assertIn(name, text)
        for said in ("Source of Low", "fewer than five people", "“under 5”"):
            self.assertIn(said, text)

    def test_page_is_read_on_a_replica(self):
        self._use(30, date(2025, 3, 1))
        report = self._report()
        self.env.flush_all()
        report.invalidate_recordset()
        with self.env.cr.savepoint() as savepoint:
            self.env.cr.execute("SET LOCAL transaction_read_only = on")
            self.assertIn("300.00", report.body)
            savepoint.rollback()

    def test_page_speaks_the_language_of_the_reader(self):
        self._use(30, date(2025, 3, 1))
        self._tell("visits_per_capita", {2025: 3})
        for code, said in (
            (
                "de_DE",
                ("Was genutzt wurde", "Ausleihen", "Besuche je Person", "Zwischen"),
            ),
            ("ar_001", ("كيف حُسبت الأرقام", "الإعارات", "الزيارات لكل فرد", "بين")),
        ):
            self.env["res.lang"]._activate_lang(code)
            self.env["ir.module.module"]._load_module_terms(["library_crm"], [code])
            text = self._text(self._report().with_context(lang=code))
            for words in said:
                self.assertIn(words, text)
            for english in ("What", "Loans", "Visits", "between", "Source"):
                self.assertNotIn(f"{english} ", text.replace("Source of", ""))

    def test_columns_of_years_and_their_bars_go_the_way_of_the_language(self):
        self.env["res.lang"]._activate_lang("ar_001")
        self._use(30, date(2025, 3, 1))
        self.env.flush_all()
        for lang, direction, place in (("en_US", "ltr", "40"), ("ar_001", "rtl", "0")):
            report = self._report().with_context(lang=lang)
            page = html.fromstring(str(report.body))
            self.assertEqual(page.get("dir"), direction)
            [bar] = page.xpath("//rect[@height='24.0']")
            self.assertEqual(bar.get("x") or "0", place)


@tagged("post_install", "-at_install")
class TestAnnualReportPrint(AnnualReportCommon, HttpCase):
    """The report as PDF, or the page and why."""

    def setUp(self):
        super().setUp()
        self._use(30, date(2025, 3, 1))
        self.report = self._report()
        self.env.flush_all()

    def _with_state(self, state):
        return patch.object(
            type(self.env["ir.actions.report"]),
            "get_wkhtmltopdf_state",
            lambda _: state,
        )

    def test_without_the_program_the_button_leads_to_the_page_with_a_word_of_why(self):
        self.authenticate(self.manager.login, self.manager.login)
        for state, reason in (
            ("install", "is not installed on this server"),
            ("broken", "does not work on this server"),
            ("workers", "one worker only"),
        ):
            with self.subTest(state), self._with_state(state):
                action = self.report.action_print()
                self.assertEqual(action["type"], "ir.actions.act_url")
                page = self.url_open(action["url"])
                self.assertEqual(page.status_code, 200)
                [why] = html.fromstring(page.text).xpath("//p[@role='status']")
                self.assertIn(reason, why.text_content())
                self.assertIn("save it as PDF", why.text_content())
                self.assertIn("d-print-none", why.get("class"))
                self.assertIn("300.00", page.text)

    def test_with_the_program_the_button_prints_and_nothing_is_explained(self):
        with self._with_state("ok"):
            action = self.report.action_print()
            self.assertEqual(action["report_type"], "qweb-pdf")
            content, _kind = (
                self.env["ir.actions.report"]
                .with_user(self.manager)
                ._render_qweb_html(DOCUMENT, self.report.ids)
            )
        self.assertIn("Riverside Library", content.decode())
        self.assertNotIn("save it as PDF", content.decode())

    def test_program_that_misplaces_arabic_is_not_asked_to_print_it(self):
        self.env["res.lang"]._activate_lang("ar_001")
        for lang, is_patched, is_printed in (
            ("ar_001", False, False),
            ("ar_001", True, True),
            ("en_US", False, True),
        ):
            program = patch(
                "odoo.addons.library_crm.models.ir_actions_report._wkhtml",
                lambda is_patched=is_patched: SimpleNamespace(is_patched_qt=is_patched),
            )
            with (
                self.subTest(lang, patched=is_patched),
                self._with_state("ok"),
                program,
            ):
                action = self.report.with_context(lang=lang).action_print()
                self.assertEqual(
                    action["type"] == "ir.actions.report", is_printed, action
                )

    def test_pdf_has_the_figures_and_then_a_page_on_method(self):
        Report = self.env["ir.actions.report"].with_user(self.manager)
        if Report._say_why_no_pdf():
            self.skipTest("wkhtmltopdf is missing: the page is shown instead")
        self.env["ir.config_parameter"].set_param("report.url", self.base_url())
        content, kind = Report.with_context(
            force_report_rendering=True
        )._render_qweb_pdf(DOCUMENT, self.report.ids)
        self.assertEqual((kind, content[:4]), ("pdf", b"%PDF"))
        self.assertEqual(len(PdfFileReader(BytesIO(content)).pages), 2)
