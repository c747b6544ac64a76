import base64
import hashlib
import io

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

    #: Rows that are merged in one transaction.
    _PART = 50_000

    def __init__(self, load, file_format, dry_run):
        super().__init__(load, file_format, dry_run)
        self._key = bytes.fromhex(self.source.sudo().key)
        self._today = fields.Date.context_today(load)
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
        patrons = self._find_patrons(rows)
        stage = io.StringIO()
        for row in rows:
            if row.error:
                self.refuse(row, self.describe(row.error))
                continue
            values = row.values
            if not values["service_code"]:
                self.counts["ignored"] += 1
                continue
            patron = patrons.get(("ils_ref", values["ils_ref"])) or patrons.get(
                ("card_number", values["card_number"])
            )
            if reason := self._get_refusal(values, patron):
                self.refuse(row, reason)
                continue
            service, channel = self._services[values["service_code"]]
            stage.write(
                f"{self.load.id}\t{row.line}\t"
                f"{self._get_external_ref(values['identity'])}\t"
                f"{patron or chr(92) + 'N'}\t{service}\t"
                f"{self._branches[values['branch_code']]}\t{values['date']}\t"
                f"{values['quantity']}\t{channel}\n"
            )
        stage.seek(0)
        self.env.cr.copy_expert(
            """
            COPY library_service_usage_stage (
                 load_id, line, key, patron_id, service_id, branch_id, date, quantity,
                 channel
                 )
            FROM STDIN
            """,
            stage,
        )

    def _get_external_ref(self, identity):
        digest = hashlib.blake2b(identity.encode(), digest_size=12, key=self._key)
        return base64.urlsafe_b64encode(digest.digest()).decode()

    def _find_patrons(self, rows):
        """By reference and by card, the id of each patron whom the rows name."""
        found = {}
        for name in ("ils_ref", "card_number"):
            asked = {row.values.get(name) for row in rows if row.values} - {None}
            if not asked:
                continue
            column = SQL.identifier(name)
            found.update(
                ((name, value), patron_id)
                for value, patron_id in self.env.execute_query(
                    SQL(
                        "SELECT %(column)s, min(id) FROM library_patron "
                        "WHERE %(column)s = ANY(%(asked)s) "
                        "AND company_id = %(company)s GROUP BY 1",
                        column=column,
                        asked=list(asked),
                        company=self.company.id,
                    )
                )
            )
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
        while self._merge_part():
            yield

    def _number_alike(self):
        """Give rows that are alike keys of their own: the second loan of the same
        second is `key.2`. Done twice, it finds nothing more to do."""
        self.env.cr.execute(
            SQL(
                """
                UPDATE library_service_usage_stage stage
                   SET key = alike.key || '.' || alike.place
                  FROM (
                        SELECT id, key,
                               row_number() OVER (PARTITION BY key ORDER BY line)
                                   AS place
                          FROM library_service_usage_stage
                         WHERE load_id = %s
                       ) alike
                 WHERE stage.id = alike.id
                   AND alike.place > 1
                """,
                self.load.id,
            )
        )

    def _count(self):
        [(new, known)] = self.env.execute_query(
            SQL(
                """
                SELECT count(*) FILTER (WHERE usage.id IS NULL), count(usage.id)
                  FROM library_service_usage_stage stage
             LEFT JOIN library_service_usage usage
                    ON usage.source_id = %s
                   AND usage.external_ref = stage.key
                 WHERE stage.load_id = %s
                """,
                self.source.id,
                self.load.id,
            )
        )
        self.counts["new"] += new
        self.counts["unchanged"] += known

    def _merge_part(self):
        """Merge the last rows of those that are staged: files mostly end with the
        newest, and so a patron's last use is written once.

        :return: whether there were any
        """
        [(staged, first)] = self.env.execute_query(
            SQL(
                """
                SELECT count(*), min(line)
                  FROM (
                        SELECT line
                          FROM library_service_usage_stage
                         WHERE load_id = %s
                      ORDER BY line DESC
                         LIMIT %s
                       ) part
                """,
                self.load.id,
                self._PART,
            )
        )
        if not staged:
            return False
        part = SQL("load_id = %s AND line >= %s", self.load.id, first)
        added = self.env["library.service.usage"].insert_rows(
            SQL(
                """
                SELECT patron_id, service_id, branch_id, date, quantity, channel,
                       %(source)s, key
                  FROM library_service_usage_stage
                 WHERE %(part)s
              ORDER BY line
                """,
                source=self.source.id,
                part=part,
            )
        )
        self.env.cr.execute(
            SQL("DELETE FROM library_service_usage_stage WHERE %s", part)
        )
        self.counts["new"] += added
        self.counts["unchanged"] += staged - added
        return True
