from lxml import etree

from odoo import models


class IrQweb(models.AbstractModel):
    """The text of a mail of a journey is compiled once for all who get it together, not
    once for each, where the context brings a place to keep it."""

    _inherit = "ir.qweb"

    def _generate_code_uncached(self, template):
        known = self.env.context.get("library_known_texts")
        if known is None or not isinstance(template, etree._Element):
            return super()._generate_code_uncached(template)
        options = [self.env.context.get(key) for key in self._get_template_cache_keys()]
        # Asked first: compiling takes the text apart.
        key = (etree.tostring(template), *options)
        if key not in known:
            known[key] = super()._generate_code_uncached(template)
        return known[key]
