from odoo import api, fields, models
from odoo.tools import SQL


class LibraryLoyaltyMonth(models.Model):
    """Points that patrons of a programme earned, spent and lost in a month, by the day
    of the use or whatever the points are for. Counted from the ledger, which keeps
    them for ever, so late and corrected use changes the month that it belongs to."""

    _name = "library.loyalty.month"
    _description = "Points by Month"
    _inherit = "library.loyalty.figures"
    _order = "month desc, program_id, branch_id, patron_category_id, id"
    _rec_name = "month"

    month = fields.Date(required=True, readonly=True, help="Its first day.")
    patrons = fields.Integer(
        help="Who earned, spent or lost points in the month.",
    )
    earned = fields.Float(
        digits=(16, 0),
        readonly=True,
        help="Points for use and other things that rules name, after corrections.",
    )
    by_hand = fields.Float(
        digits=(16, 0), readonly=True, help="Points that staff gave, less those taken."
    )
    redeemed = fields.Float(
        digits=(16, 0),
        readonly=True,
        help="Points spent on rewards or given to a cause, less those of redemptions "
        "that were undone.",
    )
    expired = fields.Float(
        digits=(16, 0), readonly=True, help="Points that were too old."
    )
    change = fields.Float(
        string="More Open Points",
        digits=(16, 0),
        readonly=True,
        help="All that was added less all that was taken: by so much the points that "
        "may still be spent went up.",
    )

    #: Which kinds of lines a field adds up, and with which sign.
    _KINDS = {
        "earned": (("earned", "corrected"), 1),
        "by_hand": (("manual",), 1),
        "redeemed": (("redeemed", "donated", "undone"), -1),
        "expired": (("expired",), -1),
    }

    @api.model
    def _refresh(self, company):
        """Cost: one pass over the ledger of the library."""
        names = [*self._KINDS, "change"]
        self.env.cr.execute(
            SQL("DELETE FROM library_loyalty_month WHERE company_id = %s", company.id)
        )
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO library_loyalty_month (
                       company_id, program_id, month, branch_id, patron_category_id,
                       patrons, %(names)s
                       )
                SELECT %(company)s, program_id, month, branch, category,
                       count(*), %(totals)s
                  FROM (%(pooled)s) told
              GROUP BY program_id, month, branch, category
                """,
                names=SQL(", ").join(map(SQL.identifier, names)),
                company=company.id,
                totals=SQL(", ").join(
                    SQL("sum(%s)", SQL.identifier(name)) for name in names
                ),
                pooled=self._query_pooled(
                    self._query_ledger(company), ("program_id", "month")
                ),
            )
        )

    @api.model
    def _query_ledger(self, company):
        """A row for each card and month. A card without a patron is that of somebody
        who was erased."""
        return SQL(
            """
            SELECT card.program_id, booked.*, patron.branch_id,
                   patron.patron_category_id
              FROM (
                    SELECT card.id AS card_id,
                           date_trunc('month', history.library_date)::date AS month,
                           %(totals)s, sum(history.issued - history.used) AS change
                      FROM loyalty_history history
                      JOIN loyalty_card card ON card.id = history.card_id
                     WHERE card.is_library AND card.company_id = %(company)s
                  GROUP BY 1, 2
                   ) booked
              JOIN loyalty_card card ON card.id = booked.card_id
         LEFT JOIN library_patron patron ON patron.id = card.library_patron_id
            """,
            company=company.id,
            totals=SQL(", ").join(
                SQL(
                    """
                    coalesce(
                        %s * sum(history.issued - history.used)
                            FILTER (WHERE history.library_kind = ANY(%s)),
                        0
                    ) AS %s
                    """,
                    sign,
                    list(kinds),
                    SQL.identifier(name),
                )
                for name, (kinds, sign) in self._KINDS.items()
            ),
        )
