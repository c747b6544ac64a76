from odoo import fields, models
from odoo.tools import SQL

from ..models.library_journey import OUTCOME_DAYS


class LibraryJourneyResult(models.Model):
    """What came of journeys: one row for each thing that a step did, without its
    patron, to be added up by journey, step, branch and month."""

    _name = "library.journey.result"
    _description = "Journey Result"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "step_id"
    _depends = {
        "library.journey.enrolment": ["journey_id", "version", "patron_id"],
        "library.journey.event": [
            *("date", "enrolment_id", "mailing_id", "reason", "step_id"),
            *("trace_id", "what", "with_patron_id"),
        ],
        "library.patron": ["branch_id"],
        "library.service.usage": ["date", "patron_id"],
        "mailing.trace": ["links_click_datetime", "trace_status"],
    }

    journey_id = fields.Many2one("library.journey", readonly=True)
    version = fields.Integer(readonly=True, aggregator=None)
    step_id = fields.Many2one("library.journey.step", readonly=True)
    kind = fields.Selection(related="step_id.kind")
    mailing_id = fields.Many2one("mailing.mailing", string="Mail", readonly=True)
    branch_id = fields.Many2one("library.branch", string="Home Branch", readonly=True)
    date = fields.Date(string="Month", readonly=True)
    reason = fields.Selection(
        lambda self: (
            self.env["library.journey.event"]
            ._fields["reason"]
            ._description_selection(self.env)
        ),
        readonly=True,
    )
    sent = fields.Integer(string="Mails Sent", readonly=True)
    opened = fields.Integer(readonly=True)
    clicked = fields.Integer(readonly=True)
    used = fields.Integer(
        string="Used a Service",
        readonly=True,
        help="Within 30 days after they were written to.",
    )
    done = fields.Integer(string="Tasks and Requests", readonly=True)
    yes = fields.Integer(readonly=True)
    no = fields.Integer(readonly=True)
    skipped = fields.Integer(string="Left Out", readonly=True)
    failed = fields.Integer(readonly=True)
    held_out = fields.Integer(readonly=True)
    exited = fields.Integer(string="Left", readonly=True)

    @property
    def _table_query(self):
        mails = SQL("event.what = 'sent' AND event.with_patron_id IS NULL")
        counts = {
            "sent": mails,
            "opened": SQL("trace.trace_status IN ('open', 'reply') AND %s", mails),
            "clicked": SQL("trace.links_click_datetime IS NOT NULL AND %s", mails),
            "used": SQL(
                """
                %(mails)s AND EXISTS (
                    SELECT FROM library_service_usage usage
                     WHERE usage.patron_id = enrolment.patron_id
                       AND usage.date > event.date::date
                       AND usage.date <= event.date::date + %(days)s
                )
                """,
                mails=mails,
                days=OUTCOME_DAYS,
            ),
            **{
                name: SQL("event.what = %s", name)
                for name in (
                    *("done", "yes", "no", "skipped", "failed", "held_out", "exited"),
                )
            },
        }
        return SQL(
            """
            SELECT event.id, enrolment.journey_id, enrolment.version, event.step_id,
                   event.mailing_id, patron.branch_id, event.reason,
                   date_trunc('month', event.date)::date AS date, %(counts)s
              FROM library_journey_event event
              JOIN library_journey_enrolment enrolment
                ON enrolment.id = event.enrolment_id
              JOIN library_patron patron ON patron.id = enrolment.patron_id
         LEFT JOIN mailing_trace trace ON trace.id = event.trace_id
            """,
            counts=SQL(", ").join(
                SQL("(%s)::int AS %s", is_counted, SQL.identifier(name))
                for name, is_counted in counts.items()
            ),
        )
