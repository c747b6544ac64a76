import base64
import contextlib
import csv
import errno
import io
import logging
import mmap
from collections import Counter
from datetime import timedelta
from itertools import islice
from tempfile import TemporaryFile, gettempdir

from psycopg2.errors import SerializationFailure

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, config
from odoo.tools.misc import split_every

from ..formats.table import FileError, guard_formula
from ..loaders import describe_file_error

_logger = logging.getLogger(__name__)


class SourceBusy(UserError):
    """Another load of the source is running."""


class LibraryDataLoad(models.Model):
    """One run of a source: a file goes in, counts and refused rows come out.

    Columns that may not be kept are cut out of the file before it is stored, and
    named. The file is deleted as soon as it is loaded. Loading the same file again
    changes nothing, so whatever interrupts a load, it can be run again.
    """

    _name = "library.data.load"
    _description = "Data Load"
    _order = "id desc"
    _rec_name = "file_name"
    _check_company_auto = True
    _library_personal_data = {"*": "load", "user_id": "staff"}

    #: Rows up to which a load runs while the user waits; more go to the job.
    _AT_ONCE_ROWS = 2000
    _BATCH = 5000
    #: When the job looks again for a load that had to wait for another.
    _COME_BACK = timedelta(seconds=20)

    # What
    source_id = fields.Many2one(
        "library.data.source",
        required=True,
        index=True,
        ondelete="restrict",
    )
    company_id = fields.Many2one(related="source_id.company_id", store=True, index=True)
    file = fields.Binary(
        attachment=True,
        copy=False,
        help="Deleted as soon as it is loaded.",
    )
    file_name = fields.Char(copy=False)
    user_id = fields.Many2one(
        "res.users",
        string="Loaded by",
        readonly=True,
        copy=False,
        default=lambda self: self.env.user,
    )

    # Of what was fetched
    cursor = fields.Char(
        readonly=True, copy=False, help="Where to fetch on once this is loaded."
    )
    is_delta = fields.Boolean(
        string="Changes Only",
        readonly=True,
        copy=False,
        help="It holds what has changed, and not all there is.",
    )
    digest = fields.Char(readonly=True, copy=False, help="Tells this file from others.")

    # How far
    state = fields.Selection(
        [
            ("draft", "New"),
            ("queued", "Waiting"),
            ("running", "Running"),
            ("done", "Done"),
            ("failed", "Failed"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        readonly=True,
        default="draft",
        copy=False,
        index=True,
    )
    is_dry_run = fields.Boolean(string="Dry Run", readonly=True, copy=False)
    started_on = fields.Datetime(readonly=True, copy=False)
    ended_on = fields.Datetime(readonly=True, copy=False)
    progress = fields.Float(
        compute="_compute_progress", help="Of the rows of the file, in percent."
    )
    rows_total = fields.Integer(string="Rows", readonly=True, copy=False)
    rows_read = fields.Integer(readonly=True, copy=False)
    rows_new = fields.Integer(string="New", readonly=True, copy=False)
    rows_changed = fields.Integer(string="Changed", readonly=True, copy=False)
    rows_unchanged = fields.Integer(
        string="Unchanged",
        readonly=True,
        copy=False,
        help="They were there already, with the same values.",
    )
    rows_ignored = fields.Integer(
        string="Ignored",
        readonly=True,
        copy=False,
        help="They are no use of a service, e.g. payments.",
    )
    rows_refused = fields.Integer(string="Refused", readonly=True, copy=False)

    # What was found
    columns = fields.Char(string="Columns Read", readonly=True, copy=False)
    forbidden_columns = fields.Char(
        string="Dropped: May Not Be Kept",
        readonly=True,
        copy=False,
        help="Passwords, notes about people, what was borrowed: these columns were "
        "cut out before the file was stored.",
    )
    unused_columns = fields.Char(
        string="Dropped: Not Needed",
        readonly=True,
        copy=False,
        help="Known columns that nothing here makes use of.",
    )
    unknown_columns = fields.Char(
        string="Dropped: Unknown",
        readonly=True,
        copy=False,
        help="Columns that the format does not know.",
    )
    message = fields.Text(string="What Went Wrong", readonly=True, copy=False)
    details = fields.Json(
        readonly=True, copy=False, help="What the file says of itself."
    )
    notes = fields.Json(readonly=True, copy=False)
    notes_text = fields.Text(string="Remarks", compute="_compute_notes_text")
    refusal_ids = fields.One2many(
        "library.data.refusal", "load_id", string="Refused Rows", readonly=True
    )
    refused_file = fields.Binary(compute="_compute_refused_file")
    refused_file_name = fields.Char(compute="_compute_refused_file_name")

    # ------------------------------------------------------------
    # COMPUTES
    # ------------------------------------------------------------

    @api.depends(
        *("state", "rows_total", "rows_read", "rows_new", "rows_changed"),
        *("rows_unchanged", "rows_ignored", "rows_refused"),
    )
    def _compute_progress(self):
        """Half of the work is to read a row, the other half to know what comes of it;
        some formats do both at once."""
        for load in self:
            if load.state == "done":
                load.progress = 100
            else:
                done = load.rows_read + load._get_rows_counted()
                load.progress = min(50 * done / (load.rows_total or 1), 99)

    @api.depends("notes", "details")
    def _compute_notes_text(self):
        for load in self:
            remarks = dict.fromkeys((load.details or {}).get("remarks", ()), 1)
            load.notes_text = "\n".join(
                f"{note} ({count})" if count > 1 else note
                for note, count in {**remarks, **(load.notes or {})}.items()
            )

    @api.depends("file_name")
    def _compute_refused_file_name(self):
        for load in self:
            name = (load.file_name or "").rpartition(".")[0] or load.file_name or ""
            load.refused_file_name = self.env._("%s refused.csv", name)

    @api.depends("refusal_ids", "columns")
    def _compute_refused_file(self):
        """The refused rows with line and reason, to be mended and loaded again. The
        columns that may not be kept are not in it."""
        for load in self:
            output = io.StringIO()
            writer = csv.writer(output, lineterminator="")
            output.write(f"line,reason,{(load.columns or '').replace(', ', ',')}\r\n")
            for refusal in load.refusal_ids:
                writer.writerow([refusal.line, guard_formula(refusal.reason)])
                output.write(f",{refusal.content or ''}\r\n")
            load.refused_file = (
                base64.b64encode(output.getvalue().encode("utf-8-sig"))
                if load.refusal_ids
                else False
            )

    # ------------------------------------------------------------
    # THE FILE
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        default = self.default_get(["source_id"]).get("source_id")
        Source = self.env["library.data.source"]
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._storing())
            cleaned = [
                self._clean_values(
                    Source.browse(vals.get("source_id") or default or ()), vals, stack
                )
                for vals in vals_list
            ]
            loads = super().create([vals for vals, __ in cleaned])
            for load, (__, file) in zip(loads, cleaned, strict=True):
                load._attach(file)
        return loads

    def write(self, vals):
        if vals.get("file"):
            self.ensure_one()
            source = self.env["library.data.source"].browse(vals.get("source_id") or ())
            self.sudo().refusal_ids.unlink()
            with contextlib.ExitStack() as stack:
                stack.enter_context(self._storing())
                vals, file = self._clean_values(source or self.source_id, vals, stack)
                restart = self._prepare_restart_values()
                result = super().write(
                    {**vals, **restart, "started_on": False, "state": "draft"}
                )
                self._attach(file)
            return result
        if vals.get("source_id") not in (None, *self.source_id.ids):
            # The file was cleaned by the format of the old source.
            vals = {**vals, "file": False}
        return super().write(vals)

    @api.model
    def _receive(self, source, parcel):
        """Keep what was fetched as a load that waits, or as a failed one that says why
        it can not be read.

        :param source: ``library.data.source``
        :param fetchers.Parcel parcel: what was fetched
        """
        values = {
            "source_id": source.id,
            "file_name": parcel.name,
            "cursor": parcel.cursor,
            "is_delta": parcel.is_delta,
            "digest": parcel.digest,
        }
        with self._storing(), TemporaryFile() as cleaned:
            try:
                summary = self._clean(source, parcel.file, cleaned)
            except UserError as error:
                return self.create(
                    {
                        **values,
                        "state": "failed",
                        "message": str(error),
                        "ended_on": fields.Datetime.now(),
                    }
                )
            if parcel.dropped:
                summary["forbidden_columns"] = ", ".join(parcel.dropped)
            if parcel.remarks:
                summary["details"] = {"remarks": parcel.remarks}
            load = self.create({**values, **summary, "state": "queued"})
            load._attach(cleaned)
        return load

    @api.model
    def _receive_sent(self, source, file, dry_run=False):
        """Take what a tool has sent, and count it at once if that is possible.

        :param source: ``library.data.source``
        :param file: binary file object
        :raise UserError: if it can not be read
        """
        with self._storing(), TemporaryFile() as cleaned:
            load = self.create(
                {
                    "source_id": source.id,
                    "file_name": self.env._("Sent by %s", self.env.user.name),
                    "is_delta": True,
                    **self._clean(source, file, cleaned),
                }
            )
            load._attach(cleaned)
        load._request(dry_run=dry_run)
        return load

    def _clean_values(self, source, vals, stack):
        """Take the file out of the values and clean it; without a source nobody can
        tell what may be kept, so nothing is.

        :return: the values and the cleaned file, or None
        """
        if not vals.get("file"):
            return vals, None
        content = io.BytesIO(base64.b64decode(vals["file"]))
        vals = {**vals, "file": False}
        if not source:
            return vals, None
        cleaned = stack.enter_context(TemporaryFile())
        return {**vals, **self._clean(source, content, cleaned)}, cleaned

    def _attach(self, file):
        """Keep a cleaned file beside the load.

        Not by the field itself: that would hold it in memory three times, and Odoo
        would put the words of a text file into the database.
        """
        if not file:
            return
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            self.env["ir.attachment"].sudo().create(
                {
                    "name": "file",
                    "res_model": self._name,
                    "res_field": "file",
                    "res_id": self.id,
                    "type": "binary",
                    "mimetype": "application/csv",
                    "raw": content if self._is_in_filestore() else bytes(content),
                }
            )
        self.invalidate_recordset(["file"])

    def _is_in_filestore(self):
        return self.env["ir.attachment"]._storage() != "db"

    @api.model
    def _clean(self, source, file, target):
        """Copy a file without the columns that are not used.

        :param source: ``library.data.source``
        :param file: binary file object, open for reading
        :param target: binary file object, open for writing
        :return: values of this model that say what was seen
        :raise UserError: if the file can not be read
        """
        # The settings of the source are for managers; who sends need not be one.
        file_format = source.sudo()._make_file_format()
        try:
            summary = file_format.clean(file, target)
        except FileError as error:
            raise UserError(describe_file_error(self.env, error)) from error
        return {
            "rows_total": summary.rows,
            "columns": ", ".join(summary.columns),
            "forbidden_columns": ", ".join(summary.forbidden) or False,
            "unused_columns": ", ".join(summary.unused) or False,
            "unknown_columns": ", ".join(summary.unknown) or False,
            "details": summary.details or False,
        }

    @api.model
    @contextlib.contextmanager
    def _storing(self):
        """Where there is no room for a file, say so, and what to do."""
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise UserError(
                self.env._(
                    "There is no room for the file on the server (%(error)s). Nothing "
                    "of it was kept. Make room on the disk of %(files)s and of "
                    "%(temporary)s, then load the same file again.",
                    error=error.strerror,
                    files=config["data_dir"],
                    temporary=gettempdir(),
                )
            ) from error

    @contextlib.contextmanager
    def _open_file(self):
        attachment = (
            self.env["ir.attachment"]
            .sudo()
            .search(
                [
                    ("res_model", "=", self._name),
                    ("res_id", "=", self.id),
                    ("res_field", "=", "file"),
                ]
            )
        )
        if not attachment:
            raise UserError(self.env._("File: choose one to load."))
        if attachment.store_fname:
            # As a stream: a year's use of a large library does not fit in memory.
            with open(attachment._full_path(attachment.store_fname), "rb") as file:
                yield file
        else:
            yield io.BytesIO(attachment.raw)

    # ------------------------------------------------------------
    # RUNNING
    # ------------------------------------------------------------

    def _run(self, commit=False, file=None):
        """Merge the file, from the beginning, or where an interrupted run stopped.

        What goes wrong with the file as a whole is written down as the message of
        the load; what goes wrong with a row refuses the row.

        :param bool commit: keep each batch as soon as it is done
        :param file: the cleaned file; where it is not given, the stored one
        :return: whether the load has come to an end (else its time was up)
        :raise SourceBusy: if another load of the source is running
        """
        self.ensure_one()
        if not self._try_lock(commit):
            raise SourceBusy(
                self.env._(
                    "Another load of %(name)s is running. Wait until it is done.",
                    name=self.source_id.name,
                )
            )
        load = (
            self.sudo()
            .with_company(self.company_id)
            .with_context(
                active_test=False,
                lang=self.user_id.lang,
                tz=self.user_id.tz,
                mail_create_nolog=True,
                mail_create_nosubscribe=True,
                mail_notrack=True,
                tracking_disable=True,
            )
        )
        try:
            return load._run_locked(commit, file)
        finally:
            if commit:
                self.env.cr.execute(
                    SQL("SELECT pg_advisory_unlock(%s, %s)", *self._get_lock_key())
                )

    def _run_locked(self, commit, file):
        if commit:
            # From here on it is seen what others kept before they let go of the source.
            self._commit(0)
            if self.state not in ("draft", "queued", "running"):
                return True
        try:
            if self.state != "running":
                self._restart()
            self.write({"state": "running", "message": False})
            if commit:
                self._commit(0)
                return self._merge(commit, file)
            with self.env.cr.savepoint():
                return self._merge(commit, file)
        except SerializationFailure:
            if not commit:
                raise
            # Somebody else has written on this load: has it been cancelled? Then what
            # is not kept yet is given up. If not, the job carries on from there.
            self.env.cr.rollback()
            if self.state != "cancelled":
                _logger.warning("Load %s was disturbed and is carried on", self.id)
            return self.state == "cancelled"
        except Exception as error:
            if commit:
                self.env.cr.rollback()
            if isinstance(error, FileError):
                message = describe_file_error(self.env, error)
            elif isinstance(error, UserError):
                message = str(error)
            else:
                _logger.exception("Load %s failed", self.id)
                message = self.env._(
                    "An unexpected error (%s); the log of the server says more. The "
                    "load can be run again.",
                    type(error).__name__,
                )
            self.write(
                {
                    "state": "failed",
                    "message": message,
                    "ended_on": fields.Datetime.now(),
                }
            )
            if commit:
                self._commit(0)
            return True

    def _merge(self, commit, file):
        source = self.source_id
        file_format = source._make_file_format()
        loader = source._get_loader()(self, file_format, self.is_dry_run)
        with contextlib.nullcontext(file) if file else self._open_file() as cleaned:
            if not self.rows_read:
                loader.begin()
            rows = file_format.rows(cleaned)
            for batch in split_every(self._BATCH, islice(rows, self.rows_read)):
                loader.skip(batch)
            for batch in split_every(self._BATCH, rows):
                loader.take(batch)
                if commit:
                    self._hold()
                self._collect(loader, len(batch))
                if commit:
                    seconds_left = self._commit(len(batch))
                    if not seconds_left:
                        return False
                self.env.invalidate_all()
        for __ in loader.finish():
            if commit:
                self._hold()
            self._collect(loader, 0)
            if commit and not self._commit(0):
                return False
        self._collect(loader, 0)
        self.write(
            {
                "state": "done",
                "ended_on": fields.Datetime.now(),
                **({} if self.is_dry_run else {"file": False}),
            }
        )
        if not self.is_dry_run:
            source._note_loaded(self)
        if commit:
            self._commit(0)
        return True

    def _hold(self):
        """Let nobody write on the load before the commit.

        :raise SerializationFailure: if somebody has, since the last commit: quietly,
            since it is how a user cancels
        """
        self.flush_recordset(["state"])
        self.env.cr.execute(
            SQL(
                "SELECT state FROM library_data_load WHERE id = %s FOR NO KEY UPDATE",
                self.id,
            ),
            log_exceptions=False,
        )
        # It may have been written before the transaction began to look.
        if self.env.cr.fetchone() != ("running",):
            raise SerializationFailure

    def _collect(self, loader, read):
        """Write down how far the load is, and take over what the loader refused."""
        counts, notes = loader.counts, Counter(self.notes or {})
        notes.update(loader.notes)
        self.env["library.data.refusal"].create(
            [
                {
                    "load_id": self.id,
                    "line": row.line,
                    "reason": reason,
                    "content": self._write_row(row.cells),
                }
                for row, reason in loader.refusals
            ]
        )
        self.write(
            {
                "rows_read": self.rows_read + read,
                "rows_new": self.rows_new + counts["new"],
                "rows_changed": self.rows_changed + counts["changed"],
                "rows_unchanged": self.rows_unchanged + counts["unchanged"],
                "rows_ignored": self.rows_ignored + counts["ignored"],
                "rows_refused": self.rows_refused + len(loader.refusals),
                "notes": dict(notes),
            }
        )
        counts.clear()
        loader.notes.clear()
        loader.refusals.clear()

    def _write_row(self, cells):
        output = io.StringIO()
        csv.writer(output, lineterminator="").writerow(
            [guard_formula(cell.replace("\0", "")) for cell in cells.values()]
        )
        return output.getvalue()

    def _commit(self, read):
        """Keep what was done, and say how many seconds are left to this run."""
        ended = self.state != "running"
        remaining = 0 if ended else max(self.rows_total - self._get_rows_counted(), 1)
        return self.env["ir.cron"]._commit_progress(read, remaining=remaining)

    def _get_rows_counted(self):
        """Of how many rows the outcome is known."""
        self.ensure_one()
        return (
            self.rows_new
            + self.rows_changed
            + self.rows_unchanged
            + self.rows_ignored
            + self.rows_refused
        )

    def _restart(self):
        self.write(self._prepare_restart_values())
        self.refusal_ids.unlink()

    def _prepare_restart_values(self):
        return {
            "rows_read": 0,
            "rows_new": 0,
            "rows_changed": 0,
            "rows_unchanged": 0,
            "rows_ignored": 0,
            "rows_refused": 0,
            "notes": False,
            "message": False,
            "started_on": fields.Datetime.now(),
            "ended_on": False,
        }

    def _get_lock_key(self):
        return SQL("hashtext('library_data_source')"), self.source_id.id

    def _try_lock(self, session):
        """Let no second load of the source run beside this one.

        :param bool session: hold the lock over commits, until it is given back; else
            to the end of the transaction. Either way it goes with the connection, so
            a load that was killed bars nobody.
        """
        lock = SQL("pg_try_advisory_lock" if session else "pg_try_advisory_xact_lock")
        [(locked,)] = self.env.execute_query(
            SQL("SELECT %s(%s, %s)", lock, *self._get_lock_key())
        )
        return locked

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_dry_run(self):
        """Say what loading would do, and change nothing."""
        return self._request(dry_run=True)

    def action_run(self):
        """Load: a small file at once, a large one by the job, one after the other."""
        return self._request(dry_run=False)

    def _request(self, dry_run):
        for load in self:
            if not load.with_context(bin_size=True).file:
                raise UserError(load.env._("File: choose one to load."))
            is_free = load._try_lock(session=False)
            if load.state == "running" and not is_free:
                raise UserError(load.env._("This load is running already."))
            load.write(
                {
                    **load._prepare_restart_values(),
                    "started_on": False,
                    "state": "queued",
                    "is_dry_run": dry_run,
                    "user_id": load.env.uid,
                }
            )
            if is_free and load.rows_total <= load._AT_ONCE_ROWS:
                load._run()
            else:
                load.env.ref("library_crm.ir_cron_run_data_loads").sudo()._trigger()
        return True

    def action_cancel(self):
        """Stop: what was loaded so far stays, the rest is left."""
        for load in self:
            if load.state not in ("draft", "queued", "running"):
                raise UserError(
                    load.env._("The load has ended, there is nothing to cancel.")
                )
        self.write({"state": "cancelled", "ended_on": fields.Datetime.now()})
        return True

    def action_download_refused(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_url",
            "url": f"/web/content/{self._name}/{self.id}/refused_file"
            f"/{self.refused_file_name}?download=true",
            "target": "self",
        }

    def action_view_refusals(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_data_refusal_action"
            ),
            "domain": [("load_id", "=", self.id)],
        }

    @api.ondelete(at_uninstall=False)
    def _unlink_unless_running(self):
        if any(load.state == "running" for load in self):
            raise UserError(
                self.env._("A load that is running can not be deleted; cancel it.")
            )

    # ------------------------------------------------------------
    # JOBS
    # ------------------------------------------------------------

    @api.model
    def _cron_run_pending(self):
        """Run the loads that wait, the oldest first, and carry on those that were
        interrupted."""
        is_busy = False
        for load in self.search([("state", "in", ("queued", "running"))], order="id"):
            try:
                if not load._run(commit=True):
                    return
            except SourceBusy:
                # It is running elsewhere, or has to wait for one that is.
                is_busy = True
        if is_busy:
            # Whoever is at it may end without looking at those that wait.
            self.env.ref("library_crm.ir_cron_run_data_loads")._trigger(
                fields.Datetime.now() + self._COME_BACK
            )

    @api.autovacuum
    def _gc_stage(self):
        """Rows that a load left behind when it was killed or given up."""
        at_work = self.search([("state", "in", ("queued", "running"))])
        self.env["library.service.usage.stage"].search(
            [("load_id", "not in", at_work.ids)]
        ).unlink()
