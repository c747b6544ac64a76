from odoo import api, fields, models
from odoo.tools import SQL


class LibraryLoyaltyParticipation(models.Model):
    """How many of those who used the library in a month take part in a programme.

    Everybody who used any service in the month counts once; a member is who took part
    by then. A card that was archived counts until the month in which that was done.
    Months are counted from the rows of use, and outlive them.
    """

    _name = "library.loyalty.participation"
    _description = "Participation"
    _inherit = "library.loyalty.figures"
    _order = "month desc, program_id, branch_id, patron_category_id, id"
    _rec_name = "month"
    _ratios = {"share": ("members", "patrons")}

    month = fields.Date(required=True, readonly=True, help="Its first day.")
    patrons = fields.Integer(
        string="Used a Service",
        aggregator="avg",
        help="Patrons who used any service in the month, each counted once. Of "
        "several months or programmes together: the average.",
    )
    members = fields.Integer(
        required=True,
        readonly=True,
        aggregator="avg",
        help="Of these, who take part. Of several months or programmes together: the "
        "average.",
    )
    share = fields.Float(
        string="Take Part (%)",
        digits=(16, 1),
        readonly=True,
        aggregator="avg",
        help="Of a hundred who used a service in the month, how many take part.",
    )

    def _read_group_select(self, aggregate_spec, query):
        """Patrons come in many months, so adding up would count them again and again;
        groups of one month and programme are added up."""
        if aggregate_spec in ("patrons:avg", "members:avg"):
            number, program, month = (
                self._field_to_sql(self._table, name, query)
                for name in (
                    aggregate_spec.partition(":")[0],
                    "program_id",
                    "month",
                )
            )
            return SQL(
                "SUM(%s)::float / NULLIF(COUNT(DISTINCT (%s, %s)), 0)",
                number,
                program,
                month,
            )
        return super()._read_group_select(aggregate_spec, query)

    @api.model
    def _refresh(self, company):
        """Count the months of which all use is known. What was counted of earlier ones
        stays.

        Cost: one pass over the uses of the library.
        """
        since = self.env["library.service.usage"]._get_kept_since(company)
        if not since:
            return
        self.env.cr.execute(
            SQL(
                """
                DELETE FROM library_loyalty_participation
                 WHERE company_id = %s AND month >= %s
                """,
                company.id,
                since,
            )
        )
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO library_loyalty_participation (
                       company_id, program_id, month, branch_id, patron_category_id,
                       patrons, members, share
                       )
                SELECT %(company)s, program_id, month, branch, category, count(*),
                       count(*) FILTER (WHERE is_member),
                       100.0 * count(*) FILTER (WHERE is_member) / count(*)
                  FROM (%(pooled)s) told
              GROUP BY program_id, month, branch, category
                """,
                company=company.id,
                pooled=self._query_pooled(
                    self._query_used(company, since), ("program_id", "month")
                ),
            )
        )

    @api.model
    def _query_used(self, company, since):
        """A row for each patron, month of use and programme that had begun."""
        return SQL(
            """
            SELECT begun.program_id, used.month, patron.branch_id,
                   patron.patron_category_id,
                   EXISTS (
                       SELECT FROM loyalty_card card
                        WHERE card.program_id = begun.program_id
                          AND card.library_patron_id = used.patron_id
                          AND card.library_joined_on < used.month + interval '1 month'
                          AND (card.active OR card.write_date >= used.month)
                   ) AS is_member
              FROM (
                    SELECT usage.patron_id,
                           date_trunc('month', usage.date)::date AS month
                      FROM library_service_usage usage
                     WHERE usage.date >= %(since)s
                  GROUP BY 1, 2
                   ) used
              JOIN library_patron patron ON patron.id = used.patron_id
              JOIN (
                    SELECT program_id,
                           date_trunc('month', min(library_joined_on))::date AS month
                      FROM loyalty_card
                     WHERE is_library AND company_id = %(company)s
                  GROUP BY 1
                   ) begun ON begun.month <= used.month
             WHERE patron.company_id = %(company)s
               AND used.month >= %(since)s
            """,
            company=company.id,
            since=since,
        )
