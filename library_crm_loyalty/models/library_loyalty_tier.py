from odoo import fields, models
from odoo.tools import SQL


class LibraryLoyaltyTier(models.Model):
    """A level in a programme, such as Silver: who reaches it, and what they get there.

    Patrons go up at once, and down when they have been below for the days of grace. The
    perks are told to staff; longer loans are the library system's business.
    """

    _name = "library.loyalty.tier"
    _description = "Loyalty Tier"
    _order = "program_id, sequence, id"
    _library_personal_data = {"*": "setting"}

    program_id = fields.Many2one(
        "loyalty.program",
        string="Programme",
        required=True,
        index=True,
        ondelete="cascade",
        domain=[("program_type", "=", "library")],
    )
    company_id = fields.Many2one(
        related="program_id.company_id", store=True, precompute=True, string="Library"
    )
    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(
        default=10, help="The last tier in this order is the highest."
    )
    basis = fields.Selection(
        [("points", "Points earned"), ("days", "Days of use")],
        string="Reached by",
        required=True,
        default="points",
        help="Within the last 365 days.",
    )
    threshold = fields.Integer(string="At Least", required=True, default=100)
    grace_days = fields.Integer(
        string="Days of Grace",
        default=60,
        help="How long patrons keep the tier when they no longer reach it.",
    )
    perks = fields.Text(translate=True, help="What staff are told, e.g. longer loans.")
    card_ids = fields.One2many("loyalty.card", "library_tier_id", string="Cards")
    card_count = fields.Integer(string="Patrons", compute="_compute_card_count")

    _threshold_plausible = models.Constraint(
        "CHECK (threshold > 0 AND grace_days BETWEEN 0 AND 3650)",
        "Tier: at least 1 point or day, and 0 to 3,650 days of grace.",
    )

    def _compute_card_count(self):
        counts = dict(
            self.env["loyalty.card"]._read_group(
                [("library_tier_id", "in", self.ids)], ["library_tier_id"], ["__count"]
            )
        )
        for tier in self:
            tier.card_count = counts.get(tier, 0)

    def _sql_place(self, chosen, today):
        """Move the chosen cards of the programme of these tiers to the tier that each
        reaches: up at once, down when the grace is over.

        Cost: a pass over a year of the ledger, or of use where tiers go by days.

        :param SQL chosen: a condition on the row ``card``
        :return: a statement that writes only cards of which something changes
        """
        program = self.program_id
        # The last tier that a card reaches is its tier.
        reached = SQL(
            "CASE %s ELSE 0 END",
            SQL(" ").join(
                SQL(
                    "WHEN %s >= %s THEN %s",
                    SQL("earned.points" if tier.basis == "points" else "used.days"),
                    tier.threshold,
                    place,
                )
                for place, tier in reversed(list(enumerate(self, 1)))
            ),
        )
        tiers = SQL(", ").join(
            SQL("(%s, %s, %s)", place, tier.id, tier.grace_days)
            for place, tier in enumerate(self, 1)
        )
        return SQL(
            """
            WITH tier (place, id, grace) AS (VALUES (0, NULL::int, 0), %(tiers)s),
            earned AS (
                SELECT history.card_id, sum(history.issued - history.used) AS points
                  FROM loyalty_history history
                  JOIN loyalty_card card ON card.id = history.card_id
                 WHERE card.program_id = %(program)s
                   AND %(chosen)s
                   AND %(by_points)s
                   AND history.library_date > %(today)s::date - 365
                   AND (history.library_kind = 'earned'
                        OR history.library_kind = 'corrected'
                           AND history.library_rule_id IS NOT NULL
                        OR history.library_kind = 'journey'
                        OR history.library_kind = 'manual' AND history.issued > 0)
              GROUP BY history.card_id
            ),
            used AS (
                SELECT card.id AS card_id, count(DISTINCT usage.date) AS days
                  FROM loyalty_card card
                  JOIN library_service_usage usage
                    ON usage.patron_id = card.library_patron_id
                 WHERE card.program_id = %(program)s
                   AND %(chosen)s
                   AND %(by_days)s
                   AND usage.date > %(today)s::date - 365
              GROUP BY card.id
            ),
            placed AS (
                SELECT card.id, card.library_tier_id, card.library_tier_until,
                       %(reached)s AS place
                  FROM loyalty_card card
             LEFT JOIN earned ON earned.card_id = card.id
             LEFT JOIN used ON used.card_id = card.id
                 WHERE card.program_id = %(program)s AND card.active AND %(chosen)s
            ),
            moved AS (
                SELECT placed.id,
                       CASE WHEN reaches.place >= has.place
                              OR placed.library_tier_until < %(today)s
                              OR has.grace = 0
                            THEN reaches.id ELSE has.id END AS tier,
                       CASE WHEN reaches.place < has.place
                             AND has.grace > 0
                             AND (placed.library_tier_until IS NULL
                                  OR placed.library_tier_until >= %(today)s)
                            THEN coalesce(
                                placed.library_tier_until, %(today)s::date + has.grace
                            )
                        END AS until
                  FROM placed
                  JOIN tier reaches ON reaches.place = placed.place
                  JOIN tier has
                    ON has.id IS NOT DISTINCT FROM placed.library_tier_id
            )
            UPDATE loyalty_card card
               SET library_tier_id = moved.tier, library_tier_until = moved.until
              FROM moved
             WHERE card.id = moved.id
               AND (card.library_tier_id, card.library_tier_until)
                   IS DISTINCT FROM (moved.tier, moved.until)
            """,
            tiers=tiers,
            program=program.id,
            chosen=chosen,
            by_points="points" in self.mapped("basis"),
            by_days="days" in self.mapped("basis"),
            reached=reached,
            today=today,
        )
