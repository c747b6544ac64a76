from odoo import fields, models
from odoo.tools import SQL


class LibraryJourneyResult(models.Model):
    """What came of journeys: one row for each thing that a step did, without its
    patron, to be added up by journey, step, branch and month; and one for what followed
    the mails of a month, see ``library.mailing.outcome``."""

    _name = "library.journey.result"
    _description = "Journey Result"
    _inherit = "library.ratio.mixin"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "step_id"
    _ratios = {
        "opened_rate": ("opened", "sent"),
        "clicked_rate": ("clicked", "sent"),
        "used_rate": ("used", "observed"),
    }
    _depends = {
        "library.journey": ["segment_id"],
        "library.journey.enrolment": [
            *("former_branch_id", "journey_id", "patron_id", "version"),
        ],
        "library.journey.event": [
            *("date", "enrolment_id", "mailing_id", "reason", "step_id"),
            *("is_together", "trace_id", "what"),
        ],
        "library.journey.step": [
            *("journey_id", "mailing_id", "mailing_b_id", "version"),
        ],
        "library.mailing.outcome": [
            *("branch_id", "mailing_id", "month", "observed", "used"),
        ],
        "library.patron": ["branch_id"],
        "mailing.mailing": ["library_original_id"],
        "mailing.trace": ["links_click_datetime", "trace_status"],
    }

    journey_id = fields.Many2one("library.journey", readonly=True)
    segment_id = fields.Many2one(
        "library.segment",
        readonly=True,
        help="The one that the patrons of the journey are chosen by.",
    )
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
    observed = fields.Integer(
        string="Followed Up",
        readonly=True,
        help="Got a mail in a month of which the 30 days after are over, in a group of "
        "five or more.",
    )
    used = fields.Integer(
        string="Used a Service",
        readonly=True,
        help="Of those followed up, who used any service within 30 days.",
    )
    done = fields.Integer(string="Tasks and Requests", readonly=True)
    yes = fields.Integer(readonly=True)
    no = fields.Integer(readonly=True)
    skipped = fields.Integer(string="Left Out", readonly=True)
    failed = fields.Integer(readonly=True)
    held_out = fields.Integer(readonly=True)
    exited = fields.Integer(string="Left", readonly=True)
    opened_rate = fields.Float(
        string="Opened (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Of a hundred mails sent.",
    )
    clicked_rate = fields.Float(
        string="Clicked (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Of a hundred mails sent.",
    )
    used_rate = fields.Float(
        string="Used a Service (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Of a hundred followed up: who used any service within 30 days.",
    )

    def _get_counts(self):
        """What an event counts for: conditions on ``event``, its ``enrolment``,
        ``patron`` and ``trace``, by field; a hook.

        :rtype: dict[str, odoo.tools.SQL]
        """
        mails = SQL("event.what = 'sent' AND event.is_together IS NOT TRUE")
        return {
            "sent": mails,
            "opened": SQL("trace.trace_status IN ('open', 'reply') AND %s", mails),
            "clicked": SQL("trace.links_click_datetime IS NOT NULL AND %s", mails),
            **{
                name: SQL("event.what = %s", name)
                for name in (
                    *("done", "yes", "no", "skipped", "failed", "held_out", "exited"),
                )
            },
        }

    @property
    def _table_query(self):
        """Cost: one pass over the events; no row of use is read."""
        counts = self._get_counts()
        return SQL(
            """
            SELECT happened.*, journey.segment_id, %(ratios)s
              FROM (
                    SELECT 2 * event.id AS id, enrolment.journey_id, enrolment.version,
                           event.step_id, event.mailing_id,
                           coalesce(patron.branch_id, enrolment.former_branch_id)
                               AS branch_id,
                           event.reason, date_trunc('month', event.date)::date AS date,
                           0 AS observed, 0 AS used, %(counts)s
                      FROM library_journey_event event
                      JOIN library_journey_enrolment enrolment
                        ON enrolment.id = event.enrolment_id
                 LEFT JOIN library_patron patron ON patron.id = enrolment.patron_id
                 LEFT JOIN mailing_trace trace ON trace.id = event.trace_id
                 UNION ALL
                    SELECT 2 * outcome.id + 1, step.journey_id, step.version, step.id,
                           outcome.mailing_id, outcome.branch_id, NULL, outcome.month,
                           outcome.observed, outcome.used, %(zeros)s
                      FROM library_mailing_outcome outcome
                      JOIN mailing_mailing mailing ON mailing.id = outcome.mailing_id
                      JOIN library_journey_step step
                        ON coalesce(mailing.library_original_id, mailing.id)
                           IN (step.mailing_id, step.mailing_b_id)
                   ) happened
              JOIN library_journey journey ON journey.id = happened.journey_id
            """,
            ratios=self._sql_ratios(),
            counts=SQL(", ").join(
                SQL("(%s)::int AS %s", is_counted, SQL.identifier(name))
                for name, is_counted in counts.items()
            ),
            zeros=SQL(", ").join(SQL("0") for _name in counts),
        )
