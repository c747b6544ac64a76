from collections import defaultdict
from datetime import date

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import format_amount, format_date
from odoo.tools.misc import formatLang

#: How many years the trends go back.
YEARS = 5


class LibraryAnnualReport(models.TransientModel):
    """The library's year on a few pages, for the board and the town: what was used, how
    that has moved in five years, branches beside each other, and what it was worth by
    each table of prices. It is read on the screen or printed.

    All figures come from roll-ups, with the rights of whoever looks; no row of use is
    read, so nobody can be singled out.
    """

    _name = "library.annual.report"
    _description = "Annual Report"

    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        default=lambda self: self.env.company,
    )
    year = fields.Integer(
        required=True,
        default=lambda self: self._get_last_year(),
        help="The calendar year in which it ends.",
    )
    branch_id = fields.Many2one(
        "library.branch", domain="[('company_id', '=', company_id)]"
    )
    body = fields.Html(compute="_compute_body", sanitize=False)

    @api.constrains("year")
    def _check_year(self):
        for report in self:
            if not 1900 <= report.year <= 2200:
                raise ValidationError(
                    self.env._("Year: a year such as 2026 is expected.")
                )

    @api.depends("company_id", "year")
    def _compute_display_name(self):
        for report in self:
            report.display_name = self.env._(
                "Annual report %(year)s", year=str(report.year)
            )

    @api.depends_context("uid", "lang", "allowed_company_ids")
    @api.depends("company_id", "year", "branch_id")
    def _compute_body(self):
        for report in self:
            report.body = 1900 <= report.year <= 2200 and self.env["ir.qweb"]._render(
                "library_crm.library_annual_report_body", report._prepare_values()
            )

    # ------------------------------------------------------------
    # YEARS
    # ------------------------------------------------------------

    @api.model
    def _get_last_year(self):
        """The last year of the library that is over."""
        today = fields.Date.context_today(self)
        first = int(self.env.company.library_fiscal_month)
        begun = today.year + (first > 1 and today.month >= first)
        return begun - 1

    def _get_period(self, year):
        """:return: first and last day of a year of the library"""
        first = int(self.company_id.library_fiscal_month)
        start = date(year - (first > 1), first, 1)
        return start, start + relativedelta(years=1, days=-1)

    def _get_year_of(self, month):
        first = int(self.company_id.library_fiscal_month)
        return month.year + (first > 1 and month.month >= first)

    def _get_domain(self, years=1):
        """:return: the months of the year, and of those before it"""
        start, _end = self._get_period(self.year - years + 1)
        _start, end = self._get_period(self.year)
        domain = Domain("company_id", "=", self.company_id.id)
        domain &= Domain("month", ">=", start) & Domain("month", "<=", end)
        if self.branch_id:
            domain &= Domain("branch_id", "=", self.branch_id.id)
        return domain

    # ------------------------------------------------------------
    # FIGURES
    # ------------------------------------------------------------

    def _prepare_values(self):
        """:return: what the page shows, by the names of its template; a hook"""
        self.ensure_one()
        start, end = self._get_period(self.year)
        trends = self._read_trends()
        values = self._read_values()
        return {
            "report": self,
            "period": [format_date(self.env, day) for day in (start, end)],
            "is_running": end >= fields.Date.context_today(self),
            "years": list(range(self.year - YEARS + 1, self.year + 1)),
            "trends": trends,
            "tables": values,
            "kinds": self._read_value_by_kind([row["table"] for row in values]),
            "branches": [] if self.branch_id else self._read_branches(),
            "indicator_names": self._get_indicator_names(),
            "satisfaction": self._read_satisfaction(start, end),
        }

    @api.model
    def _get_indicator_names(self):
        field = self.env["library.service"]._fields["indicator"]
        return {
            name: label
            for name, label in field._description_selection(self.env)
            if name != "none"
        }

    def _read_trends(self):
        """What was counted in each of the years; a year of which nothing is known has
        no figure, which is not a zero."""
        counts = defaultdict(dict)
        for month, service, quantity in self.env[
            "library.service.usage.month"
        ]._read_group(
            self._get_domain(YEARS), ["month:month", "service_id"], ["quantity:sum"]
        ):
            year = self._get_year_of(month)
            years = counts[service.sudo().indicator]
            years[year] = years.get(year, 0) + quantity
        return [
            self._prepare_trend(label, counts[name])
            for name, label in self._get_indicator_names().items()
            if counts[name]
        ]

    def _prepare_trend(self, name, years):
        shown = range(self.year - YEARS + 1, self.year + 1)
        highest = max(years.values())
        now, before = years.get(self.year), years.get(self.year - 1)
        change = now is not None and before and round(100 * (now - before) / before)
        return {
            "name": name,
            "value": self._format(now),
            "change": f"{change:+d} %" if before and now is not None else "",
            "years": [self._format(years.get(year)) for year in shown],
            "bars": [
                round(24 * max(years.get(year, 0), 0) / highest, 1) if highest else 0
                for year in shown
            ],
        }

    def _read_values(self):
        """Value, cost and return by each table of prices, the lowest first."""
        rows = self.env["library.value.report"]._read_group(
            self._get_domain(),
            ["table_id"],
            ["value:sum", "cost:sum", "value_rate:avg", "quantity:sum", "unpriced:sum"],
        )
        return sorted(
            (
                {
                    "table": table.sudo(),
                    "amount": value or 0,
                    "value": self._format_money(value, table),
                    "cost": self._format_money(cost, table),
                    "rate": rate
                    and self._format_money(rate / 100, table)
                    or self.env._("no cost entered"),
                    "unpriced": self._format(unpriced),
                    "quantity": self._format(quantity),
                }
                for table, value, cost, rate, quantity, unpriced in rows
                if value
            ),
            key=lambda row: (row["table"].currency_id.id, row["amount"]),
        )

    def _read_value_by_kind(self, tables):
        """Value by kind of service, the tables side by side.

        :return: rows of the kind, its uses, and its value by each of the tables
        """
        found = defaultdict(dict)
        uses = {}
        for kind, table, quantity, value in self.env[
            "library.value.report"
        ]._read_group(
            self._get_domain(), ["category", "table_id"], ["quantity:sum", "value:sum"]
        ):
            found[kind][table.id] = value
            uses[kind] = quantity
        return [
            (
                label,
                self._format(uses[kind]),
                [
                    self._format_money(found[kind].get(table.id), table)
                    for table in tables
                ],
            )
            for kind, label in self.env["library.value.table"]._get_kinds().items()
            if uses.get(kind)
        ]

    def _read_branches(self):
        """What was counted in each branch; a branch that was not open has no figure."""
        counts = defaultdict(dict)
        for branch, service, quantity in self.env[
            "library.service.usage.month"
        ]._read_group(
            self._get_domain(), ["branch_id", "service_id"], ["quantity:sum"]
        ):
            indicator = service.sudo().indicator
            counts[branch][indicator] = counts[branch].get(indicator, 0) + quantity
        if len(counts) < 2:
            return []
        return [
            (
                branch.sudo().name,
                [
                    self._format(counts[branch].get(name))
                    for name in self._get_indicator_names()
                ],
            )
            for branch in sorted(
                counts, key=lambda branch: (branch.sudo().sequence, branch.id)
            )
        ]

    def _read_satisfaction(self, start, end):
        """How satisfied patrons were; a hook.

        :return: pairs of the name of a figure and what it says
        :rtype: list[tuple[str, str]]
        """
        return []

    @api.model
    def _format(self, value):
        """:return: a number as text; an em dash where there is none"""
        if value is None or value is False:
            return "—"
        return formatLang(self.env, value, digits=0)

    @api.model
    def _format_money(self, value, table):
        if not value:
            return "—"
        currency = table.sudo().currency_id
        return format_amount(self.env, value, currency)

    def action_explore(self):
        """Open the value of the year to be grouped at will."""
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_value_report_action"
            ),
            "domain": list(self._get_domain()),
            "context": {},
        }
