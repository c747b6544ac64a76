"""National data sets: what other libraries report of a year, a row a library."""

import io
import itertools
import re
from dataclasses import dataclass, field

from .detect import ROWS, find_header_in_book, find_table
from .encoding import as_utf8, open_stream
from .headers import get_key
from .mapped import NAME_LIMIT, MappingError, PlacedFormat, get_cell_name
from .sheet import Book, is_workbook
from .table import (
    FileError,
    Layout,
    RowError,
    Table,
    read_number,
    read_text,
    show,
    split_header,
)

#: How a number may be written: the mark before its decimals, and those that may part
#: its thousands.
DECIMAL_MARKS = {".": ", '’\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"}
DECIMAL_MARKS[","] = DECIMAL_MARKS["."].replace(",", ".")
#: What is said of a library beside its figures.
FIELDS = ("ref", "name", "region", "population")
#: What a figure is called here: a measure or an indicator, and its name.
MEASURE, INDICATOR = "measure:", "indicator:"
_REQUIRED = ("name", "population")
_REF_LIMIT = 64
_MOST_PEOPLE = 2_000_000_000
# What stands where there is no figure.
_MISSING = {
    *("", "-", "–", "—", ".", "..", "...", "…", ":", "x", "m"),
    *("n/a", "na", "n.a.", "nan", "k.a.", "k. a.", "null", "none"),
}
_NUMBERS = {
    mark: re.compile(
        rf"-?(\d{{1,15}}|\d{{1,3}}([{re.escape(marks)}])\d{{3}}(\2\d{{3}}){{0,3}})"
        rf"({re.escape(mark)}\d{{1,12}})?"
    )
    for mark, marks in DECIMAL_MARKS.items()
}
# What can be written with one of the two marks only.
_EVIDENCE = {
    mark: re.compile(
        rf"-?\d+{re.escape(mark)}(\d{{1,2}}|\d{{4,}})"
        rf"|-?\d{{1,3}}({re.escape(other)}\d{{3}})+{re.escape(mark)}\d+"
        rf"|-?\d{{1,3}}({re.escape(other)}\d{{3}}){{2,}}"
    )
    for mark, other in ((".", ","), (",", "."))
}
_BIG_NUMBER = re.compile(r"\d[\d., ]{3,}")
# Columns by what they are called, in the order of preference; see ``get_key``. Names in
# capitals are those of the Public Libraries Survey of the United States.
_KNOWN = {
    "ref": ("fscskey", "libid", "dbsid", "dbsnr", "isil", "sigel", "id"),
    "name": (
        *("libname", "libraryname", "library", "name", "bibliothek", "bibliotheque"),
        *("biblioteca", "bibliotheek", "nombre", "nom"),
    ),
    "region": (
        *("stabr", "state", "region", "bundesland", "province", "county", "country"),
        *("land", "departement"),
    ),
    "population": (
        *("populsa", "populationserved", "population", "einwohner", "inwoners"),
        *("habitants", "poblacion", "popolazione", "abitanti"),
    ),
    f"{MEASURE}visits": (
        *("visits", "libvisit", "libraryvisits", "besuche", "bibliotheksbesuche"),
        *("visites", "visitas", "visite", "bezoeken"),
    ),
    f"{MEASURE}loans": (
        *("totcir", "loans", "circulation", "totalcirculation", "entleihungen"),
        *("ausleihen", "prets", "prestamos", "prestiti", "uitleningen"),
    ),
    f"{MEASURE}attendances": (
        *("totatten", "attendances", "attendance", "programattendance"),
        "programmeattendance",
    ),
    f"{MEASURE}eresource_uses": ("elinfo", "eresourceuses"),
    f"{MEASURE}enquiries": ("referenc", "enquiries", "referencequestions"),
    f"{MEASURE}internet_sessions": ("pitusr", "internetsessions"),
    f"{MEASURE}active_users": ("activeusers", "aktivenutzer", "aktivebenutzer"),
    f"{MEASURE}cost": (
        *("totopexp", "expenditure", "totalexpenditure", "operatingexpenditure"),
        *("cost", "ausgaben", "gesamtausgaben", "depenses", "gastos", "spese"),
        "uitgaven",
    ),
}


@dataclass
class Head:
    """What a file seems to be: how it is written, the columns that can be read with the
    first thing that stands in each, those whose names stand twice, and a proposal of
    what the columns are, by ``FIELDS`` and figures."""

    encoding: str
    delimiter: str
    header_line: int
    decimal_mark: str
    samples: dict
    repeated: list = field(default_factory=list)
    columns: dict = field(default_factory=dict)


def look(file, sheet="", header_line=0):
    """Look at the beginning of a data set.

    :param file: binary file object that can seek
    :param str sheet: the sheet of a workbook; empty: the first
    :param int header_line: the line that names the columns; 0: look for it
    :rtype: Head
    :raise FileError: if it is empty, or its first line names no columns
    """
    encoding, delimiter = "utf-8", ","
    if is_workbook(file):
        book = Book(file)
        header_line = header_line or find_header_in_book(book, sheet)
        stream = book.open(sheet, header_line)
    else:
        head, guess, found, delimiter = find_table(file)
        encoding = guess.encoding
        header_line = header_line or found
        stream = as_utf8(io.BytesIO(head), encoding)
    for __ in range(header_line - 1):
        stream.readline()
    header_bytes = stream.readline()
    names = [name for name in split_header(header_bytes.decode(), delimiter) if name]
    keys = [get_cell_name(name) for name in names]
    if len(names) < 2 or sum(map(bool, map(_BIG_NUMBER.fullmatch, names))) > 1:
        raise FileError(
            "header",
            line=header_line,
            found=header_bytes.decode().strip()[:80],
            expected=", ".join(_REQUIRED),
        )
    readable = {
        key: name for key, name in zip(keys, names, strict=True) if keys.count(key) == 1
    }
    repeated = [name for name in names if get_cell_name(name) not in readable]
    layout = Layout(
        used=tuple(readable),
        unused=tuple(key for key in keys if key not in readable),
        forbidden=(),
        required=(),
    )
    samples = dict.fromkeys(readable.values(), "")
    evidence = dict.fromkeys(_EVIDENCE, 0)
    stream = open_stream(itertools.chain([header_bytes], stream))
    for row in itertools.islice(Table(stream, layout), ROWS) if readable else ():
        for key, cell in row.cells.items():
            samples[readable[key]] = samples[readable[key]] or show(cell)
            for mark, pattern in _EVIDENCE.items():
                evidence[mark] += bool(pattern.fullmatch(cell))
    if evidence["."] == evidence[","]:
        decimal_mark = "," if delimiter == ";" else "."
    else:
        decimal_mark = max(evidence, key=evidence.get)
    return Head(
        encoding=encoding,
        delimiter=delimiter,
        header_line=header_line,
        decimal_mark=decimal_mark,
        samples=samples,
        repeated=list(dict.fromkeys(repeated)),
        columns=_propose(readable.values()),
    )


def _propose(names):
    by_key = {}
    for name in names:
        by_key.setdefault(get_key(name), name)
    return {
        known: by_key[key]
        for known, options in _KNOWN.items()
        if (key := next((key for key in options if key in by_key), None))
    }


class Peers(PlacedFormat):
    """What libraries report of a year, as a mapping says.

    Values of a row are ``ref`` (what tells the library from others: a number, else its
    name and region), ``name``, ``region``, ``population`` and ``figures``, by measure
    or indicator; a figure that is not there is not among them. Nothing that libraries
    report is below zero: a code such as -1 says that there is no figure. Of a row that
    is to be left out, the values are empty.

    :param dict columns: what is said (``FIELDS``, or a figure) → the name of the column
    :param dict left_out: the name of a column → what it says in rows to leave out
    :param str decimal_mark: a key of ``DECIMAL_MARKS``
    :raise MappingError: if the columns can not be used: ``missing_field`` or
        ``repeated_column``
    """

    def __init__(self, columns, left_out=None, decimal_mark=".", **how):
        super().__init__(**how)
        for name in _REQUIRED:
            if name not in columns:
                raise MappingError("missing_field", name)
        self._columns = {
            name: get_cell_name(column) for name, column in columns.items()
        }
        used = list(self._columns.values())
        for name, column in columns.items():
            if used.count(get_cell_name(column)) > 1:
                raise MappingError("repeated_column", name, column)
        self._left_out = {
            get_cell_name(column): {text.strip().casefold() for text in texts}
            for column, texts in (left_out or {}).items()
        }
        self._decimal_mark = decimal_mark
        #: The column that tells libraries from each other.
        self.ref = columns.get("ref") or columns["name"]
        self._written = {
            get_cell_name(column): column
            for column in (*columns.values(), *(left_out or {}))
        }
        self.layout = self.get_layout()

    def get_layout(self, names=()):
        used = tuple(self._written)
        return Layout(
            used=used,
            unused=tuple(
                key for name in names if (key := get_cell_name(name)) not in used
            ),
            forbidden=(),
            required=tuple((key,) for key in used),
        )

    def convert(self, row):
        try:
            if row.error:
                raise row.error
            if any(
                row.cells.get(column, "").casefold() in texts
                for column, texts in self._left_out.items()
            ):
                return row._replace(values={})
            return row._replace(values=self._get_values(row.cells))
        except RowError as error:
            error.column = self._written.get(error.column, error.column)
            return row._replace(error=error)

    def _get_values(self, cells):
        name = self._read(cells, "name", read_text, NAME_LIMIT)
        if not name:
            raise RowError("missing", self._columns["name"])
        region = self._read(cells, "region", read_text, NAME_LIMIT)
        population = self._read_number(cells, "population")
        if population is None:
            raise RowError("missing", self._columns["population"])
        if not 1 <= population <= _MOST_PEOPLE:
            column = self._columns["population"]
            raise RowError("population", column, cells[column])
        figures = {
            figure: self._read_number(cells, figure)
            for figure in self._columns
            if figure not in FIELDS
        }
        return {
            "ref": self._read(cells, "ref", read_number, _REF_LIMIT)
            or f"{name}, {region}".strip(", "),
            "name": name,
            "region": region,
            "population": round(population),
            "figures": {
                figure: number
                for figure, number in figures.items()
                if number is not None
            },
        }

    def _read(self, cells, name, read, limit):
        column = self._columns.get(name)
        return read(cells, column, limit) if column else ""

    def _read_number(self, cells, name):
        column = self._columns[name]
        text = cells[column]
        if text.lower() in _MISSING:
            return None
        if not _NUMBERS[self._decimal_mark].fullmatch(text):
            expected = f"1234{self._decimal_mark}5"
            raise RowError("number", column, text[:40], expected)
        for mark in DECIMAL_MARKS[self._decimal_mark]:
            text = text.replace(mark, "")
        number = float(text.replace(self._decimal_mark, "."))
        return None if number < 0 else number
