from werkzeug.exceptions import NotFound

from odoo import http
from odoo.http import request

from .public_page import get_html_data


class LibraryDisclosure(http.Controller):
    """What a library holds about people and why, for everybody to read."""

    @http.route(
        "/library/privacy",
        type="http",
        auth="public",
        methods=["GET"],
        website=True,
        sitemap=False,
        readonly=True,
    )
    def library_disclosure(self, library=None, **kwargs):
        """The page of the library that is asked for, or else of the website."""
        company = self._find_library(library).sudo()
        register = request.env["library.privacy.register"].sudo()
        return request.render(
            "library_crm.disclosure",
            {
                "library": company,
                "res_company": company,
                "html_data": get_html_data(),
                "categories": register._tell(company),
            },
        )

    def _find_library(self, library):
        company = request.env.company
        if library:
            company = company.browse(int(library) if library.isdecimal() else 0)
            branches = request.env["library.branch"].sudo()
            # A number too large for PostgreSQL is no company either.
            if company.id >= 2**31 or not branches.search_count(
                [("company_id", "=", company.id)], limit=1
            ):
                raise NotFound()
        return company
