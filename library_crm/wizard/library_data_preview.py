import base64
import io
from contextlib import nullcontext
from itertools import islice
from tempfile import TemporaryFile

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command

from ..fetchers import FetchError
from ..formats.detect import detect
from ..formats.mapped import MappedFormat, Mapping, MappingError, ValueMap
from ..formats.table import FileError
from ..loaders import describe_file_error

_ROWS = 10


class LibraryDataPreview(models.TransientModel):
    """Look at the first rows of a file, or of another system, as they would be stored,
    and let the file say how it is to be read.

    Neither the file nor what is seen of it is kept anywhere.
    """

    _name = "library.data.preview"
    _description = "Preview of a Data Source"

    source_id = fields.Many2one("library.data.source", required=True, readonly=True)
    is_fetched = fields.Boolean(related="source_id.is_fetched")
    is_mapped = fields.Boolean(compute="_compute_is_mapped")
    # Not stored: it may hold columns that must not be kept.
    file = fields.Binary(string="Sample File", store=False)
    file_name = fields.Char(store=False)
    set_up_anew = fields.Boolean(
        string="Find Out Anew How to Read It",
        store=False,
        help="Off: read it as the source says.",
    )
    proposal = fields.Text(
        compute="_compute_proposal",
        store=True,
        readonly=False,
        help="How the file seems to be written.",
    )
    result = fields.Html(compute="_compute_result", sanitize=False)

    @api.depends("source_id")
    def _compute_is_mapped(self):
        for preview in self:
            preview.is_mapped = (preview.source_id.format or "").startswith("mapped_")

    @api.depends("file", "set_up_anew", "source_id")
    def _compute_proposal(self):
        for preview in self:
            guess = preview._guess()
            preview.proposal = guess and guess.mapping.to_json()

    @api.depends("file", "set_up_anew", "source_id")
    def _compute_result(self):
        for preview in self:
            if preview.file or preview.is_fetched:
                values = preview._prepare_result()
                preview.result = self.env["ir.qweb"]._render(
                    "library_crm.data_preview", values
                )
            else:
                preview.result = False

    # ------------------------------------------------------------
    # LOOKING
    # ------------------------------------------------------------

    def _guess(self):
        """How the file seems to be written, as ``formats.detect.Guess``; None where the
        source says it already, or the file can not be read."""
        self.ensure_one()
        is_open = self.set_up_anew or not self.source_id.column_ids
        if not (self.is_mapped and self.file and is_open):
            return None
        try:
            source = self.source_id
            guess = detect(self._open_file(), source.sheet or "", source.kind)
        except FileError:
            return None
        if source.branch_id and "branch_code" not in guess.mapping.columns:
            guess.mapping.value_maps["branch_code"] = ValueMap(
                default=source.branch_id.code
            )
        return guess

    def _open_file(self):
        return io.BytesIO(base64.b64decode(self.file or b""))

    def _prepare_result(self):
        """What the template shows."""
        self.ensure_one()
        source = self.source_id
        guess = self._guess()
        values = {"guess": guess, "preview": self, "rows": [], "names": [], "notes": []}
        if guess:
            values["facts"] = self._describe_guess(guess)
            values["notes"] = [self._describe_note(note) for note in guess.notes]
        try:
            file_format = (
                MappedFormat(guess.mapping) if guess else source._make_file_format()
            )
            with (
                source._make_fetcher().fetch(sample=True)
                if self.is_fetched
                else nullcontext(self._open_file())
            ) as found:
                if not found:
                    return {**values, "problem": self.env._("There is nothing new.")}
                file = found.file if self.is_fetched else found
                self._read(file, file_format, values)
        except FileError as error:
            values["problem"] = describe_file_error(self.env, error)
        except MappingError as error:
            values["problem"] = source._describe_mapping_error(error)
        except (FetchError, UserError) as error:
            values["problem"] = str(error)
        return values

    def _read(self, file, file_format, values):
        with TemporaryFile() as cleaned:
            summary = file_format.clean(file, cleaned)
            cleaned.seek(0)
            load = self.env["library.data.load"].new(
                {"source_id": self.source_id.id, "details": summary.details}
            )
            loader = self.source_id._get_loader()(load, file_format, True)
            if summary.details:
                loader.begin()
            codes = self._get_codes()
            rows = [
                self._describe_row(file_format.convert(row), loader, codes)
                for row in islice(file_format.rows(cleaned), _ROWS)
            ]
        values["notes"] += loader.notes
        values["summary"] = summary
        values["rows"] = rows
        values["names"] = list(
            dict.fromkeys(name for row in rows for name in row["values"])
        )
        values["labels"] = self._get_labels()

    def _get_codes(self):
        """By field, the names of our branches, categories and services by code."""
        company = self.source_id.company_id.id
        return {
            field: {
                record.code: record.name
                for record in self.env[model]
                .with_context(active_test=False)
                .search([("company_id", "in", (company, False))])
            }
            for field, model in (
                ("branch_code", "library.branch"),
                ("category_code", "library.patron.category"),
                ("service_code", "library.service"),
            )
        }

    def _describe_row(self, row, loader, codes):
        shown = {
            name: value
            for name, value in (row.values or {}).items()
            if name != "identity"
        }
        reason = row.error and loader.describe(row.error)
        for field, names in codes.items():
            code = shown.get(field)
            if code in names:
                shown[field] = names[code]
            elif code and (
                field == "service_code" or not self.source_id.create_missing
            ):
                reason = reason or loader.describe_unknown(field, code, names)
        if "use" in shown:
            shown["use"] = codes["service_code"].get(shown["use"], shown["use"])
        is_refused = bool(reason)
        if row.values and shown.get("service_code", True) is None:
            reason = self.env._("No use of a service: it is not counted.")
        return {
            "line": row.line,
            "values": shown,
            "reason": reason,
            "is_refused": is_refused,
            "cells": ", ".join(filter(None, row.cells.values()))[:200],
        }

    def _get_labels(self):
        return {
            **dict(
                self.env["library.data.column"]
                ._fields["field"]
                ._description_selection(self.env)
            ),
            "platform": self.env._("Platform"),
            "database": self.env._("Database"),
            "month": self.env._("Month"),
            "use": self.env._("Service"),
        }

    def _describe_guess(self, guess):
        """What was found out, as pairs of texts."""
        labels = dict(
            self.source_id._fields["date_format"]._description_selection(self.env)
        )
        marks = dict(
            self.source_id._fields["delimiter"]._description_selection(self.env)
        )
        facts = [
            (self.env._("Looks like a file of"), guess.system),
            (self.env._("Written in"), guess.encoding.upper()),
            (self.env._("Columns parted by"), marks.get(guess.delimiter)),
            (self.env._("Names of the columns on line"), guess.header_line),
            (self.env._("Sheets"), ", ".join(guess.sheets[:10])),
        ]
        for found in guess.dates:
            if found.evidence and found.date_format:
                text = self.env._(
                    "as in %(example)s: line %(line)s says “%(found)s”",
                    example=labels[found.date_format],
                    line=found.evidence.line,
                    found=found.evidence.found,
                )
                facts.append((self.env._("Days in “%s”", found.column), text))
        return [(label, fact) for label, fact in facts if fact]

    def _describe_note(self, note):
        names = {
            "line": note.line,
            "column": note.column,
            "found": note.found,
            "expected": note.expected,
        }
        texts = {
            "encoding": lambda: self.env._(
                "Line %(line)s tells the encoding: “%(found)s”.", **names
            ),
            "mixed_encoding": lambda: self.env._(
                "Line %(line)s is in another encoding than the rest: “%(found)s”. Such "
                "rows are refused.",
                **names,
            ),
            "encoded_twice": lambda: self.env._(
                "Line %(line)s was spoilt before it came here: “%(found)s”.", **names
            ),
            "no_header": lambda: self.env._(
                "The first line seems to be no names of columns: “%(found)s”.", **names
            ),
            "repeated_column": lambda: self.env._(
                "The column “%(column)s” stands twice: it can not be read.", **names
            ),
            "two_digit_year": lambda: self.env._(
                "Line %(line)s, %(column)s: “%(found)s” has a year of two digits. Such "
                "rows are refused; export the years with four.",
                **names,
            ),
            "ambiguous_date": lambda: self.env._(
                "%(column)s: nothing says whether “%(found)s” (line %(line)s) begins "
                "with the day or the month. Choose the way to write a day on the "
                "source.",
                **names,
            ),
            "day_and_month_swapped": lambda: self.env._(
                "Line %(line)s, %(column)s: “%(found)s” has day and month the other "
                "way round than %(expected)s.",
                **names,
            ),
            "leading_zeros": lambda: self.env._(
                "Line %(line)s, %(column)s: “%(found)s” is a number of the workbook; "
                "zeros before it are lost. Format the column as text.",
                **names,
            ),
            "spreadsheet_number": lambda: self.env._(
                "Line %(line)s, %(column)s: “%(found)s” was rounded by a spreadsheet.",
                **names,
            ),
            "unknown_service": lambda: self.env._(
                "Line %(line)s, %(column)s: “%(found)s” is no known kind of use. Say "
                "under Values which service it is.",
                **names,
            ),
        }
        return texts.get(
            note.reason,
            lambda: self.env._(
                "Line %(line)s, %(column)s: “%(found)s” looks wrong.", **names
            ),
        )()

    # ------------------------------------------------------------
    # TAKING OVER
    # ------------------------------------------------------------

    def action_apply(self):
        """Let the source read files as this one was found to be written."""
        self.ensure_one()
        if not self.proposal:
            raise UserError(
                self.env._("Choose a sample file; there is nothing to take over yet.")
            )
        # What is missing from it is then said on the source.
        mapping = Mapping.from_json(self.proposal, is_whole=False)
        codes = {
            code
            for value_map in mapping.value_maps.values()
            for code in (*value_map.values.values(), value_map.default)
        }
        services = {
            service.code: service.id
            for service in self.env["library.service"].search(
                [
                    ("code", "in", list(filter(None, codes))),
                    ("company_id", "in", (self.source_id.company_id.id, False)),
                ],
                order="company_id DESC",
            )
        }
        kinds = mapping.value_maps.get("service_code")
        found = list(kinds.values.items()) if kinds else []
        if kinds and kinds.default is not None:
            found.append((False, kinds.default))
        source = self.source_id
        source.service_value_ids.unlink()
        source.write(
            {
                "date_format": mapping.date_format,
                "delimiter": mapping.delimiter or False,
                "encoding": mapping.encoding,
                "sheet": mapping.sheet or False,
                "header_line": mapping.header_line,
                "family_name_first": mapping.family_name_first,
                "column_ids": [
                    Command.clear(),
                    *(
                        Command.create(
                            {"field": name, "name": column, "sequence": place}
                        )
                        for place, (name, column) in enumerate(
                            (name, column)
                            for name, columns in mapping.columns.items()
                            for column in columns
                        )
                    ),
                ],
                "value_ids": [
                    Command.create(
                        {
                            "field": "service_code",
                            "found": text,
                            "service_id": services.get(code, False),
                        }
                    )
                    for text, code in found
                ],
            }
        )
        return {"type": "ir.actions.act_window_close"}
