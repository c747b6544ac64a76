from odoo import api, models

from odoo.addons.library_crm.models.library_privacy_register import Kind


class LibraryPrivacyRegister(models.AbstractModel):
    """What loyalty programmes and challenges hold about people."""

    _inherit = "library.privacy.register"

    @api.model
    def _get_kinds(self):
        env = self.env
        return {
            **super()._get_kinds(),
            "loyalty": Kind(
                env._("Points and rewards"),
                "loyalty",
                env._("To know what you earned and what you got for it."),
                "consent",
                "patron",
            ),
            "challenge": Kind(
                env._("Challenges and badges"),
                "loyalty",
                env._("To show you how far you are."),
                "consent",
                "patron",
            ),
        }
