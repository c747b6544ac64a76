from odoo import fields, models


class LibraryJourneyEvent(models.Model):
    """What became of a text message: Odoo deletes it when it was sent, and its
    provider's reports come later."""

    _inherit = "library.journey.event"

    what = fields.Selection(
        selection_add=[("texted", "Text sent"), ("held_out",)],
        ondelete={"texted": lambda events: events.write({"what": "done"})},
    )
    reason = fields.Selection(
        selection_add=[("no_number", "No phone number"), ("blacklisted",)]
    )
    text_status = fields.Selection(
        [
            ("outgoing", "In the queue"),
            ("process", "Being sent"),
            ("pending", "Sent"),
            ("sent", "Delivered"),
            ("error", "Failed"),
            ("canceled", "Taken back"),
        ],
        string="Text Is",
        readonly=True,
    )
    sms_tracker_ids = fields.One2many(
        "sms.tracker", "library_journey_event_id", groups="base.group_system"
    )

    def _follow_text(self, status, failure=False):
        """Write down how texts fare. Reports come twice and in any order: what has been
        delivered stays delivered, and what has left the queue has left it.

        :param str status: as in ``text_status``
        :param failure: what kept it, in words
        """
        for event in self:
            left = event.text_status in ("process", "pending")
            if event.text_status in (status, "sent") or (
                left and status in ("outgoing", "canceled")
            ):
                continue
            events = event + event._get_companions()
            events.write({"text_status": status, "failure": failure})
            if status != "canceled":
                events.write({"what": "failed" if status == "error" else "texted"})
