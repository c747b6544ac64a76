from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError


class SurveyQuestion(models.Model):
    """What a library measures by asking.

    A *metric* is a scale that is the same in every library, so that its answers can be
    compared: would you recommend us (0 to 10), how satisfied, how hard was it, what
    came of it (1 to 5). A *gap question* asks of each of its items what the least
    acceptable is, what is wished for and what is found, from 1 to 9; its items are the
    matrix rows. The three ratings, and the screening of answers, are LibQUAL+'s.

    An answer means something only together with its question. So what an answered
    question measures, its scale and its choices are fixed; a new version of the survey
    is where they change.
    """

    _inherit = "survey.question"
    _library_personal_data = {"*": "setting"}

    _METRIC_SCALES = {
        "nps": (0, 10),
        "csat": (1, 5),
        "effort": (1, 5),
        "outcome": (1, 5),
    }
    _GAP_LEVELS = ("minimum", "desired", "perceived")
    _GAP_SCALE = (1, 9)
    _FIXED_ONCE_ANSWERED = {
        "question_type",
        "matrix_subtype",
        "scale_min",
        "scale_max",
        "survey_id",
        "library_metric",
        "library_outcome",
    }

    question_type = fields.Selection(
        selection_add=[("library_gap", "Minimum, desired and found (gap)")],
        ondelete={"library_gap": "cascade"},
    )
    scale_min = fields.Integer(
        compute="_compute_scale",
        store=True,
        readonly=False,
        precompute=True,
        default=None,
    )
    scale_max = fields.Integer(
        compute="_compute_scale",
        store=True,
        readonly=False,
        precompute=True,
        default=None,
    )
    library_company_id = fields.Many2one(related="survey_id.library_company_id")
    library_metric = fields.Selection(
        [
            ("nps", "Recommendation (NPS, 0 to 10)"),
            ("csat", "Satisfaction (CSAT, 1 to 5)"),
            ("effort", "Effort (1 to 5)"),
            ("outcome", "Outcome (1 to 5)"),
        ],
        string="Measures",
        help="Scale and labels follow, and reports know what the answers mean.",
    )
    library_outcome = fields.Selection(
        [
            ("knowledge", "Knowledge"),
            ("confidence", "Confidence"),
            ("application", "Application"),
            ("awareness", "Awareness"),
        ],
        string="Outcome",
        compute="_compute_library_outcome",
        store=True,
        readonly=False,
        precompute=True,
        help="Learned something, feels more confident, intends to use it, knows more "
        "of what the library offers: the four outcomes of Project Outcome.",
    )
    library_gap_complete = fields.Boolean(
        string="Each Item Needs an Answer",
        default=True,
        help="Three ratings or “no opinion” for each item before going on.",
    )
    library_is_call_question = fields.Boolean(
        string="Asks Whether We May Call",
        help="Who chooses the first choice agrees to be called about the answer, and "
        "that whoever calls is told what they answered.",
    )
    library_is_interest_consent = fields.Boolean(
        string="Asks Whether We May Note Interests",
        help="Who chooses the first choice agrees that the interests behind the other "
        "choices are added to their page.",
    )
    library_offers_interests = fields.Boolean(
        string="Offers Our Interests",
        help="When the template is used, the interests that patrons can choose in the "
        "portal become the choices.",
    )

    _library_metric_scale = models.Constraint(
        """CHECK (
            library_metric IS NULL
            OR question_type = 'scale'
            AND scale_min = CASE library_metric WHEN 'nps' THEN 0 ELSE 1 END
            AND scale_max = CASE library_metric WHEN 'nps' THEN 10 ELSE 5 END
        )""",
        "Measures: NPS is asked on a scale from 0 to 10, the others from 1 to 5. "
        "Take the metric off the question to use another scale.",
    )
    _library_outcome_of_metric = models.Constraint(
        "CHECK ((library_metric IS NOT DISTINCT FROM 'outcome') "
        "= (library_outcome IS NOT NULL))",
        "Outcome: say which outcome the question is about, and only where it measures "
        "one.",
    )
    _library_gap_not_mandatory = models.Constraint(
        "CHECK (question_type != 'library_gap' OR constr_mandatory IS NOT TRUE)",
        "Mandatory Answer: of a gap question “Each Item Needs an Answer” says so.",
    )

    @api.constrains("library_is_call_question", "question_type")
    def _check_library_is_call_question(self):
        for question in self:
            if (
                question.library_is_call_question
                and question.question_type != "simple_choice"
            ):
                raise ValidationError(
                    self.env._(
                        "%(question)s: whether somebody may call is a question with "
                        "one answer to choose; the first answer means yes.",
                        question=question.title,
                    )
                )

    # ------------------------------------------------------------
    # WHAT FOLLOWS FROM THE METRIC
    # ------------------------------------------------------------

    @api.depends("library_metric")
    def _compute_question_type(self):
        result = super()._compute_question_type()
        self.filtered("library_metric").question_type = "scale"
        return result

    @api.depends("library_metric")
    def _compute_scale(self):
        """Of other questions the scale is whatever somebody chose, at first Odoo's."""
        for question in self:
            scale = self._METRIC_SCALES.get(question.library_metric)
            if not scale and not question.scale_max:
                scale = (0, 10)
            if scale:
                question.scale_min, question.scale_max = scale

    @api.depends("library_metric")
    def _compute_library_outcome(self):
        for question in self:
            if question.library_metric != "outcome":
                question.library_outcome = False
            elif not question.library_outcome:
                question.library_outcome = "knowledge"

    @api.onchange("question_type")
    def _onchange_question_type(self):
        if self.question_type != "scale":
            self.library_metric = False
        if self.question_type == "library_gap":
            self.constr_mandatory = False

    def _prepare_scale_labels(self):
        """:return: by metric what stands at the lower end, in the middle and at the
        upper end of its scale"""
        return {
            "nps": (
                self.env._("Not at all likely"),
                "",
                self.env._("Extremely likely"),
            ),
            "csat": (self.env._("Very dissatisfied"), "", self.env._("Very satisfied")),
            "effort": (self.env._("Very easy"), "", self.env._("Very hard")),
            "outcome": (
                self.env._("Strongly disagree"),
                "",
                self.env._("Strongly agree"),
            ),
        }

    def _get_scale_labels(self):
        """What stands along the scale: what was written for this question, else what
        belongs to the metric, in the language of whoever reads it.

        :rtype: tuple[str, str, str]
        """
        self.ensure_one()
        own = (self.scale_min_label, self.scale_mid_label, self.scale_max_label)
        return (
            own
            if any(own)
            else self._prepare_scale_labels().get(self.library_metric, ("", "", ""))
        )

    def _prepare_gap_labels(self):
        """:return: the words that patrons read: by level, before the first item, and
        beside an item whose minimum is above what is desired"""
        return {
            "intro": self.env._(
                "1 is low, 9 is high. Where you can not say, choose “No opinion”."
            ),
            "inverted": self.env._(
                "The least you accept is more than you wish for. If you mean it, leave "
                "it like that."
            ),
            "minimum": self.env._("The least I accept"),
            "desired": self.env._("What I wish for"),
            "perceived": self.env._("What I find here"),
            "no_opinion": self.env._("No opinion"),
        }

    def _offer_interests(self):
        """Let the interests of the library be the choices where a template says so.
        Without interests the choices of the template stay."""
        interests = self.env["library.interest"].search(
            [("portal_published", "=", True)]
        )
        for question in self.filtered("library_offers_interests"):
            if not interests:
                break
            question.suggested_answer_ids.unlink()
            for interest in interests:
                choice = self.env["survey.question.answer"].create(
                    {
                        "question_id": question.id,
                        "value": interest.name,
                        "library_interest_id": interest.id,
                    }
                )
                for code, _name in self.env["res.lang"].get_installed():
                    choice.with_context(lang=code).value = interest.with_context(
                        lang=code
                    ).name

    # ------------------------------------------------------------
    # WHAT IS ANSWERED STAYS
    # ------------------------------------------------------------

    def write(self, vals):
        self._check_fixed(vals)
        self._note_rewording(vals)
        return super().write(vals)

    def _check_fixed(self, vals):
        """:raise UserError: if the values change what given answers mean"""
        names = self._FIXED_ONCE_ANSWERED & vals.keys()
        for name in names:
            field = self._fields[name]
            self.filtered(
                lambda question, name=name, field=field: (
                    (field.convert_to_write(question[name], question) or False)
                    != (vals[name] or False)
                )
            )._check_unanswered()

    def _check_unanswered(self):
        """:raise UserError: if somebody has answered one of these questions"""
        for question in self._filter_answered()[:1]:
            raise UserError(
                self.env._(
                    "“%(question)s” has answers, so what it measures, its scale and "
                    "its choices stay as they are. Make a new version of the survey, "
                    "and change it there.",
                    question=question.title,
                )
            )

    def _filter_answered(self):
        """Of the questions of libraries those that somebody has answered. Trying out a
        survey is no answer, and neither is an invitation."""
        questions = self.filtered(
            lambda question: question.survey_id.sudo().library_company_id
        )
        if not questions:
            return questions
        groups = (
            self.env["survey.user_input.line"]
            .sudo()
            ._read_group(
                [
                    ("question_id", "in", questions.ids),
                    ("user_input_id.test_entry", "=", False),
                    ("user_input_id.state", "!=", "new"),
                ],
                ["question_id"],
            )
        )
        return self.browse(question.id for (question,) in groups)

    def _note_rewording(self, vals):
        """A slip of the pen may be put right after the first answer; whoever compares
        the answers has to see that it was."""
        title = vals.get("title")
        if not title:
            return
        reworded = self.filtered(lambda question: question.title != title)
        for question in reworded._filter_answered():
            question.survey_id._message_log(
                body=self.env._(
                    "Reworded after it was answered: “%(old)s” is now “%(new)s”.",
                    old=question.title,
                    new=title,
                )
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_answered(self):
        self._check_unanswered()

    # ------------------------------------------------------------
    # WHAT MAY BE ANSWERED
    # ------------------------------------------------------------

    def validate_question(self, answer, comment=None):
        if self.question_type == "library_gap":
            return self._validate_gap(answer)
        return super().validate_question(answer, comment=comment)

    def _prepare_misfit_message(self):
        return self.env._(
            "This answer does not fit the question. Please load the page again."
        )

    @api.model
    def _read_scale_value(self, value, lowest, highest):
        """:raise ValueError: if the value is not a whole number on the scale"""
        if isinstance(value, str) and value.strip().isdecimal():
            value = int(value)
        if type(value) is not int or not lowest <= value <= highest:
            raise ValueError(value)
        return value

    def _validate_scale(self, answer):
        """The page offers only what is on the scale; a request may hold anything."""
        errors = super()._validate_scale(answer)
        if not errors and answer:
            try:
                self._read_scale_value(answer, self.scale_min, self.scale_max)
            except ValueError:
                return {self.id: self._prepare_misfit_message()}
        return errors

    def _validate_choice(self, answer, comment):
        errors = super()._validate_choice(answer, comment)
        answers = answer if isinstance(answer, list) else [answer] if answer else []
        if not errors and not self._are_choices(answers, self.suggested_answer_ids):
            return {self.id: self._prepare_misfit_message()}
        return errors

    def _validate_matrix(self, answers):
        errors = super()._validate_matrix(answers)
        if not errors and not (
            isinstance(answers, dict)
            and self._are_choices(answers, self.matrix_row_ids)
            and all(
                isinstance(choices, list)
                and self._are_choices(choices, self.suggested_answer_ids)
                for choices in answers.values()
            )
        ):
            return {self.id: self._prepare_misfit_message()}
        return errors

    @api.model
    def _are_choices(self, keys, choices):
        """Whether these are ids, or the digits of ids, of the choices."""
        offered = {str(choice_id) for choice_id in choices.ids}
        return all(isinstance(key, int | str) and str(key) in offered for key in keys)

    def _read_gap_answer(self, answer):
        """
        :param answer: ``{item id: {level: value}}`` as the page sends it, or
            ``{item id: {"no_opinion": True}}``
        :return: ratings by item and level; no ratings mean no opinion, and an item that
            is not there was left empty
        :rtype: dict[survey.question.answer, dict[str, int]]
        :raise ValueError: if it is anything else
        """
        items = {str(item.id): item for item in self.matrix_row_ids}
        if not isinstance(answer, dict) or not answer.keys() <= items.keys():
            raise ValueError(answer)
        ratings = {}
        for key, rating in answer.items():
            if rating == {"no_opinion": True}:
                ratings[items[key]] = {}
            elif isinstance(rating, dict) and rating.keys() <= set(self._GAP_LEVELS):
                if rating:
                    ratings[items[key]] = {
                        level: self._read_scale_value(value, *self._GAP_SCALE)
                        for level, value in rating.items()
                    }
            else:
                raise ValueError(rating)
        return ratings

    def _validate_gap(self, answer):
        """Half a rating is refused, with its place. A minimum above what is desired is
        not: that is for the one who answers to say, and for the report to count."""
        self.ensure_one()
        try:
            ratings = self._read_gap_answer(answer or {})
        except ValueError:
            return {self.id: self._prepare_misfit_message()}
        labels = self._prepare_gap_labels()
        half = []
        for item, rating in ratings.items():
            missing = [labels[lv] for lv in self._GAP_LEVELS if lv not in rating]
            if rating and missing:
                half.append(f"“{item.value}” ({', '.join(missing)})")
        if half:
            return {
                self.id: self.env._(
                    "There is a rating missing: %(items)s.", items=", ".join(half)
                )
            }
        empty = self.matrix_row_ids.filtered(lambda item: item not in ratings)
        if (
            empty
            and self.library_gap_complete
            and not self.env.context.get("library_survey_goes_back")
        ):
            return {
                self.id: self.constr_error_msg
                or self.env._(
                    "%(count)s of %(total)s are still open, the first is “%(item)s”. "
                    "Where you can not say, choose “No opinion”.",
                    count=len(empty),
                    total=len(self.matrix_row_ids),
                    item=empty[:1].value,
                )
            }
        return {}

    # ------------------------------------------------------------
    # RESULTS PAGE OF ODOO
    # ------------------------------------------------------------

    def _get_stats_data(self, user_input_lines):
        if self.question_type == "library_gap":
            return self._get_stats_data_gap(user_input_lines)
        return super()._get_stats_data(user_input_lines)

    def _get_stats_data_gap(self, user_input_lines):
        """The means of the items, without answers that were set aside.

        :return: a row for each item, and its three means as groups of bars
        """
        levels = dict(
            self.env["survey.user_input.line"]
            ._fields["library_gap_level"]
            ._description_selection(self.env)
        )
        figures = {
            (item, level): (mean, count)
            for item, level, mean, count in user_input_lines._read_group(
                [
                    ("id", "in", user_input_lines.ids),
                    ("library_gap_level", "!=", False),
                    ("user_input_id.library_set_aside", "=", False),
                ],
                ["matrix_row_id", "library_gap_level"],
                ["value_scale:avg", "__count"],
            )
        }
        table = []
        for item in self.matrix_row_ids:
            mean = {
                level: figures.get((item, level), (None, 0))[0]
                for level in self._GAP_LEVELS
            }
            count = figures.get((item, "perceived"), (None, 0))[1]
            table.append(
                {
                    "item": item,
                    **mean,
                    "adequacy": mean["perceived"] - mean["minimum"] if count else None,
                    "superiority": mean["perceived"] - mean["desired"]
                    if count
                    else None,
                    "count": count,
                    "no_opinion": figures.get((item, "no_opinion"), (None, 0))[1],
                }
            )
        bars = [
            {
                "key": levels[level],
                "values": [
                    {"text": row["item"].value, "count": round(row[level] or 0, 2)}
                    for row in table
                ],
            }
            for level in self._GAP_LEVELS
        ]
        return table, bars

    def _get_stats_summary_data(self, user_input_lines):
        stats = super()._get_stats_summary_data(user_input_lines)
        if self.question_type == "library_gap":
            answers = user_input_lines.user_input_id
            stats["set_aside_count"] = len(answers.filtered("library_set_aside"))
            stats["set_aside_text"] = self.env._(
                "Left out: %(count)s answers with hardly an opinion, or with the "
                "minimum time and again above what is desired.",
                count=stats["set_aside_count"],
            )
        return stats
