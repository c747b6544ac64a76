from odoo import api, fields, models


class MailComposeMessage(models.TransientModel):
    """What is written to many at once reaches, of patrons, only those who agreed."""

    _inherit = "mail.compose.message"

    # Written to for what the library has to say; the records of other models (an
    # order, an invoice) are mostly written to for their own sake.
    _LIBRARY_MODELS = ("library.patron", "mailing.contact", "res.partner")

    library_purpose_id = fields.Many2one(
        "library.consent.purpose",
        string="Purpose",
        compute="_compute_library_purpose_id",
        compute_sudo=True,
        store=True,
        readonly=False,
        help="Of patrons, only those who agreed to this purpose are written to.",
    )

    @api.depends("composition_mode", "mass_mailing_id", "mass_mailing_name", "model")
    def _compute_library_purpose_id(self):
        news = self.env.ref("library_crm.library_consent_purpose_news")
        for composer in self:
            if not composer._needs_library_consent():
                composer.library_purpose_id = False
            elif composer.mass_mailing_id:
                composer.library_purpose_id = (
                    composer.mass_mailing_id.library_purpose_id
                )
            else:
                composer.library_purpose_id = composer.library_purpose_id or news

    def _needs_library_consent(self):
        self.ensure_one()
        return self.composition_mode == "mass_mail" and bool(
            self.mass_mailing_id
            or self.mass_mailing_name
            or self.model in self._LIBRARY_MODELS
        )

    def _prepare_mailing_values(self):
        return {
            **super()._prepare_mailing_values(),
            "library_purpose_id": self.library_purpose_id.id,
        }

    def _action_send_mail_mass_mail(self, res_ids, auto_commit=False):
        if self._needs_library_consent() and self.model in self.env:
            needed = {"purpose": self.library_purpose_id}
            if self.mass_mailing_id:
                needed = self.mass_mailing_id.sudo()._get_library_consent_needed()
            res_ids = (
                self.env["library.consent"]
                ._filter_reachable(self.env[self.model].browse(res_ids), **needed)
                .ids
            )
        return super()._action_send_mail_mass_mail(res_ids, auto_commit=auto_commit)
