from odoo import api, fields, models
from odoo.tools import SQL


class LibraryLoyaltyCost(models.Model):
    """What rewards cost: of those that patrons took points for in a month, how many
    were handed over, what these cost, and what is still to be handed over. A reward
    that was undone counts nowhere, one whose voucher was not used in time costs
    nothing; a gift to a cause is handed over at once.

    What a reward costs is what it did on the day when the points were taken.
    """

    _name = "library.loyalty.cost"
    _description = "Cost of Rewards"
    _inherit = "library.loyalty.figures"
    _order = "month desc, reward_id, branch_id, patron_category_id, id"
    _rec_name = "reward_id"

    reward_id = fields.Many2one(
        "library.loyalty.reward",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    kind = fields.Selection(related="reward_id.kind", store=True)
    month = fields.Date(
        required=True,
        readonly=True,
        help="The first day of the month in which the points were taken.",
    )
    patrons = fields.Integer(help="Who took the reward in the month.")
    given = fields.Integer(
        string="Taken",
        required=True,
        readonly=True,
        aggregator="sum",
        help="How often points were taken for it, and not given back by hand.",
    )
    handed_over = fields.Integer(required=True, readonly=True, aggregator="sum")
    points = fields.Integer(
        required=True,
        readonly=True,
        aggregator="sum",
        help="Points of those handed over.",
    )
    currency_id = fields.Many2one(
        "res.currency", required=True, readonly=True, ondelete="restrict"
    )
    cost = fields.Monetary(
        readonly=True, aggregator="sum", help="Of those handed over."
    )
    cost_each = fields.Monetary(
        string="Cost per Reward",
        readonly=True,
        aggregator="avg",
        help="The cost of those handed over, divided by how many they are.",
    )
    waiting = fields.Integer(
        string="Vouchers Out",
        required=True,
        readonly=True,
        aggregator="sum",
        help="Not handed over yet, and still good.",
    )
    waiting_cost = fields.Monetary(
        string="Still to Pay",
        readonly=True,
        aggregator="sum",
        help="What the vouchers that are out will cost when all of them are used.",
    )

    def _read_group_select(self, aggregate_spec, query):
        """The cost of one is that of all divided by all, however rows are grouped."""
        if aggregate_spec != "cost_each:avg":
            return super()._read_group_select(aggregate_spec, query)
        cost, number = (
            self._field_to_sql(self._table, name, query)
            for name in ("cost", "handed_over")
        )
        return SQL("SUM(%s) / NULLIF(SUM(%s), 0)", cost, number)

    @api.model
    def _refresh(self, company):
        """Cost: one pass over the redemptions of the library."""
        self.env.cr.execute(
            SQL("DELETE FROM library_loyalty_cost WHERE company_id = %s", company.id)
        )
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO library_loyalty_cost (
                       company_id, program_id, reward_id, kind, month, branch_id,
                       patron_category_id, patrons, given, handed_over, points,
                       currency_id, cost, cost_each, waiting, waiting_cost
                       )
                SELECT %(company)s, reward.program_id, reward.id, reward.kind,
                       told.month, told.branch, told.category, count(*),
                       sum(told.given), sum(told.handed_over), sum(told.points),
                       %(currency)s, sum(told.cost),
                       sum(told.cost) / nullif(sum(told.handed_over), 0),
                       sum(told.waiting), sum(told.waiting_cost)
                  FROM (%(pooled)s) told
                  JOIN library_loyalty_reward reward ON reward.id = told.reward_id
              GROUP BY reward.id, told.month, told.branch, told.category
                """,
                company=company.id,
                currency=company.currency_id.id,
                pooled=self._query_pooled(
                    self._query_redemptions(company), ("reward_id", "month")
                ),
            )
        )

    @api.model
    def _query_redemptions(self, company):
        """A row for each card, reward and month."""
        return SQL(
            """
            SELECT taken.*, patron.branch_id, patron.patron_category_id
              FROM (
                    SELECT redemption.card_id, redemption.reward_id,
                           date_trunc('month', redemption.issued_on)::date AS month,
                           count(*) AS given,
                           count(*) FILTER (WHERE state = 'redeemed') AS handed_over,
                           coalesce(sum(redemption.points)
                               FILTER (WHERE state = 'redeemed'), 0) AS points,
                           coalesce(sum(redemption.cost)
                               FILTER (WHERE state = 'redeemed'), 0) AS cost,
                           count(*) FILTER (WHERE state = 'issued') AS waiting,
                           coalesce(sum(redemption.cost)
                               FILTER (WHERE state = 'issued'), 0) AS waiting_cost
                      FROM library_loyalty_redemption redemption
                     WHERE redemption.company_id = %s AND state != 'undone'
                  GROUP BY 1, 2, 3
                   ) taken
              JOIN loyalty_card card ON card.id = taken.card_id
         LEFT JOIN library_patron patron ON patron.id = card.library_patron_id
            """,
            company.id,
        )
