import base64
from collections import defaultdict

from odoo import http
from odoo.exceptions import MissingError
from odoo.fields import Domain
from odoo.http import request

from odoo.addons.portal.controllers.portal import CustomerPortal

from .preferences import get_wanted

# What a patron has asked the library; what the library plans with a patron (such as
# winning somebody back) is not shown.
_SHOWN_REQUEST_KINDS = [
    "renewal",
    "reference",
    "consultation",
    "suggestion",
    "complaint",
    "correction",
    "erasure",
]


class LibraryPortal(CustomerPortal):
    """My library: what a patron, or who guards one, sees and does in the portal."""

    def _prepare_home_portal_values(self, counters):
        values = super()._prepare_home_portal_values(counters)
        if "library_patron_count" in counters:
            values["library_patron_count"] = len(self._get_library_patrons())
        return values

    # ------------------------------------------------------------
    # WHOSE PAGE
    # ------------------------------------------------------------

    def _get_library_patrons(self, domain=Domain.TRUE):
        """The patrons whose page the user may open: the user's own, and those whom
        the user guards. Every route of this file asks here, and nowhere else.

        They come as superuser. The rights of the user are too narrow, because the
        rules of contacts hide a child from who guards it; and they are too wide,
        because a librarian may read all patrons, but this is not the librarian's
        page.

        :return: active ``library.patron`` as superuser, the user's own first
        """
        partner = request.env.user.partner_id
        own = Domain("partner_id", "=", partner.id)
        guarded = Domain("guardian_id.partner_id", "=", partner.id)
        patrons_sudo = (
            request.env["library.patron"]
            .sudo()
            .search(Domain(domain) & (own | guarded))
        )
        return patrons_sudo.sorted(lambda patron: patron.partner_id != partner)

    def _get_library_patron(self, patron_id):
        """:raise MissingError: if there is no such page for this user"""
        patron_sudo = self._get_library_patrons(Domain("id", "=", patron_id))
        if not patron_sudo:
            raise MissingError(request.env._("There is no such page of a patron."))
        return patron_sudo

    def _show_library_report(self, report, record_sudo, filename):
        """A page to print, as PDF; as a page of HTML where the server can not make one.

        :param str report: the external id of the report
        """
        Report = request.env["ir.actions.report"].sudo()
        no_pdf = Report._say_why_no_pdf()
        render = Report._render_qweb_html if no_pdf else Report._render_qweb_pdf
        content, kind = render(report, record_sudo.ids)
        headers = [("Cache-Control", "no-store")]
        if kind == "pdf":
            headers += [
                ("Content-Type", "application/pdf"),
                ("Content-Disposition", f'inline; filename="{filename}"'),
            ]
        else:
            headers.append(("Content-Type", "text/html; charset=utf-8"))
        return request.make_response(content, headers)

    # ------------------------------------------------------------
    # PAGES
    # ------------------------------------------------------------

    @http.route("/my/library", type="http", auth="user", website=True, readonly=True)
    def portal_my_library(self, **kwargs):
        patrons_sudo = self._get_library_patrons()
        if len(patrons_sudo) == 1:
            return request.redirect(f"/my/library/{patrons_sudo.id}")
        return request.render(
            "library_crm.portal_my_library",
            {
                **self._prepare_portal_layout_values(),
                "page_name": "library",
                "patrons": patrons_sudo,
                "join_form": request.env["library.join.form"]._get_open(
                    request.env.company
                ),
            },
        )

    @http.route(
        "/my/library/<int:patron_id>",
        type="http",
        auth="user",
        website=True,
        readonly=True,
    )
    def portal_my_library_patron(self, patron_id, notice=None, **kwargs):
        try:
            patron_sudo = self._get_library_patron(patron_id)
        except MissingError:
            return request.redirect("/my")
        return request.render(
            "library_crm.portal_my_library_patron",
            self._prepare_library_patron_values(patron_sudo, notice),
        )

    def _prepare_library_patron_values(self, patron_sudo, notice=None):
        """What the page of a patron shows; a hook."""
        requests_sudo = patron_sudo.env["crm.lead"].search(
            [
                ("library_patron_id", "=", patron_sudo.id),
                ("library_request_kind", "in", _SHOWN_REQUEST_KINDS),
                ("won_status", "=", "pending"),
            ],
            order="create_date desc, id desc",
        )
        return {
            **self._prepare_portal_layout_values(),
            "page_name": "library",
            "patron": patron_sudo,
            "patrons": self._get_library_patrons(),
            "is_own": patron_sudo.partner_id == request.env.user.partner_id,
            "barcode": self._get_library_barcode(patron_sudo.card_number),
            "membership": patron_sudo.membership_id,
            "renewal_obstacle": patron_sudo._get_renewal_obstacle(),
            "renewal_requests": patron_sudo._get_open_renewal_requests(),
            "open_requests": requests_sudo,
            **self._prepare_library_consent_values(patron_sudo),
            "interest_groups": self._get_library_interest_groups(),
            "notice": notice,
        }

    def _get_library_barcode(self, card_number):
        """The card as a barcode, within the page: as an address of its own, the
        number would stand in the logs of every server on the way.

        :return: a ``data:`` address; empty where the number can not be drawn
        :rtype: str
        """
        if not card_number:
            return ""
        try:
            image = (
                request.env["ir.actions.report"]
                .sudo()
                .barcode("Code128", card_number, width=600, height=120)
            )
        except ValueError:
            return ""
        return f"data:image/png;base64,{base64.b64encode(image).decode()}"

    def _prepare_library_consent_values(self, patron_sudo):
        """What is agreed for the patron, and who may change it on this page."""
        Consent = patron_sudo.env["library.consent"]
        own = self._get_library_patrons(
            Domain("partner_id", "=", request.env.user.partner_id.id)
        )
        return {
            "reader": own.filtered(
                lambda reader: reader.company_id == patron_sudo.company_id
            ),
            "consent_people": patron_sudo & own._get_spoken_for(),
            "consent_purposes": Consent._get_offered_purposes().with_context(
                lang=request.env.lang
            ),
            "newest_consents": Consent._get_newest(patron_sudo),
        }

    # ------------------------------------------------------------
    # WHAT THE PATRON DOES
    # ------------------------------------------------------------

    @http.route(
        "/my/library/<int:patron_id>/renew",
        type="http",
        auth="user",
        methods=["POST"],
        website=True,
    )
    def portal_my_library_renew(self, patron_id, **kwargs):
        try:
            patron_sudo = self._get_library_patron(patron_id)
        except MissingError:
            return request.redirect("/my")
        if patron_sudo._request_renewal():
            notice = "renewal_sent"
        elif patron_sudo._get_open_renewal_requests():
            notice = "renewal_open"
        else:
            notice = "renewal_refused"
        return request.redirect(f"/my/library/{patron_sudo.id}?notice={notice}")

    @http.route(
        "/my/library/<int:patron_id>/interests",
        type="http",
        auth="user",
        methods=["POST"],
        website=True,
    )
    def portal_my_library_interests(self, patron_id, **kwargs):
        try:
            patron_sudo = self._get_library_patron(patron_id)
        except MissingError:
            return request.redirect("/my")
        offered = self._get_library_interests()
        asked = request.httprequest.form.getlist("interest")
        chosen = offered.filtered(lambda interest: str(interest.id) in asked)
        if len(chosen) == len(set(asked)):
            # Interests that are not offered are the library's own notes: they stay.
            patron_sudo.interest_ids = (patron_sudo.interest_ids - offered) | chosen
            if chosen:
                patron_sudo._note_occasion("interests")
            notice = "interests_saved"
        else:
            notice = "interests_refused"
        return request.redirect(f"/my/library/{patron_sudo.id}?notice={notice}")

    @http.route(
        "/my/library/<int:patron_id>/consent",
        type="http",
        auth="user",
        methods=["POST"],
        website=True,
    )
    def portal_my_library_consent(self, patron_id, **kwargs):
        try:
            patron_sudo = self._get_library_patron(patron_id)
        except MissingError:
            return request.redirect("/my")
        values = self._prepare_library_consent_values(patron_sudo)
        if not values["consent_people"]:
            return request.redirect(f"/my/library/{patron_sudo.id}")
        rows = patron_sudo.env["library.consent"]._save_preferences(
            patron_sudo, get_wanted(request.httprequest.form), "portal"
        )
        asked = "asked" in rows.mapped("state")
        notice = "consent_asked" if asked else "consent_saved"
        return request.redirect(f"/my/library/{patron_sudo.id}?notice={notice}")

    def _get_library_interests(self):
        return (
            request.env["library.interest"]
            .sudo()
            .search([("portal_published", "=", True)])
        )

    def _get_library_interest_groups(self):
        """The interests on offer, those of one branch of the tree together.

        :return: pairs of the topic at the root and the interests of its branch; those
            that stand alone come first, under an empty topic
        :rtype: list[tuple[library.interest, library.interest]]
        """
        Interest = request.env["library.interest"].sudo()
        branches = defaultdict(Interest.browse)
        for interest in self._get_library_interests():
            root = Interest.browse(int(interest.parent_path.split("/")[0]))
            branches[root] |= interest
        single = Interest.union(
            *(branch for branch in branches.values() if len(branch) == 1)
        )
        groups = [
            (root, branch) for root, branch in branches.items() if branch - single
        ]
        return [(Interest, single), *groups] if single else groups
