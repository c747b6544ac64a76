from odoo import models


class MailMail(models.Model):
    """The mail of an anonymous round does not tell when it was opened: beside the time
    of an answer that would say whose it is."""

    _inherit = "mail.mail"

    def _prepare_outgoing_body(self):
        body = super()._prepare_outgoing_body()
        if body and self.mailing_id.sudo()._get_library_round().is_anonymous:
            body = body.replace(
                body.__class__(f'<img src="{self._get_tracking_url()}"/>'), ""
            )
        return body
