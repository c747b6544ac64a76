"""A year of answers to a survey of the demo library: how satisfied people are, and how
good its services are against what they need. The same seed gives the same answers."""

import random
from datetime import datetime, time, timedelta

from odoo.fields import Command

ANSWERS = 320
#: Items of service quality: dimension, words, and what people say of them on average
#: (minimum, desired, perceived).
ITEMS = (
    ("affect", "Staff take time for my question", (6.4, 8.0, 7.6)),
    ("affect", "Staff are friendly", (6.5, 7.9, 8.2)),
    ("affect", "Staff know their subject", (6.6, 8.2, 7.3)),
    ("control", "I find what I look for in the catalogue", (6.5, 8.1, 6.9)),
    ("control", "E-books and databases work at home", (6.2, 8.0, 5.8)),
    ("control", "The computers do what I need", (5.8, 7.4, 6.4)),
    ("place", "There is a quiet place to work", (6.1, 7.8, 5.6)),
    ("place", "The rooms are inviting", (5.6, 7.5, 7.1)),
    ("place", "There is space for groups", (4.9, 6.9, 6.1)),
)
LEVELS = ("minimum", "desired", "perceived")
WORDS = (
    "Open on Sundays, please.",
    "The story time is wonderful, thank you.",
    "It was too loud on the first floor.",
    "More plugs at the desks.",
    "I waited long for my hold, but they told me why.",
    "The new e-book app does not work on my phone.",
    "Friendly people, every time.",
    "Could there be a room for our reading group?",
    "Longer hours before the exams.",
    "The workshop on job applications helped me a lot.",
)


class DemoAnswers:
    """The yearly survey, and who answered it.

    :param env: an environment in the company of the library
    :param company: the demo library
    :param int seed: of everything that is drawn
    :param date today: the last day on which somebody answered
    """

    def __init__(self, env, company, seed, today):
        self.env, self.company, self.today = env, company, today
        self.random = random.Random(f"{seed} survey answers")

    def make(self):
        survey = self._make_survey()
        survey_round = self.env["library.survey.round"].create(
            {"name": "The library and you", "survey_id": survey.id}
        )
        in_library = [("company_id", "=", self.company.id)]
        self.branches = self.env["library.branch"].search(in_library, order="id")
        self.categories = self.env["library.patron.category"].search(
            in_library, order="id"
        )
        self.services = self.env["library.service"].search([], order="id", limit=4)
        questions = survey.question_ids
        self.env["survey.user_input"].create(
            [
                self._prepare_answer(survey, survey_round, questions)
                for _number in range(ANSWERS)
            ]
        )

    def _make_survey(self):
        survey = self.env["survey.survey"].create(
            {
                "title": "The library and you",
                "survey_type": "survey",
                "access_mode": "public",
                "question_and_page_ids": [
                    Command.create(values) for values in self._prepare_questions()
                ],
            }
        )
        self.env["ir.model.data"].create(
            {
                "module": "library_crm_survey",
                "name": "demo_survey_yearly",
                "model": survey._name,
                "res_id": survey.id,
                "noupdate": True,
            }
        )
        return survey

    def _prepare_questions(self):
        def scale(title, metric, lowest=1, highest=5, **values):
            return {
                "title": title,
                "question_type": "scale",
                "scale_min": lowest,
                "scale_max": highest,
                "library_metric": metric,
                **values,
            }

        questions = [
            scale("How likely are you to recommend the library?", "nps", 0, 10),
            scale("How satisfied are you with the library?", "csat"),
            scale("I learned something new", "outcome", library_outcome="knowledge"),
            scale(
                "I feel more confident about what I came for",
                "outcome",
                library_outcome="confidence",
            ),
            {
                "title": "How good is it, how good should it be, how good is enough?",
                "question_type": "library_gap",
                "matrix_row_ids": [
                    Command.create(
                        {"value": words, "library_dimension": dimension, "sequence": n}
                    )
                    for n, (dimension, words, _means) in enumerate(ITEMS)
                ],
            },
            {"title": "What should we do better?", "question_type": "text_box"},
        ]
        return [{**values, "sequence": n} for n, values in enumerate(questions)]

    def _prepare_answer(self, survey, survey_round, questions):
        """An answer of a day in the last year; later ones are a little better, and
        branches differ."""
        days_ago = int(365 * self.random.random())
        answered = datetime.combine(self.today, time(12)) - timedelta(days=days_ago)
        branch = self.random.choice(self.branches)
        mood = (
            self.random.gauss(0, 1) + (365 - days_ago) / 600 + (branch.id % 5 - 2) / 5
        )
        recommend, satisfied, learned, confident, quality, better = questions

        def scale(question, mean, spread, lowest, highest):
            value = round(mean + spread * mood + self.random.gauss(0, 0.5))
            return {
                "question_id": question.id,
                "answer_type": "scale",
                "value_scale": min(max(value, lowest), highest),
            }

        lines = [
            scale(recommend, 8.1, 1.6, 0, 10),
            scale(satisfied, 3.9, 0.8, 1, 5),
            scale(learned, 3.8, 0.6, 1, 5),
            scale(confident, 3.5, 0.7, 1, 5),
        ]
        for item, (_dimension, _words, means) in zip(
            quality.matrix_row_ids, ITEMS, strict=True
        ):
            about = {"question_id": quality.id, "matrix_row_id": item.id}
            if self.random.random() < 0.08:
                lines.append(
                    {**about, "skipped": True, "library_gap_level": "no_opinion"}
                )
                continue
            for level, mean in zip(LEVELS, means, strict=True):
                swing = 0.7 * mood if level == "perceived" else 0
                value = round(mean + swing + self.random.gauss(0, 0.8))
                lines.append(
                    {
                        **about,
                        "answer_type": "scale",
                        "value_scale": min(max(value, 1), 9),
                        "library_gap_level": level,
                    }
                )
        if self.random.random() < 0.25:
            lines.append(
                {
                    "question_id": better.id,
                    "answer_type": "text_box",
                    "value_text_box": self.random.choice(WORDS),
                }
            )
        return {
            "survey_id": survey.id,
            "state": "done",
            "start_datetime": answered - timedelta(minutes=6),
            "end_datetime": answered,
            "library_round_id": survey_round.id,
            "library_branch_id": branch.id,
            "library_service_id": self.random.choice(self.services).id,
            "library_category_id": self.random.choice(self.categories).id,
            "library_answered_on": answered.date(),
            "user_input_line_ids": [Command.create(values) for values in lines],
        }
