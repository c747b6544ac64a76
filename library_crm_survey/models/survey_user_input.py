from collections import defaultdict
from datetime import timedelta

from markupsafe import Markup, escape

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, email_normalize

#: What is said by a score: of recommendation (0–10), satisfaction and effort (1–5;
#: the more the harder it was).
UNHAPPY = {"nps": range(7), "csat": range(1, 3), "effort": range(4, 6)}
HAPPY = {"nps": range(9, 11), "csat": range(4, 6)}
#: Answers in words, or of which there are so many that one says who it was.
TELLING_TYPES = ("char_box", "text_box", "date", "datetime", "numerical_box")


class SurveyUserInput(models.Model):
    """An answer finds the patron who gave it.

    The contact decides. An answer that has only an email is linked where exactly one
    patron of the survey's library has that email: members of a household share
    addresses, and a guess would put words into somebody's mouth. Answers with
    neither, and test entries, stay with nobody.

    When it is done it is read once: whether its ratings can be counted, whether a call
    is welcome, which interests the patron agreed to have noted.

    An answer of an anonymous round holds nothing that leads to anybody: no contact, no
    address, no language, and of all its dates the month.
    """

    _inherit = "survey.user_input"
    _library_personal_data = {
        "*": "answer",
        "partner_id": "answer",
        "email": "answer",
        "nickname": "answer",
        "access_token": "answer",
        "start_datetime": "answer",
        "end_datetime": "answer",
    }

    # Answers to gap questions with more of these are left out, as in analyses of
    # LibQUAL+ data.
    _MAX_NO_OPINION = 11
    _MAX_INVERTED = 9

    library_patron_id = fields.Many2one(
        "library.patron",
        string="Patron",
        compute="_compute_library_patron_id",
        store=True,
        readonly=False,
        index="btree_not_null",
        ondelete="set null",
        groups="library_crm.group_library_user,library_crm.group_library_marketing",
    )
    library_round_id = fields.Many2one(
        "library.survey.round",
        string="Round of Asking",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    library_is_anonymous = fields.Boolean(related="library_round_id.is_anonymous")
    library_branch_id = fields.Many2one(
        "library.branch",
        string="Branch",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    library_service_id = fields.Many2one(
        "library.service",
        string="Service",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    library_category_id = fields.Many2one(
        "library.patron.category",
        string="Patron Category",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
        help="Of the patron on the day of the answer.",
    )
    library_answered_on = fields.Date(
        string="Answered On",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="Of anonymous answers, and of those whose patron was erased, the first "
        "day of the month.",
    )
    library_set_aside = fields.Selection(
        [
            ("no_opinion", "Hardly any opinion"),
            ("inverted", "Minimum above desired"),
        ],
        string="Set Aside",
        readonly=True,
        copy=False,
        help="Its ratings of minimum, desired and found are left out of the results.",
    )
    library_may_call = fields.Boolean(
        string="May Be Called",
        readonly=True,
        copy=False,
        help="Agreed to be called about this answer.",
    )

    @api.depends(
        "email",
        "partner_id.library_patron_ids",
        "survey_id.library_company_id",
        "test_entry",
    )
    def _compute_library_patron_id(self):
        """Two queries, however many answers there are."""
        linkable = self.filtered(
            lambda answer: (
                answer.survey_id.library_company_id
                and not answer.test_entry
                and not answer.library_is_anonymous
            )
        )
        companies = linkable.survey_id.library_company_id
        by_partner = linkable._get_patron_by_partner(companies)
        by_email = linkable.filtered(
            lambda answer: not answer.partner_id
        )._get_patron_by_email(companies)
        (self - linkable).library_patron_id = False
        for answer in linkable:
            company = answer.survey_id.library_company_id
            if answer.partner_id:
                patron = by_partner.get((answer.partner_id, company))
            else:
                patron = by_email.get(
                    (email_normalize(answer.email, strict=False), company)
                )
            answer.library_patron_id = patron or False

    def _get_patron_by_partner(self, companies):
        """:return: patrons of the answers' contacts, by (contact, library); archived
        ones too, who were patrons when they answered"""
        patrons = (
            self.env["library.patron"]
            .with_context(active_test=False)
            .search(
                [
                    ("partner_id", "in", self.partner_id.ids),
                    ("company_id", "in", companies.ids),
                ]
            )
        )
        return {(patron.partner_id, patron.company_id): patron for patron in patrons}

    def _get_patron_by_email(self, companies):
        """:return: patrons by (normalised email, library), where there is one only"""
        emails = {email_normalize(answer.email, strict=False) for answer in self}
        emails.discard(False)
        if not emails:
            return {}
        found = defaultdict(self.env["library.patron"].browse)
        for patron in self.env["library.patron"].search(
            [
                ("email_normalized", "in", list(emails)),
                ("company_id", "in", companies.ids),
            ]
        ):
            found[patron.email_normalized, patron.company_id] |= patron
        return {key: patrons for key, patrons in found.items() if len(patrons) == 1}

    # ------------------------------------------------------------
    # ANSWERING
    # ------------------------------------------------------------

    def _save_lines(self, question, answer, comment=None, overwrite_existing=True):
        if question.question_type == "library_gap":
            return self._save_lines_gap(question, answer, overwrite_existing)
        return super()._save_lines(
            question, answer, comment=comment, overwrite_existing=overwrite_existing
        )

    def _save_lines_gap(self, question, answer, overwrite_existing=True):
        """Keep the ratings of a gap question; see ``_read_gap_answer`` for the answer.

        :raise UserError: if there are some already that may not be overwritten
        """
        Line = self.env["survey.user_input.line"]
        old_lines = Line.search(
            [("user_input_id", "=", self.id), ("question_id", "=", question.id)]
        )
        if old_lines and not overwrite_existing:
            raise UserError(self.env._("This answer cannot be overwritten."))
        old_lines.sudo().unlink()
        return Line.create(
            self._prepare_gap_lines(question, question._read_gap_answer(answer or {}))
        )

    def _prepare_gap_lines(self, question, ratings):
        """:return: values of the lines; one, skipped, where nothing is rated"""
        common = {"user_input_id": self.id, "question_id": question.id}
        lines = []
        for item, rating in ratings.items():
            of_item = {**common, "matrix_row_id": item.id}
            if not rating:
                lines.append(
                    {**of_item, "library_gap_level": "no_opinion", "skipped": True}
                )
            lines += [
                {
                    **of_item,
                    "library_gap_level": level,
                    "answer_type": "scale",
                    "value_scale": value,
                }
                for level, value in rating.items()
            ]
        return lines or [{**common, "skipped": True}]

    # ------------------------------------------------------------
    # NOTHING THAT LEADS TO ANYBODY
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        answers = super().create(vals_list)
        answers._blur_later()
        return answers

    def write(self, vals):
        result = super().write(vals)
        self._blur_later()
        return result

    def _blur_later(self):
        """Of an anonymous answer no moment is kept, and nobody who wrote it. Odoo notes
        both with each change, so they are wiped at the very end of each transaction."""
        ids = self.filtered("library_is_anonymous").ids
        if not ids:
            return
        precommit = self.env.cr.precommit
        if "library_survey_blur" not in precommit.data:
            precommit.data["library_survey_blur"] = set()
            precommit.add(self.env(user=SUPERUSER_ID)[self._name]._blur_noted)
        precommit.data["library_survey_blur"].update(ids)

    @api.model
    def _blur_noted(self):
        ids = self.env.cr.precommit.data.pop("library_survey_blur", ())
        self.browse(ids)._blur()

    def _blur(self):
        """Leave the month of all dates of these answers, and nobody as their author."""
        if not self:
            return
        Line = self.env["survey.user_input.line"]
        self.env.flush_all()
        for model, names, column in (
            (
                self,
                ("create_date", "write_date", "start_datetime", "end_datetime"),
                SQL("id"),
            ),
            (Line, ("create_date", "write_date"), SQL("user_input_id")),
        ):
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE %(table)s
                       SET %(months)s, create_uid = %(root)s, write_uid = %(root)s
                     WHERE %(column)s = ANY(%(ids)s)
                    """,
                    table=SQL.identifier(model._table),
                    months=SQL(", ").join(
                        SQL(
                            "%(name)s = date_trunc('month', %(name)s)",
                            name=SQL.identifier(name),
                        )
                        for name in names
                    ),
                    root=SUPERUSER_ID,
                    column=column,
                    ids=list(self.ids),
                )
            )
            model.invalidate_model([*names, "create_uid", "write_uid"])

    def _forget_patron(self):
        """Keep answers whose patron is erased as counts, with nothing by which they can
        be traced to somebody: no contact, address, name, language, token, message or
        day, and nothing in words. What was not finished is deleted. To be called with
        sudo."""
        done = self.filtered(lambda answer: answer.state == "done")
        (self - done).unlink()
        done.user_input_line_ids.filtered(
            lambda line: line.answer_type in TELLING_TYPES
        ).unlink()
        self.env["crm.lead"].with_context(active_test=False).search(
            [("library_answer_id", "in", self.ids)]
        )._library_forget()
        blank = dict.fromkeys(
            (
                "partner_id",
                "email",
                "nickname",
                "lang_id",
                "invite_token",
                "deadline",
                "library_patron_id",
                "library_may_call",
                "lead_id",
            ),
            False,
        )
        blank = {name: value for name, value in blank.items() if name in self._fields}
        for answer in done:
            day = answer.library_answered_on or fields.Date.to_date(answer.create_date)
            answer.write(
                {
                    **blank,
                    "access_token": self._fields["access_token"].default(self),
                    "library_answered_on": day.replace(day=1),
                }
            )
        done.activity_ids.unlink()
        done.message_unsubscribe(done.message_partner_ids.ids)
        self.env["mail.message"].search(
            [("model", "=", self._name), ("res_id", "in", done.ids)]
        ).unlink()
        done._blur()

    def _notify_new_participation_subscribers(self):
        """A note would keep the moment of an anonymous answer."""
        named = self.filtered(lambda answer: not answer.library_is_anonymous)
        return super(SurveyUserInput, named)._notify_new_participation_subscribers()

    # ------------------------------------------------------------
    # WHEN IT IS DONE
    # ------------------------------------------------------------

    def _mark_done(self):
        result = super()._mark_done()
        answers = self.sudo().filtered(
            lambda answer: (
                answer.survey_id.library_company_id
                and not answer.test_entry
                and not answer.is_session_answer
            )
        )
        reasons = answers._get_reasons_to_set_aside()
        for answer in answers:
            answer.write(
                {
                    "library_set_aside": reasons.get(answer),
                    **answer._prepare_library_done_values(),
                }
            )
        answers._note_interests()
        answers._note_answered()
        answers.library_patron_id._refresh_satisfaction()
        answers._close_the_loop()
        return result

    def _prepare_library_done_values(self):
        """What an answer is stamped with when it is done, to be counted by; a hook.

        An anonymous answer says what its round says. The category of the patron is not
        among it: of few in a category who have answered, it would tell who it was.
        """
        self.ensure_one()
        today = fields.Date.context_today(self)
        asking_round = self.library_round_id
        if asking_round.is_anonymous:
            return {
                "library_branch_id": asking_round.branch_id.id,
                "library_service_id": asking_round.service_id.id,
                "library_answered_on": today.replace(day=1),
                "lang_id": False,
            }
        patron = self.library_patron_id
        return {
            "library_branch_id": (asking_round.branch_id or patron.branch_id).id,
            "library_service_id": asking_round.service_id.id,
            "library_category_id": patron.patron_category_id.id,
            "library_answered_on": today,
            "library_may_call": bool(patron)
            and self._agrees("library_is_call_question"),
        }

    def _agrees(self, flag):
        """Whether the first choice was chosen of a question with this flag."""
        self.ensure_one()
        lines = self.user_input_line_ids.filtered("suggested_answer_id")
        return any(
            line.question_id[flag]
            and line.suggested_answer_id == line.question_id.suggested_answer_ids[:1]
            for line in lines
        )

    def _get_reasons_to_set_aside(self):
        """Which of the answers can not be counted, because hardly an item was rated or
        the least acceptable is time and again above what is wished for.

        :return: why, by answer; who is not in it can be counted
        :rtype: dict[survey.user_input, str]
        """
        reasons = {}
        for answer in self:
            ratings = answer.user_input_line_ids._get_gap_ratings().values()
            without = sum("no_opinion" in rating for rating in ratings)
            inverted = sum(
                rating.get("minimum", 0) > rating.get("desired", 9)
                for rating in ratings
            )
            if without > self._MAX_NO_OPINION:
                reasons[answer] = "no_opinion"
            elif inverted > self._MAX_INVERTED:
                reasons[answer] = "inverted"
        return reasons

    def _note_interests(self):
        """Add to patrons the interests that they chose and agreed to have noted. An
        address that anybody can type is not enough to be taken for a patron: it has to
        be the invitation or the login. To be called with sudo."""
        for answer in self.filtered("partner_id"):
            chosen = answer.user_input_line_ids.suggested_answer_id.library_interest_id
            if (
                chosen
                and answer.library_patron_id
                and answer._agrees("library_is_interest_consent")
            ):
                answer.library_patron_id.interest_ids |= chosen
                answer.library_patron_id._note_occasion("interests")

    def _note_answered(self):
        """Tell that patrons have answered: once a survey; who is asked in rounds, once
        each time they are asked. What they answered is not told."""
        for answer in self.filtered(
            lambda answer: answer.partner_id and answer.library_patron_id
        ):
            day = answer.library_answered_on
            asking_round = answer.library_round_id
            answer.library_patron_id._note_occasion(
                "survey",
                f"round {asking_round.id} {day}"
                if asking_round
                else f"survey {answer.survey_id.id}",
                day,
            )

    # ------------------------------------------------------------
    # ARE THEY SATISFIED
    # ------------------------------------------------------------

    def _get_scores(self):
        """:return: the scores given, by metric; the first of each
        :rtype: dict[str, int]
        """
        scores = {}
        for line in self.user_input_line_ids.sorted("question_sequence"):
            metric = line.question_id.library_metric
            if metric and line.answer_type == "scale" and not line.skipped:
                scores.setdefault(metric, line.value_scale)
        return scores

    def _get_satisfaction(self):
        """What an answer says of satisfaction: one unhappy score is enough to be
        unhappy.

        :return: ``unhappy``, ``neutral``, ``happy``, or None where it was not asked
        :rtype: str | None
        """
        scores = self._get_scores()
        told = {metric for metric in scores if metric in UNHAPPY}
        if not told:
            return None
        if any(scores[metric] in UNHAPPY[metric] for metric in told):
            return "unhappy"
        if any(scores[metric] in HAPPY.get(metric, ()) for metric in told):
            return "happy"
        return "neutral"

    @api.model
    def _sql_satisfaction(self, metric=None):
        """What ``_get_satisfaction`` says, of the row ``answer``.

        :param str metric: going by this one alone; None: by whichever was asked
        """
        metrics = [metric] if metric else list(UNHAPPY)
        score_in = {
            what: SQL(" OR ").join(
                SQL("metric = %s AND score = ANY(%s)", name, list(scores.get(name, ())))
                for name in metrics
            )
            for what, scores in (("unhappy", UNHAPPY), ("happy", HAPPY))
        }
        return SQL(
            """
            (
                SELECT CASE WHEN count(*) = 0 THEN NULL
                            WHEN bool_or(%(unhappy)s) THEN 'unhappy'
                            WHEN bool_or(%(happy)s) THEN 'happy'
                            ELSE 'neutral'
                        END
                  FROM (
                        SELECT DISTINCT ON (question.library_metric)
                               question.library_metric AS metric,
                               line.value_scale AS score
                          FROM survey_user_input_line line
                          JOIN survey_question question
                            ON question.id = line.question_id
                         WHERE line.user_input_id = answer.id
                           AND line.answer_type = 'scale'
                           AND line.skipped IS NOT TRUE
                           AND question.library_metric = ANY(%(metrics)s)
                      ORDER BY question.library_metric, question.sequence, line.id
                       ) told
            )
            """,
            metrics=metrics,
            **score_in,
        )

    @api.model
    def _sql_by_name(self):
        """Whether the row ``answer`` was given by a patron who is known for sure: by
        invitation or login."""
        return SQL(
            "answer.state = 'done' AND answer.test_entry IS NOT TRUE "
            "AND answer.partner_id IS NOT NULL "
            "AND answer.library_patron_id IS NOT NULL"
        )

    # ------------------------------------------------------------
    # CLOSING THE LOOP
    # ------------------------------------------------------------

    def _close_the_loop(self):
        """Have whoever is unhappy called, if they agreed to that; thank whoever is
        happy. To be called with sudo."""
        for answer in self.with_user(SUPERUSER_ID).filtered("library_patron_id"):
            satisfaction = answer._get_satisfaction()
            if satisfaction == "unhappy" and answer.library_may_call:
                answer._open_request()
            elif satisfaction == "happy":
                answer._thank()

    def _open_request(self):
        """Open a request to call the patron: once an answer.

        :return: the ``crm.lead``; none where there is one already
        """
        self.ensure_one()
        Lead = self.env["crm.lead"].with_company(self.survey_id.library_company_id)
        if Lead.with_context(active_test=False).search_count(
            [("library_answer_id", "=", self.id)], limit=1
        ):
            return Lead
        lead = Lead.with_context(mail_create_nosubscribe=True).create(
            self._prepare_request_values()
        )
        user = self._choose_caller(lead)
        lead.user_id = user
        lead.activity_schedule(
            "mail.mail_activity_data_call",
            date_deadline=fields.Date.context_today(self)
            + timedelta(days=self.survey_id.library_call_days),
            summary=self.env._("Call back about the answer"),
            user_id=user.id or self.env.uid,
        )
        return lead

    def _prepare_request_values(self):
        """Values of the request to call back; a hook. Whoever calls has to know what
        it is about, and the patron agreed to that."""
        lang = self.survey_id.library_company_id.partner_id.lang or self.env.lang
        answer = self.with_context(lang=lang)
        lines = [
            (line.question_id.title, line.display_name)
            for line in answer.user_input_line_ids
            if not line.skipped and not line.question_id.library_is_call_question
        ]
        return {
            "name": answer.env._(
                "%(patron)s is not satisfied: %(survey)s",
                patron=answer.library_patron_id.complete_name,
                survey=answer.survey_id.title,
            ),
            "library_request_kind": "complaint",
            "library_patron_id": answer.library_patron_id.id,
            "library_branch_id": answer.library_branch_id.id,
            "library_service_id": answer.library_service_id.id,
            "library_answer_id": answer.id,
            "company_id": answer.survey_id.library_company_id.id,
            "user_id": False,
            "description": Markup("").join(
                Markup("<p><b>%s</b><br/>%s</p>") % (escape(question), escape(said))
                for question, said in lines
            ),
        }

    def _choose_caller(self, lead):
        """Who calls back: the liaison of the patron, who manages the branch, who
        answers for the team or the survey; whoever of them sees the request."""
        for user in (
            self.library_patron_id.liaison_id,
            self.library_branch_id.manager_id,
            lead.team_id.user_id,
            self.survey_id.user_id,
        ):
            if user and user.active and lead.with_user(user).has_access("read"):
                return user
        return self.env["res.users"]

    def _thank(self):
        """Thank by mail, if the survey does so and the patron agreed to be written to
        about surveys. What a minor says is not told to the guardian."""
        self.ensure_one()
        template = self.survey_id.library_thanks_template_id
        patron = self.library_patron_id
        asking_round = self.library_round_id
        reachable = self.env["library.consent"]._filter_reachable(
            patron,
            self.env.ref("library_crm.library_consent_purpose_survey"),
            company=asking_round.company_id or patron.company_id,
        )
        if (
            template
            and reachable
            and patron.email_normalized
            and patron._get_mail_recipients()[patron] == patron
        ):
            template.send_mail_batch(self.ids)

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_resend(self):
        """Nobody knows to whom."""
        if any(self.mapped("library_is_anonymous")):
            raise UserError(self.env._("Anonymous answers have nobody to write to."))
        return super().action_resend()
