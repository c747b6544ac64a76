from odoo import fields, http
from odoo.http import request

from .portal import LibraryPortal
from .preferences import READ, ROOT, LibraryPreferences


class LibraryYear(LibraryPortal):
    """What a household used in a year, and what it was worth: for who reads it, and
    for the minors whom the reader guards. Another adult's use is that adult's own."""

    @http.route(
        "/my/library/year", type="http", auth="user", website=True, readonly=True
    )
    def portal_my_library_year(self, **kwargs):
        own = self._get_library_patrons(
            [("partner_id", "=", request.env.user.partner_id.id)]
        )
        return request.render(
            "library_crm.portal_my_library_year",
            {
                **self._prepare_portal_layout_values(),
                "page_name": "library_year",
                "years": get_years(own),
            },
        )


class LibraryYearByLink(LibraryPreferences):
    """The same page without a login, by the link in a mail."""

    @http.route(f"{ROOT}/year/<string:token>", **READ)
    def library_year(self, token, **kwargs):
        patron_sudo = request.env["library.patron"]._find_by_link("year", token)
        if not patron_sudo:
            return self._render_wrong_link("year_no_link")
        return self._render("year", patron_sudo, years=get_years(patron_sudo))


def get_years(readers):
    """The year of each library that somebody is a patron of.

    :param readers: the ``library.patron`` of one person, as superuser
    """
    household = readers | readers._get_spoken_for()
    return [
        request.env["library.value.table"]
        .sudo()
        ._read_year(
            household.filtered(
                lambda patron, company=company: patron.company_id == company
            ),
            fields.Date.context_today(readers),
        )
        for company in readers.company_id
    ]
