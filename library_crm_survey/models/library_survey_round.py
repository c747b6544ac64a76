import logging
import secrets
from datetime import timedelta
from math import sqrt

from markupsafe import Markup
from psycopg2 import OperationalError

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import NO_ACCESS, Domain
from odoo.tools import SQL, urls

_logger = logging.getLogger(__name__)

#: Kinds that write to patrons; the others wait for whoever comes.
MAILED_KINDS = ("segment", "service", "journey")
#: Of fewer people nobody can be anonymous.
FEWEST_ANONYMOUS = 10


def get_margin(answers, population):
    """How far a share found in a random sample may be from that of all.

    Half the 95 % interval of a proportion, at its widest (p = 0.5), with the
    correction for a finite population: ``1.96 · sqrt(p (1 - p) / n) ·
    sqrt((N - n) / (N - 1))``. Source: W. G. Cochran, Sampling Techniques, 3rd ed.
    (1977), sections 3.2 and 3.4. It holds for whoever answers like those who do not;
    no formula mends that.

    :param float answers: n
    :param int population: N, those whom the sample was drawn from
    :return: percentage points; None where there is no sample
    :rtype: float | None
    """
    if answers <= 0 or population <= 0:
        return None
    if answers >= population:
        return 0.0
    correction = sqrt((population - answers) / (population - 1))
    return 100 * 1.96 * sqrt(0.25 / answers) * correction


class LibrarySurveyRound(models.Model):
    """A round of asking: which survey, whom, and how.

    Patrons are chosen once, by lot, when the round starts, and whether they agree to
    be asked is looked up again when each mail is made. Nobody is asked twice within
    some days, whatever the survey. In an anonymous round the answer is a form of its
    own, that nothing connects with the patron who was given it.
    """

    _name = "library.survey.round"
    _description = "Round of Asking"
    _inherit = ["mail.thread"]
    _order = "id desc"
    _check_company_auto = True
    _library_personal_data = {"*": "setting", "user_id": "staff"}

    # Patrons who are written to in one transaction.
    _BATCH = 500

    name = fields.Char(required=True)
    active = fields.Boolean(default=True)
    color = fields.Integer()
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    user_id = fields.Many2one(
        "res.users",
        string="Responsible",
        domain=[("share", "=", False)],
        default=lambda self: self.env.user,
    )
    survey_id = fields.Many2one(
        "survey.survey",
        required=True,
        index=True,
        ondelete="restrict",
        domain="[('library_company_id', '=', company_id)]",
    )
    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("running", "Running"),
            ("paused", "Paused"),
            ("closed", "Closed"),
        ],
        required=True,
        readonly=True,
        copy=False,
        default="draft",
        tracking=True,
        help="Paused: nobody is written to, and whoever was asked can answer. Closed: "
        "no answer is taken any more.",
    )
    problem = fields.Char(
        readonly=True, copy=False, help="Why the round was paused by itself."
    )

    # Who is asked
    kind = fields.Selection(
        [
            ("segment", "Patrons of a segment"),
            ("service", "Users of a service"),
            ("journey", "Patrons on a journey"),
            ("kiosk", "Visitors at a kiosk"),
            ("link", "Whoever has the link"),
        ],
        string="Who Is Asked",
        required=True,
        default="segment",
    )
    segment_id = fields.Many2one(
        "library.segment",
        check_company=True,
        index="btree_not_null",
        ondelete="restrict",
        help="Empty: all patrons.",
    )
    service_id = fields.Many2one(
        "library.service",
        check_company=True,
        index="btree_not_null",
        ondelete="restrict",
        help="Those who used it are asked, or what the answers are about.",
    )
    service_days = fields.Integer(
        string="Used Within Days",
        default=30,
        help="Whoever used the service in the last so many days.",
    )
    branch_id = fields.Many2one(
        "library.branch",
        check_company=True,
        index="btree_not_null",
        ondelete="restrict",
        help="Users of a service: at this branch. Patrons: at home there. Kiosk: where "
        "it stands.",
    )
    sample_size = fields.Integer(
        string="How Many",
        help="So many of them, drawn by lot; 0: all.",
    )
    expected_rate = fields.Integer(
        string="Expected Answers (%)",
        default=25,
        help="How many of a hundred will answer, to tell how sure the result will be.",
    )

    # How
    is_anonymous = fields.Boolean(
        string="Anonymous",
        compute="_compute_is_anonymous",
        store=True,
        readonly=False,
        precompute=True,
        help="Nobody can tell who gave an answer, the library itself included. Who "
        "has begun to answer is known, so that they are not reminded.",
    )
    fatigue_days = fields.Integer(
        string="In Peace For Days",
        compute="_compute_fatigue_days",
        store=True,
        readonly=False,
        precompute=True,
        help="Who was asked within so many days, in any survey, is left out; 0: nobody "
        "is.",
    )
    reminder_days = fields.Integer(
        string="Remind After Days",
        default=7,
        help="Who has not answered gets one more mail after so many days; 0: nobody "
        "does.",
    )
    date_close = fields.Date(
        string="Closes On", help="The last day on which answers are taken."
    )
    hourly_limit = fields.Integer(
        string="Answers an Hour",
        default=60,
        help="So many answers from one place within an hour; 0: no limit. The address "
        "is not kept.",
    )
    mailing_id = fields.Many2one(
        "mailing.mailing",
        string="Mail",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
    )
    reminder_mailing_id = fields.Many2one(
        "mailing.mailing",
        string="Reminder",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
    )
    access_token = fields.Char(
        required=True,
        readonly=True,
        copy=False,
        groups=NO_ACCESS,
        default=lambda self: secrets.token_urlsafe(12),
    )
    link = fields.Char(
        compute="_compute_link", help="Where the survey is answered, without a name."
    )

    # Numbers
    preview = fields.Text(compute="_compute_preview")
    margin = fields.Char(string="How Sure", compute="_compute_preview")
    invitation_ids = fields.One2many(
        "library.survey.invitation",
        "round_id",
        readonly=True,
        groups="library_crm.group_library_manager",
    )
    waiting_count = fields.Integer(string="Still to Ask", compute="_compute_counts")
    invited_count = fields.Integer(string="Asked", compute="_compute_counts")
    answered_count = fields.Integer(string="Answers", compute="_compute_counts")
    answer_rate = fields.Float(
        string="Answered (%)", compute="_compute_counts", digits=(5, 1)
    )

    _days_positive = models.Constraint(
        "CHECK (sample_size >= 0 AND service_days >= 0 AND fatigue_days >= 0 "
        "AND reminder_days >= 0 AND hourly_limit >= 0)",
        "Round of asking: numbers of days and of patrons can not be below zero.",
    )
    _expected_rate_share = models.Constraint(
        "CHECK (expected_rate BETWEEN 1 AND 100)",
        "Expected answers: a share between 1 and 100 percent is expected.",
    )
    _token_uniq = models.UniqueIndex("(access_token)", "The link is taken already.")

    # ------------------------------------------------------------
    # COMPUTES
    # ------------------------------------------------------------

    @api.depends("kind")
    def _compute_is_anonymous(self):
        """Nobody says who they are at a kiosk; on a journey they come one by one."""
        for asking_round in self:
            if asking_round.kind == "journey":
                asking_round.is_anonymous = False
            elif asking_round.kind not in MAILED_KINDS:
                asking_round.is_anonymous = True

    @api.depends("company_id")
    def _compute_fatigue_days(self):
        for asking_round in self:
            company = asking_round.company_id.sudo()
            asking_round.fatigue_days = company.library_survey_fatigue_days

    def _compute_link(self):
        for asking_round in self:
            token = asking_round.sudo().access_token
            asking_round.link = urls.urljoin(
                asking_round.get_base_url(), f"library/survey/{token}"
            )

    @api.depends(
        *("kind", "segment_id", "service_id", "service_days", "branch_id"),
        *("sample_size", "expected_rate", "fatigue_days", "is_anonymous", "state"),
        "company_id",
    )
    def _compute_preview(self):
        for asking_round in self:
            asking_round.preview = asking_round.margin = False
            if asking_round.kind not in ("segment", "service"):
                continue
            if asking_round.state != "draft":
                asking_round.margin = asking_round._say_reached_margin()
            elif asking_round.kind == "segment" or asking_round.service_id:
                counts = asking_round._count_candidates()
                asking_round.preview = asking_round._say_preview(counts)
                asking_round.margin = asking_round._say_margin(counts)

    def _compute_counts(self):
        asked = {}
        for asking_round, state, count in (
            self.env["library.survey.invitation"]
            .sudo()
            ._read_group(
                [("round_id", "in", self.ids)], ["round_id", "state"], ["__count"]
            )
        ):
            asked[asking_round.id, state] = count
        answered = dict(
            self.env["survey.user_input"]
            .sudo()
            ._read_group(
                [("library_round_id", "in", self.ids), ("state", "=", "done")],
                ["library_round_id"],
                ["__count"],
            )
        )
        for asking_round in self:
            invited = asked.get((asking_round.id, "asked"), 0)
            count = answered.get(asking_round.sudo(), 0)
            asking_round.waiting_count = asked.get((asking_round.id, "waiting"), 0)
            asking_round.invited_count = invited
            asking_round.answered_count = count
            asking_round.answer_rate = 100 * count / invited if invited else 0

    # ------------------------------------------------------------
    # IN WORDS
    # ------------------------------------------------------------

    def _get_drawn_count(self, counts):
        free = counts.get(None, 0)
        return min(self.sample_size, free) if self.sample_size else free

    def _say_preview(self, counts):
        """Who would be asked, and why the others would not."""
        lines = [
            self.env._(
                "Will ask %(drawn)s of %(total)s.",
                drawn=self._get_drawn_count(counts),
                total=sum(counts.values()),
            )
        ]
        if count := counts.get("no_consent"):
            lines.append(self.env._("%(count)s did not agree to surveys.", count=count))
        if count := counts.get("no_address"):
            lines.append(
                self.env._(
                    "%(count)s have no address that mail may go to.", count=count
                )
            )
        if count := counts.get("lately"):
            lines.append(
                self.env._(
                    "%(count)s were asked in the last %(days)s days.",
                    count=count,
                    days=self.fatigue_days,
                )
            )
        if count := counts.get("same_address"):
            lines.append(
                self.env._(
                    "%(count)s share an address with somebody who is asked.",
                    count=count,
                )
            )
        return "\n".join(lines)

    def _say_margin(self, counts):
        """How sure the result will be, before anybody is asked."""
        drawn, population = self._get_drawn_count(counts), sum(counts.values())
        if not drawn:
            return False
        answers = round(drawn * self.expected_rate / 100)
        if not answers:
            return self.env._("Too few will answer to tell anything.")
        return self.env._(
            "If %(rate)s%% of them answer (%(answers)s), a share of the answers is "
            "right to ±%(margin)s percentage points; if all do, to ±%(best)s.",
            rate=self.expected_rate,
            answers=answers,
            margin=f"{get_margin(answers, population):.1f}",
            best=f"{get_margin(drawn, population):.1f}",
        )

    def _say_reached_margin(self):
        """How sure the result is by now; those left out count as the others do."""
        [(population,)] = self.env.execute_query(
            SQL("SELECT count(*) FROM (%s) chosen", self._query_chosen())
        )
        margin = get_margin(self.answered_count, max(population, self.answered_count))
        if margin is None:
            return False
        return self.env._(
            "With %(answers)s answers a share of them is right to ±%(margin)s "
            "percentage points.",
            answers=self.answered_count,
            margin=f"{margin:.1f}",
        )

    # ------------------------------------------------------------
    # CREATE AND CHECK
    # ------------------------------------------------------------

    @api.constrains("kind", "is_anonymous", "survey_id", "branch_id", "service_id")
    def _check_kind(self):
        for asking_round in self:
            if asking_round.kind == "journey" and asking_round.is_anonymous:
                raise ValidationError(
                    self.env._(
                        "Anonymous: on a journey patrons are asked one by one, so "
                        "there would always be few to choose from."
                    )
                )
            if asking_round.kind not in MAILED_KINDS and not asking_round.is_anonymous:
                raise ValidationError(
                    self.env._(
                        "Anonymous: whoever answers at a kiosk or by a link says "
                        "nowhere who they are."
                    )
                )
            if asking_round.kind == "kiosk" and not asking_round.branch_id:
                raise ValidationError(self.env._("Branch: where does the kiosk stand?"))
            if asking_round.kind == "service" and not asking_round.service_id:
                raise ValidationError(self.env._("Service: the users of which one?"))

    def write(self, vals):
        fixed = {
            *("survey_id", "kind", "segment_id", "service_id", "service_days"),
            *("branch_id", "sample_size", "is_anonymous", "company_id"),
        } & vals.keys()
        if fixed and any(asking_round.state != "draft" for asking_round in self):
            raise UserError(
                self.env._(
                    "%(field)s: people are being asked already. Close this round and "
                    "duplicate it.",
                    field=self._fields[min(fixed)]._description_string(self.env),
                )
            )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_only_unused(self):
        if any(asking_round.state != "draft" for asking_round in self):
            raise UserError(
                self.env._(
                    "People have been asked in this round. Archive it instead, so that "
                    "its numbers stay."
                )
            )

    def unlink(self):
        mailings = self.mailing_id + self.reminder_mailing_id
        result = super().unlink()
        mailings.sudo().exists().unlink()
        return result

    def copy_data(self, default=None):
        vals_list = super().copy_data(default)
        if "name" not in (default or {}):
            for asking_round, vals in zip(self, vals_list, strict=True):
                vals["name"] = self.env._("%(name)s (copy)", name=asking_round.name)
        return vals_list

    def _check_survey(self):
        """:raise UserError: if the survey can not be answered, or not in this way"""
        self.ensure_one()
        survey = self.survey_id.sudo()
        if not survey.active or not survey.question_ids:
            raise UserError(
                self.env._(
                    "%(survey)s has no questions, or is closed.", survey=survey.title
                )
            )
        if survey.library_company_id != self.company_id:
            raise UserError(
                self.env._(
                    "%(survey)s belongs to another library.", survey=survey.title
                )
            )
        if survey.users_login_required:
            raise UserError(
                self.env._(
                    "%(survey)s asks for a login, which whoever gets the link may not "
                    "have. Change that in the options of the survey.",
                    survey=survey.title,
                )
            )
        if not self.is_anonymous:
            return
        names = survey.question_ids.filtered(
            lambda question: question.save_as_email or question.save_as_nickname
        )
        if names:
            raise UserError(
                self.env._(
                    "%(question)s: this question asks who somebody is, so the answers "
                    "are not anonymous.",
                    question=names[0].title,
                )
            )
        if survey.is_time_limited or survey.certification:
            raise UserError(
                self.env._(
                    "%(survey)s is timed or an exam, for which it has to be known who "
                    "answered and when; it can not be anonymous.",
                    survey=survey.title,
                )
            )

    # ------------------------------------------------------------
    # WHO IS ASKED
    # ------------------------------------------------------------

    @api.model
    def _get_purpose(self):
        """What patrons must have agreed to."""
        return self.env.ref("library_crm.library_consent_purpose_survey")

    def _get_chosen_domain(self):
        """The patrons whom the round is about."""
        domain = Domain("company_id", "=", self.company_id.id)
        if self.kind == "segment":
            if self.segment_id:
                domain &= self.segment_id._get_domain()
            if self.branch_id:
                domain &= Domain("branch_id", "=", self.branch_id.id)
            return domain
        since = fields.Date.context_today(self) - timedelta(days=self.service_days)
        used = SQL(
            """(
                SELECT patron_id
                  FROM library_service_usage
                 WHERE service_id = %s AND date > %s AND patron_id IS NOT NULL
                   AND %s
            )""",
            self.service_id.id,
            since,
            SQL("branch_id = %s", self.branch_id.id) if self.branch_id else SQL("TRUE"),
        )
        self.env["library.service.usage"].flush_model(
            ["patron_id", "service_id", "branch_id", "date"]
        )
        return domain & Domain.custom(
            to_sql=lambda _model, alias, _query: SQL(
                "%s IN %s", SQL.identifier(alias, "id"), used
            )
        )

    def _query_chosen(self, patrons=None):
        """:return: a query of the ids of the patrons whom the round is about
        :rtype: odoo.tools.SQL
        """
        domain = (
            self._get_chosen_domain()
            if patrons is None
            else Domain("id", "in", patrons.ids)
        )
        return self.env["library.patron"].sudo()._search(domain, order="id").select()

    def _query_candidates(self, patrons=None):
        """The patrons whom the round is about, and why each can not be asked. Whoever
        counts and whoever draws asks here.

        Mail that is meant for a minor goes to the guardian; of patrons whose mail goes
        to one address one is asked.

        Cost: one pass over the patrons and one over the ledger of consent.

        :param patrons: where these are asked about, on a journey
        :return: a query of ``patron_id`` and ``reason``, NULL for who can be asked
        :rtype: odoo.tools.SQL
        """
        Patron = self.env["library.patron"].sudo()
        reachable = Patron._search(
            self.env["library.consent"]
            .sudo()
            ._get_reachable_domain(
                "library.patron",
                self._get_purpose(),
                company=self.company_id,
                patrons=patrons,
            )
        )
        self.env["mail.blacklist"].flush_model(["email", "active"])
        return SQL(
            """
            WITH chosen AS MATERIALIZED (%(chosen)s),
            minors AS MATERIALIZED %(minors)s,
            reachable AS MATERIALIZED (%(reachable)s),
            person AS (
                SELECT patron.id,
                       CASE WHEN guardian_contact.email_normalized IS NOT NULL
                             AND (contact.email_normalized IS NULL
                                  OR minors.id IS NOT NULL)
                            THEN guardian_contact.email_normalized
                            ELSE contact.email_normalized
                        END AS address
                  FROM library_patron patron
                  JOIN chosen ON chosen.id = patron.id
                  JOIN res_partner contact ON contact.id = patron.partner_id
             LEFT JOIN minors ON minors.id = patron.id
             LEFT JOIN library_patron guardian ON guardian.id = patron.guardian_id
             LEFT JOIN res_partner guardian_contact
                    ON guardian_contact.id = guardian.partner_id
            ),
            judged AS (
                SELECT id, address,
                       CASE WHEN id NOT IN (SELECT id FROM reachable)
                            THEN 'no_consent'
                            WHEN address IS NULL OR address IN (
                                SELECT email FROM mail_blacklist WHERE active
                            )
                            THEN 'no_address'
                            WHEN id IN %(lately)s
                            THEN 'lately'
                        END AS reason
                  FROM person
            )
            SELECT id AS patron_id,
                   CASE WHEN reason IS NULL AND row_number() OVER (
                                PARTITION BY address, reason ORDER BY id
                            ) > 1
                        THEN 'same_address'
                        ELSE reason
                    END AS reason
              FROM judged
            """,
            chosen=self._query_chosen(patrons),
            minors=Patron._query_minors(patrons),
            reachable=reachable.select(),
            lately=self.env["library.survey.invitation"]
            .sudo()
            ._query_asked_lately(self.fatigue_days, patrons),
        )

    def _count_candidates(self):
        """:return: how many patrons there are by reason not to ask them; None: those
            who can be asked
        :rtype: dict[str | None, int]
        """
        self.env["library.patron"].sudo().flush_model()
        return dict(
            self.env.execute_query(
                SQL(
                    "SELECT reason, count(*) FROM (%s) candidate GROUP BY reason",
                    self._query_candidates(),
                )
            )
        )

    def _draw(self, patrons=None):
        """Choose by lot whom to ask: one statement, whatever the number of patrons.

        Rounds of a library are drawn one after the other: of two that are drawn at once
        the second is refused by the database, and tried again by Odoo, so that it sees
        whom the first has chosen.

        :param patrons: on a journey, those who have come to the step; one who comes
            again gets another place
        :return: how many were chosen; on a journey, who
        """
        self.ensure_one()
        self.env.flush_all()
        self.env.cr.execute(
            SQL("UPDATE res_company SET id = id WHERE id = %s", self.company_id.id)
        )
        is_journey = patrons is not None
        [(last,)] = self.env.execute_query(
            SQL(
                "SELECT coalesce(max(place), 0) FROM library_survey_invitation "
                "WHERE round_id = %s",
                self.id,
            )
        )
        # By lot twice: who, and who comes where in the list.
        drawn = self.env.execute_query(
            SQL(
                """
                INSERT INTO library_survey_invitation (
                       round_id, patron_id, place, state, asked_on
                       )
                SELECT %(round)s, patron_id, %(last)s + row_number() OVER (),
                       %(state)s, %(today)s
                  FROM (
                        SELECT patron_id
                          FROM (%(candidates)s) candidate
                         WHERE reason IS NULL
                      ORDER BY random()
                         LIMIT %(limit)s
                       ) drawn
           ON CONFLICT (round_id, patron_id) %(again)s
             RETURNING patron_id
                """,
                round=self.id,
                last=last,
                state="asked" if is_journey else "waiting",
                today=fields.Date.context_today(self),
                candidates=self._query_candidates(patrons),
                limit=self.sample_size or None,
                again=SQL(
                    "DO UPDATE SET place = excluded.place, "
                    "asked_on = excluded.asked_on, reminded_on = NULL"
                )
                if is_journey
                else SQL("DO NOTHING"),
            )
        )
        if drawn:
            self.env["library.survey.roll"].sudo()._add_pages(self, last + len(drawn))
        self.env["library.survey.invitation"].invalidate_model()
        if is_journey:
            return patrons.browse(patron_id for (patron_id,) in drawn)
        return len(drawn)

    # ------------------------------------------------------------
    # STATES
    # ------------------------------------------------------------

    def action_start(self):
        """Start, or go on after a pause."""
        for asking_round in self:
            asking_round.check_access("write")
            asking_round._check_survey()
            if asking_round.state == "draft" and asking_round.kind in (
                "segment",
                "service",
            ):
                asking_round._check_mails()
                drawn = asking_round._draw()
                if not drawn:
                    raise UserError(
                        self.env._("There is nobody to ask: look at the preview.")
                    )
                if asking_round.is_anonymous and drawn < FEWEST_ANONYMOUS:
                    raise UserError(
                        self.env._(
                            "%(drawn)s patrons would be asked. Of fewer than "
                            "%(fewest)s it could be guessed who gave which answer: "
                            "ask more, or ask by name.",
                            drawn=drawn,
                            fewest=FEWEST_ANONYMOUS,
                        )
                    )
            asking_round.write({"state": "running", "problem": False})
        self.env.ref("library_crm_survey.ir_cron_ask").sudo()._trigger()

    def action_pause(self):
        """Write to nobody for now; whoever was asked can answer."""
        self.filtered(lambda row: row.state == "running").state = "paused"

    def action_close(self):
        """Take no answer any more, and write to nobody."""
        self.state = "closed"

    def _pause_for(self, error):
        """Stop a round that can not go on, and say why; the others go on."""
        self.write({"state": "paused", "problem": str(error)[:500]})

    # ------------------------------------------------------------
    # MAILS
    # ------------------------------------------------------------

    def _check_mails(self):
        """Write the mails where nobody has."""
        if not self.mailing_id:
            self.mailing_id = self._create_mailing()
        if self.reminder_days and not self.reminder_mailing_id:
            self.reminder_mailing_id = self._create_mailing(is_reminder=True)

    def _create_mailing(self, is_reminder=False):
        # Odoo lets few people write placeholders; these are ours.
        Mailing = self.env["mailing.mailing"].sudo()
        values = self._prepare_mailing_values(is_reminder)
        mailing = Mailing.create(values)
        for lang, _name in self.env["res.lang"].get_installed():
            asking_round = self.with_context(lang=lang)
            translated = asking_round._prepare_mailing_values(is_reminder)
            if translated["body_html"] != values["body_html"]:
                Mailing.create(
                    {
                        **translated,
                        "name": mailing.name,
                        "library_original_id": mailing.id,
                        "library_round_id": False,
                        "library_lang": lang,
                    }
                )
        return mailing.sudo(self.env.su)

    def _prepare_mailing_values(self, is_reminder=False):
        """Values of a mail of the round, with a text to begin with in the language of
        the context; a hook."""
        title = self.survey_id.title
        if is_reminder:
            subject = self.env._("A reminder: %(survey)s", survey=title)
            plea = self.env._(
                "some days ago we asked for your opinion. There is still time, and "
                "each answer counts."
            )
        else:
            subject = self.env._("Your opinion: %(survey)s", survey=title)
            plea = self.env._(
                "would you tell us what you think? It takes a few minutes, and helps "
                "us to get better."
            )
        privacy = (
            self.env._(
                "Your answer is anonymous: nobody can tell that it came from you, and "
                "we can not either."
            )
            if self.is_anonymous
            else self.env._(
                "Your answer comes to us with your name. Only the staff who work with "
                "it will see it."
            )
        )
        direction = self.env["res.lang"]._get_data(code=self.env.lang).direction
        body = Markup(
            '<div dir="%s"><p>%s <t t-out="object.complete_name"/>,</p>'
            "<p>%s</p>"
            '<p><a t-att-href="object.survey_link" style="display: inline-block; '
            "padding: 12px 20px; border-radius: 4px; background-color: #1f4e79; "
            'color: #ffffff; text-decoration: none;">%s</a></p>'
            "<p>%s</p>"
            '<p><t t-out="object.company_id.name"/></p></div>'
        ) % (
            direction or "ltr",
            *(self.env._("Hello"), plea, self.env._("Answer now"), privacy),
        )
        # No template: it is the same for all, and would be read for each mail.
        sender = self.company_id.email_formatted or self.env.user.email_formatted
        return {
            "name": f"{self.name}: {subject}",
            "subject": subject,
            "body_html": body,
            "body_arch": body,
            "mailing_model_id": self.env["ir.model"]._get_id("library.patron"),
            "mailing_domain": "[]",
            "library_purpose_id": self._get_purpose().id,
            "library_round_id": self.id,
            "reply_to_mode": "new",
            "reply_to": sender,
            "email_from": sender,
            "user_id": self.user_id.id,
        }

    def action_edit_mail(self):
        """Open the mail of the round, or the reminder (``library_mail`` in the
        context), made anew where there is none."""
        self.ensure_one()
        self._check_mails()
        name = self.env.context.get("library_mail", "mailing_id")
        return {
            "type": "ir.actions.act_window",
            "res_model": "mailing.mailing",
            "view_mode": "form",
            "res_id": self[name].id,
        }

    # ------------------------------------------------------------
    # THE JOB
    # ------------------------------------------------------------

    @api.model
    def _cron_ask(self):
        """Close what is over, ask who is waiting, remind who has not answered; batch
        by batch, each in a transaction of its own, so that the job can be killed at any
        moment and several workers can share the work."""
        today = fields.Date.context_today(self)
        over = Domain("state", "in", ["running", "paused"])
        self.search(over & Domain("date_close", "<", today)).action_close()
        for asking_round in self.search([("state", "=", "running")]):
            for work in (asking_round._ask_batch, asking_round._remind_batch):
                while asking_round.state == "running":
                    done = asking_round._do_alone(work)
                    if not asking_round._keep(done):
                        return
                    if not done:
                        break
        self.env["ir.cron"]._commit_progress(remaining=0)

    def _keep(self, done):
        """Commit, and begin the next batch with what others have written since.

        :return: whether there is time to go on; if not, the job is run again soon
        """
        seconds = self.env["ir.cron"]._commit_progress(done or 0, remaining=1)
        self.env.invalidate_all()
        return seconds > 0

    def _do_alone(self, work):
        """Do a part of the work of this round. Where another worker was there first it
        is left to that one, and where it fails only this round stops."""
        try:
            with self.env.cr.savepoint():
                return work()
        except OperationalError:
            self.env.cr.rollback()
            self.env.invalidate_all()
        except Exception as error:
            _logger.warning("Round of asking %s is paused", self.id, exc_info=True)
            self.env.invalidate_all()
            self._pause_for(error)
        return None

    def _claim(self, condition):
        """Lock some invitations, leaving those that another worker has locked."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                SELECT invitation.id
                  FROM library_survey_invitation invitation
                 WHERE invitation.round_id = %(round)s AND %(condition)s
              ORDER BY invitation.id
                 LIMIT %(limit)s
                   FOR UPDATE SKIP LOCKED
                """,
                round=self.id,
                condition=condition,
                limit=self._BATCH,
            )
        )
        return self.env["library.survey.invitation"].browse(
            number for (number,) in self.env.cr.fetchall()
        )

    def _ask_batch(self):
        """Ask some of those who are waiting.

        :return: how many were dealt with; 0: nobody is waiting
        """
        self.ensure_one()
        rows = self._claim(SQL("invitation.state = 'waiting'"))
        today = fields.Date.context_today(self)
        # Asked before the mails are made: a voucher is for who was asked.
        rows.write({"state": "asked", "asked_on": today})
        for reason, left_out in self._mail(rows, self.mailing_id):
            left_out.write({"state": "skipped", "reason": reason})
        return len(rows)

    def _remind_batch(self):
        """Remind some of those who have not answered, once.

        :return: how many were dealt with; 0: nobody is due
        """
        self.ensure_one()
        if not self.reminder_days or not self.reminder_mailing_id:
            return 0
        today = fields.Date.context_today(self)
        Roll = self.env["library.survey.roll"]
        if self.is_anonymous:
            # Who is not reminded has answered before that day, and answers are in the
            # order of their numbers: of a few that would tell who it was.
            if Roll._count(self) < FEWEST_ANONYMOUS:
                return 0
            has_answered = Roll._sql_is_ticked()
        else:
            has_answered = SQL(
                """
                EXISTS (
                    SELECT FROM survey_user_input answer
                     WHERE answer.library_round_id = invitation.round_id
                       AND answer.library_patron_id = invitation.patron_id
                       AND answer.state = 'done'
                       AND answer.create_date >= invitation.asked_on
                )
                """
            )
        rows = self._claim(
            SQL(
                "invitation.state = 'asked' AND invitation.reminded_on IS NULL "
                "AND invitation.asked_on <= %s AND NOT %s",
                today - timedelta(days=self.reminder_days),
                has_answered,
            )
        )
        rows.write({"reminded_on": today})
        list(self._mail(rows, self.reminder_mailing_id))
        return len(rows)

    def _mail(self, rows, mailing):
        """Put a mail to each into Odoo's queue, in this transaction.

        :return: pairs of a reason and those who could not be written to
        """
        Consent = self.env["library.consent"]
        gone = rows.filtered(lambda row: not row.patron_id.active)
        yield "archived", gone
        rows -= gone
        agreed = Consent._filter_reachable(
            rows.patron_id, self._get_purpose(), company=self.company_id
        )
        refusing = rows.filtered(lambda row: row.patron_id not in agreed)
        yield "no_consent", refusing
        rows -= refusing
        readers = rows.patron_id._get_mail_recipients()
        for lang, group in rows.grouped(
            lambda row: readers[row.patron_id].sudo().lang
        ).items():
            traces = mailing._in_language(lang)._queue_for_journey(
                group.patron_id, lang
            )
            yield (
                "refused",
                group.filtered(
                    lambda row, traces=traces: (
                        row.patron_id.id not in traces
                        or traces[row.patron_id.id].trace_status in ("cancel", "error")
                    )
                ),
            )

    # ------------------------------------------------------------
    # AT THE DOOR
    # ------------------------------------------------------------

    @api.model
    def _find_by_token(self, token):
        """:return: the round as superuser"""
        found = self.sudo().search([("access_token", "=", token)], limit=1)
        return found.with_user(SUPERUSER_ID)

    def _begin(self, voucher=None, address=""):
        """Hand out a form to somebody who wants to answer. To be called with sudo.

        A voucher is handed in at the door: it is ticked off in the list, and the form
        of an anonymous round is made without it.

        :param str voucher: from the link in the mail, where patrons were asked by mail
        :param str address: from where, in rounds for whoever comes
        :return: the answer to fill in, or none and why: ``closed``, ``busy``,
            ``wrong`` or ``used``
        :rtype: tuple[survey.user_input, str | None]
        """
        self.ensure_one()
        none = self.env["survey.user_input"]
        if self.state not in ("running", "paused") or not self.survey_id.active:
            return none, "closed"
        if self.kind not in MAILED_KINDS:
            Gate = self.env["library.survey.gate"]
            if not Gate._let_in(self, address, self.hourly_limit):
                return none, "busy"
            return self._create_answer(), None
        invitation = self.env["library.survey.invitation"]._find_by_voucher(
            self, voucher
        )
        if not invitation:
            return none, "wrong"
        is_first = self.env["library.survey.roll"]._tick(self, invitation.place)
        if self.is_anonymous:
            return (self._create_answer(), None) if is_first else (none, "used")
        if not is_first:
            answer = none.search(
                [
                    ("library_round_id", "=", self.id),
                    ("library_patron_id", "=", invitation.patron_id.id),
                ],
                order="id desc",
                limit=1,
            )
            return (none, "used") if answer.state == "done" else (answer, None)
        return self._create_answer(invitation.patron_id), None

    def _create_answer(self, patron=None):
        """A blank form; for a patron, or for nobody."""
        values = {"library_round_id": self.id}
        if patron:
            values["library_patron_id"] = patron.id
        return self.survey_id.with_context(
            mail_create_nosubscribe=True, mail_create_nolog=True
        )._create_answer(
            partner=patron.partner_id if patron else False,
            check_attempts=False,
            **values,
        )

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_view_answers(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm_survey.survey_user_input_action"
            ),
            "domain": [("library_round_id", "=", self.id)],
        }

    def action_view_invitations(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm_survey.library_survey_invitation_action"
            ),
            "domain": [("round_id", "=", self.id)],
        }

    def action_open_kiosk(self):
        self.ensure_one()
        token = self.sudo().access_token
        return {
            "type": "ir.actions.act_url",
            "url": f"/library/kiosk/{token}",
            "target": "new",
        }

    def action_copy_to_branches(self):
        """The same kiosk for each branch that has none of this survey yet."""
        self.ensure_one()
        there = self.search(
            [("survey_id", "=", self.survey_id.id), ("kind", "=", "kiosk")]
        ).branch_id
        branches = self.env["library.branch"].search(
            [("company_id", "=", self.company_id.id), ("id", "not in", there.ids)]
        )
        copies = self.concat(
            *(
                self.copy({"name": branch.name, "branch_id": branch.id})
                for branch in branches
            )
        )
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm_survey.library_survey_round_action"
            ),
            "domain": [("id", "in", (self + copies).ids)],
            "context": {},
        }
