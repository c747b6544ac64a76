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


class RoundCommon(SurveyCommon):
    """A survey of the library: would they recommend it, what should be better, may
    somebody call. Amal and Bruno agreed to surveys."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.purpose = cls.env.ref("library_crm.library_consent_purpose_survey")
        cls.survey = cls.env["survey.survey"].create(
            {
                "title": "How was your visit?",
                "library_company_id": cls.library.id,
                "user_id": cls.manager.id,
                "questions_layout": "one_page",
                "question_and_page_ids": [
                    Command.create(
                        {
                            "title": "Would you recommend the library?",
                            "question_type": "scale",
                            "scale_min": 0,
                            "scale_max": 10,
                            "library_metric": "nps",
                            "sequence": 1,
                        }
                    ),
                    Command.create(
                        {
                            "title": "What should we do better?",
                            "question_type": "text_box",
                            "sequence": 2,
                        }
                    ),
                    Command.create(
                        {
                            "title": "May somebody call you about it?",
                            "question_type": "simple_choice",
                            "library_is_call_question": True,
                            "sequence": 3,
                            "suggested_answer_ids": [
                                Command.create({"value": "Yes", "sequence": 1}),
                                Command.create({"value": "No", "sequence": 2}),
                            ],
                        }
                    ),
                ],
            }
        )
        cls.recommend, cls.better, cls.call = cls.survey.question_ids
        cls.call_yes, cls.call_no = cls.call.suggested_answer_ids
        cls._agree(cls.amal + cls.bruno)

    @classmethod
    def _agree(cls, patrons):
        cls.env["library.consent"]._record(patrons, cls.purpose)

    @classmethod
    def _make_patrons(cls, count, agreed=True, **values):
        patrons = cls.env["library.patron"].create(
            [
                {
                    "name": f"Patron {number}",
                    "email": f"patron{number}@many.example.com",
                    "company_id": cls.library.id,
                    "branch_id": cls.main.id,
                    "patron_category_id": cls.adult.id,
                    **values,
                }
                for number in range(count)
            ]
        )
        if agreed:
            cls._agree(patrons)
        return patrons

    @classmethod
    def _make_round(cls, patrons=None, **values):
        """A round that asks these patrons; without any: all."""
        if patrons is not None:
            segment = cls.env["library.segment"].create(
                {
                    "name": "Chosen",
                    "kind": "list",
                    "company_id": cls.library.id,
                    "listed_patron_ids": [Command.set(patrons.ids)],
                }
            )
            values["segment_id"] = segment.id
        return cls.env["library.survey.round"].create(
            {
                "name": "Spring",
                "survey_id": cls.survey.id,
                "company_id": cls.library.id,
                **values,
            }
        )

    def _run_job(self):
        """Run the job, as the scheduler does."""
        self.env.flush_all()
        with self.enter_registry_test_mode():
            self.env.ref("library_crm_survey.ir_cron_ask").method_direct_trigger()
        self.env.invalidate_all()

    def _mails(self):
        """The mails that wait in the queue, by the name of who gets them."""
        mails = self.env["mail.mail"].search([("mailing_id", "!=", False)])
        return {mail.recipient_ids.name: mail for mail in mails}

    def _get_voucher(self, asking_round, patron):
        return (
            self.env["library.survey.invitation"]
            .search([("round_id", "=", asking_round.id), ("patron_id", "=", patron.id)])
            ._get_voucher()
        )

    def _fill_in(self, answer, score=9, text="", call=None):
        """Answer a form, as the page does."""
        answer._mark_in_progress()
        answer._save_lines(self.recommend, str(score))
        answer._save_lines(self.better, text)
        if call is not None:
            chosen = self.call_yes if call else self.call_no
            answer._save_lines(self.call, str(chosen.id))
        answer._mark_done()
        return answer

    def _answer(self, patron, **values):
        """An answer that a patron gave by name."""
        answer = self.survey._create_answer(
            partner=patron.partner_id, check_attempts=False
        )
        return self._fill_in(answer, **values)
