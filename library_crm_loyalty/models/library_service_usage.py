from odoo import api, models
from odoo.tools import SQL


class LibraryServiceUsage(models.Model):
    """Use earns points and counts in challenges. What staff log shows at once; after a
    load a job does it: its patrons are noted."""

    _inherit = "library.service.usage"

    @api.model_create_multi
    def create(self, vals_list):
        usages = super().create(vals_list)
        usages._reckon_points(usages.patron_id)
        self.env["library.challenge"]._refresh_patrons(usages.patron_id)
        return usages

    def write(self, vals):
        patrons = self.patron_id
        result = super().write(vals)
        self._reckon_points(patrons | self.patron_id)
        self.env["library.challenge"]._refresh_patrons(patrons | self.patron_id)
        return result

    def unlink(self):
        patrons = self.patron_id
        result = super().unlink()
        self._reckon_points(patrons)
        self.env["library.challenge"]._refresh_patrons(patrons)
        return result

    @api.model
    def _reckon_points(self, patrons):
        companies = self.env["loyalty.program"]._get_library_company_ids()
        patrons = patrons.sudo().filtered(lambda one: one.company_id.id in companies)
        if patrons:
            self.env["loyalty.card"].sudo().search(
                [("library_patron_id", "in", patrons.ids), ("is_library", "=", True)]
            )._library_reckon()

    @api.model
    def _get_insert_effects(self):
        return {
            **super()._get_insert_effects(),
            "points_due": self.env["library.loyalty.due"]._sql_add(
                SQL("SELECT patron_id FROM added")
            ),
        }

    @api.model
    def insert_rows(self, rows, are_new=False):
        added = super().insert_rows(rows, are_new)
        if added:
            self.env.ref("library_crm_loyalty.ir_cron_reckon_points")._trigger()
        return added
