from markupsafe import Markup

from odoo import models, tools


class MailMail(models.Model):
    """A mailing shows each patron the way to their preferences, whatever its design."""

    _inherit = "mail.mail"

    def _prepare_outgoing_list(self, mail_server=False, doc_to_followers=None):
        mails = super()._prepare_outgoing_list(
            mail_server=mail_server, doc_to_followers=doc_to_followers
        )
        mailing = self.mailing_id.sudo()
        if not mailing or not self.res_id:
            return mails
        for mail in mails:
            email = mail["email_to"][0] if mail["email_to"] else ""
            url = mailing._get_library_preferences_url(self.res_id, email)
            if not url:
                continue
            purpose = mailing.library_purpose_id
            if purpose and not purpose.is_refusable:
                # The button of a mail program would promise what can not be kept.
                for header in ("List-Unsubscribe", "List-Unsubscribe-Post"):
                    mail["headers"].pop(header, None)
            if "/library_crm/preferences/" not in (mail["body"] or ""):
                mail["body"] = tools.mail.append_content_to_html(
                    mail["body"], self._get_library_footer(url), plaintext=False
                )
        return mails

    def _get_library_footer(self, url):
        patron = self.env["library.patron"].sudo()
        if self.model == patron._name:
            patron = patron.browse(self.res_id)
        env = self.with_context(lang=patron.lang or self.env.lang).env
        return Markup(
            '<p style="font-size: 12px; text-align: center"><a href="%s">%s</a></p>'
        ) % (url, env._("Choose what the library may write to you about"))
