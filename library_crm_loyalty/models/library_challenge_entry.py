import re
import unicodedata

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL, escape_psql

#: The longest and shortest name on a leaderboard.
NICKNAME_LENGTH = (2, 20)


def _squeeze(text):
    """A text without accents, capitals and whatever stands between letters."""
    plain = unicodedata.normalize("NFKD", text or "").casefold()
    return "".join(letter for letter in plain if letter.isalnum())


class LibraryChallengeEntry(models.Model):
    """A patron takes part in a challenge: how far they are, and the nickname under
    which they stand on its leaderboard, if they want to stand there."""

    _name = "library.challenge.entry"
    _inherit = ["library.mail.mixin"]
    _description = "Taking Part in a Challenge"
    _order = "challenge_id desc, progress desc, id"
    _rec_name = "patron_id"
    _check_company_auto = True
    _library_personal_data = {"*": "challenge"}

    #: What follows from something else, or is for the patron to say.
    _NOT_BY_HAND = frozenset(("progress", "finished_on", "nickname"))

    challenge_id = fields.Many2one(
        "library.challenge",
        required=True,
        index=True,
        ondelete="cascade",
        check_company=True,
    )
    patron_id = fields.Many2one(
        "library.patron",
        required=True,
        index=True,
        ondelete="cascade",
        check_company=True,
    )
    company_id = fields.Many2one(
        related="challenge_id.company_id", store=True, precompute=True, string="Library"
    )
    branch_id = fields.Many2one(related="patron_id.branch_id", string="Home Branch")
    patron_category_id = fields.Many2one(
        related="patron_id.patron_category_id", string="Category"
    )
    team_id = fields.Many2one(
        "library.challenge.team",
        index="btree_not_null",
        ondelete="set null",
        domain="[('challenge_id', '=', challenge_id)]",
    )
    joined_on = fields.Date(
        string="Takes Part Since", required=True, default=fields.Date.context_today
    )
    progress = fields.Integer(readonly=True, copy=False, aggregator="sum")
    target = fields.Integer(related="challenge_id.target")
    percent = fields.Float(
        string="Reached",
        compute="_compute_percent",
        help="In percent; of a team that of the team.",
    )
    finished_on = fields.Date(
        string="Finished",
        readonly=True,
        copy=False,
        help="It stays when use is corrected or a log undone later.",
    )
    nickname = fields.Char(
        readonly=True,
        copy=False,
        help="On the leaderboard, because the patron or the guardian asked for it.",
    )
    goal_kind = fields.Selection(related="challenge_id.goal_kind")
    is_team_goal = fields.Boolean(related="challenge_id.is_team_goal")
    has_certificate = fields.Boolean(related="challenge_id.has_certificate")
    log_ids = fields.One2many("library.challenge.log", "entry_id")

    _patron_uniq = models.UniqueIndex(
        "(challenge_id, patron_id)", "Challenge: the patron takes part already."
    )
    _nickname_uniq = models.UniqueIndex(
        "(challenge_id, lower(nickname)) WHERE nickname IS NOT NULL",
        "Nickname: somebody else has it in this challenge.",
    )

    @api.depends(
        *("progress", "target", "is_team_goal", "team_id.progress", "team_id.target")
    )
    def _compute_percent(self):
        for entry in self:
            if entry.is_team_goal:
                entry.percent = entry.team_id.percent
            else:
                entry.percent = (
                    min(100, 100 * entry.progress / entry.target) if entry.target else 0
                )

    @api.constrains("team_id", "challenge_id")
    def _check_team(self):
        for entry in self:
            if entry.team_id and entry.team_id.challenge_id != entry.challenge_id:
                raise UserError(
                    self.env._(
                        "The team %(team)s belongs to another challenge.",
                        team=entry.team_id.name,
                    )
                )

    # ------------------------------------------------------------
    # CREATE AND WRITE
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        self._refuse_by_hand(set().union(*vals_list))
        entries = super().create(vals_list)
        # Numbers can be guessed: naming a patron must not tell who it is.
        entries.patron_id.check_access("read")
        entries._refresh()
        return entries

    def write(self, vals):
        self._refuse_by_hand(vals.keys())
        result = super().write(vals)
        self.patron_id.check_access("read")
        if vals.keys() & {"team_id", "challenge_id", "patron_id"}:
            self._refresh()
        return result

    def unlink(self):
        challenges = self.challenge_id.filtered("is_team_goal")
        patrons = self.filtered("finished_on").patron_id
        result = super().unlink()
        challenges._refresh(patrons=self.env["library.patron"])
        self.env["library.service.usage"]._reckon_points(patrons)
        return result

    def _refuse_by_hand(self, names):
        if not self.env.su and self._NOT_BY_HAND & names:
            raise AccessError(
                self.env._(
                    "How far somebody is follows from their use and their log, and a "
                    "nickname is for the patron or the guardian to choose."
                )
            )

    def _refresh(self):
        for challenge, entries in self.sudo().grouped("challenge_id").items():
            challenge._refresh(entries.patron_id)

    @api.model
    def _merge_patrons(self, kept, others):
        """Before patrons are merged: of two entries in a challenge one stays, with the
        log of both. To be called with sudo."""
        entries = self.search([("patron_id", "in", (kept + others).ids)])
        for group in entries.grouped("challenge_id").values():
            ordered = group.sorted(
                lambda entry: (not entry.finished_on, entry.patron_id != kept, entry.id)
            )
            stays, leave = ordered[:1], ordered[1:]
            if not leave:
                continue
            leave._move_log(stays)
            stays.write(
                {
                    "patron_id": kept.id,
                    "joined_on": min(group.mapped("joined_on")),
                    "team_id": ordered.team_id[:1].id,
                }
            )
            leave.unlink()

    def _move_log(self, target):
        """Move what is logged here to another entry of the same person. A day may
        then have more minutes than it may; they are reckoned as the most."""
        self.env.flush_all()
        for entry in self:
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE library_challenge_log
                       SET entry_id = %(target)s
                     WHERE entry_id = %(entry)s
                       AND (square_id IS NULL
                            OR square_id NOT IN (
                                SELECT square_id
                                  FROM library_challenge_log
                                 WHERE entry_id = %(target)s
                                   AND square_id IS NOT NULL
                            ))
                    """,
                    target=target.id,
                    entry=entry.id,
                )
            )
        self.env["library.challenge.log"].invalidate_model()
        self.invalidate_model(["log_ids"])

    # ------------------------------------------------------------
    # FINISHED
    # ------------------------------------------------------------

    def _tell(self):
        """Write to those who have just finished. They are who agreed to news, as with
        all mails of a programme; for a child the guardian. To be called with sudo."""
        template = self.env.ref(
            "library_crm_loyalty.mail_template_challenge_finished",
            raise_if_not_found=False,
        )
        # Nobody wants such mails, or many finish at once in what is tried out.
        if not template or self.env.context.get("loyalty_no_mail"):
            return
        news = self.env.ref("library_crm.library_consent_purpose_news")
        for company, entries in self.grouped("company_id").items():
            reachable = self.env["library.consent"]._filter_reachable(
                entries, news, company=company
            )
            template.with_context(
                default_library_purpose_id=news.id
            ).sudo().send_mail_batch(
                reachable.ids, email_layout_xmlid="mail.mail_notification_light"
            )

    # ------------------------------------------------------------
    # LEADERBOARD
    # ------------------------------------------------------------

    def _join_leaderboard(self, nickname):
        """Stand on the leaderboard under a nickname. Whoever calls has made sure that
        it is the patron, or the guardian of a minor, who asks.

        :raise UserError: if it is taken, or tells who it is
        """
        self.ensure_one()
        nickname = " ".join((nickname or "").split())
        self._check_nickname(nickname)
        self.sudo().nickname = nickname
        self.flush_recordset()

    def _check_nickname(self, nickname):
        env = self.env
        least, most = NICKNAME_LENGTH
        if not self.challenge_id.leaderboard:
            raise UserError(env._("This challenge has no leaderboard."))
        if not least <= len(nickname) <= most or not re.fullmatch(
            r"[\w .'’-]*[^\W\d_][\w .'’-]*", nickname
        ):
            raise UserError(
                env._(
                    "A nickname has %(least)s to %(most)s letters; digits and spaces "
                    "may stand between them.",
                    least=least,
                    most=most,
                )
            )
        patron = self.patron_id.sudo()
        squeezed = _squeeze(nickname)
        names = re.findall(r"[^\W\d_]{3,}", patron.complete_name or "")
        email = (patron.email_normalized or "").partition("@")[0]
        tells = [_squeeze(part) for part in (*names, patron.complete_name, email)]
        if any(
            part and (part in squeezed or squeezed == part) for part in tells
        ) or re.search(r"\d{4}", squeezed):
            raise UserError(
                env._(
                    "Others would see by this nickname who it is. Choose one without "
                    "your name, and without a year or another long number."
                )
            )
        taken = self.sudo().search_count(
            [
                ("challenge_id", "=", self.challenge_id.id),
                ("id", "!=", self.id),
                ("nickname", "=ilike", escape_psql(nickname)),
            ],
            limit=1,
        )
        if taken:
            raise UserError(env._("Somebody else has this nickname. Choose another."))

    def action_leave_leaderboard(self):
        """Take a patron off the leaderboard, because they ask or for an unkind name."""
        self.check_access("write")
        self.sudo().nickname = False

    def _get_leaderboard(self, most=20):
        """Who is in front in the challenge of this entry, of those who asked to be
        there; patrons who have the same progress share a place.

        :return: place and entry, the best first, at most so many and the entry itself
        :rtype: list[tuple[int, library.challenge.entry]]
        """
        self.ensure_one()
        if not self.challenge_id.leaderboard:
            return []
        listed = self.sudo().search(
            [("challenge_id", "=", self.challenge_id.id), ("nickname", "!=", False)],
            order="progress desc, nickname, id",
        )
        rows = []
        place = 0
        for number, entry in enumerate(listed, 1):
            if number == 1 or entry.progress != listed[number - 2].progress:
                place = number
            if number <= most or entry == self:
                rows.append((place, entry))
        return rows

    # ------------------------------------------------------------
    # BINGO
    # ------------------------------------------------------------

    def _get_ticked(self):
        """The squares that are ticked, by the patron or by use; and of these those
        that the patron may untick.

        :rtype: tuple[library.challenge.square, library.challenge.square]
        """
        self.ensure_one()
        challenge = self.challenge_id.sudo()
        self.env.flush_all()
        rows = self.env.execute_query(
            challenge._sql_ticked(SQL("entry.id = %s", self.id))
        )
        ticked = challenge.square_ids.browse(square_id for __, square_id in rows)
        return ticked, self.sudo().log_ids.filtered("is_undoable").square_id

    # ------------------------------------------------------------
    # CERTIFICATE
    # ------------------------------------------------------------

    def action_print_certificates(self):
        """The certificates of those among these who have finished."""
        finished = self.filtered(
            lambda entry: entry.finished_on and entry.has_certificate
        )
        if not finished:
            raise UserError(
                self.env._(
                    "A certificate is for who has finished a challenge that has one: "
                    "none of these has."
                )
            )
        return self.env.ref(
            "library_crm_loyalty.library_challenge_certificate"
        ).report_action(finished, config=False)
