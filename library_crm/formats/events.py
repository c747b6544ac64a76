"""Use that a tool of the library's own sends: gates, room booking, sign-up sheets.

JSON, a list of objects or an object with the list ``uses``. What each may hold is in
``PROPERTIES``; anything else is dropped and named. The sender gives each use a key of
its own, by which it is counted once, however often it is sent.
"""

import json
import re

from .file_format import FileFormat
from .headers import get_forbidden
from .table import (
    CleanWriter,
    FileError,
    Layout,
    RowError,
    Summary,
    read_date,
    read_number,
    read_text,
    show,
)

#: As many uses may be sent at once, and as many bytes.
MAX_ROWS = 10_000
MAX_BYTES = 8 * 1024 * 1024
_LIMIT = 64
_QUANTITY = re.compile(r"[1-9]\d{0,5}")
#: What a use may say of itself, in the words of JSON Schema.
PROPERTIES = {
    "key": {
        "type": "string",
        "maxLength": _LIMIT,
        "description": "The sender's own key of the use. A key that was sent before is "
        "not counted again, whatever else is said with it.",
    },
    "date": {
        "type": "string",
        "format": "date",
        "description": "The day of the use. A time of day may follow; it is not kept.",
    },
    "service": {
        "type": "string",
        "maxLength": _LIMIT,
        "description": "The code of the service, as in Configuration / Services.",
    },
    "branch": {
        "type": "string",
        "maxLength": _LIMIT,
        "description": "The code of the branch. Without it: the branch of the source.",
    },
    "quantity": {
        "type": "integer",
        "minimum": 1,
        "maximum": 999_999,
        "default": 1,
        "description": "How often the service was used.",
    },
    "card": {
        "type": "string",
        "maxLength": _LIMIT,
        "description": "The card number of the patron. Without card and patron the use "
        "is counted for nobody in particular.",
    },
    "patron": {
        "type": "string",
        "maxLength": _LIMIT,
        "description": "The patron's number in the library system, in place of a card.",
    },
}
REQUIRED = ("key", "date", "service")


class EventsFormat(FileFormat):
    """A batch of uses. The values are those of ``koha.KohaStatistics``.

    :param str branch_code: the branch of uses that name none
    """

    layout = Layout(
        used=tuple(PROPERTIES), unused=(), forbidden=(), required=(REQUIRED,)
    )
    _columns = {
        "ils_ref": "patron",
        "card_number": "card",
        "branch_code": "branch",
        "service_code": "service",
    }

    def __init__(self, branch_code=""):
        self._branch_code = branch_code

    def get_column(self, name):
        return self._columns.get(name, name)

    def clean(self, source, target):
        """Write the uses as rows; their line is their place in the list, from 1.

        :raise FileError: ``too_big``, ``encoding``, ``json``, ``nesting`` or ``shape``
        """
        uses = _read_list(source)
        writer = CleanWriter(target, PROPERTIES)
        dropped = {}
        places = {}
        for place, use in enumerate(uses, start=1):
            try:
                cells = _get_cells(use, dropped)
            except RowError as error:
                writer.add(place, [], error)
                continue
            key = cells[0]
            first = places.setdefault(key, place)
            error = None
            if key and first != place:
                error = RowError("repeated", "key", key[:_LIMIT], str(first))
            writer.add(place, cells, error)
        forbidden = [name for name in dropped if get_forbidden(name, "usage")]
        return Summary(
            rows=len(uses),
            columns=list(PROPERTIES),
            forbidden=forbidden,
            unknown=[name for name in dropped if name not in forbidden],
        )

    def convert(self, row):
        if row.error:
            return row
        try:
            return row._replace(values=self._get_values(row.cells))
        except RowError as error:
            return row._replace(error=error)

    def _get_values(self, cells):
        for name in REQUIRED:
            if not cells[name]:
                raise RowError("missing", name)
        branch_code = read_text(cells, "branch", _LIMIT) or self._branch_code
        if not branch_code:
            raise RowError("missing", "branch")
        day = read_date(cells, "date", "iso")
        if not day:
            raise RowError("date", "date", cells["date"], "iso")
        quantity = cells["quantity"] or "1"
        if not _QUANTITY.fullmatch(quantity):
            raise RowError("quantity", "quantity", quantity[:40], "1-999999")
        return {
            "date": day,
            "branch_code": branch_code,
            "service_code": read_text(cells, "service", _LIMIT),
            "ils_ref": read_number(cells, "patron", _LIMIT) or None,
            "card_number": read_number(cells, "card", _LIMIT) or None,
            "quantity": int(quantity),
            "identity": read_text(cells, "key", _LIMIT),
        }


def _read_list(file):
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise FileError("too_big", found=f"> {MAX_BYTES}", expected=f"{MAX_BYTES}")
    try:
        found = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise FileError("encoding", found="", expected="UTF-8") from error
    except RecursionError as error:
        raise FileError("nesting", found="JSON", expected="a list of uses") from error
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise FileError("json", line=line, found=str(error)[:80]) from error
    if isinstance(found, dict):
        found = found.get("uses")
    if not isinstance(found, list):
        kind = type(found).__name__
        raise FileError("shape", found=kind, expected='{"uses": [{…}, …]}')
    if len(found) > MAX_ROWS:
        raise FileError("too_many_rows", found=str(len(found)), expected=str(MAX_ROWS))
    return found


def _get_cells(use, dropped):
    """The texts of a use, in the order of ``PROPERTIES``; what else it holds is named
    in ``dropped``."""
    if not isinstance(use, dict):
        raise RowError("malformed", found=type(use).__name__)
    for name in use:
        if name not in PROPERTIES:
            # A name may be as long and as telling as a value.
            dropped.setdefault(show(" ".join(name.split())[:40]))
    return [_get_text(use.get(name), name) for name in PROPERTIES]


def _get_text(value, name):
    if value is None:
        return ""
    if isinstance(value, str):
        # Half of a pair of surrogates is valid in JSON, and in no database.
        return value.encode("utf-8", "replace").decode().strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise RowError("malformed", name, f"{name}: {type(value).__name__}")
