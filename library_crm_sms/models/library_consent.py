from odoo import models


class LibraryConsent(models.Model):
    """Who takes back what they agreed to by phone is not sent what waits."""

    _inherit = "library.consent"

    def _recall(self):
        by_phone = self.filtered(lambda row: row.channel == "phone")
        if by_phone:
            self.env["sms.sms"]._get_queued_for(by_phone.patron_id)._recall_refused()
        return super()._recall()
