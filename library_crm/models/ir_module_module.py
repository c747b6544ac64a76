from odoo import api, models


class IrModuleModule(models.Model):
    """Where texts of the addon are translated, whether it is installed or updated or a
    language is added, the mails of the journeys are, too."""

    _inherit = "ir.module.module"

    @api.model
    def _load_module_terms(self, modules, langs, overwrite=False):
        result = super()._load_module_terms(modules, langs, overwrite=overwrite)
        if "library_crm" in modules:
            self.env["mailing.mailing"]._get_shipped()._follow_shipped_text()
        return result
