from odoo import api, fields, models
from odoo.tools import SQL

from .library_service_usage import FEWEST_PATRONS, OUTCOME_DAYS


class LibraryMailingOutcome(models.Model):
    """How many of those who got a mail used a service within 30 days: one figure a
    mailing, month of sending and home branch.

    It is counted once, when the 30 days are over for all of them, and then stays, also
    when the rows of use are deleted. Branches with fewer than five of them are counted
    together; where these are fewer than five in all, nothing is told.
    """

    _name = "library.mailing.outcome"
    _description = "What Followed a Mailing"
    _order = "month desc, mailing_id, branch_id, id"
    _rec_name = "mailing_id"
    _log_access = False

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
    month = fields.Date(required=True, readonly=True, help="Its first day.")
    observed = fields.Integer(
        required=True, readonly=True, help="Who got the mail; 0: too few to tell."
    )
    used = fields.Integer(required=True, readonly=True)

    @api.model
    def _cron_count(self):
        """Count what has become due, in each library."""
        IrCron = self.env["ir.cron"]
        companies = self.env["library.patron"]._read_group([], ["company_id"])
        for place, (company,) in enumerate(companies, 1):
            self._count(company)
            if not IrCron._commit_progress(1, remaining=len(companies) - place):
                return

    @api.model
    def _count(self, company):
        """Count the mailings of a library of which the 30 days are over: of a mail of
        a journey, which goes out every day, when they are over for the whole month.

        Cost: one pass over what was sent, and an index look-up in the uses for each
        mail that is counted.
        """
        Usage = self.env["library.service.usage"]
        since = Usage._get_kept_since(company)
        if not since:
            return
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO library_mailing_outcome (
                       mailing_id, company_id, month, branch_id, observed, used
                       )
                WITH sent AS (
                    SELECT trace.mass_mailing_id AS mailing_id, patron.id AS patron_id,
                           patron.branch_id, trace.sent_datetime::date AS day,
                           date_trunc('month', trace.sent_datetime)::date AS month,
                           mailing.library_journey_id IS NOT NULL AS goes_on
                      FROM mailing_trace trace
                      JOIN library_patron patron
                        ON patron.id = trace.library_patron_id
                      JOIN mailing_mailing mailing
                        ON mailing.id = trace.mass_mailing_id
                     WHERE patron.company_id = %(company)s
                       AND trace.is_test_trace IS NOT TRUE
                       AND trace.trace_status IN ('sent', 'open', 'reply')
                       AND trace.sent_datetime >= %(since)s
                       AND (mailing.state = 'done'
                            OR mailing.library_journey_id IS NOT NULL)
                ),
                due AS (
                    SELECT mailing_id, month
                      FROM sent
                  GROUP BY mailing_id, month, goes_on
                    HAVING CASE WHEN goes_on
                                THEN (month + interval '1 month')::date - 1
                                ELSE max(day) END + %(days)s < %(today)s
                    EXCEPT
                    SELECT mailing_id, month
                      FROM library_mailing_outcome
                     WHERE company_id = %(company)s
                ),
                sized AS (
                    SELECT *, count(*) OVER (PARTITION BY mailing_id, month, branch_id)
                               AS size
                      FROM sent
                      JOIN due USING (mailing_id, month)
                ),
                cell AS (
                    SELECT mailing_id, month,
                           CASE WHEN size >= %(fewest)s THEN branch_id END
                               AS branch_id,
                           count(*) AS observed,
                           count(*) FILTER (WHERE %(used)s) AS used
                      FROM sized
                  GROUP BY 1, 2, 3
                )
                SELECT mailing_id, %(company)s, month, branch_id,
                       CASE WHEN observed >= %(fewest)s THEN observed ELSE 0 END,
                       CASE WHEN observed >= %(fewest)s THEN used ELSE 0 END
                  FROM cell
                """,
                company=company.id,
                since=since,
                days=OUTCOME_DAYS,
                today=fields.Date.context_today(self.with_company(company)),
                fewest=FEWEST_PATRONS,
                used=Usage._sql_used_after(SQL("sized.patron_id"), SQL("sized.day")),
            )
        )
        self.invalidate_model()
