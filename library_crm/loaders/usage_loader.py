import base64
import hashlib
import io

from odoo import fields
from odoo.tools import SQL
from odoo.tools.misc import format_date, split_every

from .loader import Loader


class UsageLoader(Loader):
    """Rows of use become ``library.service.usage``, one by one and each once.

    Rows are copied into a temporary table and merged in one statement at the end:
    a load is in the database as a whole or not at all. What tells a row from others
    (its second, branch, type and patron) is kept only as a keyed digest; rows that
    are alike in all of it are numbered, so that two loans in the same second count
    twice and the same file loaded again counts nothing.
    """

    _REFRESH_BATCH = 10_000

    def __init__(self, load, dry_run):
        super().__init__(load, dry_run)
        self._key = bytes.fromhex(self.source.sudo().key)
        self._today = fields.Date.context_today(load)
        self._services = {
            service.code: service
            for service in self.env["library.service"].search(
                [("company_id", "in", (self.company.id, False))],
                order="company_id DESC",
            )
        }
        self._branches = {
            code: branch.id
            for code, branch in self.read_codes("library.branch").items()
        }
        # Branches to be made, under an id below zero until they are.
        self._new_branches = {}
        self._staged = 0
        self.env.cr.execute(
            """
            DROP TABLE IF EXISTS pg_temp.library_usage_stage;
            CREATE TEMPORARY TABLE library_usage_stage (
                line int,
                key text,
                patron_id int,
                service_id int,
                branch_id int,
                date date,
                quantity int,
                channel text
            )
            """
        )

    def take(self, rows):
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
            if reason := self._get_refusal(values, patrons):
                self.refuse(row, reason)
                continue
            service = self._services[values["service_code"]]
            patron = self._get_patron(values, patrons)
            stage.write(
                f"{row.line}\t{self._get_external_ref(values['identity'])}\t"
                f"{patron or chr(92) + 'N'}\t{service.id}\t"
                f"{self._get_branch(values['branch_code'])}\t{values['date']}\t"
                f"{values['quantity']}\t{service.channel}\n"
            )
            self._staged += 1
        stage.seek(0)
        self.env.cr.copy_expert("COPY library_usage_stage FROM STDIN", stage)

    def _get_branch(self, code):
        if code in self._branches:
            return self._branches[code]
        return self._new_branches.setdefault(code, -len(self._new_branches) - 1)

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

    def _get_patron(self, values, patrons):
        return patrons.get(("ils_ref", values["ils_ref"])) or patrons.get(
            ("card_number", values["card_number"])
        )

    def _get_refusal(self, values, patrons):
        if values["service_code"] not in self._services:
            return self.describe_unknown("type", values["service_code"], self._services)
        if values["date"] > self._today:
            return self.env._(
                "datetime: %(date)s is in the future.",
                date=format_date(self.env, values["date"]),
            )
        if (
            values["branch_code"] not in self._branches
            and not self.source.create_missing
        ):
            return self.describe_unknown(
                "branch", values["branch_code"], self._branches
            )
        if (
            (values["ils_ref"] or values["card_number"])
            and not self._get_patron(values, patrons)
            and not self.source.count_unknown_patrons
        ):
            return self.env._(
                "%(column)s: “%(found)s” is no patron of %(library)s. Load the patrons "
                "first, or let the source count unknown patrons anonymously.",
                column="borrowernumber" if values["ils_ref"] else "cardnumber",
                found=values["ils_ref"] or values["card_number"],
                library=self.company.name,
            )
        return None

    def finish(self):
        """Cost: one sort of the rows of the file, one insertion of each new row, one
        look-up in the unique index for each row that is there already."""
        Usage = self.env["library.service.usage"]
        Usage.flush_model()
        with self.provisional():
            self._make_branches()
            [(added, patron_ids)] = self.env.execute_query(
                SQL(
                    """
                    WITH added AS (
                        INSERT INTO library_service_usage (
                               patron_id, service_id, branch_id, date, quantity,
                               channel, source_id, external_ref
                               )
                        SELECT patron_id, service_id, branch_id, date, quantity,
                               channel, %(source)s,
                               CASE WHEN place = 1 THEN key
                                    ELSE key || '.' || place END
                          FROM (
                                SELECT *,
                                       row_number() OVER (
                                           PARTITION BY key ORDER BY line
                                       ) AS place
                                  FROM library_usage_stage
                               ) staged
                      ORDER BY line
                   ON CONFLICT (source_id, external_ref)
                         WHERE external_ref IS NOT NULL
                            DO NOTHING
                     RETURNING patron_id
                    )
                    SELECT count(*), array_agg(DISTINCT patron_id)
                                     FILTER (WHERE patron_id IS NOT NULL)
                      FROM added
                    """,
                    source=self.source.id,
                )
            )
            Usage.invalidate_model()
            for ids in split_every(self._REFRESH_BATCH, patron_ids or []):
                Usage._refresh_patrons(self.env["library.patron"].browse(ids))
        self.env.cr.execute("DROP TABLE library_usage_stage")
        self.counts["new"] += added
        self.counts["unchanged"] += self._staged - added

    def _make_branches(self):
        for code, staged_id in self._new_branches.items():
            branch = self.make_code("library.branch", code)
            self.env.cr.execute(
                SQL(
                    "UPDATE library_usage_stage SET branch_id = %s "
                    "WHERE branch_id = %s",
                    branch.id,
                    staged_id,
                )
            )
