from odoo import fields, models
from odoo.exceptions import AccessError
from odoo.fields import Domain


class DigestDigest(models.Model):
    """Whether patrons take part in programmes, in the mail that sums up the period."""

    _inherit = "digest.digest"
    _library_personal_data = {"*": "setting"}

    kpi_library_loyalty_joined = fields.Boolean("Patrons Who Joined a Programme")
    kpi_library_loyalty_joined_value = fields.Integer(
        compute="_compute_kpi_library_loyalty_joined_value"
    )
    kpi_library_loyalty_earned = fields.Boolean("Patrons Who Earned Points")
    kpi_library_loyalty_earned_value = fields.Integer(
        compute="_compute_kpi_library_loyalty_earned_value"
    )

    def _compute_kpi_library_loyalty_joined_value(self):
        start, end = self._get_library_loyalty_period()
        self._count_library_cards(
            "kpi_library_loyalty_joined_value",
            [("library_joined_on", ">", start), ("library_joined_on", "<=", end)],
        )

    def _compute_kpi_library_loyalty_earned_value(self):
        start, end = self._get_library_loyalty_period()
        earned = [
            ("library_kind", "=", "earned"),
            ("library_date", ">", start),
            ("library_date", "<=", end),
        ]
        self._count_library_cards(
            "kpi_library_loyalty_earned_value", [("history_ids", "any", earned)]
        )

    def _get_library_loyalty_period(self):
        """:return: the day before the first and the last day of the period"""
        start, end, _companies = self._get_kpi_compute_parameters()
        return fields.Date.to_date(start), fields.Date.to_date(end)

    def _count_library_cards(self, name, domain):
        """Write how many cards of a library there are. Whoever works for the library
        may know the number; marketing does not see the cards themselves."""
        if not self.env.user.has_groups(
            "library_crm.group_library_user,library_crm.group_library_marketing"
        ):
            raise AccessError(
                self.env._("Do not have access, skip this data for user's digest email")
            )
        _start, _end, companies = self._get_kpi_compute_parameters()
        counts = dict(
            self.env["loyalty.card"]
            .sudo()
            ._read_group(
                Domain("company_id", "in", companies.ids)
                & Domain("is_library", "=", True)
                & Domain(domain),
                ["company_id"],
                ["__count"],
            )
        )
        for digest in self:
            digest[name] = counts.get(digest.company_id or self.env.company, 0)

    def _compute_kpis_actions(self, company, user):
        actions = super()._compute_kpis_actions(company, user)
        menu = self.env.ref("library_crm.library_crm_menu_root").id
        for name, report in (("joined", "participation"), ("earned", "month")):
            actions[f"kpi_library_loyalty_{name}"] = (
                f"library_crm_loyalty.library_loyalty_{report}_action?menu_id={menu}"
            )
        return actions
