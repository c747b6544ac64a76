"""COUNTER 5.1 in TSV: thirteen rows that say what the report is, a blank one, a table.

Also with commas or semicolons, as a spreadsheet may save it.
"""

import codecs
import csv
import re
from datetime import date

from .counter_report import (
    ATTRIBUTES,
    COUNT_DIGITS,
    VOCABULARY,
    WHOLE_NUMBER,
    ReportError,
    Tally,
    check_month,
    components_error,
    first_of_month,
    make_header,
    make_notice,
    tell,
)

_MONTH_NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_MONTH = re.compile(rf"({'|'.join(_MONTH_NAMES)})-([1-9]\d{{3}})")
_LINE_LIMIT = 1024 * 1024
_HEADER_ROWS = 40


def read_tsv(file):
    """:rtype: Tally
    :raise ReportError: if it can not be read"""
    lines = _Lines(file)
    label = re.match(r'"?Report_Name"?([\t,;])', lines.peek())
    if not label:
        raise ReportError("not_counter", line=1, expected="Report_Name")
    rows = _split(lines, label[1])
    texts = {}
    for line, cells in rows:
        if {"Metric_Type", "Platform"} <= {*cells}:
            return _read_rows(rows, line, cells, _read_header(texts))
        if line > _HEADER_ROWS:
            break
        texts[cells[0]] = " ".join("".join(cells[1:2]).split())
    # Of another release, or of the header alone: that says more than the columns.
    _read_header(texts)
    raise ReportError("missing", line=lines.number, expected="Platform, Metric_Type")


def _read_header(texts):
    filters = _pairs(texts.get("Report_Filters", ""))
    filters.update(_pairs(texts.get("Reporting_Period", "")))
    metrics = texts.get("Metric_Types", "")
    filters["Metric_Type"] = [name for name in re.split(r"\s*;\s*", metrics) if name]
    return make_header(
        texts,
        filters,
        _pairs(texts.get("Report_Attributes", "")),
        _read_notices(texts.get("Exceptions", "")),
    )


def _read_notices(text):
    # A detail may hold a semicolon too, so each one begins at its number.
    starts = [*re.finditer(r"(?:^|; )(\d{1,4}): ", text)]
    ends = [start.start() for start in starts[1:]] + [len(text)]
    for start, end in zip(starts, ends, strict=False):
        message, _, detail = text[start.end() : end].partition(" (")
        yield make_notice(int(start[1]), message, detail.removesuffix(")"))


def _pairs(text):
    pairs = {}
    for part in re.split(r"\s*;\s*", text):
        name, equals, values = part.partition("=")
        if equals:
            pairs[name.strip()] = [value.strip() for value in values.split("|")]
    return pairs


def _read_rows(rows, line, names, header):
    tally = Tally(header)
    places, months = _read_columns(line, names, tally)
    width, total = len(names), places.get("Reporting_Period_Total")
    who = [places.get(name) for name in ("Platform", "Database", *ATTRIBUTES)]
    if header.family != "DR":
        who[1] = None
    metric = places["Metric_Type"]
    for line, cells in rows:
        if len(cells) != width and (len(cells) < width or any(cells[width:])):
            raise ReportError(
                "width", line=line, found=str(len(cells)), expected=str(width)
            )
        platform, database, *attributes = (
            "" if place is None else cells[place] for place in who
        )
        try:
            sums = tally.group(platform, database, attributes, cells[metric])
        except ReportError as error:
            error.line = line
            raise
        summed = 0
        for place, month in months:
            quantity = _read_count(cells[place], line, names[place])
            sums[month] += quantity
            summed += quantity
        if total is not None:
            told = _read_count(cells[total], line, names[total])
            if told != summed:
                tally.disagree("total", names[total], str(told), str(summed), line)
    return tally


def _read_columns(line, names, tally):
    """Where the used columns are, and the months with where each is."""
    if any(name.startswith("Component_") for name in names):
        raise components_error(line=line)
    places, months = {}, {}
    used = {"Platform", "Database", *VOCABULARY, "Reporting_Period_Total"}
    for place, name in enumerate(names):
        if name in used:
            if name in places:
                raise ReportError("repeated", line=line, place=name, found=name)
            places[name] = place
        elif match := _MONTH.fullmatch(name):
            month = date(int(match[2]), _MONTH_NAMES.index(match[1]) + 1, 1)
            if month in months:
                raise ReportError("repeated", line=line, place=name, found=name)
            check_month(month, name, tally.header, line=line, place=name)
            months[month] = place
    if not months:
        expected = _name_month(first_of_month(tally.header.begin))
        raise ReportError("no_months", line=line, expected=expected)
    for month in _months(tally.header):
        if month not in months:
            name = _name_month(month)
            tally.disagree("missing_month", name, "", name, line)
    return places, [(place, month) for month, place in months.items()]


def _months(header):
    """The months of the period, which may go on to the end of the calendar."""
    first, last = (day.year * 12 + day.month - 1 for day in (header.begin, header.end))
    for number in range(first, last + 1):
        yield date(number // 12, number % 12 + 1, 1)


def _name_month(month):
    return f"{_MONTH_NAMES[month.month - 1]}-{month.year:04}"


def _read_count(cell, line, column):
    if not (cell.isascii() and cell.isdigit()) or len(cell) > COUNT_DIGITS:
        raise ReportError(
            "count",
            line=line,
            place=column,
            found=tell(cell),
            expected=WHOLE_NUMBER,
        )
    return int(cell)


def _split(lines, delimiter):
    """Yield the line and the cells of each row that is not blank."""
    try:
        for cells in csv.reader(_one_each(lines), delimiter=delimiter):
            lines.is_taken = False
            cells = [cell.strip() for cell in cells]
            if any(cells):
                yield lines.number, cells
    except csv.Error:
        raise ReportError("malformed", line=lines.number) from None


def _one_each(lines):
    # No cell of COUNTER has a line break: where a row runs on, a quote was not closed,
    # and the rows up to the next quote would be lost without a word.
    for line in lines:
        if lines.is_taken:
            raise ReportError("open_quote", line=lines.number - 1)
        lines.is_taken = True
        yield line
    if lines.is_taken:
        raise ReportError("open_quote", line=lines.number)


class _Lines:
    """The lines of a binary file as text. ``number`` is that of the last one."""

    def __init__(self, file):
        self._file = file
        self._next = None
        self.number = 0
        self.is_taken = False

    def __iter__(self):
        return self

    def peek(self):
        self._next = next(self, "")
        self.number -= 1
        return self._next

    def __next__(self):
        self.number += 1
        if self._next is not None:
            line, self._next = self._next, None
            return line
        line = self._file.readline(_LINE_LIMIT)
        if not line:
            self.number -= 1
            raise StopIteration
        if self.number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) >= _LINE_LIMIT:
            raise ReportError("too_long", line=self.number, expected=str(_LINE_LIMIT))
        if b"\0" in line:
            raise ReportError(
                "encoding", line=self.number, found="NUL", expected="UTF-8"
            )
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise ReportError(
                "encoding",
                line=self.number,
                found=f"0x{line[error.start]:02X}",
                expected="UTF-8",
            ) from None
