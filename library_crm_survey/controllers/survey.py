from odoo import SUPERUSER_ID, http
from odoo.http import request

from odoo.addons.survey.controllers.main import Survey


class LibrarySurveyAnswer(Survey):
    """Odoo's pages of a survey, for answers to those of a library: one answer an
    invitation, of which nothing is kept that was refused; closed with its round, and
    written by nobody where it is anonymous."""

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

    @http.route()
    def survey_submit(self, survey_token, answer_token, **post):
        """Of a page that is refused nothing is kept: Odoo keeps what was right on it,
        and then takes the page that was put right for a second answer. Who goes back a
        page may leave items open."""
        if "previous_page_id" in post:
            request.update_context(library_survey_goes_back=True)
        with request.env.cr.savepoint() as savepoint:
            correct, result = super().survey_submit(survey_token, answer_token, **post)
            if result.get("error") == "validation":
                savepoint.rollback()
        return correct, result

    @http.route()
    def survey_retry(self, survey_token, answer_token, **post):
        """An exam may be taken again; an invitation of a library is one answer."""
        survey_sudo, answer_sudo = self._fetch_from_access_token(
            survey_token, answer_token
        )
        if survey_sudo.library_company_id and not answer_sudo.test_entry:
            return request.redirect(answer_sudo.get_start_url() if answer_sudo else "/")
        return super().survey_retry(survey_token, answer_token, **post)
