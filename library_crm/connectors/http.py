"""HTTP as a library's data sources need it: patient with what passes by itself, short
with what somebody has to mend, and silent about credentials."""

import json
import logging
import random
import re
import socket
import ssl
import time
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from itertools import count
from typing import NamedTuple
from urllib.parse import quote, quote_plus, urljoin, urlsplit

import requests
import urllib3

_logger = logging.getLogger(__name__)

#: What may be gone when it is tried again.
PASSING = frozenset({"broken", "busy", "connect", "json", "server", "timeout"})
_PASSING_STATUSES = {500, 502, 503, 504}
_REDIRECTS = {301, 302, 303, 307, 308}
_REDIRECT_LIMIT = 5
_PIECE = 8192
# Of an answer that says what is wrong, this much is read.
_ERROR_BYTES = 65_536
_FOUND_LIMIT = 200
_PORTS = {"http": 80, "https": 443}
# What readers of addresses do not agree on, and a user with a password.
_AMBIGUOUS = re.compile(r"[\s\x00-\x1f\x7f\\]|^[^/]*//[^/?#]*@")


class ConnectorError(Exception):
    """The other system can not be read.

    :param str reason: what is wrong:

        ``address`` (it is none), ``connect`` (nobody answers there), ``tls`` (the
        certificate does not hold), ``timeout``, ``broken`` (the answer ended early),
        ``too_large``, ``redirect`` (to another server), ``unauthorized`` (the
        credentials), ``forbidden`` (what the account may not do), ``missing``
        (nothing at this address), ``busy`` (too many requests), ``server`` (it
        failed), ``refused`` (it did not take the request), ``json`` (no JSON),
        ``shape`` (not the JSON that was agreed); a connector may have more.
    :param str place: the address, without query
    :param str found: what was seen there
    :param str expected: what should have been there
    :param int status: of HTTP, where there was an answer
    :param float retry_after: seconds after which the server wants to be asked again
    :param str code: how the other system itself calls the error
    """

    def __init__(
        self,
        reason,
        place="",
        found="",
        expected="",
        *,
        status=None,
        retry_after=None,
        code="",
    ):
        super().__init__(f"{place}: {reason}: {found!r}, expected {expected!r}")
        self.reason = reason
        self.place = place
        self.found = found
        self.expected = expected
        self.status = status
        self.retry_after = retry_after
        self.code = code
        #: How often it was tried.
        self.tries = 1


class Clock:
    """The time, so that a test can bring its own."""

    def monotonic(self):
        return time.monotonic()

    def now(self):
        return datetime.now(timezone.utc)

    def sleep(self, seconds):
        time.sleep(seconds)


@dataclass(frozen=True)
class Patience:
    """How often and how long to try again what may pass by itself.

    Pauses double from ``first`` to ``longest`` seconds, each shortened by up to a
    half by chance, so that many do not come back at once. They are never shorter
    than what the server asks for, and together never longer than ``total``.
    """

    tries: int = 5
    first: float = 1
    longest: float = 60
    total: float = 300

    def run(self, action, clock, passing=PASSING):
        """What the action returns.

        :raise ConnectorError: the last one, if it does not pass
        """
        waited = 0
        for attempt in count(1):
            try:
                return action()
            except ConnectorError as caught:
                error = caught
            # Outside of the handler: an error must not carry what led to it, for that
            # may hold the query.
            pause = min(self.longest, self.first * 2 ** min(attempt - 1, 32))
            pause = max(pause * random.uniform(0.5, 1), error.retry_after or 0)
            if (
                error.reason not in passing
                or attempt >= self.tries
                or waited + pause > self.total
            ):
                error.tries = attempt
                raise error
            _logger.info("%s; try %s, again in %.1f s", error, attempt, pause)
            clock.sleep(pause)
            waited += pause


class Answer(NamedTuple):
    """What came back: ``body`` is empty where it was written to a file."""

    place: str
    status: int
    headers: dict
    body: bytes
    size: int


class Session:
    """Requests to one server, one after another.

    Redirects to another server are not followed and cookies not kept, TLS is always
    verified, and no error or log line holds a query or a secret.

    :param str address: http or https; paths are taken from here
    :param auth: None, or an object that can do what ``NoAuth`` does
    :param secrets: texts that must not be seen in an error
    :param float timeout: seconds without a byte after which the server is given up
    :param float longest: seconds after which an answer must have ended
    :param float rate: requests a second
    :param int max_bytes: of one answer
    :raise ConnectorError: if the address is none
    """

    def __init__(
        self,
        address,
        auth=None,
        *,
        secrets=(),
        patience=Patience(),  # noqa: B008 (it is frozen)
        timeout=30.0,
        longest=600.0,
        rate=5.0,
        max_bytes=16 * 1024**2,
        clock=None,
    ):
        self.address = check_address(address)
        self.auth = auth or NoAuth()
        self.patience = patience
        self.clock = clock or Clock()
        self._secrets = tuple(secrets)
        self._timeout = timeout
        self._longest = longest
        self._interval = 1 / rate
        self._max_bytes = max_bytes
        self._next = None
        self._requests = _Requests()
        self._requests.headers["User-Agent"] = "library-crm"
        self._requests.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    @property
    def is_encrypted(self):
        return self.address.startswith("https:")

    def close(self):
        self._requests.close()

    def request(self, method, path, read, *, target=None, with_auth=True, **sent):
        """What ``read`` makes of the answer.

        :param str path: below the address of the session
        :param read: takes an ``Answer`` of any status, returns the result or raises a
            ``ConnectorError``; ``check`` and ``read_json`` help
        :param target: binary file that can be sought, for the body of a good answer
        :param sent: ``params`` and ``data``, as requests takes them
        :raise ConnectorError: if it can not be had
        """
        url = f"{self.address}/{path}" if path else self.address
        auth = self.auth if with_auth else NoAuth()
        start = target.tell() if target else 0

        def send():
            if target:
                target.seek(start)
                target.truncate()
            return read(self._send(method, url, auth, target, sent))

        for is_last in (False, True):
            auth.prepare(self)
            try:
                return self.patience.run(send, self.clock)
            except ConnectorError as caught:
                error = caught
            # A token that has run out is fetched again, once.
            if is_last or error.reason != "unauthorized" or not auth.forget():
                raise error

    def error(self, reason, place, found="", expected="", **details):
        """A ``ConnectorError`` in which no secret is to be read."""
        hidden = [self._hide(text)[:_FOUND_LIMIT] for text in (found, expected)]
        return ConnectorError(reason, place, *hidden, **details)

    def check(self, answer):
        """The answer, if its status is a good one.

        :raise ConnectorError: if not
        """
        status = answer.status
        if 200 <= status < 300:
            return answer
        if status in _PASSING_STATUSES:
            reason = "server"
        else:
            reason = {401: "unauthorized", 403: "forbidden", 404: "missing"}.get(
                status, "busy" if status == 429 else "refused"
            )
        raise self.error(
            reason,
            answer.place,
            f"HTTP {status}",
            "HTTP 200",
            status=status,
            retry_after=self.get_retry_after(answer),
        )

    def read_json(self, answer, keep=None):
        """The JSON of the body.

        :param keep: makes the value of each object of its pairs of name and value
        :raise ConnectorError: if it is none
        """
        try:
            return json.loads(answer.body, object_pairs_hook=keep)
        except RecursionError:
            reason, found = "shape", "nested too deeply"
        except ValueError:
            kind = answer.headers.get("Content-Type", "").partition(";")[0]
            reason, found = "json", kind or f"{answer.size} bytes"
        raise self.error(reason, answer.place, found, "JSON", status=answer.status)

    def get_retry_after(self, answer):
        """The seconds that the server asks to wait, or None."""
        text = answer.headers.get("Retry-After", "").strip()
        if re.fullmatch(r"\d{1,9}", text):
            return float(text)
        try:
            moment = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return None
        if not moment.tzinfo:
            moment = moment.replace(tzinfo=timezone.utc)
        return max(0.0, (moment - self.clock.now()).total_seconds())

    # ------------------------------------------------------------
    # ONE REQUEST
    # ------------------------------------------------------------

    def _send(self, method, url, auth, target, sent):
        """The answer, of whatever status, after redirects within the server."""
        for _redirect in range(_REDIRECT_LIMIT):
            self._keep_rate()
            place = _get_place(url)
            response, problem = None, None
            hidden = _in_request.set(True)
            try:
                response = self._requests.request(
                    method,
                    url,
                    auth=auth,
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                    **sent,
                )
                location = response.headers.get("Location")
                if response.status_code not in _REDIRECTS or not location:
                    return self._read(response, place, target)
            except _PROBLEMS as error:
                problem = _describe(error, response is not None)
            finally:
                _in_request.reset(hidden)
                if response is not None:
                    response.close()
            if problem:
                raise self.error(problem[0], place, problem[1])
            url = self._redirect(method, url, location)
            sent = {}
        raise self.error("redirect", place, found="more and more redirects")

    def _redirect(self, method, url, location):
        """The address to which the server sends us, if it is its own."""
        target = origin = ""
        with suppress(ValueError):
            target = urljoin(url, location)
            if not _AMBIGUOUS.search(target):
                origin = _get_origin(target)
        if origin != _get_origin(url) or method != "GET":
            raise self.error("redirect", _get_place(url), origin, _get_origin(url))
        return target

    def _read(self, response, place, target):
        good = 200 <= response.status_code < 300
        limit = self._max_bytes if good else _ERROR_BYTES
        length = response.headers.get("Content-Length", "")
        length = int(length) if re.fullmatch(r"\d{1,18}", length) else None
        began, size, pieces = self.clock.monotonic(), 0, []
        write = (
            target.write if target and response.status_code == 200 else pieces.append
        )
        for piece in response.iter_content(_PIECE):
            size += len(piece)
            if size > limit:
                if not good:
                    break
                raise self.error(
                    "too_large", place, f"> {limit} bytes", f"<= {limit} bytes"
                )
            if self.clock.monotonic() - began > self._longest:
                raise self.error("timeout", place, f"> {self._longest:g} s")
            write(piece)
        else:
            # requests does not look whether all has come.
            if length is not None and response.raw.tell() < length:
                raise self.error(
                    "broken",
                    place,
                    f"{response.raw.tell()} bytes",
                    f"{length} bytes",
                )
        return Answer(
            place, response.status_code, response.headers, b"".join(pieces), size
        )

    def _keep_rate(self):
        now = self.clock.monotonic()
        if self._next is not None and self._next > now:
            self.clock.sleep(self._next - now)
            now = self._next
        self._next = now + self._interval

    def _hide(self, text):
        """The text on one line, without a secret."""
        text = " ".join(str(text).split())
        for secret in {*self._secrets, *self.auth.secrets}:
            for form in (secret, quote(secret, safe=""), quote_plus(secret)):
                if form:
                    text = text.replace(form, "…")
        return text


class _Requests(requests.Session):
    """requests reads a redirect to its end even where it must not follow it, and that
    end may never come."""

    def get_redirect_target(self, resp):
        return None


class NoAuth(requests.auth.AuthBase):
    """No credentials. That requests is told so keeps it from looking for some in the
    ``.netrc`` of the user."""

    secrets = ()

    def __call__(self, request):
        return request

    def prepare(self, session):
        """Get ready before a request."""

    def forget(self):
        """Whether there was something to forget that may be got again."""
        return False


def check_address(address):
    """The address without a slash at its end.

    :raise ConnectorError: if it is no http or https address, or holds credentials
    """
    expected = "https://host/path"
    text = (address or "").strip()
    found = ""
    with suppress(ValueError):
        parts = urlsplit(text)
        found = parts.hostname or ""
        if (
            found
            and _get_origin(text)
            and not (parts.query or parts.fragment or _AMBIGUOUS.search(text))
        ):
            return text.rstrip("/")
    raise ConnectorError("address", found=found[:_FOUND_LIMIT], expected=expected)


def _get_origin(url):
    """Scheme, host and port; empty if it is not http or https.

    :raise ValueError: if it is no address
    """
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}:{port}" if parts.scheme in _PORTS else ""


def _get_place(url):
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


# ------------------------------------------------------------
# WHAT MAY GO WRONG BELOW US
# ------------------------------------------------------------

_PROBLEMS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    HTTPException,
    OSError,
    UnicodeError,
)


def _describe(error, answered):
    """The reason and what was found. Never the text of the error, for it may hold
    the query."""

    def first(*kinds):
        return next((cause for cause in causes if isinstance(cause, kinds)), None)

    causes = list(_walk(error))
    if certificate := first(ssl.SSLCertVerificationError):
        return "tls", certificate.verify_message
    found = next(
        (
            cause.strerror
            for cause in causes
            if isinstance(cause, OSError) and cause.errno and cause.strerror
        ),
        "",
    )
    if answered:
        late = first(requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
        return ("timeout", "") if late else ("broken", found)
    if first(ssl.SSLError):
        return "tls", found
    # urllib3 counts a refused connection among the timeouts.
    if first(requests.Timeout, urllib3.exceptions.ReadTimeoutError):
        return "timeout", ""
    if first(requests.ConnectionError, HTTPException, socket.gaierror):
        return "connect", found
    return "address", ""


def _walk(error):
    """The error, and what it came from."""
    seen, waiting = [], [error]
    while waiting and len(seen) < 20:
        cause = waiting.pop(0)
        if cause is None or any(cause is known for known in seen):
            continue
        seen.append(cause)
        inner = (*cause.args, getattr(cause, "reason", None))
        waiting += [one for one in inner if isinstance(one, BaseException)]
        waiting += [cause.__cause__, cause.__context__]
    return seen


_in_request = ContextVar("in_request", default=False)


class _WithoutQuery(logging.Filter):
    """urllib3 logs each request with its query; a key may stand in there."""

    def filter(self, record):
        if _in_request.get() and isinstance(record.args, tuple):
            record.args = tuple(
                argument.partition("?")[0] if isinstance(argument, str) else argument
                for argument in record.args
            )
        return True


logging.getLogger("urllib3.connectionpool").addFilter(_WithoutQuery())
