"""COUNTER 5.1 in JSON, read piece by piece: a report may be larger than the memory."""

import codecs
import re
from datetime import date

import ijson

from .counter_report import (
    ATTRIBUTES,
    COUNT_DIGITS,
    WHOLE_NUMBER,
    ReportError,
    Tally,
    check_month,
    components_error,
    make_header,
    make_notice,
    tell,
)
from .table import show

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_CHUNK = 64 * 1024
# COUNTER nests nine deep.
_DEPTH_LIMIT = 32


# What is read, by where it is: of an object by the name, of a list each element.
_MEMBERS = {
    ("root", "Report_Items"): "items",
    ("item", "Items"): "items",
    ("item", "Attribute_Performance"): "performances",
    ("performance", "Performance"): "metrics",
}
_ELEMENTS = {"items": "item", "performances": "performance"}
_LISTS = {member for member, role in _MEMBERS.items() if role in _ELEMENTS}
_TEXTS = {"item": ("Platform", "Database"), "performance": ATTRIBUTES}
_COUNT_LIMIT = 10**COUNT_DIGITS


def read_json(file):
    """:rtype: Tally
    :raise ReportError: if it can not be read"""
    header = _read_header(_events(file))
    file.seek(0)
    items = _Items(Tally(header))
    for event, value in _events(file, items.place):
        items.take(event, value)
    if not items.are_there and not header.exceptions:
        raise ReportError("missing", place="Report_Items", expected="Report_Items")
    return items.tally


def _events(file, place=lambda: ""):
    """Yield the parser's events.

    The message of the parser is left out, as it quotes the text.
    """
    depth = 0
    pieces = ijson.from_iter(_pieces(file))
    try:
        # Numbers of the machine: longer ones make the parser fail with errors of Python
        # that can not be caught where they happen.
        for event, value in ijson.basic_parse(pieces, buf_size=_CHUNK, use_float=True):
            if event in ("start_map", "start_array"):
                depth += 1
                if depth > _DEPTH_LIMIT:
                    raise ReportError(
                        "nesting", place=place(), expected=f"up to {_DEPTH_LIMIT}"
                    )
            elif event in ("end_map", "end_array"):
                depth -= 1
            yield event, value
    except (ijson.JSONError, ValueError):
        raise ReportError("not_json", place=place(), expected="JSON") from None


def _pieces(file):
    """Yield the bytes of the file, if they are UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, is_first, data = 1, True, True
    while data:
        data = file.read(_CHUNK)
        try:
            decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise ReportError(
                "encoding",
                line=line + error.object[: error.start].count(b"\n"),
                found=f"0x{error.object[error.start]:02X}",
                expected="UTF-8",
            ) from None
        line += data.count(b"\n")
        if is_first:
            is_first = False
            data = data.removeprefix(codecs.BOM_UTF8)
        yield data


def _read_header(events):
    """The header, wherever it stands; reads no further."""
    depth, name, builder, answer = 0, None, None, {}
    for event, value in events:
        if builder:
            builder.event(event, value)
        elif event == "map_key":
            name = value
        elif depth == 1 and name == "Report_Header" and event == "start_map":
            builder = ijson.ObjectBuilder()
            builder.event(event, value)
        elif depth <= 2 and event in ("number", "string"):
            answer.setdefault(name, value)
        if event in ("start_map", "start_array"):
            depth += 1
        elif event in ("end_map", "end_array"):
            depth -= 1
            if builder and depth == 1:
                return _make_header(builder.value)
    if isinstance(answer.get("Code"), int):
        notice = make_notice(answer["Code"], str(answer.get("Message", "")), "")
        raise ReportError("refused", found=f"{notice.code}: {notice.message}")
    raise ReportError("missing", place="Report_Header", expected="Report_Header")


def _make_header(values):
    exceptions = values.get("Exceptions")
    return make_header(
        {name: _line(text) for name, text in values.items() if isinstance(text, str)},
        _lists(values.get("Report_Filters")),
        _lists(values.get("Report_Attributes")),
        [
            make_notice(
                notice["Code"],
                _line(notice.get("Message", "")),
                _line(notice.get("Data", "")),
            )
            for notice in (exceptions if isinstance(exceptions, list) else ())
            if isinstance(notice, dict) and isinstance(notice.get("Code"), int)
        ],
    )


def _lists(values):
    """The values as lists of texts; what has another form is left out."""
    lists = {}
    for name, value in values.items() if isinstance(values, dict) else ():
        value = value if isinstance(value, list) else [value]
        lists[name] = [_line(text) for text in value if isinstance(text, str)]
    return lists


def _line(text):
    return show(" ".join(str(text).split()))


class _Level:
    """An object or a list that the reader is in. ``role`` says which; ``name`` is that
    of the current member, ``number`` that of the current element."""

    __slots__ = ("content", "name", "number", "rows", "role", "texts")

    def __init__(self, role):
        self.role = role
        self.name = ""
        self.number = -1
        self.texts = {}
        self.content = {}
        self.rows = []


class _Items:
    """Takes the parser's events and hands the counts to the tally.

    Kept is one item at a time, and of it only what is counted: the platform and the
    types may stand behind the counts.
    """

    def __init__(self, tally):
        self.tally = tally
        self.are_there = False
        self._levels = []
        self._months = {}

    def place(self):
        """The way to where the reader is, such as ``Report_Items[2].Items[0]``. Names
        that are not COUNTER's are left out."""
        way = ""
        for level in self._levels:
            if level.role in _ELEMENTS:
                way += f"[{max(level.number, 0)}]"
            elif (level.role, level.name) in _MEMBERS or tell(level.name):
                way += f".{level.name}"
        return way.lstrip(".")

    def take(self, event, value):
        if event == "map_key":
            self._levels[-1].name = value
        elif event in ("start_map", "start_array"):
            self._open("list" if event == "start_array" else "object")
        elif event in ("end_map", "end_array"):
            self._close()
        elif self._levels[-1].role == "months":
            self._take_count(event, value)
        else:
            self._take_text(value)

    def _open(self, form):
        role = "root"
        if self._levels:
            above = self._levels[-1]
            role = self._role_below(above)
            if role in ("item", "performance"):
                above.number += 1
        self._levels.append(_Level(role))
        self.are_there |= role == "items"
        if role != "skipped":
            expected = "list" if role in _ELEMENTS else "object"
            if form != expected:
                self._levels.pop()
                self._refuse("structure", form, expected)

    def _role_below(self, above):
        if above.role == "months":
            self._refuse("count", "", WHOLE_NUMBER)
        if above.role == "metrics":
            return "months"
        if (above.role, above.name) == ("item", "Components"):
            raise components_error(place=f"{self.place()}.Components")
        return _ELEMENTS.get(above.role) or _MEMBERS.get(
            (above.role, above.name), "skipped"
        )

    def _take_count(self, event, value):
        counts = self._levels[-1].content
        name = self._levels[-1].name
        month = self._months.get(name) or self._read_month(name)
        if month in counts:
            self._refuse("repeated", tell(name), "")
        if event != "number" or type(value) is not int or not 0 <= value < _COUNT_LIMIT:
            found = str(value).lower() if event in ("number", "boolean") else ""
            self._refuse("count", tell(found), WHOLE_NUMBER)
        counts[month] = value

    def _read_month(self, name):
        match = _MONTH.fullmatch(name)
        if not match:
            self._refuse("no_months", tell(name), "2026-01")
        month = date(int(match[1]), int(match[2]), 1)
        check_month(month, name, self.tally.header, place=self.place())
        self._months[name] = month
        return month

    def _take_text(self, value):
        level = self._levels[-1]
        role = level.role
        if role in _ELEMENTS or role == "metrics" or (role, level.name) in _MEMBERS:
            expected = "list" if (role, level.name) in _LISTS else "object"
            self._refuse("structure", "", expected)
        if level.name in _TEXTS.get(role, ()):
            level.texts[level.name] = _line(value)

    def _close(self):
        level = self._levels.pop()
        if not self._levels:
            return
        above = self._levels[-1]
        if level.role == "months":
            if above.name in above.content:
                self._refuse("repeated", tell(above.name), "")
            above.content[above.name] = level.content
        elif level.role == "metrics":
            above.content = level.content
        elif level.role == "performance":
            attributes = [level.texts.get(name, "") for name in ATTRIBUTES]
            self._levels[-2].rows.append((attributes, level.content))
        elif level.role == "item":
            self._add(level)

    def _add(self, item):
        platform = item.texts.get("Platform", "")
        is_of_databases = self.tally.header.family == "DR"
        database = item.texts.get("Database", "") if is_of_databases else ""
        for attributes, metrics in item.rows:
            for metric, months in metrics.items():
                try:
                    sums = self.tally.group(platform, database, attributes, metric)
                except ReportError as error:
                    error.place = f"{self.place()}.{error.place}"
                    raise
                for month, quantity in months.items():
                    sums[month] += quantity

    def _refuse(self, reason, found, expected):
        raise ReportError(reason, place=self.place(), found=found, expected=expected)
