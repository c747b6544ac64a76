from odoo.http import request


def get_html_data():
    """What a page without a login tells browsers and screen readers of its language.

    :return: attributes of the tag ``html``
    :rtype: dict[str, str]
    """
    lang = request.env["res.lang"]._get_data(code=request.env.lang)
    return {
        "lang": (lang.code or "en").replace("_", "-"),
        "dir": lang.direction or "ltr",
    }


def is_let_in(what, who=None):
    """Count what a robot does on a public page; see ``library.public.limit``. A page
    that only reads is asked for once more by Odoo, with a connection that writes.

    :param str what: a key of its ``LIMITS``
    :param who: whose limit it is; none: that of the network address, which behind a
        proxy is known to Odoo's ``proxy_mode``
    :return: whether there may be one more within this hour
    """
    who = request.httprequest.remote_addr if who is None else who
    return request.env["library.public.limit"].sudo()._let_in(what, str(who))
