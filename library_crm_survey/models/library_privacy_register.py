from odoo import api, models

from odoo.addons.library_crm.models.library_privacy_register import Kind


class LibraryPrivacyRegister(models.AbstractModel):
    """What surveys hold about people."""

    _inherit = "library.privacy.register"

    @api.model
    def _get_kinds(self):
        env = self.env
        return {
            **super()._get_kinds(),
            "answer": Kind(
                env._("Answers to surveys, where they were not anonymous"),
                "satisfaction",
                env._(
                    "To make the library better, and to call you back where you asked."
                ),
                "consent",
                "answer",
            ),
            "invitation": Kind(
                env._("That you were asked"),
                "satisfaction",
                env._("Not to ask you too often, and to remind you only once."),
                "interest",
                "invitation",
            ),
        }
