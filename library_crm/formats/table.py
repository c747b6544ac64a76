"""Delimited text with a header: what every file of rows has in common."""

import csv
import io
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

DELIMITERS = ",;\t|"
_DAY, _MONTH, _YEAR = r"(?P<d>\d{1,2})", r"(?P<m>\d{1,2})", r"(?P<y>\d{4})"
#: How a date may be written: the order of day, month and year, the mark.
DATE_FORMATS = {
    "iso": re.compile(r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})"),
    "mdy_slash": re.compile(f"{_MONTH}/{_DAY}/{_YEAR}"),
    "dmy_slash": re.compile(f"{_DAY}/{_MONTH}/{_YEAR}"),
    "dmy_dot": re.compile(rf"{_DAY}\.{_MONTH}\.{_YEAR}"),
    "ymd_slash": re.compile(f"{_YEAR}/{_MONTH}/{_DAY}"),
    "mdy_dash": re.compile(f"{_MONTH}-{_DAY}-{_YEAR}"),
    "dmy_dash": re.compile(f"{_DAY}-{_MONTH}-{_YEAR}"),
    # As in standards for machines; a time may follow without a mark.
    "ymd": re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?:\d{4}(?:\d{2})?)?"),
}
# What stands where there is no date; "  -  -    " is an empty form.
_NO_DATE = {"", "never", "null"}
_BROKEN_NUMBER = re.compile(r"\d([.,]\d+)?E\+?\d+", re.IGNORECASE)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
#: What stands for bytes that could not be read. Whoever finds it in a cell knows that
#: the cell is broken.
BROKEN = "\N{REPLACEMENT CHARACTER}"
# What Excel writes into a cell whose formula has failed.
_FORMULA_ERRORS = {
    *("#REF!", "#N/A", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!"),
}
# A quoted cell may run over lines; over more than these it was not closed.
_LINES_OF_A_ROW = 20
# Bytes that are read at once, characters that may be without one cell being longer than
# Python's csv takes, and rows that are written at once.
_CHUNK, _LONG_CHUNK, _BATCH = 1 << 16, 1 << 17, 1000
# The header of a file that ``clean`` has written, and how that begins.
_LINE, _PROBLEM = "#line", "#problem"
CLEAN_MARK = f"{_LINE},{_PROBLEM},".encode()


def show(text):
    """The text as a database can keep it: what it can not is a question mark."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


class FileError(Exception):
    """The file as a whole can not be read.

    :param str reason: ``empty``, ``encoding``, ``header``, ``delimiter``,
        ``missing_columns`` or ``repeated_column``; of a workbook also ``workbook``,
        ``too_big`` or ``sheet``
    :param int line: where it was seen
    :param str found: what was seen there
    :param str expected: what should have been there
    """

    def __init__(self, reason, *, line=1, found="", expected=""):
        super().__init__(f"line {line}: {reason}: {found!r}, expected {expected!r}")
        self.reason = reason
        self.line = line
        self.found = show(found)
        self.expected = expected


class RowError(Exception):
    """One row can not be used; the others can.

    :param str reason: ``width``, ``malformed``, ``open_quote``, ``encoding``,
        ``formula_error``, ``control``, ``missing``, ``date``, ``date_order``,
        ``too_long``, ``spreadsheet_number``, ``quantity`` or ``unknown_type``
    :param str column: the column of the file
    :param str found: what it holds
    :param str expected: what it should hold, where that is not clear from the reason
    """

    def __init__(self, reason, column="", found="", expected=""):
        super().__init__(f"{reason}: {column}: {found!r}, expected {expected!r}")
        self.reason = reason
        self.column = column
        self.found = show(found)
        self.expected = expected


class Row(NamedTuple):
    """One row, as read or as refused.

    ``line`` is the line of the file on which the row begins, ``cells`` what the used
    columns hold, ``values`` the same in our own field names (None: refused, and
    ``error`` says why).
    """

    line: int
    cells: dict
    values: dict | None = None
    error: RowError | None = None


@dataclass(frozen=True)
class Layout:
    """The columns that a format may have.

    ``used`` are read; ``unused`` are known, but nobody here needs them;
    ``forbidden`` may not be kept. ``required`` lists groups of names of which the
    file must have at least one.
    """

    used: tuple
    unused: tuple
    forbidden: tuple
    required: tuple


@dataclass
class Summary:
    """What ``clean`` saw: the number of rows, the columns that it kept, and those
    that it dropped, by why. ``details`` is what the format has to say beside its rows,
    as JSON knows it."""

    rows: int = 0
    columns: list = field(default_factory=list)
    forbidden: list = field(default_factory=list)
    unused: list = field(default_factory=list)
    unknown: list = field(default_factory=list)
    details: dict = field(default_factory=dict)


class Table:
    """The rows of a binary file with a header, with the used columns only.

    The delimiter is the one that makes the most known columns of the header. Spaces
    and case in the header do not matter.

    :param file: binary file object, open for reading, in UTF-8
    :param Layout layout: the columns that there may be
    :param str encoding: what the file was before it was made UTF-8
    :raise FileError: if the header is not that of the layout
    """

    def __init__(self, file, layout, encoding="UTF-8"):
        self._lines = _Lines(file)
        self._encoding = encoding
        header = _decode(file.readline()).removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
        if not header.strip():
            raise FileError("empty", expected=", ".join(layout.used))
        known = {*layout.used, *layout.unused, *layout.forbidden, _LINE, _PROBLEM}
        self._delimiter, names = max(
            ((mark, split_header(header.lower(), mark)) for mark in DELIMITERS),
            key=lambda option: len(known.intersection(option[1])),
        )
        self._names = names
        self._is_clean = names[:2] == [_LINE, _PROBLEM]
        self._places = {
            name: place for place, name in enumerate(names) if name in layout.used
        }
        self.columns = list(self._places)
        self.forbidden = [name for name in names if name in layout.forbidden]
        self.unused = [name for name in names if name in layout.unused]
        self.unknown = [name for name in names if name and name not in known]
        self._check_header(header, layout)

    def _check_header(self, header, layout):
        if not self._places:
            raise FileError(
                "header",
                found=header.strip()[:80],
                expected=", ".join(group[0] for group in layout.required),
            )
        for name in self.columns:
            if self._names.count(name) > 1:
                raise FileError("repeated_column", found=name)
        missing = [
            "/".join(group)
            for group in layout.required
            if not self._places.keys() & set(group)
        ]
        if missing:
            raise FileError(
                "missing_columns",
                found=", ".join(self.columns),
                expected=", ".join(missing),
            )

    def __iter__(self):
        """Yield a ``Row`` without values for each row that is not blank; where the
        row itself is broken, with the error, and without cells if they are not known.
        """
        names = self.columns
        for line, cells, error in self.split():
            named = dict(zip(names, cells, strict=True)) if cells else {}
            yield Row(line, named, None, error)

    def split(self):
        """Yield the line, the cells of the used columns in the order of ``columns``,
        and the error (or None) of each row that is not blank."""
        lines = self._lines
        while chunk := lines.take_chunk():
            text = _decode(chunk)
            if len(text) <= _LONG_CHUNK and not self._find_unusual(text):
                first = lines.number + 1
                lines.number += text.count("\n")
                yield from self._split_plain(text, first)
                continue
            lines.give_back(io.BytesIO(chunk))
            # A quoted cell may end in the next chunk, or give back lines of it.
            while lines.given_back:
                row = self._read_row()
                if row and (row[1] or row[2]):
                    yield self._pick(*row)

    def _find_unusual(self, text):
        """What may make of lines something else than rows of plain cells."""
        marks = '"\0\r' if self._is_clean else f"\"\0\r'#{BROKEN}"
        return any(mark in text for mark in marks)

    def _split_plain(self, text, line):
        """Most files are plain from end to end: with as little as can be for a row."""
        width = len(self._names)
        pick = itemgetter(*self._places.values(), -1)
        rows = csv.reader(text.split("\n"), delimiter=self._delimiter)
        for number, cells in enumerate(rows, line):
            if len(cells) != width or (self._is_clean and cells[1]):
                if any(cells):
                    yield self._pick(number, cells, None)
            elif self._is_clean:
                yield int(cells[0]), pick(cells)[:-1], None
            elif any(cells):
                yield number, [cell.strip() for cell in pick(cells)[:-1]], None

    def _pick(self, line, cells, error):
        """The row as ``split`` gives it, of a row with the cells of all columns."""
        width = len(self._names)
        if error:
            cells = []
        elif self._is_clean:
            line = int(cells[0])
            if cells[1]:
                error = RowError(*cells[1].split("\t"))
                cells = cells if any(cells[2:]) else []
        elif len(cells) < width or any(cell.strip() for cell in cells[width:]):
            error = RowError("width", found=str(len(cells)), expected=str(width))
            cells = []
        if cells:
            cells = [cells[place] for place in self._places.values()]
            if not self._is_clean:
                cells = list(map(_clean_cell, cells))
                error = self._find_broken(cells)
        return line, cells, error

    def _find_broken(self, cells):
        text = "".join(cells)
        if BROKEN not in text and "#" not in text:
            return None
        for column, cell in zip(self.columns, cells, strict=True):
            if BROKEN in cell:
                return RowError("encoding", column, cell[:80], self._encoding)
            if cell in _FORMULA_ERRORS:
                return RowError("formula_error", column, cell)
        return None

    def _read_row(self):
        """The line, the cells and the error of the next row, or None at the end.

        A quote that is left open would swallow the rows after it; they are given
        back, and only the row with the quote is lost.
        """
        lines = self._lines
        lines.taken = []
        line = lines.number + 1
        error = None
        try:
            cells = next(csv.reader(lines, delimiter=self._delimiter))
        except StopIteration:
            return None
        except csv.Error as malformed:
            cells = []
            error = RowError("malformed", found=str(malformed))
        # Few lines may be all that was left of the file: then the width tells.
        if len(lines.taken) > 1 and (
            error
            or len(lines.taken) > _LINES_OF_A_ROW
            or len(cells) < len(self._names)
            or self._is_loosely_quoted(lines.taken)
        ):
            lines.number -= len(lines.taken) - 1
            lines.give_back(lines.taken[1:])
            error = RowError("open_quote")
        return line, cells if any(cells) else [], error

    def _is_loosely_quoted(self, lines):
        """Whether text follows a closing quote: then it opened another cell, and what
        stands between the two is of other columns, which may not be kept."""
        try:
            list(
                csv.reader(map(_decode, lines), delimiter=self._delimiter, strict=True)
            )
        except csv.Error:
            return True
        return False


def clean(source, target, layout, encoding="UTF-8"):
    """Copy a file without the columns that are not used, so that what may not be
    kept is never stored. Rows keep their line numbers. ``Table`` reads the copy.

    :param source: binary file object, open for reading, in UTF-8
    :param target: binary file object, open for writing
    :param Layout layout: the columns that there may be
    :param str encoding: what the file was before it was made UTF-8
    :rtype: Summary
    :raise FileError: if the file can not be read
    """
    table = Table(source, layout, encoding)
    writer = CleanWriter(target, table.columns)
    summary = Summary(
        columns=table.columns,
        forbidden=table.forbidden,
        unused=table.unused,
        unknown=table.unknown,
    )
    for rows in _in_batches(table.split()):
        summary.rows += len(rows)
        writer.add_all(rows)
    return summary


def _in_batches(rows):
    """Lists of rows that are written at once."""
    while batch := list(islice(rows, _BATCH)):
        yield batch


class CleanWriter:
    """Writes a file that ``Table`` reads, with the lines and errors given here.

    :param target: binary file object, open for writing
    :param columns: the names of the columns
    """

    def __init__(self, target, columns):
        self._target = target
        self._text = io.StringIO()
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._blank = [""] * len(columns)
        self._writer.writerow([_LINE, _PROBLEM, *columns])
        self._flush()

    def add(self, line, cells, error=None):
        """
        :param int line: where the row was in what came
        :param list cells: its texts; empty if they are not known
        :param RowError error: what is wrong with it
        """
        self.add_all([(line, cells, error)])

    def add_all(self, rows):
        """:param rows: triples of what ``add`` takes"""
        self._writer.writerows(
            [line, _tell(error) if error else "", *(cells or self._blank)]
            for line, cells, error in rows
        )
        self._flush()

    def _flush(self):
        self._target.write(self._text.getvalue().encode())
        self._text.seek(0)
        self._text.truncate()


def _tell(error):
    told = (error.reason, error.column, error.found, error.expected)
    return "\t".join(" ".join(part.split()) for part in told)


def guard_formula(cell):
    """A cell that a spreadsheet does not take for a formula. Reading takes the guard
    off again."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def read_text(cells, column, limit):
    """What the column holds, with single spaces.

    :raise RowError: if it is longer than the limit or holds control characters
    """
    text = cells.get(column, "")
    if not text or (text.isalnum() and len(text) <= limit):  # most codes and numbers
        return text
    if "\0" in text:
        raise RowError("control", column, text)
    text = " ".join(text.split())
    if len(text) > limit:
        raise RowError("too_long", column, f"{text[:40]}…", str(limit))
    return text


def read_number(cells, column, limit):
    """A number that is a name (a card, a person), as text: leading zeros count.

    :raise RowError: if a spreadsheet has made it a rounded number, or it is too long
    """
    text = read_text(cells, column, limit)
    if text and _BROKEN_NUMBER.fullmatch(text):
        raise RowError("spreadsheet_number", column, text)
    return text


def read_date(cells, column, date_format):
    """The day, or None for an empty cell; a time of day is left out.

    :param str date_format: a key of ``DATE_FORMATS``; ISO is read beside it
    :raise RowError: if it is no day of the calendar between 1850 and 9999
    """
    return read_moment(cells, column, date_format)[0]


def read_moment(cells, column, date_format):
    """The day, as ``read_date`` gives it, and what stands after it."""
    text = cells.get(column, "")
    if not text:
        return None, ""
    written, __, time = text.replace("T", " ").partition(" ")
    day = _read_day(written, date_format)
    if day is False:
        if text.strip("-/. ").lower() in _NO_DATE:
            return None, ""
        raise RowError("date", column, text, date_format)
    return day, time


@lru_cache(maxsize=10_000)  # the days of a file are few, its rows many
def _read_day(day, date_format):
    """The day, None for MySQL's way to say that there is none, False for no day."""
    match = DATE_FORMATS["iso"].fullmatch(day) or DATE_FORMATS[date_format].fullmatch(
        day
    )
    if match:
        if match["y"] == "0000":
            return None
        with suppress(ValueError):
            found = date(int(match["y"]), int(match["m"]), int(match["d"]))
            return found if found.year >= 1850 else False
    return False


class _Lines:
    """The lines of a binary file as text; they can be given back, or many be taken.

    ``number`` is that of the line that was read last, the header being the first.
    """

    def __init__(self, file):
        self._file = file
        self.given_back = []
        self.taken = []
        self.number = 1

    def __iter__(self):
        return self

    def __next__(self):
        line = self.given_back.pop() if self.given_back else self._file.readline()
        if not line:
            raise StopIteration
        self.taken.append(line)
        self.number += 1
        return _decode(line)

    def take_chunk(self):
        """Whole lines, uncounted: what is there at once, so that a file that breaks
        later gives the rows before."""
        chunk = self._file.read1(_CHUNK)
        return chunk if chunk.endswith(b"\n") else chunk + self._file.readline()

    def give_back(self, lines):
        """Lines in bytes, uncounted, to be the next."""
        self.given_back.extend(reversed(list(lines)))


def _decode(line):
    return line.decode(errors="replace")


def split_header(header, delimiter):
    """The names of the columns as they are written."""
    try:
        names = next(csv.reader([header], delimiter=delimiter))
    except (csv.Error, StopIteration):
        return []
    return [show(name.strip()) for name in names]


def _clean_cell(cell):
    cell = cell.strip()
    return cell[1:] if cell.startswith(("'=", "'+", "'-", "'@")) else cell
