from odoo import api, fields, models


class SmsComposer(models.TransientModel):
    """What is texted to many at once reaches, of patrons, only those who agreed to it
    by phone. A message to one person is nobody's mailing."""

    _inherit = "sms.composer"

    library_purpose_id = fields.Many2one(
        "library.consent.purpose",
        string="Purpose",
        compute="_compute_library_purpose_id",
        compute_sudo=True,
        store=True,
        readonly=False,
        help="Of patrons, only those who agreed to this purpose by phone are written "
        "to.",
    )
    library_reach = fields.Char(compute="_compute_library_reach", compute_sudo=True)

    @api.depends("composition_mode", "res_model", "res_ids")
    def _compute_library_purpose_id(self):
        news = self.env.ref("library_crm.library_consent_purpose_news")
        for composer in self:
            if not composer._needs_library_consent():
                composer.library_purpose_id = False
            elif mailing := composer._get_library_mailing():
                composer.library_purpose_id = mailing._get_library_consent_needed()[
                    "purpose"
                ]
            else:
                composer.library_purpose_id = composer.library_purpose_id or news

    @api.depends("library_purpose_id", "res_model", "res_ids")
    def _compute_library_reach(self):
        for composer in self:
            records = composer._get_records()
            composer.library_reach = False
            if records and composer._needs_library_consent():
                refused = len(records) - len(composer._filter_reachable(records))
                if refused:
                    composer.library_reach = self.env._(
                        "%(refused)s of %(total)s are left out: patrons who did not "
                        "agree.",
                        refused=refused,
                        total=len(records),
                    )

    def _needs_library_consent(self):
        """The records of other models (an order, a task) are texted for their own
        sake."""
        self.ensure_one()
        return bool(self._get_library_mailing()) or (
            self.res_model in self.env["mail.compose.message"]._LIBRARY_MODELS
            and (self.composition_mode == "mass" or self.res_ids_count > 1)
        )

    def _get_library_mailing(self):
        """The mailing that is sent, where there are mailings of text messages."""
        if "mailing_id" not in self._fields:
            return None
        return self["mailing_id"].sudo()

    def _get_library_consent_needed(self):
        """As ``mailing.mailing`` gives it; the library that writes is the user's."""
        if mailing := self._get_library_mailing():
            return mailing._get_library_consent_needed()
        return {
            "purpose": self.library_purpose_id,
            "channel": "phone",
            "company": self.env.company,
        }

    def _filter_reachable(self, records):
        return self.env["library.consent"]._filter_reachable(
            records, **self._get_library_consent_needed()
        )

    def _action_send_sms_comment(self, records=None):
        """Many records one by one, as an automation does it, are many too."""
        records = self._get_records() if records is None else records
        if self._needs_library_consent():
            records = self._filter_reachable(records)
        return super()._action_send_sms_comment(records)

    def _action_send_sms_mass(self, records=None):
        records = self._get_records() if records is None else records
        if self._needs_library_consent():
            records = self._filter_reachable(records)
        return super()._action_send_sms_mass(records)

    def _prepare_mass_sms_values(self, records):
        """The messages remember their purpose: it is asked again when they leave."""
        values_by_id = super()._prepare_mass_sms_values(records)
        if self._needs_library_consent():
            needed = self._get_library_consent_needed()
            for record in records:
                values = values_by_id[record.id]
                values["library_purpose_id"] = needed["purpose"].id
                values["library_company_id"] = needed["company"].id
                if record._name == "library.patron":
                    values["library_patron_id"] = record.id
                    # Whose consent it is, whoever gets it.
                    values["partner_id"] = record.partner_id.id
        return values_by_id
