from odoo import api, fields, models
from odoo.tools import hmac


class LibraryJoin(models.Model):
    """Who joins with the code of a friend brings the friend points.

    The friend is not told who it was, and it can not be looked up: what is noted is a
    digest.
    """

    _inherit = "library.join"

    friend_code = fields.Char(
        string="A Friend's Code", help="It is forgotten when there is a patron."
    )

    @api.model
    def _clean_friend_code(self, typed):
        return "".join(sign for sign in (typed or "") if sign.isalnum()).upper()

    @api.model
    def _find_friend_card(self, typed, company):
        """The card of who brings somebody, as superuser; or none."""
        code = self._clean_friend_code(typed)
        cards = self.env["loyalty.card"].sudo()
        if not code:
            return cards
        return cards.search(
            [
                ("library_friend_code", "=", code),
                ("company_id", "=", company.id),
                ("library_patron_id", "!=", False),
            ]
        )

    def _complete(self, patron, is_new):
        if is_new:
            for join in self.filtered(
                lambda join: join.state in ("confirmed", "refused")
            ):
                join._thank_friend(patron)
        return super()._complete(patron, is_new)

    def _thank_friend(self, patron):
        """Nobody is a friend of themselves: who confirms at the address of the patron
        who brought them, as a parent does for a child, brings no points."""
        card = self._find_friend_card(self.friend_code, self.company_id)
        friend = card.library_patron_id
        if not friend or self.email_normalized in (
            friend.email_normalized,
            friend.guardian_id.email_normalized,
        ):
            return
        mark = hmac(self.env(su=True), "library_loyalty-friend", str(patron.id))[:16]
        self.env["library.loyalty.occasion"]._note(friend, "referral", mark)

    def _forget(self, state):
        self.friend_code = False
        return super()._forget(state)
