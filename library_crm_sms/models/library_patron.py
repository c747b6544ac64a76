from odoo import api, models
from odoo.fields import Domain


class LibraryPatron(models.Model):
    """A text that is meant for a child goes to the guardian, as a mail does. Who is
    erased is not sent what waits."""

    _inherit = "library.patron"

    def _sms_get_recipients_info(self, force_field=False, partner_fallback=True):
        found = super()._sms_get_recipients_info(
            force_field=force_field, partner_fallback=partner_fallback
        )
        for patron, reader in self._get_recipients("phone_sanitized").items():
            if reader != patron:
                contact = reader.sudo().partner_id
                # No field: a number that is changed while writing is not this one's.
                found[patron.id] = {
                    **contact._sms_get_recipients_info()[contact.id],
                    "partner": contact.sudo(self.env.su),
                    "field_store": False,
                }
        return found

    def _recall_messages(self):
        self.env["sms.sms"]._get_queued_for(self)._recall()
        return super()._recall_messages()

    def _forget(self):
        """Texts hold the number, and were written to one person."""
        self.env["sms.sms"].search([("library_patron_id", "in", self.ids)]).unlink()
        return super()._forget()

    @api.model
    def _forget_contact(self, contact, company):
        self.env["sms.sms"].search([("partner_id", "=", contact.id)]).unlink()
        number = contact.phone_sanitized
        if number and not self.env["res.partner"].search_count(
            Domain("phone_sanitized", "=", number) & Domain("id", "!=", contact.id),
            limit=1,
        ):
            self.env["phone.blacklist"].search([("number", "=", number)]).unlink()
        return super()._forget_contact(contact, company)
