from werkzeug.exceptions import NotFound

from odoo import http
from odoo.http import request

from .join_answers import JoinAnswers
from .public_page import get_html_data, is_let_in

# People do not see it; robots fill in whatever there is.
_TRAP = "homepage"


class LibraryJoin(http.Controller):
    """The public page on which people ask for a card.

    First who can join at all; then who it is. Nothing is kept before both are
    answered, and nothing reaches the staff before the address has confirmed. Whoever
    has a card already sees the same page as everybody else.
    """

    # ------------------------------------------------------------
    # THE FORM
    # ------------------------------------------------------------

    @http.route(
        "/library/join",
        type="http",
        auth="public",
        methods=["GET"],
        website=True,
        sitemap=False,
        readonly=True,
    )
    def library_join(self, library=None, **kwargs):
        form = self._find_form(library)
        if not form:
            return self._render("library_crm.join_closed", status=404)
        answers = self._read_answers(form, request.httprequest.args)
        return self._render_questions("library_crm.join_eligibility", answers)

    @http.route(
        "/library/join",
        type="http",
        auth="public",
        methods=["POST"],
        website=True,
        sitemap=False,
    )
    def library_join_send(self, library=None, step="who", **kwargs):
        form = self._find_form(library)
        if not form:
            return self._render("library_crm.join_closed", status=404)
        answers = self._read_answers(form, request.httprequest.form)
        if step == "change" or not answers.decide():
            return self._render_questions("library_crm.join_eligibility", answers)
        if not answers.is_allowed:
            return self._render_questions("library_crm.join_refused", answers)
        if step != "send" or not answers.check():
            return self._render_questions("library_crm.join_details", answers)
        if not is_let_in("join"):
            return self._render("library_crm.join_too_much", form=form, status=429)
        if not request.httprequest.form.get(_TRAP):
            Join = request.env["library.join"].sudo().with_company(form.company_id)
            Join._ask(answers.prepare_join_values())
        return request.redirect(f"/library/join/sent?library={form.company_id.id}")

    @http.route(
        "/library/join/sent",
        type="http",
        auth="public",
        methods=["GET"],
        website=True,
        sitemap=False,
        readonly=True,
    )
    def library_join_sent(self, library=None, **kwargs):
        """The same for everybody, whether a mail was sent and whatever it says."""
        return self._render("library_crm.join_sent", form=self._find_form(library))

    # ------------------------------------------------------------
    # THE CONFIRMATION
    # ------------------------------------------------------------

    @http.route(
        "/library/join/confirm/<string:token>",
        type="http",
        auth="public",
        methods=["GET"],
        website=True,
        sitemap=False,
        readonly=True,
    )
    def library_join_confirm(self, token, **kwargs):
        """Programs that look at links in mails come here too: it changes nothing."""
        join = request.env["library.join"]._find_by_token(token)
        if not join:
            return self._render_no_token()
        return self._render(
            "library_crm.join_confirm"
            if join.state == "asked"
            else "library_crm.join_confirmed",
            join=join,
            company=join.company_id,
        )

    @http.route(
        "/library/join/confirm/<string:token>",
        type="http",
        auth="public",
        methods=["POST"],
        website=True,
        sitemap=False,
    )
    def library_join_confirm_send(self, token, **kwargs):
        join = request.env["library.join"]._find_by_token(token)
        if not join:
            return self._render_no_token()
        join._confirm()
        return request.redirect(f"/library/join/confirm/{token}")

    # ------------------------------------------------------------
    # HOW IT IS SHOWN
    # ------------------------------------------------------------

    def _find_form(self, library):
        """The form of the library that the link names, or else of the page."""
        asked = int(library) if library and library.isdecimal() else None
        if library and not asked:
            raise NotFound()
        return request.env["library.join.form"]._get_open(request.env.company, asked)

    def _read_answers(self, form, typed):
        """What was typed; a hook for addons that ask more."""
        return JoinAnswers(form, typed)

    def _render_questions(self, template, answers):
        return self._render(
            template,
            form=answers.form,
            answers=answers,
            errors=answers.errors,
            most=answers.max_length,
            trap=_TRAP,
        )

    def _render_no_token(self):
        if not is_let_in("wrong"):
            return self._render("library_crm.join_too_much", status=429)
        return self._render("library_crm.join_no_token", status=404)

    def _render(self, template, status=200, form=None, company=None, **values):
        company = company or (form and form.company_id) or request.env.company
        return request.render(
            template,
            {
                "form": form,
                "library": company.sudo(),
                "res_company": company.sudo(),
                "html_data": get_html_data(),
                **values,
            },
            status=status,
        )
