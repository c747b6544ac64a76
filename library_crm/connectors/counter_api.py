"""COUNTER API, release 5.1: the usage reports of publishers and platforms.

Sources: the OpenAPI definition of the COUNTER API 5.1 and appendix D of the Code of
Practice (what each exception means). Reports count for the whole institution, never
for a patron.
"""

import json
import re
from contextlib import suppress
from typing import NamedTuple

from ..formats.counter_report import make_notice
from .http import ConnectorError, Patience, Session

REPORTS = (
    *("pr", "pr_p1", "dr", "dr_d1", "dr_d2"),
    *("tr", "tr_b1", "tr_b2", "tr_b3", "tr_j1", "tr_j2", "tr_j3", "tr_j4"),
    *("ir", "ir_a1", "ir_m1"),
)
#: What an exception means that leaves no report. Of the others, a report comes along.
EXCEPTIONS = {
    1000: "server",
    1010: "busy",
    1011: "queued",
    1020: "busy",
    1030: "incomplete",
    2000: "unauthorized",
    2010: "forbidden",
    2011: "forbidden",
    2020: "unauthorized",
    3020: "dates",
    3030: "no_usage",
    3031: "not_ready",
    3032: "no_longer",
    3070: "incomplete",
}
#: A report that has to be made first may take half an hour.
QUEUE = Patience(tries=30, first=10, longest=120, total=1800)
_HEAD = 262_144
_HEADER = re.compile(r'"Report_Header"\s*:\s*(?=\{)')


class Fetched(NamedTuple):
    """A report that was written: its bytes, and what the server says about it (of
    ``formats.counter_report.Notice``)."""

    size: int
    notices: list


class CounterService:
    """One customer at one server.

    :param str address: that of the registry, with or without ``/r51`` and ``/reports``
    :param str platform: where a server has several
    :param Patience queue: how long to wait for a report that is being made
    :param options: of ``http.Session``
    :raise ConnectorError: if the address is none
    """

    def __init__(
        self,
        address,
        customer_id,
        requestor_id="",
        api_key="",
        platform="",
        *,
        queue=QUEUE,
        **options,
    ):
        address = (address or "").strip().rstrip("/")
        address = address.removesuffix("/reports").removesuffix("/r51").rstrip("/")
        options = {"rate": 1.0, "max_bytes": 256 * 1024**2, **options}
        self._session = Session(address, secrets=(requestor_id, api_key), **options)
        self._queue = queue
        self._platform = {"platform": platform} if platform else {}
        credentials = {
            "customer_id": customer_id,
            "requestor_id": requestor_id,
            "api_key": api_key,
        }
        self._credentials = {name: text for name, text in credentials.items() if text}

    def close(self):
        self._session.close()

    def get_status(self):
        """What the server says of itself, as a list of dicts with ``Service_Active``
        and, some of them, ``Description``, ``Note`` and ``Alerts``.

        :raise ConnectorError: if it can not be had
        """
        return self._get_list("r51/status", self._platform, "Service_Active")

    def get_reports(self):
        """The reports that this customer may have, as a list of dicts with
        ``Report_ID`` and ``Report_Name``.

        :raise ConnectorError: if it can not be had
        """
        params = {**self._credentials, **self._platform}
        return self._get_list("r51/reports", params, "Report_ID")

    def fetch_report(self, report, begin, end, file, **filters):
        """Write a report to a file, as it comes, and return to its begin.

        :param str report: one of ``REPORTS``
        :param date begin: a day of the first month
        :param date end: a day of the last month
        :param file: binary file that can be read, written and sought
        :param filters: further parameters of the report, lists parted by ``|``
        :rtype: Fetched
        :raise ConnectorError: if it can not be had; ``queued`` if it is still being
            made: ask again later
        """
        if report not in REPORTS:
            raise ValueError(f"not a report of COUNTER 5.1: {report!r}")
        params = {
            **self._credentials,
            **self._platform,
            **filters,
            "begin_date": begin.isoformat()[:7],
            "end_date": end.isoformat()[:7],
        }
        start = file.tell()

        def read(answer):
            if answer.status != 200:
                raise self._get_error(answer, answer.body)
            file.seek(start)
            head = file.read(_HEAD)
            if answer.size <= _HEAD:
                # Some servers send nothing but what is wrong, with a good status.
                found = _find_exceptions(
                    self._session.read_json(answer._replace(body=head))
                )
                if found:
                    raise self._get_error(answer, head)
            file.seek(max(start, start + answer.size - 16))
            if not head.lstrip().startswith((b"{", b"\xef\xbb\xbf{")) or not (
                file.read().rstrip().endswith(b"}")
            ):
                raise self._session.error(
                    "json", answer.place, "not JSON, or half of it", "a report"
                )
            file.seek(start)
            return Fetched(answer.size, _read_notices(head))

        def ask():
            return self._session.request(
                "GET", f"r51/reports/{report}", read, target=file, params=params
            )

        return self._queue.run(ask, self._session.clock, {"queued"})

    def test_connection(self):
        """Whether reports can be had: a dict with

        - ``error``: None, or the ``ConnectorError`` that says what is wrong
        - ``encrypted``: whether the way there is
        - ``active``: whether the server delivers reports just now
        - ``alerts``: what it tells its customers, as texts
        - ``reports``: the ids of the reports, in small letters
        """
        found = {
            "error": None,
            "encrypted": self._session.is_encrypted,
            "active": None,
            "alerts": [],
            "reports": [],
        }
        try:
            services = self.get_status()
            found["active"] = any(one["Service_Active"] is True for one in services)
            for service in services:
                alerts = service.get("Alerts")
                texts = [
                    alert.get("Alert")
                    for alert in (alerts if isinstance(alerts, list) else [])
                    if isinstance(alert, dict)
                ]
                texts.append(service.get("Note"))
                found["alerts"] += [text for text in texts if isinstance(text, str)]
            found["reports"] = [
                str(report["Report_ID"]).lower() for report in self.get_reports()
            ]
        except ConnectorError as error:
            found["error"] = error
        return found

    def _get_list(self, path, params, name):
        session = self._session

        def read(answer):
            if answer.status != 200:
                raise self._get_error(answer, answer.body)
            found = session.read_json(answer)
            if _find_exceptions(found):
                raise self._get_error(answer, answer.body)
            # Some servers leave the list out around the only one.
            found = [found] if isinstance(found, dict) else found
            if not isinstance(found, list) or not all(
                isinstance(one, dict) and name in one for one in found
            ):
                raise session.error("shape", answer.place, expected=name)
            return found

        return session.request("GET", path, read, params=params)

    def _get_error(self, answer, body):
        """The error of an answer without a report."""
        session = self._session
        exceptions = []
        with suppress(ConnectorError):
            exceptions = _find_exceptions(session.read_json(answer._replace(body=body)))
        if not exceptions and answer.status == 202:
            exceptions = [make_notice(1011, "HTTP 202", "")]
        if not exceptions:
            try:
                session.check(answer)
            except ConnectorError as error:
                return error
            return session.error("shape", answer.place, f"HTTP {answer.status}")
        notice = next(
            (one for one in exceptions if one.code in EXCEPTIONS), exceptions[0]
        )
        return session.error(
            EXCEPTIONS.get(notice.code, "refused"),
            answer.place,
            " – ".join(filter(None, (notice.message, notice.detail))),
            status=answer.status,
            retry_after=session.get_retry_after(answer),
            code=str(notice.code),
        )


def _find_exceptions(found):
    """The notices, if the JSON is nothing but an exception, or a list of them."""
    found = [found] if isinstance(found, dict) else found
    if not isinstance(found, list):
        return []
    notices = [_read_notice(one) for one in found]
    return notices if all(notices) else []


def _read_notices(head):
    """What stands in the header of the report. Servers write it first; if this one did
    not, who reads the whole report finds it."""
    text = head.decode("utf-8-sig", errors="replace")
    match = _HEADER.search(text)
    if not match:
        return []
    try:
        header, _end = json.JSONDecoder().raw_decode(text, match.end())
    except (ValueError, RecursionError):
        return []
    found = header.get("Exceptions")
    notices = map(_read_notice, found if isinstance(found, list) else [])
    return [notice for notice in notices if notice]


def _read_notice(found):
    if not isinstance(found, dict) or "Message" not in found:
        return None
    code, message, data = (found.get(name) for name in ("Code", "Message", "Data"))
    if not re.fullmatch(r"\d{1,4}", str(code)):
        return None
    return make_notice(int(code), str(message), str(data or ""))
