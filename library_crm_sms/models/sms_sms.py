from odoo import api, fields, models
from odoo.fields import Command, Domain


class SmsSms(models.Model):
    """A text message that was written to many is asked once more when it leaves the
    queue, as a mail is: who has taken back the consent since does not get it."""

    _inherit = "sms.sms"
    _library_personal_data = {
        "*": "setting",
        "library_patron_id": "message",
        "number": "message",
        "partner_id": "message",
        "body": "message",
    }

    library_purpose_id = fields.Many2one(
        "library.consent.purpose",
        string="Purpose",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
        help="What whoever gets it must have agreed to; empty: nobody was asked.",
    )
    library_patron_id = fields.Many2one(
        "library.patron",
        string="Patron",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
        help="Whom it is meant for, whoever gets it.",
    )
    library_company_id = fields.Many2one(
        "res.company",
        string="Library",
        readonly=True,
        ondelete="set null",
        help="The one that writes.",
    )

    def _send(self, unlink_failed=False, unlink_sent=True, raise_exception=False):
        allowed = self - self._recall_refused()
        if not allowed:
            return None
        return super(SmsSms, allowed)._send(
            unlink_failed=unlink_failed,
            unlink_sent=unlink_sent,
            raise_exception=raise_exception,
        )

    @api.model
    def _get_queued_for(self, patrons):
        """The messages in the queue that go to these patrons, as far as they need
        consent.

        :return: ``sms.sms`` as superuser
        """
        return self.sudo().search(
            Domain("state", "=", "outgoing")
            & Domain("library_purpose_id.is_refusable", "=", True)
            & Domain("partner_id", "in", patrons.sudo().partner_id.ids)
        )

    def _recall_refused(self):
        """Take those of these messages out of the queue whose recipients do not agree
        any more to what they are about.

        :return: the messages that were taken out
        """
        queued = self.sudo().filtered(
            lambda sms: (
                sms.state == "outgoing"
                and sms.library_purpose_id.is_refusable
                and sms.partner_id
            )
        )
        refused = queued.browse()
        for (purpose, company), messages in queued.grouped(
            lambda sms: (sms.library_purpose_id, sms.library_company_id)
        ).items():
            meant = messages.filtered("library_patron_id")
            for name, some in (
                ("library_patron_id", meant),
                ("partner_id", messages - meant),
            ):
                reachable = self.env["library.consent"]._filter_reachable(
                    some[name], purpose, "phone", company
                )
                refused |= some.filtered(
                    lambda sms, name=name, reachable=reachable: (
                        sms[name] not in reachable
                    )
                )
        refused._recall()
        return refused

    def _recall(self):
        """Take these messages out of the queue; the trace of a mailing says why."""
        self._update_sms_state_and_trackers("canceled", failure_type="sms_optout")

    def _prepare_event_values(self):
        """Values of the row that says that a step of a journey sent this."""
        self.ensure_one()
        return {
            "text_status": self.state,
            "sms_tracker_ids": [Command.create({"sms_uuid": self.uuid})],
        }
