"""What the people of the demo library answer: eight months, from a seed."""

from datetime import datetime, time, timedelta
from random import Random

# How much better or worse it is at a branch, in points of the scale from 0 to 10.
BRANCH_MOODS = {"MAIN": 0.6, "WEST": 0.2, "HARB": -1.1, "OAKH": 0.4, "BUS": 0.9}
DAYS = 240

GLAD = [
    "Nothing, the story time is wonderful.",
    "The staff at the desk are so patient.",
    "I found a place to study every day of the exams.",
    "The repair evening saved my lamp.",
    "You always find what I need.",
    "My children ask when we go again.",
    "Friendly, quick, and warm in winter.",
    "The language table has become my Tuesday.",
]
SO_SO = [
    "Longer hours on Saturday, please.",
    "More sockets at the tables.",
    "The website is hard to use on a phone.",
    "A little more light in the reading corner.",
    "The printer is often out of paper.",
    "I would like more courses in the evening.",
]
SORRY = [
    "It was too loud to work on the first floor.",
    "I waited long until somebody had time for me.",
    "What I had ordered came after five weeks.",
    "The lift was broken again.",
    "Nobody could tell me how to log in from home.",
    "The rooms are always taken.",
]
# Of each item of a gap question: the mean of minimum, desired and found.
GAP_MEANS = [
    (6.4, 8.0, 7.8),
    (6.2, 7.9, 7.0),
    (6.5, 8.2, 7.5),
    (6.3, 8.0, 7.3),
    (7.0, 8.5, 8.0),
    (6.1, 7.8, 7.1),
    (6.6, 8.1, 7.2),
    (5.8, 7.4, 6.3),
    (6.2, 8.0, 6.4),
    (6.5, 8.1, 5.9),
    (5.9, 7.8, 6.6),
    (5.6, 7.6, 6.5),
    (5.2, 7.3, 5.5),
    (6.7, 8.3, 6.1),
    (5.4, 7.2, 6.8),
    (6.0, 7.9, 7.4),
    (6.3, 8.2, 5.8),
    (5.5, 7.0, 6.2),
    (6.6, 8.4, 6.9),
    (6.4, 7.7, 7.6),
    (6.8, 8.1, 7.9),
    (6.0, 7.5, 7.0),
]


class DemoSurveys:
    """Answers to the demo survey, and to three more that are made from templates."""

    def __init__(self, env, company, seed, today):
        self.env = env
        self.company = company
        self.today = today
        self.random = Random(f"surveys {seed}")
        self.patrons = env["library.patron"].search(
            [("company_id", "=", company.id), ("email", "!=", False)], order="id"
        )

    def make(self):
        visit = self.env.ref("library_crm_survey.survey_visit")
        answers = self._answer(visit, 120, "visit", 0.3)
        self._answer(self._use("consultation"), 40, "consultation", 0.2)
        self._answer(self._use("outcome"), 40, "programme", 0.6)
        self._answer(self._use("quality"), 40, None, 0.5)
        self._ask(answers, "Spring", 210, 130)
        self._ask(answers, "Autumn", 105, 10)

    def _use(self, name):
        """:return: a survey made from a template, with an id of its own"""
        template = self.env.ref(f"library_crm_survey.survey_template_{name}")
        survey = template._copy_with_title(
            {
                "library_company_id": self.company.id,
                "lang_ids": False,
                "user_id": self.env.ref("base.user_admin").id,
            }
        )
        self.env["ir.model.data"]._update_xmlids(
            [
                {
                    "xml_id": f"library_crm_survey.survey_demo_{name}",
                    "record": survey,
                    "noupdate": True,
                }
            ]
        )
        return survey

    def _answer(self, survey, count, service, anonymous):
        """Let people answer a survey.

        :param int count: how many answers
        :param service: which service it is about, as in the ids of its data; or None
        :param float anonymous: how many of them give no name, from 0 to 1
        """
        service = service and self.env.ref(
            f"library_crm.library_service_{service}", raise_if_not_found=False
        )
        answers, moods = [], []
        for patron in self.random.sample(list(self.patrons), count):
            days = self.random.randint(1, DAYS)
            day = self.today - timedelta(days=days)
            mood = BRANCH_MOODS.get(patron.branch_id.code, 0) - days / 160
            moods.append(self.random.gauss(8.3 + mood, 1.9))
            is_anonymous = self.random.random() < anonymous
            end = datetime.combine(day, time(17)) + timedelta(
                minutes=self.random.randint(0, 400)
            )
            answers.append(
                {
                    "survey_id": survey.id,
                    "state": "done",
                    "library_answered_on": day.replace(day=1) if is_anonymous else day,
                    "library_branch_id": patron.branch_id.id,
                    "library_category_id": patron.patron_category_id.id,
                    "library_service_id": service and service.id,
                    **(
                        {}
                        if is_anonymous
                        else {
                            "partner_id": patron.partner_id.id,
                            "email": patron.email,
                            "start_datetime": end - timedelta(minutes=3),
                            "end_datetime": end,
                        }
                    ),
                }
            )
        answers = self.env["survey.user_input"].create(answers)
        lines = []
        for answer, mood in zip(answers, moods, strict=True):
            ratings = self._rate_items(survey)
            for question in survey.question_ids:
                lines += self._prepare_lines(answer, question, mood, ratings)
        self.env["survey.user_input.line"].create(lines)
        for answer, reason in answers._get_reasons_to_set_aside().items():
            answer.library_set_aside = reason
        for answer in answers.filtered("partner_id"):
            answer.library_may_call = answer._agrees("library_is_call_question")
        answers.library_patron_id._refresh_satisfaction()
        return answers

    def _ask(self, answers, name, first, last):
        """Make the round of asking that some answers given by name came from: some who
        were asked have not answered, or only after a reminder.

        :param answers: those from the time of the round are its own
        :param int first: so many days ago the mails went out
        :param int last: so many days ago the round was closed
        """
        begun, closed = (self.today - timedelta(days=days) for days in (first, last))
        own = answers.filtered(
            lambda answer: (
                answer.library_patron_id
                and begun < answer.library_answered_on <= closed
            )
        )
        asking_round = self.env["library.survey.round"].create(
            {
                "name": name,
                "company_id": self.company.id,
                "survey_id": answers.survey_id.id,
                "user_id": self.env.ref("base.user_admin").id,
                "state": "closed",
                "date_close": closed,
            }
        )
        own.library_round_id = asking_round
        others = list(self.patrons - answers.library_patron_id)
        silent = self.random.sample(
            others, round(len(own) * self.random.uniform(1.5, 3))
        )
        answered_on = {
            answer.library_patron_id: answer.library_answered_on for answer in own
        }
        patrons = [*answered_on, *silent]
        self.random.shuffle(patrons)
        reminder = begun + timedelta(days=asking_round.reminder_days)
        self.env["library.survey.invitation"].create(
            [
                {
                    "round_id": asking_round.id,
                    "patron_id": patron.id,
                    "place": place,
                    "state": "asked",
                    "asked_on": begun,
                    "reminded_on": reminder
                    if answered_on.get(patron, closed) >= reminder
                    else False,
                }
                for place, patron in enumerate(patrons, 1)
            ]
        )
        return asking_round

    def _prepare_lines(self, answer, question, mood, ratings):
        """:return: values of the lines of one answer to one question"""
        values = {"user_input_id": answer.id, "question_id": question.id}
        if question.question_type == "library_gap":
            return answer._prepare_gap_lines(
                question, {item: ratings[item] for item in question.matrix_row_ids}
            )
        if question.library_metric:
            lowest, highest = question.scale_min, question.scale_max
            share = mood / 10 + self.random.gauss(0, 0.08)
            if question.library_metric == "effort":
                share = 1 - share
            value = round(lowest + share * (highest - lowest))
            values |= {
                "answer_type": "scale",
                "value_scale": min(max(value, lowest), highest),
            }
        elif question.suggested_answer_ids:
            choices = question.suggested_answer_ids
            if question.library_is_call_question:
                choice = choices[0 if mood < 6 and self.random.random() < 0.6 else 1]
            else:
                choice = self.random.choice(choices)
            values |= {"answer_type": "suggestion", "suggested_answer_id": choice.id}
        elif self.random.random() < 0.4:
            said = GLAD if mood > 8.5 else SO_SO if mood > 6 else SORRY
            values |= {
                "answer_type": "text_box",
                "value_text_box": self.random.choice(said),
            }
        else:
            values["skipped"] = True
        return [values]

    def _rate_items(self, survey):
        """What somebody says of all the items of the survey. One in twenty has hardly
        an opinion, and one in twenty takes the minimum for what is desired."""
        items = survey.question_ids.matrix_row_ids
        kind = self.random.random()
        own = self.random.gauss(0, 0.6)
        ratings = {}
        for item, means in zip(items, GAP_MEANS, strict=False):
            if self.random.random() < (0.8 if kind < 0.05 else 0.05):
                ratings[item] = {}
                continue
            values = [
                min(max(round(mean + own + self.random.gauss(0, 0.9)), 1), 9)
                for mean in means
            ]
            lower, upper = sorted(values[:2])
            if kind > 0.95:
                lower, upper = max(upper, 2), min(lower, max(upper, 2) - 1)
            ratings[item] = {"minimum": lower, "desired": upper, "perceived": values[2]}
        return ratings
