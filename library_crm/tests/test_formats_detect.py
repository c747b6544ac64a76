import io
from datetime import date
from pathlib import Path

from openpyxl import Workbook

from odoo.tests import BaseCase, tagged

from ..formats.detect import Evidence, detect
from ..formats.mapped import MappedFormat
from ..formats.table import FileError

FIXTURES = Path(__file__).parent / "fixtures"
HEADER = "cardnumber,surname,firstname,branchcode,categorycode,dateexpiry"


def _file(text, encoding="utf-8"):
    return io.BytesIO(text.encode(encoding))


@tagged("post_install", "-at_install")
class TestFormatsDetect(BaseCase):
    """What is said of a file of which nobody has said anything."""

    def _detect_dates(self, *days, header=HEADER):
        rows = (f"{100 + n},B,A,M,C,{day}" for n, day in enumerate(days))
        return detect(_file("\n".join((header, *rows)) + "\n"))

    def _notes(self, guess, reason):
        return [note for note in guess.notes if note.reason == reason]

    # ------------------------------------------------------------
    # ENCODING, DELIMITER, HEADER
    # ------------------------------------------------------------

    def test_encoding_is_found_and_told_with_its_line(self):
        text = f"{HEADER}\n1,Plain,A,M,C,\n2,Müller,A,M,C,\n"
        for encoding, expected in (
            ("utf-8", "utf-8"),
            ("utf-8-sig", "utf-8"),
            ("utf-16", "utf-16-le"),
            ("utf-16-le", "utf-16-le"),
            ("utf-16-be", "utf-16-be"),
            ("latin-1", "windows-1252"),
        ):
            with self.subTest(encoding=encoding):
                guess = detect(_file(text, encoding))
                self.assertEqual(guess.encoding, expected)
                rows = list(MappedFormat(guess.mapping).read_all(_file(text, encoding)))
                self.assertEqual(rows[1].values["name"], "A Müller")
        [note] = self._notes(detect(_file(text, "latin-1")), "encoding")
        self.assertEqual((note.line, note.found), (3, "2,Müller,A,M,C,"))

    def test_letters_of_windows_are_read(self):
        text = f"{HEADER}\n1,Šimić,A,M,C,\n".replace("ć", "c")
        guess = detect(_file(text, "windows-1252"))
        [row] = MappedFormat(guess.mapping).read_all(_file(text, "windows-1252"))
        self.assertEqual(row.values["name"], "A Šimic")

    def test_mixed_encodings_are_told_with_the_line(self):
        content = f"{HEADER}\n1,Müller,A,M,C,\n".encode() + "2,Möller,A,M,C,\n".encode(
            "latin-1"
        )
        guess = detect(io.BytesIO(content))
        [note] = self._notes(guess, "mixed_encoding")
        self.assertEqual((note.line, note.found), (3, "2,Möller,A,M,C,"))
        self.assertEqual(guess.encoding, "utf-8")

    def test_text_that_was_encoded_twice_is_told(self):
        twice = "Müller".encode().decode("windows-1252")
        guess = detect(_file(f"{HEADER}\n1,{twice},A,M,C,\n"))
        [note] = self._notes(guess, "encoded_twice")
        self.assertEqual(note.line, 2)

    def test_columns_are_found_by_what_a_librarian_calls_them(self):
        header = "Barcode,Last name,First name,Home branch,Patron type,Member since"
        guess = detect(_file(f"{header},Expires\n1,B,A,M,C,2020-01-31,2027-01-31\n"))
        self.assertEqual(guess.unmapped, [])
        columns = guess.mapping.columns
        self.assertEqual(list(columns["expiry_date"]), ["Expires"])
        self.assertEqual(list(columns["enrolled_on"]), ["Member since"])

    def test_delimiter_is_that_of_the_header(self):
        for delimiter in ",;\t|":
            with self.subTest(delimiter=delimiter):
                text = f"{HEADER}\n1,B,A,M,C,\n".replace(",", delimiter)
                guess = detect(_file(text))
                self.assertEqual(guess.delimiter, delimiter)
                self.assertEqual(guess.header, HEADER.split(","))
                self.assertEqual(guess.rows, 1)

    def test_delimiter_of_unknown_columns_is_that_of_alike_rows(self):
        guess = detect(_file("Ayy;Bee, Cee\n1;2,3\n4;5\n6;7,8,9\n"))
        self.assertEqual(guess.delimiter, ";")

    def test_header_below_a_heading_is_found(self):
        text = f"Patrons of the library\n\n{HEADER}\n1,B,A,M,C,2026-12-31\n"
        guess = detect(_file(text))
        self.assertEqual(guess.header_line, 3)
        [row] = MappedFormat(guess.mapping).read_all(_file(text))
        self.assertEqual((row.line, row.values["name"]), (4, "A B"))
        [found] = guess.dates
        self.assertEqual(found.evidence, Evidence(4, "dateexpiry", "2026-12-31"))

    def test_file_without_header_is_told(self):
        guess = detect(_file("0000501,Maja,maja@x.org\n0000502,Elis,elis@x.org\n"))
        [note] = self._notes(guess, "no_header")
        self.assertEqual((note.line, note.found), (1, "0000501"))

    def test_empty_files_are_refused_and_a_header_alone_is_read(self):
        for text in ("", "\n\n"):
            with self.assertRaises(FileError) as caught:
                detect(_file(text))
            self.assertEqual(caught.exception.reason, "empty")
        guess = detect(_file(HEADER))
        self.assertEqual((guess.rows, guess.dates), (0, []))
        self.assertEqual(list(guess.mapping.find_problems()), [])

    def test_repeated_column_is_told_and_not_proposed(self):
        guess = detect(_file(f"{HEADER},Surname\n1,B,A,M,C,,X\n"))
        notes = self._notes(guess, "repeated_column")
        self.assertEqual([note.column for note in notes], ["surname", "Surname"])
        self.assertNotIn("surname", guess.mapping.columns.get("name", ()))

    def test_bad_rows_are_told_with_their_lines(self):
        rows = ("1,B,A,M,C,", "2,B", f"3,{'x' * 1_000_000},A,M,C,", "4,B,A,M,C,,7")
        guess = detect(_file("\n".join((HEADER, *rows))))
        [short, long] = self._notes(guess, "width")
        self.assertEqual((short.line, short.found, short.expected), (3, "2", "6"))
        self.assertEqual((long.line, long.found), (5, "7"))
        [big] = self._notes(guess, "too_long")
        self.assertEqual((big.line, big.column, big.expected), (4, "surname", "250"))
        self.assertLess(len(repr(guess)), 5000)

    def test_only_the_first_rows_are_read(self):
        rows = "".join(f"{n},B,A,M,C,\n" for n in range(3000))
        self.assertEqual(detect(_file(f"{HEADER}\n{rows}")).rows, 1000)

    # ------------------------------------------------------------
    # DATES
    # ------------------------------------------------------------

    def test_date_format_comes_with_the_cell_that_decides(self):
        for days, date_format, evidence in (
            (("2026-12-31",), "iso", (2, "2026-12-31")),
            (("01/02/2026", "31/12/2026"), "dmy_slash", (3, "31/12/2026")),
            (("01/02/2026", "12/31/2026"), "mdy_slash", (3, "12/31/2026")),
            (("01.02.2026",), "dmy_dot", (2, "01.02.2026")),
            (("2026/02/01",), "ymd_slash", (2, "2026/02/01")),
            (("01-02-2026", "12-31-2026"), "mdy_dash", (3, "12-31-2026")),
            (("20261231",), "ymd", (2, "20261231")),
            (("", "31/12/2026 10:15"), "dmy_slash", (3, "31/12/2026 10:15")),
        ):
            with self.subTest(days=days):
                guess = self._detect_dates(*days)
                [found] = guess.dates
                self.assertEqual(found.date_format, date_format)
                line, text = evidence
                self.assertEqual(found.evidence, Evidence(line, "dateexpiry", text))
                self.assertEqual(guess.mapping.date_format, date_format)

    def test_day_and_month_that_nothing_tells_apart_are_not_guessed(self):
        guess = self._detect_dates("01/02/2026", "03/04/2026")
        [found] = guess.dates
        self.assertIsNone(found.date_format)
        self.assertEqual(set(found.candidates), {"dmy_slash", "mdy_slash"})
        [note] = self._notes(guess, "ambiguous_date")
        self.assertEqual((note.line, note.found), (2, "01/02/2026"))
        # ISO: each row is refused and none is read wrongly.
        self.assertEqual(guess.mapping.date_format, "iso")

    def test_another_column_decides_for_one_that_is_ambiguous(self):
        text = f"{HEADER},dateofbirth\n1,B,A,M,C,01/02/2026,31/12/1980\n"
        guess = detect(_file(text))
        self.assertEqual(guess.mapping.date_format, "dmy_slash")
        [row] = MappedFormat(guess.mapping).read_all(_file(text))
        self.assertEqual(row.values["expiry_date"], date(2026, 2, 1))

    def test_swapped_day_and_month_are_told_with_both_lines(self):
        guess = self._detect_dates("31/12/2026", "12/30/2026", "30/12/2026")
        [note] = self._notes(guess, "day_and_month_swapped")
        self.assertEqual((note.line, note.found), (3, "12/30/2026"))
        self.assertEqual(note.expected, "line 2: 31/12/2026")
        self.assertEqual(guess.mapping.date_format, "dmy_slash")

    def test_two_digit_years_are_told_and_no_format_proposed(self):
        guess = self._detect_dates("31/12/26", "30/12/26")
        [note] = self._notes(guess, "two_digit_year")
        self.assertEqual((note.line, note.found), (2, "31/12/26"))
        self.assertEqual(guess.mapping.date_format, "iso")

    def test_days_that_do_not_exist_are_told(self):
        for day in ("2026-02-30", "30/02/2026", "2026/13/01", "31.04.2026"):
            guess = self._detect_dates(day)
            [note] = self._notes(guess, "date")
            self.assertEqual((note.line, note.found), (2, day))

    def test_other_ways_to_write_dates_are_told(self):
        guess = self._detect_dates("31/12/2026", "31/12/2026", "31.12.2026")
        [note] = self._notes(guess, "mixed_dates")
        self.assertEqual((note.line, note.found), (4, "31.12.2026"))
        text = f"{HEADER},dateofbirth,dateenrolled\n1,B,A,M,C,{{}}\n"
        guess = detect(_file(text.format("31/12/2026,31.12.1980,30/11/2020")))
        [note] = self._notes(guess, "date_formats_differ")
        self.assertEqual((note.column, note.found), ("dateofbirth", "31.12.1980"))
        self.assertEqual(note.expected, "dmy_slash")

    def test_numbers_are_no_dates(self):
        guess = detect(_file("cardnumber,surname,shelf\n20261231,B,20261231\n"))
        self.assertEqual(guess.dates, [])

    def test_nothing_is_said_of_what_stands_in_forbidden_columns(self):
        guess = detect(_file(f"{HEADER},Notes,Item\n1,B,A,M,C,,31/12/2026,31/12/26\n"))
        self.assertEqual(guess.forbidden, ["Notes", "Item"])
        self.assertEqual((guess.dates, guess.unmapped, guess.notes), ([], [], []))

    # ------------------------------------------------------------
    # SPREADSHEETS
    # ------------------------------------------------------------

    def test_spoilt_card_numbers_are_told(self):
        guess = detect(_file(f"{HEADER}\n123,B,A,M,C,\n2.35E+13,B,A,M,C,\n"))
        [note] = self._notes(guess, "spreadsheet_number")
        self.assertEqual((note.line, note.column), (3, "cardnumber"))
        guess = detect(_file(f"{HEADER}\n12345,B,A,M,C,\n1234,B,A,M,C,\n"))
        [note] = self._notes(guess, "leading_zeros")
        self.assertEqual((note.line, note.found, note.expected), (3, "1234", "5"))
        guess = detect(_file(f"{HEADER}\n12345,B,A,M,C,\n01234,B,A,M,C,\n"))
        self.assertEqual(self._notes(guess, "leading_zeros"), [])

    def test_workbook_is_described_as_a_file_is(self):
        book = Workbook()
        book.active.title = "Export"
        book.active.append(("Patrons",))
        book.active.append(("Barcode", "First Name", "Last Name", "Notes"))
        book.active.append((42, "Maja", "Lindqvist", "never"))
        book.create_sheet("Other")
        file = io.BytesIO()
        book.save(file)
        file.seek(0)
        guess = detect(file)
        self.assertTrue(guess.is_workbook)
        self.assertEqual(guess.sheets, ["Export", "Other"])
        self.assertEqual(guess.header_line, 2)
        self.assertEqual(guess.mapping.columns["card_number"], ("Barcode",))
        self.assertEqual(guess.forbidden, ["Notes"])
        [note] = self._notes(guess, "leading_zeros")
        self.assertEqual((note.line, note.column, note.found), (3, "Barcode", "42"))
        self.assertEqual(file.tell(), 0)

    # ------------------------------------------------------------
    # THE PROPOSAL
    # ------------------------------------------------------------

    def test_files_of_koha_are_read_as_proposed(self):
        for name, kind in (
            ("koha_patrons.csv", "patrons"),
            ("koha_statistics.csv", "usage"),
        ):
            with open(FIXTURES / name, "rb") as file:
                guess = detect(file)
                self.assertEqual((guess.kind, file.tell()), (kind, 0))
                self.assertEqual(list(guess.mapping.find_problems()), [])
                rows = list(MappedFormat(guess.mapping).read_all(file))
            self.assertTrue(rows[0].values)
            if kind == "patrons":
                self.assertEqual(guess.system, "Koha")
                self.assertEqual(rows[0].values["card_number"], "0000501")
                self.assertEqual(rows[0].values["street"], "12 Mill Lane")
                self.assertIn("password", guess.forbidden)
            else:
                self.assertEqual(rows[0].values["service_code"], "loan")
                self.assertIn("itemnumber", guess.forbidden)
                self.assertEqual(
                    self._notes(guess, "unknown_service")[0].found, "teleport"
                )
            self.assertNotIn("never", repr(guess).lower())

    def test_exports_of_other_systems_are_read_as_proposed(self):
        for system, text in (
            (
                "Sierra",
                "RECORD #(PATRON),P BARCODE,PATRN NAME,P TYPE,HOME LIBR,EXP DATE\n"
                'p1001,21234000123456,"Lindqvist, Maja",3,mn,12-31-2026\n',
            ),
            (
                "Evergreen",
                "id,barcode,first_given_name,family_name,home_ou,profile,expire_date\n"
                "7,21234000123456,Maja,Lindqvist,mn,3,2026-12-31 00:00:00-05\n",
            ),
            (
                "Alma",
                "Primary Identifier\tBarcode\tFirst Name\tLast Name\tCampus Code\t"
                "User Group\tExpiry Date\n"
                "u7\t21234000123456\tMaja\tLindqvist\tmn\t3\t31/12/2026\n",
            ),
            (
                "Polaris",
                "PatronID,Barcode,NameFirst,NameLast,OrganizationID,PatronCodeID,"
                "ExpirationDate\n7,21234000123456,Maja,Lindqvist,mn,3,12/31/2026\n",
            ),
            (
                "Symphony",
                "USER_ID|USER_NAME|USER_LIBRARY|USER_PROFILE|USER_PRIV_EXPIRES\n"
                "21234000123456|Lindqvist, Maja|mn|3|20261231\n",
            ),
        ):
            with self.subTest(system=system):
                guess = detect(_file(text))
                self.assertEqual((guess.system, guess.kind), (system, "patrons"))
                self.assertEqual(list(guess.mapping.find_problems()), [])
                [row] = MappedFormat(guess.mapping).read_all(_file(text))
                self.assertIsNone(row.error)
                self.assertEqual(row.values["card_number"], "21234000123456")
                self.assertEqual(row.values["name"], "Maja Lindqvist")
                self.assertEqual(row.values["branch_code"], "mn")
                self.assertEqual(row.values["category_code"], "3")
                self.assertEqual(row.values["expiry_date"], date(2026, 12, 31))

    def test_use_of_other_systems_is_read_as_proposed(self):
        for text, ref in (
            (
                "TranClientDate,OrganizationID,TransactionTypeID,PatronID,Title\n"
                "2026-03-31 10:15:00,mn,6001,7,Never told\n",
                "7",
            ),
            (
                "transaction_gmt,op_code,patron_record_id,branch,item_record_id\n"
                "2026-03-31 10:15:00,o,7,mn,Never told\n",
                "7",
            ),
            (
                "Loan Date,Library Code,Primary Identifier,Barcode\n"
                "31/03/2026,mn,u7,Never told\n",
                "u7",
            ),
        ):
            with self.subTest(text=text[:20]):
                guess = detect(_file(text))
                self.assertEqual(guess.kind, "usage")
                self.assertEqual(list(guess.mapping.find_problems()), [])
                [row] = MappedFormat(guess.mapping).read_all(_file(text))
                self.assertEqual(row.values["service_code"], "loan")
                self.assertEqual(row.values["ils_ref"], ref)
                self.assertEqual(row.values["date"], date(2026, 3, 31))
                self.assertEqual(len(guess.forbidden), 1)
                self.assertNotIn("Never", repr(guess) + repr(row))

    def test_what_the_proposal_lacks_is_said(self):
        guess = detect(_file("Barcode,First Name,Last Name,Shoe size\n1,A,B,39\n"))
        missing = [problem.expected for problem in guess.mapping.find_problems()]
        self.assertEqual(missing, ["branch_code", "category_code"])
        self.assertEqual(guess.unmapped, ["Shoe size"])
