"""Keep out of Odoo's log who somebody is.

Odoo writes whole addresses of pages, whole statements that the database refused, and
the addresses that a mail server refused. With the library's data in them the log would
hold names, card numbers and links that open somebody's page, for as long as logs are
kept. What an administrator looks for (when, which page, which table, which constraint)
stays.
"""

import logging
import re
import traceback

# Where Odoo writes what it was given.
LOGGERS = (
    "werkzeug",
    "odoo.http",
    "odoo.sql_db",
    "odoo.addons.base.models.ir_mail_server",
    "odoo.addons.base.models.res_users",
    "odoo.addons.mail.models.mail_mail",
    "odoo.addons.mail.models.mail_thread",
)
_EMAIL = re.compile(r"[\w.+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+")
_TOKEN = re.compile(
    r"(/(?:library_crm/(?:preferences|confirm|year)|library/join/confirm"
    r"|library/survey|library/kiosk|survey(?:/\w+)?)/)[^\s/?]{8,}(?:/[\w-]{20,})?"
)
_QUERY = re.compile(
    r"(/(?:library|library_crm|my/library|survey|mailing|unsubscribe_from_list"
    r"|web/login|web/signup|web/reset_password)[^\s?]*\?)[^\s\"]+"
)


# The last line of a trace, what it quotes, and names of models and fields.
_RAISED = re.compile(r"^[\w.]+(?:Error|Exception|Warning|Violation)\b.*$", re.MULTILINE)
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_NAME = re.compile(r"[a-z]+(?:[._][a-z_]+)+")


class WithoutPersons(logging.Filter):
    """Takes out of a record of the log whatever tells who somebody is."""

    def filter(self, record):
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            return True
        clean = self._clean(text, record)
        if clean != text:
            record.msg, record.args = clean, ()
        if record.exc_info and record.exc_info[0]:
            trace = "".join(traceback.format_exception(*record.exc_info)).rstrip()
            clean = _RAISED.sub(self._hide_values, self._mask(trace))
            if clean != trace:
                record.exc_info, record.exc_text = None, clean
        return True

    def _clean(self, text, record):
        if record.name == "odoo.sql_db" and text.startswith("bad query: "):
            return self._shorten(text)
        if record.name == "odoo.http" and self._is_said_by_library(record.msg):
            # It is told to whoever is at the screen, and names patrons.
            return f"{type(record.msg).__name__} of the library, told to the user"
        return self._mask(text)

    def _mask(self, text):
        text = _TOKEN.sub(r"\1…", text)
        text = _QUERY.sub(r"\1…", text)
        return _EMAIL.sub("…@…", text)

    def _shorten(self, text):
        """The statement without its values, and what the database says without the
        lines that repeat them."""
        statement, _error, said = text.partition("\nERROR: ")
        statement = statement.removeprefix("bad query: ").replace("\\n", " ")
        words = re.findall(r"[A-Za-z_]{2,}", statement)[:4]
        line = said.partition("\n")[0]
        if "constraint" not in line:
            line = line.partition(":")[0]
        return f"bad query: {' '.join(words)} …\nERROR: {self._mask(line)}"

    def _hide_values(self, match):
        """What an exception says without what it quotes, but for names of the
        program."""
        return _QUOTED.sub(
            lambda quoted: quoted[0] if _NAME.fullmatch(quoted[0][1:-1]) else "'…'",
            match[0],
        )

    def _is_said_by_library(self, message):
        """Whether it is an exception that code of these addons has raised."""
        trace = getattr(message, "__traceback__", None)
        last = None
        for frame, _line in traceback.walk_tb(trace):
            last = frame
        return bool(last) and "/library_crm" in last.f_code.co_filename


def install():
    """Once for the whole server, however often the addon is loaded."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, WithoutPersons) for one in logger.filters):
            logger.addFilter(WithoutPersons())
