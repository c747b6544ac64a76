from datetime import date

from lxml import html

from odoo.tests import Form, tagged

from .common import SurveyResultCommon


@tagged("post_install", "-at_install")
class TestSurveyOverview(SurveyResultCommon):
    """What librarians read, and what is printed for the board."""

    def _overview(self, user=None, **values):
        return (
            self.env["library.survey.overview"]
            .with_user(user or self.manager)
            .with_context(allowed_company_ids=self.library.ids)
            .create(
                {
                    "company_id": self.library.id,
                    "date_from": date(2026, 1, 1),
                    "date_to": date(2026, 12, 31),
                    **values,
                }
            )
        )

    def _text(self, overview):
        return " ".join(html.fromstring(str(overview.body)).text_content().split())

    def _labels(self, model, name):
        return dict(self.env[model]._fields[name]._description_selection(self.env))

    def _answer_gaps(self, times=10, **values):
        for _time in range(times):
            self._answer(
                *self._rate(self.friendly, minimum=5, desired=7, perceived=8),
                *self._rate(self.quiet, minimum=6, desired=9, perceived=4),
                **values,
            )

    def test_headline_tells_figure_margin_and_number_of_answers(self):
        self._answer_scale(self.nps, [10] * 60 + [8] * 20 + [3] * 20)
        text = self._text(self._overview())
        self.assertIn("NPS +40 ± 15 100 answers", text)
        self.assertIn("60 % promoters, 20 % passives, 20 % detractors", text)

    def test_too_few_answers_are_not_told(self):
        self._answer_scale(self.nps, [10] * 9)
        text = self._text(self._overview())
        self.assertIn("NPS — 9 answers", text)
        self.assertNotIn("100", text)
        self.assertIn(
            "Too few answers", self._text(self._overview(date_to=date(2026, 1, 31)))
        )

    def test_tables_tell_by_branch_and_by_what_is_not_chosen(self):
        self._answer_scale(self.nps, [10] * 10)
        self._answer_scale(self.nps, [0] * 20, library_branch_id=self.north.id)
        text = self._text(self._overview())
        self.assertRegex(text, r"Main \+100 ± \d+ n = 10")
        self.assertRegex(text, r"North -100 ± \d+ n = 20")
        text = self._text(self._overview(branch_id=self.north.id))
        self.assertIn("Branch: North", text)
        self.assertNotIn("Main", text)
        self.assertIn("NPS -100", text)

    def test_hidden_figure_of_a_table_is_not_found_by_subtracting(self):
        third = self.main.copy({"name": "Third", "code": "TTHIRD"})
        for branch, times in ((self.main, 30), (self.north, 12), (third, 4)):
            self._answer_scale(self.nps, [10] * times, library_branch_id=branch.id)
        text = self._text(self._overview())
        self.assertRegex(text, r"Main \+100 ± \d+ n = 30")
        self.assertIn("North — n = 12", text)
        self._answer_scale(self.nps, [10] * 6, library_branch_id=third.id)
        self.assertRegex(self._text(self._overview()), r"North \+100 ± \d+ n = 12")

    def test_trend_is_a_line_over_months_and_broken_where_a_month_is_hidden(self):
        for month, times in ((1, 11), (2, 10), (3, 9), (4, 9), (5, 10), (6, 11)):
            self._answer_scale(
                self.nps, [10] * times, library_answered_on=date(2026, month, 1)
            )
        page = html.fromstring(str(self._overview().body))
        [trend] = page.find_class("o_library_survey_trend")
        lines = [line.get("points") for line in trend.iter("polyline")]
        self.assertEqual(lines, ["0.0,0.0 60.0,0.0", "240.0,0.0 300.0,0.0"])
        [title] = [node.text_content() for node in trend.iter("title")]
        self.assertIn("Feb 2026", title)
        self.assertNotIn("Mar 2026", title)

    def test_zone_of_tolerance_is_drawn_and_told_in_words(self):
        self._answer_gaps()
        page = html.fromstring(str(self._overview().body))
        by_item = {
            row.find("th").text_content().strip(): row
            for row in page.iter("tr")
            if row.find("th") is not None
        }
        zone = by_item["A quiet place"]
        title = " ".join(next(zone.iter("title")).text_content().split())
        self.assertEqual(
            title, "Below the minimum: minimum 6.00, desired 9.00, perceived 4.00"
        )
        [bar] = zone.iter("rect")
        self.assertEqual((bar.get("x"), bar.get("width")), ("100.0", "60.0"))
        cells = [" ".join(cell.text_content().split()) for cell in zone.iter("td")]
        self.assertEqual(
            cells[1:], ["10", "6.00", "9.00", "4.00 ± 0.00", "-2.00", "-5.00"]
        )
        self.assertIn(
            "Better than desired",
            next(by_item["Friendly staff"].iter("title")).text_content(),
        )
        dimensions = self._labels("survey.question.answer", "library_dimension")
        self.assertIn(dimensions["affect"], by_item)
        self.assertIn("All items", by_item)

    def test_answers_set_aside_are_counted_by_reason(self):
        self._answer_gaps()
        self._answer_gaps(6, library_set_aside="inverted")
        text = self._text(self._overview())
        reasons = self._labels("survey.user_input", "library_set_aside")
        self.assertIn(f"{reasons['inverted']}: 6", text)
        self.assertIn(f"{reasons['no_opinion']}: fewer than 5", text)

    def test_item_with_script_is_text(self):
        self.quiet.value = "<script>alert(1)</script>"
        self._answer_gaps()
        body = str(self._overview().body)
        self.assertNotIn("<script", body)
        self.assertIn("&lt;script&gt;", body)

    def test_page_is_for_desk_and_marketing_too(self):
        self._answer_scale(self.nps, [10] * 10)
        self._answer_scale(self.nps, [0] * 10, library_branch_id=self.north.id)
        self._answer_gaps()
        for user, nps in ((self.desk, "+100"), (self.marketing, "0")):
            with self.subTest(user.login):
                overview = self._overview(user, survey_id=self.survey.id)
                text = self._text(overview)
                self.assertIn(f"NPS {nps} ±", text)
                self.assertIn("A quiet place", text)
                self.assertEqual(
                    overview.action_explore()["res_model"], "library.survey.result"
                )
                with Form(overview) as form:
                    form.branch_id = self.main
                    self.assertIn("+100", form.body)

    def test_number_of_answers_does_not_change_the_number_of_queries(self):
        def count_queries():
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            self.assertTrue(overview.body)
            return self.cr.sql_log_count - before

        self._answer_scale(self.nps, [10] * 10)
        self._answer_gaps()
        overview = self._overview()
        self.assertTrue(overview.body)
        few = count_queries()
        self._answer_scale(self.nps, [10] * 40)
        self._answer_gaps(30)
        self.assertLessEqual(count_queries(), few)

    def test_page_is_read_on_a_replica(self):
        self._answer_scale(self.nps, [10] * 10)
        overview = self._overview()
        self.env.flush_all()
        with self.env.cr.savepoint() as savepoint:
            self.env.cr.execute("SET LOCAL transaction_read_only = on")
            self.assertIn("+100", str(overview.body))
            savepoint.rollback()

    def test_page_is_printed_for_the_board(self):
        self._answer_scale(self.nps, [10] * 10)
        self._answer_gaps()
        overview = self._overview()
        Report = self.env["ir.actions.report"].with_user(self.manager)
        name = "library_crm_survey.library_survey_overview_document"
        content, kind = Report._render_qweb_html(name, overview.ids)
        self.assertEqual(kind, "html")
        self.assertIn("Riverside Library", content.decode())
        self.assertIn("o_library_survey_zone", content.decode())
        if Report.get_wkhtmltopdf_state() in ("install", "broken"):
            self.skipTest("wkhtmltopdf is missing: Odoo shows the page instead")
        content, kind = Report.with_context(
            force_report_rendering=True
        )._render_qweb_pdf(name, overview.ids)
        self.assertEqual((kind, content[:4]), ("pdf", b"%PDF"))
