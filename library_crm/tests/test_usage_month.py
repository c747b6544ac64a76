from datetime import date

from odoo.tests import tagged
from odoo.tools import SQL

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestUsageMonth(LibraryCommon):
    """The figures by month are the sum of the rows, whoever wrote them, and more: they
    stay when the rows are gone."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bruno.birth_year = 2010
        cls.uses = cls.env["library.service.usage"].create(
            [
                cls._use(cls.amal, date(2025, 2, 28), 2),
                cls._use(cls.amal, date(2025, 2, 1), 1),
                cls._use(cls.bruno, date(2025, 3, 1), 4),
                cls._use(cls.env["library.patron"], date(2025, 3, 2), 8),
            ]
        )

    @classmethod
    def _use(cls, patron, day, quantity):
        return {
            "patron_id": patron.id,
            "service_id": cls.loan.id,
            "branch_id": cls.main.id,
            "date": day,
            "quantity": quantity,
        }

    def _figures(self):
        """By month, category and age band the number of uses."""
        return {
            (month.month, category.code, band): quantity
            for month, category, band, quantity in self.env[
                "library.service.usage.month"
            ]._read_group(
                [("company_id", "=", self.library.id)],
                ["month:month", "patron_category_id", "age_band"],
                ["quantity:sum"],
            )
            if quantity
        }

    def test_uses_are_counted_by_month_category_and_age(self):
        self.assertEqual(
            self._figures(),
            {
                (2, "TADULT", "40_64"): 3,
                (3, "TADULT", "12_17"): 4,
                (3, False, False): 8,
            },
        )

    def test_change_moves_the_figures_and_deletion_takes_them_out(self):
        self.uses[0].date = date(2025, 3, 31)
        self.uses[2].patron_id = self.amal
        self.uses[3].quantity = 5
        self.uses[1].unlink()
        self.assertEqual(
            self._figures(), {(3, "TADULT", "40_64"): 6, (3, False, False): 5}
        )

    def test_age_is_that_of_the_day_of_the_use(self):
        self.assertEqual(self.amal.birth_date, date(1984, 2, 29))
        for day, band in (
            (date(2024, 2, 28), "25_39"),
            (date(2024, 2, 29), "40_64"),
            (date(2049, 2, 27), "40_64"),
            (date(2049, 3, 1), "65"),
        ):
            with self.subTest(day=day):
                use = self.env["library.service.usage"].new(
                    self._use(self.amal, day, 1)
                )
                self.assertEqual(use.age_band, band)
                self.env.cr.execute(
                    SQL(
                        "SELECT %s FROM library_patron patron, "
                        "(SELECT %s::date AS date) given WHERE patron.id = %s",
                        use._sql_age_band(),
                        day,
                        self.amal.id,
                    )
                )
                self.assertEqual(self.env.cr.fetchone(), (band,))

    def test_patron_who_moves_on_to_another_category_leaves_the_past_alone(self):
        before = self._figures()
        self.bruno.patron_category_id = self.child
        self.uses[2].quantity = 6
        self.assertEqual(self._figures(), {**before, (3, "TADULT", "12_17"): 6})

    def test_rows_of_a_cell_are_joined_and_the_sum_stays(self):
        Month = self.env["library.service.usage.month"]
        before = self._figures()
        self.uses[3].unlink()
        del before[3, False, False]
        Month._gc_differences()
        self.assertEqual(self._figures(), before)
        self.assertEqual(
            len(Month.search([("company_id", "=", self.library.id)])), len(before)
        )

    def test_many_rows_at_once_are_counted_like_one_by_one(self):
        before = self._figures()
        source = self.env["library.data.source"].create(
            {"name": "Gate", "format": "koha_statistics", "company_id": self.library.id}
        )
        rows = SQL(
            "VALUES (%s, %s, %s, '2025-02-03'::date, 10, 'onsite', %s, 'a'), "
            "(NULL::int, %s, %s, '2025-03-03'::date, 20, 'onsite', %s, 'b')",
            *(self.bruno.id, self.loan.id, self.main.id, source.id),
            *(self.loan.id, self.main.id, source.id),
        )
        Usage = self.env["library.service.usage"]
        self.assertEqual(Usage.insert_rows(rows), 2)
        self.assertEqual(Usage.insert_rows(rows), 0)
        before[2, "TADULT", "12_17"] = 10
        before[3, False, False] += 20
        self.assertEqual(self._figures(), before)
        self.assertEqual(self.bruno.last_use_date, date(2025, 3, 1))

    def test_figures_stay_when_the_rows_are_gone(self):
        before = self._figures()
        self.env.flush_all()
        self.env.cr.execute("DELETE FROM library_service_usage")
        self.env.invalidate_all()
        self.assertEqual(self._figures(), before)

    def test_nobody_sees_the_figures_of_another_library(self):
        Month = self.env["library.service.usage.month"].with_user(self.desk)
        self.assertTrue(Month.search([]))
        other = self.env["library.service.usage"].create(
            {
                "service_id": self.loan.id,
                "branch_id": self.other_branch.id,
                "date": date(2025, 2, 1),
            }
        )
        self.assertTrue(other)
        self.assertEqual(Month.search([]).company_id, self.library)
