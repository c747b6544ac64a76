from werkzeug.exceptions import NotFound

from odoo import http
from odoo.exceptions import AccessDenied, MissingError
from odoo.fields import Domain
from odoo.http import request

from .portal import LibraryPortal
from .preferences import OPTIONS, READ, ROOT, LibraryPreferences

#: What an outcome is called in the address, so that a page can be loaded again.
NOTICES = frozenset(
    ("corrected", "correction_open", "no_wish", "objected", "erasure", "erasure_open")
    + ("wrong_password", "not_ticked", "link_sent", "no_address")
)


class Rights:
    """What a patron can do about the own data, however they proved who they are."""

    def _give_copy(self, patron_sudo):
        """A ZIP that is made now and kept nowhere."""
        content = patron_sudo.with_context(
            lang=request.env.lang
        )._export_personal_data()
        return request.make_response(
            content,
            [
                ("Content-Type", "application/zip"),
                ("Content-Disposition", 'attachment; filename="my_library_data.zip"'),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
            ],
        )

    def _do(self, patron_sudo, action, source, form):
        """Do what was asked for.

        :return: the notice to show
        """
        if action == "correct":
            wish = form.get("wish", "").strip()
            if not wish:
                return "no_wish"
            done = patron_sudo._request_privacy("correction", wish)
            return "corrected" if done else "correction_open"
        if action == "object" and form.get("kind") in patron_sudo._OBJECTIONS:
            patron_sudo._object(form["kind"], source)
            return "objected"
        if action == "erase":
            if not form.get("sure"):
                return "not_ticked"
            done = patron_sudo._request_privacy("erasure")
            return "erasure" if done else "erasure_open"
        return None

    def _prepare_rights_values(self, patron_sudo, notice):
        return {
            "patron": patron_sudo,
            "objected": {
                kind: patron_sudo._has_objected(kind)
                for kind in patron_sudo._OBJECTIONS
            },
            "open_correction": patron_sudo._get_open_privacy_requests("correction"),
            "open_erasure": patron_sudo._get_open_privacy_requests("erasure"),
            "notice": notice if notice in NOTICES else None,
        }


class LibraryPrivacy(LibraryPortal, Rights):
    """My data: in the portal. Whoever wants a copy or to be forgotten says the password
    once more, or goes on from a mail to the own address."""

    def _get_spoken_for(self, patron_id):
        """:raise MissingError: if the user may not speak for this patron"""
        patron_sudo = self._get_library_patron(patron_id)
        own = self._get_library_patrons(
            Domain("partner_id", "=", request.env.user.partner_id.id)
        )
        if patron_sudo not in own._get_spoken_for():
            raise MissingError(request.env._("There is no such page of a patron."))
        return patron_sudo

    def _has_password(self, form):
        """Whether the password is the user's; Odoo slows down who tries many."""
        user = request.env.user
        credential = {
            "type": "password",
            "login": user.login,
            "password": form.get("password", ""),
        }
        try:
            with user._assert_can_auth(user=user.id):
                user._check_credentials(credential, {"interactive": True})
        except AccessDenied:
            return False
        return True

    @http.route(
        "/my/library/<int:patron_id>/privacy",
        type="http",
        auth="user",
        methods=["GET"],
        website=True,
        readonly=True,
    )
    def portal_my_library_privacy(self, patron_id, notice=None, **kwargs):
        try:
            patron_sudo = self._get_spoken_for(patron_id)
        except MissingError:
            return request.redirect("/my")
        response = request.render(
            "library_crm.portal_my_library_privacy",
            {
                **self._prepare_portal_layout_values(),
                **self._prepare_rights_values(patron_sudo, notice),
                "page_name": "library_privacy",
                "is_own": patron_sudo.partner_id == request.env.user.partner_id,
                "action_root": f"/my/library/{patron_sudo.id}/privacy",
                "asks_password": True,
            },
        )
        response.headers["Cache-Control"] = "no-store"
        return response

    @http.route(
        "/my/library/<int:patron_id>/privacy/<string:action>",
        type="http",
        auth="user",
        methods=["POST"],
        website=True,
    )
    def portal_my_library_privacy_do(self, patron_id, action, **kwargs):
        try:
            patron_sudo = self._get_spoken_for(patron_id)
        except MissingError:
            return request.redirect("/my")
        form = request.httprequest.form
        if action == "link":
            notice = self._send_privacy_link(patron_sudo)
        elif action in ("copy", "erase") and not self._has_password(form):
            notice = "wrong_password"
        elif action == "copy":
            return self._give_copy(patron_sudo)
        else:
            notice = self._do(patron_sudo, action, "portal", form)
        page = f"/my/library/{patron_sudo.id}/privacy"
        return request.redirect(f"{page}?notice={notice}" if notice else page)

    def _send_privacy_link(self, patron_sudo):
        """To the user's own address, as the library has it; not again and again."""
        reader = self._get_library_patrons(
            Domain("partner_id", "=", request.env.user.partner_id.id)
        ).filtered(lambda own: own.company_id == patron_sudo.company_id)
        if not reader.email_normalized:
            return "no_address"
        reader._send_privacy_link()
        return "link_sent"


class LibraryPrivacyByLink(LibraryPreferences, Rights):
    """The same without a login, by the link in a mail, for a day."""

    def _find(self, token, patron_id):
        reader_sudo = request.env["library.patron"]._find_by_link("privacy", token)
        people = reader_sudo._get_spoken_for()
        return reader_sudo, people.filtered(lambda patron: patron.id == patron_id)

    @http.route(f"{ROOT}/privacy/<string:token>", **READ)
    def library_privacy(self, token, person=None, notice=None, **kwargs):
        reader_sudo = request.env["library.patron"]._find_by_link("privacy", token)
        people = reader_sudo._get_spoken_for()
        if not people:
            return self._render("privacy_no_link", status=404)
        patron_sudo = (
            people.filtered(lambda patron: str(patron.id) == person) or people
        )[:1]
        return self._render(
            "privacy",
            people=people,
            is_own=patron_sudo == reader_sudo,
            action_root=f"{ROOT}/privacy/{token}/{patron_sudo.id}",
            page_root=f"{ROOT}/privacy/{token}",
            asks_password=False,
            **self._prepare_rights_values(patron_sudo, notice),
        )

    @http.route(
        f"{ROOT}/privacy/<string:token>/<int:patron_id>/<string:action>",
        methods=["POST"],
        **OPTIONS,
    )
    def library_privacy_do(self, token, patron_id, action, **kwargs):
        _reader, patron_sudo = self._find(token, patron_id)
        if not patron_sudo:
            return self._render("privacy_no_link", status=404)
        if action == "copy":
            return self._give_copy(patron_sudo)
        notice = self._do(patron_sudo, action, "mail", request.httprequest.form) or ""
        return request.redirect(
            f"{ROOT}/privacy/{token}?person={patron_id}&notice={notice}"
        )


class LibraryCopy(http.Controller, Rights):
    @http.route(
        f"{ROOT}/copy/<int:patron_id>",
        type="http",
        auth="user",
        website=True,
        readonly=True,
    )
    def library_copy(self, patron_id, **kwargs):
        """The copy for whoever asks at the desk: a manager gives it out."""
        patron = request.env["library.patron"].browse(patron_id).exists()
        if not patron or not patron.has_access("unlink"):
            raise NotFound()
        return self._give_copy(patron)
