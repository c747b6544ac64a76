import base64
import hashlib
from collections import Counter
from functools import lru_cache

from odoo import fields
from odoo.tools import SQL
from odoo.tools.misc import format_date

from .loader import Loader


class UsageLoader(Loader):
    """Rows of use become ``library.service.usage``, one by one and each once.

    Rows are copied into a staging table and merged from there, a part at a time. What
    tells a row from others (its second, branch, type and patron) is kept only as a
    keyed digest; rows that are alike in all of it are numbered once all are staged, so
    that two loans in the same second count twice and the same file loaded again counts
    nothing.

    Both steps are kept as they go. A row that was merged has left the staging table,
    so an interrupted load finds there what is still to be done.
    """

    #: Batches that are merged in one transaction. A patron is locked and written once
    #: in each, so a few large parts cost less than many small ones.
    _PART = 20
    #: Patrons who are kept in mind between batches: some 30 MB.
    _PATRONS_KNOWN = 200_000

    def __init__(self, load, file_format, dry_run):
        super().__init__(load, file_format, dry_run)
        key = bytes.fromhex(self.source.sudo().key)
        self._keyed = hashlib.blake2b(digest_size=12, key=key)
        self._get_digest_of_day = lru_cache(1000)(self._get_digest)
        self._today = fields.Date.context_today(load)
        self._patrons = {"ils_ref": {}, "card_number": {}}
        self._services = {
            service.code: (service.id, service.channel)
            for service in self.env["library.service"].search(
                [("company_id", "in", (self.company.id, False))],
                order="company_id DESC",
            )
        }
        self._branches = {
            code: branch.id
            for code, branch in self.read_codes("library.branch").items()
        }

    # ------------------------------------------------------------
    # STAGING
    # ------------------------------------------------------------

    def begin(self):
        self._empty_stage()

    def take(self, rows):
        rows = list(map(self.convert, rows))
        by_ref = self._find_patrons("ils_ref", rows)
        by_card = self._find_patrons("card_number", rows)
        strangers = {
            numbers
            for row in rows
            if row.values and row.values["service_code"]
            for numbers in [(row.values["card_number"], row.values["ils_ref"])]
            if any(numbers) and not (by_card.get(numbers[0]) or by_ref.get(numbers[1]))
        }
        merged = self.find_merged(strangers) if strangers else {}
        buried = self.find_buried(strangers) if strangers else set()
        services, branches = self._services, self._branches
        seen = Counter()
        staged = []
        for row in rows:
            if row.error:
                self.refuse(row, self.describe(row.error))
                continue
            values = row.values
            code = values["service_code"]
            if not code:
                self.counts["ignored"] += 1
                continue
            patron = by_ref.get(values["ils_ref"]) or by_card.get(values["card_number"])
            day, branch = values["date"], values["branch_code"]
            is_known = patron and code in services and branch in branches
            if not is_known or day > self._today:
                numbers = (values["card_number"], values["ils_ref"])
                if numbers in buried and not self.source.count_unknown_patrons:
                    self.note_buried()
                    continue
                patron = patron or merged.get(numbers)
                if reason := self._get_refusal(values, patron):
                    self.refuse(row, reason)
                    continue
            key = self._get_external_ref(values["identity"])
            seen[key] += 1
            staged.append(
                (
                    key if seen[key] == 1 else f"{key}.{seen[key]}",
                    patron or "NULL",
                    branches[branch],
                    day,
                    values["quantity"],
                    *services[code],
                )
            )
        if not staged:
            return
        # None of these texts needs a quote in an array: numbers, days, names of
        # channels, and keys of letters, digits, "-", "_" and ".".
        columns = (
            f"{{{','.join(map(str, column))}}}" for column in zip(*staged, strict=True)
        )
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO library_service_usage_stage (
                       load_id, row_count, keys, patron_ids, branch_ids, dates,
                       quantities, service_ids, channels
                       )
                VALUES %s
                """,
                (self.load.id, len(staged), *columns),
            )
        )

    def _get_external_ref(self, identity):
        """A digest of the whole behind one of its first line, which is the day in most
        files. So rows of a day stand together in the unique index, and a load writes
        a few pages of it again and again: a fifth of the time of a row."""
        day = identity.partition("\n")[0]
        return self._get_digest_of_day(day)[:4] + self._get_digest(identity)

    def _get_digest(self, text):
        digest = self._keyed.copy()
        digest.update(text.encode())
        return base64.urlsafe_b64encode(digest.digest()).decode()

    def _find_patrons(self, name, rows):
        """The id (or None) of each patron whom the rows name by that field, by what
        they say. Who was looked for is known for the next batches."""
        found = self._patrons[name]
        if len(found) > self._PATRONS_KNOWN:
            found.clear()
        asked = {row.values.get(name) for row in rows if row.values}
        asked = asked.difference(found, [None])
        if asked:
            found.update(dict.fromkeys(asked))
            query = self.sql_cards if name == "card_number" else self.sql_refs
            found.update(self.env.execute_query(query(list(asked))))
        return found

    def _get_refusal(self, values, patron):
        if values["service_code"] not in self._services:
            return self.describe_unknown(
                "service_code", values["service_code"], self._services
            )
        if values["date"] > self._today:
            return self.env._(
                "%(column)s: %(date)s is in the future.",
                column=self.get_column("date"),
                date=format_date(self.env, values["date"]),
            )
        named = next(filter(values.get, ("ils_ref", "card_number")), None)
        if named and not patron and not self.source.count_unknown_patrons:
            return self.env._(
                "%(column)s: “%(found)s” is no patron of %(library)s. Load the patrons "
                "first, or let the source count unknown patrons anonymously.",
                column=self.get_column(named),
                found=values[named],
                library=self.company.name,
            )
        code = values["branch_code"]
        if code not in self._branches:
            if not self.source.create_missing:
                return self.describe_unknown("branch_code", code, self._branches)
            with self.provisional():
                self._branches[code] = self.make_code("library.branch", code).id
        return None

    def _empty_stage(self):
        self.env.cr.execute(
            SQL(
                "DELETE FROM library_service_usage_stage WHERE load_id = %s",
                self.load.id,
            )
        )

    def _sql_staged(self, condition):
        """The rows of the staged batches, as a query to select from."""
        return SQL(
            """
            (
                SELECT batch.id, rows.*
                  FROM library_service_usage_stage batch
            CROSS JOIN LATERAL unnest(
                           batch.keys::text[],
                           batch.patron_ids::int[],
                           batch.service_ids::int[],
                           batch.branch_ids::int[],
                           batch.dates::date[],
                           batch.quantities::int[],
                           batch.channels::text[]
                       )
                    AS rows (
                       key, patron_id, service_id, branch_id, date, quantity, channel
                       )
                 WHERE batch.load_id = %s
                   AND %s
            )
            """,
            self.load.id,
            condition,
        )

    def _sql_staged_keys(self, condition):
        """Their keys alone, with their place in the batch: the other columns would
        cost the same again."""
        return SQL(
            """
            (
                SELECT batch.id, rows.*
                  FROM library_service_usage_stage batch
            CROSS JOIN LATERAL unnest(batch.keys::text[]) WITH ORDINALITY
                    AS rows (key, place)
                 WHERE batch.load_id = %s
                   AND %s
            )
            """,
            self.load.id,
            condition,
        )

    # ------------------------------------------------------------
    # MERGING
    # ------------------------------------------------------------

    def finish(self):
        """Cost: one sort of the rows of the file, one insertion of each new row, one
        look-up in the unique index for each row that is there already."""
        self._number_alike()
        if self.dry_run:
            self._count()
            self._empty_stage()
            return
        # Rows of this load have keys of their own, and no other load of the source
        # runs: in the first load of a source nothing has to be looked for.
        [(has_rows,)] = self.env.execute_query(
            SQL(
                "SELECT EXISTS (SELECT FROM library_service_usage WHERE source_id = %s "
                "AND external_ref IS NOT NULL)",
                self.source.id,
            )
        )
        while self._merge_part(are_new=not has_rows):
            yield

    def _number_alike(self):
        """Give rows that are alike keys of their own: the second loan of the same
        second is ``key.2``. Within a batch it has been done; here it is done in those
        that have rows alike with another batch. Done twice, it changes nothing."""
        batches = self.env.execute_query(
            SQL(
                # "IS TRUE" has the keys looked up in a hash, whatever the planner, who
                # knows nothing of this table, takes for cheap.
                """
                SELECT DISTINCT id
                  FROM %(staged)s staged
                 WHERE (key IN (
                           SELECT key
                             FROM %(staged)s again
                         GROUP BY key
                           HAVING count(*) > 1
                       )) IS TRUE
                """,
                staged=self._sql_staged_keys(SQL("TRUE")),
            )
        )
        if not batches:
            return
        self.env.cr.execute(
            SQL(
                # Materialized, so that the rows are not numbered anew for each batch.
                """
                WITH numbered AS MATERIALIZED (
                    SELECT id,
                           array_agg(
                               CASE WHEN number = 1 THEN key
                                    ELSE key || '.' || number
                                END
                               ORDER BY place
                           )::text AS keys
                      FROM (
                            SELECT id, place, key,
                                   row_number() OVER (
                                       PARTITION BY key ORDER BY id, place
                                   ) AS number
                              FROM (
                                    SELECT id, place, split_part(key, '.', 1) AS key
                                      FROM %s staged
                                   ) plain
                           ) alike
                  GROUP BY id
                )
                UPDATE library_service_usage_stage batch
                   SET keys = numbered.keys
                  FROM numbered
                 WHERE batch.id = numbered.id
                """,
                self._sql_staged_keys(SQL("id = ANY(%s)", [id_ for (id_,) in batches])),
            )
        )

    def _count(self):
        [(new, known)] = self.env.execute_query(
            SQL(
                """
                SELECT count(*) FILTER (WHERE usage.id IS NULL), count(usage.id)
                  FROM %s staged
             LEFT JOIN library_service_usage usage
                    ON usage.source_id = %s
                   AND usage.external_ref = staged.key
                """,
                self._sql_staged_keys(SQL("TRUE")),
                self.source.id,
            )
        )
        self.counts["new"] += new
        self.counts["unchanged"] += known

    def _merge_part(self, are_new):
        """Merge the last batches of those that are staged: files mostly end with the
        newest use, and so the last use of most patrons is written once.

        :param bool are_new: none of them can be there already
        :return: whether there were any
        """
        [(staged, first)] = self.env.execute_query(
            SQL(
                """
                SELECT sum(row_count), min(id)
                  FROM (
                        SELECT id, row_count
                          FROM library_service_usage_stage
                         WHERE load_id = %s
                      ORDER BY id DESC
                         LIMIT %s
                       ) part
                """,
                self.load.id,
                self._PART,
            )
        )
        if not staged:
            return False
        part = SQL("id >= %s", first)
        added = self.env["library.service.usage"].insert_rows(
            SQL(
                """
                SELECT patron_id, service_id, branch_id, date, quantity, channel, %s,
                       key
                  FROM %s staged
                """,
                self.source.id,
                self._sql_staged(part),
            ),
            are_new=are_new,
        )
        self.env.cr.execute(
            SQL(
                "DELETE FROM library_service_usage_stage WHERE load_id = %s AND %s",
                self.load.id,
                part,
            )
        )
        self.counts["new"] += added
        self.counts["unchanged"] += staged - added
        return True
