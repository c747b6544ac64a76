from datetime import date

from lxml import html

from odoo.tests import tagged

from .common import SurveyResultCommon


@tagged("post_install", "-at_install")
class TestSurveyAnnualReport(SurveyResultCommon):
    """Satisfaction in the library's annual report."""

    def _rows(self, **values):
        self.env["library.service.usage"].create(
            {
                "service_id": self.loan.id,
                "branch_id": self.main.id,
                "date": date(2026, 3, 1),
                "quantity": 30,
            }
        )
        self.env.flush_all()
        report = (
            self.env["library.annual.report"]
            .with_user(self.marketing)
            .with_context(allowed_company_ids=self.library.ids)
            .create({"company_id": self.library.id, "year": 2026, **values})
        )
        page = html.fromstring(str(report.body))
        return {
            row[0].text_content(): row[1].text_content().strip()
            for row in page.xpath("//h3[.='Satisfaction']/following-sibling::table//tr")
        }

    def test_scores_of_the_year_have_margin_and_number_of_answers(self):
        self._answer_scale(self.nps, [10] * 60 + [8] * 20 + [3] * 20)
        self._answer_scale(self.nps, [0] * 50, library_answered_on=date(2025, 12, 31))
        self.assertEqual(self._rows(), {"NPS": "+40 ± 15 (100 answers)"})

    def test_too_few_answers_are_not_told(self):
        self._answer_scale(self.nps, [10] * 9)
        self.assertEqual(self._rows(), {})

    def test_report_of_a_branch_has_the_answers_of_the_branch(self):
        self._answer_scale(self.nps, [10] * 10)
        self._answer_scale(self.nps, [0] * 20, library_branch_id=self.north.id)
        rows = self._rows(branch_id=self.main.id)
        self.assertTrue(rows["NPS"].startswith("+100"), rows)
