from odoo import http
from odoo.http import request

from odoo.addons.survey.controllers.main import Survey


class LibrarySurvey(Survey):
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
