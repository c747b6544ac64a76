import secrets
from contextlib import contextmanager
from tempfile import TemporaryFile
from urllib.parse import urlsplit

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import NO_ACCESS
from odoo.tools import SQL

from ..connectors.counter_api import REPORTS
from ..fetchers import CounterFetcher, FetchError, FolderFetcher, KohaFetcher
from ..formats.counter import CounterFormat
from ..formats.encoding import ENCODINGS
from ..formats.events import EventsFormat
from ..formats.koha import KohaPatrons, KohaStatistics
from ..formats.mapped import MappedFormat, Mapping, MappingError, ValueMap
from ..loaders import CounterLoader, PatronLoader, UsageLoader
from .library_data_load import SourceBusy

_KINDS = {
    "koha_patrons": "patrons",
    "koha_statistics": "usage",
    "koha_api": "patrons",
    "mapped_patrons": "patrons",
    "mapped_usage": "usage",
    "counter": "eresource",
    "counter_api": "eresource",
    "webhook": "usage",
}
_FETCHERS = {"koha_api": KohaFetcher, "counter_api": CounterFetcher}
_LOADERS = {
    "patrons": PatronLoader,
    "usage": UsageLoader,
    "eresource": CounterLoader,
}
_INTERVALS = {
    "often": relativedelta(minutes=10),
    "hour": relativedelta(hours=1),
    "day": relativedelta(days=1),
    "week": relativedelta(weeks=1),
    "month": relativedelta(months=1),
}
# After a fault of the other side it is asked again this much later, if not sooner.
_PATIENCE = relativedelta(hours=1)


class LibraryDataSource(models.Model):
    """Where data comes from, in which format, and how it is to be taken.

    It comes as a file, or is fetched from another system, or is sent by a tool. Each
    time it comes is a ``library.data.load``.
    """

    _name = "library.data.source"
    _description = "Data Source"
    _order = "name, id"
    _check_company_auto = True
    _library_personal_data = {"*": "setting", "sender_id": "staff"}

    # What
    name = fields.Char(required=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    format = fields.Selection(
        [
            ("koha_patrons", "Koha: patrons (CSV)"),
            ("koha_statistics", "Koha: statistics (CSV)"),
            ("koha_api", "Koha: patrons (REST API)"),
            ("mapped_patrons", "Any system: patrons (CSV, TSV, XLSX)"),
            ("mapped_usage", "Any system: use (CSV, TSV, XLSX)"),
            ("counter", "COUNTER 5.1: e-resources (JSON, TSV)"),
            ("counter_api", "COUNTER 5.1: e-resources (API)"),
            ("webhook", "Own tools: use (webhook)"),
        ],
        required=True,
        default="koha_patrons",
    )
    kind = fields.Selection(
        [("patrons", "Patrons"), ("usage", "Use"), ("eresource", "Use of e-resources")],
        string="Brings",
        compute="_compute_kind",
        store=True,
    )
    is_fetched = fields.Boolean(
        compute="_compute_kind", store=True, help="From another system, not as a file."
    )

    # How a file is read
    date_format = fields.Selection(
        [
            ("iso", "2026-12-31"),
            ("mdy_slash", "12/31/2026"),
            ("dmy_slash", "31/12/2026"),
            ("dmy_dot", "31.12.2026"),
            ("ymd_slash", "2026/12/31"),
            ("mdy_dash", "12-31-2026"),
            ("dmy_dash", "31-12-2026"),
            ("ymd", "20261231"),
        ],
        required=True,
        default="iso",
        help="How the library system writes a day. The first way is always read too.",
    )
    encoding = fields.Selection(
        [(name, name.upper()) for name in ENCODINGS],
        required=True,
        default="utf-8",
        help="Of a workbook it does not matter.",
    )
    delimiter = fields.Selection(
        [
            (",", "Comma"),
            (";", "Semicolon"),
            ("\t", "Tab"),
            ("|", "Vertical bar"),
        ],
        string="Columns Parted by",
        help="Empty: as the first line says.",
    )
    header_line = fields.Integer(
        default=1,
        required=True,
        help="The line with the names of the columns; what stands above it is skipped.",
    )
    sheet = fields.Char(help="Of a workbook. Empty: the first one.")
    family_name_first = fields.Boolean(
        help="A name is written as “Lindqvist, Maja”.",
    )
    column_ids = fields.One2many("library.data.column", "source_id", copy=True)
    value_ids = fields.One2many("library.data.value", "source_id", copy=True)
    # The same, by what they are about.
    branch_value_ids = fields.One2many(
        "library.data.value",
        "source_id",
        string="Branches",
        domain=[("field", "=", "branch_code")],
        copy=False,
    )
    category_value_ids = fields.One2many(
        "library.data.value",
        "source_id",
        string="Patron Categories",
        domain=[("field", "=", "category_code")],
        copy=False,
    )
    service_value_ids = fields.One2many(
        "library.data.value",
        "source_id",
        string="Services",
        domain=[("field", "=", "service_code")],
        copy=False,
    )

    # How its rows are taken
    create_missing = fields.Boolean(
        string="Make Unknown Branches and Categories",
        help="Off: rows that name them are refused.",
    )
    start_memberships = fields.Boolean(
        string="Keep Memberships",
        default=True,
        help="A patron gets a membership under the default plan of the category, and "
        "the expiry of the library system moves its last day.",
    )
    count_unknown_patrons = fields.Boolean(
        string="Count Unknown Patrons Anonymously",
        help="Off: uses of people who are no patrons here are refused.",
    )
    is_complete = fields.Boolean(
        string="Holds All Patrons",
        help="The file or the other system has all of them: who is not there is marked "
        "as missing. Nobody is deleted. Leave it off if only some of them come.",
    )
    missing_limit = fields.Integer(
        string="At Most Missing (%)",
        required=True,
        default=20,
        help="If more of the patrons are not in the file, it is taken for broken, and "
        "nobody is marked.",
    )
    branch_id = fields.Many2one(
        "library.branch",
        check_company=True,
        ondelete="restrict",
        help="Where use is counted that names no branch, e.g. an online branch; of "
        "patrons, the home branch where the file names none.",
    )
    key = fields.Char(
        required=True,
        copy=False,
        groups=NO_ACCESS,
        default=lambda self: secrets.token_hex(32),
        help="Without it nobody can tell from the reference of a row of use at what "
        "time of the day it was.",
    )

    # The other system
    address = fields.Char(help="Of the API, e.g. https://koha.example.org")
    koha_auth = fields.Selection(
        [("basic", "Login and password"), ("oauth2", "Client credentials (OAuth2)")],
        string="Credentials",
        default="oauth2",
    )
    login = fields.Char(copy=False)
    secret = fields.Char(copy=False, groups=NO_ACCESS)
    new_secret = fields.Char(
        string="Password or Key",
        compute="_compute_new_secret",
        inverse="_inverse_new_secret",
        help="It is kept, and never shown again.",
    )
    has_secret = fields.Boolean(compute="_compute_new_secret")
    customer_id = fields.Char(string="Customer ID", copy=False)
    platform = fields.Char(help="Where one server serves several.")
    counter_report = fields.Selection(
        [(name, name.upper()) for name in REPORTS],
        string="Report",
        default="pr",
        help="PR: the platform as a whole. DR: by database. TR: by title, IR: by item; "
        "titles and items are summed up and not kept.",
    )
    counter_since = fields.Date(
        string="First Month",
        default=lambda self: (
            fields.Date.context_today(self) - relativedelta(years=1, day=1)
        ),
    )
    sender_id = fields.Many2one(
        "res.users",
        check_company=True,
        ondelete="restrict",
        index="btree_not_null",
        help="The tool sends with an API key of this user, who needs no rights in the "
        "library. Managers may send too.",
    )
    webhook_url = fields.Char(string="Send to", compute="_compute_webhook_url")

    # When
    pull = fields.Selection(
        [
            ("manual", "By hand"),
            ("often", "Every ten minutes"),
            ("hour", "Every hour"),
            ("day", "Every day"),
            ("week", "Every week"),
            ("month", "Every month"),
        ],
        string="Fetched",
        required=True,
        default="manual",
        help="By hand: when a file is chosen, or Fetch Now is pressed. Else another "
        "system is asked, or files are taken from the folder of this source.",
    )
    next_pull_on = fields.Datetime(
        string="Fetched Next on",
        compute="_compute_next_pull_on",
        store=True,
        readonly=False,
        copy=False,
    )
    pulled_on = fields.Datetime(string="Last Fetched on", readonly=True, copy=False)
    pull_message = fields.Text(
        string="What Went Wrong When Fetching", readonly=True, copy=False
    )
    folder = fields.Char(compute="_compute_folder")
    cursor = fields.Char(
        readonly=True, copy=False, help="Where the next fetching begins."
    )

    # What came
    load_ids = fields.One2many("library.data.load", "source_id", string="Loads")
    load_count = fields.Integer(compute="_compute_load_count")
    last_load_date = fields.Datetime(
        string="Last Loaded on", compute="_compute_last_load_date"
    )
    counter_report_count = fields.Integer(compute="_compute_counter_report_count")

    _missing_limit_percent = models.Constraint(
        "CHECK (missing_limit BETWEEN 0 AND 100)",
        "At most missing: a percentage between 0 and 100 is expected.",
    )
    _header_line_range = models.Constraint(
        "CHECK (header_line BETWEEN 1 AND 100)",
        "Header line: a number from 1 to 100 is expected.",
    )

    # ------------------------------------------------------------
    # COMPUTES
    # ------------------------------------------------------------

    @api.depends("format")
    def _compute_kind(self):
        for source in self:
            source.kind = _KINDS.get(source.format)
            source.is_fetched = source.format in _FETCHERS

    def _compute_new_secret(self):
        for source in self:
            source.new_secret = False
            source.has_secret = bool(source.sudo().secret)

    def _inverse_new_secret(self):
        for source in self:
            if source.new_secret:
                source.sudo().secret = source.new_secret
        # Nor is what was typed told once more in the answer.
        self.invalidate_recordset(["new_secret"])

    def write(self, vals):
        """A secret goes to the server that it was entered for, and to no other: or else
        whoever may change the address could have it sent to themselves."""
        origins = {source: source._get_origin() for source in self}
        result = super().write(vals)
        if {"address", "format"} & vals.keys() and not vals.get("new_secret"):
            self.filtered(
                lambda source: (
                    origins[source] and source._get_origin() != origins[source]
                )
            ).sudo().secret = False
        return result

    def _get_origin(self):
        """:return: what is spoken to which server, as a tuple; none without one"""
        self.ensure_one()
        parts = urlsplit(self.address or "")
        return (parts.scheme, parts.netloc.lower(), self.format) if self.address else ()

    def _compute_webhook_url(self):
        for source in self:
            source.webhook_url = (
                f"{source.get_base_url()}/library_crm/v1/sources/{source.id}/uses"
                if source.id
                else False
            )

    @api.depends("pull")
    def _compute_next_pull_on(self):
        for source in self:
            if source.pull == "manual":
                source.next_pull_on = False
            elif not source.next_pull_on:
                source.next_pull_on = fields.Datetime.now()

    @api.depends("pull", "is_fetched")
    def _compute_folder(self):
        for source in self:
            is_folder = source.id and source.pull != "manual" and not source.is_fetched
            source.folder = str(FolderFetcher(source).folder) if is_folder else False

    def _compute_load_count(self):
        counts = dict(
            self.env["library.data.load"]._read_group(
                [("source_id", "in", self.ids)], ["source_id"], ["__count"]
            )
        )
        for source in self:
            source.load_count = counts.get(source, 0)

    def _compute_last_load_date(self):
        dates = dict(
            self.env["library.data.load"]._read_group(
                [
                    ("source_id", "in", self.ids),
                    ("state", "=", "done"),
                    ("is_dry_run", "=", False),
                ],
                ["source_id"],
                ["ended_on:max"],
            )
        )
        for source in self:
            source.last_load_date = dates.get(source)

    def _compute_counter_report_count(self):
        counts = dict(
            self.env["library.counter.report"]._read_group(
                [("source_id", "in", self.ids)], ["source_id"], ["__count"]
            )
        )
        for source in self:
            source.counter_report_count = counts.get(source, 0)

    @api.constrains("format", "branch_id")
    def _check_branch(self):
        for source in self:
            if source.kind == "eresource" and not source.branch_id:
                raise ValidationError(
                    self.env._(
                        "Branch: the use of e-resources is counted for a branch; make "
                        "one for what is online, or choose the main branch."
                    )
                )

    # ------------------------------------------------------------
    # READING
    # ------------------------------------------------------------

    def _make_file_format(self):
        """The ``FileFormat`` of what comes from this source; a hook.

        :raise UserError: if the source does not say how
        """
        self.ensure_one()
        if self.format.startswith("mapped_"):
            try:
                return MappedFormat(self._make_mapping())
            except MappingError as error:
                raise UserError(self._describe_mapping_error(error)) from error
        return {
            "koha_patrons": lambda: KohaPatrons(self.date_format),
            "koha_statistics": lambda: KohaStatistics(self.date_format),
            "koha_api": KohaPatrons,
            "counter": CounterFormat,
            "counter_api": CounterFormat,
            "webhook": lambda: EventsFormat(self.branch_id.code or ""),
        }[self.format]()

    def _get_loader(self):
        """The class of the loader that takes the rows; a hook."""
        self.ensure_one()
        return _LOADERS[self.kind]

    def _make_mapping(self):
        """How a file of any system is read, see ``formats.mapped``."""
        self.ensure_one()
        columns = {}
        for column in self.column_ids:
            columns.setdefault(column.field, []).append(column.name)
        value_maps = {}
        for value in self.value_ids:
            value_map = value_maps.setdefault(value.field, ValueMap())
            if value.found:
                value_map.values[value.found] = value.get_code()
            else:
                value_map.default = value.get_code()
        if self.branch_id and "branch_code" not in columns:
            value_maps["branch_code"] = ValueMap(default=self.branch_id.code)
        return Mapping(
            self.kind,
            columns,
            value_maps,
            date_format=self.date_format,
            delimiter=self.delimiter or "",
            encoding=self.encoding,
            sheet=self.sheet or "",
            header_line=self.header_line,
            family_name_first=self.family_name_first,
        )

    def _describe_mapping_error(self, error):
        """What is wrong with the columns and values, in words that help to mend it."""
        labels = dict(
            self.env["library.data.column"]
            ._fields["field"]
            ._description_selection(self.env)
        )
        name = error.place.partition(".")[2].partition(".")[0]
        names = {
            "field": labels.get(name, name),
            "found": error.found,
            "expected": ", ".join(
                labels.get(part, part) for part in error.expected.split("/")
            ),
        }
        if error.reason == "missing_field":
            return self.env._(
                "Which column is “%(expected)s”? Say it under Columns, or set up the "
                "source from a sample file.",
                **names,
            )
        if error.reason == "unknown_field":
            return self.env._(
                "“%(field)s” is nothing that this source brings.", **names
            )
        if error.reason == "repeated_column":
            return self.env._("%(field)s: the column %(found)s stands twice.", **names)
        return self.env._(
            "%(field)s: “%(found)s” can not be used; expected %(expected)s.", **names
        )

    @api.private
    def load_file(self, path, dry_run=False, commit=False):
        """Load a file that lies on the server, for the shell and for jobs.

        :param str path: the file
        :param bool dry_run: only say what would happen
        :param bool commit: keep each batch as soon as it is done, as the job does;
            otherwise nothing is kept before the caller commits
        :return: the ``library.data.load``, with its counts and its refused rows
        :raise UserError: if the file can not be read, or another load of this source
            is running
        """
        self.ensure_one()
        Load = self.env["library.data.load"]
        with open(path, "rb") as file, Load._storing(), TemporaryFile() as cleaned:
            summary = Load._clean(self, file, cleaned)
            load = Load.create(
                {
                    "source_id": self.id,
                    "file_name": path.rpartition("/")[2],
                    "is_dry_run": dry_run,
                    **summary,
                }
            )
            cleaned.seek(0)
            load._run(commit=commit, file=cleaned)
        return load

    # ------------------------------------------------------------
    # FETCHING
    # ------------------------------------------------------------

    def _make_fetcher(self):
        """The ``Fetcher`` of this source; a hook."""
        self.ensure_one()
        return _FETCHERS.get(self.format, FolderFetcher)(self)

    @contextmanager
    def _only_one(self):
        """Let nobody else fetch from this source meanwhile.

        :return: whether that was possible
        """
        key = SQL("hashtext('library_data_source_pull'), %s", self.id)
        [(is_free,)] = self.env.execute_query(
            SQL("SELECT pg_try_advisory_lock(%s)", key)
        )
        try:
            yield is_free
        finally:
            if is_free:
                self.env.cr.execute(SQL("SELECT pg_advisory_unlock(%s)", key))

    @api.model
    def _cron_pull(self):
        """Fetch from the sources that are due, and load what came."""
        for source in self.search(
            [("next_pull_on", "<=", fields.Datetime.now())], order="next_pull_on"
        ):
            if not source._pull():
                return

    def _pull(self):
        """Fetch and load part by part until there is no more, keeping each.

        :return: whether there is time left
        """
        self.ensure_one()
        IrCron = self.env["ir.cron"]
        with self._only_one() as is_free:
            # From here on it is seen what others kept before they let go.
            IrCron._commit_progress(0)
            while is_free and self._pull_part():
                if not IrCron._commit_progress(1, remaining=1):
                    return False
            return bool(IrCron._commit_progress(1))

    def _pull_part(self):
        """:return: whether more can be fetched at once"""
        loads = self.env["library.data.load"]
        if loads.search_count(
            [("source_id", "=", self.id), ("state", "in", ("queued", "running"))],
            limit=1,
        ):
            # What was fetched before has to be loaded first.
            return False
        # Nothing is held while the other system is waited for.
        self.env["ir.cron"]._commit_progress(0)
        fetcher = self._make_fetcher()
        load = loads
        try:
            with fetcher.fetch() as parcel:
                if parcel and not self._has_loaded(parcel):
                    load = loads._receive(self, parcel)
            self.env["ir.cron"]._commit_progress(0)
            if parcel and load.state == "failed":
                fetcher.put_aside(parcel)
            elif parcel:
                fetcher.dispose(parcel)
        except FetchError as error:
            self._note_pull(error)
            return False
        if load.state == "queued":
            try:
                load._run(commit=True)
            except SourceBusy:
                # The job that runs what waits was faster.
                return False
        has_more = bool(parcel and parcel.has_more) and load.state in (
            "done",
            "failed",
            False,
        )
        if not has_more:
            self._note_pull()
        return has_more

    def _has_loaded(self, parcel):
        """Whether it was the last to be loaded: it was kept and not taken away when
        the server stopped."""
        last = self.env["library.data.load"].search(
            [("source_id", "=", self.id)], order="id desc", limit=1
        )
        return bool(parcel.digest) and last.digest == parcel.digest

    def _note_pull(self, error=None):
        now = fields.Datetime.now()
        interval = _INTERVALS.get(self.pull)
        planned = self.next_pull_on or now
        while interval and planned <= now:
            planned += interval
        if error and error.is_passing:
            planned = min(planned, now + _PATIENCE)
        self.write(
            {
                "pulled_on": now,
                "pull_message": str(error) if error else False,
                "next_pull_on": interval and planned,
            }
        )

    def _note_loaded(self, load):
        """A load has come to its end: go on behind it the next time."""
        self.ensure_one()
        if load.cursor:
            self.cursor = load.cursor

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_test(self):
        """Say whether it can be fetched from there, and what is to be known."""
        self.ensure_one()
        try:
            texts, kind = self._make_fetcher().test(), "success"
        except FetchError as error:
            texts, kind = [str(error)], "danger"
        return self._notify(" ".join(texts), kind)

    def action_pull(self):
        """Fetch as soon as the job comes to it."""
        self.ensure_one()
        self.next_pull_on = fields.Datetime.now()
        self.env.ref("library_crm.ir_cron_pull_data").sudo()._trigger()
        return self._notify(
            self.env._("It is being fetched; the load will stand among the loads."),
            "info",
        )

    def action_read_all(self):
        """Forget how far it was read: the next fetching brings all again."""
        self.write({"cursor": False})
        return self._notify(
            self.env._("The next fetching reads everything again."), "info"
        )

    def _notify(self, message, kind):
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": self.name,
                "message": message,
                "type": kind,
                "sticky": kind == "danger",
            },
        }

    def action_preview(self):
        """Look at the first rows as they would be stored."""
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_data_preview_action"
            ),
            "context": {"default_source_id": self.id},
        }

    def action_view_loads(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_data_load_action"
            ),
            "domain": [("source_id", "=", self.id)],
            "context": {
                "default_source_id": self.id,
                # What is fetched or sent is no file that somebody could choose.
                "create": not self.is_fetched and self.format != "webhook",
            },
        }

    def action_view_counter_reports(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_counter_report_action"
            ),
            "domain": [("source_id", "=", self.id)],
        }

    def action_new_load(self):
        """Choose a file to load from this source."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Load a File"),
            "res_model": "library.data.load",
            "view_mode": "form",
            "context": {"default_source_id": self.id},
        }
