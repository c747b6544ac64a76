from odoo import api, fields, models
from odoo.tools import SQL


class LibraryServiceUsageMonth(models.Model):
    """How often services were used in a month, without anybody's name: the figures
    that reports read, and that stay when the rows of use are deleted.

    A cell (month, branch, service, channel, category, age band) may have several rows,
    which are to be added up: whoever records a use adds a row of the difference and
    waits for nobody. Once a day they are joined into one.
    """

    _name = "library.service.usage.month"
    _description = "Use of a Service in a Month"
    _order = "month desc, branch_id, service_id, id"
    _rec_name = "service_id"
    _log_access = False
    _library_personal_data = {"*": "figures"}

    month = fields.Date(required=True, readonly=True, help="Its first day.")
    company_id = fields.Many2one(
        "res.company", string="Library", required=True, readonly=True
    )
    branch_id = fields.Many2one(
        "library.branch", required=True, readonly=True, ondelete="restrict"
    )
    service_id = fields.Many2one(
        "library.service", required=True, readonly=True, ondelete="restrict"
    )
    category = fields.Selection(
        related="service_id.category", string="Kind of Service", readonly=True
    )
    indicator = fields.Selection(related="service_id.indicator", readonly=True)
    channel = fields.Selection(
        lambda self: (
            self.env["library.service"]
            ._fields["channel"]
            ._description_selection(self.env)
        ),
        readonly=True,
    )
    patron_category_id = fields.Many2one(
        "library.patron.category",
        readonly=True,
        ondelete="restrict",
        help="Empty: anonymous counts, and patrons without a category.",
    )
    age_band = fields.Selection(
        lambda self: (
            self.env["library.service.usage"]
            ._fields["age_band"]
            ._description_selection(self.env)
        ),
        readonly=True,
    )
    quantity = fields.Integer(
        string="Uses", required=True, readonly=True, aggregator="sum"
    )

    #: With what the figures of a dashboard are made of, so that the months of a library
    #: are added up from the index alone, in its order.
    _month_idx = models.Index(
        "(company_id, month, branch_id, service_id) "
        "INCLUDE (quantity, patron_category_id)"
    )

    def init(self):
        """Count what is there, in a library that had rows of use before it had this."""
        self.env.cr.execute(
            """
            SELECT EXISTS (SELECT FROM library_service_usage)
               AND NOT EXISTS (SELECT FROM library_service_usage_month)
            """
        )
        if self.env.cr.fetchone()[0]:
            Usage = self.env["library.service.usage"]
            self.env.cr.execute(Usage._sql_roll_up(SQL("library_service_usage"), 1))

    @api.autovacuum
    def _gc_differences(self):
        """Join the rows of each cell into one."""
        self.env.cr.execute(
            """
            WITH cell AS (
                SELECT array_agg(id) AS ids, min(id) AS id, sum(quantity) AS quantity
                  FROM library_service_usage_month
              GROUP BY month, company_id, branch_id, service_id, channel,
                       patron_category_id, age_band
                HAVING count(*) > 1 OR sum(quantity) = 0
            ),
            joined AS (
                UPDATE library_service_usage_month figure
                   SET quantity = cell.quantity
                  FROM cell
                 WHERE figure.id = cell.id
                   AND cell.quantity != 0
            )
            DELETE FROM library_service_usage_month figure
             USING cell
             WHERE figure.id = ANY(cell.ids)
               AND (figure.id != cell.id OR cell.quantity = 0)
            """
        )
        self.invalidate_model()
