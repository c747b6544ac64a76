from odoo import models


class BasePartnerMergeAutomaticWizard(models.TransientModel):
    """Contacts who are one person have one card in a library's programme. The points of
    a card are the sum of its lines, so the lines come along."""

    _inherit = "base.partner.merge.automatic.wizard"

    def _update_foreign_keys(self, src_partners, dst_partner):
        result = super()._update_foreign_keys(src_partners, dst_partner)
        # Odoo has changed the contact of a patron behind the ORM's back.
        cards = self._get_library_cards(dst_partner)
        self.env.add_to_compute(cards._fields["library_patron_id"], cards)
        cards._library_reckon()
        return result

    def _merge_loyalty_cards(self, src_partners, dst_partner):
        # Of those who are patrons the cards are merged with the patrons.
        self._merge_library_patrons(src_partners, dst_partner)
        cards = self._get_library_cards(dst_partner | src_partners)
        for group in cards.grouped("program_id").values():
            group[:1]._library_merge(group[1:])
        merging = self.with_context(library_merge=True)
        return super(BasePartnerMergeAutomaticWizard, merging)._merge_loyalty_cards(
            src_partners, dst_partner
        )

    def _get_library_cards(self, partners):
        """As superuser; those in use, and of patrons, come first."""
        return (
            self.env["loyalty.card"]
            .sudo()
            .with_context(active_test=False)
            .search([("partner_id", "in", partners.ids), ("is_library", "=", True)])
            .sorted(lambda card: (not card.active, not card.library_patron_id, card.id))
        )
