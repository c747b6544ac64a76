"""What the columns of library systems are called, and which may never be read.

Sources: the field names of the public documentation, database schemas and report
templates of Koha, Evergreen, Sierra, Alma, Polaris and Symphony. A name is compared
without case, spaces and marks: ``RECORD #(PATRON)`` is ``recordpatron``.
"""

import re
import unicodedata

#: What a file may be about → our field → what its column is called elsewhere. Of the
#: names of one field, those that come first are preferred. Names in an inner tuple
#: are parts that belong together, in the order in which they are written.
KNOWN = {
    "patrons": {
        "card_number": (
            *("cardnumber", "librarycard", "librarycardnumber", "cardno", "cardid"),
            *("patronbarcode", "pbarcode", "userbarcode", "primarybarcode", "barcode"),
            *("librarybarcode", "activebarcode", "currentbarcode", "userid"),
        ),
        "ils_ref": (
            *("borrowernumber", "patronid", "recordpatron", "patronrecordnumber"),
            *("patronrecordid", "recordnum", "recordnumber", "primaryidentifier"),
            *("primaryid", "userkey", "patronkey", "usrid", "id"),
        ),
        "name": (
            ("firstname", "surname"),
            ("firstgivenname", "secondgivenname", "familyname"),
            ("firstgivenname", "familyname"),
            ("namefirst", "namemiddle", "namelast"),
            ("namefirst", "namelast"),
            ("firstname", "middlename", "lastname"),
            ("firstname", "lastname"),
            ("patronfirstname", "patronlastname"),
            ("userfirstname", "userlastname"),
            ("givenname", "familyname"),
            *("fullname", "patronfullname", "patronname", "patrnname", "username"),
            *("displayname", "name", "surname", "lastname", "familyname"),
        ),
        "street": (
            ("streetnumber", "address", "streettype"),
            *("address", "street1", "streetone", "street", "address1"),
            *("addressline1", "streetaddress", "preferredaddressline1", "addr1"),
        ),
        "street2": (
            *("address2", "street2", "streettwo", "addressline2", "addr2"),
            "preferredaddressline2",
        ),
        "city": ("city", "town", "preferredcity", "preferredaddresscity"),
        "state": ("state", "province", "stateprovince", "preferredstateprovince"),
        "zip": (
            *("zipcode", "postcode", "postalcode", "zip", "preferredpostalcode"),
            "preferredaddresspostalcode",
        ),
        "country": ("country", "countrycode", "preferredcountry"),
        "email": (
            *("email", "emailaddress", "emailaddr", "preferredemail", "useremail"),
            *("emailpro", "preferredemailaddress"),
        ),
        "phone": (
            *("mobile", "mobilephone", "preferredmobilephone", "cellphone"),
            *("phone", "dayphone", "daytimephone", "phonevoice1", "telephone"),
            *("phonenumber", "preferredphone", "preferredphonenumber", "phonepro"),
            *("eveningphone", "otherphone"),
        ),
        "birth_date": (
            *("dateofbirth", "birthdate", "dob", "userbirthdate", "birthday"),
            "birthdategmt",
        ),
        "branch_code": (
            *("branchcode", "homelibr", "homelibrary", "homelibrarycode", "homeou"),
            *("homebranch", "userlibrary", "registeredbranch", "organizationid"),
            *("patronbranch", "branch", "library", "librarycode", "campuscode"),
            *("homelocation", "libraryid", "branchname", "defaultbranch"),
        ),
        "category_code": (
            *("categorycode", "ptype", "ptypecode", "patrontype", "usergroupcode"),
            *("usergroup", "patroncodeid", "patroncode", "userprofile", "profile"),
            *("mainprofilepermissiongroup", "permissiongroup", "profilename"),
            *("userprofilename", "patroncategory", "category", "patrongroup"),
            "borrowertypecode",
        ),
        "enrolled_on": (
            *("dateenrolled", "createdate", "createdpatron", "creationdate"),
            *("registrationdate", "userprivgranted", "dateprivilegegranted"),
            *("datecreated", "createddate", "recordcreationdatetime", "created"),
            *("patronsince", "membersince", "enrolled", "enrolledon"),
        ),
        "expiry_date": (
            *("dateexpiry", "expdate", "expiredate", "expirationdate", "expirydate"),
            *("expirationdategmt", "privilegeexpirationdate", "userprivexpires"),
            *("dateprivilegeexpires", "privilegeexpires", "cardexpires"),
            *("expires", "expireson", "expiry", "validuntil"),
        ),
        "guardian_ref": ("guarantorid", "guardianid"),
    },
    "usage": {
        "date": (
            *("datetime", "transactiongmt", "transactiondate", "tranclientdate"),
            *("transactiondatetime", "checkoutdatetime", "checkoutdate", "loandate"),
            *("loandatetime", "xactstart", "datecharged", "chargedate", "eventdate"),
            *("datestamp", "date", "day"),
        ),
        "time": ("transactiontime", "checkouttime", "loantime", "time"),
        "branch_code": (
            *("branch", "branchcode", "circlib", "circulatinglibrary"),
            *("checkoutlibrary", "stationlibrary", "organizationid", "loanlibrary"),
            *("librarycode", "library", "branchname", "libraryid"),
        ),
        "service_code": (
            *("type", "opcode", "transactiontypeid", "transactiontype"),
            *("statistictype", "transactioncode", "commandcode", "action", "service"),
            *("servicetype", "servicecode"),
        ),
        "ils_ref": (
            *("borrowernumber", "patronrecordid", "patronid", "usr", "userkey"),
            *("recordpatron", "primaryidentifier"),
        ),
        "card_number": (
            *("cardnumber", "patronbarcode", "pbarcode", "userbarcode", "userid"),
            *("librarycard", "librarycardnumber"),
        ),
        "quantity": ("quantity", "count", "total", "circulations", "transactions"),
    },
}
#: What a system calls a kind of use → the code of our service (None: it is none).
KNOWN_SERVICES = {
    # Sierra's codes of an operation, Polaris's numbers of a type of transaction.
    **{"o": "loan", "i": "return", "r": "renewal", "u": "inhouse"},
    **{"n": None, "h": None, "nb": None, "ni": None, "nv": None, "f": None},
    **{"6001": "loan", "6002": "return"},
    **{word: "loan" for word in ("loan", "checkout", "charge", "borrow")},
    **{word: "renewal" for word in ("renewal", "renew", "renewed")},
    **{word: "return" for word in ("return", "checkin", "discharge", "returned")},
    **{word: "inhouse" for word in ("inhouse", "inhouseuse", "usecount")},
    **{word: None for word in ("payment", "fine", "fee", "hold", "holdplaced")},
}
#: Columns that say by their name alone that each row is a loan.
LOAN_DATES = {
    *("checkoutdatetime", "checkoutdate", "loandate", "loandatetime", "xactstart"),
    *("datecharged", "chargedate"),
}
#: Which system calls a column so; the one with the most of them is the likely one.
SYSTEMS = {
    "Koha": {"borrowernumber", "categorycode", "dateexpiry", "dateenrolled"},
    "Evergreen": {
        *("firstgivenname", "familyname", "homeou", "expiredate", "xactstart"),
        *("circlib", "privilegeexpirationdate", "mainprofilepermissiongroup"),
    },
    "Sierra": {
        *("recordpatron", "pbarcode", "patrnname", "homelibr", "ptype", "opcode"),
        *("transactiongmt", "createdpatron", "expirationdategmt", "ptypecode"),
    },
    "Alma": {
        *("primaryidentifier", "usergroup", "usergroupcode", "preferredemail"),
        *("campuscode", "loandate", "preferredmobilephone"),
    },
    "Polaris": {
        *("namefirst", "namelast", "patroncodeid", "phonevoice1", "streetone"),
        *("organizationid", "transactiontypeid", "tranclientdate"),
    },
    "Symphony": {
        *("userprivexpires", "userprivgranted", "userprofile", "userlibrary"),
        *("userbirthdate", "userkey", "stationlibrary"),
    },
}

# A word that begins so, or ends so, leads to what somebody reads, asks or is told, or
# to a secret. Some are given in the languages of other library systems too.
_FORBIDDEN = (
    ("title", r"title|\btite?l\b|\btitre|\btitulo"),
    ("author", r"author(?!i[sz])|\baut(o|eu)r\b|\bcreator"),
    ("ISBN", r"isbn|\bissn|\bean\b|\bdoi\b|\boclc"),
    ("ISSN", r"issn"),
    ("item", r"item|biblio|\bbib\b|\bbib(s|rec|num|id)|\bholdings?\b"),
    ("call number", r"call ?n(o|um)|shelf ?mark|\bcall\b|\bsignatur\b|\bcote\b|dewey"),
    ("subject", r"subject|\bccode\b|\bgenre"),
    ("password", r"pass ?w|passwd|\bpwd\b|\bu?pin\b|secret|kennwort|contrasena"),
    ("note", r"note|comment|remark|bemerkung|\bnotiz|\bnotas?\b"),
    ("search term", r"search|\bquery|keyword|\bterms?\b|\bquestion|\bchat"),
    ("article", r"article"),
    ("ethnicity", r"ethnic|\brace\b|religio"),
)
_FORBIDDEN = tuple((thing, re.compile(words)) for thing, words in _FORBIDDEN)
# A bare barcode of a file about people is that of the card, of any other file that of
# the thing they borrow.
_CARD_WORDS = re.compile(r"^(p|patron|user|borrower|card|library card) ?barcode\b")
_BARE_BARCODE = re.compile(r"^((primary|active|current|library) )?barcode$")


def get_key(name):
    """The name of a column as it is compared with the known names."""
    return re.sub(r"\W|_", "", _fold(name)).lower()


def get_forbidden(name, kind, field=None):
    """What a column holds that may not be kept, as its name says, or None.

    A barcode is the number of an item. It is the number of a card if the name says
    so, or in a file about patrons if it says nothing, and then of use for
    ``card_number`` only.

    :param str name: the name of the column
    :param str kind: ``patrons`` or ``usage``
    :param str field: the field of ours that it is for; None: any
    :rtype: str | None
    """
    # "callNumber" and "CALL #(ITEM)" are read as "call number" and "call item".
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", _fold(name))
    text = " ".join(re.sub(r"[\W_]+", " ", text).lower().split())
    for thing, words in _FORBIDDEN:
        if words.search(text):
            return thing
    if "barcode" in text.replace(" ", ""):
        is_card = _CARD_WORDS.match(text) or (
            kind == "patrons" and _BARE_BARCODE.match(text)
        )
        if not is_card or field not in (None, "card_number"):
            return "barcode"
    return None


def _fold(name):
    """Without accents."""
    return "".join(
        letter
        for letter in unicodedata.normalize("NFKD", name)
        if not unicodedata.combining(letter)
    )
