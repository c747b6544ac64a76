from odoo import api, fields, models
from odoo.fields import Domain


class MailingMailing(models.Model):
    """A mailing to patrons names its purpose and reaches only those who agreed."""

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
            if mailing.mailing_model_name == "library.patron":
                mailing.library_purpose_id = mailing.library_purpose_id or news
            else:
                mailing.library_purpose_id = False

    @api.depends("mailing_domain", "library_purpose_id", "mailing_model_id")
    def _compute_library_reach(self):
        for mailing in self:
            if mailing.mailing_model_real != "library.patron":
                mailing.library_reach = False
                continue
            Patron = self.env["library.patron"]
            mailing.library_reach = self.env._(
                "%(agreed)s of %(total)s chosen patrons agreed and will be written to.",
                agreed=Patron.search_count(mailing._get_recipients_domain()),
                total=Patron.search_count(mailing._parse_mailing_domain()),
            )

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
        domain = super()._get_recipients_domain()
        if self.mailing_model_real != "library.patron":
            return domain
        purpose = self.library_purpose_id
        if not purpose:
            return Domain.FALSE
        if purpose.is_refusable:
            domain &= Domain("agreed_purpose_ids", "in", purpose.ids)
        return domain
