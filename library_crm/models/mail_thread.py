import re

from odoo import api, models

# The address does not exist, or has moved (RFC 3463, 3.2); not what is wrong with the
# sender's own, nor a full mailbox.
_NO_SUCH_ADDRESS = re.compile(r"5\.1\.(1|2|3|6|10)\b")


class MailThread(models.AbstractModel):
    """What comes back by mail stops the mail to a patron.

    An address that does not exist stops it at once; any other trouble once Odoo counts
    too much of it and blacklists the address. A complaint, as mail providers report
    it, stops it at once. Reports are believed only about a mail that was sent: anybody
    can write one.
    """

    _inherit = "mail.thread"

    @api.model
    def _routing_handle_bounce(self, email_message, message_dict):
        traces = self.env["mailing.trace"].sudo()
        if sent := message_dict["bounced_msg_ids"]:
            traces = traces.search([("message_id", "in", sent)])
        Patron = self.env["library.patron"].sudo()
        if email_message.get_param("report-type") == "feedback-report":
            for email in set(traces.mapped("email")):
                Patron._stop_email(email, "complaint")
            return
        super()._routing_handle_bounce(email_message, message_dict)
        email = message_dict["bounced_email"]
        if not email or not (traces or message_dict["bounced_message"]):
            return
        status = self._get_library_bounce_status(email_message)
        if _NO_SUCH_ADDRESS.match(status) or self.env[
            "mail.blacklist"
        ].sudo().search_count([("email", "=", email)], limit=1):
            Patron._stop_email(email, "bounce", proof=status)

    @api.model
    def _get_library_bounce_status(self, email_message):
        """What the mail server of the recipient says, such as ``5.1.1``."""
        for part in email_message.walk():
            if part.get_content_type() == "message/delivery-status":
                for fields in part.get_payload():
                    if fields["Status"]:
                        return str(fields["Status"]).strip()
        return ""
