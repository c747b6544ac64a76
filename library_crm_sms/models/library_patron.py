from odoo import models


class LibraryPatron(models.Model):
    """Who is erased is not sent what waits."""

    _inherit = "library.patron"

    def _recall_messages(self):
        self.env["sms.sms"]._get_queued_for(self)._recall()
        return super()._recall_messages()
