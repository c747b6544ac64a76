from collections import defaultdict

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.fields import Domain
from odoo.tools import format_date
from odoo.tools.misc import formatLang

from .library_service_usage import FEWEST_PATRONS

#: Figures of people, by the code of the indicator that tells them.
OF_PEOPLE = {
    "kpi_library_active_users": "active_users",
    "kpi_library_new_users": "new_users",
}
#: Figures of use, by what services count for.
OF_USE = {
    "kpi_library_visits": "visits",
    "kpi_library_loans": "loans",
    "kpi_library_attendances": "attendances",
}


class DigestDigest(models.Model):
    """What the library did in the last month, in the mail that sums up the period.

    Odoo's figures are of the last day, week and month. Those of a library are of the
    last calendar month that is over, and of the twelve months that end with it, each
    beside the same a year before: a library has seasons. They come from what is kept by
    month, so they are those of the reports, and everybody who works for the library
    may know those of all its branches.
    """

    _inherit = "digest.digest"

    kpi_library_active_users = fields.Boolean("Active Users of the Library")
    kpi_library_active_users_value = fields.Integer(
        compute="_compute_kpi_library_values"
    )
    kpi_library_new_users = fields.Boolean("New Patrons of the Library")
    kpi_library_new_users_value = fields.Integer(compute="_compute_kpi_library_values")
    kpi_library_visits = fields.Boolean("Visits to the Library")
    kpi_library_visits_value = fields.Integer(compute="_compute_kpi_library_values")
    kpi_library_loans = fields.Boolean("Loans of the Library")
    kpi_library_loans_value = fields.Integer(compute="_compute_kpi_library_values")
    kpi_library_attendances = fields.Boolean("Attendances of the Library's Programmes")
    kpi_library_attendances_value = fields.Integer(
        compute="_compute_kpi_library_values"
    )

    # All are computed at once, so one may be left in the cache for the next reader.
    @api.depends_context("uid")
    def _compute_kpi_library_values(self):
        """The figures of the last month that is over."""
        self._check_library_staff()
        for digest in self:
            company = digest.company_id or self.env.company
            month = digest._get_library_month(company)
            figures = digest._read_library_figures(company, month)
            for name in (*OF_PEOPLE, *OF_USE):
                digest[f"{name}_value"] = figures[name].get((month, 1)) or 0

    def _check_library_staff(self):
        """:raise AccessError: if the reader of the mail does not work for a library"""
        if not self.env.user.has_groups(
            "library_crm.group_library_user,library_crm.group_library_marketing"
        ):
            raise AccessError(
                self.env._("Do not have access, skip this data for user's digest email")
            )

    def _get_library_month(self, company):
        """:return: the first day of the last month that is over"""
        today = company._get_library_today()
        return fields.Date.start_of(today, "month") - relativedelta(months=1)

    def _read_library_figures(self, company, month):
        """The figures of a month and of the twelve that end with it, and those of a
        year before. What is not known, or is of fewer than five people, is not there.

        :return: by the name of the figure, by last month and number of months
        """
        figures = defaultdict(dict)
        ends = [month, month - relativedelta(years=1)]
        codes = {code: name for name, code in OF_PEOPLE.items()}
        for value in self.env["library.indicator.value"].search(
            Domain("company_id", "=", company.id)
            & Domain("branch_id", "=", False)
            & Domain("month", "in", ends)
            & Domain("indicator_id.code", "in", list(codes))
        ):
            name = codes[value.indicator_id.code]
            if value.denominator:
                figures[name][value.month, 1] = value.value
            if value.denominator_year:
                figures[name][value.month, 12] = value.value_year
        figures.update(self._read_library_uses(company, month, ends))
        return figures

    def _read_library_uses(self, company, month, ends):
        """Cost: one pass over the roll-up of two years."""
        names = {key: name for name, key in OF_USE.items()}
        uses = defaultdict(lambda: defaultdict(int))
        for at, service, quantity in self.env[
            "library.service.usage.month"
        ]._read_group(
            Domain("company_id", "=", company.id)
            & Domain("month", ">", month - relativedelta(months=24))
            & Domain("month", "<=", month)
            & Domain("service_id.indicator", "in", list(names)),
            ["month:month", "service_id"],
            ["quantity:sum"],
        ):
            uses[names[service.sudo().indicator]][at] += quantity
        figures = {name: {} for name in OF_USE}
        for name, by_month in uses.items():
            for end in ends:
                if by_month[end] >= FEWEST_PATRONS:
                    figures[name][end, 1] = by_month[end]
                year = [by_month[end - relativedelta(months=n)] for n in range(12)]
                if all(year):
                    figures[name][end, 12] = sum(year)
        return figures

    def _compute_kpis(self, company, user):
        """Put the month and the twelve months in the place of day, week and month, and
        leave a figure out of which nothing is known."""
        kpis = super()._compute_kpis(company, user)
        names = {kpi["kpi_name"] for kpi in kpis} & {*OF_PEOPLE, *OF_USE}
        if not names:
            return kpis
        digest = self.with_user(user).with_company(company)
        month = digest._get_library_month(company)
        figures = digest._read_library_figures(company, month)
        for kpi in kpis:
            if kpi["kpi_name"] in names:
                found = figures[kpi["kpi_name"]]
                for number, months in enumerate((1, 12), 1):
                    kpi[f"kpi_col{number}"] = self._prepare_library_kpi(
                        found, month, months
                    )
                kpi["kpi_col3"] = {}
        return [
            kpi
            for kpi in kpis
            if kpi["kpi_name"] not in names or kpi["kpi_col1"] or kpi["kpi_col2"]
        ]

    def _prepare_library_kpi(self, found, month, months):
        now = found.get((month, months))
        if now is None:
            return {}
        before = found.get((month - relativedelta(years=1), months))
        name = format_date(self.env, month, date_format="MMMM yyyy")
        return {
            "value": formatLang(self.env, now, digits=0),
            "margin": self._get_margin_value(now, before) if before else 0,
            "col_subtitle": name
            if months == 1
            else self.env._("12 months to %(month)s", month=name),
        }

    def _compute_kpis_actions(self, company, user):
        actions = super()._compute_kpis_actions(company, user)
        menu = self.env.ref("library_crm.library_crm_menu_root").id
        for name in OF_PEOPLE:
            actions[name] = f"library_crm.library_indicator_value_action?menu_id={menu}"
        for name in OF_USE:
            actions[name] = (
                f"library_crm.library_service_usage_month_action?menu_id={menu}"
            )
        return actions
