from odoo import api, fields, models
from odoo.tools import SQL


class LibraryLoyaltyLiability(models.Model):
    """Points that may still be spent: what a library owes its patrons, by the month in
    which they would expire, and in money where the programme says what a point is
    worth. It is the state of last night.

    As when points expire, what was spent or taken counts as the oldest.
    """

    _name = "library.loyalty.liability"
    _description = "Open Points"
    _inherit = "library.loyalty.figures"
    _order = "program_id, expires_in, branch_id, patron_category_id, id"
    _rec_name = "program_id"

    expires_in = fields.Date(
        readonly=True,
        help="The first day of the month in which the points expire, unless they are "
        "spent before. Empty: never.",
    )
    patrons = fields.Integer(
        help="Who has points that expire in this month; somebody with points of "
        "several months is in each of them.",
    )
    points = fields.Float(string="Open Points", digits=(16, 0), readonly=True)
    currency_id = fields.Many2one(
        "res.currency", required=True, readonly=True, ondelete="restrict"
    )
    value = fields.Monetary(
        readonly=True,
        help="The open points times what the programme says that a point is worth.",
    )

    @api.model
    def _refresh(self, company):
        """Cost: one pass over the ledger of the library."""
        self.env.cr.execute(
            SQL(
                "DELETE FROM library_loyalty_liability WHERE company_id = %s",
                company.id,
            )
        )
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO library_loyalty_liability (
                       company_id, program_id, expires_in, branch_id,
                       patron_category_id, patrons, points, currency_id, value
                       )
                SELECT %(company)s, told.program_id, told.expires_in, told.branch,
                       told.category, count(*), sum(told.points),
                       program.currency_id,
                       sum(told.points) * coalesce(program.library_point_value, 0)
                  FROM (%(pooled)s) told
                  JOIN loyalty_program program ON program.id = told.program_id
              GROUP BY told.program_id, told.expires_in, told.branch, told.category,
                       program.id
                """,
                company=company.id,
                pooled=self._query_pooled(
                    self._query_open(company), ("program_id", "expires_in")
                ),
            )
        )

    @api.model
    def _query_open(self, company):
        """A row for each card and month of expiry, with the points that are left.

        Until a month as much expires as was given for the days of which it is the
        month, and of those before, less all that was taken; and never more than there
        is. What a month has is the difference to the month before.
        """
        return SQL(
            """
            SELECT left_over.program_id, left_over.expires_in, left_over.points,
                   patron.branch_id, patron.patron_category_id
              FROM (
                    SELECT card_id, program_id, patron_id, expires_in,
                           until - coalesce(
                               lag(until) OVER (
                                   PARTITION BY card_id ORDER BY expires_in
                               ),
                               0
                           ) AS points
                      FROM (
                            SELECT card_id, program_id, patron_id, expires_in,
                                   greatest(0, min(until) OVER (
                                       PARTITION BY card_id ORDER BY expires_in DESC
                                   )) AS until
                              FROM (%(by_month)s) by_month
                           ) never_falling
                   ) left_over
              JOIN library_patron patron ON patron.id = left_over.patron_id
             WHERE left_over.points > 0
            """,
            by_month=self._query_until(company),
        )

    @api.model
    def _query_until(self, company):
        """For each card and month of expiry the points that expire until then, which
        may be below zero where more was taken than had been given by then."""
        is_gift = self.env["loyalty.program"]._sql_is_gift()
        return SQL(
            """
            SELECT card_id, program_id, patron_id, expires_in,
                   least(
                       points,
                       sum(given) OVER (
                           PARTITION BY card_id
                               ORDER BY expires_in
                       )
                       + sum(taken) OVER (PARTITION BY card_id)
                   ) AS until
              FROM (
                    SELECT card.id AS card_id, card.program_id,
                           card.library_patron_id AS patron_id, card.points,
                           CASE WHEN program.library_expire_months > 0
                                THEN date_trunc('month',
                                         history.library_date
                                         + make_interval(
                                             months => program.library_expire_months,
                                             days => 1
                                         )
                                     )::date
                           END AS expires_in,
                           coalesce(sum(history.issued - history.used)
                               FILTER (WHERE %(is_gift)s), 0) AS given,
                           coalesce(sum(history.issued - history.used)
                               FILTER (WHERE NOT %(is_gift)s), 0) AS taken
                      FROM loyalty_card card
                      JOIN loyalty_program program ON program.id = card.program_id
                      JOIN loyalty_history history ON history.card_id = card.id
                     WHERE card.is_library
                       AND card.active
                       AND program.active
                       AND card.points > 0
                       AND card.company_id = %(company)s
                  GROUP BY card.id, program.id, 5
                   ) booked
            """,
            is_gift=is_gift,
            company=company.id,
        )
