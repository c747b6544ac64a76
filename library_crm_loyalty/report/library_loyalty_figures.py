from odoo import api, fields, models
from odoo.tools import SQL

from odoo.addons.library_crm.models.library_service_usage import FEWEST_PATRONS


class LibraryLoyaltyFigures(models.AbstractModel):
    """Figures of programmes that are counted every night: rows of groups, by programme,
    branch and category, and nobody's name.

    Where a category of a branch has fewer than five patrons, they go together with
    those of its other small categories; where these are too few, with those of other
    branches. So nothing is lost to the sums. A row that is of fewer than five even then
    is seen by managers alone (``security/library_loyalty_figures_rules.xml``): whoever
    sees a sum sees all of its rows, and nothing can be taken from it to tell the rest.

    Branch and category are those of today.
    """

    _name = "library.loyalty.figures"
    _description = "Figures of Programmes"
    _inherit = ["library.count.mixin", "library.ratio.mixin"]
    _log_access = False
    _library_personal_data = {"*": "figures"}

    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    program_id = fields.Many2one(
        "loyalty.program",
        string="Programme",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    branch_id = fields.Many2one(
        "library.branch",
        string="Home Branch",
        readonly=True,
        ondelete="cascade",
        help="Empty: patrons of several branches, of whom there are too few to be "
        "shown by branch.",
    )
    patron_category_id = fields.Many2one(
        "library.patron.category",
        string="Category",
        readonly=True,
        ondelete="cascade",
        help="Empty: patrons of several categories, of whom there are too few to be "
        "shown by category.",
    )
    patrons = fields.Integer(required=True, readonly=True, aggregator=None)

    @api.model
    def _count(self, company):
        self.env.flush_all()
        self._refresh(company)
        self.invalidate_model()

    @api.model
    def _refresh(self, company):
        """Write the figures of a library anew. The caller has flushed."""
        raise NotImplementedError

    @api.model
    def _query_pooled(self, rows, keys, counts=None):
        """Say for each row in which group it is told.

        :param SQL rows: a query of one row for each patron and key, with their
            ``branch_id`` and ``patron_category_id``
        :param keys: names of the columns that groups are never joined across
        :param SQL counts: a condition on a row: whether it counts for the size
        :return: the rows, with ``branch`` and ``category`` of their group
        """
        return SQL(
            """
            SELECT *,
                   CASE WHEN size >= %(fewest)s OR rest >= %(fewest)s
                        THEN branch_id END AS branch,
                   CASE WHEN size >= %(fewest)s
                        THEN patron_category_id END AS category
              FROM (
                    SELECT *,
                           count(*) FILTER (WHERE size < %(fewest)s AND %(counts)s)
                               OVER (PARTITION BY %(keys)s, branch_id) AS rest
                      FROM (
                            SELECT *,
                                   count(*) FILTER (WHERE %(counts)s) OVER (
                                       PARTITION BY %(keys)s, branch_id,
                                                    patron_category_id
                                   ) AS size
                              FROM (%(rows)s) person
                           ) by_category
                   ) by_branch
            """,
            fewest=FEWEST_PATRONS,
            counts=counts or SQL("TRUE"),
            keys=SQL(", ").join(map(SQL.identifier, keys)),
            rows=rows,
        )
