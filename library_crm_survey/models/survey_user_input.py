from collections import defaultdict

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, email_normalize


class SurveyUserInput(models.Model):
    """An answer finds the patron who gave it.

    The contact decides. An answer that has only an email is linked where exactly one
    patron of the survey's library has that email: members of a household share
    addresses, and a guess would put words into somebody's mouth. Answers with
    neither, and test entries, stay with nobody.

    When it is done it is read once: whether its ratings can be counted, whether a call
    is welcome, which interests the patron agreed to have noted.
    """

    _inherit = "survey.user_input"

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
    # When it was answered: for anonymous answers, and for those of whom was erased, the
    # first day of the month.
    library_answered_on = fields.Date(string="Answered On", readonly=True, copy=False)
    library_branch_id = fields.Many2one(
        "library.branch", string="Branch", readonly=True, index="btree_not_null"
    )
    library_service_id = fields.Many2one(
        "library.service", string="Service", readonly=True, index="btree_not_null"
    )
    library_category_id = fields.Many2one(
        "library.patron.category",
        string="Category",
        readonly=True,
        index="btree_not_null",
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
            lambda answer: answer.survey_id.library_company_id and not answer.test_entry
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

    def _mark_done(self):
        result = super()._mark_done()
        answers = self.filtered("survey_id.library_company_id")
        reasons = answers._get_reasons_to_set_aside()
        for answer in answers:
            answer.write(
                {
                    "library_set_aside": reasons.get(answer),
                    "library_may_call": answer._agrees("library_is_call_question"),
                    "library_answered_on": fields.Date.context_today(answer),
                }
            )
        answers._note_interests()
        return result

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
        be the invitation or the login."""
        for answer in self.filtered("partner_id").sudo():
            chosen = answer.user_input_line_ids.suggested_answer_id.library_interest_id
            if (
                chosen
                and answer.library_patron_id
                and answer._agrees("library_is_interest_consent")
            ):
                answer.library_patron_id.interest_ids |= chosen

    # ------------------------------------------------------------
    # FORGETTING WHO
    # ------------------------------------------------------------

    def _anonymise(self):
        """Keep answers as counts, with nothing by which they can be traced to somebody:
        no contact, address, name, token, user, message or time, and no free text, which
        may say who wrote it. What was not finished is deleted.
        """
        done = self.filtered(lambda answer: answer.state == "done")
        (self - done).unlink()
        self.env["mail.message"].search(
            [("model", "=", self._name), ("res_id", "in", done.ids)]
        ).unlink()
        done.activity_ids.unlink()
        done.message_unsubscribe(done.message_partner_ids.ids)
        done.user_input_line_ids.filtered(
            lambda line: (
                line.answer_type in ("char_box", "text_box", "date", "datetime")
            )
        ).unlink()
        blank = dict.fromkeys(
            (
                "partner_id",
                "email",
                "nickname",
                "invite_token",
                "deadline",
                "start_datetime",
                "end_datetime",
                "library_patron_id",
                "library_may_call",
                "lead_id",
            ),
            False,
        )
        blank = {name: value for name, value in blank.items() if name in self._fields}
        for answer in done:
            answer.write(
                {**blank, "access_token": self._fields["access_token"].default(self)}
            )
            day = answer.library_answered_on or fields.Date.to_date(answer.create_date)
            answer.library_answered_on = day.replace(day=1)
        done.flush_recordset()
        self._forget_log(done)
        self._forget_log(done.user_input_line_ids)

    @api.model
    def _forget_log(self, records):
        """Who made a record and when tells who answered; Odoo lets nobody write it."""
        self.env.cr.execute(
            SQL(
                """
                UPDATE %s
                SET create_uid = %s, write_uid = %s,
                    create_date = date_trunc('month', create_date),
                    write_date = date_trunc('month', create_date)
                WHERE id = ANY(%s)
                """,
                SQL.identifier(records._table),
                SUPERUSER_ID,
                SUPERUSER_ID,
                records.ids,
            )
        )
        records.invalidate_recordset(
            ["create_uid", "write_uid", "create_date", "write_date"]
        )
