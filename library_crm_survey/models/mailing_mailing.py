from odoo import api, fields, models
from odoo.exceptions import ValidationError


class MailingMailing(models.Model):
    """A mail that asks patrons: sent by its round, or by a step of a journey that asks
    for the round, with a link that is each patron's own."""

    _inherit = "mailing.mailing"

    library_round_id = fields.Many2one(
        "library.survey.round",
        string="Round of Asking",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="cascade",
    )

    @api.depends("library_round_id.kind", "library_original_id.library_round_id.kind")
    def _compute_library_is_private(self):
        return super()._compute_library_is_private()

    def _is_library_private(self):
        """Being asked about a service tells that one used it."""
        return (
            self._get_library_round().kind == "service" or super()._is_library_private()
        )

    @api.constrains(
        *("state", "library_round_id", "library_original_id"),
        *("keep_archives", "reply_to_mode"),
    )
    def _check_library_round(self):
        """The queue of mailings knows nobody's link; and a mail that is kept would keep
        the link, with which whoever reads it could answer for the patron."""
        for mailing in self.filtered(lambda mailing: mailing._get_library_round()):
            if mailing.state != "draft":
                raise ValidationError(
                    self.env._(
                        "This mail belongs to the round %(round)s, which sends it. "
                        "Duplicate it to send it as a mailing.",
                        round=mailing._get_library_round().name,
                    )
                )
            if mailing.keep_archives or mailing.reply_to_mode != "new":
                raise ValidationError(
                    self.env._(
                        "The mail holds a link with which its patron answers, so no "
                        "copy of it may be kept: leave Keep Archives off, and replies "
                        "at a given address."
                    )
                )

    def _get_library_round(self):
        """The round that a mail asks for, in any language."""
        return (self.library_original_id or self).library_round_id

    def _prepare_known_values(self):
        """The text that a mail of a round begins with came along."""
        if asking_round := self._get_library_round():
            return asking_round._prepare_mailing_values()
        return super()._prepare_known_values()

    def _get_library_consent_needed(self):
        needed = super()._get_library_consent_needed()
        if asking_round := self._get_library_round():
            needed["company"] = asking_round.company_id
        return needed

    def _get_seen_list(self):
        """Who was asked is what the round knows: a step of a journey asks again."""
        if self._get_library_round():
            return set()
        return super()._get_seen_list()

    def _get_mass_mailing_context(self):
        """No link of it is counted: a counted link is kept, with who followed it and
        when."""
        context = super()._get_mass_mailing_context()
        if asking_round := self._get_library_round():
            context.pop("post_convert_links", None)
            context["library_survey_round"] = asking_round.id
        return context
