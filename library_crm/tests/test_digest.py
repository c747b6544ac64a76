from datetime import date

from odoo.tests import freeze_time, tagged

from .common import LibraryCommon
from .dashboards import TellsInDigest


@tagged("post_install", "-at_install")
@freeze_time("2026-05-20 12:00:00")
class TestDigest(TellsInDigest, LibraryCommon):
    """The month's figures in a mail, in May 2026: April is the last month that is
    over."""

    kpis = (
        "kpi_library_active_users",
        "kpi_library_new_users",
        "kpi_library_visits",
        "kpi_library_loans",
        "kpi_library_attendances",
    )

    def _use(self, quantity, *days, **values):
        self.env["library.service.usage"].create(
            [
                {
                    "service_id": self.visit.id,
                    "branch_id": self.main.id,
                    "date": day,
                    "quantity": quantity,
                    **values,
                }
                for day in days
            ]
        )
        self.env.flush_all()

    def _tell(self, code, month, value, value_year=None, branch=None):
        self.env["library.indicator.value"].create(
            {
                "indicator_id": self.env.ref(
                    f"library_crm.library_indicator_{code}"
                ).id,
                "company_id": self.library.id,
                "branch_id": branch and branch.id,
                "month": month,
                "denominator": 1,
                "value": value,
                "denominator_year": value_year and 1,
                "value_year": value_year,
            }
        )

    def _digest(self, **values):
        return self.env["digest.digest"].create(
            {
                "name": "Library",
                "company_id": self.library.id,
                **dict.fromkeys(self.kpis, True),
                **values,
            }
        )

    def test_month_that_is_over_is_told_beside_the_one_of_a_year_before(self):
        self._use(30, date(2026, 4, 1), date(2026, 4, 30))
        self._use(40, date(2025, 4, 15))
        self._use(999, date(2026, 5, 2))
        [kpi] = self._digest()._compute_kpis(self.library, self.manager)
        self.assertEqual(kpi["kpi_name"], "kpi_library_visits")
        self.assertEqual(
            kpi["kpi_col1"],
            {"value": "60", "margin": 50, "col_subtitle": "April 2026"},
        )
        self.assertEqual((kpi["kpi_col2"], kpi["kpi_col3"]), ({}, {}))

    def test_twelve_months_are_told_where_all_of_them_are_known(self):
        months = [date(2025 + n // 12, n % 12 + 1, 9) for n in range(4, 16)]
        self._use(1000, *months)
        [kpi] = self._digest()._compute_kpis(self.library, self.manager)
        self.assertEqual(kpi["kpi_col2"]["value"], "12,000")
        self.assertEqual(kpi["kpi_col2"]["col_subtitle"], "12 months to April 2026")

    def test_people_are_told_as_the_indicators_tell_them(self):
        self._tell("active_users", date(2026, 4, 1), 321, 1234)
        self._tell("active_users", date(2025, 4, 1), 300)
        self._tell("new_users", date(2026, 4, 1), 7)
        self.assertEqual(
            self._kpis(self.marketing),
            {
                "kpi_library_active_users": ["321", "1,234", None],
                "kpi_library_new_users": ["7", None, None],
            },
        )

    def test_people_of_a_branch_are_not_those_of_the_library(self):
        self._tell("active_users", date(2026, 4, 1), 321, branch=self.main)
        self.assertEqual(self._kpis(self.manager), {})

    def test_uses_of_few_are_not_told(self):
        self._use(4, date(2026, 4, 1))
        self.assertEqual(self._kpis(self.manager), {})

    def test_desk_of_a_branch_is_told_of_the_whole_library(self):
        self._use(30, date(2026, 4, 1), branch_id=self.north.id)
        self._use(10, date(2026, 4, 1), branch_id=self.other_branch.id)
        self.assertEqual(self._kpis(self.desk)["kpi_library_visits"][0], "30")

    def test_mail_of_one_reader_leaves_nothing_in_that_of_another(self):
        self._use(30, date(2026, 4, 1))
        digest = self._digest()
        self.assertTrue(digest._compute_kpis(self.library, self.manager))
        self.assertFalse(digest._compute_kpis(self.library, self.employee))

    def test_shipped_digest_has_the_figures_and_they_are_sent(self):
        shipped = self.env.ref("digest.digest_digest_default")
        self.assertTrue(all(shipped[name] for name in self.kpis))
        self._use(30, date(2026, 4, 1))
        (self.manager | self.employee).email = "staff@test.example.com"
        self._digest(user_ids=[self.manager.id, self.employee.id])._action_send(False)
        mails = self.env["mail.mail"].search([], order="id desc", limit=2)
        bodies = {
            "Visits to the Library" in mail.body_html: mail.body_html for mail in mails
        }
        self.assertIn("April 2026", bodies[True])
        self.assertNotIn("April 2026", bodies[False])
