"""Servers that answer as other systems do, and fail on purpose. Real HTTP on a port of
this machine; only the time of the client is ours."""

import base64
import json
import socket
import struct
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from ..connectors.http import Clock


class FakeClock(Clock):
    """A clock that stands still but when somebody sleeps."""

    def __init__(self):
        self.start = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
        self.slept = []

    def monotonic(self):
        return sum(self.slept)

    def now(self):
        return self.start + timedelta(seconds=sum(self.slept))

    def sleep(self, seconds):
        self.slept.append(seconds)


class Server:
    """Answers on a free port from ``with`` to its end.

    ``faults`` holds functions that take the handler; the first is taken off and
    answers instead. ``seen`` holds the method, path, query and headers of each request.
    """

    def __init__(self, tls=None):
        self.faults = []
        self.seen = []
        self.closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                parts = urlsplit(self.path)
                query = {
                    name: values[0] for name, values in parse_qs(parts.query).items()
                }
                length = int(self.headers.get("Content-Length", 0))
                self.form = parse_qs(self.rfile.read(length).decode())
                server.seen.append((self.command, parts.path, query, self.headers))
                if server.faults:
                    server.faults.pop(0)(self)
                else:
                    server.answer(self, parts.path, query)

            do_GET = do_POST = handle_one

            def log_message(self, *_arguments):
                """Nothing."""

        class Threads(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_arguments):
                """Nothing: some clients hang up."""

        self._http = Threads(("127.0.0.1", 0), Handler)
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        scheme = "https" if tls else "http"
        self.address = f"{scheme}://127.0.0.1:{self._http.server_port}"

    def __enter__(self):
        threading.Thread(
            target=self._http.serve_forever, args=(0.02,), daemon=True
        ).start()
        return self

    def __exit__(self, *_error):
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()

    def answer(self, handler, path, query):
        send(handler, 404, {"error": "Not found."})

    def get_paths(self):
        return [path for _method, path, _query, _headers in self.seen]


def send(handler, status, body=b"", headers=()):
    """Send bytes, or anything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {
        "Content-Type": "application/json",
        "Content-Length": str(len(data)),
        **dict(headers),
    }.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)


# ------------------------------------------------------------
# FAULTS
# ------------------------------------------------------------


def status(number, body=b"", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: send(handler, number, body, named)


def half(body=b'[{"patron_id": 1, '):
    """Promise more than comes."""

    def answer(handler):
        send(handler, 200, body, {"Content-Length": str(len(body) * 2)})
        handler.close_connection = True

    return answer


def reset(handler):
    """Hang up hard."""
    handler.connection.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    handler.close_connection = True
    handler.connection.close()


def endless(number=200, **headers):
    """A body without end, nor length."""

    def answer(handler):
        handler.send_response(number)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        while True:
            handler.wfile.write(b" " * 65_536)

    return answer


def nested(depth):
    return status(200, b"[" * depth + b"]" * depth)


# ------------------------------------------------------------
# KOHA
# ------------------------------------------------------------


class KohaServer(Server):
    """``/api/v1/patrons`` and ``/api/v1/oauth/token`` of Koha, after the definition
    that it publishes.

    ``patrons`` holds objects of the API by their number. ``before_page`` is a list of
    functions; one is called before each page.
    """

    login, password = "crm", "pässword"
    client_id, client_secret = "crm-client", "client-secret-1"

    def __init__(self, patrons=()):
        super().__init__()
        self.patrons = {patron["patron_id"]: patron for patron in patrons}
        self.before_page = []
        self.tokens = []
        self.largest_page = 1000

    def answer(self, handler, path, query):
        if path == "/":
            page = b'<head><meta name="generator" content="Koha 24.1105000" /></head>'
            send(handler, 200, page, {"Content-Type": "text/html"})
        elif path == "/api/v1/oauth/token":
            self._send_token(handler)
        elif path != "/api/v1/patrons":
            send(handler, 404, {"error": "Not found."})
        elif not self._is_known(handler.headers.get("Authorization", "")):
            send(handler, 401, {"error": "Authentication failure."})
        elif unknown := query.keys() - {"q", "_order_by", "_page", "_per_page"}:
            send(handler, 400, {"error": f"Malformed query string: {unknown}"})
        else:
            if self.before_page:
                self.before_page.pop(0)()
            self._send_patrons(handler, query)

    def _is_known(self, header):
        pair = f"{self.login}:{self.password}".encode()
        basic = f"Basic {base64.b64encode(pair).decode()}"
        return header in (basic, *(f"Bearer {token}" for token in self.tokens))

    def _send_token(self, handler):
        if handler.form != {
            "grant_type": ["client_credentials"],
            "client_id": [self.client_id],
            "client_secret": [self.client_secret],
        }:
            send(handler, 403, {"error": "unauthorized_client"})
            return
        self.tokens = [f"token-{len(self.seen)}"]
        send(
            handler,
            200,
            {
                "access_token": self.tokens[0],
                "token_type": "Bearer",
                "expires_in": 3600,
            },
        )

    def _send_patrons(self, handler, query):
        wanted = json.loads(query.get("q", "{}"))
        found = [
            patron
            for patron in self.patrons.values()
            if all(self._fits(patron[name], ask) for name, ask in wanted.items())
        ]
        order = query.get("_order_by", "surname")
        found.sort(key=lambda p: p[order.lstrip("-")], reverse=order.startswith("-"))
        size = min(int(query.get("_per_page", 20)), self.largest_page)
        begin = (int(query.get("_page", 1)) - 1) * size
        headers = {"X-Total-Count": str(len(found))}
        send(handler, 200, found[begin : begin + size], headers)

    def _fits(self, value, ask):
        for operator, limit in ask.items():
            if isinstance(limit, str):
                # As MariaDB compares: the local time, the offset is not read.
                value, limit = value[:19], limit[:19]
            if not {">": value > limit, ">=": value >= limit}[operator]:
                return False
        return True


#: Koha's definition of a patron: what each property may be; other ones there are not.
KOHA_PATRON = {
    **dict.fromkeys(("patron_id", "privacy", "privacy_guarantor_checkouts"), (int,)),
    **dict.fromkeys(
        ("sms_provider_id", "login_attempts", "checkouts_count", "overdues_count"),
        (int, type(None)),
    ),
    **dict.fromkeys(
        (
            *("library_id", "category_id", "updated_on", "lang"),
            "check_previous_checkout",
        ),
        (str,),
    ),
    **dict.fromkeys(
        (
            *("restricted", "autorenew_checkouts", "privacy_guarantor_fines"),
            *("anonymized", "protected"),
        ),
        (bool,),
    ),
    **dict.fromkeys(
        ("incorrect_address", "patron_card_lost"),
        (bool, type(None)),
    ),
    **dict.fromkeys(("library", "_strings"), (dict, type(None))),
    "account_balance": (int, float, type(None)),
    "extended_attributes": (list,),
    **dict.fromkeys(
        (
            *("cardnumber", "surname", "firstname", "preferred_name", "middle_name"),
            *("title", "other_name", "initials", "pronouns", "gender", "userid"),
            *("street_number", "street_type", "address", "address2", "city", "state"),
            *("postal_code", "country", "email", "secondary_email", "phone", "mobile"),
            *("secondary_phone", "fax", "sms_number", "date_of_birth"),
            *("date_enrolled", "expiry_date", "date_renewed", "last_seen"),
            *("staff_notes", "opac_notes", "relationship_type", "statistics_1"),
            *("statistics_2", "overdrive_auth_token", "altaddress_street_number"),
            *("altaddress_street_type", "altaddress_address", "altaddress_address2"),
            *("altaddress_city", "altaddress_state", "altaddress_postal_code"),
            *("altaddress_country", "altaddress_email", "altaddress_phone"),
            *("altaddress_notes", "altcontact_firstname", "altcontact_surname"),
            *("altcontact_address", "altcontact_address2", "altcontact_city"),
            *("altcontact_state", "altcontact_postal_code", "altcontact_country"),
            "altcontact_phone",
        ),
        (str, type(None)),
    ),
}
_EMPTY = {bool: False, int: 0, str: "", list: []}


def make_patron(number, **values):
    """A patron as Koha's API gives one: with every property of the definition, also
    what must not be kept."""
    return {
        **{name: _EMPTY.get(kinds[-1]) for name, kinds in KOHA_PATRON.items()},
        "patron_id": number,
        "cardnumber": f"{number:06}",
        "surname": f"Person {number}",
        "firstname": "Test",
        "street_number": "7",
        "street_type": None,
        "address": "High Street",
        "address2": None,
        "city": "Springfield",
        "state": None,
        "postal_code": "01234",
        "country": "USA",
        "email": None,
        "secondary_email": f"person{number}@example.com",
        "phone": "555-0100",
        "mobile": None,
        "secondary_phone": None,
        "date_of_birth": "1980-05-01",
        "library_id": "MAIN",
        "category_id": "ADULT",
        "date_enrolled": "2020-01-02",
        "expiry_date": "2027-01-02",
        "gender": "F",
        "userid": "forbidden-login",
        "staff_notes": "forbidden-note",
        "opac_notes": "forbidden-message",
        "extended_attributes": [{"type": "X", "value": "forbidden-attribute"}],
        "anonymized": False,
        "updated_on": "2026-02-01T10:00:00+01:00",
        **values,
    }
