"""Koha's REST API (``/api/v1``): the patrons, all of them or what has changed.

Source: the definition of the API that Koha publishes (``api/v1/swagger``). An account
that may list patrons is enough; it needs no right to change anything.
"""

import base64
import json
import re
from datetime import datetime, timedelta

from ..formats import koha
from ..formats.table import Row, RowError
from .http import ConnectorError, NoAuth, Patience, Session

#: Koha's name in the API → its column in the database and in Koha's CSV.
COLUMNS = {
    "patron_id": "borrowernumber",
    "cardnumber": "cardnumber",
    "surname": "surname",
    "firstname": "firstname",
    "street_number": "streetnumber",
    "street_type": "streettype",
    "address": "address",
    "address2": "address2",
    "city": "city",
    "state": "state",
    "postal_code": "zipcode",
    "country": "country",
    "email": "email",
    "secondary_email": "emailpro",
    "mobile": "mobile",
    "phone": "phone",
    "secondary_phone": "phonepro",
    "date_of_birth": "dateofbirth",
    "library_id": "branchcode",
    "category_id": "categorycode",
    "date_enrolled": "dateenrolled",
    "expiry_date": "dateexpiry",
    # Of old releases; newer ones say nothing about guarantors here.
    "guarantor_id": "guarantor_id",
}
#: What must not be kept, as far as Koha sends it.
FORBIDDEN = frozenset(
    {
        *("staff_notes", "opac_notes", "altaddress_notes", "userid", "login_attempts"),
        *("overdrive_auth_token", "extended_attributes", "password", "flags"),
        *("secret", "account_balance", "checkouts_count", "overdues_count"),
    }
)
#: A delta begins this much before the cursor: a change may be written later than its
#: time says, and Koha compares its local time, which goes back an hour in autumn.
OVERLAP = timedelta(hours=2)
_KEPT = {*COLUMNS, "updated_on", "anonymized"}
_PAGE = 100
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE
)
_VERSION = re.compile(rb'<meta name="generator" content="Koha ([\w.]{1,20})"')


class BasicAuth(NoAuth):
    """Login and password of an account of Koha (system preference RESTBasicAuth)."""

    def __init__(self, login, password):
        pair = base64.b64encode(f"{login}:{password}".encode()).decode()
        self._header = f"Basic {pair}"
        self.secrets = (password, pair)

    def __call__(self, request):
        request.headers["Authorization"] = self._header
        return request


class OAuth2(NoAuth):
    """Client credentials of an account of Koha (RESTOAuth2ClientCredentials). The token
    is kept in memory until it runs out."""

    # Seconds before its end at which a token is no longer used.
    _MARGIN = 30

    def __init__(self, client_id, client_secret):
        self._client_id = client_id
        self._client_secret = client_secret
        self._token = ""
        self._ends = 0.0

    @property
    def secrets(self):
        return (self._client_secret, self._token)

    def __call__(self, request):
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def prepare(self, session):
        if self._token and session.clock.monotonic() < self._ends:
            return

        def read(answer):
            if answer.status == 400:
                raise session.error(
                    "oauth_off",
                    answer.place,
                    _get_message(session, answer),
                    "RESTOAuth2ClientCredentials",
                    status=400,
                )
            if answer.status == 403:
                raise session.error(
                    "unauthorized",
                    answer.place,
                    _get_message(session, answer),
                    status=403,
                )
            found = session.read_json(session.check(answer))
            token = found.get("access_token") if isinstance(found, dict) else None
            seconds = found.get("expires_in") if token else None
            if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
                raise session.error("shape", answer.place, expected="access_token")
            if not isinstance(seconds, int):
                seconds = 3600
            return token, seconds

        token, seconds = session.request(
            "POST",
            "oauth/token",
            read,
            with_auth=False,
            data={
                "grant_type": "client_credentials",
                "client_id": self._client_id,
                "client_secret": self._client_secret,
            },
        )
        self._token = token
        self._ends = session.clock.monotonic() + seconds - self._MARGIN

    def forget(self):
        known, self._token = self._token, ""
        return bool(known)


def open_session(address, auth, **options):
    """A ``Session`` for the API.

    :param str address: of Koha's staff side, with or without ``/api/v1``
    :param auth: ``BasicAuth`` or ``OAuth2``
    :param options: of ``Session``
    :raise ConnectorError: if the address is none
    """
    address = (address or "").strip().rstrip("/")
    if address and not address.endswith("/api/v1"):
        address += "/api/v1"
    return Session(address, auth, **options)


def read_patrons(session, since=None, begun=None, limit=None):
    """The patrons, as a ``PatronReader``.

    :param str since: the cursor of the last reading; only who was changed since then
        comes out (and, see ``OVERLAP``, some who were not)
    :param begun: the ``rest`` of a reader that stopped at its limit: read on from there
    :param int limit: stop after the page with so many patrons
    """
    return PatronReader(session, since, begun, limit)


class PatronReader:
    """Yields a ``Row`` for each patron, with the values of
    ``formats.koha.read_patrons`` and, as cells, Koha's columns of them. The line counts
    the patrons.

    A page begins after the highest number of the page before, and not after so many
    patrons: who is added, changed or deleted meanwhile moves nobody else out of a page
    or into two.

    ``cursor`` is None until all are read. Then it is the time of the last change that
    Koha knew of when the reading began: who was read and is changed after that, though
    before others were read, is in the next delta. Where the reading stopped at its
    limit, ``rest`` says how to read on.

    :raise ConnectorError: while iterating, if Koha can not be read
    """

    def __init__(self, session, since=None, begun=None, limit=None):
        self._session = session
        self._begun = begun
        self._limit = limit
        self._since = since and _read_moment(since)
        if since and not self._since:
            raise ValueError(f"not a cursor: {since!r}")
        #: How many there are to read, once the first page is there.
        self.total = None
        self.cursor = None
        #: None, or a pair for JSON: the newest change at the begin, the last number.
        self.rest = None
        #: The names of what must not be kept and was dropped.
        self.forbidden = set()
        #: The references of those whom Koha has made anonymous; they are left out.
        self.anonymized = []
        #: Whether Koha hides some from this account; they are left out.
        self.hidden = False

    def __iter__(self):
        newest, last = self._begun or (self._read_newest(), 0)
        line = 0
        while True:
            if self._limit and line >= self._limit:
                self.rest = (newest, last)
                return
            patrons, total, place = self._read_page(last)
            if self.total is None:
                self.total = total
            for patron in patrons:
                number = patron.get("patron_id")
                if number is None:
                    self.hidden = True
                    continue
                if type(number) is not int or number <= last:
                    raise self._session.error(
                        "order", place, f"patron_id {number}", f"patron_id > {last}"
                    )
                last = number
                line += 1
                if patron.get("anonymized") is True:
                    self.anonymized.append(str(number))
                else:
                    yield _make_row(line, patron)
            if not patrons or (total is not None and total <= len(patrons)):
                break
            if all(patron.get("patron_id") is None for patron in patrons):
                # Without a number there is no way past them.
                raise self._session.error(
                    "hidden", place, expected="view_borrower_infos_from_any_libraries"
                )
        newest = newest and _read_moment(newest)
        known = [moment for moment in (newest, self._since) if moment]
        self.cursor = max(known).isoformat() if known else None

    def _read_newest(self):
        patrons, _total, place = _list_patrons(
            self._session, self._keep, _order_by="-updated_on", _per_page=1
        )
        if not patrons or patrons[0].get("updated_on") is None:
            return None
        text = patrons[0]["updated_on"]
        if not _read_moment(text):
            raise self._session.error("shape", place, text, "updated_on: RFC 3339")
        return text

    def _read_page(self, last):
        query = {"patron_id": {">": last}}
        if self._since:
            # In Koha's own offset: its database may leave the offset unread.
            moment = self._since - OVERLAP
            query["updated_on"] = {">=": moment.isoformat()}
        return _list_patrons(
            self._session,
            self._keep,
            q=json.dumps(query),
            _order_by="patron_id",
            _per_page=_PAGE,
        )

    def _keep(self, pairs):
        self.forbidden.update(name for name, _value in pairs if name in FORBIDDEN)
        return {name: value for name, value in pairs if name in _KEPT}


def test_connection(session):
    """Whether the patrons can be read: a dict with

    - ``error``: None, or the ``ConnectorError`` that says what is wrong
    - ``encrypted``: whether the way there is
    - ``version``: of Koha, where its start page tells, else None
    - ``patrons``: how many there are, if Koha tells
    - ``changed_on``: when one of them was changed last (RFC 3339), if there is one
    """
    found = {
        "error": None,
        "encrypted": session.is_encrypted,
        "version": None,
        "patrons": None,
        "changed_on": None,
    }
    try:
        reader = PatronReader(session)
        patrons, found["patrons"], _place = _list_patrons(
            session, reader._keep, _order_by="-updated_on", _per_page=1
        )
    except ConnectorError as error:
        found["error"] = error
        return found
    if patrons:
        found["changed_on"] = patrons[0].get("updated_on")
    found["version"] = _read_version(session)
    return found


def _read_version(session):
    """What stands on the start page, before the login."""
    home = Session(
        session.address.removesuffix("/api/v1"),
        clock=session.clock,
        patience=Patience(tries=1),
        timeout=10,
        max_bytes=1024**2,
    )
    try:
        page = home.request("GET", "", home.check).body
    except ConnectorError:
        return None
    finally:
        home.close()
    match = _VERSION.search(page)
    return match and match[1].decode()


def _list_patrons(session, keep, **params):
    """The patrons of a page, how many there are in all (or None), and the address."""

    def read(answer):
        if answer.status in (400, 401, 403):
            raise _read_refusal(session, answer)
        patrons = session.read_json(session.check(answer), keep)
        if not isinstance(patrons, list) or not all(
            isinstance(patron, dict) for patron in patrons
        ):
            raise session.error("shape", answer.place, expected="a list of patrons")
        total = answer.headers.get("X-Total-Count", "")
        total = int(total) if re.fullmatch(r"\d{1,12}", total) else None
        return patrons, total, answer.place

    return session.request("GET", "patrons", read, params=params)


def _read_refusal(session, answer):
    """The error that says which preference, credential or permission is missing."""
    message = _get_message(session, answer)
    reason, expected = "refused", ""
    if answer.status == 401:
        reason = "unauthorized"
        if "disabled" in message.lower():
            reason, expected = "basic_off", "RESTBasicAuth"
    elif answer.status == 403:
        reason, expected = "forbidden", "borrowers"
    return session.error(reason, answer.place, message, expected, status=answer.status)


def _get_message(session, answer):
    """Koha's own word for what is wrong."""
    try:
        found = session.read_json(answer)
    except ConnectorError:
        return f"HTTP {answer.status}"
    message = found.get("error") if isinstance(found, dict) else None
    return message if isinstance(message, str) else f"HTTP {answer.status}"


def _make_row(line, patron):
    try:
        cells = {
            column: _read_cell(patron[name], column)
            for name, column in COLUMNS.items()
            if name in patron
        }
    except RowError as error:
        return Row(line, {}, None, error)
    try:
        return Row(line, cells, koha.convert_patron(cells, "iso"))
    except RowError as error:
        return Row(line, cells, None, error)


def _read_cell(value, column):
    if value is None:
        return ""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        text = str(value).strip()
        # Half of a pair of surrogates is valid in JSON, and in no database.
        if not re.search("[\ud800-\udfff]", text):
            return text
    raise RowError("malformed", column, f"{column}: {type(value).__name__}")


def _read_moment(text):
    """The time with its offset, or None."""
    match = _MOMENT.fullmatch(text) if isinstance(text, str) else None
    if not match:
        return None
    offset = (match[3] or "Z").upper().replace("Z", "+0000").replace(":", "")
    try:
        return datetime.strptime(
            f"{match[1]} {match[2]}{offset}", "%Y-%m-%d %H:%M:%S%z"
        )
    except ValueError:
        return None
