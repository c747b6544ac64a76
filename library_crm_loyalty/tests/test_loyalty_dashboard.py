from datetime import timedelta

from odoo.tests import tagged

from odoo.addons.library_crm.tests.dashboards import ShowsFigures

from .common import LoyaltyCommon


@tagged("post_install", "-at_install")
class TestLoyaltyDashboard(ShowsFigures, LoyaltyCommon):
    dashboard_xmlid = "library_crm_loyalty.library_loyalty_dashboard"
    dashboard_models = tuple(
        f"library.loyalty.{name}"
        for name in ("cost", "effect", "liability", "month", "participation")
    )
    chart_count = 5
    kpis = ("kpi_library_loyalty_joined", "kpi_library_loyalty_earned")

    def _is_figure(self, model, measure):
        return measure["aggregator"] == model._fields[measure["fieldName"]].aggregator

    def test_digest_tells_who_joined_and_who_earned_in_the_period(self):
        """Of a day, a week and a month. Marketing is told the numbers and sees none of
        the cards."""
        card = self._join(self.bruno)
        card.library_joined_on = self.today - timedelta(days=20)
        for day in (0, 0, 3):
            self._use(self.today - timedelta(days=day))
        self._use(self.today - timedelta(days=10), patron=self.bruno)
        programme = self._create_library_programme(self.other_library)
        programme._library_join(self.other_patron)
        for user in (self.marketing, self.desk, self.manager):
            with self.subTest(user.login):
                self.assertEqual(
                    self._kpis(user),
                    {
                        "kpi_library_loyalty_joined": [0, 0, 1],
                        "kpi_library_loyalty_earned": [1, 1, 2],
                    },
                )
