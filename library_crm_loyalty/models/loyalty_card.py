from collections import defaultdict

from odoo import api, fields, models


class LoyaltyCard(models.Model):
    """A loyalty card finds the patron whose it is.

    The card of one library's programme belongs to that library's patron. The card of
    a programme that all libraries share has a patron where its holder is patron of
    one library only.
    """

    _inherit = "loyalty.card"

    library_patron_id = fields.Many2one(
        "library.patron",
        string="Patron",
        compute="_compute_library_patron_id",
        store=True,
        index="btree_not_null",
        ondelete="set null",
        groups="library_crm.group_library_user,library_crm.group_library_marketing",
    )
    user_may_change = fields.Boolean(
        compute="_compute_user_may_change",
        help="Whether the user of the moment may change the balance and send the card.",
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

    def _filter_library_reachable(self):
        """The cards whose holders a programme may write to: of patrons, those who
        agreed to news. Where the programme writes to nobody nothing is looked up. The
        mails remember that, and are asked again when they leave the queue."""
        reachable = self.browse()
        news = self.env.ref("library_crm.library_consent_purpose_news")
        writing = self.filtered("program_id.communication_plan_ids")
        for company, cards in writing.grouped("company_id").items():
            reachable += self.env["library.consent"]._filter_reachable(
                cards, news, company=company
            )
        return reachable.with_context(default_library_purpose_id=news.id)
