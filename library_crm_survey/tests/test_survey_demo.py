from datetime import timedelta
from unittest import SkipTest

from odoo import fields
from odoo.tests import TransactionCase, tagged

from ..demo.library_surveys import DemoSurveys


@tagged("post_install", "-at_install")
class TestSurveyDemo(TransactionCase):
    """Answers made today: those of the database may be old."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        visit = cls.env.ref("library_crm_survey.survey_visit", raise_if_not_found=False)
        if not visit:
            raise SkipTest("This database was made without demo data.")
        cls.today = fields.Date.today()
        cls.surveys = [cls._make(seed) for seed in (7, 7, 8)]

    @classmethod
    def _make(cls, seed):
        company = cls.env.ref("base.main_company")
        demo = DemoSurveys(cls.env, company, seed, cls.today)
        visit = cls.env.ref("library_crm_survey.survey_visit")._copy_with_title({})
        quality = demo._use("quality")
        demo._answer(visit, 60, "visit", 0.3)
        demo._answer(quality, 40, None, 0.5)
        return visit, quality

    def _get_values(self, survey):
        """:return: what was answered, in the order of answers and questions"""
        lines = survey.user_input_ids.user_input_line_ids.sorted("id")
        return [
            (line.value_scale, line.value_text_box, line.matrix_row_id.value)
            for line in lines
        ]

    def test_same_seed_makes_the_same_answers(self):
        first, second, other = (self._get_values(visit) for visit, _q in self.surveys)
        self.assertEqual(first, second)
        self.assertNotEqual(first, other)

    def test_answers_fill_eight_months_and_the_branches(self):
        answers = self.surveys[0][0].user_input_ids
        self.assertEqual(len(answers), 60)
        days = answers.mapped("library_answered_on")
        self.assertGreater(max(days) - min(days), timedelta(days=180))
        self.assertLess(max(days), self.today)
        self.assertGreaterEqual(len(answers.library_branch_id), 4)

    def test_anonymous_answers_say_neither_who_nor_when(self):
        answers = self.surveys[0][0].user_input_ids
        anonymous = answers.filtered(lambda answer: not answer.library_patron_id)
        self.assertGreater(len(anonymous), 5)
        self.assertLess(len(anonymous), len(answers))
        for answer in anonymous:
            self.assertFalse(answer.email or answer.end_datetime)
            self.assertEqual(answer.library_answered_on.day, 1)

    def test_round_asked_more_than_have_answered(self):
        company = self.env.ref("base.main_company")
        demo = DemoSurveys(self.env, company, 7, self.today)
        visit = self.env.ref("library_crm_survey.survey_visit")._copy_with_title({})
        asking_round = demo._ask(demo._answer(visit, 60, "visit", 0.3), "Year", 200, 20)
        self.assertEqual(asking_round.state, "closed")
        self.assertGreater(asking_round.answered_count, 10)
        self.assertTrue(25 <= asking_round.answer_rate <= 40)
        self.assertTrue(all(asking_round.invitation_ids.mapped("patron_id.email")))
        reminded = asking_round.invitation_ids.filtered("reminded_on")
        self.assertTrue(0 < len(reminded) < asking_round.invited_count + 1)

    def test_gap_answers_are_whole_and_some_are_set_aside(self):
        quality = self.surveys[0][1]
        reasons = quality.user_input_ids.mapped("library_set_aside")
        self.assertTrue(any(reasons))
        self.assertLess(len([reason for reason in reasons if reason]), 15)
        for ratings in (
            answer.user_input_line_ids._get_gap_ratings()
            for answer in quality.user_input_ids
        ):
            self.assertEqual(len(ratings), 22)
            for rating in ratings.values():
                self.assertIn(len(rating), (1, 3))
