import base64
import csv
import io
from datetime import date

from freezegun import freeze_time
from openpyxl import Workbook

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import LibraryCommon

HEADER = "FSCSKEY,LIBNAME,STABR,POPU_LSA,VISITS,TOTOPEXP"


@tagged("post_install", "-at_install")
@freeze_time("2026-05-20 12:00:00")
class TestPeerImport(LibraryCommon):
    """A national data set comes in as a file, and nothing of it is lost."""

    def _start(self, text, name="Test Survey", year=2025, **values):
        data = text if isinstance(text, bytes) else text.encode()
        return self.env["library.peer.import"].create(
            {
                "file": base64.b64encode(data),
                "file_name": "libraries.csv",
                "name": name,
                "year": year,
                **values,
            }
        )

    def _look(self, text, **values):
        wizard = self._start(text, **values)
        wizard.action_look()
        return wizard

    def _import(self, text, **values):
        wizard = self._look(text, **values)
        wizard.action_import()
        return wizard

    def _say(self, wizard, column, what):
        wizard.column_ids.filtered(lambda line: line.name == column).what = what

    def _find(self, ref, year=2025):
        return self.env["library.peer"].search(
            [
                ("set_id.name", "=", "Test Survey"),
                ("set_id.year", "=", year),
                ("ref", "=", ref),
            ]
        )

    def _get_figures(self, ref, year=2025):
        return {
            value.measure or value.indicator_id.code: value.amount
            for value in self._find(ref, year).value_ids
        }

    # ------------------------------------------------------------
    # WHAT COMES IN
    # ------------------------------------------------------------

    def test_columns_of_a_known_survey_are_proposed_and_taken_over(self):
        wizard = self._import(f"{HEADER}\nA1,Brook,AK,22000,44000,1000.50\n")
        self.assertEqual(
            (wizard.rows_new, wizard.rows_refused, wizard.state), (1, 0, "done")
        )
        peer = self._find("A1")
        self.assertEqual((peer.name, peer.region), ("Brook", "AK"))
        self.assertEqual(peer.population, 22000)
        self.assertEqual(peer.band_id.lower, 20000)
        self.assertEqual(self._get_figures("A1"), {"visits": 44000, "cost": 1000.5})

    def test_column_may_hold_an_indicator_as_it_is(self):
        wizard = self._look("Name;Einwohner;Besuche je Kopf\nBach;1.000;2,5\n")
        self.assertEqual(wizard.decimal_mark, ",")
        self._say(wizard, "Besuche je Kopf", "indicator:visits_per_capita")
        wizard.action_import()
        self.assertEqual(self._find("Bach").population, 1000)
        self.assertEqual(self._get_figures("Bach"), {"visits_per_capita": 2.5})

    def test_workbook_is_read_like_a_file_with_commas(self):
        book = Workbook()
        book.active.append(HEADER.split(","))
        book.active.append(["A1", "Brook", "AK", 22000, 44000, 1000.5])
        file = io.BytesIO()
        book.save(file)
        self._import(file.getvalue())
        self.assertEqual(self._get_figures("A1"), {"visits": 44000, "cost": 1000.5})

    def test_file_in_another_encoding(self):
        self._import("Name;Einwohner\nMühlbach;500\n".encode("windows-1252"))
        self.assertTrue(self._find("Mühlbach"))

    def test_same_file_twice_changes_nothing(self):
        text = f"{HEADER}\nA1,Brook,AK,22000,44000,1000\nA2,Hill,AK,500,-1,7\n"
        self._import(text)
        before = self._find("A1") + self._find("A2")
        values = before.value_ids
        wizard = self._import(text)
        self.assertEqual(
            (wizard.rows_new, wizard.rows_changed, wizard.rows_unchanged), (0, 0, 2)
        )
        self.assertEqual(self._find("A1") + self._find("A2"), before)
        self.assertEqual(before.value_ids, values)

    def test_corrected_file_changes_what_was_corrected(self):
        self._import(
            f"{HEADER}\nA1,Brook,AK,22000,44000,1\nA2,Hill,AK,1,2,3\nA3,Dale,AK,1,2,3\n"
        )
        wizard = self._import(
            f"{HEADER}\nA1,Brook,AK,900,44000,1\nA2,Hill,AK,1,-1,3\nA3,Dale,AK,1,2,3\n"
        )
        self.assertEqual((wizard.rows_changed, wizard.rows_unchanged), (2, 1))
        self.assertEqual(self._find("A1").band_id.lower, 0)
        self.assertEqual(self._get_figures("A2"), {"cost": 3})

    def test_figures_that_a_second_file_does_not_speak_of_stay(self):
        self._import("FSCSKEY,LIBNAME,POPU_LSA,VISITS\nA1,Brook,500,40\n")
        self._import("FSCSKEY,LIBNAME,POPU_LSA,TOTOPEXP\nA1,Brook,500,9\n")
        self.assertEqual(self._get_figures("A1"), {"visits": 40, "cost": 9})

    def test_new_year_stands_beside_the_old_one_and_is_read_alike(self):
        wizard = self._look("Key,Town,Souls,Doors\nA1,Brook,500,40\n")
        self.assertFalse(wizard.column_ids.filtered("what"))
        for column, what in (
            ("Key", "ref"),
            ("Town", "name"),
            ("Souls", "population"),
            ("Doors", "measure:visits"),
        ):
            self._say(wizard, column, what)
        wizard.action_import()
        self._find("A1").is_own = True
        self._import("KEY,Town,Souls,Doors\nA1,Brook,510,44\n", year=2026)
        self.assertEqual(self._get_figures("A1"), {"visits": 40})
        self.assertEqual(self._get_figures("A1", 2026), {"visits": 44})
        self.assertTrue(self._find("A1", 2026).is_own, "Ours is known again")

    def test_rows_of_other_kinds_of_library_are_left_out(self):
        wizard = self._look(f"{HEADER}\nA1,Brook,AK,5,5,5\nA2,Hill,AS,5,5,5\n")
        wizard.column_ids.filtered(
            lambda line: line.name == "STABR"
        ).left_out = "GU, as"
        wizard.action_import()
        self.assertEqual((wizard.rows_new, wizard.rows_left_out), (1, 1))
        self.assertFalse(self._find("A2"))

    def test_trying_shows_what_would_come_and_changes_nothing(self):
        wizard = self._look(f"{HEADER}\nA1,Brook,AK,22000,44000,1000\n")
        self.assertEqual((wizard.state, wizard.rows_new), ("columns", 1))
        self.assertFalse(wizard.notes, "There is nothing to be warned of")
        self.assertIn("Brook", wizard.preview)
        self.assertFalse(self._find("A1"))
        self.assertFalse(
            self.env["library.peer.set"].search([("name", "=", "Test Survey")])
        )

    # ------------------------------------------------------------
    # BAD INPUT
    # ------------------------------------------------------------

    def _assert_refused(self, text, message):
        with self.assertRaisesRegex(UserError, message):
            self._look(text)

    def test_empty_file(self):
        for text in (b" ", "\n\n", "\ufeff\n"):
            with self.subTest(text=text):
                self._assert_refused(text, "The file is empty")

    def test_file_without_names_of_columns(self):
        self._assert_refused("A1,Brook,AK,22000,44000\n", "should name the columns")
        self._assert_refused("Brook\n", "should name the columns")

    def test_header_alone_has_no_rows(self):
        wizard = self._import(f"{HEADER}\n")
        self.assertEqual((wizard.rows_new, wizard.rows_refused), (0, 0))

    def test_column_that_stands_twice_is_told_and_not_read(self):
        wizard = self._look("LIBNAME,POPU_LSA,VISITS,Visits\nBrook,500,40,41\n")
        self.assertIn("VISITS, Visits", wizard.notes)
        self.assertEqual(wizard.column_ids.mapped("name"), ["LIBNAME", "POPU_LSA"])
        wizard.action_import()
        self.assertFalse(self._get_figures("Brook"))

    def test_two_columns_can_not_be_the_same(self):
        wizard = self._look("LIBNAME,POPU_LSA,VISITS,Doors\nBrook,500,40,41\n")
        self._say(wizard, "Doors", "measure:visits")
        with self.assertRaisesRegex(UserError, "“VISITS” and “Doors” are both"):
            wizard.action_import()

    def test_without_people_to_be_served_nothing_is_imported(self):
        wizard = self._look("LIBNAME,VISITS\nBrook,40\n")
        with self.assertRaisesRegex(UserError, "“People to be served”"):
            wizard.action_import()

    def test_number_with_the_other_decimal_mark_is_refused_with_its_place(self):
        wizard = self._look(
            f'{HEADER}\nA1,Brook,AK,500,40,1.5\nA2,Hill,AK,500,40,"1.234,5"\n'
        )
        self.assertEqual(
            wizard.refusals,
            "Line 3, TOTOPEXP: found “1.234,5”, expected a number such as 1234.5.",
        )
        wizard.decimal_mark = ","
        wizard.action_try()
        self.assertEqual(
            wizard.refusals,
            "Line 2, TOTOPEXP: found “1.5”, expected a number such as 1234,5.",
        )

    def test_numbers_as_they_are_written_in_many_countries(self):
        for mark, text, number in (
            (",", "1.234,5", 1234.5),
            (",", "1 234,5", 1234.5),
            (",", "1\u202f234", 1234),
            (",", "1.234", 1234),
            (".", "1,234,567.25", 1234567.25),
            (".", "1'234", 1234),
            (".", "1.234", 1.234),
        ):
            with self.subTest(mark=mark, text=text):
                wizard = self._look(f"LIBNAME;POPU_LSA;VISITS\nBrook;500;{text}\n")
                wizard.decimal_mark = mark
                wizard.action_import()
                self.assertEqual(wizard.refusals, "")
                self.assertAlmostEqual(self._get_figures("Brook")["visits"], number)

    def test_words_are_no_numbers(self):
        for text in ("about 40", "4O", "1,23,456", "1e5", "12-13", "∞", "½"):
            with self.subTest(text=text):
                wizard = self._look(f"LIBNAME;POPU_LSA;VISITS\nBrook;500;{text}\n")
                wizard.decimal_mark = "."
                wizard.action_try()
                self.assertIn(f"found “{text}”", wizard.refusals)

    def test_what_is_not_known_is_no_figure_and_not_zero(self):
        for text in ("-1", "-3", "-9", "n/a", "N/A", "", "k.A.", "–", "."):
            with self.subTest(text=text):
                wizard = self._import(f"{HEADER}\nA1,Brook,AK,500,{text},0\n")
                self.assertEqual(wizard.rows_refused, 0)
                self.assertEqual(wizard.figures_missing, 1)
                self.assertEqual(self._get_figures("A1"), {"cost": 0})

    def test_library_that_serves_nobody_is_refused(self):
        wizard = self._import(
            f"{HEADER}\nA1,Brook,AK,0,1,1\nA2,Hill,AK,-3,1,1\nA3,Dale,AK,5,1,1\n"
        )
        self.assertEqual((wizard.rows_new, wizard.rows_refused), (1, 2))
        self.assertEqual(
            wizard.refusals.splitlines(),
            [
                "Line 2, POPU_LSA: found “0”, expected at least one person to be "
                "served.",
                "Line 3, POPU_LSA: found nothing, expected a value.",
            ],
        )

    def test_library_that_stands_twice_is_taken_once(self):
        wizard = self._import(f"{HEADER}\nA1,Brook,AK,5,1,1\nA1,Brook,AK,5,2,2\n")
        self.assertIn("which line 2 has already", wizard.refusals)
        self.assertEqual(self._get_figures("A1"), {"visits": 1, "cost": 1})

    def test_broken_row_costs_only_itself(self):
        wizard = self._import(f"{HEADER}\nA1,Brook,AK\nA2,Hill,AK,5,1,1\n")
        self.assertEqual((wizard.rows_new, wizard.rows_refused), (1, 1))
        self.assertIn("found 3 cells, expected 6", wizard.refusals)

    def test_refused_rows_come_back_as_a_file_that_can_be_mended(self):
        text = f"{HEADER}\nA1,Brook,AK,many,1,1\nA2,Hill,AK,5,1,1\n"
        wizard = self._import(text)
        refused = base64.b64decode(wizard.refused_file).decode()
        [row] = csv.DictReader(io.StringIO(refused))
        self.assertEqual(row["line"], "2")
        self.assertIn("found “many”", row["reason"])
        again = self._import(refused.replace(",many,", ",800,"))
        self.assertEqual((again.rows_new, again.rows_refused), (1, 0))
        self.assertEqual(self._find("A1").population, 800)
        self.assertTrue(self._find("A2"), "What is not in the second file stays")

    def test_no_file_and_no_name(self):
        wizard = self.env["library.peer.import"].create({"name": "Test Survey"})
        with self.assertRaisesRegex(UserError, "choose one first"):
            wizard.action_look()
        with self.assertRaisesRegex(UserError, "say what it is called"):
            self._look("a,b\n", name=False)

    def test_hundred_thousand_rows(self):
        rows = "".join(
            f"A{number},Library {number},AK,{number + 1},{number % 977},-1\n"
            for number in range(100_000)
        )
        wizard = self._import(f"{HEADER}\n{rows}")
        self.assertEqual((wizard.rows_new, wizard.rows_refused), (100_000, 0))
        peers = self._find("A99999").set_id
        self.assertEqual(peers.peer_count, 100_000)
        self.assertEqual(self._find("A19999").band_id.lower, 20000)

    # ------------------------------------------------------------
    # WHO MAY
    # ------------------------------------------------------------

    def test_manager_imports_and_others_only_read(self):
        manager = self._start(f"{HEADER}\nA1,Brook,AK,5,1,1\n").with_user(self.manager)
        wizard = manager.create(manager.sudo().copy_data()[0])
        wizard.action_look()
        wizard.action_import()
        peer = self._find("A1")
        for user in (self.desk, self.marketing):
            with self.subTest(user=user.name):
                self.assertEqual(
                    peer.with_user(user).value_ids.mapped("amount"), [1, 1]
                )
                with self.assertRaises(AccessError):
                    peer.set_id.with_user(user).unlink()
                with self.assertRaises(AccessError):
                    self.env["library.peer.import"].with_user(user).create({})
        peer.set_id.with_user(self.manager).unlink()
        self.assertFalse(peer.exists())


@tagged("post_install", "-at_install")
@freeze_time("2026-05-20 12:00:00")
class TestPeerComparison(LibraryCommon):
    """Where our figure stands among those of libraries like ours."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["library.peer.set"].search([]).unlink()
        cls.peer_set = cls._create_set()
        cls.visits = cls.env.ref("library_crm.library_indicator_visits_per_capita")

    @classmethod
    def _create_set(cls, year=2025, **values):
        return cls.env["library.peer.set"].create(
            {"name": "Test Survey", "year": year, **values}
        )

    def _add(self, *amounts, population=1000, peer_set=None, code=None, **values):
        """Libraries that report an indicator each."""
        peer_set = peer_set or self.peer_set
        indicator = self._indicator(code) if code else self.visits
        return self.env["library.peer"].create(
            [
                {
                    "set_id": peer_set.id,
                    "ref": f"{peer_set.peer_count}-{population}-{place}",
                    "name": f"Library {place}",
                    "population": population,
                    "value_ids": [
                        (0, 0, {"indicator_id": indicator.id, "amount": amount})
                    ],
                    **values,
                }
                for place, amount in enumerate(amounts)
            ]
        )

    def _indicator(self, code):
        return self.env.ref(f"library_crm.library_indicator_{code}")

    def _reach(self, amount, code="visits_per_capita", people=1000, **values):
        """A figure of the fiscal year 2025."""
        return self.env["library.indicator.value"].create(
            {
                "indicator_id": self._indicator(code).id,
                "company_id": self.library.id,
                "month": date(2025, 12, 1),
                "year": 2025,
                "is_year_end": True,
                "value_year": amount,
                "numerator_year": amount * people,
                "denominator_year": people,
                **values,
            }
        )

    def _compare(self, value):
        return self.env["library.peer.comparison"].search([("value_id", "=", value.id)])

    def test_percentile_is_the_share_below_and_half_of_those_equal(self):
        self._add(1, 2, 3, 3, 5, 6, 7, 8)
        row = self._compare(self._reach(3))
        self.assertEqual(row.peers, 8)
        self.assertAlmostEqual(row.percentile, 100 * (2 + 0.5 * 2) / 8)
        self.assertEqual((row.minimum, row.median, row.maximum), (1, 4, 8))
        self.assertEqual((row.quartile, row.upper_quartile), (2.75, 6.25))
        self.assertEqual(row.value, 3)

    def test_where_less_is_better_whoever_has_more_does_worse(self):
        self._add(1, 2, 3, 4, 5, code="cost_per_use")
        row = self._compare(self._reach(2, "cost_per_use"))
        self.assertAlmostEqual(row.percentile, 100 * (3 + 0.5) / 5)

    def test_best_and_worst(self):
        self._add(1, 2, 3, 4, 5)
        self.assertEqual(self._compare(self._reach(9)).percentile, 100)
        self.assertEqual(
            self._compare(self._reach(0.5, month=date(2024, 12, 1))).percentile, 0
        )

    def test_figure_is_made_of_the_numbers_that_libraries_report(self):
        for place in range(5):
            self._add(
                0,
                population=1000 + place,
                value_ids=[
                    (0, 0, {"measure": "visits", "amount": 2000 + 2 * place}),
                    (0, 0, {"measure": "cost", "amount": 50 * place}),
                    (0, 0, {"measure": "active_users", "amount": 10 * place}),
                ],
            )
        row = self._compare(self._reach(3))
        self.assertEqual((row.peers, row.minimum, row.maximum), (5, 2, 2))
        self.assertFalse(
            self._compare(self._reach(3, "cost_per_active_user")),
            "Nobody to divide by is no figure, so only four have one",
        )

    def test_numbers_of_a_whole_library_make_no_indicator_of_a_kind_of_service(self):
        for place in range(6):
            self._add(
                0,
                population=1000 + place,
                value_ids=[
                    (0, 0, {"measure": "cost", "amount": 500}),
                    (0, 0, {"measure": "loans", "amount": 100}),
                ],
            )
        self.assertFalse(self._compare(self._reach(3, "cost_per_loan")))

    def test_compared_are_libraries_of_the_own_population_band(self):
        self._add(1, 1, 1, 1, 1, population=20000)
        self._add(1, 1, 9, 9, 9, population=49999)
        self._add(0, 0, 0, 0, 0, 0, population=50000)
        value = self._reach(5, people=30000)
        row = self._compare(value)
        self.assertEqual((row.peers, row.percentile), (10, 70))
        self.assertEqual(row.band_id.lower, 20000)
        self.assertEqual(
            row.text,
            "better than 70 % of 10 libraries of 20,000 to 50,000 people "
            "(Test Survey 2025)",
        )

    def test_all_are_compared_where_the_band_has_fewer_than_five(self):
        self._add(1, 1, 1, 1, population=30000)
        self._add(9, 9, 9, 9, population=500)
        row = self._compare(self._reach(5, people=30000))
        self.assertEqual((row.peers, row.percentile), (8, 50))
        self.assertFalse(row.band_id)
        self.assertIn("of all 8 libraries", row.text)

    def test_fewer_than_five_libraries_are_nobody_to_be_compared_with(self):
        self._add(1, 2, 3, 4)
        self.assertFalse(self._compare(self._reach(3)))

    def test_bands_that_are_changed_hold_at_once(self):
        peers = self._add(1, 1, 1, 1, 1, population=30000)
        self._add(9, 9, 9, 9, 9, population=45000)
        band = self.env["library.peer.band"].create({"lower": 40000})
        self.assertEqual(set(peers.mapped("band_id.lower")), {20000})
        value = self._reach(5, people=30000)
        self.assertEqual(self._compare(value).percentile, 100)
        self.assertEqual(band.display_name, "40,000 to 50,000 people")
        band.unlink()
        self.assertEqual(self._compare(value).peers, 10)

    def test_our_own_row_in_the_set_is_left_out(self):
        peers = self._add(1, 2, 3, 4, 5, 6)
        peers[5].is_own = True
        self.assertEqual(self._compare(self._reach(6)).percentile, 100)

    def test_last_year_of_the_set_that_is_not_after_ours(self):
        for year, amount in ((2023, 1), (2024, 5), (2026, 9)):
            self._add(*[amount] * 5, peer_set=self._create_set(year))
        self.peer_set.unlink()
        row = self._compare(self._reach(5))
        self.assertEqual((row.set_year, row.median), (2024, 5))

    def test_money_is_compared_in_one_currency_only(self):
        other = self.env["res.currency"].create({"name": "XTS", "symbol": "X"})
        self._add(1, 2, 3, 4, 5, code="cost_per_use")
        value = self._reach(2, "cost_per_use")
        self.assertTrue(self._compare(value))
        self.peer_set.currency_id = other
        self.assertFalse(self._compare(value))
        self._add(1, 2, 3, 4, 5, population=1001)
        self.assertTrue(self._compare(self._reach(3)), "Visits are no money")

    def test_only_years_of_the_whole_library_are_compared(self):
        self._add(1, 2, 3, 4, 5)
        for values in (
            {"is_year_end": False},
            {"branch_id": self.main.id},
            {"value_year": 0, "numerator_year": 0, "denominator_year": 0},
        ):
            value = self._reach(3, **values)
            if not value.denominator_year:
                self.env.flush_all()
                self.env.cr.execute(
                    "UPDATE library_indicator_value SET value_year = NULL "
                    "WHERE id = %s",
                    [value.id],
                )
            with self.subTest(values=values):
                self.assertFalse(self._compare(value))
                self.assertEqual(value._get_comparison(), {})
                self.assertFalse(value.comparison_text)
            value.unlink()

    def test_numbers_that_only_say_who_is_bigger_are_not_compared(self):
        self._add(1, 2, 3, 4, 5, code="active_users")
        self.assertFalse(self._compare(self._reach(3, "active_users")))

    def test_figure_and_indicator_say_it_in_words(self):
        self._add(1, 2, 3, 4, 5)
        value = self._reach(4)
        text = "better than 70 % of 5 libraries of fewer than 5,000 people "
        text += "(Test Survey 2025)"
        self.assertEqual(value.comparison_text, text)
        indicator = self.visits.with_company(self.library)
        self.assertEqual(indicator.comparison_text, text)
        found = value._get_comparison()
        self.assertEqual((found["percentile"], found["peers"]), (70, 5))
        self.assertEqual((found["median"], found["set"]), (3, self.peer_set))
        self.assertEqual(found["band"], "fewer than 5,000 people")

    def test_other_librarys_figures_are_not_seen(self):
        self._add(1, 2, 3, 4, 5)
        self._reach(4, company_id=self.other_library.id)
        rows = self.env["library.peer.comparison"].with_user(self.desk).search([])
        self.assertNotIn(self.other_library, rows.company_id)

    def test_set_of_one_library_is_not_for_another(self):
        self.peer_set.company_id = self.other_library
        self._add(1, 2, 3, 4, 5)
        self.assertFalse(self._compare(self._reach(4)))
        self.assertFalse(
            self.env["library.peer.set"].with_user(self.desk).search([]) & self.peer_set
        )

    def test_different_indicators_together_have_no_percentile(self):
        self._add(1, 2, 3, 4, 5)
        self._add(1, 2, 3, 4, 5, code="loans_per_capita", population=1001)
        self._reach(4)
        self._reach(4, "loans_per_capita")
        domain = [("company_id", "=", self.library.id)]
        Comparison = self.env["library.peer.comparison"]
        [(percentile,)] = Comparison._read_group(domain, [], ["percentile:avg"])
        self.assertFalse(percentile)
        self.assertEqual(
            len(Comparison._read_group(domain, ["indicator_id"], ["percentile:avg"])), 2
        )
