from odoo import api, fields, models


class MailingTrace(models.Model):
    """What was sent to a patron is found from the patron, and seen by whoever sees the
    patron."""

    _inherit = "mailing.trace"
    _library_personal_data = {
        "library_patron_id": "mailing",
        "email": "mailing",
        "message_id": "mailing",
        "res_id": "mailing",
        "sent_datetime": "mailing",
        "open_datetime": "mailing",
        "reply_datetime": "mailing",
        "links_click_datetime": "mailing",
        "trace_status": "mailing",
        "failure_reason": "mailing",
    }

    library_patron_id = fields.Many2one(
        "library.patron",
        string="Patron",
        compute="_compute_library_patron_id",
        store=True,
        precompute=True,
        index="btree_not_null",
        ondelete="set null",
    )

    @api.depends("model", "res_id")
    def _compute_library_patron_id(self):
        for trace in self:
            trace.library_patron_id = (
                trace.res_id if trace.model == "library.patron" else False
            )
