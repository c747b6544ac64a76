from odoo import api, models


class LinkTracker(models.Model):
    """Mails of a journey that are queued together have the same links: each link is
    looked up once, not once a mail, where the context brings a place to keep them."""

    _inherit = "link.tracker"

    @api.model
    def search_or_create(self, vals_list):
        known = self.env.context.get("library_known_links")
        if known is None:
            return super().search_or_create(vals_list)
        keys = [frozenset(vals.items()) for vals in vals_list]
        unknown = {
            key: vals
            for key, vals in zip(keys, vals_list, strict=True)
            if key not in known
        }
        if unknown:
            links = super().search_or_create(list(unknown.values()))
            known.update(zip(unknown, links.ids, strict=True))
        return self.browse([known[key] for key in keys])
