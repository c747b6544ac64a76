from odoo import api, fields, models
from odoo.tools import SQL


class LibraryRetentionFormer(models.Model):
    """How many of those who joined in a quarter were erased since, and in how many of
    the quarters after joining they used a service. Without them only those who stayed
    would count. It names nobody."""

    _name = "library.retention.former"
    _description = "Erased Patrons in Retention"
    _log_access = False
    _library_personal_data = {"*": "figures"}

    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, ondelete="cascade"
    )
    cohort = fields.Date(required=True, readonly=True, help="As in retention.")
    branch_id = fields.Many2one("library.branch", readonly=True, ondelete="set null")
    patron_category_id = fields.Many2one(
        "library.patron.category", readonly=True, ondelete="set null"
    )
    period = fields.Integer(
        required=True, readonly=True, help="As in retention; 0: who joined."
    )
    patrons = fields.Integer(required=True, readonly=True)

    _cell_idx = models.Index("(company_id, cohort)")

    @api.model
    def _add(self, patrons):
        """Count patrons who are about to be erased. To be called with sudo.

        Cost: one pass over their uses.
        """
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO library_retention_former (
                       company_id, cohort, branch_id, patron_category_id, period,
                       patrons
                       )
                SELECT patron.company_id,
                       date_trunc('quarter', patron.enrolled_on)::date,
                       patron.branch_id, patron.patron_category_id, part.period,
                       count(DISTINCT patron.id)
                  FROM library_patron patron
                  JOIN LATERAL (
                        SELECT 0 AS period
                     UNION ALL
                        SELECT (usage.date - patron.enrolled_on) / %(days)s + 1
                          FROM library_service_usage usage
                         WHERE usage.patron_id = patron.id
                           AND usage.date >= patron.enrolled_on
                       ) part ON TRUE
                 WHERE patron.id = ANY(%(patrons)s)
                   AND patron.enrolled_on IS NOT NULL
              GROUP BY 1, 2, 3, 4, 5
                """,
                days=self.env["library.retention"]._PERIOD_DAYS,
                patrons=list(patrons._ids),
            )
        )
        self.invalidate_model()
