from datetime import date

from psycopg2.errors import CheckViolation, UniqueViolation

from odoo.exceptions import UserError, ValidationError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestValue(LibraryCommon):
    """What use is worth, and what comes back for what the library costs."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["library.value.table"].search([]).active = False
        cls.low, cls.high = cls.env["library.value.table"].create(
            [
                {
                    "name": name,
                    "currency_id": cls.library.currency_id.id,
                    "line_ids": [
                        Command.create(
                            {
                                "name": "Book",
                                "unit_value": price,
                                "service_id": cls.loan.id,
                            }
                        )
                    ],
                }
                for name, price in (("Low", 10), ("High", 20))
            ]
        )
        cls.euro = cls.env["res.currency"].create(
            {"name": "TEU", "symbol": "T", "rounding": 0.01}
        )

    def _use(self, quantity, day=date(2025, 3, 10), **values):
        self.env["library.service.usage"].create(
            {
                "service_id": self.loan.id,
                "branch_id": self.main.id,
                "date": day,
                "quantity": quantity,
                **values,
            }
        )

    def _spend(self, amount, date_from=date(2025, 1, 1), date_to=None, **values):
        return self.env["library.cost"].create(
            {
                "name": "Cost",
                "company_id": self.library.id,
                "amount": amount,
                "date_from": date_from,
                "date_to": date_to or date(date_from.year, 12, 31),
                **values,
            }
        )

    def _read(self, *fields, table=None, **criteria):
        """The figures of a table, as the pivot adds them up."""
        Report = self.env["library.value.report"].with_user(self.manager)
        domain = [("company_id", "=", self.library.id)]
        if table:
            domain.append(("table_id", "=", table.id))
        domain += [(name, "=", value) for name, value in criteria.items()]
        self.env.flush_all()
        [row] = Report._read_group(
            domain,
            aggregates=[f"{name}:{Report._fields[name].aggregator}" for name in fields],
        )
        return row[0] if len(row) == 1 else row

    def test_value_is_uses_times_price(self):
        self._use(3)
        self._use(2, branch_id=self.north.id)
        self.assertEqual(self._read("value", table=self.low), 50)
        self.assertEqual(self._read("value", table=self.high), 100)
        self.assertEqual(
            self._read("value", table=self.high, branch_id=self.north.id), 40
        )

    def test_tables_are_never_added_up(self):
        self._use(3)
        self.assertEqual(self._read("quantity", "value"), (False, False))

    def test_return_is_the_same_however_months_are_asked_for(self):
        """Costs are spread over the months that are asked for only."""
        self._use(3, date(2025, 2, 10))
        self._use(2, date(2025, 3, 10))
        self._spend(365)
        february, march = date(2025, 2, 1), date(2025, 3, 1)
        in_march = [("month", "=", march)]
        of_table = [
            ("company_id", "=", self.library.id),
            ("table_id", "=", self.low.id),
        ]
        Report = self.env["library.value.report"]
        self.env.flush_all()
        for asked in (
            in_march,
            [("month", "in", [str(march)])],
            [("month", ">", february), ("month", "<", date(2025, 4, 1))],
            ["!", ("month", "<", march), ("month", "<=", march)],
            ["!", "|", ("month", "<", march), ("month", ">", march)],
            ["|", ("month", "=", march), "&", ("quantity", "=", 2), ("value", "=", 20)],
            ["!", ("branch_id", "=", self.north.id), *in_march],
            ["!", ("company_id", "child_of", self.other_library.id), *in_march],
        ):
            with self.subTest(asked=asked):
                [figures] = Report._read_group(
                    [*of_table, *asked], aggregates=["compared_value:sum", "cost:sum"]
                )
                self.assertEqual(figures, (20, 31))

    def test_service_without_a_price_is_counted_and_has_no_value(self):
        self._use(3)
        self._use(4, service_id=self.visit.id)
        self.assertEqual(
            self._read("quantity", "unpriced", "value", table=self.low), (7, 4, 30)
        )
        row = self.env["library.value.report"].search(
            [
                ("company_id", "=", self.library.id),
                ("service_id", "=", self.visit.id),
                ("table_id", "=", self.low.id),
            ]
        )
        self.assertEqual((row.quantity, row.unpriced, row.value), (4, 4, 0))

    def test_price_without_a_service_counts_nothing(self):
        self.low.line_ids.service_id = False
        self._use(3)
        self.assertEqual(
            self._read("quantity", "unpriced", "value", table=self.low), (3, 3, False)
        )
        self.assertEqual(self.low.unused_count, 1)

    def test_price_of_a_service_goes_before_that_of_its_category(self):
        self.env["library.value.line"].create(
            {
                "table_id": self.low.id,
                "name": "Any",
                "category": "lending",
                "unit_value": 1,
            }
        )
        self._use(3)
        renewal = self.env.ref("library_crm.library_service_renewal")
        self._use(5, service_id=renewal.id)
        self.assertEqual(self._read("value", table=self.low), 35)

    def test_children_have_their_own_price(self):
        self.env["library.value.line"].create(
            {
                "table_id": self.low.id,
                "name": "Picture book",
                "service_id": self.loan.id,
                "audience": "child",
                "unit_value": 4,
            }
        )
        self._use(1)
        self._use(1, patron_id=self.amal.id)
        self.bruno.patron_category_id = self.child
        self._use(1, patron_id=self.bruno.id)
        self.assertEqual(self._read("value", table=self.low), 24)

    def test_use_of_two_hours_is_two_units(self):
        self.low.line_ids.write({"units_per_use": 2, "unit": "hour"})
        self._use(3)
        self.assertEqual(self._read("value", table=self.low), 60)

    def test_return_is_value_for_a_hundred_spent(self):
        self._use(30)
        self._spend(100, date(2025, 3, 1), date(2025, 3, 31))
        self.assertEqual(
            self._read("value", "cost", "value_rate", table=self.low), (300, 100, 300)
        )
        self.assertEqual(self._read("value_rate", table=self.high), 600)

    def test_without_a_cost_there_is_no_return(self):
        self._use(30)
        self.assertEqual(
            self._read("value", "cost", "value_rate", table=self.low),
            (300, False, False),
        )

    def test_month_without_a_cost_does_not_raise_the_return(self):
        self._use(30)
        self._use(30, date(2025, 4, 2))
        self._spend(100, date(2025, 3, 1), date(2025, 3, 31))
        self.assertEqual(self._read("value", "value_rate", table=self.low), (600, 300))

    def test_cost_of_one_service_is_not_compared_with_the_value_of_others(self):
        self._use(30)
        self._use(10, service_id=self.visit.id)
        self._spend(50, service_id=self.visit.id)
        self.assertEqual(self._read("value_rate", table=self.low), False)
        self._spend(36500, branch_id=self.main.id, service_id=self.loan.id)
        self.assertAlmostEqual(
            self._read("value_rate", table=self.low, service_id=self.loan.id),
            100 * 300 / 36500,
        )

    def test_cost_counts_by_the_day(self):
        self._spend(366, date(2024, 1, 1))
        for month, days in ((date(2024, 2, 1), 29), (date(2024, 3, 1), 31)):
            with self.subTest(month=month):
                self.assertAlmostEqual(
                    self._read("cost", table=self.low, month=month), days
                )
        self.assertAlmostEqual(self._read("cost", table=self.low), 366)

    def test_cost_of_two_calendar_years_is_parted_in_july(self):
        self._spend(365, date(2022, 7, 15), date(2023, 7, 14))
        for month, days in ((date(2022, 7, 1), 17), (date(2023, 7, 1), 14)):
            with self.subTest(month=month):
                self.assertAlmostEqual(
                    self._read("cost", table=self.low, month=month), days
                )

    def test_cost_that_lies_ahead_is_not_spent_yet(self):
        today = date.today()
        self._spend(1000, date(today.year + 1, 1, 1))
        self.assertFalse(self._read("cost", table=self.low))

    def test_cost_of_a_kind_of_service_is_compared_with_that_kind(self):
        self._use(3, day=date(2025, 3, 10))
        self._use(2, day=date(2025, 3, 10), service_id=self.visit.id)
        self._spend(
            100,
            date(2025, 3, 1),
            date(2025, 3, 31),
            service_category=self.loan.category,
        )
        self.assertEqual(
            self._read("cost", table=self.low, category=self.loan.category), 100
        )
        self.assertEqual(
            self._read("compared_value", table=self.low),
            self._read("value", table=self.low, service_id=self.loan.id),
        )

    def test_cost_is_turned_into_the_currency_of_the_table(self):
        self.high.currency_id = self.euro
        self.env["res.currency.rate"].create(
            [
                {
                    "currency_id": self.euro.id,
                    "company_id": self.library.id,
                    "name": day,
                    "rate": rate,
                }
                for day, rate in ((date(2025, 1, 1), 0.5), (date(2025, 4, 1), 9))
            ]
        )
        self._use(30)
        self._spend(100, date(2025, 3, 1), date(2025, 3, 31))
        base = self.library.currency_id._get_rates(self.library, date(2025, 3, 31))
        factor = 0.5 / base[self.library.currency_id.id]
        cost, rate = self._read("cost", "value_rate", table=self.high)
        self.assertAlmostEqual(cost, 100 * factor)
        self.assertAlmostEqual(rate, 600 / factor)

    def test_currency_without_a_rate_has_a_value_and_no_return(self):
        self.high.currency_id = self.euro
        self._use(30)
        self._spend(100, date(2025, 3, 1), date(2025, 3, 31))
        self.assertEqual(
            self._read("value", "cost", "value_rate", table=self.high),
            (600, False, False),
        )

    def test_published_set_is_copied_and_not_changed(self):
        shipped = self.env.ref("library_crm.library_value_table_massachusetts")
        shipped = shipped.with_user(self.manager)
        line = shipped.line_ids[0]
        for change in (
            lambda: line.write({"unit_value": 99}),
            lambda: shipped.write({"year": 2026}),
            lambda: shipped.write({"line_ids": [Command.unlink(line.id)]}),
            line.unlink,
        ):
            with self.assertRaisesRegex(UserError, "Copy it"):
                change()
        line.service_id = self.visit
        copied = shipped.copy()
        self.assertEqual(copied.name, "Massachusetts-style set (copy)")
        copied.line_ids[0].unit_value = 99
        self.assertEqual(len(copied.line_ids), len(shipped.line_ids))

    def test_shipped_sets_have_source_currency_and_the_published_prices(self):
        for name, currency, year, book, ebook, lines in (
            ("massachusetts", "USD", 0, 17, 15, 17),
            ("maine_2019", "USD", 2019, 22, 10, 16),
            ("new_zealand", "NZD", 0, 27.7, 43.15, 14),
        ):
            table = self.env.ref(f"library_crm.library_value_table_{name}")
            with self.subTest(name):
                self.assertTrue(table.source and table.is_shipped)
                self.assertEqual(table.currency_id, self.env.ref(f"base.{currency}"))
                self.assertEqual(table.year, year)
                self.assertEqual(bool(year), "year" not in table.note)
                self.assertEqual(len(table.line_ids), lines)
                for code, price in (("loan", book), ("ebook", ebook)):
                    line = table.line_ids.filtered(
                        lambda line, code=code: (
                            line.service_id.code == code and not line.audience
                        )
                    )
                    self.assertEqual(line.unit_value, price)

    def test_set_that_is_taken_up_shows_its_currency(self):
        currency = self.env.ref("base.NZD")
        currency.active = False
        table = self.env.ref("library_crm.library_value_table_new_zealand")
        self.assertFalse(table.active, "only libraries there need it")
        table.with_user(self.manager).active = True
        self.assertTrue(currency.active)
        currency.active = False
        table.with_user(self.manager).copy()
        self.assertTrue(currency.active)

    def test_value_is_told_by_service_and_period(self):
        self._use(3)
        self._use(5, day=date(2025, 4, 1))
        self._use(2, day=date(2025, 4, 1), service_id=self.visit.id)
        for criteria, uses, value in (
            ({"month": date(2025, 3, 1)}, 3, 30),
            ({"month": date(2025, 4, 1)}, 7, 50),
            ({"service_id": self.loan.id}, 8, 80),
            ({"category": "lending", "month": date(2025, 4, 1)}, 5, 50),
        ):
            with self.subTest(criteria):
                self.assertEqual(
                    self._read("quantity", "value", table=self.low, **criteria),
                    (uses, value),
                )

    def test_prices_and_costs_have_one_place(self):
        Service = self.env["library.service"]
        self.assertFalse({"unit_value", "unit_cost"} & set(Service._fields))

    def test_price_is_of_a_service_or_of_a_category(self):
        with self.assertRaisesRegex(ValidationError, "not of both"):
            self.low.line_ids.category = "lending"

    @mute_logger("odoo.sql_db")
    def test_two_prices_of_one_service_are_refused(self):
        with self.assertRaises(UniqueViolation):
            self.low.line_ids.copy()

    def test_period_of_a_cost_ends_after_it_begins(self):
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaisesRegex(CheckViolation, "period_forward"),
        ):
            self._spend(1, date(2025, 2, 1), date(2025, 1, 1))

    def test_desk_is_told_of_its_branches(self):
        self._use(3)
        self._use(2, branch_id=self.north.id)
        self._spend(100)
        Report = self.env["library.value.report"].with_user(self.desk)
        self.env.flush_all()
        self.assertEqual(Report.search([]).branch_id, self.main)
        self.assertFalse(Report.search([("company_id", "=", self.other_library.id)]))

    def test_report_is_read_on_a_replica(self):
        self._use(3)
        self.env.flush_all()
        with self.env.cr.savepoint() as savepoint:
            self.env.cr.execute("SET LOCAL transaction_read_only = on")
            self.assertEqual(self._read("value", table=self.low), 30)
            savepoint.rollback()
