from odoo import api, fields, models
from odoo.tools import SQL


class LibraryMailingResult(models.Model):
    """What came of mailings to patrons, of those that journeys send too: one row for a
    mailing, home branch and month of sending.

    Sent, opened and clicked are what Odoo knows of each mail. Unsubscribed is what the
    ledger of consent says: somebody withdrew the purpose by a link in a mail, and this
    was the last mail about it in the 30 days before. Whether they used a service is
    counted when it can be told; see ``library.mailing.outcome``.
    """

    _name = "library.mailing.result"
    _description = "Mailing Result"
    _inherit = "library.ratio.mixin"
    _auto = False
    _order = "month desc, mailing_id desc, branch_id, id"
    _rec_name = "mailing_id"
    _ratios = {
        "opened_rate": ("opened", "delivered"),
        "clicked_rate": ("clicked", "delivered"),
        "unsubscribed_rate": ("unsubscribed", "delivered"),
        "used_rate": ("used", "observed"),
    }
    _depends = {
        "library.branch": ["company_id"],
        "library.consent": [
            *("channel", "date", "patron_id", "purpose_id", "source", "state"),
        ],
        "library.journey": ["purpose_id"],
        "library.mailing.outcome": [
            *("branch_id", "company_id", "mailing_id", "month", "observed", "used"),
        ],
        "library.patron": ["branch_id", "company_id"],
        "mailing.mailing": [
            *("campaign_id", "library_journey_id", "library_purpose_id"),
            *("library_segment_id", "user_id"),
        ],
        "mailing.trace": [
            *("create_date", "is_test_trace", "library_patron_id", "mass_mailing_id"),
            *("library_branch_id", "library_company_id", "library_has_unsubscribed"),
            *("links_click_datetime", "model", "sent_datetime", "trace_status"),
        ],
        "res.users": ["company_id"],
    }

    mailing_id = fields.Many2one("mailing.mailing", readonly=True)
    campaign_id = fields.Many2one("utm.campaign", readonly=True)
    segment_id = fields.Many2one(
        "library.segment",
        readonly=True,
        help="The one that the recipients were chosen by.",
    )
    journey_id = fields.Many2one(
        "library.journey", readonly=True, help="The one that the mail is a step of."
    )
    purpose_id = fields.Many2one("library.consent.purpose", readonly=True)
    company_id = fields.Many2one("res.company", string="Library", readonly=True)
    branch_id = fields.Many2one("library.branch", string="Home Branch", readonly=True)
    month = fields.Date(readonly=True)
    sent = fields.Integer(readonly=True)
    delivered = fields.Integer(readonly=True, help="Sent, and did not come back.")
    opened = fields.Integer(readonly=True)
    clicked = fields.Integer(readonly=True)
    replied = fields.Integer(readonly=True)
    bounced = fields.Integer(string="Came Back", readonly=True)
    failed = fields.Integer(
        readonly=True, help="The mail server did not take them, or the address is none."
    )
    left_out = fields.Integer(
        readonly=True, help="The address is blacklisted, or got the mailing already."
    )
    unsubscribed = fields.Integer(
        readonly=True,
        help="Withdrew the purpose of the mailing by a link in a mail within 30 days.",
    )
    observed = fields.Integer(
        string="Followed Up",
        readonly=True,
        help="Got the mail more than 30 days ago, in a group of five or more.",
    )
    used = fields.Integer(
        string="Used a Service",
        readonly=True,
        help="Of those followed up, who used any service within 30 days.",
    )
    opened_rate = fields.Float(
        string="Opened (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Of a hundred delivered.",
    )
    clicked_rate = fields.Float(
        string="Clicked (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Of a hundred delivered.",
    )
    unsubscribed_rate = fields.Float(
        string="Unsubscribed (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Of a hundred delivered.",
    )
    used_rate = fields.Float(
        string="Used a Service (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Of a hundred followed up: who used any service within 30 days.",
    )

    _COUNTS = (
        *("sent", "delivered", "opened", "clicked", "replied", "bounced", "failed"),
        *("left_out", "unsubscribed", "observed", "used"),
    )

    @property
    def _table_query(self):
        """Cost: one pass over what was sent to patrons, and an index look-up for each
        who withdrew a consent by a mail; no row of use is read."""
        return SQL(
            """
            SELECT cell.*, %(ratios)s
              FROM (
                    SELECT min(part.id) AS id, part.mailing_id, part.company_id,
                           part.branch_id, part.month, mailing.campaign_id,
                           mailing.library_segment_id AS segment_id,
                           mailing.library_journey_id AS journey_id,
                           coalesce(journey.purpose_id, mailing.library_purpose_id)
                               AS purpose_id,
                           %(sums)s
                      FROM (
                            %(mails)s UNION ALL %(withdrawals)s UNION ALL %(outcomes)s
                           ) part
                      JOIN mailing_mailing mailing ON mailing.id = part.mailing_id
                 LEFT JOIN library_journey journey
                        ON journey.id = mailing.library_journey_id
                  GROUP BY part.mailing_id, part.company_id, part.branch_id,
                           part.month, mailing.id, journey.id
                   ) cell
            """,
            ratios=self._sql_ratios(),
            sums=SQL(", ").join(
                SQL("sum(part.%s)::int AS %s", *[SQL.identifier(name)] * 2)
                for name in self._COUNTS
            ),
            mails=self._query_mails(),
            withdrawals=self._query_withdrawals(),
            outcomes=self._query_outcomes(),
        )

    def _query_mails(self):
        """A row for each mail. Who is no patron any more counts for the library and
        branch that they were of, or for the library of whoever wrote."""
        delivered = SQL("trace.trace_status IN ('sent', 'open', 'reply')")
        counts = {
            "sent": SQL(
                "trace.trace_status IN ('pending', 'sent', 'open', 'reply', 'bounce')"
            ),
            "delivered": delivered,
            "opened": SQL("trace.trace_status IN ('open', 'reply')"),
            "clicked": SQL("trace.links_click_datetime IS NOT NULL AND %s", delivered),
            "replied": SQL("trace.trace_status = 'reply'"),
            "bounced": SQL("trace.trace_status = 'bounce'"),
            "failed": SQL("trace.trace_status = 'error'"),
            "left_out": SQL("trace.trace_status = 'cancel'"),
            "unsubscribed": SQL("trace.library_has_unsubscribed IS TRUE"),
        }
        return SQL(
            """
            SELECT 3 * trace.id AS id, trace.mass_mailing_id AS mailing_id,
                   coalesce(
                       patron.company_id, trace.library_company_id, writer.company_id
                   ) AS company_id,
                   coalesce(patron.branch_id, trace.library_branch_id) AS branch_id,
                   date_trunc(
                       'month', coalesce(trace.sent_datetime, trace.create_date)
                   )::date AS month,
                   %(counts)s
              FROM mailing_trace trace
              JOIN mailing_mailing mailing ON mailing.id = trace.mass_mailing_id
         LEFT JOIN res_users writer ON writer.id = mailing.user_id
         LEFT JOIN library_patron patron ON patron.id = trace.library_patron_id
             WHERE trace.model = 'library.patron'
               AND trace.is_test_trace IS NOT TRUE
            """,
            counts=self._sql_counts(counts),
        )

    def _query_withdrawals(self):
        return SQL(
            """
            SELECT 3 * consent.id + 1, last.mailing_id, patron.company_id,
                   patron.branch_id, date_trunc('month', last.sent_datetime)::date,
                   %(counts)s
              FROM %(withdrawn)s
            """,
            counts=self._sql_counts({"unsubscribed": SQL("TRUE")}),
            withdrawn=self._sql_withdrawn(),
        )

    @api.model
    def _get_traces_unsubscribed(self, patrons):
        """Of the mails to patrons those by which they withdrew a consent."""
        return [
            id_
            for (id_,) in self.env.execute_query(
                SQL(
                    "SELECT last.trace_id FROM %s AND patron.id = ANY(%s)",
                    self._sql_withdrawn(),
                    list(patrons._ids),
                )
            )
        ]

    def _sql_withdrawn(self):
        """Withdrawals by a link in a mail, and the mail that it was."""
        return SQL(
            """
                   library_consent consent
              JOIN library_patron patron ON patron.id = consent.patron_id
              JOIN LATERAL (
                    SELECT trace.id AS trace_id, trace.mass_mailing_id AS mailing_id,
                           trace.sent_datetime
                      FROM mailing_trace trace
                      JOIN mailing_mailing mailing
                        ON mailing.id = trace.mass_mailing_id
                 LEFT JOIN library_journey journey
                        ON journey.id = mailing.library_journey_id
                     WHERE trace.library_patron_id = consent.patron_id
                       AND trace.is_test_trace IS NOT TRUE
                       AND trace.sent_datetime <= consent.date
                       AND trace.sent_datetime > consent.date - interval '30 days'
                       AND coalesce(journey.purpose_id, mailing.library_purpose_id)
                           = consent.purpose_id
                  ORDER BY trace.sent_datetime DESC, trace.id DESC
                     LIMIT 1
                   ) last ON TRUE
             WHERE consent.state = 'withdrawn'
               AND consent.channel = 'email'
               AND consent.source IN ('mail', 'complaint')
            """
        )

    def _query_outcomes(self):
        return SQL(
            """
            SELECT 3 * id + 2, mailing_id, company_id, branch_id, month, %s
              FROM library_mailing_outcome
            """,
            SQL(", ").join(
                SQL.identifier(name) if name in ("observed", "used") else SQL("0")
                for name in self._COUNTS
            ),
        )

    def _sql_counts(self, conditions):
        """All counts in their order, as 0 or 1; those without a condition are 0."""
        return SQL(", ").join(
            SQL("(%s)::int AS %s", conditions[name], SQL.identifier(name))
            if name in conditions
            else SQL("0 AS %s", SQL.identifier(name))
            for name in self._COUNTS
        )
