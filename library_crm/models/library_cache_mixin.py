from odoo import api, models


class LibraryCacheMixin(models.AbstractModel):
    """Records that say how patrons are reckoned. What follows from them is remembered
    between one logged use and the next, until one of them changes."""

    _name = "library.cache.mixin"
    _description = "Part of How Patrons Are Reckoned"

    # Of no record nothing changes. A cache that is cleared is cleared in all workers;
    # and what fills it again may create what is missing, which mostly is nothing.

    @api.model_create_multi
    def create(self, vals_list):
        if vals_list:
            self.env.registry.clear_cache()
        return super().create(vals_list)

    def write(self, vals):
        if self:
            self.env.registry.clear_cache()
        return super().write(vals)

    def unlink(self):
        if self:
            self.env.registry.clear_cache()
        return super().unlink()
