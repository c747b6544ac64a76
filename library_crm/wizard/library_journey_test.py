from markupsafe import Markup

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import email_normalize
from odoo.tools.misc import file_open


class LibraryJourneyTest(models.TransientModel):
    """Sends all messages of a journey to whoever tries it out, as one patron would get
    them. The patron gets nothing and enters nothing."""

    _name = "library.journey.test"
    _description = "Test of a Journey"

    journey_id = fields.Many2one("library.journey", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="journey_id.company_id")
    patron_id = fields.Many2one(
        "library.patron",
        required=True,
        ondelete="cascade",
        domain="[('company_id', '=', company_id)]",
        help="Whose name, card and branch stand in the messages.",
    )
    email = fields.Char(
        string="Send to", required=True, default=lambda self: self.env.user.email
    )

    def action_send(self):
        self.ensure_one()
        self.patron_id.check_access("read")
        if not email_normalize(self.email):
            raise UserError(
                self.env._(
                    "Send to: %(email)s is not an email address.", email=self.email
                )
            )
        steps = self.journey_id._get_steps(self.journey_id.edited_version)._in_order()
        outcomes = self._send_steps(steps)
        if not outcomes:
            raise UserError(self.env._("The journey has no message yet."))
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success"
                if all(fine for _said, fine in outcomes)
                else "warning",
                "message": " ".join(said for said, _fine in outcomes),
                "next": {"type": "ir.actions.act_window_close"},
            },
        }

    def _send_steps(self, steps):
        """Send the messages of some steps; a hook.

        :return: what came of it, in words, and whether it went well
        :rtype: list[tuple[str, bool]]
        """
        mailings = self.env["mailing.mailing"].concat(
            *(
                mailing._in_language(self.patron_id.lang)
                for step in steps
                for mailing in step.mailing_id + step.mailing_b_id
            )
        )
        if not mailings:
            return []
        mails = (
            self.env["mail.mail"]
            .sudo()
            .create([self._prepare_mail_values(mailing) for mailing in mailings])
        )
        mails.with_context(mailing_test_mail=True).send()
        failed = mails.filtered(lambda mail: mail.state == "exception")
        said = self.env._(
            "%(count)s mails sent to %(email)s.",
            count=len(mails - failed),
            email=self.email,
        )
        if failed:
            said += " " + self.env._(
                "%(count)s were not taken by the mail server: %(reason)s",
                count=len(failed),
                reason=failed[0].failure_reason,
            )
        mails.unlink()
        return [(said, not failed)]

    def _prepare_mail_values(self, mailing):
        """As ``mailing.mailing.test`` makes them, for a patron who is chosen."""
        patron = self.patron_id
        mailing = mailing.with_context(lang=patron.lang)

        def render(name, **options):
            return mailing._render_field(name, patron.ids, **options)[patron.id]

        def fill_in(template):
            return mailing._render_template(
                template or "", patron._name, patron.ids, engine="inline_template"
            )[patron.id]

        body = mailing._prepend_preview(
            Markup(render("body_html", options={"preserve_comments": True})),
            render("preview"),
        )
        with file_open("mass_mailing/static/src/scss/mass_mailing_mail.scss") as file:
            styles = file.read()
        return {
            "email_from": fill_in(mailing.email_from),
            "reply_to": fill_in(mailing.reply_to),
            "email_to": self.email,
            "subject": self.env._("[TEST] %(subject)s", subject=render("subject")),
            "body_html": self.env["ir.qweb"]._render(
                "mass_mailing.mass_mailing_mail_layout",
                {
                    "body": mailing._replace_local_links(body),
                    "mailing_style": Markup("<style>%s</style>") % Markup(styles),
                },
                minimal_qcontext=True,
            ),
            "is_notification": True,
            "mailing_id": mailing.id,
            "auto_delete": False,
            "mail_server_id": mailing.mail_server_id.id,
            "model": patron._name,
            "res_id": patron.id,
        }
