from odoo.fields import Command

from odoo.addons.library_crm.tests.common import LibraryCommon


class SurveyCommon(LibraryCommon):
    """Surveys of the library, answered as a browser does."""

    NPS = {
        "title": "Would you recommend us?",
        "library_metric": "nps",
        "constr_mandatory": True,
    }
    WHY = {"title": "Why?", "question_type": "text_box"}
    CALL = {
        "title": "May we call you?",
        "question_type": "simple_choice",
        "library_is_call_question": True,
        "suggested_answer_ids": [
            Command.create({"value": "Yes"}),
            Command.create({"value": "No"}),
        ],
    }

    @classmethod
    def _gap(cls, *items, **values):
        """:return: values of a gap question"""
        return {
            "title": "What do you expect?",
            "question_type": "library_gap",
            "matrix_row_ids": [
                Command.create({"value": item, "library_dimension": "affect"})
                for item in items
            ],
            **values,
        }

    @classmethod
    def _make_survey(cls, *questions, **values):
        return cls.env["survey.survey"].create(
            {
                "title": "How are we doing?",
                "library_company_id": cls.library.id,
                "access_mode": "token",
                "questions_layout": "one_page",
                "question_and_page_ids": [
                    Command.create({"sequence": 10 * number, **question})
                    for number, question in enumerate(questions)
                ],
                **values,
            }
        )

    @classmethod
    def _begin(cls, survey, patron=None, **values):
        """:return: an answer that ``patron`` (Amal) has begun"""
        answer = survey._create_answer(
            partner=(patron or cls.amal).partner_id, check_attempts=False, **values
        )
        answer._mark_in_progress()
        return answer

    @classmethod
    def _finish(cls, answer, *values):
        """Answer the questions of the survey in their order, and be done."""
        for question, value in zip(answer.survey_id.question_ids, values, strict=True):
            answer._save_lines(question, value)
        answer._mark_done()
        return answer
