import re

from odoo import models
from odoo.http import request

#: Pages of the library, in any language of a website.
_OWN = re.compile(
    r"(?:/[a-z]{2,3}(?:_\w+)?)?/(?:library|library_crm|my/library)(?:/|$)"
)
#: Pages of Odoo whose address lets whoever knows it answer, or names who it is for.
_BY_LINK = re.compile(r"(?:/[a-z]{2,3}(?:_\w+)?)?/(?:survey|mailing)/")


class IrHttp(models.AbstractModel):
    """What browsers, caches and search engines are told about every page of the
    library: a page that is added later is told about too.

    A page may say something else by itself, which then holds.
    """

    _inherit = "ir.http"

    @classmethod
    def _post_dispatch(cls, response):
        result = super()._post_dispatch(response)
        for name, value in cls._get_library_headers(request.httprequest.path).items():
            response.headers.setdefault(name, value)
        return result

    @classmethod
    def _get_library_headers(cls, path):
        """
        :param str path: of the request
        :return: what is told about the page; nothing about the pages of others
        :rtype: dict[str, str]
        """
        if not _OWN.match(path):
            return {"Referrer-Policy": "no-referrer"} if _BY_LINK.match(path) else {}
        return {
            # What is personal is in no cache of a proxy or of a shared computer.
            "Cache-Control": "no-store",
            # The token in an address is told to no other server.
            "Referrer-Policy": "no-referrer",
            "X-Robots-Tag": "noindex",
            "X-Content-Type-Options": "nosniff",
            # No other site shows the page in a frame and lets people press its buttons
            # unawares; the kiosk frames its own.
            "X-Frame-Options": "SAMEORIGIN",
            "Content-Security-Policy": "frame-ancestors 'self'; base-uri 'self'; "
            "form-action 'self'; object-src 'none'",
        }
