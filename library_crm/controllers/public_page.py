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
