from datetime import date

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


class SurveyResultCommon(LibraryCommon):
    """A survey that asks for a recommendation, satisfaction, effort, two outcomes,
    the quality of two items, and words."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.survey = cls._create_survey(cls.library)
        cls.nps, cls.csat, cls.effort, cls.knowledge, cls.confidence = (
            cls.survey.question_ids[:5]
        )
        cls.quality, cls.words = cls.survey.question_ids[5:]
        cls.friendly, cls.quiet = cls.quality.matrix_row_ids
        cls.round = cls.env["library.survey.round"].create(
            {"name": "Spring", "survey_id": cls.survey.id}
        )

    @classmethod
    def _create_survey(cls, company):
        def scale(metric, lowest=1, highest=5, **values):
            return {
                "title": metric,
                "question_type": "scale",
                "scale_min": lowest,
                "scale_max": highest,
                "library_metric": metric,
                **values,
            }

        questions = [
            scale("nps", 0, 10),
            scale("csat"),
            scale("effort"),
            scale("outcome", library_outcome="knowledge"),
            scale("outcome", library_outcome="confidence"),
            {
                "title": "Quality",
                "question_type": "library_gap",
                "matrix_row_ids": [
                    Command.create({"value": value, "library_dimension": dimension})
                    for value, dimension in (
                        ("Friendly staff", "affect"),
                        ("A quiet place", "place"),
                    )
                ],
            },
            {"title": "What else?", "question_type": "text_box"},
        ]
        return cls.env["survey.survey"].create(
            {
                "title": "How are we doing?",
                "library_company_id": company.id,
                "question_and_page_ids": [
                    Command.create({**values, "sequence": number})
                    for number, values in enumerate(questions)
                ],
            }
        )

    @classmethod
    def _answer(cls, *lines, survey=None, **values):
        """A finished answer, of the main branch unless ``values`` say otherwise."""
        return cls.env["survey.user_input"].create(
            {
                "survey_id": (survey or cls.survey).id,
                "state": "done",
                "library_branch_id": cls.main.id,
                "library_answered_on": date(2026, 3, 2),
                "user_input_line_ids": [Command.create(line) for line in lines],
                **values,
            }
        )

    @classmethod
    def _answer_scale(cls, question, answers, **values):
        """An answer for each value of a scale."""
        for value in answers:
            cls._answer(cls._scale(question, value), **values)

    @classmethod
    def _scale(cls, question, value):
        return {
            "question_id": question.id,
            "answer_type": "scale",
            "value_scale": value,
        }

    @classmethod
    def _rate(cls, item, **levels):
        """What is said of an item: its levels; no opinion where there is none."""
        about = {
            "question_id": item.matrix_question_id.id,
            "matrix_row_id": item.id,
        }
        if not levels:
            return [{**about, "skipped": True, "library_gap_level": "no_opinion"}]
        return [
            {
                **about,
                "answer_type": "scale",
                "value_scale": value,
                "library_gap_level": level,
            }
            for level, value in levels.items()
        ]

    def _figures(self, model, *names, groupby=(), domain=(), user=None):
        """The figures of all answers to the survey, or by group."""
        Model = self.env[model].with_user(user or self.manager)
        specs = Model._get_figure_specs()
        return Model._read_group(
            [("company_id", "=", self.library.id), *domain],
            groupby,
            [specs.get(name, name) for name in names],
        )
