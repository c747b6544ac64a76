import io

from odoo import http
from odoo.exceptions import UserError
from odoo.http import request

from ..formats.events import MAX_BYTES, MAX_ROWS, REQUIRED
from .public_page import is_let_in
from .webhook_openapi import ROOT, TOLD, get_openapi


class LibraryWebhook(http.Controller):
    """Where gates, room booking and other tools of the library send what was used.

    ``openapi.json`` describes it to machines, ``docs`` to people.
    """

    @http.route(
        f"{ROOT}/sources/<int:source_id>/uses",
        type="http",
        auth="bearer",
        methods=["POST"],
        csrf=False,
        max_content_length=MAX_BYTES,
    )
    def library_send_uses(self, source_id, dry_run="0"):
        """Take a batch of uses: small ones are counted at once (200), large ones, or
        while another batch is being counted, as soon as it is their turn (202)."""
        source = self._find_source(source_id)
        if source is None:
            return self._fail(404, "source", self._say_no_source(source_id))
        if not is_let_in("batch", source.id):
            return self._fail(
                429,
                "source",
                request.env._(
                    "Too many batches were sent within an hour. Put more uses into one."
                ),
            )
        file = io.BytesIO(request.httprequest.get_data())
        try:
            load = (
                request.env["library.data.load"]
                .sudo()
                .with_company(source.company_id)
                ._receive_sent(source, file, dry_run=dry_run == "1")
            )
        except UserError as error:
            return self._fail(400, "body", str(error))
        status = 200 if load.state == "done" else 202
        if load.state == "failed":
            status = 500
        return request.make_json_response(
            self._describe(load),
            status=status,
            headers={"Location": f"{ROOT}/loads/{load.id}"},
        )

    @http.route(
        f"{ROOT}/loads/<int:load_id>",
        type="http",
        auth="bearer",
        methods=["GET"],
        readonly=True,
    )
    def library_get_load(self, load_id):
        """What has come of a batch."""
        load = request.env["library.data.load"].sudo().browse(load_id).exists()
        if not load or self._find_source(load.source_id.id) is None:
            return self._fail(
                404, "load", request.env._("There is no load %s for you.", load_id)
            )
        return request.make_json_response(self._describe(load))

    @http.route(
        f"{ROOT}/openapi.json",
        type="http",
        auth="public",
        methods=["GET"],
        readonly=True,
    )
    def library_get_openapi(self):
        """What can be sent here, as OpenAPI 3.1."""
        return request.make_json_response(get_openapi(request.httprequest.host_url))

    @http.route(
        f"{ROOT}/docs", type="http", auth="public", methods=["GET"], readonly=True
    )
    def library_get_docs(self):
        """The same for people."""
        host = request.httprequest.host_url
        return request.render(
            "library_crm.webhook_docs",
            {"spec": get_openapi(host), "required": REQUIRED, "limit": MAX_ROWS},
        )

    # ------------------------------------------------------------
    # WHO AND WHAT
    # ------------------------------------------------------------

    def _find_source(self, source_id):
        """The source, if the user may send to it: its sender, or a manager who may see
        it. Others can not tell whether it is there."""
        source = (
            request.env["library.data.source"]
            .sudo()
            .search([("id", "=", source_id), ("format", "=", "webhook")])
        )
        user = request.env.user
        if source and (
            source.sender_id == user
            or source.with_user(user).sudo(False).has_access("write")
        ):
            return source
        return None

    def _say_no_source(self, source_id):
        return request.env._(
            "There is no source %s to which you may send. Is it a source for own "
            "tools, and are you its sender?",
            source_id,
        )

    def _fail(self, status, where, message):
        return request.make_json_response(
            {"error": {"where": where, "message": message}}, status=status
        )

    def _describe(self, load):
        return {
            "load": load.id,
            "state": load.state,
            "dry_run": load.is_dry_run,
            "rows": load.rows_total,
            "new": load.rows_new,
            "unchanged": load.rows_unchanged,
            "ignored": load.rows_ignored,
            "refused": load.rows_refused,
            "refusals": [
                {"row": refusal.line, "reason": refusal.reason}
                for refusal in load.refusal_ids[:TOLD]
            ],
            "dropped": [
                name
                for names in (load.forbidden_columns, load.unknown_columns)
                if names
                for name in names.split(", ")
            ],
            "message": load.message or "",
        }
