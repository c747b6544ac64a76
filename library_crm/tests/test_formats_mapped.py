import io
import json
from datetime import date
from pathlib import Path

from odoo.tests import BaseCase, tagged

from ..formats import koha
from ..formats.mapped import (
    MappedFormat,
    Mapping,
    MappingError,
    ValueMap,
)
from ..formats.table import FileError

FIXTURES = Path(__file__).parent / "fixtures"
HEADER = "Card No,Family,Given,Home Library,Patron Type"
COLUMNS = {
    "card_number": ["Card No"],
    "name": ["Given", "Family"],
    "branch_code": ["Home Library"],
    "category_code": ["Patron Type"],
}
KOHA_PATRONS = Mapping(
    "patrons",
    {
        "card_number": "cardnumber",
        "ils_ref": "borrowernumber",
        "name": ["firstname", "surname"],
        "street": ["streetnumber", "address", "streettype"],
        "street2": "address2",
        "city": "city",
        "state": "state",
        "zip": "zipcode",
        "country": "country",
        "email": ["email", "emailpro"],
        "phone": ["mobile", "phone", "phonepro"],
        "birth_date": "dateofbirth",
        "branch_code": "branchcode",
        "category_code": "categorycode",
        "enrolled_on": "dateenrolled",
        "expiry_date": "dateexpiry",
        "guardian_ref": "guarantorid",
    },
)
KOHA_USE = Mapping(
    "usage",
    {
        "date": "datetime",
        "branch_code": "branch",
        "service_code": "type",
        "ils_ref": "borrowernumber",
    },
    value_maps={
        "service_code": ValueMap(
            {**koha.SERVICES, **dict.fromkeys(koha.IGNORED_TYPES, "")}
        )
    },
)


def _file(text, encoding="utf-8"):
    return io.BytesIO(text.encode(encoding))


@tagged("post_install", "-at_install")
class TestFormatsMapped(BaseCase):
    """What a mapping makes of the files of any library system."""

    def _read(self, *rows, header=HEADER, encoding="utf-8", columns=None, **options):
        text = "\n".join((header, *rows)) + "\n"
        mapping = Mapping(
            "patrons", {**COLUMNS, **(columns or {})}, encoding=encoding, **options
        )
        return list(MappedFormat(mapping).read_all(_file(text, encoding)))

    def _read_use(self, *rows, header="When,Where,What,Who", columns=None, **options):
        options.setdefault("value_maps", {"service_code": ValueMap({"Out": "loan"})})
        given = {"date": "When", "branch_code": "Where", "service_code": "What"}
        mapping = Mapping("usage", {**given, "ils_ref": "Who", **(columns or {})})
        for name, value in options.items():
            setattr(mapping, name, value)
        return list(MappedFormat(mapping).read_all(_file("\n".join((header, *rows)))))

    def assertRefused(self, row, reason, column=None, found=None, expected=None):
        self.assertIsNone(row.values)
        self.assertEqual(row.error.reason, reason)
        for name, value in (("column", column), ("found", found)):
            if value is not None:
                self.assertEqual(getattr(row.error, name), value)
        if expected is not None:
            self.assertEqual(row.error.expected, expected)

    def assertFileRefused(self, read, reason, line=None):
        with self.assertRaises(FileError) as caught:
            list(read())
        self.assertEqual(caught.exception.reason, reason)
        if line:
            self.assertEqual(caught.exception.line, line)
        return caught.exception

    # ------------------------------------------------------------
    # THE SAME AS KOHA
    # ------------------------------------------------------------

    def test_mapped_koha_files_give_what_the_readers_of_koha_give(self):
        for name, mapping, file_format in (
            ("koha_patrons.csv", KOHA_PATRONS, koha.KohaPatrons()),
            ("koha_statistics.csv", KOHA_USE, koha.KohaStatistics()),
        ):
            content = (FIXTURES / name).read_bytes()
            expected = {
                row.line: row for row in file_format.read_all(io.BytesIO(content))
            }
            rows = list(MappedFormat(mapping).read_all(io.BytesIO(content)))
            self.assertEqual([row.line for row in rows], list(expected))
            for row in rows:
                with self.subTest(file=name, line=row.line):
                    same = expected[row.line]
                    if same.error and same.error.reason == "missing":
                        # Koha wants a family name; here any part of it will do.
                        self.assertEqual(row.values["name"], "Nameless")
                        continue
                    self.assertEqual(row.values, same.values)
                    self.assertEqual(bool(row.error), bool(same.error))
                    if row.error:
                        self.assertEqual(row.error.reason, same.error.reason)
                        self.assertEqual(row.error.column, same.error.column)
                        self.assertEqual(row.error.found, same.error.found)

    # ------------------------------------------------------------
    # PATRONS
    # ------------------------------------------------------------

    def test_columns_that_are_not_mapped_never_come_out(self):
        text = f"{HEADER},PIN,Notes,Shoe size\n1,B,A,M,C,secret1,secret2,secret3\n"
        mapping = Mapping("patrons", COLUMNS)
        cleaned = io.BytesIO()
        summary = MappedFormat(mapping).clean(_file(text), cleaned)
        self.assertEqual(summary.forbidden, ["pin", "notes"])
        self.assertEqual(summary.unknown, ["shoe size"])
        self.assertNotIn(b"secret", cleaned.getvalue())
        [direct] = MappedFormat(mapping).read_all(_file(text))
        self.assertNotIn("secret", repr(direct))
        self.assertEqual(direct.values["name"], "A B")

    def test_clean_copy_reads_as_the_file_did(self):
        text = (
            "Report of today;;;\n\nCard No;Family;Given;Home Library;Patron Type\n"
            '1;Müller;A;M;C\n2;short\n3;"B\nb";A;M;C\n4;;;M;C\n'
        )
        mapping = Mapping(
            "patrons",
            COLUMNS,
            encoding="utf-16",
            delimiter=";",
            header_line=3,
        )
        cleaned = io.BytesIO()
        MappedFormat(mapping).clean(_file(text, "utf-16"), cleaned)
        direct = list(MappedFormat(mapping).read_all(_file(text, "utf-16")))
        again = list(MappedFormat(mapping).read_all(io.BytesIO(cleaned.getvalue())))
        for rows in (direct, again):
            self.assertEqual([row.line for row in rows], [4, 5, 6, 8])
            self.assertEqual(rows[0].values["name"], "A Müller")
            self.assertRefused(rows[1], "width", found="2", expected="5")
            self.assertEqual(rows[2].values["name"], "A B b")
            self.assertRefused(rows[3], "missing", "Family")

    def test_fields_take_first_or_all_of_their_columns(self):
        [row] = self._read(
            "1,B,A,M,C,,b@x.org,12,Mill Lane",
            header=f"{HEADER},Mail,Mail 2,No,Road",
            columns={"email": ["Mail", "Mail 2"], "street": ["No", "Road"]},
        )
        self.assertEqual(row.values["email"], "b@x.org")
        self.assertEqual(row.values["street"], "12 Mill Lane")
        self.assertNotIn("city", row.values)

    def test_family_name_first_is_turned(self):
        for text, expected in (
            ('"Lindqvist, Maja"', "Maja Lindqvist"),
            ('"Le Guin, Ursula K."', "Ursula K. Le Guin"),
            ("Voltaire", "Voltaire"),
        ):
            [row] = self._read(
                f"1,{text},,M,C", columns={"name": "Family"}, family_name_first=True
            )
            self.assertEqual(row.values["name"], expected)

    def test_codes_are_translated_and_others_stay_or_get_the_default(self):
        rows = ("1,B,A,Main St,AD", "2,B,A,North,XX", "3,B,A,,AD")
        maps = {
            "branch_code": ValueMap({"Main St": "MAIN"}),
            "category_code": ValueMap({"AD": "ADULT"}, default="OTHER"),
        }
        first, second, third = self._read(*rows, value_maps=maps)
        self.assertEqual(
            (first.values["branch_code"], first.values["category_code"]),
            ("MAIN", "ADULT"),
        )
        self.assertEqual(
            (second.values["branch_code"], second.values["category_code"]),
            ("North", "OTHER"),
        )
        self.assertRefused(third, "missing", "Home Library")

    def test_default_does_without_a_column(self):
        columns = {
            name: column for name, column in COLUMNS.items() if name != "branch_code"
        }
        mapping = Mapping(
            "patrons", columns, value_maps={"branch_code": ValueMap(default="ONLY")}
        )
        [row] = MappedFormat(mapping).read_all(_file(f"{HEADER}\n1,B,A,M,C\n"))
        self.assertEqual(row.values["branch_code"], "ONLY")

    def test_dates_in_every_format(self):
        for text, date_format, expected in (
            ("2026-12-31", "dmy_slash", date(2026, 12, 31)),
            ("31/12/2026", "dmy_slash", date(2026, 12, 31)),
            ("12/31/2026 10:15 PM", "mdy_slash", date(2026, 12, 31)),
            ("31.12.2026", "dmy_dot", date(2026, 12, 31)),
            ("2026/12/31", "ymd_slash", date(2026, 12, 31)),
            ("12-31-2026", "mdy_dash", date(2026, 12, 31)),
            ("1-3-2026", "dmy_dash", date(2026, 3, 1)),
            ("20261231", "ymd", date(2026, 12, 31)),
            ("202612312359", "ymd", date(2026, 12, 31)),
            ("NEVER", "ymd", None),
            ("  -  -    ", "mdy_dash", None),
            ("0000-00-00", "iso", None),
            ("31/12/2026", "mdy_slash", "refused"),
            ("30/02/2026", "dmy_slash", "refused"),
            ("2026/02/30", "ymd_slash", "refused"),
            ("31/12/26", "dmy_slash", "refused"),
            ("12-31-26", "mdy_dash", "refused"),
            ("20261231", "iso", "refused"),
            ("46387", "iso", "refused"),
        ):
            with self.subTest(text=text, date_format=date_format):
                [row] = self._read(
                    f"1,B,A,M,C,{text}",
                    header=f"{HEADER},Expires",
                    columns={"expiry_date": "Expires"},
                    date_format=date_format,
                )
                if expected == "refused":
                    self.assertRefused(row, "date", "Expires", text, date_format)
                else:
                    self.assertEqual(row.values["expiry_date"], expected)

    def test_expiry_before_first_day_is_refused(self):
        [row] = self._read(
            "1,B,A,M,C,2025-01-02,2025-01-01",
            header=f"{HEADER},Since,Until",
            columns={"enrolled_on": "Since", "expiry_date": "Until"},
        )
        self.assertRefused(row, "date_order", "Until", "2025-01-01", "2025-01-02")

    # ------------------------------------------------------------
    # USE
    # ------------------------------------------------------------

    def test_kinds_of_use_are_translated_ignored_or_refused(self):
        out, fine, unknown = self._read_use(
            "2025-03-03 10:15,M,OUT,501",
            "2025-03-03 10:16,M,Fine,501",
            "2025-03-03 10:17,M,Teleport,501",
            value_maps={"service_code": ValueMap({"Out": "loan", "fine": ""})},
        )
        self.assertEqual(out.values["service_code"], "loan")
        self.assertEqual(fine.values, {"service_code": None})
        self.assertRefused(unknown, "unknown_type", "What", "Teleport", "Out, fine")

    def test_identity_says_the_moment_and_not_what_codes_are_mapped_to(self):
        rows = ("2025-03-03,M,Out,501,10:15", "2025-03-03,M,Out,501,10:16")
        options = {
            "header": "When,Where,What,Who,Hour",
            "columns": {"time": "Hour"},
        }
        first, second = self._read_use(*rows, **options)
        self.assertNotEqual(first.values["identity"], second.values["identity"])
        maps = {
            "branch_code": ValueMap({"M": "MAIN"}),
            "service_code": ValueMap({"Out": "renewal"}),
        }
        again, __ = self._read_use(*rows, value_maps=maps, **options)
        self.assertEqual(again.values["branch_code"], "MAIN")
        self.assertEqual(first.values["identity"], again.values["identity"])

    def test_quantity_counts_zero_is_ignored_and_others_are_refused(self):
        rows = self._read_use(
            *(f"2025-03-03,M,Out,,{count}" for count in ("7", "0", "-1", "1.5", "")),
            header="When,Where,What,Who,Count",
            columns={"quantity": "Count"},
        )
        self.assertEqual(rows[0].values["quantity"], 7)
        self.assertIsNone(rows[0].values["ils_ref"])
        self.assertEqual(rows[1].values, {"service_code": None})
        self.assertRefused(rows[2], "quantity", "Count", "-1", "0-999999")
        self.assertRefused(rows[3], "quantity", "Count", "1.5")
        self.assertRefused(rows[4], "missing", "Count")

    def test_use_without_a_day_is_refused(self):
        empty, never = self._read_use(",M,Out,501", "never,M,Out,501")
        self.assertRefused(empty, "missing", "When")
        self.assertRefused(never, "date", "When", "never", "iso")

    # ------------------------------------------------------------
    # BAD FILES
    # ------------------------------------------------------------

    def test_files_without_the_right_header_are_refused_as_a_whole(self):
        mapping = Mapping("patrons", COLUMNS)
        for text, reason in (
            ("", "empty"),
            ("\n", "empty"),
            ("apples,pears\n1,2\n", "header"),
            ("Card No,Family\n1,B\n", "missing_columns"),
            (f"{HEADER},family\n1,B,A,M,C,B\n", "repeated_column"),
        ):
            with self.subTest(text=text):
                self.assertFileRefused(
                    lambda t=text: MappedFormat(mapping).read_all(_file(t)), reason
                )
        self.assertEqual(self._read(), [])

    def test_missing_column_is_named_and_its_line_counted(self):
        mapping = Mapping("patrons", COLUMNS, header_line=3)
        text = f"Report\n\n{HEADER.replace('Family', 'Surname')}\n1,B,A,M,C\n"
        error = self.assertFileRefused(
            lambda: MappedFormat(mapping).read_all(_file(text)),
            "missing_columns",
            line=3,
        )
        self.assertEqual(error.expected, "family")

    def test_other_delimiter_than_the_mapping_says_is_told(self):
        mapping = Mapping("patrons", COLUMNS, delimiter=";")
        error = self.assertFileRefused(
            lambda: MappedFormat(mapping).read_all(_file(f"{HEADER}\n1,B,A,M,C\n")),
            "delimiter",
        )
        self.assertEqual((error.found, error.expected), (",", ";"))

    def test_every_encoding_is_read(self):
        for encoding in ("utf-8", "utf-16", "utf-16-le", "windows-1252", "iso-8859-1"):
            with self.subTest(encoding=encoding):
                [row] = self._read("1,Müller,Zoë,M,C", encoding=encoding)
                self.assertEqual(row.values["name"], "Zoë Müller")
        text = f"\ufeff{HEADER}\r\n1,Müller,Zoë,M,C\r\n"
        mapping = Mapping("patrons", COLUMNS, encoding="windows-1252")
        [row] = MappedFormat(mapping).read_all(_file(text))
        self.assertEqual(row.values["name"], "Zoë Müller")

    def test_utf16_is_not_taken_for_other_text(self):
        mapping = Mapping("patrons", COLUMNS)
        error = self.assertFileRefused(
            lambda: MappedFormat(mapping).read_all(_file(HEADER, "utf-16")), "encoding"
        )
        self.assertEqual((error.found, error.expected), ("UTF-16", "UTF-8"))

    def test_mixed_encodings_cost_only_the_rows_that_are_broken(self):
        content = (
            f"{HEADER}\n1,Müller,A,M,C\n".encode()
            + "2,Müller,A,M,C\n".encode("latin-1")
            + "3,Möller,A,M,C\n".encode()
        )
        rows = list(
            MappedFormat(Mapping("patrons", COLUMNS)).read_all(io.BytesIO(content))
        )
        self.assertEqual(rows[0].values["name"], "A Müller")
        self.assertRefused(rows[1], "encoding", "Family", "M\ufffdller", "UTF-8")
        self.assertEqual((rows[1].line, rows[2].values["name"]), (3, "A Möller"))

    def test_bad_rows_are_refused_and_the_good_ones_kept(self):
        for bad, reason, column in (
            ("1,B,A", "width", ""),
            ("1,B,A,M,C,more", "width", ""),
            (f"1,{'x' * 1_000_000},A,M,C", "too_long", "Family"),
            ("1,,,M,C", "missing", "Family"),
            ("1,B,A,M,", "missing", "Patron Type"),
            (",B,A,M,C", "missing", "Card No"),
            ("2.35E+13,B,A,M,C", "spreadsheet_number", "Card No"),
            (f"{'9' * 65},B,A,M,C", "too_long", "Card No"),
            ("1,B,A,#REF!,C", "formula_error", "Home Library"),
        ):
            with self.subTest(bad=bad[:40]):
                rows = self._read("0007,B,A,M,C", bad, "0008,B,A,M,C")
                self.assertEqual([row.line for row in rows], [2, 3, 4])
                self.assertRefused(rows[1], reason, column)
                self.assertEqual(rows[0].values["card_number"], "0007")
                self.assertEqual(rows[2].values["card_number"], "0008")

    def test_long_cell_of_a_column_that_is_not_mapped_does_no_harm(self):
        [row] = self._read(f"1,B,A,M,C,{'x' * 1_000_000}", header=f"{HEADER},Picture")
        self.assertEqual(row.values["name"], "A B")

    def test_nul_byte_costs_one_row(self):
        rows = self._read("1,B,A,M,C", "2,B\0b,A,M,C", "3,B,A,M,C")
        self.assertIsNone(rows[1].values)
        self.assertIn(rows[1].error.reason, ("control", "malformed"))
        self.assertTrue(rows[0].values and rows[2].values)

    def test_open_quote_costs_one_row_only(self):
        rows = self._read(
            '1,"Open,A,M,C', *(f"{number},B,A,M,C" for number in range(2, 60))
        )
        self.assertRefused(rows[0], "open_quote")
        self.assertEqual([row.line for row in rows], list(range(2, 61)))
        self.assertTrue(all(row.values for row in rows[1:]))

    # ------------------------------------------------------------
    # THE MAPPING
    # ------------------------------------------------------------

    def test_mapping_goes_to_json_and_back(self):
        mapping = Mapping(
            "patrons",
            COLUMNS,
            value_maps={"branch_code": ValueMap({"Hauptstraße": "M"}, "X")},
            date_format="dmy_dot",
            delimiter="\t",
            encoding="utf-16",
            sheet="Export",
            header_line=2,
            family_name_first=True,
        )
        self.assertEqual(Mapping.from_json(mapping.to_json()), mapping)
        self.assertEqual(Mapping.from_json(KOHA_USE.to_json()), KOHA_USE)

    def test_what_may_not_be_kept_is_no_source_of_anything(self):
        for column, thing in (
            ("Title", "title"),
            ("Item Barcode", "item"),
            ("itemnumber", "item"),
            ("AUTHOR", "author"),
            ("isbn13", "ISBN"),
            ("ISSN", "ISBN"),
            ("callNumber", "call number"),
            ("CALL #(BIBLIO)", "item"),
            ("Passwort", "password"),
            ("P PIN", "password"),
            ("borrowernotes", "note"),
            ("Search terms", "search term"),
            ("Subject", "subject"),
        ):
            for kind, name in (("patrons", "city"), ("usage", "branch_code")):
                with self.subTest(column=column, kind=kind):
                    mapping = Mapping(kind, {name: column})
                    problem = next(mapping.find_problems())
                    self.assertEqual(problem.reason, "forbidden_column")
                    self.assertEqual(problem.place, f"columns.{name}")
                    self.assertEqual(problem.found, column)
                    self.assertEqual(problem.expected, thing)

    def test_barcode_is_a_card_only_where_it_can_be_no_item(self):
        for kind, column, name, allowed in (
            ("patrons", "Barcode", "card_number", True),
            ("patrons", "P BARCODE", "card_number", True),
            ("patrons", "Barcode", "ils_ref", False),
            ("patrons", "Item barcode", "card_number", False),
            ("usage", "Patron Barcode", "card_number", True),
            ("usage", "Patron Barcode", "branch_code", False),
            ("usage", "Barcode", "card_number", False),
        ):
            with self.subTest(kind=kind, column=column, name=name):
                problems = Mapping(kind, {name: column}).find_problems()
                reasons = {problem.reason for problem in problems}
                self.assertEqual("forbidden_column" not in reasons, allowed)

    def test_ordinary_columns_are_not_forbidden(self):
        for column in (
            *("Home Library", "Notification email", "Opening date", "City", "Site"),
            *("Authorised until", "Street", "Town", "Determination", "Shopping"),
            *("RECORD #(PATRON)", "EXP DATE", "Spinner"),
        ):
            problems = Mapping("patrons", {**COLUMNS, "city": column}).find_problems()
            self.assertEqual(list(problems), [], column)

    def test_mapping_that_can_not_be_used_says_what_is_wrong_and_where(self):
        good = json.loads(Mapping("patrons", COLUMNS).to_json())
        for change, reason, place in (
            ({"kind": "books"}, "kind", "kind"),
            ({"columns": {**COLUMNS, "password": "x"}}, "unknown_field", None),
            ({"columns": {**COLUMNS, "title": "x"}}, "unknown_field", None),
            ({"columns": {"name": "x"}}, "missing_field", "columns.card_number"),
            ({"columns": {**COLUMNS, "city": 3}}, "type", "columns.city"),
            ({"columns": {**COLUMNS, "city": []}}, "type", "columns.city"),
            ({"columns": {**COLUMNS, "city": [""]}}, "type", "columns.city"),
            ({"columns": {**COLUMNS, "city": ["A", "a "]}}, "repeated_column", None),
            ({"columns": []}, "type", "columns"),
            ({"date_format": "soon"}, "date_format", "date_format"),
            ({"date_format": []}, "date_format", "date_format"),
            ({"delimiter": "x"}, "delimiter", "delimiter"),
            ({"encoding": "rot13"}, "encoding", "encoding"),
            ({"header_line": 0}, "header_line", "header_line"),
            ({"header_line": True}, "type", "header_line"),
            ({"value_maps": {"name": {}}}, "unknown_field", "value_maps.name"),
            ({"value_maps": {"branch_code": 1}}, "type", "value_maps.branch_code"),
            ({"value_maps": {"branch_code": {"values": 1}}}, "type", None),
            ({"value_maps": {"branch_code": {"values": {"A": ""}}}}, "value_map", None),
            ({"value_maps": {"branch_code": {"default": 7}}}, "value_map", None),
            ({"columms": {}}, "unknown_key", None),
        ):
            with self.subTest(change=change), self.assertRaises(MappingError) as caught:
                Mapping.from_json(json.dumps({**good, **change}))
            self.assertEqual(caught.exception.reason, reason)
            if place:
                self.assertEqual(caught.exception.place, place)

    def test_text_that_is_no_mapping_is_refused(self):
        for text, reason in (
            ("", "json"),
            ("{", "json"),
            ("[" * 50_000, "json"),
            (" " * 200_000, "json"),
            ("[]", "type"),
            ("{}", "missing_field"),
        ):
            with (
                self.subTest(text=text[:10]),
                self.assertRaises(MappingError) as caught,
            ):
                Mapping.from_json(text)
            self.assertEqual(caught.exception.reason, reason)

    def test_bad_mapping_reads_nothing(self):
        mapping = Mapping("patrons", {**COLUMNS, "city": "Item title"})
        with self.assertRaises(MappingError):
            MappedFormat(mapping)
