from odoo import api, fields, models
from odoo.tools import email_normalize


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

    # ------------------------------------------------------------
    # THE WAY OUT
    # ------------------------------------------------------------

    def _get_library_patrons(self, res_id, email):
        """The patrons whom a mail of this mailing was meant for.

        :param res_id: the record that it was sent about
        :param str email: the address that it was sent to; a patron who has another one
            by now is left out
        :return: ``library.patron`` as superuser
        """
        self.ensure_one()
        record = self.env[self.mailing_model_real].sudo().browse(int(res_id)).exists()
        Consent = self.env["library.consent"].sudo()
        if not record:
            patrons = self.env["library.patron"].sudo()
        elif record._name == "library.patron":
            patrons = record
        else:
            patrons = Consent._get_patrons_of(*Consent._get_people(record))
        address = email_normalize(email, strict=False)
        speakers = patrons._get_speakers()
        return patrons.filtered(
            lambda patron: (
                address
                and address
                in (patron.email_normalized, speakers[patron].email_normalized)
            )
        )

    def _get_library_preferences_url(self, res_id, email):
        """Where whoever got the mail says what the library may write about; empty for
        who is no patron."""
        address = email_normalize(email, strict=False)
        patrons = self._get_library_patrons(res_id, email)
        company = self._get_library_consent_needed()["company"]
        readers = patrons.browse().union(*patrons._get_speakers().values(), patrons)
        reader = readers.filtered(
            lambda patron: patron.email_normalized == address
        ).sorted(lambda patron: patron.company_id != company)[:1]
        return reader._get_link("preferences") if reader else ""

    def _get_unsubscribe_url(self, email_to, res_id):
        """To a patron: the page of preferences, where one thing can be stopped without
        the others."""
        return self._get_library_preferences_url(
            res_id, email_to
        ) or super()._get_unsubscribe_url(email_to, res_id)

    def _withdraw_library_consent(self, patrons):
        """Stop what this mailing is about; to be called with sudo."""
        needed = self._get_library_consent_needed()
        Consent = self.env["library.consent"].sudo()
        newest = Consent._get_newest(patrons, needed["purpose"], [needed["channel"]])
        agreed = patrons.browse(
            [row.patron_id.id for row in newest.values() if row.state != "withdrawn"]
        )
        return Consent._record(
            agreed, needed["purpose"], needed["channel"], "withdrawn", "mail"
        )
