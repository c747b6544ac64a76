from ast import literal_eval

from odoo.exceptions import AccessError
from odoo.tests import tagged

from .common import SurveyResultCommon


@tagged("post_install", "-at_install")
class TestSurveyVerbatim(SurveyResultCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for words, branch in (("Open on Sundays", cls.main), ("Too loud", cls.north)):
            cls._answer(
                {
                    "question_id": cls.words.id,
                    "answer_type": "text_box",
                    "value_text_box": words,
                },
                library_branch_id=branch.id,
            )
        cls.action = cls.env.ref("library_crm_survey.survey_verbatim_action")

    def _search(self, *domain, user=None):
        lines = self.env["survey.user_input.line"].with_user(user or self.manager)
        lines = lines.with_context(allowed_company_ids=self.library.ids)
        return lines.search(
            [
                *literal_eval(self.action.domain),
                ("survey_id", "=", self.survey.id),
                *domain,
            ]
        )

    def test_words_are_searched_by_word_and_branch(self):
        self.assertEqual(len(self._search()), 2)
        self.assertEqual(
            self._search(("library_verbatim", "ilike", "SUNDAY")).library_verbatim,
            "Open on Sundays",
        )
        self.assertEqual(
            self._search(("library_branch_id", "=", self.north.id)).library_verbatim,
            "Too loud",
        )
        self.assertEqual(
            self._search(("library_verbatim", "not ilike", "sunday")).library_verbatim,
            "Too loud",
        )

    def test_newest_words_come_first(self):
        self.survey.user_input_ids[0].library_answered_on = "2026-04-01"
        lines = self._search()
        newest = lines.search(
            [("id", "in", lines.ids)], order="library_answered_on desc, id desc"
        )
        self.assertEqual(
            newest.mapped("library_answered_on"),
            sorted(lines.mapped("library_answered_on"), reverse=True),
        )

    def test_words_are_not_for_marketing_and_desk(self):
        for user in (self.desk, self.marketing):
            with self.assertRaises(AccessError):
                self._search(user=user)
