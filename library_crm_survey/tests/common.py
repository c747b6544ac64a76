from datetime import date

from odoo.fields import Command

from odoo.addons.library_crm.tests.common import LibraryCommon


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
