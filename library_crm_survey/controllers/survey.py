from odoo import SUPERUSER_ID
from odoo.exceptions import UserError

from odoo.addons.survey.controllers.main import Survey


class LibrarySurveyAnswer(Survey):
    """Odoo's pages of a survey, for answers of a round of asking: closed with the
    round, and written by nobody where they are anonymous."""

    def _fetch_from_access_token(self, survey_token, answer_token):
        survey_sudo, answer_sudo = super()._fetch_from_access_token(
            survey_token, answer_token
        )
        if answer_sudo.library_is_anonymous:
            # Whoever is logged in would be kept as the author of each line.
            answer_sudo = answer_sudo.with_user(SUPERUSER_ID)
            survey_sudo = answer_sudo.survey_id
        return survey_sudo, answer_sudo

    def _check_validity(
        self,
        survey_sudo,
        answer_sudo,
        answer_token,
        ensure_token=True,
        check_partner=True,
    ):
        asking_round = answer_sudo.library_round_id
        if asking_round:
            if asking_round.state not in ("running", "paused"):
                return "survey_closed"
            # Whoever has the link answers: a guardian for a child, a reader who is
            # logged in to the portal as ever.
            check_partner = False
        return super()._check_validity(
            survey_sudo,
            answer_sudo,
            answer_token,
            ensure_token=ensure_token,
            check_partner=check_partner,
        )

    def _prepare_retry_additional_values(self, answer):
        if answer.library_round_id:
            raise UserError(answer.env._("There is one answer an invitation."))
        return super()._prepare_retry_additional_values(answer)
