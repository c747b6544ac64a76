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

__all__ = [
    "COUNTED",
    "Disagreement",
    "Figure",
    "Header",
    "Notice",
    "Report",
    "ReportError",
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
