from operator import itemgetter

from odoo import api, fields, models
from odoo.tools import SQL, groupby

from .library_service_usage import FEWEST_PATRONS, OUTCOME_DAYS


class LibraryMailingOutcome(models.Model):
    """How many of those who got a mail used a service within 30 days: one figure a
    mailing, month of sending and home branch.

    It is counted once, when the 30 days are over for all of them, and then stays, also
    when the rows of use are deleted. Where a month has fewer than five of them, they
    wait for those of the next; branches with fewer than five are counted together, and
    where even these are fewer than five, nothing is told.
    """

    _name = "library.mailing.outcome"
    _description = "What Followed a Mailing"
    _inherit = "library.count.mixin"
    _order = "month desc, mailing_id, branch_id, id"
    _rec_name = "mailing_id"
    _log_access = False
    _library_personal_data = {"*": "figures"}

    mailing_id = fields.Many2one(
        "mailing.mailing",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    branch_id = fields.Many2one(
        "library.branch",
        string="Home Branch",
        readonly=True,
        ondelete="set null",
        help="Empty: several branches with few patrons each.",
    )
    month = fields.Date(
        required=True,
        readonly=True,
        help="The first day of the month of sending, and of the last of several that "
        "were counted together.",
    )
    observed = fields.Integer(
        string="Followed Up", required=True, readonly=True, help="Who got the mail."
    )
    used = fields.Integer(required=True, readonly=True)

    @api.model
    def _count_since(self, company, since):
        """Count the mailings of a library of which the 30 days are over: of a mail of
        a journey, which goes out every day, when they are over for the whole month.

        Cost: one pass over what was sent, and an index look-up in the uses for each
        mail that is counted.
        """
        sent = self._query_sent(company, since)
        if pools := self._pool(self.env.execute_query(self._query_due(company, sent))):
            self.env.cr.execute(self._sql_insert(company, sent, pools))

    def _pool(self, rows):
        """Join months with those after them until there are enough.

        :param rows: mailing id, month and number of mails, in this order
        :return: mailing id, first and last month
        :rtype: list[tuple[int, datetime.date, datetime.date]]
        """
        pools = []
        for mailing_id, months in groupby(rows, itemgetter(0)):
            first, size = None, 0
            for _mailing_id, month, count in months:
                first = first or month
                size += count
                if size >= FEWEST_PATRONS:
                    pools.append((mailing_id, first, month))
                    first, size = None, 0
        return pools

    def _query_sent(self, company, since):
        """The mails that arrived at patrons of a library since a day."""
        return SQL(
            """
            SELECT trace.mass_mailing_id AS mailing_id, patron.id AS patron_id,
                   patron.branch_id, trace.sent_datetime::date AS day,
                   date_trunc('month', trace.sent_datetime)::date AS month,
                   mailing.library_journey_id IS NOT NULL AS goes_on
              FROM mailing_trace trace
              JOIN library_patron patron ON patron.id = trace.library_patron_id
              JOIN mailing_mailing mailing ON mailing.id = trace.mass_mailing_id
             WHERE patron.company_id = %(company)s
               AND trace.is_test_trace IS NOT TRUE
               AND trace.trace_status IN ('sent', 'open', 'reply')
               AND trace.sent_datetime >= %(since)s
               AND (mailing.state = 'done' OR mailing.library_journey_id IS NOT NULL)
            """,
            company=company.id,
            since=since,
        )

    def _query_due(self, company, sent):
        """Mailings and months of which the 30 days are over, and that come after what
        was counted, with the number of mails."""
        return SQL(
            """
            SELECT mailing_id, month, count(*)
              FROM (%(sent)s) sent
          GROUP BY mailing_id, month, goes_on
            HAVING CASE WHEN goes_on THEN (month + interval '1 month')::date - 1
                        ELSE max(day) END + %(days)s < %(today)s
               AND month > coalesce(
                       (
                           SELECT max(outcome.month)
                             FROM library_mailing_outcome outcome
                            WHERE outcome.mailing_id = sent.mailing_id
                              AND outcome.company_id = %(company)s
                       ),
                       '-infinity'
                   )
          ORDER BY mailing_id, month
            """,
            sent=sent,
            days=OUTCOME_DAYS,
            today=fields.Date.context_today(self.with_company(company)),
            company=company.id,
        )

    def _sql_insert(self, company, sent, pools):
        mailing_ids, firsts, lasts = map(list, zip(*pools, strict=True))
        return SQL(
            """
            INSERT INTO library_mailing_outcome (
                   mailing_id, company_id, month, branch_id, observed, used
                   )
            SELECT mailing_id, %(company)s, month,
                   CASE WHEN size >= %(fewest)s THEN branch_id END,
                   count(*), count(*) FILTER (WHERE %(used)s)
              FROM (
                    SELECT pool.mailing_id, pool.month, sent.branch_id,
                           sent.patron_id, sent.day,
                           count(*) OVER (
                               PARTITION BY pool.mailing_id, pool.month, sent.branch_id
                           ) AS size
                      FROM unnest(
                               %(mailing_ids)s, %(firsts)s::date[], %(lasts)s::date[]
                           ) AS pool (mailing_id, first, month)
                      JOIN (%(sent)s) sent
                        ON sent.mailing_id = pool.mailing_id
                       AND sent.month BETWEEN pool.first AND pool.month
                   ) mail
          GROUP BY 1, 3, 4
            HAVING count(*) >= %(fewest)s
            """,
            company=company.id,
            fewest=FEWEST_PATRONS,
            used=self.env["library.service.usage"]._sql_used_after(
                SQL("mail.patron_id"), SQL("mail.day")
            ),
            mailing_ids=mailing_ids,
            firsts=firsts,
            lasts=lasts,
            sent=sent,
        )
