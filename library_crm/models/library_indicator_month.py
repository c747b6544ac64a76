from odoo import api, fields, models
from odoo.tools import SQL


class LibraryIndicatorMonth(models.Model):
    """That the indicators of a month were counted, and from what: a month is opened
    again when its uses are not the same any more, e.g. because of a late load."""

    _name = "library.indicator.month"
    _description = "Month of Indicators"
    _order = "month desc, id desc"
    _rec_name = "month"
    _log_access = False
    _library_personal_data = {"*": "figures"}

    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    month = fields.Date(required=True, readonly=True, help="Its first day.")
    uses = fields.Char(
        readonly=True,
        help="Tells the uses that were counted from others; empty: count them again.",
    )
    counted_on = fields.Datetime(readonly=True)
    reopened_on = fields.Datetime(
        readonly=True, help="When it was counted again because its uses had changed."
    )

    _month_uniq = models.UniqueIndex(
        "(company_id, month)", "Month: it is there already."
    )

    @api.model
    def _touch(self, company, first, last):
        """Have the months of a period counted again in the night."""
        self.search(
            [
                ("company_id", "=", company.id),
                ("month", ">=", fields.Date.start_of(first, "month")),
                ("month", "<=", last),
            ]
        ).uses = False

    @api.model
    def _query_uses(self, company, before):
        """The months that are over in which services were used, and what tells their
        uses from others.

        Cost: one pass over the roll-up of the library.
        """
        return SQL(
            """
            SELECT month,
                   concat(
                       sum(quantity), '/',
                       sum(quantity::numeric * branch_id * branch_id), '/',
                       sum(quantity::numeric * service_id * service_id), '/',
                       sum(quantity::numeric * branch_id * service_id)
                   ) AS uses
              FROM library_service_usage_month
             WHERE company_id = %s
               AND month < %s
          GROUP BY month
            HAVING sum(quantity) > 0
            """,
            company.id,
            before,
        )
