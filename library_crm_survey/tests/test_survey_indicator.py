from datetime import date

from freezegun import freeze_time

from odoo.tests import tagged

from .common import SurveyResultCommon


@tagged("post_install", "-at_install")
class TestSurveyIndicator(SurveyResultCommon):
    """What people answered as indicators, kept by month."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["library.service.usage"].create(
            [
                {
                    "service_id": cls.visit.id,
                    "branch_id": branch.id,
                    "date": date(2026, 4, 2),
                }
                for branch in (cls.main, cls.north)
            ]
        )

    def _tell(self, code, branch=None):
        """What the indicator says of April, in May."""
        with freeze_time("2026-05-20 12:00:00"):
            self.env["library.indicator.value"]._count(self.library)
        return self.env["library.indicator.value"].search(
            [
                (
                    "indicator_id",
                    "=",
                    self.env.ref(f"library_crm_survey.library_indicator_{code}").id,
                ),
                ("company_id", "=", self.library.id),
                ("branch_id", "=", branch.id if branch else False),
            ]
        )

    def _rate_library(self, question, values, **others):
        self._answer_scale(
            question, values, library_answered_on=date(2026, 4, 10), **others
        )

    def test_nps_is_promoters_less_detractors(self):
        self._rate_library(self.nps, [10] * 6 + [7] * 2 + [0] * 4)
        self.assertAlmostEqual(self._tell("nps").value, 100 / 6)
        self.assertEqual(self._tell("nps").denominator, 12)

    def test_satisfaction_is_a_mean_and_a_share(self):
        self._rate_library(self.csat, [5, 4, 4, 4, 3, 3, 2, 1, 1, 1])
        self.assertAlmostEqual(self._tell("satisfied").value, 40)
        self.assertAlmostEqual(self._tell("satisfaction").value, 2.8)

    def test_fewer_than_ten_answers_are_not_told(self):
        self._rate_library(self.nps, [10] * 9, library_branch_id=self.north.id)
        self._rate_library(self.nps, [0], library_branch_id=self.main.id)
        self.assertEqual(self._tell("nps").value, 80)
        self.assertFalse(self._tell("nps", self.north))
        self.assertFalse(self._tell("nps", self.main))
