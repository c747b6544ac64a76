import io
from datetime import date

from odoo.tests import BaseCase, tagged

from ..formats import koha
from ..formats.table import FileError, Table, guard_formula

HEADER = "cardnumber,surname,firstname,branchcode,categorycode"


def _file(text, encoding="utf-8"):
    return io.BytesIO(text.encode(encoding))


@tagged("post_install", "-at_install")
class TestFormatsKoha(BaseCase):
    """What the readers of Koha's files make of good and of bad files."""

    def _read(self, *rows, header=HEADER, date_format="iso"):
        text = "\n".join((header, *rows)) + "\n"
        return list(koha.KohaPatrons(date_format).read_all(_file(text)))

    def _read_one(self, row, **options):
        [read] = self._read(row, **options)
        return read

    def assertRefused(self, row, reason, column=None):
        self.assertIsNone(row.values)
        self.assertEqual(row.error.reason, reason)
        if column:
            self.assertEqual(row.error.column, column)

    def test_values_are_in_our_names_and_leading_zeros_stay(self):
        row = self._read_one("0042,Lindqvist,Maja,MAIN,ADULT")
        self.assertEqual(row.line, 2)
        self.assertEqual(
            row.values,
            {
                "name": "Maja Lindqvist",
                "card_number": "0042",
                "branch_code": "MAIN",
                "category_code": "ADULT",
            },
        )

    def test_header_may_have_mark_spaces_capitals_and_other_delimiters(self):
        for delimiter in ",;\t|":
            with self.subTest(delimiter=delimiter):
                header = "\ufeff" + HEADER.upper().replace(",", f" {delimiter} ")
                row = self._read_one("1,B,A,M,C".replace(",", delimiter), header=header)
                self.assertEqual(row.values["name"], "A B")

    def test_columns_that_are_not_used_never_come_out(self):
        text = (
            f"{HEADER},password,borrowernotes,sort1,shoe_size\n"
            "1,B,A,M,C,secret-hash,secret-note,secret-sort,secret-shoe\n"
        )
        table = Table(_file(text), koha.PATRONS)
        self.assertEqual(table.forbidden, ["password", "borrowernotes"])
        self.assertEqual(table.unused, ["sort1"])
        self.assertEqual(table.unknown, ["shoe_size"])
        cleaned = io.BytesIO()
        koha.KohaPatrons().clean(_file(text), cleaned)
        self.assertNotIn(b"secret", cleaned.getvalue())
        cleaned.seek(0)
        [row] = koha.KohaPatrons().read_all(cleaned)
        self.assertEqual((row.line, row.values["name"]), (2, "A B"))

    def test_clean_file_keeps_lines_and_broken_rows_without_their_cells(self):
        text = f'{HEADER}\n1,B,A,M,C\n2,secret\n\n3,"D\ne",C,M,C\n4,E,,M,C\n'
        cleaned = io.BytesIO()
        summary = koha.KohaPatrons().clean(_file(text), cleaned)
        self.assertEqual(summary.rows, 4)
        self.assertNotIn(b"secret", cleaned.getvalue())
        direct = list(koha.KohaPatrons().read_all(_file(text)))
        again = list(koha.KohaPatrons().read_all(io.BytesIO(cleaned.getvalue())))
        for rows in (direct, again):
            self.assertEqual([row.line for row in rows], [2, 3, 5, 7])
            self.assertRefused(rows[1], "width")
            self.assertEqual((rows[1].error.found, rows[1].error.expected), ("2", "5"))
            self.assertEqual(rows[2].values["name"], "C D e")

    def test_what_a_spreadsheet_has_written_in_its_own_encoding_is_read(self):
        text = f"{HEADER}\n1,Plain,A,M,C\n2,Müller,A,M,C\n"
        for encoding in ("latin-1", "utf-16", "utf-8-sig"):
            with self.subTest(encoding=encoding):
                rows = list(koha.KohaPatrons().read_all(_file(text, encoding)))
                self.assertEqual(rows[1].values["name"], "A Müller")

    def test_mixed_encodings_cost_only_the_rows_that_are_broken(self):
        content = (
            f"{HEADER}\n1,Müller,A,M,C\n".encode()
            + "2,Müller,A,M,C\n".encode("latin-1")
            + "3,Möller,A,M,C\n".encode()
        )
        cleaned = io.BytesIO()
        koha.KohaPatrons().clean(io.BytesIO(content), cleaned)
        for file in (io.BytesIO(content), io.BytesIO(cleaned.getvalue())):
            first, broken, last = koha.KohaPatrons().read_all(file)
            self.assertEqual(first.values["name"], "A Müller")
            self.assertRefused(broken, "encoding")
            self.assertEqual(broken.error.column, "surname")
            self.assertEqual(broken.cells["surname"], "M\ufffdller")
            self.assertEqual((broken.line, last.values["name"]), (3, "A Möller"))

    def test_files_without_the_right_header_are_refused_as_a_whole(self):
        for text, reason in (
            ("", "empty"),
            ("\n", "empty"),
            ("apples,pears\n1,2\n", "header"),
            ("cardnumber,surname\n1,B\n", "missing_columns"),
            (f"{HEADER},surname\n1,B,A,M,C,B\n", "repeated_column"),
        ):
            with self.subTest(text=text), self.assertRaises(FileError) as caught:
                list(koha.KohaPatrons().read_all(_file(text)))
            self.assertEqual(caught.exception.reason, reason)
        self.assertEqual(self._read(), [])

    def test_open_quote_costs_one_row_only(self):
        rows = self._read(
            '1,"Open,A,M,C', *(f"{number},B,A,M,C" for number in range(2, 60))
        )
        self.assertRefused(rows[0], "open_quote")
        self.assertEqual([row.line for row in rows], list(range(2, 61)))
        self.assertTrue(all(row.values for row in rows[1:]))

    def test_bad_cells_are_refused_by_column(self):
        for cells, reason, column in (
            ("1,,A,M,C", "missing", "surname"),
            ("1, ,A,M,C", "missing", "surname"),
            (",B,A,M,C", "missing", "cardnumber"),
            ("1,B,A,,C", "missing", "branchcode"),
            ("2.35E+13,B,A,M,C", "spreadsheet_number", "cardnumber"),
            ("2,35E+13;B;A;M;C", "spreadsheet_number", "cardnumber"),
            (f"{'9' * 65},B,A,M,C", "too_long", "cardnumber"),
            ("1,B\0,A,M,C", None, None),
        ):
            with self.subTest(cells=cells):
                header = HEADER.replace(",", ";") if ";" in cells else HEADER
                row = self._read_one(cells, header=header)
                if reason:
                    self.assertRefused(row, reason, column)
                else:
                    self.assertIsNone(row.values)

    def test_dates(self):
        header = f"{HEADER},dateofbirth"
        for text, date_format, expected in (
            ("1984-02-29", "iso", date(1984, 2, 29)),
            ("1984-02-29 00:00:00", "iso", date(1984, 2, 29)),
            ("02/29/1984", "mdy_slash", date(1984, 2, 29)),
            ("29/02/1984", "dmy_slash", date(1984, 2, 29)),
            ("29.2.1984", "dmy_dot", date(1984, 2, 29)),
            ("1984-02-29", "dmy_dot", date(1984, 2, 29)),
            ("0000-00-00", "iso", None),
            ("", "iso", None),
            ("1985-02-29", "iso", "refused"),
            ("29/02/1984", "mdy_slash", "refused"),
            ("02/29/1984", "iso", "refused"),
            ("29.02.84", "dmy_dot", "refused"),
            ("soon", "iso", "refused"),
        ):
            with self.subTest(text=text, date_format=date_format):
                row = self._read_one(
                    f"1,B,A,M,C,{text}", header=header, date_format=date_format
                )
                if expected == "refused":
                    self.assertRefused(row, "date", "dateofbirth")
                else:
                    self.assertEqual(row.values["birth_date"], expected)

    def test_formula_guard_goes_on_and_comes_off(self):
        for cell in ("=1+1", "+49 30", "-1", "@x"):
            guarded = guard_formula(cell)
            self.assertTrue(guarded.startswith("'"))
            row = self._read_one(f"1,{guarded},A,M,C")
            self.assertEqual(row.values["name"], f"A {cell}")
        self.assertEqual(guard_formula("O'Brien"), "O'Brien")

    def test_statistics_give_days_and_services_and_no_item(self):
        text = (
            "datetime,branch,type,itemnumber,borrowernumber\n"
            "2025-03-03 10:15:02,MAIN,issue,990001,501\n"
            "2025-03-03 10:15:02,MAIN,issue,990002,501\n"
            "2025-03-03 10:15:03,MAIN,issue,990002,501\n"
            "2025-03-04 09:00:00,MAIN,payment,,501\n"
            "2025-03-04 09:00:00,MAIN,localuse,990003,\n"
            "2025-03-04 09:00:00,MAIN,teleport,990003,\n"
        )
        rows = list(koha.KohaStatistics().read_all(_file(text)))
        first, twin, later, payment, inhouse, unknown = rows
        self.assertEqual(first.values["date"], date(2025, 3, 3))
        self.assertEqual(first.values["service_code"], "loan")
        self.assertEqual(first.values["identity"], twin.values["identity"])
        self.assertNotEqual(first.values["identity"], later.values["identity"])
        self.assertIsNone(payment.values["service_code"])
        self.assertEqual(inhouse.values["service_code"], "inhouse")
        self.assertIsNone(inhouse.values["ils_ref"])
        self.assertRefused(unknown, "unknown_type", "type")
        self.assertNotIn("9900", repr(rows))
