from odoo import fields, models
from odoo.exceptions import UserError


class LibraryJourneyTest(models.TransientModel):
    """The texts of a journey go to a number of whoever tries it out."""

    _inherit = "library.journey.test"

    has_texts = fields.Boolean(compute="_compute_has_texts")
    number = fields.Char(string="Text to", default=lambda self: self.env.user.phone)

    def _compute_has_texts(self):
        for test in self:
            steps = test.journey_id._get_steps(test.journey_id.edited_version)
            test.has_texts = "sms" in steps.mapped("kind")

    def _send_steps(self, steps):
        outcomes = super()._send_steps(steps)
        texts = steps.filtered(lambda step: step.kind == "sms" and step.sms_body)
        if not texts:
            return outcomes
        number = self.env.user._phone_format(number=self.number or "")
        if not number:
            raise UserError(
                self.env._(
                    "Text to: %(number)s is not a phone number.",
                    number=self.number or "",
                )
            )
        messages = (
            self.env["sms.sms"]
            .sudo()
            .create(
                [{"body": self._fill_in_text(step), "number": number} for step in texts]
            )
        )
        messages.send(unlink_sent=False)
        failed = messages.filtered(lambda message: message.state == "error")
        said = self.env._(
            "%(count)s texts sent to %(number)s.",
            count=len(messages - failed),
            number=number,
        )
        if failed:
            reasons = dict(
                failed._fields["failure_type"]._description_selection(self.env)
            )
            said += " " + self.env._(
                "%(count)s were not taken by the provider: %(reason)s",
                count=len(failed),
                reason=reasons.get(failed[0].failure_type, ""),
            )
        messages.to_delete = True
        return [*outcomes, (said, not failed)]

    def _fill_in_text(self, step):
        """As the patron would get it."""
        step = step.with_context(lang=self.patron_id.lang)
        return step.env["mail.render.mixin"]._render_template(
            step.sms_body, self.patron_id._name, self.patron_id.ids
        )[self.patron_id.id]
