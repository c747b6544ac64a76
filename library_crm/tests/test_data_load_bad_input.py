import base64
import csv
import io
from datetime import date

from odoo.exceptions import UserError
from odoo.tests import tagged

from ..formats.table import RowError
from .common import LibraryCommon

PATRONS = "cardnumber,surname,branchcode,categorycode,dateofbirth,email,phone"
USE = "datetime,branch,type,cardnumber"


@tagged("post_install", "-at_install")
class TestBadInput(LibraryCommon):
    """Whatever is wrong with a row, that row alone is refused, with its line, the
    column, what was found and what was expected; the rows around it are taken."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.patrons, cls.statistics = cls.env["library.data.source"].create(
            [
                {"name": form, "format": form, "company_id": cls.library.id}
                for form in ("koha_patrons", "koha_statistics")
            ]
        )

    def _upload(self, source, content):
        if isinstance(content, str):
            content = content.encode()
        return (
            self.env["library.data.load"]
            .with_user(self.manager)
            .create(
                {
                    "source_id": source.id,
                    "file": base64.b64encode(content),
                    "file_name": "export.csv",
                }
            )
        )

    def _load(self, source, content):
        load = self._upload(source, content)
        load.action_run()
        self.assertEqual(load.state, "done", load.message)
        return load

    def _patron(self, card):
        return self.env["library.patron"].search(
            [("company_id", "=", self.library.id), ("card_number", "=", card)]
        )

    def assertRefused(self, source, header, before, bad, after, words):
        """``bad`` stands on line 3 and is refused with the words, and it alone."""
        with self.env.cr.savepoint() as savepoint:
            load = self._load(
                source,
                b"\n".join(
                    row if isinstance(row, bytes) else row.encode()
                    for row in (header, before, bad, after)
                ),
            )
            self.assertEqual((load.rows_total, load.rows_new), (3, 2))
            self.assertEqual(load.refusal_ids.mapped("line"), [3])
            for word in words:
                self.assertIn(word, load.refusal_ids.reason)
            savepoint.rollback()

    # ------------------------------------------------------------
    # THE FILE
    # ------------------------------------------------------------

    def test_file_without_a_readable_header_is_refused_with_what_was_expected(self):
        for source, header in ((self.patrons, PATRONS), (self.statistics, USE)):
            first = header.partition(",")[0]
            for content, words in (
                ("\n", ("empty", first)),
                ("apples,pears\n1,2\n", ("apples,pears", first)),
                (f"{header},{first}\n1\n", (first, "twice")),
                (header.replace("branch", "brunch") + "\n1\n", ("branch",)),
            ):
                with self.subTest(source=source.name, content=content):
                    with self.assertRaises(UserError) as caught:
                        self._upload(source, content)
                    for word in words:
                        self.assertIn(word, str(caught.exception))
        self.assertFalse(self.patrons.load_ids | self.statistics.load_ids)

    def test_file_with_a_header_only_has_no_rows(self):
        for source, header in ((self.patrons, PATRONS), (self.statistics, USE)):
            for end in ("", "\n", "\r\n\r\n"):
                load = self._load(source, header + end)
                self.assertEqual((load.rows_total, load.rows_refused), (0, 0))

    def test_file_may_be_in_any_usual_encoding(self):
        for number, (encoding, mark) in enumerate(
            (
                ("utf-8", b""),
                ("utf-8-sig", b""),
                ("utf-16", b""),
                ("utf-16-le", b"\xff\xfe"),
                ("latin-1", b""),
            )
        ):
            with self.subTest(encoding=encoding):
                text = f"{PATRONS}\r\n00810{number},Müller,TMAIN,TADULT,,,\r\n"
                load = self._load(self.patrons, mark + text.encode(encoding))
                self.assertEqual(load.rows_new, 1)
                self.assertEqual(self._patron(f"00810{number}").name, "Müller")

    # ------------------------------------------------------------
    # ROWS
    # ------------------------------------------------------------

    def test_bad_row_of_a_patron_file_is_refused_alone(self):
        for bad, words in (
            ("0802,Short", ("2 cells", "7")),
            ("0802,Long,TMAIN,TADULT,,,,more", ("8 cells", "7")),
            ("08\x0002,Nul,TMAIN,TADULT,,,", ("cardnumber", "08?02", "NUL")),
            (f"0802,{'x' * 1_000_000},TMAIN,TADULT,,,", ("surname", "xxx", "120")),
            (f"0802,{'x' * 500},TMAIN,TADULT,,,", ("surname", "xxx", "120")),
            ('0802,"Open,TMAIN,TADULT,,,', ('quote (") is opened',)),
            ("0802,M\xfcller \u20ac,TMAIN,TADULT,,,".encode("cp1252"), ("surname",)),
            ("#REF!,Ref,TMAIN,TADULT,,,", ("cardnumber", "#REF!", "formula")),
            ("2.35E+13,Sheet,TMAIN,TADULT,,,", ("cardnumber", "2.35E+13", "rounded")),
            ("0802,,TMAIN,TADULT,,,", ("surname", "empty")),
            *(
                (
                    f"0802,Day,TMAIN,TADULT,{day},,",
                    ("dateofbirth", day, "2026-12-31"),
                )
                for day in ("1999-02-30", "12/31/1999", "99-12-31", "31.12.1999")
            ),
        ):
            with self.subTest(bad=bad[:60]):
                self.assertRefused(
                    self.patrons,
                    PATRONS,
                    "0801,Before é,TMAIN,TADULT,1990-01-01,,",
                    bad,
                    "0803,After,TMAIN,TADULT,,,",
                    words,
                )

    def test_bad_row_of_use_is_refused_alone(self):
        for bad, words in (
            ("2025-03-03,TMAIN", ("2 cells", "4")),
            ("2025-03-03,TMAIN,issue,,0042", ("5 cells", "4")),
            ("2025-03-03,TM\0AIN,issue,0042", ("branch", "TM?AIN", "NUL")),
            (f"2025-03-03,TMAIN,issue,{'4' * 200_000}", ("cardnumber", "444", "64")),
            ('2025-03-03,"TMAIN,issue,0042', ('quote (") is opened',)),
            ("2025-03-03,TMAIN,issue,2.35E+13", ("cardnumber", "2.35E+13")),
            ("2025-02-30 10:00,TMAIN,issue,0042", ("datetime", "2025-02-30")),
            ("25-03-03,TMAIN,issue,0042", ("datetime", "25-03-03", "2026-12-31")),
            (",TMAIN,issue,0042", ("datetime", "empty")),
            ("2025-03-03,,issue,0042", ("branch", "empty")),
            ("2025-03-03,TMAIN,#N/A,0042", ("type", "#N/A", "formula")),
        ):
            with self.subTest(bad=bad[:60]):
                self.assertRefused(
                    self.statistics,
                    USE,
                    "2025-03-01 09:00:00,TMAIN,issue,0042",
                    bad,
                    "2025-03-05 09:00:00,TMAIN,localuse,",
                    words,
                )

    def test_month_and_day_are_not_guessed(self):
        self.patrons.date_format = "dmy_slash"
        self.assertRefused(
            self.patrons,
            PATRONS,
            "0801,Before,TMAIN,TADULT,05/04/1990,,",
            "0802,Swapped,TMAIN,TADULT,12/31/1990,,",
            "0803,After,TMAIN,TADULT,31/12/1990,,",
            ("dateofbirth", "12/31/1990", "31/12/2026"),
        )
        self._load(self.patrons, f"{PATRONS}\n0801,New,TMAIN,TADULT,05/04/1990,,")
        self.assertEqual(self._patron("0801").birth_date, date(1990, 4, 5))

    def test_open_quote_costs_its_row_wherever_it_stands(self):
        rows = [f"08{n:02},Row {n},TMAIN,TADULT,,," for n in range(40)]
        for place in (0, 20, 37, 39):
            with self.subTest(place=place), self.env.cr.savepoint() as savepoint:
                broken = list(rows)
                broken[place] = broken[place].replace(",Row", ',"Row')
                load = self._load(self.patrons, "\n".join((PATRONS, *broken)))
                self.assertEqual((load.rows_new, load.rows_refused), (39, 1))
                self.assertEqual(load.refusal_ids.line, place + 2)
                savepoint.rollback()

    def test_spaces_around_a_cell_do_not_matter(self):
        self._load(self.patrons, f"{PATRONS}\n 0801 , Ann\u00a0, TMAIN,TADULT ,, ,")
        self.assertEqual(self._patron("0801").name, "Ann")
        use = self._load(self.statistics, f"{USE}\n 2025-03-01 , TMAIN,issue , 0801 ")
        self.assertEqual((use.rows_new, use.rows_refused), (1, 0))

    def test_zeros_before_a_number_stay(self):
        self._load(self.patrons, f"{PATRONS}\n000042,Zero,TMAIN,TADULT,,,")
        self.assertEqual(self._patron("000042").name, "Zero")
        use = self._load(
            self.statistics,
            f"{USE}\n2025-03-01,TMAIN,issue,000042\n2025-03-01,TMAIN,issue,42",
        )
        self.assertEqual((use.rows_new, use.rows_refused), (1, 1))
        self.assertIn("“42”", use.refusal_ids.reason)

    def test_email_and_phone_that_are_none_are_left_out_with_a_remark(self):
        load = self._load(
            self.patrons,
            "\n".join(
                (
                    PATRONS,
                    "0801,None,TMAIN,TADULT,,none,unlisted",
                    "0802,Some,TMAIN,TADULT,,some@test.example.com,ext. 12",
                )
            ),
        )
        self.assertEqual((load.rows_new, load.rows_refused), (2, 0))
        self.assertFalse(self._patron("0801").email or self._patron("0801").phone)
        self.assertEqual(self._patron("0802").email, "some@test.example.com")
        self.assertEqual(self._patron("0802").phone, "ext. 12")
        for word in ("Email", "Phone"):
            self.assertIn(word, load.notes_text)

    def test_formula_does_not_come_back_as_one(self):
        formulas = ("=cmd()", "+1+cmd()", "-1+cmd()", "@SUM(A1)")
        load = self._load(
            self.patrons,
            "\n".join(
                (PATRONS, *(f"{text},{text},NOWHERE,TADULT,,," for text in formulas))
            ),
        )
        content = base64.b64decode(load.refused_file).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(content)))
        self.assertEqual([row["surname"] for row in rows], [f"'{f}" for f in formulas])
        for row in rows:
            for cell in row.values():
                self.assertFalse(cell.startswith(("=", "+", "-", "@")), cell)
        # Mended, it means again what it meant.
        self._load(self.patrons, content.replace("NOWHERE", "TMAIN"))
        self.assertEqual(self._patron("=cmd()").name, "=cmd()")

    def test_each_thing_that_may_be_wrong_has_words_of_its_own(self):
        load = self._upload(self.statistics, f"{USE}\n2025-03-01,TMAIN,issue,0042")
        loader = load.source_id.sudo()._get_loader()(
            load.sudo(), load.source_id.sudo()._make_file_format(), False
        )
        seen = set()
        for reason in (
            *("width", "malformed", "open_quote", "encoding", "formula_error"),
            *("control", "missing", "date", "date_order", "too_long", "quantity"),
            *("spreadsheet_number", "unknown_type", "repeated"),
        ):
            text = loader.describe(RowError(reason, "COLUMN", "FOUND", "EXPECTED"))
            seen.add(text)
            if reason not in ("width", "open_quote", "malformed"):
                self.assertIn("COLUMN", text)
            if reason not in ("open_quote", "missing"):
                self.assertIn("FOUND", text)
        self.assertEqual(len(seen), 14)
