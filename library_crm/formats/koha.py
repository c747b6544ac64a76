"""Koha: the patron CSV (every column of ``borrowers``) and the ``statistics`` table.

Sources: Koha's patron import tool and the tables ``borrowers`` and ``statistics`` of
its database schema. Columns that came or went with a release of Koha are all listed.
"""

from .encoding import as_utf8, guess_encoding
from .file_format import TableFormat
from .table import (
    Layout,
    Row,
    RowError,
    read_date,
    read_moment,
    read_number,
    read_text,
)

CARD_LIMIT = 64
_NAME_LIMIT = 120
_TEXT_LIMIT = 250

PATRONS = Layout(
    used=(
        "cardnumber",
        "borrowernumber",
        "surname",
        "firstname",
        "streetnumber",
        "streettype",
        "address",
        "address2",
        "city",
        "state",
        "zipcode",
        "country",
        "email",
        "emailpro",
        "mobile",
        "phone",
        "phonepro",
        "dateofbirth",
        "branchcode",
        "categorycode",
        "dateenrolled",
        "dateexpiry",
        "guarantorid",
        "guarantor_id",
    ),
    # Known, and of no use here: a second address, a third person's address, what
    # concerns the lending alone, and what the library system decides from day to day.
    unused=(
        *("title", "othernames", "middle_name", "initials", "pronouns", "sex"),
        *("fax", "smsalertnumber", "sms_provider_id", "primary_contact_method"),
        *("b_streetnumber", "b_streettype", "b_address", "b_address2", "b_city"),
        *("b_state", "b_zipcode", "b_country", "b_email", "b_phone"),
        *("contactname", "contactfirstname", "contacttitle", "relationship"),
        *("guarantor_relationship", "guarantor_firstname", "guarantor_surname"),
        *("altcontactfirstname", "altcontactsurname", "altcontactaddress1"),
        *("altcontactaddress2", "altcontactaddress3", "altcontactstate"),
        *("altcontactzipcode", "altcontactcountry", "altcontactphone"),
        *("gonenoaddress", "lost", "debarred", "sort1", "sort2", "lang"),
        *("privacy", "privacy_guarantor_checkouts", "privacy_guarantor_fines"),
        *("checkprevcheckout", "updated_on", "lastseen", "overdrive_auth_token"),
        *("anonymized", "autorenew_checkouts", "date_renewed", "protected"),
        *("auth_method", "flganonymized", "preferred_name", "cardnumber_alt"),
        # Of a file of refused rows that was mended and is loaded again.
        *("line", "reason"),
    ),
    forbidden=(
        *("password", "flags", "userid", "borrowernotes", "opacnote", "contactnote"),
        *("debarredcomment", "patron_attributes", "secret", "login_attempts"),
        *("password_expiration_date", "ethnicity", "ethnotes"),
    ),
    required=(
        ("cardnumber", "borrowernumber"),
        ("surname",),
        ("branchcode",),
        ("categorycode",),
    ),
)

STATISTICS = Layout(
    used=("datetime", "branch", "type", "borrowernumber", "cardnumber"),
    unused=(
        *("value", "usercode", "associatedborrower", "proccode", "categorycode"),
        *("interface", "line", "reason"),
    ),
    # Each of them leads to the item, or to what it is about.
    forbidden=(
        *("itemnumber", "biblionumber", "itemtype", "location", "ccode", "other"),
        *("barcode", "title", "author", "isbn", "itemcallnumber"),
    ),
    required=(("datetime",), ("branch",), ("type",)),
)

#: Koha's word for what happened → the code of our service.
SERVICES = {
    "issue": "loan",
    "renew": "renewal",
    "return": "return",
    "localuse": "inhouse",
    "onsite_checkout": "inhouse",
}
#: What Koha counts there too and is no use of a service.
IGNORED_TYPES = {"payment", "writeoff", "recall", "item_found", "item_lost"}


# Of a file this much is looked at to tell its encoding.
_HEAD = 8 * 1024 * 1024


class _KohaFormat(TableFormat):
    """A file of Koha, in UTF-8 or what a spreadsheet has made of it.

    :param str date_format: a key of ``DATE_FORMATS``
    """

    _columns = {}

    def __init__(self, date_format="iso"):
        self._date_format = date_format

    def convert(self, row):
        if row.error:
            return row
        try:
            values = self._get_values(row.cells, self._date_format)
            return Row(row.line, row.cells, values)
        except RowError as error:
            return row._replace(error=error)

    def get_column(self, name):
        return self._columns.get(name, name)

    def _open(self, file):
        start = file.tell()
        encoding = guess_encoding(file.read(_HEAD)).encoding
        file.seek(start)
        return as_utf8(file, encoding), self.layout, encoding.upper()


class KohaPatrons(_KohaFormat):
    """A patron file.

    The values are in our own names: ``card_number``, ``ils_ref``, ``name``,
    ``street``, ``street2``, ``city``, ``state``, ``zip``, ``country``, ``email``,
    ``phone``, ``birth_date``, ``branch_code``, ``category_code``, ``enrolled_on``,
    ``expiry_date`` and ``guardian_ref``. A name is missing where the file has no
    such column; an empty cell gives None.
    """

    layout = PATRONS
    _columns = {
        "card_number": "cardnumber",
        "ils_ref": "borrowernumber",
        "branch_code": "branchcode",
        "category_code": "categorycode",
        "birth_date": "dateofbirth",
        "enrolled_on": "dateenrolled",
        "expiry_date": "dateexpiry",
    }

    def _get_values(self, cells, date_format):
        return convert_patron(cells, date_format)


class KohaStatistics(_KohaFormat):
    """An export of the table ``statistics``.

    The values are ``date`` (the day), ``branch_code``, ``service_code`` (None where
    the row is no use of a service), ``ils_ref``, ``card_number`` (both None: nobody
    in particular), ``quantity`` and ``identity``, the text that tells this row from
    others. Two rows may share it: two loans in the same second. The item has no part
    in it.
    """

    layout = STATISTICS
    _columns = {
        "card_number": "cardnumber",
        "ils_ref": "borrowernumber",
        "branch_code": "branch",
        "service_code": "type",
        "date": "datetime",
    }

    def _get_values(self, cells, date_format):
        return _statistic_values(cells, date_format)


def convert_patron(cells, date_format):
    """The values of a patron, as ``KohaPatrons`` gives them, from the cells of a row
    by Koha's names of the columns.

    :raise RowError: if a cell can not be used
    """
    values = {
        "name": " ".join(
            part
            for part in (
                read_text(cells, "firstname", _NAME_LIMIT),
                _required(cells, "surname", _NAME_LIMIT),
            )
            if part
        ),
        "branch_code": _required(cells, "branchcode", CARD_LIMIT),
        "category_code": _required(cells, "categorycode", CARD_LIMIT),
    }
    for name, column in (("card_number", "cardnumber"), ("ils_ref", "borrowernumber")):
        if column in cells:
            values[name] = read_number(cells, column, CARD_LIMIT) or None
    if not values.get("card_number") and not values.get("ils_ref"):
        raise RowError("missing", "cardnumber")
    if "address" in cells:
        parts = ("streetnumber", "address", "streettype")
        values["street"] = (
            " ".join(filter(None, (read_text(cells, c, _TEXT_LIMIT) for c in parts)))
            or None
        )
    for name, column in (
        ("street2", "address2"),
        ("city", "city"),
        ("state", "state"),
        ("zip", "zipcode"),
        ("country", "country"),
    ):
        if column in cells:
            values[name] = read_text(cells, column, _TEXT_LIMIT) or None
    for name, columns in (
        ("email", ("email", "emailpro")),
        # The mobile first: it is the one that takes text messages.
        ("phone", ("mobile", "phone", "phonepro")),
        ("guardian_ref", ("guarantor_id", "guarantorid")),
    ):
        if any(column in cells for column in columns):
            found = (read_text(cells, column, _TEXT_LIMIT) for column in columns)
            values[name] = next(filter(None, found), None)
    for name, column in (
        ("birth_date", "dateofbirth"),
        ("enrolled_on", "dateenrolled"),
        ("expiry_date", "dateexpiry"),
    ):
        if column in cells:
            values[name] = read_date(cells, column, date_format)
    enrolled, expiry = values.get("enrolled_on"), values.get("expiry_date")
    if enrolled and expiry and expiry < enrolled:
        raise RowError(
            "date_order", "dateexpiry", cells["dateexpiry"], cells["dateenrolled"]
        )
    return values


def _statistic_values(cells, date_format):
    kind = _required(cells, "type", CARD_LIMIT).lower()
    service = SERVICES.get(kind)
    if not service:
        if kind in IGNORED_TYPES:
            return {"service_code": None}
        raise RowError("unknown_type", "type", kind, ", ".join(SERVICES))
    moment = _required(cells, "datetime", CARD_LIMIT)
    day, time = read_moment(cells, "datetime", date_format)
    if not day:
        raise RowError("date", "datetime", moment, date_format)
    branch = _required(cells, "branch", CARD_LIMIT)
    ils_ref = read_number(cells, "borrowernumber", CARD_LIMIT)
    card = read_number(cells, "cardnumber", CARD_LIMIT)
    patron = f"\n{ils_ref}" if ils_ref else f"card\n{card}"
    return {
        "date": day,
        "branch_code": branch,
        "service_code": service,
        "ils_ref": ils_ref or None,
        "card_number": card or None,
        "quantity": 1,
        "identity": f"{day}\n{time}\n{branch}\n{kind}\n{patron}",
    }


def _required(cells, column, limit):
    text = read_text(cells, column, limit)
    if not text:
        raise RowError("missing", column)
    return text
