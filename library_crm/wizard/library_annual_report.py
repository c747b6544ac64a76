from collections import defaultdict
from datetime import date

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import format_date
from odoo.tools.misc import formatLang

from ..models.library_service_usage import FEWEST_PATRONS

#: How many years the trends go back.
YEARS = 5
#: What the page begins with: the indicator of people, and what services count for.
HEADLINES = ("loans", "visits", "attendances")


class LibraryAnnualReport(models.TransientModel):
    """The library's year on a few pages, for the board and the town: what was used, how
    that has moved in five years, whether targets were met, where the library stands
    among others, branches beside each other, how satisfied people were, what it was
    worth by each table of prices, and how all that was counted. It is read on the
    screen or printed.

    All figures come from roll-ups and snapshots, with the rights of whoever looks; no
    row of use is read. Fewer than five uses may be those of one person, and are not
    told; where a sum would tell them by taking away, neither is the next larger number.
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

    @api.readonly
    def onchange(self, values, field_names, fields_spec):
        """The page is read while its form is filled in, which writes nothing."""
        return super().onchange(values, field_names, fields_spec)

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
        is_running = end >= fields.Date.context_today(self)
        trends = self._read_trends(is_running)
        tables = self._read_values()
        indicators = self._read_indicators()
        branches = [] if self.branch_id else self._read_branches()
        names = self._get_indicator_names()
        return {
            "report": self,
            "direction": self.env["res.lang"]
            ._get_data(code=self.env.lang or "en_US")
            .direction,
            "period": [format_date(self.env, day) for day in (start, end)],
            "is_running": is_running,
            "years": list(range(self.year - YEARS + 1, self.year + 1)),
            "headlines": self._prepare_headlines(indicators, trends, tables),
            "indicators": indicators,
            "compared": [row for row in indicators if row["comparison"]],
            "trends": trends,
            "tables": tables,
            "worth": self._say_worth(tables),
            "kinds": self._read_value_by_kind([row["table"] for row in tables]),
            "branches": branches,
            "indicator_names": {
                name: label
                for name, label in names.items()
                if any(row["counts"].get(name) for row in branches)
            },
            "satisfaction": self._read_satisfaction(start, end),
            "counted": self._say_counted([trend["key"] for trend in trends]),
        }

    def _prepare_headlines(self, indicators, trends, tables):
        """:return: the figures that the page begins with: name, figure and change"""
        found = [
            (indicator["name"], indicator["years"][-1], indicator["change"])
            for indicator in indicators
            if indicator["code"] == "active_users"
        ]
        by_key = {trend["key"]: trend for trend in trends}
        found += [
            (by_key[key]["name"], by_key[key]["years"][-1], by_key[key]["change"])
            for key in HEADLINES
            if key in by_key
        ]
        told = self._get_compared(tables)
        if told:
            found.append(
                (self.env._("Value of use"), self._say_span(told, "value"), "")
            )
        told = [row for row in told if row["has_rate"]]
        if told:
            found.append(
                (self.env._("Value for 1 spent"), self._say_span(told, "rate"), "")
            )
        return [
            {
                "name": name,
                "value": value,
                # Left to right, or Arabic would put the sign at the other end.
                "change": change
                and self.env._("%(change)s in a year", change=f"\u200e{change}\u200e"),
            }
            for name, value, change in found
            if value != self._format(None)
        ]

    @api.model
    def _get_compared(self, tables):
        """The tables that may be named in one breath: those in the library's currency,
        or else those in that of the first one."""
        own = [row for row in tables if row["is_own_currency"]]
        return own or [
            row
            for row in tables
            if row["table"].currency_id == tables[0]["table"].currency_id
        ]

    @api.model
    def _say_span(self, rows, name):
        ends = list(dict.fromkeys((rows[0][name], rows[-1][name])))
        return " – ".join(ends)

    def _say_worth(self, tables):
        """:return: in a sentence what the use was worth; nothing without a price"""
        told = self._get_compared(tables)
        if not told:
            return ""
        if len(told) == 1:
            return self.env._(
                "%(value)s by the table %(table)s.",
                value=told[0]["value"],
                table=told[0]["table"].name,
            )
        return self.env._(
            "Between %(low)s (%(low_table)s) and %(high)s (%(high_table)s), by the "
            "table of prices.",
            low=told[0]["value"],
            low_table=told[0]["table"].name,
            high=told[-1]["value"],
            high_table=told[-1]["table"].name,
        )

    @api.model
    def _get_indicator_names(self):
        field = self.env["library.service"]._fields["indicator"]
        return {
            name: label
            for name, label in field._description_selection(self.env)
            if name != "none"
        }

    def _read_indicators(self):
        """The indicators in each of the years, with what was aimed at in the last one;
        a year that was not counted has no figure."""
        rows = defaultdict(dict)
        for row in self.env["library.indicator.value"].search(
            [
                ("company_id", "=", self.company_id.id),
                ("branch_id", "=", self.branch_id.id),
                ("is_year_end", "=", True),
                ("year", ">", self.year - YEARS),
                ("year", "<=", self.year),
            ]
        ):
            if row._has_year():
                rows[row.indicator_id.sudo()][row.year] = row
        ends = self.env["library.indicator.value"].union(
            *(years[self.year] for years in rows.values() if self.year in years)
        )
        comparisons = {
            value.indicator_id: row.text
            for value, row in ends._find_comparisons().items()
        }
        return [
            self._prepare_indicator(
                indicator, rows[indicator], comparisons.get(indicator)
            )
            for indicator in sorted(
                rows, key=lambda indicator: (indicator.sequence, indicator.id)
            )
        ]

    def _prepare_indicator(self, indicator, years, comparison):
        now = years.get(self.year)
        standings = dict(
            self.env["library.indicator.value"]
            ._fields["standing"]
            ._description_selection(self.env)
        )
        has_target = now and now.standing != "none"
        return {
            "code": indicator.code,
            "name": indicator.name,
            "formula": indicator.formula,
            "years": [
                years[year].value_text if year in years else self._format(None)
                for year in range(self.year - YEARS + 1, self.year + 1)
            ],
            "comparison": comparison or "",
            "change": self._say_change(now.change)
            if now and now.trend != "none"
            else "",
            "target": now.target_text if has_target else "",
            "standing": now.standing if has_target else "none",
            "standing_text": standings[now.standing] if has_target else "",
        }

    def _read_trends(self, is_running):
        """What was counted in each of the years; a year of which nothing is known has
        no figure, which is not a zero. A part of a year is not compared with a whole
        one."""
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
            self._prepare_trend(key, label, counts[key], is_running)
            for key, label in self._get_indicator_names().items()
            if counts[key]
        ]

    def _prepare_trend(self, key, name, years, is_running):
        shown = range(self.year - YEARS + 1, self.year + 1)
        highest = max(years.values())
        now, before = years.get(self.year), years.get(self.year - 1)
        is_told = now and before and min(now, before) >= FEWEST_PATRONS
        is_told = is_told and not is_running
        return {
            "key": key,
            "name": name,
            "change": self._say_change(100 * (now - before) / before)
            if is_told
            else "",
            "years": [self._format_uses(years.get(year)) for year in shown],
            "bars": [
                round(24 * max(years.get(year, 0), 0) / highest, 1)
                if highest >= FEWEST_PATRONS
                else 0
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
        own = self.company_id.currency_id
        return sorted(
            (
                self._prepare_value(table.sudo(), *figures)
                for table, *figures in rows
                if figures[0] and figures[3] - figures[4] >= FEWEST_PATRONS
            ),
            key=lambda row: (
                row["table"].currency_id != own,
                row["table"].currency_id.id,
                row["amount"],
            ),
        )

    def _prepare_value(self, table, value, cost, rate, quantity, unpriced):
        return {
            "table": table,
            "is_own_currency": table.currency_id == self.company_id.currency_id,
            "amount": value,
            "value": self._format_money(value, table),
            "cost": self._format_money(cost, table),
            "has_rate": bool(rate),
            "rate": self._format_money(rate / 100, table)
            if rate
            else self.env._("no cost entered"),
            "unpriced": self.env._(
                "%(part)s of %(whole)s",
                part=self._format_uses(unpriced),
                whole=self._format_uses(quantity),
            ),
        }

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
        hidden = self._find_hidden(uses)
        return [
            (
                label,
                self._say_fewer() if kind in hidden else self._format(uses[kind]),
                [
                    self._format_money(
                        kind not in hidden and found[kind].get(table.id), table
                    )
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
        users = {
            row.branch_id: row.value_text
            for row in self.env["library.indicator.value"].search(
                [
                    ("company_id", "=", self.company_id.id),
                    ("branch_id", "!=", False),
                    ("indicator_id.code", "=", "active_users"),
                    ("is_year_end", "=", True),
                    ("year", "=", self.year),
                ]
            )
            if row._has_year()
        }
        hidden = {
            name: self._find_hidden(
                {branch: of_branch.get(name) for branch, of_branch in counts.items()}
            )
            for name in self._get_indicator_names()
        }
        return [
            {
                "name": branch.sudo().name,
                "users": users.get(branch, self._format(None)),
                "counts": counts[branch],
                "figures": {
                    name: self._say_fewer()
                    if branch in hidden[name]
                    else self._format(counts[branch].get(name))
                    for name in hidden
                },
            }
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

    # ------------------------------------------------------------
    # WORDS
    # ------------------------------------------------------------

    def _say_counted(self, keys):
        """:return: of each of what services count for, the services that do"""
        services = (
            self.env["library.service"]
            .sudo()
            .with_context(active_test=False)
            .search([("company_id", "in", (False, self.company_id.id))])
            .grouped("indicator")
        )
        names = self._get_indicator_names()
        return [
            (names[key], ", ".join(services[key].mapped("name")))
            for key in keys
            if key in services
        ]

    @api.model
    def _say_fewer(self):
        return self.env._("under %(fewest)s", fewest=FEWEST_PATRONS)

    @api.model
    def _find_hidden(self, counts):
        """Which of the parts of a sum may not be told: those of fewer than five uses,
        and, where these together are fewer than five, the next larger one.

        :param dict counts: of the parts, some of them None
        """
        ordered = sorted(
            (part for part, count in counts.items() if count), key=counts.get
        )
        hidden = [part for part in ordered if counts[part] < FEWEST_PATRONS]
        if hidden and sum(counts[part] for part in hidden) < FEWEST_PATRONS:
            hidden = ordered[: len(hidden) + 1]
        return set(hidden)

    @api.model
    def _say_change(self, percent):
        """With its sign, unless it rounds to nothing."""
        return f"{percent:+.0f} %" if round(percent) else "0 %"

    @api.model
    def _format_uses(self, value):
        """:return: a number of uses as text, unless it is of too few"""
        if value and 0 < value < FEWEST_PATRONS:
            return self._say_fewer()
        return self._format(value)

    @api.model
    def _format(self, value):
        """:return: a number as text; an em dash where there is none"""
        if value is None or value is False:
            return "—"
        return formatLang(self.env, value, digits=0)

    @api.model
    def _format_money(self, value, table):
        """:return: an amount as text, of a thousand and more without what is behind the
        decimal mark, which nobody reads"""
        if not value:
            return "—"
        return formatLang(
            self.env,
            value,
            currency_obj=table.sudo().currency_id,
            rounding_unit="units" if abs(value) >= 1000 else "decimals",
        )

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_print(self):
        """The report as PDF; where the server can not make one, the page to print."""
        self.ensure_one()
        report = self.env.ref("library_crm.library_annual_report_report")
        if report._say_why_no_pdf():
            return {
                "type": "ir.actions.act_url",
                "url": f"/report/html/{report.report_name}/{self.id}",
                "target": "new",
            }
        return report.report_action(self)

    def action_explore(self):
        """Open the value of the year to be grouped at will."""
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_value_report_action"
            ),
            "domain": list(self._get_domain()),
            "context": {},
        }
