"""What a COUNTER report is once it is read, whichever syntax it came in.

The readers of JSON and of TSV hand in a header and rows; what is summed, refused and
compared here is the same for both. See ``counter``.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

from .table import FileError

RELEASE = "5.1"
_REQUESTS = ("Total_Item_Requests", "Unique_Item_Requests")
_INVESTIGATIONS = ("Total_Item_Investigations", "Unique_Item_Investigations")
_TITLES = ("Unique_Title_Investigations", "Unique_Title_Requests")
_TURNAWAYS = ("Limit_Exceeded", "No_License")
_SEARCHES = ("Searches_Automated", "Searches_Federated", "Searches_Regular")
_BOOKS = ("Book", "Reference_Work")
_MEDIA = ("Audiovisual", "Image", "Interactive_Resource", "Multimedia", "Sound")
#: By the id of a standard view: what it takes of its report.
VIEWS = {
    "PR_P1": {
        "Metric_Type": ("Searches_Platform", *_REQUESTS, "Unique_Title_Requests")
    },
    "DR_D1": {"Metric_Type": (*_SEARCHES, *_INVESTIGATIONS, *_REQUESTS)},
    "DR_D2": {"Metric_Type": _TURNAWAYS},
    "TR_B1": {
        "Data_Type": _BOOKS,
        "Access_Type": ("Controlled",),
        "Metric_Type": ("Total_Item_Requests", "Unique_Title_Requests"),
    },
    "TR_B2": {"Data_Type": _BOOKS, "Metric_Type": _TURNAWAYS},
    "TR_B3": {
        "Data_Type": _BOOKS,
        "Metric_Type": (*_INVESTIGATIONS, *_REQUESTS, *_TITLES),
    },
    "TR_J1": {
        "Data_Type": ("Journal",),
        "Access_Type": ("Controlled",),
        "Metric_Type": _REQUESTS,
    },
    "TR_J2": {"Data_Type": ("Journal",), "Metric_Type": _TURNAWAYS},
    "TR_J3": {
        "Data_Type": ("Journal",),
        "Metric_Type": (*_INVESTIGATIONS, *_REQUESTS),
    },
    "TR_J4": {
        "Data_Type": ("Journal",),
        "Access_Type": ("Controlled",),
        "Metric_Type": _REQUESTS,
    },
    "IR_A1": {"Data_Type": ("Article",), "Metric_Type": _REQUESTS},
    "IR_M1": {"Data_Type": _MEDIA, "Metric_Type": _REQUESTS},
}
REPORT_IDS = {"PR", "DR", "TR", "IR", *VIEWS}
VOCABULARY = {
    "Metric_Type": {
        *("Searches_Platform", *_SEARCHES, *_TURNAWAYS),
        *(*_INVESTIGATIONS, *_REQUESTS, *_TITLES),
    },
    "Data_Type": {
        *("Article", "Book_Segment", "Conference", "Conference_Item", "Database_AI"),
        *("Database_Aggregated", "Database_Full", "Database_Full_Item", "Dataset"),
        *("Journal", "News_Item", "Newspaper_or_Newsletter", "Other", "Patent"),
        *("Platform", "Reference_Item", "Report", "Software", "Standard"),
        *("Thesis_or_Dissertation", "Unspecified", *_BOOKS, *_MEDIA),
    },
    "Access_Type": {"Controlled", "Free_To_Read", "Open"},
    "Access_Method": {"Regular", "TDM"},
}
ATTRIBUTES = ("Data_Type", "Access_Type", "Access_Method")
WHOLE_NUMBER = "a whole number from 0"
COUNT_DIGITS = 12
# A metric and the one that it is a part of.
_PARTS = (
    ("Unique_Item_Requests", "Total_Item_Requests"),
    ("Unique_Title_Requests", "Unique_Item_Requests"),
    ("Unique_Title_Requests", "Total_Item_Requests"),
    ("Unique_Item_Investigations", "Total_Item_Investigations"),
    ("Unique_Title_Investigations", "Unique_Item_Investigations"),
    ("Total_Item_Requests", "Total_Item_Investigations"),
    ("Unique_Item_Requests", "Unique_Item_Investigations"),
    ("Unique_Title_Requests", "Unique_Title_Investigations"),
)
_NO_USAGE = 3030
_NOT_ALL = {3031, 3032, 3040}  # not ready yet, no longer there, lost
_TEXT_LIMIT = 250
# A report of a whole consortium has thousands of these; a file that is none, more.
_GROUP_LIMIT = 50_000
_DISAGREEMENT_LIMIT = 1_000
_FILTERS = {
    *("Attributed", "Author", "Country_Code", "Database", "Item_ID"),
    *("Subdivision_Code", "YOP"),
}
# What was found is told where it is one of these, which no title is: a count, a
# spreadsheet's number, a date, a month, a word in the manner of COUNTER.
_TELLABLE = re.compile(
    r"[+-]?\d{1,7}([.,]\d{1,3}){0,3}|\d[.,]\d{1,15}E\+\d{1,3}|true|false"
    r"|\d{4}-\d{2}(-\d{2})?|[A-Z][a-z]{2}[- ]\d{2,4}"
    r"|[A-Za-z]{1,20}(_[A-Za-z0-9]{1,20}){1,4}"
)


class ReportError(FileError):
    """The report can not be read, and none of its figures is given.

    :param str reason: ``empty``, ``encoding``, ``not_counter`` (no report of this
        kind), ``not_json`` (broken off, or not written by the rules), ``nesting``,
        ``structure``, ``refused`` (the platform answers that it gives none),
        ``no_data`` (the platform says that it has none yet, or no more), ``release``,
        ``report_id``, ``missing``, ``period``, ``no_months``, ``components``,
        ``too_long``, ``too_many``, ``width``, ``open_quote``, ``malformed``,
        ``repeated``, ``unknown``, ``outside_period`` or ``count``
    :param str place: the column, or the way to the place in JSON
    :param int line: the line of the file; None in JSON
    :param str found: what is there, unless it might be a title
    :param str expected: what should be there
    """

    def __init__(self, reason, *, line=None, place="", found="", expected=""):
        super().__init__(reason, line=line, found=found, expected=expected)
        self.place = place

    def __str__(self):
        where = ", ".join(
            part for part in (self.line and f"line {self.line}", self.place) if part
        )
        text = f"{self.reason}: found {self.found!r}, expected {self.expected!r}"
        return f"{where}: {text}" if where else text


class Notice(NamedTuple):
    """What the platform says about its report (COUNTER: exception). ``detail`` is
    there for months that are missing only."""

    code: int
    message: str
    detail: str


class Disagreement(NamedTuple):
    """Where a report contradicts itself.

    ``reason`` is ``total`` (Reporting_Period_Total is not the sum of its months),
    ``part`` (a part is larger than the whole), ``missing_month`` or ``no_usage`` (there
    are figures, and the header says that there are none; or neither is so).
    """

    reason: str
    place: str
    found: str
    expected: str
    line: int | None = None


class Figure(NamedTuple):
    """The use of a platform in a month, never 0. ``database`` is empty but in database
    reports; the types and the access method are where the report does not tell them."""

    platform: str
    database: str
    month: date
    metric_type: str
    quantity: int
    data_type: str
    access_type: str
    access_method: str


@dataclass(frozen=True)
class Header:
    """What a report says of itself.

    ``begin`` and ``end`` are the first and the last day; ``filters`` holds the values
    by name for platform, metric, data type, access type and access method;
    ``narrowed_by`` names all other filters: with one, the report is about a part of
    the platform. ``platforms`` and ``databases`` are those of the figures.
    """

    report_id: str
    release: str
    institution: str
    begin: date
    end: date
    created: str
    created_by: str
    exceptions: tuple
    filters: dict
    narrowed_by: tuple
    platforms: tuple = ()
    databases: tuple = ()

    @property
    def family(self):
        """The report that a standard view is taken from: a key of ``COUNTED``."""
        return self.report_id[:2]

    @property
    def is_partial(self):
        """Whether the platform says that months or figures are missing."""
        return any(notice.code in _NOT_ALL for notice in self.exceptions)

    @property
    def is_without_usage(self):
        """Whether the platform says that nobody used it."""
        return any(notice.code == _NO_USAGE for notice in self.exceptions)

    def limits(self, name):
        """The values of a filter, said or implied by the view; None: all."""
        implied = VIEWS.get(self.report_id, {}).get(name)
        return self.filters.get(name) or implied or None


@dataclass(frozen=True)
class Report:
    """A report that was read to its end. ``disagreements`` holds the first 1,000,
    ``disagreement_count`` says how many there are."""

    header: Header
    figures: list
    disagreements: list
    disagreement_count: int

    def __iter__(self):
        return iter(self.figures)


class Tally:
    """The sums over what the report has in rows, and what does not add up."""

    def __init__(self, header):
        self.header = header
        self._groups = {}
        self._allowed = {
            name: values | {own for own in header.filters.get(name, ()) if ":" in own}
            for name, values in VOCABULARY.items()
        }
        self.disagreements = []
        self.disagreement_count = 0

    def disagree(self, *values, **options):
        self.disagreement_count += 1
        if len(self.disagreements) < _DISAGREEMENT_LIMIT:
            self.disagreements.append(Disagreement(*values, **options))

    def group(self, platform, database, attributes, metric):
        """The sums by month of all rows that have these in common.

        :raise ReportError: without line and place: if one of them can not be
        """
        key = (platform, database, *attributes, metric)
        if key not in self._groups:
            self._check(platform, database, attributes, metric)
            self._groups[key] = defaultdict(int)
        return self._groups[key]

    def _check(self, platform, database, attributes, metric):
        named = {"Platform": platform}
        if self.header.family == "DR":
            named["Database"] = database
        for name, value in named.items():
            if not value:
                raise ReportError("missing", place=name, expected=name)
            if len(value) > _TEXT_LIMIT:
                raise ReportError(
                    "too_long",
                    place=name,
                    found=str(len(value)),
                    expected=str(_TEXT_LIMIT),
                )
        words = dict(zip(ATTRIBUTES, attributes, strict=True))
        for name, value in words.items():
            if value and value not in self._allowed[name]:
                self._refuse_word(name, value)
        if metric not in self._allowed["Metric_Type"]:
            self._refuse_word("Metric_Type", metric)
        if len(self._groups) >= _GROUP_LIMIT:
            raise ReportError("too_many", place="Platform", expected=str(_GROUP_LIMIT))

    @staticmethod
    def _refuse_word(name, value):
        raise ReportError(
            "unknown",
            place=name,
            found=tell(value),
            expected=", ".join(sorted(VOCABULARY[name])),
        )

    def finish(self):
        """:rtype: Report
        :raise ReportError: if the platform says that it has nothing to report from"""
        figures = [
            Figure(platform, database, month, metric, quantity, *attributes)
            for (platform, database, *attributes, metric), months in sorted(
                self._groups.items()
            )
            for month, quantity in sorted(months.items())
            if quantity
        ]
        self._check_usage(figures)
        self._check_parts()
        header = replace(
            self.header,
            platforms=tuple(sorted({figure.platform for figure in figures})),
            databases=tuple(sorted({figure.database for figure in figures} - {""})),
        )
        return Report(header, figures, self.disagreements, self.disagreement_count)

    def _check_usage(self, figures):
        header = self.header
        if not figures and header.is_partial and not header.is_without_usage:
            notices = (
                f"{code}: {message} ({detail})" if detail else f"{code}: {message}"
                for code, message, detail in header.exceptions
            )
            raise ReportError(
                "no_data", place="Exceptions", found="; ".join(notices)[:_TEXT_LIMIT]
            )
        if figures and header.is_without_usage:
            self.disagree("no_usage", "Exceptions", str(_NO_USAGE), "")
        if not figures and not header.is_without_usage:
            self.disagree("no_usage", "Exceptions", "", str(_NO_USAGE))

    def _check_parts(self):
        seen = {key[-1] for key in self._groups}
        for part, whole in _PARTS:
            if part not in seen or whole not in seen:
                continue
            for (*common, metric), months in self._groups.items():
                if metric != part:
                    continue
                wholes = self._groups.get((*common, whole), {})
                for month, quantity in sorted(months.items()):
                    if quantity > wholes.get(month, 0):
                        self.disagree(
                            "part",
                            " / ".join(filter(None, (*common, f"{month:%Y-%m}", part))),
                            str(quantity),
                            f"{whole} {wholes.get(month, 0)}",
                        )


def make_header(fields, filters, attributes, notices):
    """The header, of what both syntaxes say in their own way.

    :param dict fields: its texts by name
    :param dict filters: lists of texts by name, with the period
    :param dict attributes: the same of Report_Attributes
    :param list notices: of ``Notice``
    :raise ReportError: if it is no report that can be read here
    """
    fields = {name: text[:_TEXT_LIMIT] for name, text in fields.items()}
    _check_kind(fields, attributes)
    begin, end = (_read_day(filters, name) for name in ("Begin_Date", "End_Date"))
    if end < begin:
        raise ReportError(
            "period", place="End_Date", found=str(end), expected=f"from {begin} on"
        )
    kept = ("Platform", *VOCABULARY)
    # Of the others by name only: the value may be an author or an item.
    others = filters.keys() - {*kept, "Begin_Date", "End_Date"}
    return Header(
        report_id=fields["Report_ID"],
        release=fields["Release"],
        institution=fields.get("Institution_Name", ""),
        begin=begin,
        end=end,
        created=fields.get("Created", ""),
        created_by=fields.get("Created_By", ""),
        exceptions=tuple(notices),
        filters={name: tuple(filters[name]) for name in kept if filters.get(name)},
        narrowed_by=tuple(
            sorted({name if name in _FILTERS else "other" for name in others})
        ),
    )


def _check_kind(fields, attributes):
    for name, expected in (("Release", {RELEASE}), ("Report_ID", REPORT_IDS)):
        found = fields.get(name, "")
        if found not in expected:
            raise ReportError(
                name.lower() if found else "missing",
                place=name,
                found=found[:20],
                expected=", ".join(sorted(expected)),
            )
    if "Total" in attributes.get("Granularity", ()):
        raise ReportError(
            "no_months", place="Granularity", found="Total", expected="Month"
        )
    if "True" in attributes.get("Include_Component_Details", ()):
        raise components_error(place="Include_Component_Details")


def components_error(**where):
    # Whether the components are within the item's figures or beside them is not the
    # same everywhere, so half of the reports would be wrong.
    return ReportError("components", expected="none", **where)


def _read_day(filters, name):
    text = "|".join(filters.get(name, ()))
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise ReportError(
            "period" if text else "missing",
            place=name,
            found=tell(text),
            expected="2026-01-31",
        ) from None


def check_month(month, text, header, **where):
    """:raise ReportError: if the month is not of the period of the report"""
    first, last = first_of_month(header.begin), header.end
    if not first <= month <= last:
        raise ReportError(
            "outside_period",
            found=text,
            expected=f"{first:%Y-%m} to {last:%Y-%m}",
            **where,
        )


def make_notice(code, message, detail):
    """Words of the platform's own (codes below 1000) are left out, and details but
    where they have to name months: they may repeat what was asked for, a title."""
    return Notice(
        code,
        message[:_TEXT_LIMIT] if code >= 1000 else "",
        detail[:_TEXT_LIMIT] if code in (3031, 3032) else "",
    )


def first_of_month(day):
    """:rtype: date"""
    return day.replace(day=1)


def tell(text):
    """The text, if it can not be a title; else nothing."""
    text = str(text).strip()
    return text if _TELLABLE.fullmatch(text) else ""
