"""Files of any library system: a mapping says which of their columns is which field.

The rows are those that the readers of Koha's files give, so the same loaders take
them. A mapping is kept as JSON; what it does not name never leaves the file.
"""

import itertools
import json
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields

from .encoding import ENCODINGS, as_utf8, open_stream
from .file_format import TableFormat
from .headers import get_forbidden
from .koha import CARD_LIMIT
from .sheet import Book, is_workbook
from .table import (
    DATE_FORMATS,
    DELIMITERS,
    FileError,
    Layout,
    RowError,
    read_date,
    read_number,
    read_text,
    split_header,
)

NAME_LIMIT = 120
TEXT_LIMIT = 250
#: What a mapping may fill, by the kind of the file. Nothing else can be filled.
FIELDS = {
    "patrons": (
        *("card_number", "ils_ref", "name", "street", "street2", "city", "state"),
        *("zip", "country", "email", "phone", "birth_date", "branch_code"),
        *("category_code", "enrolled_on", "expiry_date", "guardian_ref"),
    ),
    "usage": (
        *("date", "time", "branch_code", "service_code", "ils_ref", "card_number"),
        "quantity",
    ),
}
#: The fields whose values may be translated.
MAPPED_VALUES = {
    "patrons": ("branch_code", "category_code"),
    "usage": ("branch_code", "service_code"),
}
# Of each group, the mapping must fill one; a default value will do as well.
_REQUIRED = {
    "patrons": (
        ("card_number", "ils_ref"),
        ("name",),
        ("branch_code",),
        ("category_code",),
    ),
    "usage": (("date",), ("branch_code",), ("service_code",)),
}
# All columns make the value, one after the other. Of other fields the first column
# that is not empty does.
_JOINED = ("name", "street")
_QUANTITY = re.compile(r"\d{1,6}")
_JSON_LIMIT = 100_000


class MappingError(Exception):
    """A mapping can not be used.

    :param str reason: ``json``, ``type``, ``unknown_key``, ``kind``,
        ``unknown_field``, ``forbidden_column``, ``repeated_column``,
        ``missing_field``, ``value_map``, ``date_format``, ``delimiter``,
        ``encoding`` or ``header_line``
    :param str place: where in the mapping, such as ``columns.email``
    :param str found: what stands there; of a forbidden column, its name
    :param str expected: what may stand there; of a forbidden column, what its name
        says it holds
    """

    def __init__(self, reason, place="", found="", expected=""):
        super().__init__(f"{place}: {reason}: {found!r}, expected {expected!r}")
        self.reason = reason
        self.place = place
        self.found = found
        self.expected = expected


@dataclass
class ValueMap:
    """What the file says → our code, and the code for all that is not listed.

    Without a default, a branch or category that is not listed stays as it is, and a
    service that is not listed is refused. An empty service is no use of a service:
    its rows are not counted.
    """

    values: dict = field(default_factory=dict)
    default: str | None = None


@dataclass
class Mapping:
    """How a file is to be read.

    ``columns`` gives for a field of ours (``FIELDS``) the names of its columns; case
    and spaces around do not matter. A name and a street are made of all of their
    columns in that order, any other field of the first that is not empty.
    ``value_maps`` gives a ``ValueMap`` for a branch, category or service; with a
    default it does without a column. ``delimiter`` may be empty: the header tells.
    ``header_line`` is the line with the names of the columns, what stands above it is
    skipped. ``family_name_first``: a name is written as “Lindqvist, Maja”.
    """

    kind: str
    columns: dict
    value_maps: dict = field(default_factory=dict)
    date_format: str = "iso"
    delimiter: str = ""
    encoding: str = "utf-8"
    sheet: str = ""
    header_line: int = 1
    family_name_first: bool = False

    def __post_init__(self):
        if isinstance(self.columns, dict):
            self.columns = {
                name: _as_tuple(columns) for name, columns in self.columns.items()
            }

    def to_json(self):
        """The mapping as text; the same mapping always gives the same text."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text, is_whole=True):
        """The mapping that ``to_json`` has written, or somebody by hand.

        :param bool is_whole: it has to be one that can be used
        :raise MappingError: if it is not one, or can not be used
        """
        _check_type(text, "", str)
        if len(text) > _JSON_LIMIT:
            raise MappingError("json", found=f"{len(text)}", expected=f"{_JSON_LIMIT}")
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise MappingError("json", found=str(error)) from error
        names = [known.name for known in fields(cls)]
        _check_keys(data, "", names)
        for name in ("kind", "columns"):
            if name not in data:
                raise MappingError("missing_field", name)
        maps = data.get("value_maps", {})
        _check_type(maps, "value_maps", dict)
        for name, value_map in maps.items():
            _check_keys(value_map, f"value_maps.{name}", ("values", "default"))
        mapping = cls(
            **{
                **data,
                "value_maps": {
                    name: ValueMap(**value_map) for name, value_map in maps.items()
                },
            }
        )
        if is_whole:
            mapping.check()
        return mapping

    def check(self):
        """:raise MappingError: the first thing that is wrong with the mapping"""
        for problem in self.find_problems():
            raise problem

    def find_problems(self):
        """Yield a ``MappingError`` for each thing that is wrong."""
        if self.kind not in FIELDS:
            yield MappingError("kind", "kind", str(self.kind), ", ".join(FIELDS))
            return
        for name, kind in (
            *(("columns", dict), ("value_maps", dict), ("header_line", int)),
            *(("family_name_first", bool), ("sheet", str)),
        ):
            try:
                _check_type(getattr(self, name), name, kind)
            except MappingError as problem:
                yield problem
                return
        yield from self._find_column_problems()
        yield from self._find_value_problems()
        for group in _REQUIRED[self.kind]:
            if not any(self._is_filled(name) for name in group):
                yield MappingError(
                    "missing_field", f"columns.{group[0]}", expected="/".join(group)
                )
        for name, known in (
            ("date_format", DATE_FORMATS),
            ("delimiter", ("", *DELIMITERS)),
            ("encoding", ENCODINGS),
        ):
            if getattr(self, name) not in list(known):
                found = str(getattr(self, name))
                yield MappingError(name, name, found, " ".join(filter(None, known)))
        if not 1 <= self.header_line <= 100:
            yield MappingError(
                "header_line", "header_line", str(self.header_line), "1-100"
            )

    def _find_column_problems(self):
        for name, columns in self.columns.items():
            place = f"columns.{name}"
            if name not in FIELDS[self.kind]:
                yield MappingError(
                    "unknown_field", place, str(name), ", ".join(FIELDS[self.kind])
                )
                continue
            if not isinstance(columns, tuple) or not columns:
                yield MappingError("type", place, str(columns), "list")
                continue
            seen = set()
            for column in columns:
                if not isinstance(column, str) or not column.strip():
                    yield MappingError("type", place, str(column), "str")
                    continue
                if get_cell_name(column) in seen:
                    yield MappingError("repeated_column", place, column)
                seen.add(get_cell_name(column))
                if thing := get_forbidden(column, self.kind, name):
                    yield MappingError("forbidden_column", place, column, thing)

    def _find_value_problems(self):
        for name, value_map in self.value_maps.items():
            place = f"value_maps.{name}"
            if name not in MAPPED_VALUES[self.kind]:
                known = ", ".join(MAPPED_VALUES[self.kind])
                yield MappingError("unknown_field", place, str(name), known)
            elif not isinstance(value_map, ValueMap) or not isinstance(
                value_map.values, dict
            ):
                yield MappingError("type", place, str(value_map), "values, default")
            else:
                codes = [*value_map.values.items(), ("default", value_map.default)]
                for found, code in codes:
                    if code is None and found == "default":
                        continue
                    # Only a service may be none.
                    if not isinstance(code, str) or not (
                        code.strip() or name == "service_code"
                    ):
                        yield MappingError("value_map", f"{place}.{found}", str(code))

    def _is_filled(self, name):
        value_map = self.value_maps.get(name)
        return bool(self.columns.get(name)) or (
            isinstance(value_map, ValueMap) and bool(value_map.default)
        )

    def get_layout(self, names=()):
        """The layout of a file: every column of the mapping has to be there.

        :param names: the names of the columns of the file, to tell which of them may
            not be kept
        :rtype: Layout
        """
        used = tuple(
            dict.fromkeys(
                get_cell_name(column)
                for columns in self.columns.values()
                for column in columns
            )
        )
        forbidden = tuple(
            dict.fromkeys(
                get_cell_name(name)
                for name in names
                if name and get_forbidden(name, self.kind)
            )
        )
        return Layout(
            used=used,
            # Of a file of refused rows that was mended and is loaded again.
            unused=tuple(name for name in ("line", "reason") if name not in used),
            forbidden=tuple(name for name in forbidden if name not in used),
            required=tuple((name,) for name in used),
        )


class PlacedFormat(TableFormat):
    """A file, CSV, TSV or XLSX, whose header stands on a line of its own and which is
    read by names of columns that somebody has chosen.

    :param str delimiter: what parts its columns; empty: the header tells
    :param str encoding: one of ``ENCODINGS``
    :param str sheet: of a workbook; empty: the first one
    :param int header_line: the line with the names of the columns
    """

    def __init__(self, delimiter="", encoding="utf-8", sheet="", header_line=1):
        self._delimiter = delimiter
        self._encoding = encoding
        self._sheet = sheet
        self._header_line = header_line

    def get_layout(self, names=()):
        """The layout of a file with these columns: every one that is used has to be
        there.

        :rtype: Layout
        """
        raise NotImplementedError

    def clean(self, source, target):
        with _shifted(self._header_line - 1):
            return super().clean(source, target)

    def rows(self, file):
        skipped = self._header_line - 1
        with _shifted(skipped):
            for row in super().rows(file):
                yield row._replace(line=row.line + skipped) if skipped else row

    def _open(self, file):
        """The file as UTF-8 text that begins with the header, its layout, and the
        encoding that it had."""
        delimiter, encoding = self._delimiter, self._encoding
        if is_workbook(file):
            stream = Book(file).open(self._sheet, self._header_line)
            delimiter, encoding = "", "utf-8"
        else:
            stream = as_utf8(file, encoding)
        for __ in range(self._header_line - 1):
            stream.readline()
        header = stream.readline()
        names = _split_by_columns(header.decode(), delimiter, self.get_layout().used)
        stream = open_stream(itertools.chain([header], stream))
        return stream, self.get_layout(names), encoding.upper()


class MappedFormat(PlacedFormat):
    """A file, CSV, TSV or XLSX, as a mapping says.

    The values are those of ``KohaPatrons`` or ``KohaStatistics``: see there. A
    ``quantity`` may be other than 1 here.

    :param Mapping mapping: how it is to be read
    :raise MappingError: if the mapping can not be used
    """

    def __init__(self, mapping):
        mapping.check()
        super().__init__(
            mapping.delimiter, mapping.encoding, mapping.sheet, mapping.header_line
        )
        self.layout = mapping.get_layout()
        self._mapping = mapping
        self._reader = (
            _PatronReader(mapping) if mapping.kind == "patrons" else _UseReader(mapping)
        )

    def get_layout(self, names=()):
        return self._mapping.get_layout(names)

    def convert(self, row):
        return self._reader.convert(row)

    def get_column(self, name):
        return next(iter(self._mapping.columns.get(name, ())), name)

    def get_settings(self):
        return repr(self._mapping)


@contextmanager
def _shifted(lines):
    """The line of an error within, as it is counted in the whole file."""
    try:
        yield
    except FileError as error:
        if error.reason not in _COUNTED_ALREADY:
            error.line += lines
        raise


# Raised by what reads the whole of the file.
_COUNTED_ALREADY = {"workbook", "too_big", "sheet"}


def _split_by_columns(header, delimiter, columns):
    """The names in the header, by the delimiter that makes the most columns of it.

    :raise FileError: ``delimiter`` if that is not the one that should do so
    """

    def count(mark):
        names = {get_cell_name(name) for name in split_header(header, mark)}
        return len(names.intersection(columns))

    best = max(DELIMITERS, key=count)
    if delimiter and count(best) > count(delimiter):
        raise FileError("delimiter", found=best, expected=delimiter)
    return split_header(header, delimiter or best)


class _Reader:
    """Makes values of cells."""

    def __init__(self, mapping):
        self._mapping = mapping
        self._written = {
            get_cell_name(column): column.strip()
            for columns in mapping.columns.values()
            for column in columns
        }
        self._columns = {
            name: tuple(get_cell_name(column) for column in columns)
            for name, columns in mapping.columns.items()
        }
        self._codes = {
            name: {
                _get_code_key(name, found): code
                for found, code in value_map.values.items()
            }
            for name, value_map in mapping.value_maps.items()
        }

    def convert(self, row):
        """The row with its values, or with what is wrong with it, the column as it is
        written in the mapping."""
        try:
            if row.error:
                raise row.error
            return row._replace(values=self._get_values(row.cells))
        except RowError as error:
            error.column = self._written.get(error.column, error.column)
            return row._replace(error=error)

    def _get_values(self, cells):
        raise NotImplementedError

    def _read_first(self, cells, name, limit=TEXT_LIMIT, read=read_text):
        for column in self._columns.get(name, ()):
            if found := read(cells, column, limit):
                return found
        return None

    def _read_all(self, cells, name, limit):
        found = (read_text(cells, column, limit) for column in self._columns[name])
        return " ".join(filter(None, found)) or None

    def _read_day(self, cells, name):
        for column in self._columns[name]:
            if day := read_date(cells, column, self._mapping.date_format):
                return day
        return None

    def _read_code(self, cells, name):
        """Our code, and what the file says in its place."""
        found = self._read_first(cells, name, CARD_LIMIT) or ""
        value_map = self._mapping.value_maps.get(name)
        if value_map:
            code = self._codes[name].get(_get_code_key(name, found))
            if code is not None:
                return code, found
            if value_map.default is not None:
                return value_map.default, found
        if not found:
            raise RowError("missing", self._get_column(name))
        if value_map and name == "service_code":
            raise RowError(
                "unknown_type",
                self._get_column(name),
                found,
                ", ".join(value_map.values),
            )
        return found, found

    def _get_column(self, name):
        return next(iter(self._columns.get(name, ())), name)


class _PatronReader(_Reader):
    def _get_values(self, cells):
        values = {"name": self._read_name(cells)}
        for name in ("branch_code", "category_code"):
            values[name], __ = self._read_code(cells, name)
        for name in ("card_number", "ils_ref"):
            if name in self._columns:
                values[name] = self._read_first(cells, name, CARD_LIMIT, read_number)
        if not values.get("card_number") and not values.get("ils_ref"):
            name = "card_number" if "card_number" in self._columns else "ils_ref"
            raise RowError("missing", self._get_column(name))
        if "street" in self._columns:
            values["street"] = self._read_all(cells, "street", TEXT_LIMIT)
        for name in (
            *("street2", "city", "state", "zip", "country", "email", "phone"),
            "guardian_ref",
        ):
            if name in self._columns:
                values[name] = self._read_first(cells, name)
        for name in ("birth_date", "enrolled_on", "expiry_date"):
            if name in self._columns:
                values[name] = self._read_day(cells, name)
        enrolled, expiry = values.get("enrolled_on"), values.get("expiry_date")
        if enrolled and expiry and expiry < enrolled:
            column = self._get_column("expiry_date")
            raise RowError("date_order", column, cells[column], enrolled.isoformat())
        return values

    def _read_name(self, cells):
        name = self._read_all(cells, "name", NAME_LIMIT)
        if name and self._mapping.family_name_first:
            family, __, given = name.partition(",")
            name = f"{given} {family}".strip()
        if not name:
            # The family name stands last.
            raise RowError("missing", self._columns["name"][-1])
        return name


class _UseReader(_Reader):
    def _get_values(self, cells):
        service, kind = self._read_code(cells, "service_code")
        quantity = self._read_quantity(cells)
        if not service or not quantity:
            return {"service_code": None}
        moment = self._read_first(cells, "date", CARD_LIMIT)
        day = self._read_day(cells, "date")
        if not day:
            column = self._get_column("date")
            if moment:
                raise RowError("date", column, moment, self._mapping.date_format)
            raise RowError("missing", column)
        branch_code, branch = self._read_code(cells, "branch_code")
        ils_ref = self._read_first(cells, "ils_ref", CARD_LIMIT, read_number)
        card = self._read_first(cells, "card_number", CARD_LIMIT, read_number)
        # What the file says, not what it is mapped to: a mapping that was mended does
        # not make the same rows new.
        identity = (
            day.isoformat(),
            self._read_time(cells, moment),
            branch,
            kind.lower(),
            "" if ils_ref else "card",
            ils_ref or card or "",
        )
        return {
            "date": day,
            "branch_code": branch_code,
            "service_code": service,
            "ils_ref": ils_ref,
            "card_number": card,
            "quantity": quantity,
            "identity": "\n".join(identity),
        }

    def _read_time(self, cells, moment):
        time = moment.replace("T", " ").partition(" ")[2]
        if self._mapping.date_format == "ymd" and moment.isdigit():
            time = moment[8:]
        return time or self._read_first(cells, "time", CARD_LIMIT) or ""

    def _read_quantity(self, cells):
        if "quantity" not in self._columns:
            return 1
        text = self._read_first(cells, "quantity", CARD_LIMIT)
        column = self._get_column("quantity")
        if not text:
            raise RowError("missing", column)
        if not _QUANTITY.fullmatch(text):
            raise RowError("quantity", column, text, "0-999999")
        return int(text)


def get_cell_name(column):
    """The name by which ``Table`` knows a column."""
    return column.strip().lower()


def _get_code_key(name, found):
    # A system writes a kind of use now as "ISSUE", now as "issue"; codes of branches
    # may differ by case alone.
    found = " ".join(found.split())
    return found.lower() if name == "service_code" else found


def _as_tuple(columns):
    if isinstance(columns, str):
        return (columns,)
    return tuple(columns) if isinstance(columns, list) else columns


def _check_type(value, place, kind):
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise MappingError("type", place, str(value)[:80], kind.__name__)


def _check_keys(data, place, known):
    _check_type(data, place, dict)
    for key in data:
        if key not in known:
            raise MappingError("unknown_key", place, str(key), ", ".join(known))
