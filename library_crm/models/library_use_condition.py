from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import SQL
from odoo.tools.date_utils import subtract


class LibraryUseCondition(models.Model):
    """What patrons have in common in their use of services: “borrowed at least ten
    times in a year”, “never came to a programme”, “mostly e-lending”."""

    _name = "library.use.condition"
    _inherit = ["library.cache.mixin"]
    _description = "Condition on Use"
    _order = "sequence, id"
    _library_personal_data = {"*": "setting"}

    segment_id = fields.Many2one("library.segment", index=True, ondelete="cascade")
    cluster_id = fields.Many2one("library.cluster", index=True, ondelete="cascade")
    company_id = fields.Many2one(
        "res.company", compute="_compute_company_id", store=True, string="Library"
    )
    sequence = fields.Integer(default=10)
    rule = fields.Selection(
        [
            ("at_least", "at least"),
            ("at_most", "at most"),
            ("never", "never"),
            ("share", "as at least … % of all use"),
        ],
        string="Used",
        required=True,
        default="at_least",
    )
    amount = fields.Integer(default=1, required=True)
    unit = fields.Selection(
        [("times", "times"), ("days", "on different days")],
        required=True,
        default="times",
    )
    service_category = fields.Selection(
        lambda self: (
            self.env["library.service"]
            ._fields["category"]
            ._description_selection(self.env)
        ),
        string="Kind of Service",
        help="Also of services that are added later.",
    )
    service_ids = fields.Many2many(
        "library.service",
        string="Services",
        help="Any of them; empty: all of the kind.",
    )
    branch_ids = fields.Many2many("library.branch", string="Branches")
    period_days = fields.Integer(
        string="In Days",
        required=True,
        default=365,
        help="Counted back from today; 0: ever.",
    )
    months = fields.Char(help="Only in these months, e.g. 1, 6, 7 for exam time.")

    _one_owner = models.Constraint(
        "CHECK (num_nonnulls(segment_id, cluster_id) = 1)",
        "Condition on use: it belongs to a segment or to a cluster.",
    )
    _amount_plausible = models.Constraint(
        "CHECK (amount >= 0 AND (rule NOT IN ('at_least', 'share') OR amount > 0) "
        "AND (rule != 'share' OR amount <= 100))",
        "Condition on use: 1 or more is expected, of a share 100 at most.",
    )
    _period_plausible = models.Constraint(
        "CHECK (period_days >= 0 AND (cluster_id IS NULL "
        "OR period_days BETWEEN 1 AND 365))",
        "Condition on use: the days are 0 (ever) or more; of a cluster 1 to 365.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        conditions = super().create(vals_list)
        conditions.segment_id._check_rule()
        return conditions

    def write(self, vals):
        result = super().write(vals)
        self.segment_id._check_rule()
        return result

    @api.depends("segment_id.company_id", "cluster_id.company_id")
    def _compute_company_id(self):
        for condition in self:
            owner = condition.segment_id or condition.cluster_id
            condition.company_id = owner.company_id

    @api.depends(
        *("rule", "amount", "unit", "service_category", "service_ids", "period_days")
    )
    @api.depends_context("lang")
    def _compute_display_name(self):
        """The condition as a sentence would say it, for small screens."""
        labels = {
            name: dict(self._fields[name]._description_selection(self.env))
            for name in ("rule", "unit", "service_category")
        }
        for condition in self:
            rule = labels["rule"].get(condition.rule, "")
            if condition.rule == "share":
                rule = rule.replace("…", str(condition.amount))
            elif condition.rule != "never":
                unit = labels["unit"].get(condition.unit, "")
                rule = f"{rule} {condition.amount} {unit}"
            what = ", ".join(condition.service_ids.mapped("name")) or labels[
                "service_category"
            ].get(condition.service_category)
            when = condition.period_days and self.env._(
                "in %s days", condition.period_days
            )
            condition.display_name = " · ".join(filter(None, (rule, what, when)))

    @api.constrains("months")
    def _check_months(self):
        for condition in self:
            condition._get_months()

    def _get_months(self):
        """:return: the numbers of the months; none: all
        :raise ValidationError: if the text is something else
        """
        try:
            months = [int(part) for part in (self.months or "").split(",") if part]
        except ValueError:
            months = [0]
        if not all(1 <= month <= 12 for month in months):
            raise ValidationError(
                self.env._(
                    "Months: numbers from 1 to 12 with commas between them are "
                    "expected, “%(found)s” was found.",
                    found=self.months,
                )
            )
        return months

    # ------------------------------------------------------------
    # QUERIES
    # ------------------------------------------------------------

    def _sql_matches(self):
        """Whether the row ``use`` of use is one that the condition speaks of."""
        self.ensure_one()
        parts = []
        if self.period_days:
            parts.append(SQL("use.date > %s", self._get_first_day()))
        services = self.service_ids._origin
        if self.service_category and not services:
            services = (
                self.env["library.service"]
                .sudo()
                .with_context(active_test=False)
                .search([("category", "=", self.service_category)])
            )
        if services or self.service_category:
            parts.append(SQL("use.service_id = ANY(%s)", services.ids))
        if self.branch_ids:
            parts.append(SQL("use.branch_id = ANY(%s)", self.branch_ids._origin.ids))
        if months := self._get_months():
            parts.append(SQL("date_part('month', use.date) = ANY(%s)", months))
        return SQL(" AND ").join(parts) if parts else SQL("TRUE")

    def _get_first_day(self):
        return subtract(fields.Date.context_today(self), days=self.period_days)

    def _sql_holds(self, among_all=True):
        """Whether the condition holds for all rows ``use`` of a patron together; of a
        patron without rows it says nothing.

        :param bool among_all: rows stand there too of which it does not speak
        """
        self.ensure_one()
        matches = self._sql_matches()
        chosen = SQL("FILTER (WHERE %s)", matches) if among_all else SQL()
        if self.rule == "share":
            period = self._get_first_day() if self.period_days else None
            whole = SQL("use.date > %s", period) if period else SQL("TRUE")
            return SQL(
                "100 * sum(use.quantity) FILTER (WHERE %s) "
                ">= %s * sum(use.quantity) FILTER (WHERE %s)",
                matches,
                self.amount,
                whole,
            )
        if self.rule == "never":
            return SQL("count(*) %s = 0", chosen)
        counted = (
            SQL("count(DISTINCT use.date)")
            if self.unit == "days"
            else SQL("sum(use.quantity)")
        )
        return SQL(
            "coalesce(%s %s, 0) %s %s",
            counted,
            chosen,
            SQL(">=") if self.rule == "at_least" else SQL("<="),
            self.amount,
        )

    def _get_domain(self):
        """The patrons for whom the condition holds, as a domain on patrons.

        Cost: one pass over the rows of use that it speaks of.
        """
        self.ensure_one()
        self.env["library.service.usage"].flush_model()
        if self.rule == "never" or (self.rule == "at_most" and not self.amount):
            return Domain("id", "not in", self._sql_patrons(SQL("TRUE")))
        if self.rule == "at_least" and self.amount == 1:
            return Domain("id", "in", self._sql_patrons(SQL("TRUE")))
        holds = self._sql_holds(among_all=self.rule == "share")
        if self.rule == "at_most":
            # Patrons without rows have to be among those of whom it is true.
            return Domain("id", "not in", self._sql_patrons(SQL("NOT (%s)", holds)))
        return Domain("id", "in", self._sql_patrons(holds))

    def _sql_patrons(self, having):
        """The patrons whose rows together fulfil ``having``, in parentheses."""
        # Of a share all rows count, else only those that the condition speaks of.
        rows = self._sql_matches()
        if self.rule == "share":
            rows = (
                SQL("use.date > %s", self._get_first_day())
                if self.period_days
                else SQL("TRUE")
            )
        # Materialized, so that it is asked once: in a parallel plan each worker would
        # read all these rows for itself.
        return SQL(
            """(
                WITH holder AS MATERIALIZED (
                    SELECT use.patron_id
                      FROM library_service_usage use
                     WHERE use.patron_id IS NOT NULL
                       AND %s
                  GROUP BY use.patron_id
                    HAVING %s
                )
                SELECT patron_id FROM holder
            )""",
            rows,
            having,
        )
