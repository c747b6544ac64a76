"""Files of what patrons agreed to, with where and how they did: from a newsletter's own
list, a paper archive, another system."""

import re

from .encoding import as_utf8
from .file_format import TableFormat
from .table import Layout, RowError, read_date, read_number, read_text

_STATES = {
    **dict.fromkeys(("given", "yes", "true", "1"), "given"),
    **dict.fromkeys(("withdrawn", "no", "false", "0"), "withdrawn"),
}
_CHANNELS = ("email", "phone", "post")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")


class Consents(TableFormat):
    """A row a consent: who (card number or email), purpose, channel (email, if there is
    none), given or withdrawn, the day, and the proof.

    :param str date_format: a key of ``table.DATE_FORMATS``
    """

    layout = Layout(
        used=(
            *("card_number", "email", "purpose", "channel"),
            *("state", "date", "proof"),
        ),
        unused=(),
        forbidden=(),
        required=(
            *(("card_number", "email"), ("purpose",), ("state",)),
            *(("date",), ("proof",)),
        ),
    )

    def __init__(self, date_format="iso"):
        self._date_format = date_format

    def _open(self, file):
        return as_utf8(file, "utf-8"), self.layout, "UTF-8"

    def convert(self, row):
        if row.error:
            return row
        try:
            return row._replace(values=self._read(row.cells))
        except RowError as error:
            return row._replace(error=error)

    def _read(self, cells):
        card = read_number(cells, "card_number", 50)
        email = read_text(cells, "email", 254)
        if not card and not email:
            raise RowError("missing", "card_number")
        if email and not _EMAIL.fullmatch(email):
            raise RowError("choice", "email", email, "name@example.org")
        values = {
            "card_number": card,
            "email": email.lower(),
            "purpose": read_text(cells, "purpose", 64),
            "channel": read_text(cells, "channel", 64).lower() or "email",
            "state": read_text(cells, "state", 64).lower(),
            "date": read_date(cells, "date", self._date_format),
            "proof": read_text(cells, "proof", 2000),
        }
        for column in ("purpose", "state", "date", "proof"):
            if not values[column]:
                raise RowError("missing", column)
        if values["channel"] not in _CHANNELS:
            found, expected = values["channel"], ", ".join(_CHANNELS)
            raise RowError("choice", "channel", found, expected)
        if values["state"] not in _STATES:
            raise RowError("choice", "state", values["state"], "given, withdrawn")
        values["state"] = _STATES[values["state"]]
        return values
