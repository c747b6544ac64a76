from odoo import http
from odoo.http import request

from odoo.addons.library_crm.controllers.public_page import get_html_data, is_let_in

OPTIONS = {"type": "http", "auth": "public", "website": True, "sitemap": False}
OPTIONS["multilang"] = False
#: Of pages that are opened, which changes nothing.
READ = {**OPTIONS, "methods": ["GET"], "readonly": True}


class LibrarySurvey(http.Controller):
    """The door of a round of asking. Where patrons were asked by mail the voucher comes
    behind the ``#`` of the link, is put into the form by the page and handed in with
    it: it is never part of an address that a web server writes down. Nothing is changed
    by following a link; only by sending the form.

    The door speaks the language of the browser, because nobody knows yet who it is; in
    which one to answer is chosen there."""

    def _speak(self):
        """Speak the language of the browser, if the library does: not that of whoever
        was at this screen before, which a cookie would tell."""
        lang = request.env["ir.http"].get_nearest_lang(request.best_lang)
        if lang:
            request.update_context(lang=lang)

    def _get_languages(self, asking_round):
        """:return: codes and names of the languages of the survey, that of the page
        first; empty where there is only one"""
        if not asking_round:
            return []
        codes = asking_round.survey_id._get_supported_lang_codes()
        names = dict(request.env["res.lang"].get_installed())
        languages = [(code, names[code]) for code in codes if code in names]
        languages.sort(key=lambda language: language[0] != request.env.lang)
        return languages if len(languages) > 1 else []

    def _render(self, asking_round, problem=None, status=200, **values):
        self._speak()
        asking_round = asking_round.with_context(lang=request.env.lang)
        return request.render(
            "library_crm_survey.survey_door",
            {
                "res_company": (asking_round.company_id or request.env.company).sudo(),
                "asking_round": asking_round,
                "survey": asking_round.survey_id,
                "problem": problem,
                "languages": self._get_languages(asking_round),
                "html_data": get_html_data(),
                **values,
            },
            status=status,
        )

    def _render_wrong(self, asking_round):
        if not is_let_in("wrong"):
            return self._render(asking_round, "busy", status=429)
        return self._render(asking_round, "wrong", status=404)

    @http.route("/library/survey", **READ)
    def library_survey_none(self, **kwargs):
        """A link that was cut off on its way."""
        none = request.env["library.survey.round"].sudo()
        return self._render(none, "wrong", status=404)

    @http.route("/library/survey/<string:token>", **READ)
    def library_survey_door(self, token, **kwargs):
        asking_round = request.env["library.survey.round"]._find_by_token(token)
        if not asking_round:
            return self._render_wrong(asking_round)
        is_open = asking_round.state in ("running", "paused")
        return self._render(asking_round, None if is_open else "closed")

    @http.route("/library/survey/<string:token>", methods=["POST"], **OPTIONS)
    def library_survey_begin(self, token, voucher=None, lang=None, **kwargs):
        """Hand out the form, at its first question: the door was its first page.

        :param str lang: in which language to answer; it is part of the address of the
            form, and not kept with the answer
        """
        asking_round = request.env["library.survey.round"]._find_by_token(token)
        if not asking_round:
            return self._render_wrong(asking_round)
        answer, problem = asking_round._begin(
            voucher, request.httprequest.remote_addr or ""
        )
        if problem == "used":
            answer = self._find_begun(asking_round)
        if not answer:
            if problem == "wrong":
                return self._render_wrong(asking_round)
            status = {"busy": 429, "closed": 200, "used": 200}.get(problem, 404)
            return self._render(asking_round, problem, status=status)
        if answer.state == "new":
            answer._mark_in_progress()
        form = f"/survey/{answer.survey_id.access_token}/{answer.access_token}"
        if lang not in dict(self._get_languages(asking_round)):
            return request.redirect(form, code=303)
        form = request.env["ir.http"]._url_for(form, lang)
        # Without it Odoo goes on in the language of who was here before.
        request.future_response.set_cookie("frontend_lang", lang)
        return request.redirect(form, code=303)

    def _find_begun(self, asking_round):
        """The form that this browser was handed out and has not finished: Odoo leaves
        its token there, so that one can go on after an interruption."""
        survey = asking_round.survey_id
        token = request.cookies.get(f"survey_{survey.access_token}")
        return asking_round.env["survey.user_input"].search(
            [
                ("access_token", "=", token or ""),
                ("library_round_id", "=", asking_round.id),
                ("state", "!=", "done"),
            ],
            limit=1,
        )

    @http.route("/library/kiosk/<string:token>", **READ)
    def library_kiosk(self, token, **kwargs):
        """The screen in the branch: the same door in a frame, which goes back to the
        start after an answer, and when nobody is there any more."""
        asking_round = request.env["library.survey.round"]._find_by_token(token)
        if asking_round.kind != "kiosk":
            return self._render_wrong(asking_round.browse())
        self._speak()
        asking_round = asking_round.with_context(lang=request.env.lang)
        return request.render(
            "library_crm_survey.survey_kiosk",
            {
                "html_data": get_html_data(),
                "res_company": asking_round.company_id.sudo(),
                "asking_round": asking_round,
                "door": f"/library/survey/{token}",
            },
        )
