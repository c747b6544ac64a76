from odoo import http
from odoo.exceptions import MissingError, UserError
from odoo.fields import Domain
from odoo.http import request

from odoo.addons.library_crm.controllers.portal import LibraryPortal
from odoo.addons.portal.controllers.portal import pager


class LoyaltyPortal(LibraryPortal):
    """My points: what a patron, or who speaks for a child, has, where it came from, and
    what there is for it."""

    # ------------------------------------------------------------
    # WHOSE POINTS
    # ------------------------------------------------------------

    def _get_own_patrons(self):
        return self._get_library_patrons(
            Domain("partner_id", "=", request.env.user.partner_id.id)
        )

    def _may_see_points(self, patron_sudo):
        """A line of the ledger tells a day of use. So a guardian sees those of minors,
        and not those of somebody who is old enough to decide alone."""
        own = self._get_own_patrons()
        return patron_sudo in own | own._get_spoken_for()

    def _may_join(self, patron_sudo):
        """To take part is to agree to something: who is a minor asks the guardian."""
        return patron_sudo in self._get_own_patrons()._get_spoken_for()

    def _get_points_patron(self, patron_id):
        """The patron whose points the user may see and spend. Every route of this file
        asks here, whatever number it is asked for.

        :raise MissingError: if there is no such page for this user
        """
        patron_sudo = self._get_library_patron(patron_id)
        if not self._may_see_points(patron_sudo):
            raise MissingError(request.env._("There is no such page of a patron."))
        return patron_sudo

    def _get_library_cards(self, patron_sudo):
        return patron_sudo.loyalty_card_ids.filtered(
            lambda card: card.is_library and card.program_id.active
        )

    def _get_receivers(self, card):
        """The cards to which the user may give points of a card that they may spend:
        those of people for whom they decide. For whoever else is in the household the
        desk does it.

        :rtype: loyalty.card
        """
        if card.points <= 0:
            return card.browse()
        decided_for = self._get_own_patrons()._get_spoken_for()
        return card._library_get_receivers().filtered(
            lambda other: other.library_patron_id in decided_for
        )

    def _prepare_library_patron_values(self, patron_sudo, notice=None):
        values = super()._prepare_library_patron_values(patron_sudo, notice)
        may_see = self._may_see_points(patron_sudo)
        cards = self._get_library_cards(patron_sudo)
        return {
            **values,
            "points_cards": cards if may_see else cards.browse(),
            "joinable_programs": (
                patron_sudo._get_joinable_programs()
                if self._may_join(patron_sudo)
                else cards.program_id.browse()
            ),
        }

    # ------------------------------------------------------------
    # PAGES
    # ------------------------------------------------------------

    @http.route(
        [
            "/my/library/<int:patron_id>/points",
            "/my/library/<int:patron_id>/points/page/<int:page>",
        ],
        type="http",
        auth="user",
        website=True,
        readonly=True,
    )
    def portal_my_points(self, patron_id, page=1, notice=None, **kwargs):
        try:
            patron_sudo = self._get_points_patron(patron_id)
        except MissingError:
            return request.redirect("/my")
        return request.render(
            "library_crm_loyalty.portal_my_points",
            self._prepare_points_values(patron_sudo, page, notice),
        )

    def _prepare_points_values(self, patron_sudo, page, notice):
        """What the page of points shows; a hook."""
        cards = self._get_library_cards(patron_sudo)
        History = cards.env["loyalty.history"]
        lines = Domain("card_id", "in", cards.ids)
        pages = pager(
            url=f"/my/library/{patron_sudo.id}/points",
            total=History.search_count(lines),
            page=page,
            step=self._items_per_page,
        )
        offers = [
            (card, reward, obstacle)
            for card in cards
            for reward, obstacle in cards.env["library.loyalty.reward"]
            ._get_on_offer(card)
            ._get_obstacles(card)
            .items()
        ]
        return {
            **self._prepare_portal_layout_values(),
            "page_name": "library_points",
            "patron": patron_sudo,
            "patrons": self._get_library_patrons(),
            "is_own": patron_sudo.partner_id == request.env.user.partner_id,
            "cards": cards,
            "offers": offers,
            "vouchers": patron_sudo.loyalty_redemption_ids.filtered(
                lambda voucher: voucher.state == "issued"
            ),
            "lines": History.search(
                lines,
                order="library_date desc, id desc",
                limit=self._items_per_page,
                offset=pages["offset"],
            ),
            "pager": pages,
            "joinable_programs": (
                patron_sudo._get_joinable_programs()
                if self._may_join(patron_sudo)
                else cards.program_id.browse()
            ),
            "receivers": {card: self._get_receivers(card) for card in cards},
            "friend_card": cards.filtered("library_thanks_for_friends")[:1],
            "notice": notice,
        }

    @http.route(
        "/my/library/<int:patron_id>/voucher/<int:voucher_id>",
        type="http",
        auth="user",
        website=True,
        readonly=True,
    )
    def portal_my_voucher(self, patron_id, voucher_id, **kwargs):
        try:
            patron_sudo = self._get_points_patron(patron_id)
        except MissingError:
            return request.redirect("/my")
        voucher = self._get_voucher(patron_sudo, voucher_id)
        if not voucher:
            return request.redirect(f"/my/library/{patron_sudo.id}/points")
        return request.render(
            "library_crm_loyalty.portal_my_voucher",
            {
                **self._prepare_portal_layout_values(),
                "page_name": "library_points",
                "patron": patron_sudo,
                "patrons": self._get_library_patrons(),
                "is_own": patron_sudo.partner_id == request.env.user.partner_id,
                "redemption": voucher,
            },
            headers={"Cache-Control": "no-store"},
        )

    @http.route(
        "/my/library/<int:patron_id>/voucher/<int:voucher_id>/pdf",
        type="http",
        auth="user",
        website=True,
        readonly=True,
    )
    def portal_my_voucher_pdf(self, patron_id, voucher_id, **kwargs):
        try:
            patron_sudo = self._get_points_patron(patron_id)
        except MissingError:
            return request.redirect("/my")
        voucher = self._get_voucher(patron_sudo, voucher_id)
        if not voucher:
            return request.redirect(f"/my/library/{patron_sudo.id}/points")
        return self._show_library_report(
            "library_crm_loyalty.library_loyalty_voucher_report",
            voucher,
            "voucher.pdf",
        )

    def _get_voucher(self, patron_sudo, voucher_id):
        """A voucher of this patron that can still be used; or none."""
        return patron_sudo.loyalty_redemption_ids.filtered(
            lambda voucher: voucher.id == voucher_id and voucher.state == "issued"
        )

    # ------------------------------------------------------------
    # WHAT THE PATRON DOES
    # ------------------------------------------------------------

    @http.route(
        "/my/library/<int:patron_id>/points/join",
        type="http",
        auth="user",
        methods=["POST"],
        website=True,
    )
    def portal_my_points_join(self, patron_id, program="", **kwargs):
        try:
            patron_sudo = self._get_points_patron(patron_id)
        except MissingError:
            return request.redirect("/my")
        if not self._may_join(patron_sudo):
            return request.redirect(f"/my/library/{patron_sudo.id}")
        chosen = patron_sudo._get_joinable_programs().filtered(
            lambda offered: str(offered.id) == program
        )
        for joined in chosen:
            joined._library_join(patron_sudo)
        return request.redirect(f"/my/library/{patron_sudo.id}/points")

    @http.route(
        "/my/library/<int:patron_id>/points/get",
        type="http",
        auth="user",
        methods=["POST"],
        website=True,
    )
    def portal_my_points_get(self, patron_id, reward="", points="", **kwargs):
        """Take a reward. The points that the page showed come along: who presses twice,
        or presses on a page of yesterday, is asked to look again."""
        try:
            patron_sudo = self._get_points_patron(patron_id)
        except MissingError:
            return request.redirect("/my")
        page = f"/my/library/{patron_sudo.id}/points"
        for card in self._get_library_cards(patron_sudo):
            chosen = (
                card.env["library.loyalty.reward"]
                ._get_on_offer(card)
                .filtered(lambda offered: str(offered.id) == reward)
            )
            if not chosen:
                continue
            if str(int(card.points)) != points:
                return request.redirect(f"{page}?notice=changed")
            try:
                redemption = chosen._issue(card)
            except UserError:
                return request.redirect(f"{page}?notice=refused")
            if redemption.state != "issued":
                return request.redirect(f"{page}?notice=given")
            return request.redirect(
                f"/my/library/{patron_sudo.id}/voucher/{redemption.id}"
            )
        return request.redirect(f"{page}?notice=refused")

    @http.route(
        "/my/library/<int:patron_id>/points/give",
        type="http",
        auth="user",
        methods=["POST"],
        website=True,
    )
    def portal_my_points_give(
        self, patron_id, receiver="", amount="", points="", **kwargs
    ):
        """Give points to somebody of the household; see ``portal_my_points_get`` for
        the points that come along."""
        try:
            patron_sudo = self._get_points_patron(patron_id)
        except MissingError:
            return request.redirect("/my")
        page = f"/my/library/{patron_sudo.id}/points"
        for card in self._get_library_cards(patron_sudo):
            chosen = self._get_receivers(card).filtered(
                lambda other: str(other.id) == receiver
            )
            if not chosen:
                continue
            if str(int(card.points)) != points:
                return request.redirect(f"{page}?notice=changed")
            if not (amount.isascii() and amount.isdigit() and len(amount) <= 9):
                break
            try:
                card._library_give(chosen, int(amount))
            except UserError:
                break
            return request.redirect(f"{page}?notice=moved")
        return request.redirect(f"{page}?notice=not_given")
