from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, format_date, urls

SATISFACTION = [("unhappy", "Unhappy"), ("neutral", "Neutral"), ("happy", "Happy")]


class LibraryPatron(models.Model):
    """What a patron answered, and whether they are satisfied.

    The figure is that of the last answer given by name. It is an answer, so it is for
    those who read answers; the desk sees it of those who agreed to be called about it.
    """

    _inherit = "library.patron"
    _library_personal_data = {
        "satisfaction": "answer",
        "satisfaction_nps": "answer",
        "satisfaction_csat": "answer",
        "satisfaction_on": "answer",
    }

    survey_input_ids = fields.One2many(
        "survey.user_input",
        "library_patron_id",
        string="Survey Answers",
        groups="survey.group_survey_user",
    )
    survey_input_count = fields.Integer(
        string="Answers",
        compute="_compute_row_counts",
        groups="library_crm.group_library_user,library_crm.group_library_marketing",
        help="Surveys that the patron has completed.",
    )
    satisfaction = fields.Selection(
        SATISFACTION,
        readonly=True,
        copy=False,
        index="btree_not_null",
        groups="survey.group_survey_user",
        help="What the last answer said that was given by name. Unhappy: 0–6 of 10 for "
        "recommending, 1–2 of 5 for satisfaction, or 4–5 of 5 for effort; happy: 9–10 "
        "or 4–5.",
    )
    satisfaction_nps = fields.Selection(
        [(str(score), str(score)) for score in range(11)],
        string="Would Recommend (0–10)",
        readonly=True,
        copy=False,
        groups="survey.group_survey_user",
        help="In the last answer; empty where it was not asked.",
    )
    satisfaction_csat = fields.Selection(
        [(str(score), str(score)) for score in range(1, 6)],
        string="Satisfied (1–5)",
        readonly=True,
        copy=False,
        groups="survey.group_survey_user",
        help="In the last answer; empty where it was not asked.",
    )
    satisfaction_on = fields.Date(
        string="Answered On",
        readonly=True,
        copy=False,
        groups="survey.group_survey_user",
    )
    satisfaction_text = fields.Char(
        string="Satisfaction Shown",
        compute="_compute_satisfaction_text",
        compute_sudo=True,
        groups="library_crm.group_library_user",
    )
    survey_link = fields.Char(
        compute="_compute_survey_link",
        groups="base.group_user",
        help="For mails of a round of asking: the patron's own link.",
    )

    def _get_counted_rows(self):
        """The desk may know that somebody answered, not what: hence sudo for the
        count of patrons who are already readable."""
        return {
            **super()._get_counted_rows(),
            "survey_input_count": (
                self.env["survey.user_input"].sudo(),
                "library_patron_id",
                Domain("state", "=", "done"),
            ),
        }

    @api.depends("satisfaction", "satisfaction_on")
    @api.depends_context("uid", "lang")
    def _compute_satisfaction_text(self):
        """For whoever reads answers; for the desk where the patron agreed to a call."""
        labels = dict(self._fields["satisfaction"]._description_selection(self.env))
        reads_answers = self.env.user.has_group("survey.group_survey_user")
        callable_ids = set()
        if not reads_answers:
            callable_ids = {
                patron.id
                for patron, answer in self._get_last_scored_answers().items()
                if answer.library_may_call
            }
        for patron in self:
            shown = reads_answers or patron.id in callable_ids
            patron.satisfaction_text = (
                self.env._(
                    "%(satisfaction)s on %(date)s",
                    satisfaction=labels[patron.satisfaction],
                    date=format_date(self.env, patron.satisfaction_on),
                )
                if shown and patron.satisfaction
                else False
            )

    @api.depends_context("library_survey_round", "uid")
    def _compute_survey_link(self):
        """Made when a mail is made, and stored nowhere. Whoever has it answers in the
        patron's name, so only the job that sends the mails gets it; staff who try a
        mail see a link without a voucher.

        The voucher comes after the
        ``#``, which browsers keep to themselves: so no log of a web server, ours or
        somebody's before it, holds who it was, to be laid beside the form that was
        handed out next."""
        asking_round = self.env["library.survey.round"].browse(
            self.env.context.get("library_survey_round")
        )
        vouchers = {}
        if asking_round and self.env.su:
            for invitation in self.env["library.survey.invitation"].search(
                [
                    ("round_id", "=", asking_round.id),
                    ("patron_id", "in", self.ids),
                    ("state", "=", "asked"),
                ]
            ):
                vouchers[invitation.patron_id.id] = invitation._get_voucher()
        for patron in self:
            voucher = vouchers.get(patron.id)
            patron.survey_link = (
                f"{asking_round.link}#{voucher}"
                if voucher
                else urls.urljoin(patron.get_base_url(), "library/survey")
            )

    # ------------------------------------------------------------
    # SATISFACTION
    # ------------------------------------------------------------

    def _get_last_scored_answers(self):
        """:return: the last answer of each patron that says whether they are satisfied
        :rtype: dict[library.patron, survey.user_input]
        """
        if not self.ids:
            return {}
        self.env["survey.user_input"].flush_model()
        self.env["survey.user_input.line"].flush_model()
        self.env["survey.question"].flush_model()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT ON (answer.library_patron_id)
                       answer.library_patron_id, answer.id
                  FROM survey_user_input answer
                 WHERE answer.library_patron_id = ANY(%(patrons)s)
                   AND answer.state = 'done' AND answer.test_entry IS NOT TRUE
                   AND EXISTS (
                       SELECT FROM survey_user_input_line line
                         JOIN survey_question question
                           ON question.id = line.question_id
                        WHERE line.user_input_id = answer.id
                          AND line.answer_type = 'scale'
                          AND question.library_metric IN ('nps', 'csat', 'effort')
                   )
              ORDER BY answer.library_patron_id,
                       answer.end_datetime DESC NULLS LAST, answer.id DESC
                """,
                patrons=list(self.ids),
            )
        )
        Answer = self.env["survey.user_input"].sudo().browse(row[1] for row in rows)
        return {
            self.browse(patron_id): answer
            for (patron_id, _id), answer in zip(rows, Answer, strict=True)
        }

    def _refresh_satisfaction(self):
        """Set the figure from the last answer. To be called with sudo."""
        answers = self._get_last_scored_answers()
        for patron in self:
            answer = answers.get(patron, self.env["survey.user_input"])
            scores = {name: str(score) for name, score in answer._get_scores().items()}
            patron.write(
                {
                    "satisfaction": answer._get_satisfaction(),
                    "satisfaction_nps": scores.get("nps"),
                    "satisfaction_csat": scores.get("csat"),
                    "satisfaction_on": answer.library_answered_on
                    or answer.end_datetime,
                }
            )

    # ------------------------------------------------------------
    # ERASED AND MERGED
    # ------------------------------------------------------------

    def _forget(self):
        """What an erased patron answered stays as a count of nobody."""
        self.survey_input_ids._forget_patron()
        return super()._forget()

    @api.model
    def _forget_contact(self, contact, company):
        """Answers that were given with the contact and are no patron's."""
        self.env["survey.user_input"].search(
            [("partner_id", "=", contact.id)]
        )._forget_patron()
        return super()._forget_contact(contact, company)

    @api.model
    def _get_kept_reasons(self):
        count = self.env._("Counts in the figures, without the person and the words")
        return {
            **super()._get_kept_reasons(),
            **dict.fromkeys(
                (
                    *("survey.user_input", "survey.user_input.line"),
                    "library.survey.invitation",
                ),
                count,
            ),
        }

    def _merge(self, others):
        self.env["library.survey.invitation"]._merge_patrons(self, others)
        answers = (self + others).survey_input_ids
        result = super()._merge(others)
        # Their contacts are merged after the patrons, so they would find nobody now.
        answers.library_patron_id = self
        self._refresh_satisfaction()
        return result

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_view_survey_inputs(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm_survey.survey_user_input_action"
            ),
            "domain": [("library_patron_id", "=", self.id)],
            "context": {"search_default_completed": 1},
        }
