from odoo import api, fields, models
from odoo.tools import is_html_empty


class LibraryJourneyStep(models.Model):
    """A step that asks: a mail with the patron's own link to a survey, for those who
    agreed to surveys and were not asked lately."""

    _inherit = "library.journey.step"

    kind = fields.Selection(
        selection_add=[("survey", "Survey"), ("activity",)],
        ondelete={"survey": "cascade"},
    )
    survey_round_id = fields.Many2one(
        "library.survey.round",
        string="Round of Asking",
        index="btree_not_null",
        ondelete="restrict",
        domain="[('kind', '=', 'journey'), ('company_id', '=', company_id)]",
        help="Which survey, and how often somebody may be asked.",
    )
    answered_count = fields.Integer(
        string="Answered", related="survey_round_id.answered_count"
    )

    def _own_mailings(self):
        result = super()._own_mailings()
        for step in self.filtered(lambda step: step.kind == "survey"):
            mailings = step.mailing_id + step.mailing_b_id
            mailings.write(
                {
                    "library_round_id": step.survey_round_id.id,
                    "reply_to_mode": "new",
                    "keep_archives": False,
                }
            )
        return result

    def write(self, vals):
        result = super().write(vals)
        if "survey_round_id" in vals:
            self._own_mailings()
        return result

    def action_edit_mail(self):
        """The mail of a survey begins with the text and the link of its round."""
        name = self.env.context.get("library_mail", "mailing_id")
        if self.kind == "survey" and not self[name]:
            self[name] = self.survey_round_id._create_mailing()
        return super().action_edit_mail()

    # ------------------------------------------------------------
    # WHAT A KIND OF STEP SAYS OF ITSELF
    # ------------------------------------------------------------

    @api.model
    def _get_channels(self):
        """A survey comes by mail, with all that holds for mails."""
        channels = super()._get_channels()
        return {**channels, "survey": channels["mail"]}

    def _say_missing(self):
        if self.kind == "survey":
            if self.survey_round_id.state != "running":
                return self.env._("its round of asking is not running")
            mailing = self.mailing_id
            if is_html_empty(mailing.body_html) or not mailing.subject:
                return self.env._("its mail has no text yet")
        return super()._say_missing()

    def _get_shown_numbers(self):
        if self.kind == "survey":
            return ("sent", "opened", "answered")
        return super()._get_shown_numbers()

    def _get_icon(self):
        return "fa-pencil-square-o" if self.kind == "survey" else super()._get_icon()

    def _say_detail(self):
        if self.kind == "survey":
            return self.survey_round_id.survey_id.sudo().title or ""
        return super()._say_detail()

    # ------------------------------------------------------------
    # ASKING
    # ------------------------------------------------------------

    def _run_survey(self, enrolments):
        self._run_message(enrolments)

    def _queue_survey(self, leads):
        return self._queue_mail(leads)

    def _find_unreachable_patrons(self, patrons):
        """Whatever the journey is for, a survey needs the consent to surveys."""
        if self.kind == "survey":
            agreed = self.env["library.consent"]._filter_reachable(
                patrons, self.survey_round_id._get_purpose(), company=self.company_id
            )
            yield "no_consent", patrons - agreed
            patrons = agreed
        yield from super()._find_unreachable_patrons(patrons)

    def _groups_households(self):
        """Each of a household has a link of their own."""
        return self.kind != "survey" and super()._groups_households()

    def _is_at_rest(self):
        if self.kind == "survey":
            return self.survey_round_id.state != "running"
        return super()._is_at_rest()

    def _get_days_of_peace(self):
        if self.kind == "survey":
            return self.survey_round_id.fatigue_days
        return super()._get_days_of_peace()

    def _get_days_of_last(self, patrons):
        """When they were asked, in whatever survey and way."""
        if self.kind == "survey":
            return self.env["library.survey.invitation"]._get_days_of_last(patrons)
        return super()._get_days_of_last(patrons)

    def _send(self, enrolments):
        if self.kind == "survey" and enrolments:
            if self._is_at_rest():
                asked = enrolments.patron_id.browse()
                reason = "round_closed"
            else:
                asked = self.survey_round_id._draw(enrolments.patron_id)
                reason = "asked_lately"
            left_out = enrolments.filtered(lambda one: one.patron_id not in asked)
            left_out._pass(self, "skipped", reason=reason)
            enrolments -= left_out
        return super()._send(enrolments)
