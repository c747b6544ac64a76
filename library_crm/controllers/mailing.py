from werkzeug.exceptions import NotFound, Unauthorized

from odoo import http
from odoo.http import Response, request

from odoo.addons.mass_mailing.controllers.main import MassMailController


class LibraryMailing(MassMailController):
    """The way out of a mailing, for a patron: stops what the mailing is about, and not
    every mail of everybody to the address."""

    def _find_library_patrons(self, mailing_id, document_id, email, hash_token):
        """:return: the mailing and the patrons its mail was meant for, as superuser
        :raise Unauthorized: if the link is forged"""
        email, hash_token = self._fetch_user_information(email, hash_token)
        try:
            mailing_sudo = self._check_mailing_email_token(
                mailing_id, document_id, email, hash_token, required_mailing_id=True
            )
        except NotFound as error:  # which mailings there are is nobody's business
            raise Unauthorized() from error
        if not document_id or not email:
            return mailing_sudo, request.env["library.patron"].sudo()
        return mailing_sudo, mailing_sudo._get_library_patrons(document_id, email)

    def _redirect_to_preferences(self, mailing_id, document_id, email, hash_token):
        """The page of preferences; none for who is no patron."""
        mailing_sudo, patrons_sudo = self._find_library_patrons(
            mailing_id, document_id, email, hash_token
        )
        if not patrons_sudo:
            return None
        url = mailing_sudo._get_library_preferences_url(document_id, email)
        return request.redirect(url) if url else None

    @http.route()
    def mailing_unsubscribe_oneclick(
        self, mailing_id, document_id=None, email=None, hash_token=None, **post
    ):
        mailing_sudo, patrons_sudo = self._find_library_patrons(
            mailing_id, document_id, email, hash_token
        )
        if patrons_sudo:
            mailing_sudo._withdraw_library_consent(patrons_sudo)
            if mailing_sudo.mailing_on_mailing_list:
                mailing_sudo.contact_list_ids._update_subscription_from_email(
                    email, opt_out=True
                )
            return Response(status=200)
        return super().mailing_unsubscribe_oneclick(
            mailing_id,
            document_id=document_id,
            email=email,
            hash_token=hash_token,
            **post,
        )

    @http.route()
    def mailing_unsubscribe(
        self, mailing_id, document_id=None, email=None, hash_token=None
    ):
        return self._redirect_to_preferences(
            mailing_id, document_id, email, hash_token
        ) or super().mailing_unsubscribe(
            mailing_id, document_id=document_id, email=email, hash_token=hash_token
        )

    @http.route()
    def mailing_confirm_unsubscribe(
        self, mailing_id, document_id=None, email=None, hash_token=None
    ):
        return self._redirect_to_preferences(
            mailing_id, document_id, email, hash_token
        ) or super().mailing_confirm_unsubscribe(
            mailing_id, document_id=document_id, email=email, hash_token=hash_token
        )

    @http.route()
    def mailing_confirm_unsubscribe_post(
        self, mailing_id, document_id=None, email=None, hash_token=None
    ):
        return self._redirect_to_preferences(
            int(mailing_id), document_id, email, hash_token
        ) or super().mailing_confirm_unsubscribe_post(
            mailing_id, document_id=document_id, email=email, hash_token=hash_token
        )
