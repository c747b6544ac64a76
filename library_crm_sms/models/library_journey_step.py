from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL
from odoo.tools.rendering_tools import parse_inline_template


class LibraryJourneyStep(models.Model):
    """A step can be a text message. Whoever gets it must have agreed by phone; night,
    the limit a week and who is held out are asked about as for a mail."""

    _inherit = "library.journey.step"

    kind = fields.Selection(
        selection_add=[("sms", "Text message"), ("activity",)],
        ondelete={"sms": lambda steps: steps._pass_over()},
    )
    sms_body = fields.Text(
        string="Text",
        translate=True,
        help="A patron gets it in their language, a child's goes to the guardian in "
        "that of the guardian. {{ object.name }} is the name of the patron.",
    )

    texted_count = fields.Integer(string="Texts Sent", compute="_compute_numbers")
    delivered_count = fields.Integer(string="Delivered", compute="_compute_numbers")

    # ------------------------------------------------------------
    # THE TEXT
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        steps = super().create(vals_list)
        steps._check_sms_body()
        return steps

    def write(self, vals):
        result = super().write(vals)
        if "sms_body" in vals:
            self._check_sms_body()
        return result

    def _update_field_translations(
        self, field_name, translations, digest=None, source_lang=""
    ):
        result = super()._update_field_translations(
            field_name, translations, digest=digest, source_lang=source_lang
        )
        if field_name == "sms_body":
            for lang in translations:
                self.with_context(lang=lang)._check_sms_body()
        return result

    def _check_sms_body(self):
        """Where Odoo lets only some people write what is filled in from a record, a
        text is no way around it.

        :raise AccessError: naming the step
        """
        Render = self.env["mail.render.mixin"]
        if self.env.su or self.env.user.has_group("mail.group_mail_template_editor"):
            return
        for step in self:
            if Render._has_unsafe_expression_template_inline_template(
                step.sms_body, "library.patron"
            ):
                raise AccessError(
                    self.env._(
                        "%(step)s: you may fill in {{ object.name }}, and nothing else "
                        "of a patron.",
                        step=step.name,
                    )
                )

    def _say_missing(self):
        if self.kind == "sms" and not (self.sms_body or "").strip():
            return self.env._("its text is missing")
        return super()._say_missing()

    def _say_detail(self):
        if self.kind != "sms":
            return super()._say_detail()
        return "".join(
            words + ("…" if expression else "")
            for words, expression, _default in parse_inline_template(
                self.sms_body or ""
            )
        )

    @api.model
    def _get_always_open(self):
        return super()._get_always_open() | {"sms_body"}

    @api.model
    def _get_numbers(self):
        return [*super()._get_numbers(), "texted", "delivered"]

    def _get_shown_numbers(self):
        if self.kind == "sms":
            return ("texted", "delivered")
        return super()._get_shown_numbers()

    def _get_icon(self):
        return "fa-commenting-o" if self.kind == "sms" else super()._get_icon()

    # ------------------------------------------------------------
    # SENDING
    # ------------------------------------------------------------

    @api.model
    def _get_channels(self):
        return {**super()._get_channels(), "sms": ("phone", "phone_sanitized")}

    def _run_sms(self, enrolments):
        self._run_message(enrolments)

    def _find_blacklisted(self, addresses):
        if self.kind != "sms":
            return super()._find_blacklisted(addresses)
        return set(
            self.env["phone.blacklist"]
            .sudo()
            .search([("number", "in", addresses)])
            .mapped("number")
        )

    def _get_reason_without_address(self):
        if self.kind == "sms":
            return "no_number"
        return super()._get_reason_without_address()

    @api.model
    def _query_messages(self, patrons, since):
        """The texts of journeys, too."""
        return SQL(
            """
            %(messages)s
         UNION ALL
            SELECT enrolment.patron_id, event.date
              FROM library_journey_event event
              JOIN library_journey_enrolment enrolment
                ON enrolment.id = event.enrolment_id
             WHERE enrolment.patron_id = ANY(%(patrons)s)
               AND event.what = 'texted'
               AND event.date > %(since)s
               AND event.text_status IS DISTINCT FROM 'canceled'
            """,
            messages=super()._query_messages(patrons, since),
            patrons=patrons.ids,
            since=since,
        )

    def _queue_sms(self, leads):
        """Put the texts into Odoo's queue, each in the language of whoever reads it;
        see ``_queue_mail``."""
        readers = leads.patron_id._get_recipients("phone_sanitized")
        by_language = leads.grouped(lambda lead: readers[lead.patron_id].sudo().lang)
        for lang, some in by_language.items():
            texts = self.with_context(lang=lang)._compose_texts(some.patron_id)
            queued = texts.filtered(lambda text: text.state == "outgoing")
            own = {
                text.library_patron_id.id: text._prepare_event_values()
                for text in queued
            }
            sent = some.filtered(lambda lead, own=own: lead.patron_id.id in own)
            yield sent, "texted", {}, own
            yield some - sent, "skipped", {"reason": "refused"}, {}

    def _compose_texts(self, patrons):
        """Write the texts with Odoo's composer, which refuses a second one to the same
        number. What is sent stands in the events, so it is not logged at the patron:
        to be on some journeys tells what not all staff may know.

        :return: ``sms.sms`` as superuser
        """
        composer = self.env["sms.composer"].create(
            {
                "body": self.sms_body,
                "composition_mode": "mass",
                "library_purpose_id": self.journey_id.purpose_id.id,
                "mass_keep_log": False,
                "res_ids": repr(patrons.ids),
                "res_model": patrons._name,
            }
        )
        return composer._action_send_sms()
