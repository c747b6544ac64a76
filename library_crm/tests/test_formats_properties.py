import csv
import io
import json
import zipfile
from datetime import date
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st
from openpyxl import Workbook

from odoo.tests import BaseCase, tagged

from ..formats import counter, peers
from ..formats.consents import Consents
from ..formats.counter_report import VOCABULARY
from ..formats.detect import detect
from ..formats.encoding import ENCODINGS, as_utf8
from ..formats.events import PROPERTIES, EventsFormat
from ..formats.headers import KNOWN, get_forbidden
from ..formats.koha import PATRONS, STATISTICS, KohaPatrons, KohaStatistics
from ..formats.mapped import MappedFormat, Mapping, MappingError, ValueMap
from ..formats.table import (
    DATE_FORMATS,
    DELIMITERS,
    CleanWriter,
    FileError,
    RowError,
    Table,
    guard_formula,
    read_date,
)
from ..loaders import describe_file_error
from .properties import examples

FIXTURES = Path(__file__).parent / "fixtures"
#: What is never to be found behind a format.
SECRET = "XQSECRET"
PEERS = {"name": "Library", "population": "People", "measure:visits": "Visits"}
FORMATS = {
    "koha_patrons": KohaPatrons(),
    "koha_statistics": KohaStatistics("dmy_slash"),
    "mapped_patrons": MappedFormat(
        Mapping(
            "patrons",
            {
                "card_number": "Card",
                "name": ["Given", "Family"],
                "branch_code": "Home",
                "category_code": "Type",
                "birth_date": "Born",
                "expiry_date": "Expires",
                "enrolled_on": "Since",
            },
            family_name_first=True,
        )
    ),
    "mapped_usage": MappedFormat(
        Mapping(
            "usage",
            {
                "date": ["Day", "Moment"],
                "time": "Time",
                "branch_code": "Home",
                "service_code": "Type",
                "card_number": "Card",
                "quantity": "Count",
            },
            value_maps={"service_code": ValueMap({"O": "loan", "P": ""})},
            date_format="ymd",
        )
    ),
    "workbook": MappedFormat(
        Mapping(
            "patrons",
            {
                "card_number": "cardnumber",
                "name": "surname",
                "branch_code": "branchcode",
                "category_code": "categorycode",
            },
        )
    ),
    "consents": Consents(),
    "events": EventsFormat("MAIN"),
    "counter": counter.CounterFormat(),
    "peers": peers.Peers(PEERS, {"Kind": ["closed"]}),
}
#: Letters that mean something to somebody on the way.
_NASTY = "\0\r\n\t\"',;|=+-@#\\ \xa0\x85\u2028\ufeff\ufffdÃ¤€ا0129/.:TE{}[]"
TEXT = st.text(st.sampled_from(_NASTY) | st.characters(codec="utf-8"), max_size=20)
CELLS = TEXT | st.sampled_from(
    [
        *("2024-02-29", "29/02/2024", "0000-00-00", "20240229", "31.12.2024", "never"),
        *("501", "1.5E+13", "issue", "MAIN", "given", "3", "-1", "1,234", "#REF!", "x"),
        *("a@b.example", "O", "1" * 300, "9" * 4400, "2024-01-01T10:00", ""),
    ]
)
NAMES = st.sampled_from(
    sorted(
        {
            *(*PATRONS.used, *PATRONS.forbidden, *STATISTICS.used),
            *STATISTICS.forbidden,
            *("Card", "Given", "Family", "Home", "Type", "Born", "Expires", "Since"),
            *("Day", "Moment", "Time", "Count", "Kind", *PEERS.values(), *PROPERTIES),
            *("email", "purpose", "channel", "state", "proof", "", "#line", "#problem"),
        }
    )
)
#: Half of a pair of surrogates, and a NUL, may be written in JSON and nowhere else.
TOLD = TEXT | st.sampled_from(["\ud800", "a\0b"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TOLD,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            TOLD
            | st.sampled_from(
                [
                    *("uses", *PROPERTIES, "Report_Header", "Report_Items", "Release"),
                    *("Report_ID", "Report_Filters", "Begin_Date", "End_Date", "Code"),
                    *("Exceptions", "Platform", "Attribute_Performance", "Performance"),
                    *("columns", "kind", "value_maps", "values", "default"),
                    *("header_line", "encoding", "delimiter", "date_format"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


def write_table(rows, delimiter=",", quoting=csv.QUOTE_MINIMAL):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=quoting)
    writer.writerows(rows)
    return text.getvalue()


@st.composite
def tables(draw):
    """A file with a header that some format may know, and any rows."""
    names = draw(st.lists(NAMES, min_size=1, max_size=9, unique=draw(st.booleans())))
    used = draw(
        st.sampled_from(
            [
                (),
                ("cardnumber", "surname", "branchcode", "categorycode"),
                ("datetime", "branch", "type"),
                ("Card", "Given", "Family", "Home", "Type", "Born", "Expires", "Since"),
                ("Day", "Moment", "Time", "Home", "Type", "Card", "Count"),
                (
                    "card_number",
                    "email",
                    "purpose",
                    "channel",
                    "state",
                    "date",
                    "proof",
                ),
                ("Library", "People", "Visits", "Kind"),
            ]
        )
    )
    names = [*used, *(name for name in names if name not in used)]
    width = st.just(len(names)) | st.integers(0, len(names) + 2)
    rows = draw(
        st.lists(
            width.flatmap(lambda n: st.lists(CELLS, min_size=n, max_size=n)),
            max_size=4,
        )
    )
    delimiter = draw(st.sampled_from(DELIMITERS))
    if draw(st.booleans()):
        text = write_table([names, *rows], delimiter)
    else:
        text = "\n".join(delimiter.join(row) for row in [names, *rows])
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"]))
    return text.encode(encoding)


def texts_in(value):
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, (list, tuple)):
        for inner in value:
            yield from texts_in(inner)
    elif isinstance(value, str):
        yield value


def _make_workbook():
    book = Workbook()
    book.active.append(["cardnumber", "surname", "branchcode", "categorycode", "title"])
    book.active.append(["0501", "Lindqvist", "MAIN", "ADULT", SECRET])
    book.active.append([501, 1.5, date(2024, 2, 29), True, SECRET])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


WORKBOOK = _make_workbook()
SAMPLES = [
    WORKBOOK,
    *(path.read_bytes() for path in sorted(FIXTURES.glob("*.*"))),
    b'{"uses": [{"key": "a", "date": "2024-02-29", "service": "visit"}]}',
]


def change(draw, content):
    """The content with some bytes changed, taken out and put in, or broken off."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        end = place + draw(st.sampled_from([0, 1, 1, 2, 10, 10**6]))
        put = st.binary(max_size=4) | st.sampled_from(
            [b'"', b"\n", b"\0", b"9999", b"|"]
        )
        content[place:end] = draw(put)
    return bytes(content)


@st.composite
def broken_files(draw):
    """A good file to which something has happened."""
    return change(draw, draw(st.sampled_from(SAMPLES)))


@st.composite
def broken_workbooks(draw):
    """A workbook to which something has happened within a part, so that the archive
    itself is whole."""
    changed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(WORKBOOK)) as old,
        zipfile.ZipFile(changed, "w") as new,
    ):
        bad = draw(st.sampled_from(old.namelist()))
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, change(draw, part) if name == bad else part)
    return changed.getvalue()


FILES = st.one_of(
    st.binary(max_size=200),
    TEXT.map(str.encode),
    tables(),
    broken_files(),
    broken_workbooks(),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.tuples(st.sampled_from([b"[", b'{"uses":[', b'{"a":']), st.just(10**5)).map(
        lambda deep: deep[0] * deep[1]
    ),
)


class _Said:
    """Stands in for an environment that only translates."""

    @staticmethod
    def _(text, *arguments, **names):
        return text % (names or arguments)


@tagged("post_install", "-at_install")
class TestAnyFile(BaseCase):
    """Whatever comes as a file is read, or refused in words that say where and why."""

    def _clean(self, file_format, content):
        """:return: the cleaned file and its summary, or None where it is refused"""
        target = io.BytesIO()
        try:
            summary = file_format.clean(io.BytesIO(content), target)
        except FileError as error:
            self._check_file_error(error)
            return None
        target.seek(0)
        for text in texts_in(vars(summary)):
            self._check_kept(text)
        return target, summary

    def _check_kept(self, text):
        """A database can keep it."""
        self.assertNotIn("\0", text)
        text.encode()

    def _check_file_error(self, error):
        told = describe_file_error(_Said, error)
        self._check_kept(told)
        self.assertGreater(len(told.split()), 3, told)
        self.assertFalse(told.startswith(":"), told)
        self.assertTrue(
            error.found or error.expected or error.line,
            "It says neither where nor what",
        )

    def _check_rows(self, file_format, file):
        rows = list(map(file_format.convert, file_format.rows(file)))
        for row in rows:
            self.assertGreaterEqual(row.line, 1)
            if row.error:
                self._check_kept(row.error.found)
                self.assertIsInstance(row.error, RowError)
                self.assertTrue(row.error.reason)
                self.assertIsNone(row.values)
            else:
                self.assertIsInstance(row.values, dict)
        return rows

    @given(st.sampled_from(sorted(FORMATS)), FILES)
    @examples(400)
    def test_any_file_is_read_or_refused_by_any_format(self, name, content):
        file_format = FORMATS[name]
        if cleaned := self._clean(file_format, content):
            target, summary = cleaned
            rows = self._check_rows(file_format, target)
            self.assertEqual(len(rows), summary.rows)

    @given(FILES | tables())
    @examples(200)
    def test_any_file_is_looked_at_and_what_is_proposed_can_be_done(self, content):
        try:
            guess = detect(io.BytesIO(content))
        except FileError as error:
            self._check_file_error(error)
            return
        mapping = guess.mapping
        for field, columns in mapping.columns.items():
            for column in columns:
                self.assertFalse(get_forbidden(column, mapping.kind, field))
        if any(mapping.find_problems()):
            return
        self.assertEqual(Mapping.from_json(mapping.to_json()), mapping)
        file_format = MappedFormat(mapping)
        if cleaned := self._clean(file_format, content):
            self._check_rows(file_format, cleaned[0])

    @given(broken_workbooks())
    @examples(150)
    def test_workbook_that_is_broken_anywhere_is_read_or_refused(self, content):
        if cleaned := self._clean(FORMATS["workbook"], content):
            self._check_rows(FORMATS["workbook"], cleaned[0])

    @given(FILES | tables())
    @examples(150)
    def test_any_file_may_be_taken_for_figures_of_other_libraries(self, content):
        try:
            head = peers.look(io.BytesIO(content))
        except FileError as error:
            self._check_file_error(error)
            return
        if not {"name", "population"} <= head.columns.keys():
            return
        file_format = peers.Peers(
            head.columns,
            decimal_mark=head.decimal_mark,
            delimiter=head.delimiter,
            encoding=head.encoding,
            header_line=head.header_line,
        )
        if cleaned := self._clean(file_format, content):
            self._check_rows(file_format, cleaned[0])

    @given(TEXT | JSON.map(json.dumps))
    @examples(200)
    def test_any_text_is_a_mapping_or_refused(self, text):
        try:
            mapping = Mapping.from_json(text)
        except MappingError as error:
            self.assertTrue(error.reason)
            return
        MappedFormat(mapping)

    @given(st.data())
    @examples(150)
    def test_report_that_is_changed_anywhere_is_read_or_refused(self, data):
        """Deeper than a byte: any member of a COUNTER report may be anything."""
        report = json.loads((FIXTURES / "counter_tr.json").read_text("utf-8-sig"))
        node, parent, key = report, None, None
        while isinstance(node, (dict, list)) and node:
            if parent is not None and data.draw(st.integers(0, 4)) == 0:
                break
            parent = node
            keys = list(node) if isinstance(node, dict) else range(len(node))
            key = data.draw(st.sampled_from(keys))
            node = node[key]
        parent[key] = data.draw(
            TOLD
            | JSON
            | st.sampled_from(["9999-12-31", "2026-01-01|2026-02-01", 10**30, -1, True])
            | st.just([node, node])
        )
        content = json.dumps(report).encode()
        if cleaned := self._clean(FORMATS["counter"], content):
            self._check_rows(FORMATS["counter"], cleaned[0])

    @given(
        st.dates() | st.sampled_from([date.min, date.max]),
        st.dates() | st.sampled_from([date.min, date.max]),
        st.sampled_from(["Jan-2026", "Dec-9999", "Feb-1000"]),
    )
    @examples(60)
    def test_report_may_be_of_any_period(self, begin, end, month):
        rows = [
            ["Report_Name", "Title Report"],
            ["Report_ID", "TR"],
            ["Release", "5.1"],
            ["Reporting_Period", f"Begin_Date={begin}; End_Date={end}"],
            [],
            ["Platform", "Metric_Type", month],
            ["Reedbed", "Total_Item_Requests", "1"],
        ]
        self._clean(FORMATS["counter"], write_table(rows, "\t").encode())

    # ------------------------------------------------------------
    # WHAT MAY NOT BE KEPT
    # ------------------------------------------------------------

    @given(
        st.sampled_from(
            [
                ("koha_patrons", PATRONS.forbidden),
                ("koha_statistics", STATISTICS.forbidden),
                ("mapped_patrons", ("Title", "ISBN", "PIN", "Staff Note", "Anything")),
                ("mapped_usage", ("CALL #(ITEM)", "Item Barcode", "search", "Author")),
            ]
        ),
        st.data(),
    )
    @examples(120)
    def test_columns_that_may_not_be_kept_are_always_dropped(self, case, data):
        name, forbidden = case
        file_format = FORMATS[name]
        some = data.draw(st.lists(st.sampled_from(forbidden), min_size=1, unique=True))
        required = [group[0] for group in file_format.layout.required]
        names = data.draw(st.permutations([*required, *some]))
        spaces = st.sampled_from(["", " ", "  "])
        write = st.sampled_from([str, str.upper, str.lower, str.title])
        header = [
            data.draw(spaces) + data.draw(write)(name) + data.draw(spaces)
            for name in names
        ]
        cells = {
            name: st.just(SECRET) if name in some else CELLS.filter(lambda x: x.strip())
            for name in names
        }
        rows = [
            [data.draw(cells[name]) for name in names]
            for _ in range(data.draw(st.integers(1, 3)))
        ]
        delimiter = data.draw(st.sampled_from(DELIMITERS))
        if data.draw(st.booleans()):
            text = write_table([header, *rows], delimiter)
        else:
            # As who knows nothing of quotes writes them: some begin with one.
            plain = st.sampled_from(["Maja", '"Maja', "2024-02-29", '"2024-02-29', ""])
            lines = [header] + [
                [SECRET if name in some else data.draw(plain) for name in names]
                for _ in rows
            ]
            text = "\n".join(delimiter.join(line) for line in lines)
        cleaned = self._clean(file_format, text.encode())
        self.assertTrue(cleaned, text)
        target, summary = cleaned
        self.assertNotIn(SECRET.encode(), target.getvalue())
        self.assertNotIn(SECRET, repr(summary))
        self.assertLessEqual(
            {part for part in summary.forbidden if part in PATRONS.forbidden},
            {part.lower() for part in some},
        )
        self.assertNotIn(SECRET, repr(self._check_rows(file_format, target)))

    @given(st.dictionaries(TEXT, JSON, max_size=4), st.integers(1, 3))
    @examples(60)
    def test_what_a_use_says_too_much_is_dropped(self, more, count):
        more = {
            name: [SECRET, value]
            for name, value in more.items()
            if name not in PROPERTIES
        }
        uses = [
            {
                **more,
                "title": SECRET,
                "key": str(number),
                "date": "2024-02-29",
                "service": "visit",
            }
            for number in range(count)
        ]
        target, summary = self._clean(FORMATS["events"], json.dumps(uses).encode())
        self.assertIn("title", summary.forbidden)
        self.assertNotIn(SECRET, target.getvalue().decode() + repr(summary))
        for row in self._check_rows(FORMATS["events"], target):
            self.assertEqual(row.values["service_code"], "visit")

    # ------------------------------------------------------------
    # THERE AND BACK
    # ------------------------------------------------------------

    @given(
        st.lists(
            st.tuples(
                *[st.text("Añ€ا ,;|\t\"'\n=+-@x0", max_size=12).map(str.strip)] * 3
            ),
            max_size=5,
        ),
        st.sampled_from(DELIMITERS),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
        st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    )
    @examples(200)
    def test_cells_come_out_as_they_were_written(
        self, rows, delimiter, encoding, quoting
    ):
        names = ["cardnumber", "surname", "branchcode", "categorycode"]
        written = [["1", *map(guard_formula, row)] for row in rows]
        content = write_table([names, *written], delimiter, quoting).encode(encoding)
        target, _summary = self._clean(FORMATS["koha_patrons"], content)
        direct = FORMATS["koha_patrons"].rows(io.BytesIO(content))
        for read in (FORMATS["koha_patrons"].rows(target), direct):
            self.assertEqual(
                [list(row.cells.values()) for row in read],
                [["1", *map(self._unguard, row)] for row in rows],
            )

    @staticmethod
    def _unguard(cell):
        """A quote before a sign of a formula is taken off, whoever wrote it."""
        return cell[1:] if cell[:1] == "'" and cell[1:2] in tuple("=+-@") else cell

    @given(
        st.lists(
            st.tuples(
                st.integers(1, 10**6),
                st.lists(
                    TEXT.map(lambda text: text.replace("\r", "")),
                    min_size=2,
                    max_size=2,
                ),
                st.none()
                | st.builds(RowError, *[st.text("ab:=,\"'/0", max_size=8)] * 4),
            ),
            max_size=6,
        )
    )
    @examples(80)
    def test_clean_copy_gives_what_was_put_in(self, rows):
        layout = FORMATS["koha_statistics"].layout
        rows = [
            row for row in rows if any(row[1]) and (row[2] is None or row[2].reason)
        ]
        file = io.BytesIO()
        writer = CleanWriter(file, ["datetime", "branch"])
        writer.add_all(rows)
        file.seek(0)
        layout = type(layout)(layout.used, (), (), ())
        read = list(Table(file, layout))
        self.assertEqual([row.line for row in read], [row[0] for row in rows])
        self.assertEqual(
            [list(row.cells.values()) for row in read], [row[1] for row in rows]
        )
        for one, (_line, _cells, error) in zip(read, rows, strict=True):
            self.assertEqual(str(one.error), str(error))

    @given(
        st.text(st.characters(codec="utf-8"), max_size=60), st.sampled_from(ENCODINGS)
    )
    @examples(100)
    def test_text_in_any_encoding_is_the_same_text(self, text, encoding):
        content = text.encode(encoding, "ignore")
        text = content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
        assume(not content.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")))
        assume("\0" not in text and not text.startswith("\ufeff"))
        if encoding == "utf-16":
            text = text.removeprefix("\ufeff")
        read = as_utf8(io.BytesIO(content), encoding).read().decode()
        self.assertEqual(read, text)

    @given(st.dates(date(1850, 1, 1)), st.sampled_from(sorted(DATE_FORMATS)))
    @examples(150)
    def test_day_is_read_as_it_was_written(self, day, name):
        year, month, number = f"{day:%Y}".zfill(4), f"{day:%m}", f"{day:%d}"
        marks = {"slash": "/", "dot": ".", "dash": "-", "iso": "-", "ymd": ""}
        order, _, mark = name.partition("_")
        parts = {"d": number, "m": month, "y": year}
        order = "ymd" if order == "iso" else order
        written = marks[mark or name].join(parts[letter] for letter in order)
        self.assertEqual(read_date({"day": written}, "day", name), day)
        self.assertEqual(read_date({"day": day.isoformat()}, "day", name), day)

    @given(
        st.integers(0, 10**12),
        st.integers(0, 99),
        st.sampled_from([".", ","]),
        st.sampled_from(["", ".", ",", " ", "’", "\xa0"]),
    )
    @examples(150)
    def test_number_is_read_as_the_country_writes_it(self, whole, part, mark, group):
        assume(group != mark)
        written = f"{whole:,}".replace(",", group) + f"{mark}{part:02}"
        file = write_table(
            [["Library", "People", "Visits"], ["Brook", "9", written]], "\t"
        )
        file_format = peers.Peers(PEERS, decimal_mark=mark)
        [row] = file_format.read_all(io.BytesIO(file.encode()))
        amount = float(f"{whole}.{part:02}")
        self.assertEqual(row.values["figures"], {"measure:visits": amount})

    @given(
        st.lists(
            st.fixed_dictionaries(
                {
                    "key": st.text("ab 0é\"'", min_size=1, max_size=64),
                    "date": st.dates(date(1850, 1, 1)).map(date.isoformat),
                    "service": st.text("ab0é-", min_size=1, max_size=64),
                },
                optional={
                    "quantity": st.integers(1, 999_999),
                    "card": st.text("0123456789", max_size=64),
                },
            ).filter(lambda use: use["key"].strip()),
            unique_by=lambda use: use["key"].strip(),
            max_size=5,
        )
    )
    @examples(100)
    def test_uses_come_out_as_they_were_sent(self, uses):
        target, _summary = self._clean(FORMATS["events"], json.dumps(uses).encode())
        rows = self._check_rows(FORMATS["events"], target)
        self.assertEqual(
            [
                (
                    row.values["identity"],
                    row.values["date"].isoformat(),
                    row.values["service_code"],
                    row.values["quantity"],
                    row.values["card_number"] or "",
                )
                for row in rows
            ],
            [
                (
                    " ".join(use["key"].split()),
                    use["date"],
                    use["service"],
                    use.get("quantity", 1),
                    use.get("card", ""),
                )
                for use in uses
            ],
        )

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["Reedbed", "Weir & Lock", 'The "Best"; 1|2']),
                st.sampled_from(sorted(VOCABULARY["Data_Type"])),
                st.sampled_from(sorted(VOCABULARY["Access_Type"])),
                st.sampled_from(sorted(VOCABULARY["Access_Method"])),
                st.sampled_from(sorted(VOCABULARY["Metric_Type"])),
                st.tuples(*[st.integers(0, 10**6)] * 3),
            ),
            min_size=1,
            max_size=8,
        )
    )
    @examples(100)
    def test_report_says_the_same_in_both_syntaxes_whatever_its_figures(self, rows):
        months = ("2026-01", "2026-02", "2026-03")
        title = {"Title": SECRET, "Publisher": SECRET}
        as_json = {
            "Report_Header": {
                "Release": "5.1",
                "Report_ID": "TR",
                "Report_Filters": {
                    "Begin_Date": "2026-01-01",
                    "End_Date": "2026-03-31",
                },
            },
            "Report_Items": [
                {
                    **title,
                    "Platform": platform,
                    "Attribute_Performance": [
                        {
                            "Data_Type": kind,
                            "Access_Type": access,
                            "Access_Method": method,
                            "Performance": {
                                metric: dict(zip(months, counts, strict=True))
                            },
                        }
                    ],
                }
                for platform, kind, access, method, metric, counts in rows
            ],
        }
        as_rows = [
            ["Report_Name", "Title Report"],
            ["Report_ID", "TR"],
            ["Release", "5.1"],
            ["Reporting_Period", "Begin_Date=2026-01-01; End_Date=2026-03-31"],
            [],
            [
                *(*title, "Platform", "Data_Type", "Access_Type", "Access_Method"),
                *("Metric_Type", "Reporting_Period_Total"),
                *("Jan-2026", "Feb-2026", "Mar-2026"),
            ],
            *([*title.values(), *row[:5], sum(row[5]), *row[5]] for row in rows),
        ]
        one = counter.read_report(io.BytesIO(json.dumps(as_json).encode()))
        two = counter.read_report(io.BytesIO(write_table(as_rows, "\t").encode()))
        self.assertEqual(one, two)
        self.assertNotIn(SECRET, repr(one) + repr(two))
        self.assertEqual(
            sum(figure.quantity for figure in one), sum(sum(row[5]) for row in rows)
        )

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 10**9).map(str),
                st.text("Añ€ا ,\"'x0", min_size=1, max_size=12),
                st.integers(-(10**9), 10**9) | st.dates(date(1900, 3, 1)),
            ),
            max_size=5,
        )
    )
    @examples(40)
    def test_workbook_says_what_its_cells_say(self, rows):
        book = Workbook()
        book.active.append(["datetime", "branch", "type"])
        for row in rows:
            book.active.append(row)
        file = io.BytesIO()
        book.save(file)
        file.seek(0)
        mapping = Mapping(
            "usage",
            {"date": "type", "branch_code": "branch", "service_code": "datetime"},
        )
        read = MappedFormat(mapping).rows(file)
        self.assertEqual(
            [tuple(row.cells.values()) for row in read],
            [
                (number, " ".join(text.split()), str(value))
                for number, text, value in rows
            ],
        )

    @given(
        st.builds(
            Mapping,
            kind=st.sampled_from(sorted(KNOWN)),
            columns=st.dictionaries(
                st.sampled_from(sorted({*KNOWN["patrons"], *KNOWN["usage"]})),
                st.lists(TEXT, min_size=1, max_size=3),
                max_size=5,
            ),
            value_maps=st.dictionaries(
                st.sampled_from(["branch_code", "service_code"]),
                st.builds(ValueMap, st.dictionaries(TEXT, TEXT, max_size=3), TEXT),
            ),
            date_format=st.sampled_from(sorted(DATE_FORMATS)),
            delimiter=st.sampled_from(["", *DELIMITERS]),
            encoding=st.sampled_from(ENCODINGS),
            sheet=TEXT,
            header_line=st.integers(1, 100),
            family_name_first=st.booleans(),
        )
    )
    @examples(100)
    def test_mapping_is_kept_as_it_is(self, mapping):
        again = Mapping.from_json(mapping.to_json(), is_whole=False)
        self.assertEqual(again, mapping)
        self.assertEqual(again.to_json(), mapping.to_json())
