import base64
import csv
import io
from itertools import islice

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import split_every

from ..formats.encoding import ENCODINGS
from ..formats.mapped import MappingError
from ..formats.peers import FIELDS, Peers, look
from ..formats.table import FileError, RowError, guard_formula
from ..loaders import describe_file_error

_BATCH = 5000
_SHOWN_REFUSALS = 100
_SHOWN_ROWS = 5


class LibraryPeerImport(models.TransientModel):
    """Take over a national data set of libraries: a file is looked at, its columns are
    said to be what they seem to be, somebody looks at that and imports it.

    The same file again changes nothing. Rows that can not be used are told one by one,
    and given back as a file that can be mended and imported.
    """

    _name = "library.peer.import"
    _description = "Import of a Data Set of Libraries"

    state = fields.Selection(
        [("file", "File"), ("columns", "Columns"), ("done", "Done")],
        required=True,
        default="file",
        readonly=True,
    )
    # Kept in the row, which goes soon, and only until it is imported.
    file = fields.Binary(attachment=False)
    file_name = fields.Char()

    # The set
    set_id = fields.Many2one("library.peer.set", readonly=True, ondelete="cascade")
    name = fields.Char(string="Data Set")
    year = fields.Integer(
        default=lambda self: self.env.company._get_library_today().year - 1,
        help="Of the figures.",
    )
    company_id = fields.Many2one(
        "res.company", string="Library", help="Empty: all libraries may use it."
    )
    source = fields.Char()
    licence = fields.Char()
    currency_id = fields.Many2one(
        "res.currency", default=lambda self: self.env.company.currency_id
    )

    # How the file is read
    sheet = fields.Char(help="Of a workbook; empty: the first one.")
    header_line = fields.Integer(
        string="Names of the Columns on Line", help="0: it is looked for."
    )
    encoding = fields.Char(readonly=True)
    delimiter = fields.Char(readonly=True, trim=False)
    decimal_mark = fields.Selection(
        selection=lambda self: (
            self.env["library.peer.set"]
            ._fields["decimal_mark"]
            ._description_selection(self.env)
        ),
        string="Numbers Are Written with",
    )
    column_ids = fields.One2many(
        "library.peer.import.column", "import_id", string="Columns"
    )
    notes = fields.Text(readonly=True)

    # What came of it
    preview = fields.Html(readonly=True, sanitize=False)
    rows_new = fields.Integer(string="New", readonly=True)
    rows_changed = fields.Integer(string="Changed", readonly=True)
    rows_unchanged = fields.Integer(string="As They Were", readonly=True)
    rows_left_out = fields.Integer(string="Left Out", readonly=True)
    rows_refused = fields.Integer(string="Refused", readonly=True)
    figures_missing = fields.Integer(
        string="Figures That Are Not There",
        readonly=True,
        help="Empty cells, codes below zero and the like.",
    )
    refusals = fields.Text(string="Refused Rows", readonly=True)
    refused_file = fields.Binary(
        string="Refused Rows as a File", attachment=False, readonly=True
    )
    refused_file_name = fields.Char(default="refused.csv", readonly=True)

    # ------------------------------------------------------------
    # THE FILE
    # ------------------------------------------------------------

    def action_look(self):
        """Look at the file, and propose what its columns are."""
        self.ensure_one()
        if not self.file:
            raise UserError(self.env._("File: choose one first."))
        if not self.name or not self.year:
            raise UserError(
                self.env._("Data set: say what it is called, and of which year it is.")
            )
        try:
            head = look(self._open_file(), self.sheet or "", self.header_line)
        except FileError as error:
            raise UserError(describe_file_error(self.env, error)) from error
        known = self._find_known_columns()
        what = {
            column: known[column.lower()].what
            for column in head.samples
            if column.lower() in known
        }
        for field, column in head.columns.items():
            if field not in what.values():
                what.setdefault(column, field)
        self.write(
            {
                "state": "columns",
                "header_line": head.header_line,
                "encoding": head.encoding,
                "delimiter": head.delimiter,
                "decimal_mark": head.decimal_mark,
                "notes": bool(head.repeated)
                and self.env._(
                    "These columns stand twice and can not be read: %s.",
                    ", ".join(head.repeated),
                ),
                "column_ids": [
                    Command.clear(),
                    *(
                        Command.create(
                            {
                                "name": column,
                                "sample": sample[:60],
                                "what": what.get(column),
                                "left_out": column.lower() in known
                                and known[column.lower()].left_out,
                                # What needs no work comes last.
                                "sequence": 1 if what.get(column) else 2,
                            }
                        )
                        for column, sample in head.samples.items()
                    ),
                ],
            }
        )
        if {"name", "population"} <= set(self.column_ids.mapped("what")):
            return self.action_try()
        return self._show()

    def _open_file(self):
        return io.BytesIO(base64.b64decode(self.file))

    def _find_known_columns(self):
        """The columns of the set as it was imported before, else of the year before, by
        name."""
        peer_set = self._find_set()
        if not peer_set.column_ids:
            peer_set = (
                self.env["library.peer.set"]
                .new(
                    {
                        "name": self.name,
                        "year": self.year,
                        "company_id": self.company_id.id,
                    }
                )
                ._get_earlier()
            )
        return {column.name.lower(): column for column in peer_set.column_ids}

    def _find_set(self):
        return self.set_id or self.env["library.peer.set"].search(
            [
                ("name", "=", self.name),
                ("year", "=", self.year),
                ("company_id", "=", self.company_id.id),
            ]
        )

    def action_back(self):
        self.state = "file"
        return self._show()

    def _show(self):
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_peer_import_action"
            ),
            "res_id": self.id,
        }

    # ------------------------------------------------------------
    # THE ROWS
    # ------------------------------------------------------------

    def action_try(self):
        """Show what would come of it, and change nothing."""
        self.ensure_one()
        with self.env.cr.savepoint() as savepoint:
            values = self._take()
            savepoint.rollback()
        self.env.invalidate_all()
        self.write(values)
        return self._show()

    def action_import(self):
        """Take over the file."""
        self.ensure_one()
        values = self._take()
        self.write({**values, "state": "done", "file": False})
        return self._show()

    def action_open_set(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "library.peer.set",
            "res_id": self._find_set().id,
            "views": [(False, "form")],
        }

    def _make_format(self):
        columns = {}
        for column in self.column_ids.filtered("what"):
            if column.what in columns:
                raise UserError(
                    self.env._(
                        "“%(first)s” and “%(second)s” are both said to be “%(what)s”: "
                        "choose one of them.",
                        first=columns[column.what],
                        second=column.name,
                        what=column._get_label(),
                    )
                )
            columns[column.what] = column.name
        try:
            return Peers(
                columns,
                {
                    column.name: column.left_out.split(",")
                    for column in self.column_ids.filtered("left_out")
                },
                self.decimal_mark or ".",
                delimiter=self.delimiter or "",
                encoding=self.encoding if self.encoding in ENCODINGS else "utf-8",
                sheet=self.sheet or "",
                header_line=self.header_line or 1,
            )
        except MappingError as error:
            labels = dict(self.env["library.peer.column"]._selection_what())
            raise UserError(
                self.env._(
                    "Say which column is “%s”; without it nothing can be compared.",
                    labels[error.place],
                )
            ) from error

    def _take(self):
        """Take over the rows.

        :return: what came of it, as values of the wizard
        :rtype: dict
        """
        peers = self._make_format()
        peer_set = self._make_set()
        figures = [
            column.what
            for column in self.column_ids.filtered("what")
            if column.what not in FIELDS
        ]
        lines, shown, refused = {}, [], []
        new, changed, left_out, missing = 0, 0, 0, 0
        try:
            rows = peers.read_all(self._open_file())
            for batch in split_every(_BATCH, rows, list):
                taken = []
                for row in batch:
                    if len(shown) < _SHOWN_ROWS:
                        shown.append(row)
                    ref = row.values and row.values["ref"]
                    if ref and not row.error and ref in lines:
                        error = RowError("repeated", peers.ref, ref, str(lines[ref]))
                        row = row._replace(error=error)
                    if row.error:
                        refused.append(row)
                    elif not row.values:
                        left_out += 1
                    else:
                        lines[ref] = row.line
                        taken.append(row.values)
                        missing += len(figures) - len(row.values["figures"])
                added, altered = peer_set._merge(taken, figures)
                new += len(added)
                changed += len(altered)
        except FileError as error:
            raise UserError(describe_file_error(self.env, error)) from error
        self.env["library.peer.band"]._place(peer_set)
        peer_set._recognise_own()
        return {
            "preview": self._render(shown, figures),
            "rows_new": new,
            "rows_changed": changed,
            "rows_unchanged": len(lines) - new - changed,
            "rows_left_out": left_out,
            "rows_refused": len(refused),
            "figures_missing": missing,
            "refusals": "\n".join(
                map(self._describe, islice(refused, _SHOWN_REFUSALS))
            ),
            "refused_file": refused and self._write_refused(refused),
        }

    def _make_set(self):
        values = {
            "name": self.name,
            "year": self.year,
            "company_id": self.company_id.id,
            "source": self.source,
            "licence": self.licence,
            "currency_id": (self.currency_id or self.env.company.currency_id).id,
            "decimal_mark": self.decimal_mark,
            "column_ids": [
                Command.clear(),
                *(
                    Command.create(
                        {
                            "name": column.name,
                            "what": column.what,
                            "left_out": column.left_out,
                            "sequence": place,
                        }
                    )
                    for place, column in enumerate(self.column_ids)
                    if column.what or column.left_out
                ),
            ],
        }
        peer_set = self._find_set()
        if not peer_set:
            return peer_set.create(values)
        peer_set.write(values)
        return peer_set

    def _render(self, rows, figures):
        labels = dict(self.env["library.peer.column"]._selection_what())
        return self.env["ir.qweb"]._render(
            "library_crm.library_peer_preview",
            {
                "rows": [
                    {
                        "line": row.line,
                        "values": row.values or {},
                        "reason": self._describe(row)
                        if row.error
                        else not row.values and self.env._("Left out."),
                        "is_refused": bool(row.error),
                    }
                    for row in rows
                ],
                "figures": figures,
                "labels": labels,
            },
        )

    def _write_refused(self, rows):
        """The refused rows with the reason on each, to be mended and imported."""
        text = io.StringIO()
        columns = list(rows[0].cells) or [
            column.name for column in self.column_ids if column.what or column.left_out
        ]
        writer = csv.writer(text)
        writer.writerow(["line", "reason", *columns])
        for row in rows:
            cells = [row.cells.get(column, "") for column in columns]
            writer.writerow([row.line, self._describe(row), *map(guard_formula, cells)])
        return base64.b64encode(text.getvalue().encode())

    def _describe(self, row):
        """What is wrong with a row: the line, the column, what was found there and
        what was expected."""
        error = row.error
        names = {
            "line": row.line,
            "column": error.column,
            "found": error.found,
            "expected": error.expected,
        }
        texts = {
            "missing": lambda: self.env._(
                "Line %(line)s, %(column)s: found nothing, expected a value.", **names
            ),
            "population": lambda: self.env._(
                "Line %(line)s, %(column)s: found “%(found)s”, expected at least one "
                "person to be served.",
                **names,
            ),
            "number": lambda: self.env._(
                "Line %(line)s, %(column)s: found “%(found)s”, expected a number such "
                "as %(expected)s.",
                **names,
            ),
            "repeated": lambda: self.env._(
                "Line %(line)s, %(column)s: found “%(found)s”, which line %(expected)s "
                "has already; expected each library once.",
                **names,
            ),
            "width": lambda: self.env._(
                "Line %(line)s: found %(found)s cells, expected %(expected)s.", **names
            ),
            "too_long": lambda: self.env._(
                "Line %(line)s, %(column)s: found “%(found)s”, expected at most "
                "%(expected)s characters.",
                **names,
            ),
        }
        return texts.get(
            error.reason,
            lambda: self.env._(
                "Line %(line)s, %(column)s: found “%(found)s”, which can not be read.",
                **names,
            ),
        )()
