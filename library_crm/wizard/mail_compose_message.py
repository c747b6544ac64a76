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

    @api.depends(
        *("composition_mode", "composition_batch", "model"),
        *("mass_mailing_id", "mass_mailing_name"),
    )
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
        is_for_many = self.composition_mode == "mass_mail" or self.composition_batch
        return bool(is_for_many) and bool(
            self.mass_mailing_id
            or self.mass_mailing_name
            or self.model in self._LIBRARY_MODELS
            or hasattr(self.env.get(self.model), "_library_patron_field")
        )

    def _prepare_mailing_values(self):
        return {
            **super()._prepare_mailing_values(),
            "library_purpose_id": self.library_purpose_id.id,
        }

    def _prepare_mail_values(self, res_ids):
        """The mails remember their purpose: it is asked again when they leave."""
        values_by_id = super()._prepare_mail_values(res_ids)
        if self.composition_mode == "mass_mail" and self._needs_library_consent():
            purpose = self._get_library_consent_needed()["purpose"]
            for values in values_by_id.values():
                values["library_purpose_id"] = purpose.id
        return values_by_id

    def _get_library_consent_needed(self):
        """As ``mailing.mailing`` gives it; the library that writes is the user's."""
        if self.mass_mailing_id:
            return self.mass_mailing_id.sudo()._get_library_consent_needed()
        return {"purpose": self.library_purpose_id}

    def _filter_library_reachable(self, res_ids):
        """Those of the records that may be written to."""
        if not self._needs_library_consent() or self.model not in self.env:
            return res_ids
        records = self.env[self.model].browse(res_ids)
        return (
            self.env["library.consent"]
            ._filter_reachable(records, **self._get_library_consent_needed())
            .ids
        )

    def _action_send_mail_comment(self, res_ids):
        """Many messages one by one are a mailing too; notes of the staff are not."""
        if not self.subtype_is_log:
            res_ids = self._filter_library_reachable(res_ids)
        return super()._action_send_mail_comment(res_ids)

    def _action_send_mail_mass_mail(self, res_ids, auto_commit=False):
        return super()._action_send_mail_mass_mail(
            self._filter_library_reachable(res_ids), auto_commit=auto_commit
        )

    def _get_blacklist_record_ids(self, mail_values_dict, recipients_info=None):
        """Who was erased and had objected to any mail is on the list still, without the
        address."""
        found = super()._get_blacklist_record_ids(mail_values_dict, recipients_info)
        if self.use_exclusion_list and self.composition_mode == "mass_mail":
            emails = {
                res_id: set(info["mail_to_normalized"])
                for res_id, info in (recipients_info or {}).items()
            }
            objected = self.env["library.patron.tombstone"]._find_objections(
                set().union(*emails.values())
            )
            found |= {res_id for res_id, to in emails.items() if to & objected}
        return found
