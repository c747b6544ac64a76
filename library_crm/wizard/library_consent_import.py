import base64
import io
from collections import defaultdict
from datetime import datetime, time

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import split_every

from ..formats.consents import Consents
from ..formats.table import FileError, RowError
from ..loaders import describe_file_error

_BATCH = 1000
_SHOWN_REFUSALS = 500


class LibraryConsentImport(models.TransientModel):
    """Take over what patrons agreed to elsewhere, with the day and the proof.

    A row counts from its day on, so an old yes does not undo a later no. On its day a
    yes counts from the morning and a no until the evening: where both were said, the no
    holds. The same file again adds nothing.
    """

    _name = "library.consent.import"
    _description = "Import of Consents"

    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        default=lambda self: self.env.company,
    )
    # Kept in the row, which goes soon, and only until it is imported.
    file = fields.Binary(string="CSV File", attachment=False)
    file_name = fields.Char()
    date_format = fields.Selection(
        selection=lambda self: (
            self.env["library.data.source"]
            ._fields["date_format"]
            ._description_selection(self.env)
        ),
        required=True,
        default="iso",
    )
    is_dry_run = fields.Boolean(
        string="Only Try",
        default=True,
        help="Say what would happen, and change nothing.",
    )
    is_done = fields.Boolean(readonly=True)
    rows_new = fields.Integer(string="New", readonly=True)
    rows_known = fields.Integer(string="Known Already", readonly=True)
    rows_refused = fields.Integer(string="Refused", readonly=True)
    refusals = fields.Text(string="Refused Rows", readonly=True)

    def action_import_tried(self):
        """What was only tried is to be done."""
        self.is_dry_run = False
        return self.action_import()

    def action_import(self):
        """Read the file, and show the same form with what has come of it."""
        self.ensure_one()
        if not self.file:
            raise UserError(self.env._("CSV file: choose one first."))
        new, known, refusals = self._take(io.BytesIO(base64.b64decode(self.file)))
        self.write(
            {
                "is_done": True,
                "file": self.is_dry_run and self.file,
                "rows_new": new,
                "rows_known": known,
                "rows_refused": len(refusals),
                "refusals": "\n".join(refusals[:_SHOWN_REFUSALS]),
            }
        )
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Import Consents"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    def _take(self, file):
        """Take the rows of a file, or only try to.

        :param file: binary file object
        :return: how many were new, how many known, and what is wrong with the others
        :rtype: tuple[int, int, list[str]]
        """
        new, known, refusals = 0, 0, []
        try:
            rows = Consents(self.date_format).read_all(file)
            for batch in split_every(_BATCH, rows, list):
                found = self._find_patrons(batch)
                purposes = {
                    purpose.code: purpose
                    for purpose in self.env["library.consent.purpose"].search([])
                }
                wanted = {}
                for row in batch:
                    try:
                        values = self._prepare_consent_values(row, found, purposes)
                    except RowError as error:
                        refusals.append(self._describe(row, error))
                        continue
                    key = self._get_key(values)
                    known += key in wanted
                    wanted.setdefault(key, values)
                there = self._find_known(wanted)
                known += len(there)
                values_list = [wanted[key] for key in wanted if key not in there]
                new += len(values_list)
                if not self.is_dry_run:
                    self.env["library.consent"].create(values_list)
        except FileError as error:
            raise UserError(describe_file_error(self.env, error)) from error
        return new, known, refusals

    def _find_patrons(self, rows):
        """The patrons whom rows are about.

        :return: patrons by card number, and by normalised address
        :rtype: dict[str, library.patron]
        """
        values = [row.values for row in rows if row.values]
        Patron = self.env["library.patron"].with_context(active_test=False)
        found = defaultdict(Patron.browse)
        cards = {line["card_number"] for line in values if line["card_number"]}
        emails = {line["email"] for line in values if not line["card_number"]}
        in_library = Domain("company_id", "=", self.company_id.id)
        for patron in Patron.search(in_library & Domain("card_number", "in", cards)):
            found[patron.card_number] |= patron
        for patron in Patron.search(
            in_library & Domain("email_normalized", "in", emails)
        ):
            found[patron.email_normalized] |= patron
        return found

    def _prepare_consent_values(self, row, found, purposes):
        """Values of a row of the ledger; a hook.

        :raise RowError: if there is something wrong with it
        """
        if row.error:
            raise row.error
        values = row.values
        column = "card_number" if values["card_number"] else "email"
        patrons = found[values[column]]
        if not patrons:
            raise RowError("unknown_patron", column, values[column])
        if len(patrons) > 1:
            raise RowError("many_patrons", column, values[column], str(len(patrons)))
        purpose = purposes.get(values["purpose"])
        if not purpose or not purpose.is_refusable:
            codes = (code for code in purposes if purposes[code].is_refusable)
            raise RowError(
                "choice", "purpose", values["purpose"], ", ".join(sorted(codes))
            )
        now = fields.Datetime.now()
        if values["date"] > now.date():
            raise RowError("future", "date", str(values["date"]))
        of_day = time.min if values["state"] == "given" else time(23, 59, 59)
        return {
            "patron_id": patrons.id,
            "purpose_id": purpose.id,
            "channel": values["channel"],
            "state": values["state"],
            "source": "import",
            "date": min(datetime.combine(values["date"], of_day), now),
            "proof": values["proof"],
        }

    def _get_key(self, values):
        """What makes two rows the same."""
        return (
            *(values["patron_id"], values["purpose_id"], values["channel"]),
            *(values["state"], values["date"].date(), values["proof"]),
        )

    def _find_known(self, wanted):
        """Which of these are in the ledger already."""
        rows = self.env["library.consent"].search(
            [
                ("patron_id", "in", list({key[0] for key in wanted})),
                ("source", "=", "import"),
            ]
        )
        there = {
            self._get_key(
                {
                    "patron_id": row.patron_id.id,
                    "purpose_id": row.purpose_id.id,
                    "channel": row.channel,
                    "state": row.state,
                    "date": row.date,
                    "proof": row.proof,
                }
            )
            for row in rows
        }
        return there & wanted.keys()

    def _describe(self, row, error):
        """What is wrong with a row: the line, the column, what was found there and
        what was expected."""
        names = {
            "line": row.line,
            "column": error.column,
            "found": error.found,
            "expected": error.expected,
        }
        if error.reason == "missing":
            return self.env._("Line %(line)s, %(column)s: the cell is empty.", **names)
        if error.reason == "unknown_patron":
            return self.env._(
                "Line %(line)s, %(column)s: found “%(found)s”, expected a patron of "
                "this library.",
                **names,
            )
        if error.reason == "many_patrons":
            return self.env._(
                "Line %(line)s, %(column)s: found “%(found)s”, which %(expected)s "
                "patrons share; expected one. Give the card number.",
                **names,
            )
        if error.reason == "future":
            return self.env._(
                "Line %(line)s, %(column)s: found %(found)s, expected a day that is "
                "not in the future.",
                **names,
            )
        if error.reason == "too_long":
            return self.env._(
                "Line %(line)s, %(column)s: found “%(found)s”, expected at most "
                "%(expected)s characters.",
                **names,
            )
        if error.column:
            return self.env._(
                "Line %(line)s, %(column)s: found “%(found)s”, expected %(expected)s.",
                **{**names, "expected": error.expected or self.env._("another value")},
            )
        return self.env._(
            "Line %(line)s: the row can not be read; is a quote not closed, or a cell "
            "missing?",
            **names,
        )
