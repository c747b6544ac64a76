from odoo import api, fields, models
from odoo.tools import SQL

from .library_challenge import LATE_DAYS


class LibraryRetentionKind(models.AbstractModel):
    """Points are settled before the use that earned them goes, and who has some left is
    not erased unasked."""

    _inherit = "library.retention.kind"

    @api.model
    def _get_before(self, rule, before):
        """Challenges reckon use until they are over."""
        before = super()._get_before(rule, before)
        if rule.kind != "usage":
            return before
        today = rule.company_id._get_library_today()
        challenge = (
            self.env["library.challenge"]
            .sudo()
            .search(
                [
                    ("company_id", "=", rule.company_id.id),
                    ("date_to", ">=", fields.Date.subtract(today, days=LATE_DAYS)),
                    ("date_from", "<", before),
                ],
                order="date_from",
                limit=1,
            )
        )
        if not challenge:
            return before
        return super()._get_before(rule, challenge.date_from)

    @api.model
    def _get_holds(self, rule):
        holds = super()._get_holds(rule)
        if rule.kind == "patron":
            holds[self.env._("points that they can still spend")] = SQL(
                """
                EXISTS (
                    SELECT FROM loyalty_card card
                     WHERE card.library_patron_id = patron.id
                       AND card.is_library
                       AND card.active
                       AND card.points > 0
                )
                """
            )
            holds[self.env._("a reward that they have not collected")] = SQL(
                """
                EXISTS (
                    SELECT FROM library_loyalty_redemption redemption
                     WHERE redemption.patron_id = patron.id
                       AND redemption.state = 'issued'
                )
                """
            )
        return holds

    def _prepare_usage(self, rule, before):
        """Post what is due for the days that go, and declare them final."""
        programs = (
            self.env["loyalty.program"]
            .sudo()
            .with_context(active_test=False)
            .search(
                [
                    ("program_type", "=", "library"),
                    ("company_id", "=", rule.company_id.id),
                ]
            )
        )
        for program in programs:
            program._library_reckon(SQL("TRUE"))
        programs._library_settle(fields.Date.subtract(before, days=1))
        return super()._prepare_usage(rule, before)
