import hashlib
from array import array

import psycopg2

from odoo import fields
from odoo.exceptions import UserError
from odoo.tools import SQL, email_normalize
from odoo.tools.misc import split_every

from .lines import KeyLines, PatronLines
from .loader import Loader

_PARTNER_FIELDS = (
    *("name", "street", "street2", "city", "zip", "state_id", "country_id"),
    *("email", "phone"),
)
_PATRON_FIELDS = (
    *("card_number", "ils_ref", "birth_date", "branch_id", "patron_category_id"),
    *("enrolled_on", "guardian_id"),
)
# The fields by which a row says who it is about.
_KEYS = ("card_number", "ils_ref")
# To be counted up when the same row of a file leads to something else than before.
_VERSION = 1
# How many texts of a column are remembered with what they mean.
_TEXTS = 10_000
# What people write in the address though it is no code of a country.
_COUNTRY_ABBREVIATIONS = {"USA": "US", "UK": "GB"}


# What stands here of a patron, as far as it decides what comes of a row.
_COLUMNS = (
    *((name, SQL.identifier("partner", name)) for name in _PARTNER_FIELDS),
    *((name, SQL.identifier("patron", name)) for name in _PATRON_FIELDS),
    ("membership_id", SQL("membership.id")),
    ("state", SQL("membership.state")),
    ("date_start", SQL("membership.date_start")),
    ("date_end", SQL("membership.date_end")),
    ("guardian_ref", SQL("guardian.ils_ref")),
    ("branch_code", SQL("branch.code")),
    ("category_code", SQL("category.code")),
    ("plan_id", SQL("category.plan_id")),
)
_JOINS = SQL(
    """
         JOIN res_partner partner ON partner.id = patron.partner_id
    LEFT JOIN library_membership membership ON membership.id = patron.membership_id
    LEFT JOIN library_patron guardian ON guardian.id = patron.guardian_id
    LEFT JOIN library_branch branch ON branch.id = patron.branch_id
    LEFT JOIN library_patron_category category
           ON category.id = patron.patron_category_id
    """
)
#: A digest of it, in 64 bits that need no secret: it stands beside what it tells of.
_STATE = SQL(
    "hashtextextended(ROW(%s)::text, 0)::text",
    SQL(", ").join(column for __, column in _COLUMNS),
)


class _Item:
    """A row on its way: what it says, whom it is about and what comes of it."""

    def __init__(self, row, digest):
        self.row = row
        self.digest = digest
        #: The card and the reference.
        self.numbers = (None, None)
        self.patron_id = None
        #: What the database held, by column; None: nobody.
        self.known = None
        self.values = None
        self.differing = {}
        self.membership = False
        #: A guardian who is not there (yet).
        self.awaited = None
        #: Whether a remark was made on it.
        self.is_remarkable = False


class PatronLoader(Loader):
    """Rows about people become ``library.patron``, with contact and membership.

    A patron is found by the card number, else by the reference of the library system
    (so that a new card is noticed). What differs is written; what is the same is not
    touched. An empty cell never empties a field, but an address is replaced as a
    whole. Nobody is deleted, archived or taken out of the archive.

    The membership follows the expiry of the library system; see
    ``library.membership._set_end_from_ils``.

    A row that was taken without a remark leaves a digest (``library.patron.row``). As
    long as the file says the same, and the same stands here, it is recognised by that
    and not even converted.
    """

    def __init__(self, load, file_format, dry_run):
        super().__init__(load, file_format, dry_run)
        self.env = self.env(context={**self.env.context, "library_from_ils": True})
        self._today = fields.Date.context_today(load)
        self._digest = self._make_digest()
        # Where somebody stands in the file: who is in the database, by id; who will be
        # rolled back at the end of a batch, and is not found by the next, by card and
        # reference.
        self._lines = PatronLines()
        self._key_lines = KeyLines()
        # On a dry run, the guardians who were not there when their child was read.
        self._awaited = array("Q")
        # By the patron, the row of somebody who was merged into them here.
        self._merged = {}
        self._countries = {}
        self._states = {}
        self._branches = {}
        self._categories = {}

    # ------------------------------------------------------------
    # BATCHES
    # ------------------------------------------------------------

    def begin(self):
        self._forget_awaited()

    def skip(self, rows):
        items, __ = self._recognise(rows)
        self._convert(items)
        by_card, by_ref = self._read_known(items)
        merged = self.find_merged(self._get_strangers(items, by_card, by_ref))
        for item in items:
            if item.numbers in merged and item.row.values:
                self._put_aside(item, merged[item.numbers])
            for known in self._get_known(item, by_card, by_ref):
                if known and item.row.values:
                    self._lines.set(known["id"], item.row.line)
                elif known:
                    self._lines.mark(known["id"])
            if item.row.values:
                self._remember_keys(item)

    def take(self, rows):
        with self.provisional():
            items, recognised = self._recognise(rows)
            self.counts["unchanged"] += recognised
            if items:
                self._read_all_codes()
                self._convert(items)
                # A card that one patron gives back in these rows is free for another.
                self._take(self._take(items, is_last=False), is_last=True)

    def _read_all_codes(self):
        self._branches = self.read_codes("library.branch")
        self._categories = self.read_codes("library.patron.category", "plan_id", "kind")

    def _convert(self, items):
        for item in items:
            item.row = self.convert(item.row)
            item.numbers = self._get_numbers(item.row)

    def _take(self, items, is_last):
        """
        :param bool is_last: refuse rows whose card is another's; else leave them
        :return: the items that were left
        """
        by_card, by_ref = self._read_known(items)
        guardians = self._find_guardians(
            item.row.values.get("guardian_ref") for item in items if item.row.values
        )
        strangers = self._get_strangers(items, by_card, by_ref)
        merged, buried = self.find_merged(strangers), self.find_buried(strangers)
        new, changed, unchanged, left = [], [], [], []
        taken = {}
        for item in items:
            same_card, same_ref = self._get_known(item, by_card, by_ref)
            if item.numbers in buried:
                self.note_buried()
            elif item.numbers in merged and item.row.values:
                if not self._put_aside(item, merged[item.numbers]):
                    self._note_merged()
            elif item.row.error:
                self._refuse(item, same_card, same_ref, self.describe(item.row.error))
            elif conflict := self._get_conflict(item, same_card, same_ref):
                if is_last or not self._may_be_freed(item, same_card):
                    reason = self._get_repetition(item, same_card, same_ref, taken)
                    self._refuse(item, same_card, same_ref, reason or conflict)
                else:
                    left.append(item)
            elif reason := (
                self._get_repetition(item, same_card, same_ref, taken)
                or self._get_refusal(item.row)
            ):
                self._refuse(item, same_card, same_ref, reason)
            else:
                item.known = same_card or same_ref
                self._weigh(item, guardians)
                if item.membership == "impossible":
                    self._refuse(
                        item,
                        same_card,
                        same_ref,
                        self.env._(
                            "%(column)s: %(end)s is before the first day of the "
                            "membership, %(start)s.",
                            column=self.get_column("expiry_date"),
                            end=item.row.values["expiry_date"],
                            start=item.known["date_start"],
                        ),
                    )
                elif not item.known:
                    new.append(item)
                elif item.differing or item.membership:
                    changed.append(item)
                else:
                    unchanged.append(item)
                for key in zip(_KEYS, item.numbers, strict=True):
                    taken[key] = item.row.line
                if item.known:
                    taken[item.known["id"]] = item.row.line
        new = self._all_or_each(new, self._create)
        changed = self._all_or_each(changed, self._change)
        self.counts["new"] += len(new)
        self.counts["changed"] += len(changed)
        self.counts["unchanged"] += len(unchanged)
        for item in (*new, *changed, *unchanged):
            self._remember(item)
        self._await_guardians((*new, *changed, *unchanged))
        self._keep_digests(unchanged, (*new, *changed))
        return left

    def _weigh(self, item, guardians):
        """Find out what the row means for the patron."""
        remarks = self.notes.total()
        item.values = self._prepare_values(item.row.values, guardians)
        ref = item.row.values.get("guardian_ref")
        if ref and "guardian_id" not in item.values:
            if ref == (item.row.values.get("ils_ref") or ref):
                self._note_missing_guardian()
            else:
                item.awaited = ref
        if item.known:
            item.patron_id = item.known["id"]
            item.differing = self._get_differing(item.known, item.values)
            item.membership = self._get_membership_change(item.known, item.row.values)
        item.is_remarkable = self.notes.total() != remarks

    def _refuse(self, item, same_card, same_ref, reason):
        self.refuse(item.row, reason)
        for known in (same_card, same_ref):
            if known:
                self._lines.mark(known["id"])

    def _remember(self, item):
        self._lines.set(item.patron_id, item.row.line)
        if item.known is None or item.differing:
            self._remember_keys(item)

    def _remember_keys(self, item):
        if self.dry_run:
            for key in zip(_KEYS, item.numbers, strict=True):
                if key[1]:
                    self._key_lines.add(key, item.row.line)

    def finish(self):
        yield from self._set_guardians()
        yield from self._update_missing()
        # At the very end, and at once: these rows are counted only now.
        with self.provisional():
            self._take_merged()

    # ------------------------------------------------------------
    # MERGED HERE
    # ------------------------------------------------------------

    def _put_aside(self, item, patron_id):
        """Leave a row about somebody who was merged into another patron until it is
        known whether that one has a row too.

        :return: False if there is such a row already
        """
        self._lines.mark(patron_id)
        if patron_id in self._merged:
            return False
        self._merged[patron_id] = item
        return True

    def _take_merged(self):
        """Of two who are one here the library system may keep either. The row of the
        one whom we kept counts; where there is none, the other goes on for both."""
        if not self._merged:
            return
        self._read_all_codes()
        for patron_id, item in self._merged.items():
            if self._lines.get(patron_id):
                self._note_merged()
            else:
                self._exchange_numbers(patron_id, item.numbers)
                self._take([item], is_last=True)

    def _exchange_numbers(self, patron_id, numbers):
        patron = self.env["library.patron"].browse(patron_id)
        for name, number in zip(_KEYS, numbers, strict=True):
            alias = number and self.env["library.patron.alias"].search(
                [("patron_id", "=", patron_id), (name, "=", number)], limit=1
            )
            if alias:
                alias[name] = patron[name]
                patron[name] = number

    def _note_merged(self):
        self.counts["ignored"] += 1
        self.notes[
            self.env._("Row of a person who was merged into another here: left out.")
        ] += 1

    # ------------------------------------------------------------
    # MISSING
    # ------------------------------------------------------------

    def _update_missing(self):
        """Take the mark from those who have come again and, where the file holds all
        patrons, mark those who are not in it. Cost: reads the ids of the library's
        patrons once."""
        self._clear_missing()
        if not self.source.is_complete or self.load.is_delta:
            return
        expected, missing = self._find_missing()
        if len(missing) * 100 > expected * self.source.missing_limit:
            self.notes[
                self.env._(
                    "%(missing)s of %(expected)s patrons are not in the file. That is "
                    "more than %(limit)s percent, so it was taken for broken: nobody "
                    "was marked as missing.",
                    missing=len(missing),
                    expected=expected,
                    limit=self.source.missing_limit,
                )
            ] = 1
            return
        for ids in split_every(10_000, missing):
            self.notes[
                self.env._("Not in the file: marked as missing, not deleted.")
            ] += len(ids)
            self._set_missing_since(ids, self._today)
            yield

    def _clear_missing(self):
        marked = self.env.execute_query(
            SQL(
                "SELECT id FROM library_patron "
                "WHERE company_id = %s AND missing_since IS NOT NULL",
                self.company.id,
            )
        )
        back = [patron_id for (patron_id,) in marked if patron_id in self._lines]
        if back:
            self._set_missing_since(back, None)

    def _find_missing(self):
        """
        :return: how many patrons a full file should hold, and the ids of those whom
            this one does not; who was missing before is neither
        """
        self.env.flush_all()
        expected, missing, last = 0, array("Q"), 0
        while found := self.env.execute_query(
            SQL(
                """
                SELECT id
                  FROM library_patron
                 WHERE company_id = %s
                   AND id > %s
                   AND active
                   AND missing_since IS NULL
                   AND (card_number IS NOT NULL OR ils_ref IS NOT NULL)
                   -- Who joined after the file was made can not be in it.
                   AND create_date <= %s
              ORDER BY id
                 LIMIT 20000
                """,
                self.company.id,
                last,
                self.load.create_date,
            )
        ):
            expected += len(found)
            missing.extend(
                patron_id for (patron_id,) in found if patron_id not in self._lines
            )
            [last] = found[-1]
        return expected, missing

    def _set_missing_since(self, ids, day):
        """In SQL: it is no change of the patron, whose own day of change stays."""
        if self.dry_run:
            return
        self.env.cr.execute(
            SQL(
                "UPDATE library_patron SET missing_since = %s WHERE id = ANY(%s)",
                day,
                list(ids),
            )
        )
        self.env["library.patron"].invalidate_model(["missing_since"])

    # ------------------------------------------------------------
    # GUARDIANS
    # ------------------------------------------------------------

    def _await_guardians(self, items):
        """Keep for the end of the load who is to have a guardian that is not there.
        It is kept in the database: a file may hold a hundred thousand children."""
        items = [item for item in items if item.awaited]
        if self.dry_run:
            for item in items:
                for name in _KEYS:
                    self._awaited.append(KeyLines.hash_key((name, item.awaited)))
        elif items:
            self._write_rows(items, guardian_ref=lambda item: item.awaited)

    def _forget_awaited(self):
        self.env.cr.execute(
            SQL(
                "UPDATE library_patron_row SET guardian_ref = NULL "
                "WHERE source_id = %s AND guardian_ref IS NOT NULL",
                self.source.id,
            )
        )

    def _set_guardians(self):
        """Give those their guardians who stood in the file before them."""
        if self.dry_run:
            hashes = iter(self._awaited)
            for pair in zip(hashes, hashes, strict=True):
                if not any(map(self._key_lines.get_by_hash, pair)):
                    self._note_missing_guardian()
            return
        while waiting := self.env.execute_query(
            SQL(
                "SELECT id, patron_id, guardian_ref FROM library_patron_row "
                "WHERE source_id = %s AND guardian_ref IS NOT NULL "
                "ORDER BY id LIMIT 1000",
                self.source.id,
            )
        ):
            guardians = self._find_guardians(ref for __, __, ref in waiting)
            for __, patron_id, ref in waiting:
                if guardians.get(ref, patron_id) == patron_id:
                    self._note_missing_guardian()
                else:
                    self._set_guardian(patron_id, guardians[ref])
            self.env.cr.execute(
                SQL(
                    "UPDATE library_patron_row SET guardian_ref = NULL WHERE id IN %s",
                    tuple(row_id for row_id, __, __ in waiting),
                )
            )
            yield

    def _note_missing_guardian(self):
        self.notes[
            self.env._("Guarantor not among the patrons: no guardian was set.")
        ] += 1

    def _set_guardian(self, patron_id, guardian_id):
        patron = self.env["library.patron"].browse(patron_id)
        if patron.guardian_id.id == guardian_id:
            return
        try:
            with self.env.cr.savepoint():
                patron.guardian_id = guardian_id
        except UserError:
            self.notes[
                self.env._("Guarantors who guard each other: no guardian was set.")
            ] += 1

    # ------------------------------------------------------------
    # ROWS THAT ARE KNOWN
    # ------------------------------------------------------------

    def _make_digest(self):
        """A digest of all that decides, beside the row, what comes of it, except what
        stands here of the patron."""
        settings = (
            _VERSION,
            self.get_settings(),
            self.company.id,
            self.company.country_id.id,
            self.source.start_memberships,
        )
        key = bytes.fromhex(self.source.sudo().key)
        return hashlib.blake2b(repr(settings).encode(), digest_size=16, key=key)

    def _get_digest(self, row):
        digest = self._digest.copy()
        digest.update("\x1f".join((*row.cells, *row.cells.values())).encode())
        return digest.hexdigest()

    def _recognise(self, rows):
        """Tell the rows of which nothing new can come: one query, one look-up in an
        index for each row.

        :return: items of the other rows, and how many were recognised
        """
        digests = [None if row.error else self._get_digest(row) for row in rows]
        self.env.flush_all()
        patrons = dict(
            self.env.execute_query(
                SQL(
                    """
                    SELECT known.digest, patron.id
                      FROM library_patron_row known
                      JOIN library_patron patron ON patron.id = known.patron_id
                      %(joins)s
                     WHERE known.digest = ANY(%(digests)s)
                       AND known.source_id = %(source)s
                       AND known.state = %(state)s
                    """,
                    joins=_JOINS,
                    digests=list(filter(None, digests)),
                    source=self.source.id,
                    state=_STATE,
                )
            )
        )
        items = []
        for row, digest in zip(rows, digests, strict=True):
            patron_id = patrons.get(digest)
            if patron_id and not self._lines.get(patron_id):
                self._lines.set(patron_id, row.line)
            else:
                items.append(_Item(row, digest))
        return items, len(rows) - len(items)

    def _keep_digests(self, unchanged, written):
        """Keep the digests of rows that would change nothing if they came again."""
        if self.dry_run:
            return
        by_card, by_ref = self._read_known(written)
        items = []
        for item in written:
            same_card, same_ref = self._get_known(item, by_card, by_ref)
            item.known = same_card or same_ref
            if (
                item.known
                and not self._get_differing(item.known, item.values)
                and not self._get_membership_change(item.known, item.row.values)
            ):
                items.append(item)
        items = [
            item
            for item in (*items, *unchanged)
            if not item.is_remarkable
            and not item.awaited
            # Who is found by something else might be found by another tomorrow.
            and item.known["guardian_ref"]
            == (item.row.values.get("guardian_ref") or item.known["guardian_ref"])
        ]
        self._write_rows(
            items,
            digest=lambda item: item.digest,
            state=lambda item: item.known["state_digest"],
        )

    def _write_rows(self, items, **columns):
        """Write what is remembered of patrons, whole rows, in one statement."""
        if not items:
            return
        names = list(map(SQL.identifier, columns))
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO library_patron_row (patron_id, source_id, %(names)s)
                SELECT patron_id, %(source)s, %(names)s
                  FROM unnest(%(ids)s, %(values)s) AS given (patron_id, %(names)s)
           ON CONFLICT (patron_id, source_id)
             DO UPDATE SET (digest, state, guardian_ref)
                         = (EXCLUDED.digest, EXCLUDED.state, EXCLUDED.guardian_ref)
                """,
                names=SQL(", ").join(names),
                source=self.source.id,
                ids=[item.patron_id for item in items],
                values=SQL(", ").join(
                    SQL("%s", [get(item) for item in items]) for get in columns.values()
                ),
            )
        )

    # ------------------------------------------------------------
    # WHAT THE ROW SAYS
    # ------------------------------------------------------------

    def _get_numbers(self, row):
        """The card and the reference that a row names, also where another cell of it
        can not be used."""
        if row.values:
            return tuple(row.values.get(name) or None for name in _KEYS)
        columns = (self.get_column(name).strip().lower() for name in _KEYS)
        # PostgreSQL can not be asked for a text with a NUL byte.
        cells = (row.cells.get(column, "").replace("\0", "") for column in columns)
        return tuple(" ".join(cell.split()) or None for cell in cells)

    def _get_conflict(self, item, same_card, same_ref):
        """That the card of the row is somebody else's."""
        if not same_card:
            return None
        card, ref = item.numbers
        names = {
            "card_column": self.get_column("card_number"),
            "ref_column": self.get_column("ils_ref"),
            "card": card,
            "known": same_card["ils_ref"],
            "found": ref,
        }
        if ref and ref != (same_card["ils_ref"] or ref):
            return self.env._(
                "%(card_column)s: “%(card)s” is here the card of %(ref_column)s "
                "“%(known)s”, not of “%(found)s”. If the card has a new holder, take "
                "it from the old one first.",
                **names,
            )
        if same_ref and same_card["id"] != same_ref["id"]:
            return self.env._(
                "%(card_column)s: “%(card)s” belongs to one patron and %(ref_column)s "
                "“%(found)s” to another. Merge the two, or mend the file.",
                **names,
            )
        return None

    def _may_be_freed(self, item, same_card):
        """Whether the holder of the card may have another by the end of the batch."""
        return not self._lines.get(same_card["id"])

    def _get_repetition(self, item, same_card, same_ref, taken):
        for name, found, known in zip(
            _KEYS, item.numbers, (same_card, same_ref), strict=True
        ):
            if not found:
                continue
            line = taken.get((name, found)) or self._key_lines.get((name, found))
            if known and not line:
                line = taken.get(known["id"]) or self._lines.get(known["id"])
            if line:
                return self.env._(
                    "%(column)s: “%(found)s” stands already on line %(line)s; only "
                    "the first row was taken.",
                    column=self.get_column(name),
                    found=found,
                    line=line,
                )
        return None

    def _get_refusal(self, row):
        values = row.values
        for name, model, known in (
            ("branch_code", "library.branch", self._branches),
            ("category_code", "library.patron.category", self._categories),
        ):
            code = values[name]
            if code in known:
                continue
            if not self.source.create_missing:
                return self.describe_unknown(name, code, known)
            known[code] = self.make_code(model, code)
        for name in ("birth_date", "enrolled_on"):
            if values.get(name) and values[name] > self._today:
                return self.env._(
                    "%(column)s: %(date)s is in the future.",
                    column=self.get_column(name),
                    date=values[name],
                )
        return None

    def _prepare_values(self, row, guardians):
        """The fields of the patron that the row speaks of, as the database holds
        them; a hook."""
        values = {
            "name": row["name"],
            "branch_id": self._branches[row["branch_code"]].id,
            "patron_category_id": self._categories[row["category_code"]].id,
        }
        for name in ("card_number", "ils_ref", "phone", "birth_date", "enrolled_on"):
            if row.get(name):
                values[name] = row[name]
        if values.get("phone") and not any(map(str.isdigit, values["phone"])):
            del values["phone"]
            self.notes[self.env._("Phone without a digit: it was left out.")] += 1
        if row.get("email"):
            if email_normalize(row["email"]):
                values["email"] = row["email"]
            else:
                self.notes[self.env._("Email is not an address: it was left out.")] += 1
        if row.get("street") or row.get("city"):
            values.update(self._prepare_address(row))
        if row.get("guardian_ref"):
            guardian = guardians.get(row["guardian_ref"])
            if guardian:
                values["guardian_id"] = guardian
        return values

    def _prepare_address(self, row):
        address = {
            name: row[name]
            for name in ("street", "street2", "city", "zip")
            if name in row
        }
        if row.get("country"):
            country = self._find_country(row["country"])
            if country:
                address["country_id"] = country
        if row.get("state"):
            country = address.get("country_id") or self.company.country_id.id
            state = self._find_state(row["state"], country)
            if state:
                address["state_id"] = state
        return address

    def _find_country(self, text):
        if len(self._countries) > _TEXTS:
            self._countries.clear()
        if text not in self._countries:
            Country = self.env["res.country"]
            code = _COUNTRY_ABBREVIATIONS.get(text.upper(), text.upper())
            country = len(code) == 2 and Country.search([("code", "=", code)])
            country = country or Country.search([("name", "=ilike", text)], limit=1)
            self._countries[text] = country.id
        if not self._countries[text]:
            self.notes[
                self.env._("Country “%s” is not known: it was left out.", text)
            ] += 1
        return self._countries[text]

    def _find_state(self, text, country_id):
        key = (text, country_id)
        if len(self._states) > _TEXTS:
            self._states.clear()
        if key not in self._states:
            self._states[key] = (
                self.env["res.country.state"]
                .search(
                    [
                        ("country_id", "=", country_id),
                        "|",
                        ("code", "=ilike", text),
                        ("name", "=ilike", text),
                    ],
                    limit=1,
                )
                .id
            )
        if not self._states[key]:
            self.notes[
                self.env._("State “%s” is not known: it was left out.", text)
            ] += 1
        return self._states[key]

    # ------------------------------------------------------------
    # WHAT IS THERE
    # ------------------------------------------------------------

    def _read_known(self, items):
        """What the database holds of the patrons of a batch: one query, one look-up
        in an index for each card and reference.

        :return: the same dictionaries by card number and by reference
        """
        self.env.flush_all()
        names = [name for name, __ in _COLUMNS]
        by_card, by_ref = {}, {}
        for found in self.env.execute_query(
            SQL(
                """
                SELECT %(columns)s, patron.id, %(state)s
                  FROM (%(named)s) named
                  JOIN library_patron patron ON patron.id = named.id
                  %(joins)s
                """,
                columns=SQL(", ").join(column for __, column in _COLUMNS),
                state=_STATE,
                joins=_JOINS,
                named=self._sql_named(
                    [item.numbers[0] for item in items if item.numbers[0]],
                    [item.numbers[1] for item in items if item.numbers[1]],
                ),
            )
        ):
            known = dict(zip((*names, "id", "state_digest"), found, strict=True))
            if known["card_number"]:
                by_card[known["card_number"]] = known
            if known["ils_ref"]:
                by_ref[known["ils_ref"]] = known
        return by_card, by_ref

    def _sql_named(self, cards, refs):
        """A query of the ids of patrons with one of these cards or references."""
        return SQL(
            """
            SELECT id
              FROM (%(cards)s) by_card
             UNION
            SELECT id
              FROM library_patron
             WHERE company_id = %(company)s
               AND ils_ref = ANY(%(refs)s)
            """,
            company=self.company.id,
            cards=self.sql_cards(cards),
            refs=refs,
        )

    def _get_known(self, item, by_card, by_ref):
        card, ref = item.numbers
        return by_card.get(card), by_ref.get(ref)

    def _get_strangers(self, items, by_card, by_ref):
        """The numbers of rows about nobody who is here."""
        return [
            item.numbers
            for item in items
            if not any(self._get_known(item, by_card, by_ref))
        ]

    def _find_guardians(self, keys):
        """The ids of patrons by their reference or, where nobody has that, card."""
        keys = list({key for key in keys if key})
        if not keys:
            return {}
        self.env["library.patron"].flush_model(["card_number", "ils_ref"])
        rows = self.env.execute_query(
            SQL(
                """
                SELECT patron.id, patron.card_number, patron.ils_ref
                  FROM (%s) named
                  JOIN library_patron patron ON patron.id = named.id
                """,
                self._sql_named(keys, keys),
            )
        )
        return {
            **{card: patron_id for patron_id, card, __ in rows if card},
            **{ref: patron_id for patron_id, __, ref in rows if ref},
        }

    def _get_differing(self, known, values):
        return {
            name: value
            for name, value in values.items()
            if (known[name] or None) != (value or None)
        }

    def _get_membership_change(self, known, row):
        """What the expiry means for the membership that is there.

        :return: False (nothing), ``impossible``, ``end`` or ``start``
        """
        expiry = row.get("expiry_date")
        if not self.source.start_memberships:
            return False
        if not known["membership_id"]:
            category = self._categories[row["category_code"]]
            return bool(category.plan_id) and "start"
        end = known["date_end"]
        if not expiry or expiry == end:
            return False
        if known["state"] == "cancelled":
            # Staff ended it here; only a later expiry is news.
            is_later = expiry >= self._today and end and expiry > end
            return is_later and "end"
        return "impossible" if expiry < known["date_start"] else "end"

    # ------------------------------------------------------------
    # WRITING
    # ------------------------------------------------------------

    def _all_or_each(self, items, work):
        """Do the work on all items at once; where the database or a rule refuses,
        halve them until the row that it is about stands alone and is refused.

        :return: the items that were done
        """
        if not items:
            return []
        try:
            with self.env.cr.savepoint():
                work(items)
            return items
        except (UserError, psycopg2.IntegrityError, psycopg2.DataError) as error:
            if len(items) == 1:
                self.refuse(items[0].row, self._describe_exception(error))
                return []
        middle = len(items) // 2
        return self._all_or_each(items[:middle], work) + self._all_or_each(
            items[middle:], work
        )

    def _describe_exception(self, error):
        if isinstance(error, psycopg2.Error):
            return self.env["library.patron"]._sql_error_to_message(error)
        return str(error)

    def _create(self, items):
        Patron = self.env["library.patron"]._in_bulk()
        patrons = Patron.create(
            [
                {
                    **item.values,
                    "company_id": self.company.id,
                    "is_company": self._get_category(item).kind == "institution",
                }
                for item in items
            ]
        )
        for patron, item in zip(patrons, items, strict=True):
            item.patron_id = patron.id
        self._start_memberships(items)

    def _change(self, items):
        Patron = self.env["library.patron"]
        for item in items:
            patron = Patron.browse(item.patron_id)
            if item.differing:
                patron.write(item.differing)
            if item.membership == "end":
                patron.membership_id._set_end_from_ils(item.row.values["expiry_date"])
        self._start_memberships([item for item in items if item.membership == "start"])

    def _get_category(self, item):
        return self._categories[item.row.values["category_code"]]

    def _start_memberships(self, items):
        if not self.source.start_memberships:
            return
        vals_list = []
        for item in items:
            row, category = item.row.values, self._get_category(item)
            if not category.plan_id:
                self.notes[
                    self.env._(
                        "Category %s has no default plan: no membership was started.",
                        category.name,
                    )
                ] += 1
                continue
            expiry = row.get("expiry_date")
            start = row.get("enrolled_on") or min(expiry or self._today, self._today)
            vals_list.append(
                {
                    "patron_id": item.patron_id,
                    "plan_id": category.plan_id.id,
                    "date_start": start,
                    **({"date_end": expiry} if expiry else {}),
                }
            )
        self.env["library.membership"]._in_bulk()._start_from_ils(vals_list)
