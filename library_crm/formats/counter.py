"""COUNTER 5.1: how much the e-resources of a platform were used, month by month.

Source: COUNTER Code of Practice, release 5.1, chapters 3 (formats, metrics) and 4
(reports), appendix D (exceptions), and the schema of its API. A report comes as JSON or
as TSV; both give the same figures.

The figures are of the whole institution: COUNTER knows no patrons. They are summed over
titles and items while the file is read, so that nothing that names one (title, author,
publisher, ISBN, ISSN, DOI, address, year) comes out of here, not even in an error. Kept
apart are platforms and, in a database report, databases: a database is what the library
subscribes to, not what somebody reads.

A figure that can not be read makes the whole report worthless, as the sums would be too
low without a word: that is a ``ReportError``. A report that can be read and contradicts
itself gives its figures, and ``disagreements`` beside them.
"""

import codecs
from collections import defaultdict
from dataclasses import asdict
from datetime import date

from .counter_json import read_json
from .counter_report import (
    RELEASE,
    Disagreement,
    Figure,
    Header,
    Notice,
    Report,
    ReportError,
    first_of_month,
)
from .counter_tsv import read_tsv
from .file_format import FileFormat
from .table import CleanWriter, Layout, RowError, Summary

__all__ = [
    "COUNTED",
    "CounterFormat",
    "Disagreement",
    "Figure",
    "Header",
    "Notice",
    "Report",
    "ReportError",
    "make_header",
    "overlaps",
    "read_report",
    "use_of",
]

#: By report: the metric that counts for a use. The others say the same otherwise
#: (unique items are among the total) or something else (an investigation is a look at
#: what an item is). Of the searches in databases only those that a person sent to a
#: chosen database: one sent to all of them at once is counted there for each.
COUNTED = {
    "PR": {"Total_Item_Requests": "eresource", "Searches_Platform": "search"},
    "DR": {
        "Total_Item_Requests": "eresource",
        "Searches_Regular": "search",
        "Limit_Exceeded": "turnaway",
        "No_License": "turnaway",
    },
    "TR": {
        "Total_Item_Requests": "eresource",
        "Limit_Exceeded": "turnaway",
        "No_License": "turnaway",
    },
    "IR": {
        "Total_Item_Requests": "eresource",
        "Limit_Exceeded": "turnaway",
        "No_License": "turnaway",
    },
}
#: By report: what names a title or an item, and is dropped while the report is read.
DROPPED = {
    "PR": (),
    "DR": (),
    "TR": (
        *("Title", "Publisher", "DOI", "Proprietary_ID", "ISBN", "Print_ISSN"),
        *("Online_ISSN", "URI", "YOP"),
    ),
    "IR": (
        *("Item", "Publisher", "Authors", "Publication_Date", "Article_Version", "DOI"),
        *("Proprietary_ID", "ISBN", "Print_ISSN", "Online_ISSN", "URI", "YOP"),
        *("Parent_Title", "Parent_DOI", "Component_Title"),
    ),
}
_COLUMNS = ("platform", "database", "month", "use", "quantity")
# A row of use is counted with a number of four bytes.
_QUANTITY_LIMIT = 2**31 - 1
_TOLD_DISAGREEMENTS = 20
# What the item report says of an item is said of its title in the title report.
_TITLE_LEVEL = {
    "Article": "Journal",
    "Book_Segment": "Book",
    "Conference_Item": "Conference",
    "Database_Full_Item": "Database_Full",
    "News_Item": "Newspaper_or_Newsletter",
    "Reference_Item": "Reference_Work",
}


def read_report(file):
    """Read a COUNTER 5.1 report, JSON or TSV, to its end.

    Memory is that of the figures, not of the file.

    :param file: binary file object that can seek, open for reading
    :rtype: Report
    :raise ReportError: if it can not be read
    """
    file.seek(0)
    start = file.read(4096)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ReportError("encoding", line=1, found="UTF-16", expected="UTF-8")
    if start.startswith(b"PK\3\4"):
        raise ReportError("not_counter", found="XLSX", expected="JSON, TSV")
    start = start.removeprefix(codecs.BOM_UTF8).lstrip()
    if not start:
        raise ReportError("empty", expected=f"COUNTER {RELEASE}")
    read = read_json if start.startswith((b"{", b"[")) else read_tsv
    file.seek(0)
    return read(file).finish()


def use_of(header, figure):
    """What a figure counts for: ``eresource``, ``search``, ``turnaway`` or None.

    What a machine fetched for text and data mining is no use by a person.
    """
    if figure.access_method == "TDM":
        return None
    return COUNTED[header.family].get(figure.metric_type)


def overlaps(first, second):
    """Whether two reports count the same uses, so that only one may be added.

    They do if they share a platform, a month, and a use that both count of the same
    kind of content: a report and its standard views, and the same requests in the
    platform, database, title and item report. Not the same are views of different
    content (journals, books), and turn-aways at a database and at a title.

    :param Header first: of a report that was read
    :param Header second: of another
    :rtype: bool
    """
    if not _names(first.platforms) & _names(second.platforms):
        return False
    if (
        first_of_month(first.begin) > second.end
        or first_of_month(second.begin) > first.end
    ):
        return False
    both_databases = first.family == second.family == "DR"
    if both_databases and not _names(first.databases) & _names(second.databases):
        return False
    shared = _uses(first) & _uses(second)
    if "search" in shared:
        return True
    return bool(shared) and _same_content(first, second)


def _names(names):
    return {name.casefold() for name in names}


def _uses(header):
    metrics = header.limits("Metric_Type")
    uses = {
        use
        for metric, use in COUNTED[header.family].items()
        if metrics is None or metric in metrics
    }
    if header.family == "DR" and "turnaway" in uses:
        uses = uses - {"turnaway"} | {"database turnaway"}
    return uses


def _same_content(first, second):
    for name in ("Data_Type", "Access_Type"):
        mine, theirs = first.limits(name), second.limits(name)
        if mine and theirs:
            mine = {_TITLE_LEVEL.get(value, value) for value in mine}
            if mine.isdisjoint(_TITLE_LEVEL.get(value, value) for value in theirs):
                return False
    return True


class CounterFormat(FileFormat):
    """A report. Its rows are the uses of a platform, or of a database, in a month; what
    it says of itself stands in the details of the summary, see ``make_header``."""

    layout = Layout(used=_COLUMNS, unused=(), forbidden=(), required=(_COLUMNS,))

    def clean(self, source, target):
        """Write the sums of what counts for a use.

        :raise ReportError: if the report can not be read
        """
        report = read_report(source)
        header = report.header
        sums = defaultdict(int)
        for figure in report:
            if use := use_of(header, figure):
                sums[figure.platform, figure.database, figure.month, use] += (
                    figure.quantity
                )
        writer = CleanWriter(target, _COLUMNS)
        for line, ((platform, database, month, use), quantity) in enumerate(
            sorted(sums.items()), start=1
        ):
            cells = [platform, database, f"{month:%Y-%m}", use, str(quantity)]
            writer.add(line, cells)
        return Summary(
            rows=len(sums),
            columns=list(_COLUMNS),
            forbidden=list(DROPPED[header.family]),
            details={
                **asdict(header),
                "begin": header.begin.isoformat(),
                "end": header.end.isoformat(),
                "disagreements": [
                    tuple(one) for one in report.disagreements[:_TOLD_DISAGREEMENTS]
                ],
                "disagreement_count": report.disagreement_count,
            },
        )

    def convert(self, row):
        cells = row.cells
        quantity = int(cells["quantity"])
        if quantity > _QUANTITY_LIMIT:
            error = RowError(
                "quantity", "quantity", cells["quantity"], f"1-{_QUANTITY_LIMIT}"
            )
            return row._replace(error=error)
        month = date.fromisoformat(f"{cells['month']}-01")
        return row._replace(values={**cells, "month": month, "quantity": quantity})


def make_header(details, **changes):
    """The header of a report that was read before, from the details of its summary.

    :param changes: what is to be different in it
    :rtype: Header
    """
    known = {name: details[name] for name in Header.__dataclass_fields__}
    return Header(
        **{
            **known,
            "begin": date.fromisoformat(details["begin"]),
            "end": date.fromisoformat(details["end"]),
            "exceptions": tuple(Notice(*notice) for notice in details["exceptions"]),
            "narrowed_by": tuple(details["narrowed_by"]),
            "platforms": tuple(details["platforms"]),
            "databases": tuple(details["databases"]),
            **changes,
        }
    )
