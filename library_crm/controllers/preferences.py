from odoo import http
from odoo.http import request
from odoo.tools.misc import get_lang

from .public_page import get_html_data, is_let_in

ROOT = "/library_crm"
OPTIONS = {"type": "http", "auth": "public", "website": True, "sitemap": False}
OPTIONS["multilang"] = False
#: Of pages that are opened, which changes nothing.
READ = {**OPTIONS, "methods": ["GET"], "readonly": True}


class LibraryPreferences(http.Controller):
    """What a patron agreed to, without a login: the link came in a mail to the address
    of the patron. Nothing is changed by following a link, since mail programs and
    scanners follow them too; only by sending the form."""

    def _render(self, template, patron=None, status=200, **values):
        company = request.env.company
        if patron:
            request.update_context(lang=get_lang(patron.env, patron.lang).code)
            company = patron.company_id
        return request.render(
            f"library_crm.{template}",
            {
                "res_company": company.sudo(),
                "patron": patron,
                "html_data": get_html_data(),
                **values,
            },
            status=status,
        )

    def _render_no_link(self, **values):
        return self._render("preferences_no_link", **values)

    def _render_wrong_link(self, template="preferences_no_link"):
        if not is_let_in("wrong"):
            return self._render_too_much()
        return self._render(template, is_invalid=True, status=404)

    def _render_too_much(self):
        return self._render("too_much", status=429)

    # ------------------------------------------------------------
    # PREFERENCES
    # ------------------------------------------------------------

    @http.route(f"{ROOT}/preferences", **READ)
    def library_preferences_ask(self, **kwargs):
        """Ask for the link, e.g. from the library's own website."""
        return self._render_no_link()

    @http.route(f"{ROOT}/preferences", methods=["POST"], **OPTIONS)
    def library_preferences_send_link(self, email="", **kwargs):
        if not is_let_in("link"):
            return self._render_too_much()
        request.env["library.patron"]._ask_for_preferences_links(email)
        return self._render_no_link(is_sent=True)

    @http.route(f"{ROOT}/preferences/<string:token>", **READ)
    def library_preferences(self, token, saved=None, **kwargs):
        patron_sudo = request.env["library.patron"]._find_by_link("preferences", token)
        if not patron_sudo:
            return self._render_wrong_link()
        Consent = patron_sudo.env["library.consent"]
        people = patron_sudo._get_spoken_for()
        purposes = patron_sudo.env["library.consent.purpose"].search([])
        lang = get_lang(patron_sudo.env, patron_sudo.lang).code
        return self._render(
            "preferences",
            patron_sudo,
            people=people,
            purposes=Consent._get_offered_purposes().with_context(lang=lang),
            service_purposes=purposes.filtered(
                lambda purpose: not purpose.is_refusable
            ).with_context(lang=lang),
            newest=Consent._get_newest(people),
            saved=saved,
        )

    @http.route(f"{ROOT}/preferences/<string:token>", methods=["POST"], **OPTIONS)
    def library_preferences_save(self, token, nothing=None, **kwargs):
        patron_sudo = request.env["library.patron"]._find_by_link("preferences", token)
        if not patron_sudo:
            return self._render_wrong_link()
        if not is_let_in("save", patron_sudo.id):
            return self._render_too_much()
        # Who sends this has read a mail to the address.
        patron_sudo.email_confirmed = patron_sudo.email_normalized
        wanted = set() if nothing else get_wanted(request.httprequest.form)
        patron_sudo.env["library.consent"]._save_preferences(
            patron_sudo._get_spoken_for(), wanted, "mail"
        )
        return request.redirect(f"{ROOT}/preferences/{token}?saved=1")

    # ------------------------------------------------------------
    # CONFIRMATION OF AN ADDRESS
    # ------------------------------------------------------------

    @http.route(f"{ROOT}/confirm/<string:token>", **READ)
    def library_confirm(self, token, **kwargs):
        patron_sudo = request.env["library.patron"]._find_by_link("confirm", token)
        if not patron_sudo:
            return self._render_wrong_link()
        newest = patron_sudo.env["library.consent"]._get_newest(
            patron_sudo._get_spoken_for(), channels=["email"]
        )
        return self._render(
            "confirm",
            patron_sudo,
            rows=[row for row in newest.values() if row.state == "asked"],
        )

    @http.route(f"{ROOT}/confirm/<string:token>", methods=["POST"], **OPTIONS)
    def library_confirm_save(self, token, **kwargs):
        patron_sudo = request.env["library.patron"]._find_by_link("confirm", token)
        if not patron_sudo:
            return self._render_wrong_link()
        patron_sudo._confirm_email()
        return request.redirect(f"{patron_sudo._get_link('preferences')}?saved=1")


def get_wanted(form):
    """What is ticked in a form of preferences.

    :return: of (patron id, purpose id, channel)
    :rtype: set[tuple[int, int, str]]
    """
    wanted = set()
    for value in form.getlist("agreed"):
        patron_id, purpose_id, channel = (*value.split("-"), "", "")[:3]
        if patron_id.isdecimal() and purpose_id.isdecimal():
            wanted.add((int(patron_id), int(purpose_id), channel))
    return wanted
