"""Looks at a file of which nobody has said anything, and says how to read it.

What is said comes with its evidence, and is a proposal: a person looks at it. Dates
that can be read in two ways are never guessed.
"""

import io
import itertools
import re
from dataclasses import dataclass, field
from datetime import date

from . import koha
from .encoding import as_utf8, guess_encoding, open_stream
from .headers import (
    KNOWN,
    KNOWN_SERVICES,
    LOAN_DATES,
    SYSTEMS,
    get_forbidden,
    get_key,
)
from .mapped import FIELDS, TEXT_LIMIT, Mapping, ValueMap
from .sheet import Book, is_workbook
from .table import DELIMITERS, FileError, Layout, Table, split_header

#: As many rows tell enough.
ROWS = 1000
# What is read of a text file to get them.
_HEAD = 8 * 1024 * 1024
# The header is looked for among these lines.
_HEADER_LINES = 20
_NOTES_OF_A_KIND = 5
_DATE_FIELDS = ("birth_date", "enrolled_on", "expiry_date", "date")
_NUMBER_FIELDS = ("card_number", "ils_ref", "zip", "guardian_ref")
# A column is one of dates if so much of it looks like dates.
_DATE_SHARE = 0.8

_DAY = re.compile(
    r"""(?P<iso>\d{4}-\d{2}-\d{2})(?=[T\ ]|$)
    | (?P<ymd_slash>\d{4}/\d{1,2}/\d{1,2})(?=[T\ ]|$)
    | (?P<ymd>(?:19|20)\d{6})(?:\d{4}(?:\d{2})?)?$
    | (?P<first>\d{1,2})(?P<mark>[/.-])(?P<second>\d{1,2})(?P=mark)
      (?P<year>\d{4}|\d{2})(?=[T\ ]|$)""",
    re.VERBOSE,
)
_FORMATS_OF_MARKS = {
    "/": ("dmy_slash", "mdy_slash"),
    "-": ("dmy_dash", "mdy_dash"),
    # Nobody writes the month first with dots.
    ".": ("dmy_dot",),
}


@dataclass(frozen=True)
class Evidence:
    """Where in the file something was seen."""

    line: int
    column: str
    found: str


@dataclass(frozen=True)
class Note:
    """Something that a person should know before the file is read.

    ``reason`` is ``encoding``, ``mixed_encoding``, ``encoded_twice``, ``no_header``,
    ``repeated_column``, ``delimiter``, ``two_digit_year``, ``ambiguous_date``,
    ``day_and_month_swapped``, ``date``, ``mixed_dates``, ``date_formats_differ``,
    ``leading_zeros``, ``spreadsheet_number``, ``unknown_service``, or that of a
    ``RowError``. ``expected`` is what should be there; of swapped days the line and
    text that speak for the other order.
    """

    reason: str
    line: int = 0
    column: str = ""
    found: str = ""
    expected: str = ""


@dataclass(frozen=True)
class DateGuess:
    """How a column writes its days.

    ``date_format`` is None where nothing decides, and then ``candidates`` are the
    formats that are possible. ``evidence`` is the first cell that leaves no other
    reading (for ISO and the like: the first cell).
    """

    column: str
    date_format: str | None
    candidates: tuple
    evidence: Evidence | None


@dataclass
class Guess:
    """What a file seems to be.

    ``mapping`` is a proposal; ``mapping.find_problems()`` says what is missing from
    it. ``forbidden`` are the columns that may not be kept, ``unmapped`` those of
    which the proposal makes no use.
    """

    is_workbook: bool
    encoding: str
    delimiter: str
    header: list
    header_line: int
    rows: int
    kind: str
    system: str
    mapping: Mapping
    dates: list
    forbidden: list
    unmapped: list
    sheets: list = field(default_factory=list)
    notes: list = field(default_factory=list)


def detect(file, sheet="", kind=None):
    """Say how a file is to be read, by its first ``ROWS`` rows.

    :param file: binary file object that can seek
    :param str sheet: the sheet of a workbook; empty: the first
    :param str kind: what it is about, a key of ``FIELDS``; None: the header tells
    :rtype: Guess
    :raise FileError: if it is empty, or no workbook though it begins like one
    """
    start = file.tell()
    guess = (
        _detect_workbook(file, sheet, kind)
        if is_workbook(file)
        else _detect_text(file, kind)
    )
    file.seek(start)
    return guess


def find_table(file):
    """Where in a text file a table begins.

    :return: the beginning of the file in whole lines, in what it is written, the line
        that names the columns, and what parts them
    :rtype: tuple[bytes, EncodingGuess, int, str]
    :raise FileError: if it is empty
    """
    head = file.read(_HEAD)
    if len(head) == _HEAD:
        # The last line is not whole.
        head = head[: head.rfind(b"\n") + 1] or head
    encoding = guess_encoding(head)
    stream = as_utf8(io.BytesIO(head), encoding.encoding)
    lines = [line.decode() for line in itertools.islice(stream, _HEADER_LINES)]
    if not any(line.strip() for line in lines):
        raise FileError("empty")
    header_line, delimiter = max(
        (_find_header(lines, mark) for mark in DELIMITERS),
        key=lambda found: _rate_header(lines, *found),
    )
    return head, encoding, header_line, delimiter


def find_header_in_book(book, sheet=""):
    """The line of a sheet that names its columns."""
    lines = list(itertools.islice(book.open(sheet, 1), _HEADER_LINES))
    return _find_header([line.decode() for line in lines], ",")[0]


def _detect_workbook(file, sheet, kind):
    book = Book(file)
    header_line = find_header_in_book(book, sheet)
    numbers = []
    stream = book.open(sheet, header_line, numbers)
    guess = _look(stream, header_line, ",", kind)
    guess.is_workbook = True
    guess.encoding = "utf-8"
    guess.delimiter = guess.mapping.delimiter = ""
    guess.mapping.sheet = sheet
    guess.sheets = book.names
    used = {
        column
        for name in _NUMBER_FIELDS
        for column in guess.mapping.columns.get(name, ())
    }
    guess.notes += [
        Note("leading_zeros", number.line, number.column, number.found)
        for number in numbers
        if number.column in used
    ]
    return guess


def _detect_text(file, kind):
    head, encoding, header_line, delimiter = find_table(file)
    stream = as_utf8(io.BytesIO(head), encoding.encoding)
    guess = _look(stream, header_line, delimiter, kind)
    guess.encoding = guess.mapping.encoding = encoding.encoding
    guess.delimiter = guess.mapping.delimiter = delimiter
    if encoding.encoding != "utf-8" and encoding.line:
        guess.notes.append(Note("encoding", encoding.line, found=encoding.found))
    if encoding.broken_line:
        guess.notes.append(
            Note(
                "mixed_encoding",
                encoding.broken_line,
                "",
                encoding.broken_found,
                "UTF-8",
            )
        )
    if encoding.twice_line:
        guess.notes.append(
            Note("encoded_twice", encoding.twice_line, found=encoding.twice_found)
        )
    return guess


# ------------------------------------------------------------
# THE HEADER
# ------------------------------------------------------------


def _find_header(lines, delimiter):
    """The line that names the most known columns, else the first that is not blank."""
    counts = [_count_known(split_header(line, delimiter)) for line in lines]
    most = max(counts, default=0)
    if most >= 2:
        return counts.index(most) + 1, delimiter
    first = next((place for place, line in enumerate(lines) if line.strip()), 0)
    return first + 1, delimiter


def _count_known(names):
    keys = {get_key(name) for name in names}
    return max(len(keys & _get_known_keys(kind)) for kind in KNOWN)


def _get_known_keys(kind):
    return {key for options in KNOWN[kind].values() for key in _flatten(options)}


def _flatten(options):
    for option in options:
        if isinstance(option, tuple):
            yield from option
        else:
            yield option


def _rate_header(lines, header_line, delimiter):
    """Known columns, then rows as wide as the header, then columns."""
    names = split_header(lines[header_line - 1], delimiter)
    rows = [line for line in lines[header_line:] if line.strip()]
    alike = sum(len(split_header(line, delimiter)) == len(names) for line in rows)
    return _count_known(names), (alike if len(names) > 1 else 0), len(names)


# ------------------------------------------------------------
# THE ROWS
# ------------------------------------------------------------


def _look(stream, header_line, delimiter, kind):
    """Read the rows from the header on, without the columns that may not be kept."""
    for __ in range(header_line - 1):
        stream.readline()
    header_bytes = stream.readline()
    header = split_header(header_bytes.decode(), delimiter)
    if not any(header):
        raise FileError("empty", line=header_line)
    keys = [name.lower() for name in header]
    if kind:
        columns = _propose_columns(header, kind)
    else:
        kind, columns, __ = _choose_kind(header)
    forbidden = [name for name in header if name and get_forbidden(name, kind)]
    readable = {
        name.lower(): name
        for name in header
        if name and name not in forbidden and keys.count(name.lower()) == 1
    }
    notes = [
        Note("repeated_column", header_line, name)
        for name in dict.fromkeys(header)
        if name and keys.count(name.lower()) > 1 and name not in forbidden
    ]
    columns = {
        field_name: kept
        for field_name, names in columns.items()
        if (kept := tuple(name for name in names if name.lower() in readable))
    }
    if looks := _get_no_header(header):
        notes.append(Note("no_header", header_line, found=looks))
    cells, rows = {}, 0
    if readable:
        # The others make the delimiter that was found the best one for ``Table`` too.
        layout = Layout(
            used=tuple(readable),
            unused=tuple(key for key in keys if key and key not in readable),
            forbidden=(),
            required=(),
        )
        stream = open_stream(itertools.chain([header_bytes], stream))
        cells, rows, row_notes = _read_rows(stream, layout, readable, header_line)
        notes += row_notes
    dates = [
        found
        for column in cells
        if (found := _guess_dates(column, cells[column], columns, notes))
    ]
    mapping = Mapping(kind, columns, header_line=header_line)
    _set_date_format(mapping, dates, notes)
    _set_names(mapping, cells)
    if kind == "usage":
        _set_services(mapping, cells, notes)
    _check_numbers(mapping, cells, notes)
    _check_lengths(mapping, cells, notes)
    used = {name for names in columns.values() for name in names}
    return Guess(
        is_workbook=False,
        encoding="utf-8",
        delimiter=delimiter,
        header=header,
        header_line=header_line,
        rows=rows,
        kind=kind,
        system=_guess_system(header),
        mapping=mapping,
        dates=dates,
        forbidden=forbidden,
        unmapped=[
            name
            for name in header
            if name and name not in used and name not in forbidden
        ],
        notes=notes,
    )


def _read_rows(stream, layout, readable, header_line):
    """The cells of each column with their lines, the number of rows, and what is
    wrong with some of them."""
    cells = {name: [] for name in readable.values()}
    notes = []
    counts = {}
    rows = 0
    for row in itertools.islice(Table(stream, layout), ROWS):
        rows += 1
        line = row.line + header_line - 1
        if row.error:
            reason = row.error.reason
            counts[reason] = counts.get(reason, 0) + 1
            if counts[reason] <= _NOTES_OF_A_KIND:
                notes.append(
                    Note(reason, line, "", row.error.found, row.error.expected)
                )
            continue
        for key, cell in row.cells.items():
            if cell:
                cells[readable[key]].append((line, cell))
    return cells, rows, notes


def _get_no_header(header):
    """What looks like data in a header without any known name."""
    if _count_known(header):
        return ""
    return next(
        (name for name in header if "@" in name or re.search(r"\d{4,}", name)), ""
    )


# ------------------------------------------------------------
# COLUMNS
# ------------------------------------------------------------


def _choose_kind(header):
    """The kind of the file, the columns of its fields, and how many were found."""
    by_kind = []
    for kind in FIELDS:
        columns = _propose_columns(header, kind)
        by_kind.append((kind, columns, len(columns)))
    # Names and card numbers stand in files of use too; a day of use does in no other.
    if "date" in by_kind[1][1] and "name" not in by_kind[0][1]:
        return by_kind[1]
    return max(by_kind, key=lambda found: found[2])


def _propose_columns(header, kind):
    by_key = {}
    for name in header:
        if name:
            by_key.setdefault(get_key(name), name)
    columns = {}
    taken = set()
    for field_name, options in KNOWN[kind].items():
        found = []
        for option in options:
            parts = option if isinstance(option, tuple) else (option,)
            names = [by_key[part] for part in parts if part in by_key]
            # A street may lack a number of its own; a name needs all of its parts.
            is_whole = len(names) == len(parts)
            if (
                is_whole
                and not taken.intersection(names)
                and not any(get_forbidden(name, kind, field_name) for name in names)
            ):
                found.append(tuple(names))
                if field_name not in ("email", "phone"):
                    break
        if found:
            columns[field_name] = tuple(name for names in found for name in names)
            taken.update(columns[field_name])
    return columns


def _guess_system(header):
    keys = {get_key(name) for name in header}
    system = max(SYSTEMS, key=lambda name: len(keys & SYSTEMS[name]))
    return system if len(keys & SYSTEMS[system]) >= 2 else ""


def _set_names(mapping, cells):
    """Whether a name is written as “Lindqvist, Maja”."""
    columns = mapping.columns.get("name", ())
    if len(columns) == 1:
        found = [cell for __, cell in cells[columns[0]]]
        commas = sum(cell.count(",") == 1 for cell in found)
        mapping.family_name_first = bool(found) and commas > len(found) / 2


def _set_services(mapping, cells, notes):
    columns = mapping.columns.get("service_code")
    if not columns:
        [day] = mapping.columns.get("date", ("",))[:1]
        if get_key(day) in LOAN_DATES:
            mapping.value_maps["service_code"] = ValueMap(default="loan")
        return
    known = {
        **KNOWN_SERVICES,
        **koha.SERVICES,
        **dict.fromkeys(koha.IGNORED_TYPES),
    }
    values = {}
    for line, cell in cells[columns[0]]:
        key = cell.lower() if cell.lower() in known else get_key(cell)
        if cell in values:
            continue
        if key in known:
            values[cell] = known[key] or ""
        elif sum(note.reason == "unknown_service" for note in notes) < _NOTES_OF_A_KIND:
            notes.append(Note("unknown_service", line, columns[0], cell[:40]))
    mapping.value_maps["service_code"] = ValueMap(values)


def _check_numbers(mapping, cells, notes):
    """Tell of card numbers that a spreadsheet has spoilt."""
    for name in _NUMBER_FIELDS:
        for column in mapping.columns.get(name, ()):
            found = cells[column]
            broken = next(
                ((line, cell) for line, cell in found if _BROKEN.fullmatch(cell)), None
            )
            if broken:
                notes.append(Note("spreadsheet_number", broken[0], column, broken[1]))
            digits = [(line, cell) for line, cell in found if cell.isdigit()]
            longest = max((len(cell) for __, cell in digits), default=0)
            shorter = next((pair for pair in digits if len(pair[1]) < longest), None)
            # A count from one upwards has every length; a card has one or two.
            if (
                name in ("card_number", "zip")
                and shorter
                and len(digits) == len(found)
                and len(shorter[1]) == longest - 1
                and not any(cell.startswith("0") for __, cell in digits)
            ):
                notes.append(
                    Note("leading_zeros", shorter[0], column, shorter[1], str(longest))
                )


def _check_lengths(mapping, cells, notes):
    for column in {name for names in mapping.columns.values() for name in names}:
        too_long = (pair for pair in cells[column] if len(pair[1]) > TEXT_LIMIT)
        if found := next(too_long, None):
            line, cell = found
            notes.append(
                Note("too_long", line, column, f"{cell[:40]}…", str(TEXT_LIMIT))
            )


_BROKEN = re.compile(r"\d([.,]\d+)?E\+?\d+", re.IGNORECASE)


# ------------------------------------------------------------
# DATES
# ------------------------------------------------------------


def _guess_dates(column, found, columns, notes):
    """How the column writes days, or None if it holds none."""
    is_mapped = any(column in columns.get(name, ()) for name in _DATE_FIELDS)
    matches = [(line, cell, _DAY.match(cell)) for line, cell in found]
    days = [(line, cell, match) for line, cell, match in matches if match]
    # Eight digits may be anything.
    if not is_mapped:
        days = [day for day in days if not day[2]["ymd"]]
    if not days or len(days) < len(found) * _DATE_SHARE:
        return None
    notes_of_column = {}
    # By format, the first cell that can be read in no other.
    decided = {}
    possible = {}
    for line, cell, match in days:
        formats, reason = _get_formats(match)
        if reason:
            notes_of_column.setdefault(reason, Note(reason, line, column, cell[:40]))
            continue
        for name in formats:
            possible.setdefault(name, Evidence(line, column, cell[:40]))
        if len(formats) == 1:
            [name] = formats
            decided.setdefault(name, (Evidence(line, column, cell[:40]), [0]))[1][
                0
            ] += 1
    notes += notes_of_column.values()
    # ISO is read beside every format.
    others = {name: count for name, (__, [count]) in decided.items() if name != "iso"}
    if not others:
        open_formats = tuple(name for name in possible if name != "iso")
        if open_formats:
            first = possible[open_formats[0]]
            notes.append(
                Note(
                    "ambiguous_date",
                    first.line,
                    column,
                    first.found,
                    " ".join(open_formats),
                )
            )
            return DateGuess(column, None, open_formats, None)
        if "iso" in decided:
            return DateGuess(column, "iso", ("iso",), decided["iso"][0])
        return DateGuess(column, None, (), None)
    best = max(others, key=others.get)
    evidence = decided[best][0]
    for name in others:
        if name != best:
            against = decided[name][0]
            is_swap = {name, best} in [set(pair) for pair in _FORMATS_OF_MARKS.values()]
            notes.append(
                Note(
                    "day_and_month_swapped" if is_swap else "mixed_dates",
                    against.line,
                    column,
                    against.found,
                    f"line {evidence.line}: {evidence.found}",
                )
            )
    return DateGuess(column, best, (best,), evidence)


def _get_formats(match):
    """The formats in which a cell can be read, or why in none."""
    for name in ("iso", "ymd_slash", "ymd"):
        if match[name]:
            digits = re.sub(r"\D", " ", match[name]).split()
            if name == "ymd":
                digits = [match[name][:4], match[name][4:6], match[name][6:]]
            # MySQL's way to say that there is no date.
            is_day = _is_day(*digits) or set("".join(digits)) == {"0"}
            return ((name,), None) if is_day else ((), "date")
    if len(match["year"]) == 2:
        return (), "two_digit_year"
    formats = []
    for name in _FORMATS_OF_MARKS[match["mark"]]:
        parts = match["first"], match["second"]
        day, month = parts if name.startswith("dmy") else reversed(parts)
        if _is_day(match["year"], month, day):
            formats.append(name)
    return (tuple(formats), None) if formats else ((), "date")


def _is_day(year, month, day):
    try:
        return bool(date(int(year), int(month), int(day)))
    except ValueError:
        return False


def _set_date_format(mapping, dates, notes):
    """One format for all dates of the file: the one that most columns were found to
    have. Columns of which nothing is known follow it if they can.

    Where nothing decides, it stays ISO, so that the rows are refused and not read in
    a way that nobody has chosen.
    """
    used = {column for name in _DATE_FIELDS for column in mapping.columns.get(name, ())}
    of_mapping = [guess for guess in dates if guess.column in used]
    counts = {}
    # Columns that are not read decide only where no other does.
    for guess in [*of_mapping, *(dates if not _has_decided(of_mapping) else ())]:
        if guess.date_format and guess.date_format != "iso":
            counts.setdefault(guess.date_format, []).append(guess)
    if not counts:
        return
    mapping.date_format = max(counts, key=lambda name: len(counts[name]))
    by_column = {guess.column: guess for guess in of_mapping}
    for guess in by_column.values():
        formats = guess.candidates
        if formats and mapping.date_format not in formats and formats != ("iso",):
            evidence = guess.evidence
            notes.append(
                Note(
                    "date_formats_differ",
                    evidence.line if evidence else 0,
                    guess.column,
                    evidence.found if evidence else " ".join(formats),
                    mapping.date_format,
                )
            )


def _has_decided(guesses):
    return any(guess.date_format and guess.date_format != "iso" for guess in guesses)
