from abc import ABC, abstractmethod
from collections import Counter
from contextlib import contextmanager

from odoo.tools import SQL


class Loader(ABC):
    """Merges the rows of one load into the database, a batch at a time.

    :param load: ``library.data.load``
    :param formats.file_format.FileFormat file_format: makes values of the rows
    :param bool dry_run: only count

    ``counts`` (new, changed, unchanged, ignored), ``refusals`` (pairs of a row and
    the reason in words) and ``notes`` (what the user should know, with how often it
    was so) grow with each batch; the load collects them.
    """

    def __init__(self, load, file_format, dry_run):
        self.load = load
        self.convert = file_format.convert
        self.get_column = file_format.get_column
        self.get_settings = file_format.get_settings
        self.source = load.source_id
        self.company = self.source.company_id
        self.env = load.env
        self.dry_run = dry_run
        self.counts = Counter()
        self.refusals = []
        self.notes = Counter()

    def begin(self):  # noqa: B027
        """Make ready for the first row."""

    def skip(self, rows):  # noqa: B027
        """Look at rows that an interrupted run of this load has dealt with."""

    @abstractmethod
    def take(self, rows):
        """Deal with a batch of ``formats.table.Row``; ``convert`` gives them values."""

    def finish(self):
        """Deal with what had to wait until all rows were seen, a part at a time:
        after each that it yields the load may keep what was done, and pause."""
        yield from ()

    def refuse(self, row, reason):
        self.refusals.append((row, reason))

    def describe(self, error):
        """What is wrong with a row, in words that help to mend it.

        :param formats.table.RowError error: what the format found
        :rtype: str
        """
        names = {
            "column": error.column,
            "found": error.found,
            "expected": error.expected,
        }
        if error.reason == "width":
            return self.env._(
                "The row has %(found)s cells, the header has %(expected)s.", **names
            )
        if error.reason == "open_quote":
            return self.env._('A quote (") is opened in this row and not closed.')
        if error.reason == "control":
            return self.env._(
                "%(column)s: the cell “%(found)s” holds a NUL byte.", **names
            )
        if error.reason == "encoding":
            return self.env._(
                "%(column)s: “%(found)s” has letters that are not written in "
                "%(expected)s, as the rest of the file is. Export the file again and "
                "choose UTF-8.",
                **names,
            )
        if error.reason == "formula_error":
            return self.env._(
                "%(column)s: “%(found)s” is the error of a formula of a spreadsheet; "
                "write the value itself.",
                **names,
            )
        if error.reason == "quantity":
            return self.env._(
                "%(column)s: “%(found)s” is not a number of uses; expected a whole "
                "number, %(expected)s.",
                **names,
            )
        if error.reason == "malformed":
            return self.env._(
                "The row can not be split into cells (%(found)s). Is a cell very long, "
                "or is a quote missing?",
                **names,
            )
        if error.reason == "missing":
            return self.env._(
                "%(column)s: the cell is empty; a value is required.", **names
            )
        if error.reason == "too_long":
            return self.env._(
                "%(column)s: “%(found)s” has more than %(expected)s characters.",
                **names,
            )
        if error.reason == "spreadsheet_number":
            return self.env._(
                "%(column)s: “%(found)s” was rounded by a spreadsheet. Export the "
                "file again and do not open it in a spreadsheet.",
                **names,
            )
        if error.reason == "date":
            written = self.source._fields["date_format"]._description_selection(
                self.env
            )
            names["expected"] = dict(written).get(error.expected, error.expected)
            return self.env._(
                "%(column)s: “%(found)s” is not a date; write it as in %(expected)s.",
                **names,
            )
        if error.reason == "date_order":
            return self.env._(
                "%(column)s: “%(found)s” is before the first day, “%(expected)s”.",
                **names,
            )
        if error.reason == "repeated":
            return self.env._(
                "%(column)s: “%(found)s” stands already in row %(expected)s.", **names
            )
        if error.reason == "unknown_type":
            return self.env._(
                "%(column)s: “%(found)s” is not known; expected one of %(expected)s.",
                **names,
            )
        return self.env._("The row can not be read: %(found)s.", **names)

    def describe_unknown(self, name, found, known):
        """That the code in a field is none of those that the library has."""
        return self.env._(
            "%(column)s: “%(found)s” is not known in %(library)s; expected one of "
            "%(expected)s.",
            column=self.get_column(name),
            found=found,
            library=self.company.name,
            expected=", ".join(sorted(known)[:20]) or "—",
        )

    def sql_cards(self, cards):
        """A query of the patrons with these cards: ``card_number`` and ``id``.

        One look-up in the unique index for each card. Asked for the cards as such,
        PostgreSQL may choose the index of trigrams, which serves the search box: at
        600,000 patrons that took 51 s for 5,000 cards, this takes 0.02 s.
        """
        return SQL(
            """
            SELECT found.card_number, found.id
              FROM unnest(%s::varchar[]) AS asked (card_number)
        CROSS JOIN LATERAL (
                    SELECT card_number, id
                      FROM library_patron
                     WHERE card_number >= asked.card_number
                       AND card_number <= asked.card_number
                       AND company_id = %s
                  ORDER BY card_number
                     LIMIT 1
                   ) found
            """,
            cards,
            self.company.id,
        )

    def sql_refs(self, refs):
        """A query of the patrons with these references: ``ils_ref`` and ``id``."""
        return SQL(
            "SELECT ils_ref, id FROM library_patron "
            "WHERE ils_ref = ANY(%s) AND company_id = %s",
            refs,
            self.company.id,
        )

    def find_buried(self, numbers):
        """Of pairs of a card number and a reference, the set of those that belong to
        a person who was erased: their rows are left out, and kept nowhere."""
        return self.env["library.patron.tombstone"]._find_buried(self.company, numbers)

    def find_merged(self, numbers):
        """By pairs of a card number and a reference, the id of the patron into whom
        the one with these numbers was merged."""
        by_card, by_ref = {}, {}
        for patron_id, card, ref in self.env.execute_query(
            SQL(
                """
                SELECT patron_id, card_number, ils_ref
                  FROM library_patron_alias
                 WHERE company_id = %s
                   AND (card_number = ANY(%s) OR ils_ref = ANY(%s))
                """,
                self.company.id,
                [card for card, __ in numbers if card],
                [ref for __, ref in numbers if ref],
            )
        ):
            by_card[card], by_ref[ref] = patron_id, patron_id
        by_card.pop(None, None)
        by_ref.pop(None, None)
        return {
            (card, ref): by_ref.get(ref) or by_card[card]
            for card, ref in numbers
            if ref in by_ref or card in by_card
        }

    def note_buried(self):
        self.counts["ignored"] += 1
        self.notes[self.env._("Row of a person who was erased: left out.")] += 1

    @contextmanager
    def provisional(self):
        """What is written within is kept, but not on a dry run."""
        with self.env.cr.savepoint() as savepoint:
            yield
            if self.dry_run:
                self.env.flush_all()
                savepoint.rollback()

    def read_codes(self, model, *names):
        """By its code, the id (and more) of each branch or category of the library,
        archived ones too."""
        records = self.env[model].search_fetch(
            [("company_id", "=", self.company.id)], ["code", *names]
        )
        return {record.code: record for record in records}

    def make_code(self, model, code):
        """A new branch or category, named after its code until somebody names it."""
        self.notes[
            self.env._(
                "%(kind)s %(code)s was made.",
                kind=self.env[model]._description,
                code=code,
            )
        ] = 1
        return self.env[model].create(
            {"name": code, "code": code, "company_id": self.company.id}
        )
