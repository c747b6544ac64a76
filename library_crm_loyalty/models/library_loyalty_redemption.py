import base64
import secrets
from collections import Counter
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, format_date


class LibraryLoyaltyRedemption(models.Model):
    """A reward that a patron has taken points for: a voucher until it is handed over,
    undone or too old.

    The voucher is a code that nobody can guess. Who has it gets the reward, once: at
    whatever desk of the library it is scanned first.
    """

    _name = "library.loyalty.redemption"
    _description = "Redemption"
    _order = "issued_on desc, id desc"
    _rec_name = "reward_id"
    _library_personal_data = {"*": "loyalty", "user_id": "staff"}

    #: Without letters and digits that look alike.
    _ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
    #: 60 bits.
    _CODE_LENGTH = 12

    reward_id = fields.Many2one(
        "library.loyalty.reward",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
    )
    card_id = fields.Many2one(
        "loyalty.card", required=True, readonly=True, index=True, ondelete="restrict"
    )
    patron_id = fields.Many2one(
        "library.patron",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
        help="Empty: the patron was erased.",
    )
    program_id = fields.Many2one(
        related="reward_id.program_id", string="Programme", store=True, precompute=True
    )
    company_id = fields.Many2one(
        related="reward_id.company_id", string="Library", store=True, precompute=True
    )
    currency_id = fields.Many2one(related="reward_id.currency_id")
    kind = fields.Selection(related="reward_id.kind", store=True, precompute=True)
    points = fields.Integer(required=True, readonly=True, help="What was taken for it.")
    cost = fields.Monetary(
        string="Costs the Library",
        readonly=True,
        help="What it cost on the day when the points were taken.",
    )
    state = fields.Selection(
        [
            ("issued", "Voucher"),
            ("redeemed", "Handed over"),
            ("undone", "Undone"),
            ("expired", "Expired"),
        ],
        required=True,
        readonly=True,
        default="issued",
        index=True,
    )
    code = fields.Char(
        readonly=True,
        copy=False,
        default=lambda self: self._make_code(),
        groups="library_crm.group_library_user",
    )
    issued_on = fields.Date(required=True, readonly=True)
    expires_on = fields.Date(
        string="Holds until", readonly=True, help="The last day; empty: for ever."
    )
    redeemed_on = fields.Date(string="Handed Over on", readonly=True)
    branch_id = fields.Many2one(
        "library.branch",
        string="Handed Over at",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    user_id = fields.Many2one("res.users", string="Handed Over by", readonly=True)
    undone_on = fields.Date(readonly=True)
    undo_reason = fields.Char(string="Why Undone", readonly=True)
    warned_on = fields.Date(
        readonly=True, help="When its holder was told that it is about to expire."
    )

    _code_uniq = models.UniqueIndex(
        "(code) WHERE code IS NOT NULL", "Voucher: the code is taken."
    )
    _expiring_idx = models.Index("(expires_on) WHERE state = 'issued'")
    _plausible = models.Constraint(
        "CHECK (points > 0 AND (state != 'redeemed' OR redeemed_on IS NOT NULL) "
        "AND (state != 'issued' OR code IS NOT NULL))",
        "Redemption: it took points; who has a voucher has a code, and what was handed "
        "over has a day.",
    )

    @api.depends("reward_id", "patron_id")
    def _compute_display_name(self):
        for redemption in self:
            redemption.display_name = " · ".join(
                name
                for name in (
                    redemption.reward_id.name,
                    redemption.patron_id.complete_name,
                )
                if name
            )

    @api.model
    def _make_code(self):
        return "".join(
            secrets.choice(self._ALPHABET) for _place in range(self._CODE_LENGTH)
        )

    @api.model
    def _find_by_code(self, code):
        """Whose code was scanned or typed: however it is written, at whatever branch.

        :return: the redemption as superuser, in the libraries of the user; or none
        """
        cleaned = "".join(sign for sign in (code or "") if sign.isalnum()).upper()
        if not cleaned:  # Donations have no code.
            return self.sudo().browse()
        return self.sudo().search(
            [("code", "=", cleaned), ("company_id", "in", self.env.companies.ids)]
        )

    @api.model
    def _prepare_values(self, reward, card, at_desk=False):
        """What is kept of a reward that a card gets; a hook.

        :param bool at_desk: it is handed over at once, so nobody needs a code
        """
        today = reward.program_id._library_today()
        values = {
            "reward_id": reward.id,
            "card_id": card.id,
            "patron_id": card.library_patron_id.id,
            "points": reward.points,
            "cost": reward.cost,
            "issued_on": today,
            "expires_on": reward.valid_days
            and today + timedelta(days=reward.valid_days),
        }
        if reward.kind == "donation" and reward.goal_points:
            values["cost"] = reward.cost * reward.points / reward.goal_points
        if at_desk or reward.kind == "donation":
            values |= {
                "expires_on": False,
                "code": False,
                "state": "redeemed",
                "redeemed_on": today,
                **self._prepare_desk_values(),
            }
        return values

    @api.model
    def _prepare_desk_values(self):
        """Where and by whom something is handed over; patrons who give points in the
        portal are no staff."""
        user = self.env.user
        return {
            "branch_id": user.library_branch_id.id,
            "user_id": user._is_internal() and user.id,
        }

    def _post(self, kind, sign):
        """Add a line to the ledger of each. The cards are locked, and what is taken is
        there.

        :param int sign: -1 takes the points, 1 gives them back
        """
        if not self:
            return
        Card = self.env["loyalty.card"].sudo()
        lines = [
            {
                "card_id": redemption.card_id.id,
                "description": redemption.reward_id.with_context(
                    lang=redemption.reward_id.company_id.partner_id.lang
                ).name,
                "library_kind": kind,
                "library_date": redemption.reward_id.program_id._library_today(),
                "library_redemption_id": redemption.id,
                "points": sign * redemption.points,
            }
            for redemption in self
        ]
        Card._library_post(Card._sql_lines(lines))

    # ------------------------------------------------------------
    # HANDED OVER
    # ------------------------------------------------------------

    def _lock(self):
        """Of two who scan a voucher at the same moment the second waits here, is
        refused by the database because the row has changed, and is tried again by Odoo:
        then the voucher is used."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                SELECT
                  FROM library_loyalty_redemption
                 WHERE id = ANY(%s)
              ORDER BY id
           FOR NO KEY UPDATE
                """,
                list(self._ids),
            )
        )

    def _get_obstacle(self):
        """Why this voucher is worth nothing, in a sentence for the desk; None: it is
        good."""
        self.ensure_one()
        redemption = self.sudo()
        if redemption.state == "redeemed":
            return self.env._(
                "It was handed over on %(day)s by %(user)s, %(branch)s.",
                day=format_date(self.env, redemption.redeemed_on),
                user=redemption.user_id.name,
                branch=redemption.branch_id.name or redemption.company_id.name,
            )
        if redemption.state == "undone":
            return self.env._(
                "It was undone on %(day)s, the points were given back: %(reason)s",
                day=format_date(self.env, redemption.undone_on),
                reason=redemption.undo_reason,
            )
        today = redemption.program_id._library_today()
        if redemption.state == "expired" or (
            redemption.expires_on and redemption.expires_on < today
        ):
            return self.env._(
                "It held until %(day)s.",
                day=format_date(self.env, redemption.expires_on),
            )
        return None

    def _redeem(self):
        """Hand the reward over. Whoever calls this has seen to it that the user may do
        so.

        :raise UserError: if the voucher is worth nothing, and why
        """
        self.ensure_one()
        self._lock()
        obstacle = self._get_obstacle()
        if obstacle:
            raise UserError(
                self.env._(
                    "%(reward)s: %(obstacle)s",
                    reward=self.sudo().reward_id.name,
                    obstacle=obstacle,
                )
            )
        self.sudo().write(
            {
                "state": "redeemed",
                "redeemed_on": self.sudo().program_id._library_today(),
                **self._prepare_desk_values(),
            }
        )

    def action_redeem(self):
        self.check_access("read")
        self._redeem()
        return self._say(
            self.env._("%(reward)s: handed over.", reward=self.reward_id.name)
        )

    def _say(self, message):
        """What the desk sees when it is done; the page behind it is read again."""
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": message,
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    # ------------------------------------------------------------
    # UNDONE, EXPIRED
    # ------------------------------------------------------------

    def _undo(self, reason):
        """Give the points back. Whoever calls this has seen to it that the user may do
        so.

        :param str reason: kept with the redemption
        """
        self.ensure_one()
        redemption = self.sudo()
        self.env["loyalty.card"]._library_lock(
            SQL("card.id = %s", redemption.card_id.id)
        )
        self._lock()
        if not redemption.patron_id or redemption.state not in ("issued", "redeemed"):
            raise UserError(
                self.env._(
                    "%(reward)s: it can not be undone any more.",
                    reward=redemption.reward_id.name,
                )
            )
        redemption.write(
            {
                "state": "undone",
                "undone_on": redemption.program_id._library_today(),
                "undo_reason": reason,
            }
        )
        redemption.reward_id._put_back({redemption.reward_id: 1})
        redemption._post("undone", 1)

    @api.model
    def _cron_end_vouchers(self):
        """End vouchers that were not used in time, batch by batch, and write to those
        who have a few days left. A second run of the day finds none."""
        IrCron = self.env["ir.cron"]
        while vouchers := self._search_ended(limit=1000):
            vouchers._expire()
            remaining = len(self._search_ended(limit=1))
            if not IrCron._commit_progress(len(vouchers), remaining=remaining):
                return
        self._warn(fields.Date.today())

    @api.model
    def _warn(self, today):
        """Write to those whose voucher ends within a week, once, and not just after
        they got it. They are who agreed to news, as with all mails of a programme."""
        template = self.env.ref(
            "library_crm_loyalty.mail_template_voucher_ends", raise_if_not_found=False
        )
        if not template:  # Somebody wants no such mail.
            return
        week = timedelta(days=7)
        vouchers = self.search(
            [
                ("state", "=", "issued"),
                ("warned_on", "=", False),
                ("expires_on", ">=", today),
                ("expires_on", "<=", today + week),
                ("issued_on", "<=", today - week),
            ]
        )
        reachable = vouchers.card_id._filter_library_reachable(always=True)
        for voucher in vouchers.filtered(lambda one: one.card_id in reachable):
            template.with_context(
                reachable.env.context,
                reward=voucher.reward_id.with_context(
                    lang=voucher.card_id.library_reader_id.lang
                ).name,
                day=voucher.expires_on,
            ).send_mail(
                voucher.card_id.id,
                email_layout_xmlid="mail.mail_notification_light",
            )
        vouchers.warned_on = today

    @api.model
    def _search_ended(self, limit):
        """The day is that of UTC, less one: nowhere is it earlier, and a day late is
        better than a day early. The desk asks the library's own day."""
        yesterday = fields.Date.today() - timedelta(days=1)
        return self.search(
            [("state", "=", "issued"), ("expires_on", "<", yesterday)],
            limit=limit,
            order="expires_on, id",
        )

    def _expire(self):
        self.env["loyalty.card"]._library_lock(
            SQL("card.id = ANY(%s)", list(self.card_id._ids))
        )
        self._lock()
        self.state = "expired"
        self.reward_id._put_back(Counter(self.mapped("reward_id")))
        self.filtered("reward_id.is_given_back")._post("undone", 1)

    def _forget(self):
        """The patrons are erased: what was given stays, without who got it; vouchers
        end. To be called with sudo."""
        self.env.flush_all()
        self._lock()
        waiting = self.filtered(lambda voucher: voucher.state == "issued")
        waiting.reward_id._put_back(Counter(waiting.mapped("reward_id")))
        self.env.cr.execute(
            SQL(
                """
                UPDATE library_loyalty_redemption
                   SET state = CASE state WHEN 'issued' THEN 'expired' ELSE state END,
                       code = NULL, patron_id = NULL, undo_reason = NULL,
                       expires_on = NULL, warned_on = NULL,
                       issued_on = date_trunc('month', issued_on),
                       redeemed_on = date_trunc('month', redeemed_on),
                       undone_on = date_trunc('month', undone_on),
                       create_uid = NULL, write_uid = NULL,
                       create_date = date_trunc('month', create_date),
                       write_date = date_trunc('month', write_date)
                 WHERE id = ANY(%s)
                """,
                list(self._ids),
            )
        )
        self.invalidate_model(flush=False)

    # ------------------------------------------------------------
    # PHONE AND PAPER
    # ------------------------------------------------------------

    def _get_image(self, kind, width, height):
        """The code as a picture within the page.

        :param str kind: ``QR`` or ``Code128``
        :return: a ``data:`` address
        """
        self.ensure_one()
        image = (
            self.env["ir.actions.report"]
            .sudo()
            .barcode(kind, self.sudo().code, width=width, height=height)
        )
        return f"data:image/png;base64,{base64.b64encode(image).decode()}"

    def _get_code_shown(self):
        """The code in groups of four, as people read it."""
        code = self.sudo().code
        return " ".join(code[place : place + 4] for place in range(0, len(code), 4))

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_print(self):
        return self.env.ref(
            "library_crm_loyalty.library_loyalty_voucher_report"
        ).report_action(self)

    def action_undo(self):
        """Ask for the reason."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Undo"),
            "res_model": "library.loyalty.undo",
            "view_mode": "form",
            "target": "new",
            "context": {"default_redemption_id": self.id},
        }

    def action_view_card(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "loyalty.card",
            "res_id": self.card_id.id,
            "view_mode": "form",
        }
