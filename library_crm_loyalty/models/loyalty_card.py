import secrets
from collections import defaultdict

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL


class LoyaltyCard(models.Model):
    """A loyalty card finds the patron whose it is.

    The card of one library's programme belongs to that library's patron. The card of
    a programme that all libraries share has a patron where its holder is patron of
    one library only.

    Of a library's own programme the points are the sum of the lines of the ledger, and
    a patron has one card.
    """

    _name = "loyalty.card"
    _inherit = ["loyalty.card", "library.mail.mixin"]

    _library_patron_field = "library_patron_id"
    _library_personal_data = {
        "*": "loyalty",
        "partner_id": "loyalty",
        "code": "loyalty",
    }

    #: What a line of the ledger is made of, with the types of the columns.
    _LIBRARY_LINE = {
        "card_id": "int4",
        "description": "text",
        "library_kind": "varchar",
        "library_rule_id": "int4",
        "library_key": "varchar",
        "library_date": "date",
        "library_usage_id": "int4",
        "library_redemption_id": "int4",
        "library_note": "varchar",
        "points": "float8",
    }

    library_patron_id = fields.Many2one(
        "library.patron",
        string="Patron",
        compute="_compute_library_patron_id",
        store=True,
        index="btree_not_null",
        ondelete="set null",
        groups="library_crm.group_library_user,library_crm.group_library_marketing",
    )
    points = fields.Float(default=0)
    is_library = fields.Boolean(
        string="Of a Library Programme",
        compute="_compute_is_library",
        store=True,
        precompute=True,
    )
    library_joined_on = fields.Date(
        string="Takes Part Since",
        compute="_compute_library_joined_on",
        store=True,
        readonly=False,
        precompute=True,
        help="Use from this day on earns points.",
    )
    library_friend_code = fields.Char(
        string="Code for Friends",
        compute="_compute_library_friend_code",
        store=True,
        precompute=True,
        copy=False,
        help="Whoever joins the library with it brings the patron points.",
    )
    library_thanks_for_friends = fields.Boolean(
        compute="_compute_library_thanks_for_friends",
        help="The programme has a rule for bringing a friend.",
    )
    library_tier_id = fields.Many2one(
        "library.loyalty.tier",
        string="Tier",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    library_perks = fields.Text(related="library_tier_id.perks", string="Perks")
    library_tier_until = fields.Date(
        string="Keeps the Tier until",
        readonly=True,
        copy=False,
        help="The patron no longer reaches the tier and has it until this day, unless "
        "they reach it again.",
    )
    library_warned_on = fields.Date(
        readonly=True,
        copy=False,
        help="When its holder was last told that points are about to expire.",
    )
    library_may_give = fields.Boolean(
        compute="_compute_library_may_give",
        compute_sudo=True,
        help="There are points, and somebody of the household to give them to.",
    )
    user_may_change = fields.Boolean(
        compute="_compute_user_may_change",
        help="Whether the user of the moment may change the balance and send the card.",
    )

    _library_points_not_negative = models.Constraint(
        "CHECK (is_library IS NOT TRUE OR coalesce(points, -1) >= 0)",
        "Points: nobody can spend more than they have.",
    )
    _library_friend_code_uniq = models.UniqueIndex(
        "(library_friend_code) WHERE library_friend_code IS NOT NULL",
        "Loyalty card: the code for friends is taken.",
    )
    _library_one_card = models.UniqueIndex(
        "(library_patron_id, program_id) WHERE is_library AND active",
        "Loyalty card: the patron takes part in this programme already.",
    )

    @api.depends("partner_id.library_patron_ids", "company_id")
    def _compute_library_patron_id(self):
        """One query, however many cards there are."""
        by_partner = defaultdict(self.env["library.patron"].browse)
        for patron in (
            self.env["library.patron"]
            .with_context(active_test=False)
            .search([("partner_id", "in", self.partner_id.ids)])
        ):
            by_partner[patron.partner_id] |= patron
        for card in self:
            patrons = by_partner[card.partner_id]
            if card.company_id:
                patrons = patrons.filtered(
                    lambda patron, company=card.company_id: patron.company_id == company
                )
            card.library_patron_id = patrons if len(patrons) == 1 else False

    @api.depends_context("uid")
    def _compute_user_may_change(self):
        """A button that ends in a refusal is not shown: the desk only reads cards."""
        self.user_may_change = self.has_access("write")

    def _send_creation_communication(self, force_send=False):
        return super(
            LoyaltyCard, self._filter_library_reachable()
        )._send_creation_communication(force_send=force_send)

    def _send_points_reach_communication(self, points_changes):
        return super(
            LoyaltyCard, self._filter_library_reachable()
        )._send_points_reach_communication(points_changes)

    def _filter_library_reachable(self, always=False):
        """The cards about which a programme may write: of patrons, those who agreed to
        news, and of children those whose guardians did. Where the programme writes to
        nobody nothing is looked up, unless ``always``. The mails remember that, and are
        asked again when they leave the queue."""
        reachable = self.browse()
        news = self.env.ref("library_crm.library_consent_purpose_news")
        writing = self if always else self.filtered("program_id.communication_plan_ids")
        for company, cards in writing.grouped("company_id").items():
            reachable += self.env["library.consent"]._filter_reachable(
                cards, news, company=company
            )
        return reachable.with_context(default_library_purpose_id=news.id)

    # ------------------------------------------------------------
    # CARDS OF A LIBRARY'S PROGRAMME
    # ------------------------------------------------------------

    @api.depends("program_id")
    def _compute_library_joined_on(self):
        for card in self:
            card.library_joined_on = card.library_joined_on or (
                card.is_library
                and fields.Date.context_today(card.with_company(card.company_id))
            )

    @api.depends("program_id.program_type")
    def _compute_is_library(self):
        for card in self:
            card.is_library = card.program_id.program_type == "library"

    @api.depends("is_library")
    def _compute_library_friend_code(self):
        """Fifty bits: nobody guesses one, and it says nothing of whose it is."""
        alphabet = self.env["library.loyalty.redemption"]._ALPHABET
        for card in self:
            card.library_friend_code = card.is_library and (
                card.library_friend_code
                or "".join(secrets.choice(alphabet) for _place in range(10))
            )

    def _compute_library_thanks_for_friends(self):
        thanking = (
            self.env["library.loyalty.rule"]
            .search(
                [
                    ("program_id", "in", self.program_id.ids),
                    ("event", "=", "referral"),
                ]
            )
            .program_id
        )
        for card in self:
            card.library_thanks_for_friends = card.program_id in thanking

    def _compute_library_may_give(self):
        for card in self:
            card.library_may_give = card.points > 0 and card._library_get_receivers()

    def _get_friend_url(self):
        self.ensure_one()
        return (
            f"{self.get_base_url()}/library/join?library={self.company_id.id}"
            f"&friend={self.library_friend_code}"
        )

    @api.model_create_multi
    def create(self, vals_list):
        cards = super().create(vals_list)
        ours = cards.filtered("is_library")
        if any(ours.mapped("points")):
            self._refuse_points()
        ours._library_reckon()
        return cards

    def write(self, vals):
        # Odoo merges contacts by writing the sum of their points: it is here already.
        if "points" in vals and any(
            card.is_library and card.points != vals["points"] for card in self
        ):
            self._refuse_points()
        result = super().write(vals)
        if self.env.context.get("library_merge"):
            return result
        if vals.keys() & {"library_joined_on", "active", "partner_id"}:
            self.filtered("is_library")._library_reckon()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_with_ledger(self):
        kept = self.sudo().filtered(lambda card: card.is_library and card.history_ids)
        if kept:
            raise UserError(
                self.env._(
                    "%(card)s has a ledger of points, which would go with it. Archive "
                    "the card instead.",
                    card=kept[0].display_name,
                )
            )

    def _refuse_points(self):
        raise UserError(
            self.env._(
                "Points are the sum of the lines of the ledger. To give or take some "
                "by hand open the card and press Update next to its points."
            )
        )

    def action_library_give(self):
        """Ask how many points, and for whom."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Give Points"),
            "res_model": "library.loyalty.give",
            "view_mode": "form",
            "target": "new",
            "context": {"default_card_id": self.id},
        }

    def _library_reckon(self):
        """Post what these cards have earned and not got yet, and take back what they
        have not earned after all."""
        self.flush_model()
        for program, cards in self.sudo().grouped("program_id").items():
            program._library_reckon(SQL("card.id = ANY(%s)", list(cards._ids)))

    # ------------------------------------------------------------
    # GIVEN WITHIN A HOUSEHOLD
    # ------------------------------------------------------------

    def _library_get_receivers(self):
        """The cards that points of this one may be given to: of those with whom its
        patron lives, in the same programme.

        :return: cards as superuser; none where the programme lets nobody give
        """
        self.ensure_one()
        card = self.sudo()
        program = card.program_id
        patron = card.library_patron_id
        if not (card.is_library and card.active and patron):
            return card.browse()
        if not program.library_lets_give or not program._library_runs():
            return card.browse()
        family = patron._get_family().filtered("active")
        return card.union(*program._library_get_cards(family).values()) - card

    def _library_give(self, receiver, points):
        """Give points to somebody of the household: two lines that balance, which tell
        nobody's name, so that the one can be erased without the other. Whoever calls
        this has seen to it that the user may do so.

        The points get no younger by that: they expire as the oldest that the giver has.

        :param receiver: the ``loyalty.card`` that gets them
        :param int points: how many
        :raise UserError: if there are not so many, or they may not be given
        """
        self.ensure_one()
        giver = self.sudo()
        if receiver not in giver._library_get_receivers():
            raise UserError(
                self.env._(
                    "Points can be given to somebody of the same household who takes "
                    "part in the same programme, while it runs."
                )
            )
        if points < 1:
            raise UserError(
                self.env._(
                    "Points: %(points)s can not be given. Give 1 or more.",
                    points=points,
                )
            )
        both = giver | receiver.sudo()
        giver.flush_model()
        giver._library_lock(SQL("card.id = ANY(%s)", list(both._ids)))
        giver._library_move(
            receiver.sudo(), points, secrets.token_hex(8), giver._library_oldest_day()
        )

    def _library_move(self, receiver, points, key, day, note=None):
        """:param day: of the points, from which on they grow old"""
        env = self.with_context(lang=self.company_id.partner_id.lang).env
        common = {"library_kind": "moved", "library_key": key, "library_note": note}
        self._library_post(
            [
                {
                    **common,
                    "card_id": self.id,
                    "description": env._("Given within the household"),
                    "library_date": self.program_id._library_today(),
                    "points": -points,
                },
                {
                    **common,
                    "card_id": receiver.id,
                    "description": env._("Received within the household"),
                    "library_date": day,
                    "points": points,
                },
            ]
        )

    def _library_oldest_day(self):
        """The day of the oldest points of this card that are neither spent nor expired;
        today where points do not grow old."""
        self.ensure_one()
        program = self.program_id
        today = program._library_today()
        if not program.library_expire_months:
            return today
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT min(day)
                  FROM (
                        SELECT history.library_date AS day,
                               sum(sum(history.issued - history.used)
                                       FILTER (WHERE %(is_gift)s))
                                   OVER (ORDER BY history.library_date) AS given,
                               sum(sum(history.used - history.issued)
                                       FILTER (WHERE NOT %(is_gift)s)) OVER () AS gone
                          FROM loyalty_history history
                         WHERE history.card_id = %(card)s
                      GROUP BY history.library_date
                       ) days
                 WHERE given > coalesce(gone, 0)
                """,
                is_gift=program._sql_is_gift(),
                card=self.id,
            )
        )
        return rows[0][0] or today

    # ------------------------------------------------------------
    # MERGED, ERASED
    # ------------------------------------------------------------

    def _library_merge(self, others):
        """Take over the ledger and the vouchers of other cards of the programme whose
        holder turned out to be the same person, and delete them. Lines keep their days,
        so they expire as they would have.

        The caller reckons the card when the use is of one patron too: what the rules
        give a person once is then taken back, unless it is spent. To be called with
        sudo.
        """
        self.ensure_one()
        if not others:
            return
        cards = self + others
        self.env.flush_all()
        self._library_lock(SQL("card.id = ANY(%s)", list(cards._ids)))
        self.env.cr.execute(
            SQL(
                """
                UPDATE loyalty_history history
                   SET card_id = %(kept)s,
                       library_kind = CASE
                           WHEN library_kind = 'earned' AND EXISTS (
                               SELECT
                                 FROM loyalty_history twin
                                WHERE twin.card_id = ANY(%(cards)s)
                                  AND twin.library_kind = 'earned'
                                  AND twin.library_rule_id = history.library_rule_id
                                  AND twin.library_key = history.library_key
                                  AND (twin.card_id = %(kept)s OR twin.id < history.id)
                           )
                           THEN 'corrected' ELSE library_kind END
                 WHERE card_id = ANY(%(others)s)
                """,
                kept=self.id,
                cards=list(cards._ids),
                others=list(others._ids),
            )
        )
        self.env.cr.execute(
            SQL(
                """
                UPDATE loyalty_card card
                   SET points = CASE WHEN card.id = %(kept)s
                                     THEN total.points ELSE 0 END,
                       library_joined_on = total.joined_on
                  FROM (
                        SELECT sum(points) AS points,
                               min(library_joined_on) AS joined_on
                          FROM loyalty_card
                         WHERE id = ANY(%(cards)s)
                       ) total
                 WHERE card.id = ANY(%(cards)s)
                """,
                kept=self.id,
                cards=list(cards._ids),
            )
        )
        self.env.invalidate_all(flush=False)
        self.env["library.loyalty.redemption"].search(
            [("card_id", "in", others.ids)]
        ).card_id = self
        others.unlink()

    def _library_forget(self):
        """Their patrons are erased: the ledger stays, so that figures stay right, and
        tells nobody's story. It keeps the month of each line, no reason in words, no
        link to a use; open points and vouchers end. To be called with sudo."""
        if not self:
            return
        self.env.flush_all()
        self._library_lock(SQL("card.id = ANY(%s)", list(self._ids)))
        self.env["library.loyalty.redemption"].search(
            [("card_id", "in", self.ids)]
        )._forget()
        self._library_post(
            [
                {
                    "card_id": card.id,
                    "description": self.env._("Patron erased"),
                    "library_kind": "expired",
                    "library_date": card.program_id._library_today(),
                    "points": -card.points,
                }
                for card in self
                if card.points
            ]
        )
        self.message_ids.unlink()
        self.message_follower_ids.unlink()
        for card in self.with_context(library_merge=True):
            card.write(
                {
                    "active": False,
                    "partner_id": False,
                    "code": self._generate_code(),
                    "library_friend_code": False,
                    "library_warned_on": False,
                }
            )
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                UPDATE loyalty_history
                   SET library_note = NULL, library_key = NULL, library_usage_id = NULL,
                       library_date = date_trunc('month', library_date),
                       create_uid = NULL, write_uid = NULL,
                       create_date = date_trunc('month', create_date),
                       write_date = date_trunc('month', write_date)
                 WHERE card_id = ANY(%s)
                """,
                list(self._ids),
            )
        )
        self.env.cr.execute(
            SQL(
                """
                UPDATE loyalty_card
                   SET library_joined_on = date_trunc('month', library_joined_on),
                       create_uid = NULL, write_uid = NULL,
                       create_date = date_trunc('month', create_date),
                       write_date = date_trunc('month', write_date)
                 WHERE id = ANY(%s)
                """,
                list(self._ids),
            )
        )
        self.env.invalidate_all(flush=False)

    @api.model
    def _library_post(self, lines, waive=False):
        """Add lines to the ledger of cards and bring the points of these cards up to
        date: whoever gives or takes points comes here, because nothing else may.

        Whoever posts has locked the cards first, so two redemptions at the same moment
        do not both see the same points: the second one waits, and is then tried again
        by Odoo with what the first one left.

        Cost: the insertion of the lines, and a new version of the row of each card.

        :param lines: dicts with names of fields of the ledger (``card_id``,
            ``description``, ``library_kind``, ``library_date``, ``library_note`` …) and
            ``points``, above zero to give and below to take; or an SQL query whose
            columns are named so, all of ``_LIBRARY_LINE``
        :param bool waive: points that are gone already are not asked back, and those
            that have expired are not taken a second time: the ledger says so. Else
            nobody can take more than there is
        :raise UserError: if a card has fewer points than are to be taken
        """
        self.env.flush_all()
        if not isinstance(lines, SQL):
            if not lines:
                return
            self._library_lock_for(lines)
            lines = self._sql_lines(lines)
        changed = self.env.execute_query(self._sql_post(lines, waive))
        self.invalidate_model(["points", "points_display", "history_ids"], flush=False)
        self.env["loyalty.history"].invalidate_model(flush=False)
        self.env["library.patron"].invalidate_model(["loyalty_points"], flush=False)
        if changed:
            points = {self.browse(id_): {"old": a, "new": b} for id_, a, b in changed}
            self.concat(*points).sudo()._send_points_reach_communication(points)

    @api.model
    def _library_lock_for(self, lines):
        """Lock the cards of these lines, in an order that keeps two from waiting for
        each other, and see that each has the points that are taken."""
        taken = defaultdict(float)
        for line in lines:
            taken[line["card_id"]] -= line["points"]
        for card_id, points in self._library_lock(
            SQL("card.id = ANY(%s)", list(taken))
        ):
            if points < taken[card_id]:
                raise UserError(
                    self.env._(
                        "%(card)s has %(points)s points, %(taken)s are needed.",
                        card=self.sudo().browse(card_id).display_name,
                        points=int(points),
                        taken=int(taken[card_id]),
                    )
                )

    @api.model
    def _library_lock(self, chosen):
        return self.env.execute_query(
            SQL(
                """
                SELECT card.id, card.points
                  FROM loyalty_card card
                 WHERE card.is_library AND %s
              ORDER BY card.id
           FOR NO KEY UPDATE
                """,
                chosen,
            )
        )

    @api.model
    def _sql_lines(self, lines):
        queries = []
        for line in lines:
            columns = [
                SQL(
                    "%s::%s AS %s",
                    line.get(name),
                    SQL.identifier(type_),
                    SQL.identifier(name),
                )
                for name, type_ in self._LIBRARY_LINE.items()
            ]
            queries.append(SQL("SELECT %s", SQL(", ").join(columns)))
        return SQL(" UNION ALL ").join(queries)

    @api.model
    def _sql_post(self, lines, waive):
        names = [name for name in self._LIBRARY_LINE if name != "points"]
        nothing = {
            name: SQL("NULL::%s", SQL.identifier(type_))
            for name, type_ in self._LIBRARY_LINE.items()
        }
        restored = {
            "card_id": SQL("restored.card_id"),
            "description": SQL("%s", self.env._("Expired already, not taken again")),
            "library_kind": SQL("'expired'"),
            "library_date": SQL("%s::date", fields.Date.context_today(self)),
        }
        waived = {
            "card_id": SQL("waived.card_id"),
            "description": SQL("%s", self.env._("Already spent, not asked back")),
            "library_kind": SQL("'corrected'"),
            "library_date": SQL("%s::date", fields.Date.context_today(self)),
        }
        return SQL(
            """
            WITH line AS MATERIALIZED (%(lines)s),
            taken AS (
                SELECT card_id, library_date, - points AS points
                  FROM line
                 WHERE %(waive)s AND library_kind = 'corrected' AND points < 0
            ),
            restored AS (
                SELECT taken.card_id,
                       least(sum(taken.points), min(gone.points)) AS points
                  FROM taken
                  JOIN loyalty_card card ON card.id = taken.card_id
                  JOIN loyalty_program program ON program.id = card.program_id
                  JOIN LATERAL (
                        SELECT sum(history.used - history.issued) AS points,
                               max(history.library_date)
                                   FILTER (WHERE history.used > 0) AS day
                          FROM loyalty_history history
                         WHERE history.card_id = taken.card_id
                           AND history.library_kind = 'expired'
                       ) gone ON gone.points > 0
                 WHERE taken.library_date < gone.day - make_interval(
                           months => program.library_expire_months
                       )
              GROUP BY taken.card_id
            ),
            change AS (
                SELECT card_id, sum(points) AS points
                  FROM (
                        SELECT card_id, points FROM line
                     UNION ALL
                        SELECT card_id, points FROM restored
                       ) part
              GROUP BY card_id
            ),
            waived AS (
                SELECT change.card_id, - card.points - change.points AS points
                  FROM change
                  JOIN loyalty_card card ON card.id = change.card_id
                 WHERE %(waive)s AND card.points + change.points < 0
            ),
            posted AS (
                INSERT INTO loyalty_history (
                       %(names)s, issued, used,
                       create_uid, create_date, write_uid, write_date
                       )
                SELECT %(names)s, greatest(points, 0), greatest(- points, 0),
                       %(user)s, %(now)s, %(user)s, %(now)s
                  FROM line
             UNION ALL
                SELECT %(restored)s, points, 0, %(user)s, %(now)s, %(user)s, %(now)s
                  FROM restored
             UNION ALL
                SELECT %(waived)s, points, 0, %(user)s, %(now)s, %(user)s, %(now)s
                  FROM waived
            ),
            changed AS (
                UPDATE loyalty_card card
                   SET points = card.points + change.points
                                + coalesce(waived.points, 0)
                  FROM change
             LEFT JOIN waived ON waived.card_id = change.card_id
                 WHERE card.id = change.card_id
             RETURNING card.id, card.program_id, card.points - change.points AS old,
                       card.points AS new
            )
            SELECT changed.id, changed.old, changed.new
              FROM changed
             WHERE EXISTS (
                    SELECT FROM loyalty_mail mail
                     WHERE mail.program_id = changed.program_id
                       AND mail.trigger = 'points_reach'
                       AND mail.active
                       AND mail.points > changed.old
                       AND mail.points <= changed.new
                   )
            """,
            lines=lines,
            waive=waive,
            names=SQL(", ").join(map(SQL.identifier, names)),
            restored=SQL(", ").join(
                restored.get(name, nothing[name]) for name in names
            ),
            waived=SQL(", ").join(waived.get(name, nothing[name]) for name in names),
            user=self.env.uid,
            now=fields.Datetime.now(),
        )
