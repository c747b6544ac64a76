import io
import struct
import zipfile
from datetime import date, datetime
from unittest.mock import patch

from openpyxl import Workbook

from odoo.tests import BaseCase, tagged

from ..formats import sheet
from ..formats.mapped import MappedFormat, Mapping
from ..formats.table import FileError

HEADER = ("Card", "Name", "Branch", "Type", "Expires")
MAPPING = Mapping(
    "patrons",
    {
        "card_number": "Card",
        "name": "Name",
        "branch_code": "Branch",
        "category_code": "Type",
        "expiry_date": "Expires",
    },
)


def _book(*rows, header=HEADER):
    book = Workbook()
    for row in (header, *rows):
        book.active.append(row)
    return book


def _save(book):
    file = io.BytesIO()
    book.save(file)
    file.seek(0)
    return file


def _change(file, name, change):
    """The workbook with one part changed."""
    changed = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(changed, "w") as new:
        for part in old.infolist():
            content = old.read(part)
            if part.filename == name:
                content = change(content)
            new.writestr(part, content, zipfile.ZIP_DEFLATED)
    changed.seek(0)
    return changed


@tagged("post_install", "-at_install")
class TestFormatsSheet(BaseCase):
    """What is made of good, bad and hostile workbooks."""

    SHEET = "xl/worksheets/sheet1.xml"

    def _read(self, *rows, mapping=MAPPING, **options):
        return list(MappedFormat(mapping).read_all(_save(_book(*rows, **options))))

    def _read_text(self, file, **options):
        return sheet.Book(file).open(**options).read().decode()

    def assertFileRefused(self, file, reason, found=None):
        with self.assertRaises(FileError) as caught:
            list(MappedFormat(MAPPING).read_all(file))
        self.assertEqual(caught.exception.reason, reason)
        if found:
            self.assertIn(found, caught.exception.found)
        return caught.exception

    # ------------------------------------------------------------
    # CELLS
    # ------------------------------------------------------------

    def test_dates_are_days_numbers_have_no_fraction_and_zeros_stay(self):
        text, number, whole = self._read(
            ("0042", "Maja", "M", "A", date(2026, 12, 31)),
            (21234000123456, "Maja", 7, "A", datetime(2026, 12, 31, 10, 15)),
            (42.0, "Maja", "M", "A", "2026-12-31"),
        )
        self.assertEqual(text.values["card_number"], "0042")
        self.assertEqual(number.values["card_number"], "21234000123456")
        self.assertEqual(number.values["branch_code"], "7")
        self.assertEqual(whole.values["card_number"], "42")
        for row in (text, number, whole):
            self.assertEqual(row.values["expiry_date"], date(2026, 12, 31))

    def test_number_that_is_shown_with_zeros_keeps_them(self):
        book = _book((42, "Maja", "M", "A", None))
        book.active["A2"].number_format = "00000000"
        [row] = MappedFormat(MAPPING).read_all(_save(book))
        self.assertEqual(row.values["card_number"], "00000042")

    def test_zeros_that_may_be_lost_are_told(self):
        numbers = []
        book = _book(("0041", "A", "M", "A", None), (42, "B", "M", "A", None))
        self._read_text(_save(book), numbers=numbers)
        self.assertEqual(numbers, [sheet.NumberColumn("Card", 3, "42")])

    def test_rounded_card_numbers_are_refused(self):
        rows = self._read(
            (23500000000000, "A", "M", "A", None),
            ("2.35E+13", "B", "M", "A", None),
            (1234567890123450, "C", "M", "A", None),
            (23500000000001, "D", "M", "A", None),
        )
        shown = ("2.35E+13", "2.35E+13", "1.23456789012345E+15")
        for row, found in zip(rows[:3], shown, strict=True):
            self.assertEqual(row.error.reason, "spreadsheet_number")
            self.assertEqual((row.error.column, row.error.found), ("Card", found))
        self.assertEqual(rows[3].values["card_number"], "23500000000001")

    def test_formula_gives_its_value_and_never_comes_back(self):
        book = _book(("1", "=CONCATENATE(1)", "M", "A", None))
        valued = _change(
            _save(book),
            self.SHEET,
            lambda content: (
                content.replace(b"<v></v>", b"<v>Maja</v>")
                .replace(b"<v />", b"<v>Maja</v>")
                .replace(b'<c r="B2">', b'<c r="B2" t="str">')
            ),
        )
        [row] = MappedFormat(MAPPING).read_all(valued)
        self.assertEqual(row.values["name"], "Maja")
        # Without a kept value the cell is empty.
        [row] = MappedFormat(MAPPING).read_all(_save(book))
        self.assertEqual((row.error.reason, row.error.column), ("missing", "Name"))

    def test_failed_formula_is_refused(self):
        [row] = self._read(("1", "Maja", "#REF!", "A", None))
        self.assertEqual(row.error.reason, "formula_error")
        self.assertEqual((row.error.column, row.error.found), ("Branch", "#REF!"))

    def test_days_that_are_no_dates_are_refused(self):
        [row] = self._read(("1", "Maja", "M", "A", 46387))
        self.assertEqual((row.error.reason, row.error.found), ("date", "46387"))

    def test_cells_with_commas_quotes_and_lines_stay_one_cell(self):
        [row] = self._read(("1", 'Maja "M"\nLindqvist, the 2nd', "M", "A", None))
        self.assertEqual(row.values["name"], 'Maja "M" Lindqvist, the 2nd')

    # ------------------------------------------------------------
    # ROWS AND SHEETS
    # ------------------------------------------------------------

    def test_rows_have_the_numbers_of_the_sheet(self):
        book = _book(("1", "A", "M", "A", None))
        book.active["A5"], book.active["B5"] = "2", "B"
        book.active["F6"] = "beside the table"
        first, second, wide = MappedFormat(MAPPING).read_all(_save(book))
        self.assertEqual((first.line, second.line, wide.line), (2, 5, 6))
        self.assertEqual(
            (second.error.reason, second.error.column), ("missing", "Branch")
        )
        self.assertEqual(wide.error.reason, "width")

    def test_header_may_stand_below_a_merged_heading(self):
        book = _book(header=("Patrons of the library", None, None, None, None))
        book.active.merge_cells("A1:E1")
        book.active.append(HEADER)
        book.active.append(("1", "Maja", "M", "A", None))
        mapping = Mapping("patrons", MAPPING.columns, header_line=2)
        [row] = MappedFormat(mapping).read_all(_save(book))
        self.assertEqual((row.line, row.values["name"]), (3, "Maja"))

    def test_merged_header_names_its_first_column_only(self):
        book = _book(
            ("1", "Maja", "M", "A", None, "left", "right"),
            header=(*HEADER, "Two", None),
        )
        book.active.merge_cells("F1:G1")
        self.assertIn(",Two\n", self._read_text(_save(book)))
        [row] = MappedFormat(MAPPING).read_all(_save(book))
        self.assertEqual(row.error.reason, "width")

    def test_sheet_is_the_first_or_the_named_one(self):
        book = _book(("1", "Maja", "M", "A", None))
        other = book.create_sheet("Other")
        other.append(HEADER)
        other.append(("2", "Elis", "M", "A", None))
        file = _save(book)
        self.assertEqual(sheet.Book(file).names, ["Sheet", "Other"])
        for name, expected in (("", "Maja"), ("Sheet", "Maja"), ("Other", "Elis")):
            file.seek(0)
            mapping = Mapping("patrons", MAPPING.columns, sheet=name)
            [row] = MappedFormat(mapping).read_all(file)
            self.assertEqual(row.values["name"], expected)
        file.seek(0)
        mapping = Mapping("patrons", MAPPING.columns, sheet="X")
        with self.assertRaises(FileError) as caught:
            list(MappedFormat(mapping).read_all(file))
        self.assertEqual(caught.exception.reason, "sheet")
        self.assertEqual(caught.exception.found, "Sheet, Other")

    def test_sheets_without_rows_or_with_another_header(self):
        self.assertFileRefused(_save(Workbook()), "empty")
        self.assertEqual(self._read(), [])
        self.assertFileRefused(_save(_book(header=("Apples",))), "header")
        self.assertFileRefused(_save(_book(header=HEADER[:2])), "missing_columns")
        self.assertFileRefused(
            _save(_book(header=(*HEADER, "card"))), "repeated_column"
        )

    def test_wrong_size_in_the_sheet_hides_no_rows(self):
        book = _book(*((str(n), "Maja", "M", "A", None) for n in range(5)))
        file = _change(
            _save(book),
            self.SHEET,
            lambda content: content.replace(b'ref="A1:E6"', b'ref="A1:B2"'),
        )
        self.assertEqual(len(list(MappedFormat(MAPPING).read_all(file))), 5)

    # ------------------------------------------------------------
    # HOSTILE FILES
    # ------------------------------------------------------------

    def test_what_is_no_workbook_is_refused(self):
        self.assertFileRefused(io.BytesIO(b"PK\x03\x04 and no more"), "workbook")
        self.assertFileRefused(io.BytesIO(b"\xd0\xcf\x11\xe0 old"), "workbook", "XLS")
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as parts:
            parts.writestr("readme.txt", "hello")
        archive.seek(0)
        self.assertFileRefused(archive, "workbook", "ZIP")

    def test_cut_workbook_is_refused(self):
        content = _save(_book(("1", "Maja", "M", "A", None))).getvalue()
        self.assertFileRefused(io.BytesIO(content[: len(content) // 2]), "workbook")

    def test_broken_xml_keeps_the_rows_before_it(self):
        book = _book(*((str(n), "Maja", "M", "A", None) for n in range(3)))
        file = _change(
            _save(book),
            self.SHEET,
            lambda content: content.replace(b'<row r="4"', b"<row <"),
        )
        rows = []
        with self.assertRaises(FileError) as caught:
            for row in MappedFormat(MAPPING).read_all(file):
                rows.append(row)
        self.assertEqual(caught.exception.reason, "workbook")
        self.assertEqual([row.line for row in rows], [2, 3])

    def _bomb(self, size):
        file = _save(_book(("1", "Maja", "M", "A", None)))
        bomb = io.BytesIO(file.getvalue())
        with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as parts:
            parts.writestr("xl/media/image1.png", b"\0" * size)
        bomb.seek(0)
        return bomb

    def test_bomb_is_refused_before_it_is_unpacked(self):
        bomb = self._bomb(3_000_000)
        with patch.object(zipfile.ZipFile, "open", side_effect=AssertionError):
            error = self.assertFileRefused(bomb, "too_big", " : 1")
            self.assertEqual(error.expected, "250 : 1")
            bomb.seek(0)
            with patch.object(sheet, "MAX_UNPACKED", 1_000_000):
                self.assertFileRefused(bomb, "too_big", "bytes")
            bomb.seek(0)
            with patch.object(sheet, "MAX_PARTS", 5):
                self.assertFileRefused(bomb, "too_big", "parts")

    def test_bomb_that_lies_about_its_size_is_refused(self):
        content = bytearray(self._bomb(3_000_000).getvalue())
        # The size unpacked stands 24 bytes into the entry of the directory, and 22
        # into the header of the part.
        place = content.rindex(b"PK\x01\x02")
        struct.pack_into("<I", content, place + 24, 100)
        place = content.rindex(b"PK\x03\x04")
        struct.pack_into("<I", content, place + 22, 100)
        self.assertFileRefused(io.BytesIO(bytes(content)), "workbook")

    def test_entities_are_refused(self):
        book = _book(("1", "Maja", "M", "A", None))
        for declared in (
            b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
            b'<!DOCTYPE x [<!ENTITY e "eeeeeeee">]>',
        ):
            file = _change(
                _save(book),
                self.SHEET,
                lambda content, declared=declared: (
                    declared + content.replace(b"Maja", b"&e;")
                ),
            )
            self.assertFileRefused(file, "workbook", "<!DOCTYPE")

    def test_part_in_another_encoding_hides_nothing(self):
        file = _change(
            _save(_book()),
            self.SHEET,
            lambda content: content.decode().encode("utf-16"),
        )
        self.assertFileRefused(file, "workbook", self.SHEET)

    def test_row_number_beyond_the_sheet_is_refused(self):
        book = _book(("1", "Maja", "M", "A", None))
        file = _change(
            _save(book),
            self.SHEET,
            lambda content: content.replace(b'<row r="2"', b'<row r="999999999"'),
        )
        with patch.object(sheet, "_MAX_ROWS", 1000):
            self.assertFileRefused(file, "too_big", "1001")
