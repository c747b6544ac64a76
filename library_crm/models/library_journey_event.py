import re
from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain


class LibraryJourneyEvent(models.Model):
    """What came of one step for one patron. That there is one row for both, whatever
    happens, is what keeps anybody from being written to twice.

    Whether a mail arrived, was opened or clicked is what Odoo's trace says.
    """

    _name = "library.journey.event"
    _description = "Journey Event"
    _order = "date desc, id desc"
    _rec_name = "step_id"
    _log_access = False
    _library_personal_data = {"*": "journey"}

    # How often a mail that the mail server did not take is tried again: after 10, 20,
    # 40 … minutes, so for some ten hours.
    _RETRIES = 6
    _RETRY_BATCH = 500
    # Failures that are older were dealt with, or belong to whoever looks after mail.
    _RETRY_WITHIN = timedelta(days=30)

    enrolment_id = fields.Many2one(
        "library.journey.enrolment",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    patron_id = fields.Many2one(related="enrolment_id.patron_id")
    step_id = fields.Many2one(
        "library.journey.step",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    date = fields.Datetime(required=True, readonly=True)
    what = fields.Selection(
        [
            ("sent", "Sent"),
            ("held_out", "Held out"),
            ("skipped", "Left out"),
            ("failed", "Failed"),
            ("done", "Done"),
            ("yes", "Yes"),
            ("no", "No"),
            ("exited", "Left the journey"),
        ],
        required=True,
        readonly=True,
    )
    reason = fields.Selection(
        [
            ("late", "The day has passed"),
            ("no_consent", "Did not agree"),
            ("no_address", "No email address"),
            ("blacklisted", "Address or number is blacklisted"),
            ("refused", "Same message to the same address"),
            ("archived", "No patron any more"),
            ("occasion", "No longer true"),
            ("wish", "Leave When holds"),
            ("merged", "Merged with another patron"),
            ("staff", "Taken out by staff"),
        ],
        readonly=True,
    )
    with_patron_id = fields.Many2one(
        "library.patron",
        string="Together With",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
        help="The one in the household who got the message.",
    )
    is_together = fields.Boolean(
        string="Message to Another",
        readonly=True,
        help="Somebody else of the household got the message, who may be erased since.",
    )
    mailing_id = fields.Many2one(
        "mailing.mailing",
        string="Mail",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    trace_id = fields.Many2one(
        "mailing.trace", readonly=True, index="btree_not_null", ondelete="set null"
    )
    trace_status = fields.Selection(related="trace_id.trace_status", string="Mail Is")
    attempts = fields.Integer(
        string="Tried Again",
        readonly=True,
        help="How often the mail server was asked once more.",
    )
    failure = fields.Char(readonly=True, help="What the mail server answered.")

    _step_uniq = models.UniqueIndex(
        "(enrolment_id, step_id)", "This step was done for this patron already."
    )
    _sent_idx = models.Index("(date) WHERE what = 'sent'")

    @api.model
    def _retry_failed(self):
        """Put mails that the mail server did not take back into the queue, later each
        time; after some times, or where it said that it never will, give up and show
        it.

        :return: how many were looked at
        :rtype: int
        """
        now = fields.Datetime.now()
        not_taken = Domain("trace_id.mail_mail_id.state", "=", "exception")
        # Odoo deletes a mail whose address can not be right.
        deleted = Domain("trace_id.trace_status", "=", "error") & Domain(
            "trace_id.mail_mail_id", "=", False
        )
        events = self.search(
            Domain("what", "=", "sent")
            & Domain("enrolment_id.patron_id", "!=", False)
            & Domain("date", ">", now - self._RETRY_WITHIN)
            & (not_taken | deleted),
            limit=self._RETRY_BATCH,
            order="id",
        )
        for event in events:
            trace = event.trace_id
            mail = trace.mail_mail_id
            answer = (mail.failure_reason or trace.failure_type or "")[:500]
            if event.attempts >= self._RETRIES or self._is_final(mail):
                (event + event._get_companions()).write(
                    {"what": "failed", "failure": answer}
                )
                trace.write({"trace_status": "error"})
                continue
            event.write({"attempts": event.attempts + 1, "failure": answer})
            mail.write(
                {
                    "state": "outgoing",
                    "failure_type": False,
                    "scheduled_date": now + timedelta(minutes=5 * 2**event.attempts),
                }
            )
            trace.write({"trace_status": "outgoing", "failure_type": False})
        return len(events)

    def _get_companions(self):
        """The same for those of the household whom the mail was for as well."""
        self.ensure_one()
        return self.search(
            [
                ("with_patron_id", "=", self.patron_id.id),
                ("step_id", "=", self.step_id.id),
                ("date", "=", self.date),
            ]
        )

    @api.model
    def _is_final(self, mail):
        """Whether this mail will never be taken: it is gone, or the mail server said so
        of the mail itself, not of the connection (5xx; RFC 5321, 4.2.1)."""
        return (
            not mail
            or mail.failure_type != "mail_smtp"
            and bool(re.search(r"\b5\d\d\b, b?['\"]", mail.failure_reason or ""))
        )
