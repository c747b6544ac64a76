from odoo import api, fields, models
from odoo.fields import Domain


class LibraryPatron(models.Model):
    """The patron's loyalty cards and their points, challenges and badges."""

    _inherit = "library.patron"

    loyalty_card_ids = fields.One2many(
        "loyalty.card",
        "library_patron_id",
        string="Loyalty Cards",
        groups="library_crm.group_library_user",
    )
    loyalty_redemption_ids = fields.One2many(
        "library.loyalty.redemption",
        "patron_id",
        string="Redemptions",
        groups="library_crm.group_library_user",
    )
    loyalty_reward_ids = fields.Many2many(
        "library.loyalty.reward",
        string="Can Get",
        compute="_compute_loyalty_reward_ids",
        groups="library_crm.group_library_user",
        help="Rewards on offer that the points are enough for.",
    )
    can_join_loyalty = fields.Boolean(
        compute="_compute_can_join_loyalty",
        groups="library_crm.group_library_user",
        help="The library has a programme in which the patron does not take part.",
    )
    loyalty_points = fields.Float(
        string="Loyalty",
        compute="_compute_loyalty_points",
        groups="library_crm.group_library_user",
        help="Points on the cards of loyalty programmes that are running.",
    )

    loyalty_tier_ids = fields.Many2many(
        "library.loyalty.tier",
        string="Loyalty Tiers",
        compute="_compute_loyalty_tier_ids",
        search="_search_loyalty_tier_ids",
        groups="library_crm.group_library_user",
    )

    # Challenges and badges
    challenge_entry_ids = fields.One2many(
        "library.challenge.entry",
        "patron_id",
        string="Challenges",
        groups="library_crm.group_library_user",
    )
    challenge_count = fields.Integer(
        string="Number of Challenges",
        compute="_compute_row_counts",
        groups="library_crm.group_library_user",
    )
    is_challenge_open = fields.Boolean(
        compute="_compute_is_challenge_open",
        groups="library_crm.group_library_user",
        help="The library has a challenge at the moment.",
    )
    badge_award_ids = fields.One2many(
        "library.badge.award",
        "patron_id",
        string="Badges",
        groups="library_crm.group_library_user",
    )
    badge_count = fields.Integer(
        string="Number of Badges",
        compute="_compute_row_counts",
        groups="library_crm.group_library_user",
    )

    @api.depends("loyalty_card_ids.library_tier_id")
    def _compute_loyalty_tier_ids(self):
        for patron in self:
            patron.loyalty_tier_ids = patron.loyalty_card_ids.library_tier_id

    @api.model
    def _search_loyalty_tier_ids(self, operator, value):
        self._check_may_ask("loyalty_tier_ids")
        if operator != "in":
            return NotImplemented
        tiers = [id_ for id_ in value if id_]
        found = Domain("loyalty_card_ids.library_tier_id", "in", tiers)
        if False in value:
            found |= ~Domain("loyalty_card_ids.library_tier_id", "!=", False)
        return found

    # ------------------------------------------------------------
    # MERGED, ERASED
    # ------------------------------------------------------------

    def _forget(self):
        """The ledger of an erased patron stays, without the person."""
        self._get_all_loyalty_cards()._library_forget()
        return super()._forget()

    @api.model
    def _get_holder_domain(self, model):
        """A card of a shop is not the library's."""
        if model == "loyalty.card":
            return Domain("is_library", "=", False)
        return super()._get_holder_domain(model)

    @api.model
    def _get_kept_reasons(self):
        ledger = self.env._("The ledger of points, without the person and the day")
        return {
            **super()._get_kept_reasons(),
            **dict.fromkeys(
                (
                    *("loyalty.card", "loyalty.history"),
                    "library.loyalty.redemption",
                ),
                ledger,
            ),
        }

    def _merge(self, others):
        """One person has one card in a programme, with all that both have earned, and
        takes part in a challenge once."""
        cards = (self + others)._get_all_loyalty_cards()
        for group in cards.grouped("program_id").values():
            group[:1]._library_merge(group[1:])
        for name in (
            "library.loyalty.occasion",
            "library.challenge.entry",
            "library.badge.award",
        ):
            self.env[name]._merge_patrons(self, others)
        result = super()._merge(others)
        self.challenge_entry_ids._refresh()
        # Their contacts are merged after the patrons, so they would find nobody now.
        cards = cards.exists()
        cards.library_patron_id = self
        cards._library_reckon()
        return result

    def _get_all_loyalty_cards(self):
        """Cards of the library's programmes, as superuser; those in use come first."""
        cards = self.sudo().with_context(active_test=False).loyalty_card_ids
        return cards.filtered("is_library").sorted(
            lambda card: (not card.active, card.library_patron_id != self[:1], card.id)
        )

    @api.depends("loyalty_card_ids.points", "loyalty_card_ids.program_id.active")
    def _compute_loyalty_points(self):
        for patron in self:
            patron.loyalty_points = sum(
                card.points
                for card in patron.loyalty_card_ids
                if card.program_id.active
                and card.program_id.program_type in ("library", "loyalty")
            )

    @api.depends("loyalty_card_ids.points")
    def _compute_loyalty_reward_ids(self):
        Reward = self.env["library.loyalty.reward"]
        for patron in self:
            patron.loyalty_reward_ids = Reward.union(
                *(
                    reward
                    for card in patron.loyalty_card_ids.filtered("is_library")
                    for reward, obstacle in Reward._get_on_offer(card)
                    ._get_obstacles(card)
                    .items()
                    if not obstacle
                )
            )

    @api.depends("loyalty_card_ids.active")
    def _compute_can_join_loyalty(self):
        for patron in self:
            patron.can_join_loyalty = bool(patron._get_joinable_programs())

    def _get_joinable_programs(self):
        """The programmes of the library that run and in which the patron does not take
        part; as superuser, since patrons ask too."""
        self.ensure_one()
        patron = self.sudo()
        programs = self.env["loyalty.program"].sudo()
        if not patron.active:
            return programs
        today = fields.Date.context_today(self.with_company(patron.company_id))
        running = programs._get_library_running_ids(today)
        return (
            programs.browse(running.get(patron.company_id.id, ()))
            - patron.loyalty_card_ids.program_id
        )

    def action_join_loyalty(self):
        """The patron says at the desk that they want to take part: a card in each
        programme of the library."""
        self.ensure_one()
        self.check_access("read")
        for program in self._get_joinable_programs():
            program._library_join(self.sudo())
        self.env["loyalty.card"].invalidate_model(flush=False)
        self.invalidate_recordset(flush=False)

    def _note_occasion(self, event, key="once", date=None):
        """It may earn points."""
        self.env["library.loyalty.occasion"]._note(self, event, key, date)
        return super()._note_occasion(event, key, date)

    @api.depends("challenge_entry_ids", "badge_award_ids")
    def _compute_row_counts(self):
        return super()._compute_row_counts()

    def _get_counted_rows(self):
        return {
            **super()._get_counted_rows(),
            "challenge_count": (
                self.env["library.challenge.entry"],
                "patron_id",
                Domain.TRUE,
            ),
            "badge_count": (
                self.env["library.badge.award"],
                "patron_id",
                Domain.TRUE,
            ),
        }

    def _compute_is_challenge_open(self):
        open_ids = self.env["library.challenge"]._get_open_ids(
            fields.Date.context_today(self)
        )
        for patron in self:
            patron.is_challenge_open = patron.company_id.id in open_ids

    def action_view_challenges(self):
        return self._get_own_action("library_challenge_entry_action")

    def action_view_badges(self):
        return self._get_own_action("library_badge_award_action")

    def _get_own_action(self, name):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(f"library_crm_loyalty.{name}"),
            "domain": [("patron_id", "=", self.id)],
            "context": {"default_patron_id": self.id},
        }

    def action_view_loyalty_cards(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm_loyalty.loyalty_card_action"
            ),
            "domain": [("library_patron_id", "=", self.id)],
            "context": {"create": False},
        }
