import psycopg2

from odoo import fields
from odoo.exceptions import UserError
from odoo.tools import SQL, email_normalize
from odoo.tools.misc import split_every

from .loader import Loader

_PARTNER_FIELDS = (
    *("name", "street", "street2", "city", "zip", "state_id", "country_id"),
    *("email", "phone"),
)
_PATRON_FIELDS = (
    *("card_number", "ils_ref", "birth_date", "branch_id", "patron_category_id"),
    *("enrolled_on", "guardian_id"),
)
# What people write in the address though it is no code of a country.
_COUNTRY_ABBREVIATIONS = {"USA": "US", "UK": "GB"}


class PatronLoader(Loader):
    """Rows about people become ``library.patron``, with contact and membership.

    A patron is found by the card number, else by the reference of the library system
    (so that a new card is noticed). What differs is written; what is the same is not
    touched. An empty cell never empties a field, but an address is replaced as a
    whole. Nobody is deleted, archived or taken out of the archive.

    The membership follows the expiry of the library system; see
    ``library.membership._set_end_from_ils``.
    """

    def __init__(self, load, file_format, dry_run):
        super().__init__(load, file_format, dry_run)
        self._today = fields.Date.context_today(load)
        # By card and by reference, the line on which the patron stands in the file.
        self._lines = {}
        # Guardians who were not there when their child was read.
        self._pending = []
        self._countries = {}
        self._states = {}
        self._branches = {}
        self._categories = {}

    # ------------------------------------------------------------
    # BATCHES
    # ------------------------------------------------------------

    def skip(self, rows):
        for row in map(self.convert, rows):
            if row.values:
                self._remember(row)
                self._wait_for_guardian(row.values)

    def take(self, rows):
        with self.provisional():
            self._branches = self.read_codes("library.branch")
            self._categories = self.read_codes(
                "library.patron.category", "plan_id", "kind"
            )
            self._take([row for row in map(self.convert, rows) if self._is_usable(row)])

    def _take(self, rows):
        by_card, by_ref = self._read_known(rows)
        guardians = self._find_guardians(row.values.get("guardian_ref") for row in rows)
        new, changed = [], []
        for row in rows:
            card, ref = row.values.get("card_number"), row.values.get("ils_ref")
            known, same_ref = by_card.get(card), by_ref.get(ref)
            if known and ref and ref != (known["ils_ref"] or ref):
                self.refuse(
                    row,
                    self.env._(
                        "%(card_column)s: “%(card)s” is here the card of "
                        "%(ref_column)s “%(known)s”, not of “%(found)s”. If the card "
                        "has a new holder, take it from the old one first.",
                        card_column=self.get_column("card_number"),
                        ref_column=self.get_column("ils_ref"),
                        card=card,
                        known=known["ils_ref"],
                        found=ref,
                    ),
                )
                continue
            if known and same_ref and known["id"] != same_ref["id"]:
                self.refuse(
                    row,
                    self.env._(
                        "%(card_column)s: “%(card)s” belongs to one patron and "
                        "%(ref_column)s “%(found)s” to another. Merge the two, or mend "
                        "the file.",
                        card_column=self.get_column("card_number"),
                        ref_column=self.get_column("ils_ref"),
                        card=card,
                        found=ref,
                    ),
                )
                continue
            known = known or same_ref
            values = self._prepare_values(row.values, guardians)
            if not known:
                new.append((row, values))
                continue
            differing = self._get_differing(known, values)
            membership = self._get_membership_change(known, row.values, values)
            if membership == "impossible":
                self.refuse(
                    row,
                    self.env._(
                        "%(column)s: %(end)s is before the first day of the "
                        "membership, %(start)s.",
                        column=self.get_column("expiry_date"),
                        end=row.values["expiry_date"],
                        start=known["date_start"],
                    ),
                )
            elif differing or membership:
                changed.append((row, known, differing, membership))
            else:
                self.counts["unchanged"] += 1
        self.counts["new"] += self._all_or_each(new, self._create)
        self.counts["changed"] += self._all_or_each(changed, self._change)

    def finish(self):
        """Give those their guardians who stood in the file before them."""
        for pending in split_every(1000, self._pending):
            by_key = self._find_guardians(
                key for pair in pending for key in pair if key
            )
            for key, ref in pending:
                patron, guardian = by_key.get(key), by_key.get(ref)
                if self.dry_run and ref in self._lines:
                    continue
                if not guardian or guardian == patron:
                    self.notes[
                        self.env._(
                            "Guarantor not among the patrons: no guardian was set."
                        )
                    ] += 1
                elif patron:
                    self._set_guardian(patron, guardian)
            yield

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
    # WHAT THE ROW SAYS
    # ------------------------------------------------------------

    def _is_usable(self, row):
        """Refuse the row if it can not be a patron of this library."""
        reason = self.describe(row.error) if row.error else self._get_refusal(row)
        if reason:
            self.refuse(row, reason)
        return not reason

    def _get_refusal(self, row):
        values = row.values
        for name in ("card_number", "ils_ref"):
            line = self._lines.get(values.get(name))
            if values.get(name) and line:
                return self.env._(
                    "%(column)s: “%(found)s” stands already on line %(line)s; only "
                    "the first row was taken.",
                    column=self.get_column(name),
                    found=values[name],
                    line=line,
                )
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
        self._remember(row)
        return None

    def _remember(self, row):
        for key in (row.values.get("card_number"), row.values.get("ils_ref")):
            if key:
                self._lines.setdefault(key, row.line)

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
            else:
                self._wait_for_guardian(row)
        return values

    def _wait_for_guardian(self, row):
        if row.get("guardian_ref"):
            key = row.get("ils_ref") or row.get("card_number")
            self._pending.append((key, row["guardian_ref"]))

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

    def _read_known(self, rows):
        """What the database holds of the patrons of a batch: one query, one look-up
        in an index for each card and reference.

        :return: the same dictionaries by card number and by reference
        """
        cards = [
            row.values["card_number"] for row in rows if row.values.get("card_number")
        ]
        refs = [row.values["ils_ref"] for row in rows if row.values.get("ils_ref")]
        self.env.flush_all()
        names = ("id", *_PARTNER_FIELDS, *_PATRON_FIELDS)
        columns = [
            SQL("patron.id"),
            *(SQL.identifier("partner", name) for name in _PARTNER_FIELDS),
            *(SQL.identifier("patron", name) for name in _PATRON_FIELDS),
            *(
                SQL.identifier("membership", name)
                for name in ("id", "state", "date_start", "date_end")
            ),
        ]
        by_card, by_ref = {}, {}
        for found in self.env.execute_query(
            SQL(
                """
                   SELECT %(columns)s
                     FROM library_patron patron
                     JOIN res_partner partner ON partner.id = patron.partner_id
                LEFT JOIN library_membership membership
                       ON membership.id = patron.membership_id
                    WHERE patron.company_id = %(company)s
                      AND (patron.card_number = ANY(%(cards)s)
                           OR patron.ils_ref = ANY(%(refs)s))
                """,
                columns=SQL(", ").join(columns),
                company=self.company.id,
                cards=cards,
                refs=refs,
            )
        ):
            known = dict(
                zip(
                    (*names, "membership_id", "state", "date_start", "date_end"),
                    found,
                    strict=True,
                )
            )
            if known["card_number"]:
                by_card[known["card_number"]] = known
            if known["ils_ref"]:
                by_ref[known["ils_ref"]] = known
        return by_card, by_ref

    def _find_guardians(self, keys):
        """The ids of patrons by their reference or, where nobody has that, card."""
        keys = list({key for key in keys if key})
        if not keys:
            return {}
        self.env["library.patron"].flush_model(["card_number", "ils_ref"])
        rows = self.env.execute_query(
            SQL(
                """
                SELECT id, card_number, ils_ref
                  FROM library_patron
                 WHERE company_id = %(company)s
                   AND (card_number = ANY(%(keys)s) OR ils_ref = ANY(%(keys)s))
                """,
                company=self.company.id,
                keys=keys,
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

    def _get_membership_change(self, known, row, values):
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

        :param list items: tuples that begin with the row
        :return: how many were done
        """
        if not items:
            return 0
        try:
            with self.env.cr.savepoint():
                work(items)
            return len(items)
        except (UserError, psycopg2.IntegrityError, psycopg2.DataError) as error:
            if len(items) == 1:
                self.refuse(items[0][0], self._describe_exception(error))
                return 0
        middle = len(items) // 2
        return self._all_or_each(items[:middle], work) + self._all_or_each(
            items[middle:], work
        )

    def _describe_exception(self, error):
        if isinstance(error, psycopg2.Error):
            return self.env["library.patron"]._sql_error_to_message(error)
        return str(error)

    def _create(self, items):
        patrons = self.env["library.patron"]._in_bulk().create(
            [
                {
                    **values,
                    "company_id": self.company.id,
                    "is_company": self._categories[row.values["category_code"]].kind
                    == "institution",
                }
                for row, values in items
            ]
        )
        self._start_memberships(
            (patron, row.values)
            for patron, (row, __) in zip(patrons, items, strict=True)
        )

    def _change(self, items):
        Patron = self.env["library.patron"]
        starting = []
        for row, known, differing, membership in items:
            patron = Patron.browse(known["id"])
            if differing:
                patron.write(differing)
            if membership == "start":
                starting.append((patron, row.values))
            elif membership == "end":
                patron.membership_id._set_end_from_ils(row.values["expiry_date"])
        self._start_memberships(starting)

    def _start_memberships(self, pairs):
        if not self.source.start_memberships:
            return
        vals_list = []
        for patron, row in pairs:
            category = self._categories[row["category_code"]]
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
                    "patron_id": patron.id,
                    "plan_id": category.plan_id.id,
                    "date_start": start,
                    **({"date_end": expiry} if expiry else {}),
                }
            )
        self.env["library.membership"]._in_bulk()._start_from_ils(vals_list)
