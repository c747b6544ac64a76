import secrets
from tempfile import TemporaryFile

from odoo import api, fields, models
from odoo.fields import NO_ACCESS

from ..formats.koha import KohaPatrons, KohaStatistics
from ..loaders import PatronLoader, UsageLoader


class LibraryDataSource(models.Model):
    """Where data comes from, in which format, and how it is to be taken.

    Each time it comes is a ``library.data.load``.
    """

    _name = "library.data.source"
    _description = "Data Source"
    _order = "name, id"

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
        ],
        required=True,
        default="koha_patrons",
    )
    date_format = fields.Selection(
        [
            ("iso", "2026-12-31"),
            ("mdy_slash", "12/31/2026"),
            ("dmy_slash", "31/12/2026"),
            ("dmy_dot", "31.12.2026"),
        ],
        required=True,
        default="iso",
        help="How the library system writes a day. The first way is always read too.",
    )
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
    key = fields.Char(
        required=True,
        copy=False,
        groups=NO_ACCESS,
        default=lambda self: secrets.token_hex(32),
        help="Without it nobody can tell from the reference of a row of use at what "
        "time of the day it was.",
    )
    load_ids = fields.One2many("library.data.load", "source_id", string="Loads")
    load_count = fields.Integer(compute="_compute_load_count")
    last_load_date = fields.Datetime(
        string="Last Loaded on", compute="_compute_last_load_date"
    )

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

    def _get_loader(self):
        """The class of the loader that takes the rows; a hook."""
        self.ensure_one()
        return {"koha_patrons": PatronLoader, "koha_statistics": UsageLoader}[
            self.format
        ]

    def _make_file_format(self):
        """The ``FileFormat`` of what comes from this source; a hook."""
        self.ensure_one()
        return {"koha_patrons": KohaPatrons, "koha_statistics": KohaStatistics}[
            self.format
        ](self.date_format)

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
        with open(path, "rb") as file, TemporaryFile() as cleaned:
            summary = self.env["library.data.load"]._clean(self, file, cleaned)
            load = self.env["library.data.load"].create(
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

    def action_view_loads(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_data_load_action"
            ),
            "domain": [("source_id", "=", self.id)],
            "context": {"default_source_id": self.id},
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
