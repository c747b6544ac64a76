from odoo import api, fields, models


class MailingMailing(models.Model):
    """A mailing names its purpose and reaches, of patrons, only those who agreed,
    whether it is written to patrons or to contacts, leads or lists that they are in."""

    _inherit = "mailing.mailing"

    library_purpose_id = fields.Many2one(
        "library.consent.purpose",
        string="Purpose",
        compute="_compute_library_purpose_id",
        store=True,
        readonly=False,
        ondelete="restrict",
        index="btree_not_null",
        help="Only patrons who agreed to this purpose are written to.",
    )

    library_reach = fields.Char(
        compute="_compute_library_reach",
        help="How many of the recipients agreed to the purpose.",
    )

    @api.depends("mailing_model_id")
    def _compute_library_purpose_id(self):
        news = self.env.ref(
            "library_crm.library_consent_purpose_news", raise_if_not_found=False
        )
        for mailing in self:
            mailing.library_purpose_id = mailing.library_purpose_id or news

    @api.depends("mailing_domain", "library_purpose_id", "mailing_model_id")
    def _compute_library_reach(self):
        for mailing in self:
            if not mailing.mailing_model_real:
                mailing.library_reach = False
                continue
            Model = self.env[mailing.mailing_model_real]
            agreed = Model.search_count(mailing._get_recipients_domain())
            total = Model.search_count(mailing._parse_mailing_domain())
            if Model._name == "library.patron":
                mailing.library_reach = self.env._(
                    "%(agreed)s of %(total)s chosen patrons agreed and will be "
                    "written to.",
                    agreed=agreed,
                    total=total,
                )
            elif agreed < total:
                mailing.library_reach = self.env._(
                    "%(refused)s of %(total)s are left out: patrons who did not agree.",
                    refused=total - agreed,
                    total=total,
                )
            else:
                mailing.library_reach = False

    @api.model_create_multi
    def create(self, vals_list):
        mailings = super().create(vals_list)
        mailings._check_library_domain()
        return mailings

    def write(self, vals):
        result = super().write(vals)
        if {"mailing_domain", "mailing_model_id", "mailing_filter_id"} & vals.keys():
            self._check_library_domain()
        return result

    def _check_library_domain(self):
        for mailing in self:
            if mailing.mailing_model_real == "library.patron":
                self.env["library.patron"]._check_mailing_domain(
                    mailing._parse_mailing_domain()
                )

    def _get_recipients_domain(self):
        """Leave out who did not agree, whatever domain the mailing was given."""
        return super()._get_recipients_domain() & self.env[
            "library.consent"
        ]._get_reachable_domain(
            self.mailing_model_real, **self._get_library_consent_needed()
        )

    def _get_library_consent_needed(self):
        """What whoever gets the mailing must have agreed to: its purpose and channel,
        and the library that writes, which is that of the responsible."""
        self.ensure_one()
        return {
            "purpose": self.library_purpose_id,
            # Other types than mail (text messages) go to the phone.
            "channel": "email" if self.mailing_type == "mail" else "phone",
            "company": (self.user_id or self.create_uid or self.env.user).company_id,
        }
