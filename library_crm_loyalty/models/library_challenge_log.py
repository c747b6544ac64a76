from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL, format_date


class LibraryChallengeLog(models.Model):
    """Minutes that somebody has read on a day, or a square of the bingo card ticked.

    Patrons, guardians and staff log. Minutes and ticks are all there is: what was read
    has no place here. A mistake is undone and logged anew.
    """

    _name = "library.challenge.log"
    _description = "Log of a Challenge"
    _order = "date desc, id desc"
    _rec_name = "date"
    _log_access = False
    _library_personal_data = {"*": "challenge"}

    entry_id = fields.Many2one(
        "library.challenge.entry",
        string="Who",
        required=True,
        index=True,
        ondelete="cascade",
    )
    challenge_id = fields.Many2one(
        related="entry_id.challenge_id",
        store=True,
        precompute=True,
        index=True,
        string="Challenge",
    )
    company_id = fields.Many2one(related="challenge_id.company_id", string="Library")
    patron_id = fields.Many2one(related="entry_id.patron_id")
    date = fields.Date(required=True, default=fields.Date.context_today)
    minutes = fields.Integer(aggregator="sum")
    square_id = fields.Many2one(
        "library.challenge.square",
        index="btree_not_null",
        ondelete="cascade",
        domain="[('challenge_id', '=', challenge_id)]",
    )
    logged_by = fields.Selection(
        [("patron", "Patron"), ("guardian", "Guardian"), ("staff", "Staff")],
        required=True,
        readonly=True,
        default="staff",
    )
    is_undoable = fields.Boolean(
        compute="_compute_is_undoable", help="By the patron or the guardian."
    )

    _minutes_or_square = models.Constraint(
        "CHECK ((coalesce(minutes, 0) BETWEEN 1 AND 1440) != (square_id IS NOT NULL) "
        "AND (square_id IS NULL OR coalesce(minutes, 0) = 0))",
        "Log: the minutes of one day (1 to 1,440), or a square.",
    )
    _ticked_once = models.UniqueIndex(
        "(entry_id, square_id) WHERE square_id IS NOT NULL",
        "This square is ticked already.",
    )

    @api.depends("date")
    def _compute_is_undoable(self):
        for log in self:
            challenge = log.sudo().challenge_id
            first = challenge._today() - timedelta(days=challenge.log_days)
            log.is_undoable = log.date >= first

    # ------------------------------------------------------------
    # WHAT IS PLAUSIBLE
    # ------------------------------------------------------------

    @api.constrains("entry_id", "date", "minutes", "square_id")
    def _check_day(self):
        for log in self:
            challenge = log.challenge_id
            today = challenge._today()
            if not challenge.date_from <= log.date <= min(today, challenge.date_to):
                raise ValidationError(
                    self.env._(
                        "%(day)s is no day to log for %(challenge)s: it goes from "
                        "%(first)s to %(last)s, and days to come are not known.",
                        day=format_date(self.env, log.date),
                        challenge=challenge.name,
                        first=format_date(self.env, challenge.date_from),
                        last=format_date(self.env, challenge.date_to),
                    )
                )
            if log.logged_by != "staff" and not log.is_undoable:
                raise ValidationError(
                    self.env._(
                        "%(day)s is too long ago: the last %(days)s days can be "
                        "logged. The library can still do it.",
                        day=format_date(self.env, log.date),
                        days=challenge.log_days,
                    )
                )

    @api.constrains("entry_id", "square_id")
    def _check_fits(self):
        for log in self:
            challenge = log.challenge_id
            kind = "bingo" if log.square_id else "minutes"
            if challenge.goal_kind != kind or (
                log.square_id and log.square_id.challenge_id != challenge
            ):
                raise ValidationError(
                    self.env._(
                        "This cannot be logged for %(challenge)s. Its goal: %(goal)s.",
                        challenge=challenge.name,
                        goal=challenge.in_words,
                    )
                )

    @api.constrains("entry_id", "date", "minutes")
    def _check_day_limit(self):
        """The entries are locked first, so that two who log at the same moment do not
        both stay below the limit: the second is tried again by Odoo."""
        self.env.flush_all()
        self.env.execute_query(
            SQL(
                "SELECT id FROM library_challenge_entry WHERE id = ANY(%s) "
                "ORDER BY id FOR NO KEY UPDATE",
                self.entry_id.ids,
            )
        )
        minutes = {
            (entry, day): total
            for entry, day, total in self._read_group(
                [
                    ("entry_id", "in", self.entry_id.ids),
                    ("date", "in", self.mapped("date")),
                    ("minutes", ">", 0),
                ],
                ["entry_id", "date:day"],
                ["minutes:sum"],
            )
        }
        for log in self:
            limit = log.challenge_id.day_limit
            total = minutes.get((log.entry_id, log.date), 0)
            if total > limit:
                raise ValidationError(
                    self.env._(
                        "%(total)s minutes would be logged for %(day)s; one day counts "
                        "%(limit)s at most.",
                        total=total,
                        day=format_date(self.env, log.date),
                        limit=limit,
                    )
                )

    # ------------------------------------------------------------
    # CREATE AND DELETE
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        logs = super().create(vals_list)
        # Numbers can be guessed: naming an entry must not tell whose it is.
        logs.entry_id.check_access("read")
        logs.entry_id._refresh()
        return logs

    def unlink(self):
        entries = self.entry_id
        result = super().unlink()
        entries._refresh()
        return result
