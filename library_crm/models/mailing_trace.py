from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL


class MailingTrace(models.Model):
    """What was sent to a patron is found from the patron, and seen by whoever sees the
    patron. When the patron is erased it counts as it did, and has no address."""

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
        **dict.fromkeys(
            ("library_company_id", "library_branch_id", "library_has_unsubscribed"),
            "mailing",
        ),
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

    # Of patrons who were erased, so that the figures of a mailing stay as they are.
    library_company_id = fields.Many2one(
        "res.company", string="Library", readonly=True, ondelete="set null"
    )
    library_branch_id = fields.Many2one(
        "library.branch",
        string="Home Branch",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    library_has_unsubscribed = fields.Boolean(
        string="Unsubscribed", readonly=True, help="By this mail, and was erased since."
    )

    @api.depends("model", "res_id")
    def _compute_library_patron_id(self):
        for trace in self:
            trace.library_patron_id = (
                trace.res_id if trace.model == "library.patron" else False
            )

    def _library_take_names_off(self):
        """Nobody can tell any more who got these; they go on to count as they do. To be
        called with sudo."""
        self.env.flush_all()
        unsubscribed = self.env["library.mailing.result"]._get_traces_unsubscribed(
            self.library_patron_id
        )
        self.env.cr.execute(
            SQL(
                """
                UPDATE mailing_trace trace
                   SET library_company_id = patron.company_id,
                       library_branch_id = patron.branch_id,
                       library_has_unsubscribed = trace.id = ANY(%(unsubscribed)s)
                  FROM library_patron patron
                 WHERE patron.id = trace.library_patron_id
                   AND trace.id = ANY(%(traces)s)
                """,
                traces=list(self._ids),
                unsubscribed=unsubscribed,
            )
        )
        self._library_blank()

    @api.model
    def _library_forget(self, patrons):
        """These patrons are erased: keep what reports count. To be called with sudo."""
        self.search(
            Domain("library_patron_id", "in", patrons.ids)
            | Domain("model", "=", patrons._name) & Domain("res_id", "in", patrons.ids)
        )._library_take_names_off()

    def _library_blank(self):
        """Take out of these who got them, and from where a link was opened."""
        if not self:
            return
        blank = (
            *("email", "message_id", "failure_reason", "mail_mail_id_int"),
            *("library_patron_id", "sms_number", "sms_code", "sms_id_int"),
        )
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                # Odoo asks for the number of a record: one that is no record's.
                "UPDATE mailing_trace SET res_id = -id, %s WHERE id = ANY(%s)",
                SQL(", ").join(
                    SQL("%s = NULL", SQL.identifier(name))
                    for name in blank
                    if name in self._fields
                ),
                list(self._ids),
            )
        )
        self.env.cr.execute(
            SQL(
                """
                UPDATE link_tracker_click
                   SET ip = NULL, country_id = NULL
                 WHERE mailing_trace_id = ANY(%s)
                """,
                list(self._ids),
            )
        )
        self.env.invalidate_all(flush=False)
