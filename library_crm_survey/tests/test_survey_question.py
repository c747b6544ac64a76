from psycopg2 import IntegrityError

from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .common import SurveyCommon


@tagged("post_install", "-at_install")
class TestMetrics(SurveyCommon):
    def test_picking_a_metric_is_enough(self):
        survey = self._make_survey(
            self.NPS,
            {"title": "Satisfied?", "library_metric": "csat"},
            {"title": "Learned?", "library_metric": "outcome"},
        )
        self.assertEqual(
            [
                (question.question_type, question.scale_min, question.scale_max)
                for question in survey.question_ids
            ],
            [("scale", 0, 10), ("scale", 1, 5), ("scale", 1, 5)],
        )
        self.assertEqual(survey.question_ids[2].library_outcome, "knowledge")

    def test_librarian_picks_nps_in_the_form_and_the_rest_follows(self):
        survey = self._make_survey(self.WHY)
        question = self.env["survey.question"].with_user(self.manager)
        question = question.with_context(default_survey_id=survey.id)
        with Form(question, "survey.survey_question_form") as form:
            form.title = "Would you come again?"
            form.library_metric = "csat"
            self.assertEqual(form.question_type, "scale")
            self.assertEqual((form.scale_min, form.scale_max), (1, 5))
            form.library_metric = "nps"
            self.assertEqual((form.scale_min, form.scale_max), (0, 10))
        self.assertEqual(form.record.library_metric, "nps")

    def test_another_type_takes_the_metric_off(self):
        survey = self._make_survey(self.NPS)
        question = survey.question_ids.with_user(self.manager)
        with Form(question, "survey.survey_question_form") as form:
            form.question_type = "text_box"
        self.assertFalse(question.library_metric)

    def test_scale_of_a_metric_is_fixed(self):
        question = self._make_survey(self.NPS).question_ids
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError):
            question.write({"scale_max": 7})
            self.env.flush_all()

    def test_outcome_says_which(self):
        question = self._make_survey(self.NPS).question_ids
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError):
            question.write({"library_outcome": "awareness"})
            self.env.flush_all()

    def test_scale_without_a_metric_is_odoos(self):
        first, second = self._make_survey(
            {"title": "How many?", "question_type": "scale"},
            {"title": "And?", "question_type": "scale", "scale_min": 2, "scale_max": 4},
        ).question_ids
        self.assertEqual((first.scale_min, first.scale_max), (0, 10))
        self.assertEqual((second.scale_min, second.scale_max), (2, 4))

    def test_labels_of_the_metric_unless_the_question_has_its_own(self):
        question = self._make_survey(self.NPS).question_ids
        self.assertEqual(
            question._get_scale_labels(), ("Not at all likely", "", "Extremely likely")
        )
        question.scale_max_label = "Gladly"
        self.assertEqual(question._get_scale_labels()[2], "Gladly")

    def test_what_is_not_on_the_scale_is_refused(self):
        nps, csat = self._make_survey(
            self.NPS, {"title": "Satisfied?", "library_metric": "csat"}
        ).question_ids
        for value in ("11", "-1", "9.5", 9.5, 11, "ten", True, ["9", "10"], {"9": 1}):
            with self.subTest(value):
                self.assertIn(nps.id, nps.validate_question(value))
        for value in ("0", "10", " 7 ", 9):
            with self.subTest(value):
                self.assertFalse(nps.validate_question(value))
        self.assertIn(csat.id, csat.validate_question("0"))

    def test_choice_of_another_question_is_refused(self):
        call, other = self._make_survey(
            self.CALL,
            {
                **self.CALL,
                "question_type": "multiple_choice",
                "library_is_call_question": False,
            },
        ).question_ids
        own, foreign = call.suggested_answer_ids[0], other.suggested_answer_ids[0]
        self.assertFalse(call.validate_question(str(own.id)))
        for answer in (str(foreign.id), "none", {"id": 1}):
            with self.subTest(answer):
                self.assertIn(call.id, call.validate_question(answer))
        several = [str(choice.id) for choice in other.suggested_answer_ids]
        self.assertFalse(other.validate_question(several))
        self.assertIn(other.id, other.validate_question([*several, str(own.id)]))

    def test_cell_that_is_not_in_the_matrix_is_refused(self):
        matrix, call = self._make_survey(
            {
                "title": "Where?",
                "question_type": "matrix",
                "suggested_answer_ids": [Command.create({"value": "Here"})],
                "matrix_row_ids": [Command.create({"value": "Books"})],
            },
            self.CALL,
        ).question_ids
        row, column = matrix.matrix_row_ids.id, str(matrix.suggested_answer_ids.id)
        foreign = str(call.suggested_answer_ids[0].id)
        self.assertFalse(matrix.validate_question({str(row): [column]}))
        for answer in ({"0": [column]}, {str(row): [foreign]}, {str(row): 1}, "x"):
            with self.subTest(answer):
                self.assertIn(matrix.id, matrix.validate_question(answer))


@tagged("post_install", "-at_install")
class TestAnsweredStays(SurveyCommon):
    """What was asked can be told from the question, also a year later."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.survey = cls._make_survey(
            cls.NPS, cls.CALL, cls._gap("Staff are kind", "I find things")
        )
        cls.nps, cls.call, cls.gap = cls.survey.question_ids
        cls.item = cls.gap.matrix_row_ids[0]

    def _answer(self):
        ratings = {
            str(item.id): {"no_opinion": True} for item in self.gap.matrix_row_ids
        }
        choice = self.call.suggested_answer_ids[0].id
        return self._finish(self._begin(self.survey), "9", choice, ratings)

    def _get_changes(self):
        """:return: what would change the meaning of answers, by a name"""
        return {
            "type": lambda: self.nps.write({"question_type": "text_box"}),
            "metric": lambda: self.nps.write({"library_metric": False}),
            "scale": lambda: self.nps.write({"scale_max": 9}),
            "question": lambda: self.nps.unlink(),
            "choice": lambda: self.call.suggested_answer_ids[0].unlink(),
            "item": lambda: self.item.unlink(),
            "moved item": lambda: self.item.write({"matrix_question_id": self.nps.id}),
            "new item": lambda: self.gap.write(
                {"matrix_row_ids": [Command.create({"value": "It is quiet"})]}
            ),
            "dimension": lambda: self.item.write({"library_dimension": "place"}),
            "through the survey": lambda: self.survey.write(
                {"question_and_page_ids": [Command.delete(self.call.id)]}
            ),
            "survey": lambda: self.survey.unlink(),
        }

    def test_answered_question_keeps_what_it_measures(self):
        self._answer()
        for name, change in self._get_changes().items():
            with self.subTest(name), self.assertRaisesRegex(UserError, "has answers"):
                change()

    def test_before_the_first_answer_everything_can_change(self):
        self.survey._create_answer(partner=self.amal.partner_id)
        self._answer().test_entry = True
        self.nps.write({"library_metric": "csat"})
        self.item.write({"library_dimension": "place"})
        self.gap.write({"matrix_row_ids": [Command.create({"value": "It is quiet"})]})
        self.call.unlink()
        self.assertEqual(self.nps.scale_max, 5)
        self.survey.unlink()
        self.assertFalse(self.survey.exists())

    def test_slip_of_the_pen_can_be_put_right_and_is_noted(self):
        self._answer()
        self.nps.title = "Would you recommend us to a friend?"
        note = self.survey.message_ids[0].body
        self.assertIn("Would you recommend us?", note)
        self.assertIn("to a friend", note)
        self.nps.write({"question_type": "scale", "constr_mandatory": False})

    def test_exam_of_the_staff_is_not_asked_about(self):
        self._answer()
        self.survey.library_company_id = False
        self.nps.unlink()
        self.survey.unlink()

    def test_new_version_can_change_and_knows_the_one_before(self):
        self._answer()
        action = self.survey.with_user(self.manager).action_new_version()
        new = self.env["survey.survey"].browse(action["res_id"])
        self.assertEqual(new.title, self.survey.title)
        self.assertEqual(new.library_previous_id, self.survey)
        self.assertEqual((self.survey.library_version, new.library_version), (1, 2))
        self.assertFalse(new.user_input_ids)
        nps, call, gap = new.question_ids
        self.assertEqual(nps.library_metric, "nps")
        self.assertTrue(call.library_is_call_question)
        self.assertEqual(gap.matrix_row_ids.mapped("library_dimension"), ["affect"] * 2)
        nps.write({"library_metric": "csat"})
        gap.matrix_row_ids[0].unlink()
