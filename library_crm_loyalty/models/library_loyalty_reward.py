from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL, format_date


class LibraryLoyaltyReward(models.Model):
    """Something that a library gives for points: a perk, a voucher of a partner, a fee
    waived, a place at an event, a thing, or a gift to a cause that patrons make with
    their points.

    Whoever gets one has points fewer and a ``library.loyalty.redemption`` more.
    """

    _name = "library.loyalty.reward"
    _description = "Reward for Patrons"
    _order = "program_id, sequence, points, id"
    _library_personal_data = {"*": "setting"}

    program_id = fields.Many2one(
        "loyalty.program",
        string="Programme",
        required=True,
        index=True,
        ondelete="cascade",
        domain=[("program_type", "=", "library")],
        default=lambda self: self._default_program_id(),
    )
    company_id = fields.Many2one(
        related="program_id.company_id", store=True, precompute=True, string="Library"
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    name = fields.Char(required=True, translate=True, help="As patrons read it.")
    description = fields.Text(
        translate=True, help="What patrons get, and what they do with it."
    )
    active = fields.Boolean(default=True)
    sequence = fields.Integer(default=10)
    kind = fields.Selection(
        [
            ("perk", "Perk"),
            ("voucher", "Voucher of a partner"),
            ("fee", "Fee waived"),
            ("event", "Place at an event"),
            ("good", "Thing"),
            ("donation", "Donation"),
        ],
        required=True,
        default="good",
    )
    points = fields.Integer(string="Costs Points", required=True, default=100)
    cost = fields.Monetary(
        string="Costs the Library",
        help="What one of it costs. It is kept with each redemption, so a new price "
        "changes no report about the past.",
    )
    is_limited = fields.Boolean(
        string="Limited Stock", help="There are so many of it and no more."
    )
    stock = fields.Integer(
        string="Left",
        copy=False,
        help="One goes with each redemption, and comes back when that is undone or "
        "expires.",
    )
    patron_limit = fields.Integer(
        string="Each Patron, at Most", help="0: as often as the points allow."
    )
    valid_days = fields.Integer(
        string="Voucher Holds (Days)", default=30, help="0: for ever."
    )
    is_given_back = fields.Boolean(
        string="Points Come Back",
        compute="_compute_is_given_back",
        store=True,
        readonly=False,
        precompute=True,
        help="When the voucher was not used in time. Not for vouchers of partners: "
        "whether these were used is not known here.",
    )
    date_from = fields.Date(string="On Offer from")
    date_to = fields.Date(string="On Offer until")
    cause = fields.Char(
        translate=True, help="What the points are given to, e.g. Books for the school."
    )
    goal_points = fields.Integer(
        string="Points for One",
        help="So many points, of all patrons together, buy one: 1,000 a book.",
    )
    given_points = fields.Integer(string="Points Given", compute="_compute_redemptions")
    bought_count = fields.Integer(string="Bought", compute="_compute_redemptions")
    redemption_count = fields.Integer(
        string="Redemptions",
        compute="_compute_redemptions",
        help="Handed over or waiting as a voucher.",
    )

    _figures_plausible = models.Constraint(
        "CHECK (points BETWEEN 1 AND 1000000 AND cost >= 0 AND patron_limit >= 0 "
        "AND valid_days BETWEEN 0 AND 3650 AND goal_points >= 0)",
        "Reward: 1 to 1,000,000 points, a cost and limits of 0 or more, and a voucher "
        "that holds for 0 to 3,650 days.",
    )
    _stock_not_negative = models.Constraint(
        "CHECK (stock >= 0)", "Stock: there can not be fewer than none."
    )
    _dates_in_order = models.Constraint(
        "CHECK (date_to >= date_from)", "On offer: until is before from."
    )

    def _default_program_id(self):
        """The programme of the library, where it has one only."""
        programs = self.env["loyalty.program"].search(
            [
                ("program_type", "=", "library"),
                ("company_id", "in", self.env.companies.ids),
            ],
            limit=2,
        )
        return programs if len(programs) == 1 else False

    @api.depends("kind")
    def _compute_is_given_back(self):
        for reward in self:
            reward.is_given_back = reward.kind not in ("voucher", "donation")

    @api.depends("goal_points")
    def _compute_redemptions(self):
        """One query, however many rewards there are."""
        found = {
            reward.id: (count, points)
            for reward, count, points in self.env["library.loyalty.redemption"]
            .sudo()
            ._read_group(
                [("reward_id", "in", self.ids), ("state", "in", self._TAKEN)],
                ["reward_id"],
                ["__count", "points:sum"],
            )
        }
        for reward in self:
            count, points = found.get(reward._origin.id, (0, 0))
            reward.redemption_count = count
            reward.given_points = points if reward.kind == "donation" else 0
            reward.bought_count = reward.goal_points and (
                reward.given_points // reward.goal_points
            )

    #: The states of a redemption in which its reward is gone.
    _TAKEN = ("issued", "redeemed")

    # ------------------------------------------------------------
    # WHO CAN GET WHAT
    # ------------------------------------------------------------

    @api.model
    def _get_on_offer(self, cards):
        """The rewards of the programmes of these cards that are on offer today."""
        offered = self.browse()
        for program in cards.program_id:
            today = program._library_today()
            offered += self.search(
                Domain("program_id", "=", program.id)
                & Domain("program_id.active", "=", True)
                & (Domain("date_from", "=", False) | Domain("date_from", "<=", today))
                & (Domain("date_to", "=", False) | Domain("date_to", ">=", today))
            )
        return offered

    def _get_obstacles(self, card):
        """Why the holder of a card can not get these rewards. The one place that
        decides it: portal, desk and redemption ask here.

        :return: by reward a sentence for the patron, or None where they can
        :rtype: dict[library.loyalty.reward, str | None]
        """
        card.ensure_one()
        counts = {}
        if any(self.mapped("patron_limit")):
            counts = dict(
                self.env["library.loyalty.redemption"]
                .sudo()
                ._read_group(
                    [
                        ("card_id", "=", card.id),
                        ("reward_id", "in", self.ids),
                        ("state", "in", self._TAKEN),
                    ],
                    ["reward_id"],
                    ["__count"],
                )
            )
        return {
            reward: reward._get_obstacle(card, counts.get(reward.sudo(), 0))
            for reward in self
        }

    def _get_obstacle(self, card, count):
        """
        :param int count: how many of it the card has had
        """
        today = card.program_id._library_today()
        if (
            not (self.active and card.active and card.program_id.active)
            or self.program_id != card.program_id
            or (self.date_to and self.date_to < today)
        ):
            return self.env._("It is no longer on offer.")
        if self.date_from and self.date_from > today:
            return self.env._(
                "It is on offer from %(day)s.",
                day=format_date(self.env, self.date_from),
            )
        if self.is_limited and self.stock < 1:
            return self.env._("None is left.")
        if self.patron_limit and count >= self.patron_limit:
            return self.env._(
                "Each patron gets %(limit)s at most.", limit=self.patron_limit
            )
        if card.points < self.points:
            return self.env._(
                "%(missing)s more points are needed.",
                missing=int(self.points - card.points),
            )
        return None

    # ------------------------------------------------------------
    # GIVING
    # ------------------------------------------------------------

    def _issue(self, card, at_desk=False):
        """Take the points of a card for this reward. Whoever calls this has seen to it
        that the user may do so.

        Of two at the same moment, for one card or for the last one in stock, the second
        waits, is refused by the database because the row has changed, and is tried
        again by Odoo with what the first one left.

        :param bool at_desk: whether it is handed over at once
        :return: the ``library.loyalty.redemption``: a voucher, or what is done already
        :raise UserError: if something is in the way
        """
        self.ensure_one()
        reward, card = self.sudo(), card.sudo()
        self.env.flush_all()
        card._library_lock(SQL("card.id = %s", card.id))
        obstacle = reward._get_obstacles(card)[reward]
        if obstacle:
            raise UserError(
                self.env._(
                    "%(reward)s: %(obstacle)s", reward=reward.name, obstacle=obstacle
                )
            )
        reward._take_from_stock()
        redemption = self.env["library.loyalty.redemption"].sudo()
        redemption = redemption.create(
            redemption._prepare_values(reward, card, at_desk)
        )
        redemption._post("donated" if reward.kind == "donation" else "redeemed", -1)
        return redemption.sudo(self.env.su)

    def _take_from_stock(self):
        if not self.is_limited:
            return
        taken = self.env.execute_query(
            SQL(
                """
                UPDATE library_loyalty_reward
                   SET stock = stock - 1
                 WHERE id = %s AND stock > 0
             RETURNING id
                """,
                self.id,
            )
        )
        self.invalidate_recordset(["stock"], flush=False)
        if not taken:
            raise UserError(self.env._("%(reward)s: none is left.", reward=self.name))

    def _put_back(self, counts):
        """:param dict counts: by reward how many come back into stock"""
        self.env.flush_all()
        for reward in self.browse(sorted(reward.id for reward in counts)):
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE library_loyalty_reward
                       SET stock = stock + %s
                     WHERE id = %s AND is_limited
                    """,
                    counts[reward],
                    reward.id,
                )
            )
        self.invalidate_model(["stock"], flush=False)

    def _get_card_at_desk(self):
        """The card of the patron whose page the desk has open."""
        self.ensure_one()
        patron = self.env["library.patron"].browse(
            self.env.context.get("library_loyalty_patron")
        )
        card = patron.loyalty_card_ids.filtered(
            lambda card: card.program_id == self.program_id
        )
        if not card:
            raise UserError(
                self.env._("Open the patron who gets it, and choose it there.")
            )
        card.check_access("read")
        return card

    def action_hand_over(self):
        """The patron stands at the desk and takes it along."""
        card = self._get_card_at_desk()
        points_left = card.points - self.points
        redemption = self._issue(card, at_desk=True)
        return redemption._say(
            self.env._(
                "%(reward)s: handed over, %(points)s points are left.",
                reward=self.name,
                points=int(points_left),
            )
        )

    def action_issue(self):
        """The patron takes a voucher along; it is printed."""
        redemption = self._issue(self._get_card_at_desk())
        return redemption.action_print()

    def action_view_redemptions(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm_loyalty.library_loyalty_redemption_action"
            ),
            "domain": [("reward_id", "=", self.id)],
            "context": {},
        }
