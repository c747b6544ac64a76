from datetime import timedelta

from odoo import api, fields, models
from odoo.tools.constants import GC_UNLINK_LIMIT


class LibraryJobRun(models.Model):
    """One run of a job: when, how long, how much, and how it ended.

    A run that is still open although nobody holds its job any more was killed.
    """

    _name = "library.job.run"
    _description = "Run of a Job"
    _order = "id desc"
    _rec_name = "started_on"
    _log_access = False
    _library_personal_data = {"*": "figures"}

    #: For how long runs are kept.
    _KEPT = timedelta(days=30)

    job_id = fields.Many2one(
        "library.job", required=True, readonly=True, index=True, ondelete="cascade"
    )
    started_on = fields.Datetime(
        string="Started", required=True, readonly=True, default=fields.Datetime.now
    )
    ended_on = fields.Datetime(string="Ended", readonly=True)
    seconds = fields.Float(readonly=True, digits=(16, 1), aggregator="avg")
    result = fields.Selection(
        [
            ("running", "Running"),
            ("done", "Done"),
            ("partly", "Done in part"),
            ("failed", "Failed"),
            ("killed", "Killed"),
        ],
        required=True,
        readonly=True,
        default="running",
        help="Done in part: its time was up, and it goes on soon. Killed: the server "
        "or the machine was stopped; what was kept stays, and the next run goes on.",
    )
    done = fields.Integer(
        readonly=True, help="What it dealt with: rows, patrons, mails or libraries."
    )
    backlog = fields.Integer(
        string="Left", readonly=True, aggregator="avg", help="What waited at its end."
    )
    # What it says may name somebody; its kind does not.
    failure = fields.Char(
        readonly=True, help="Which error. The log of the server says more."
    )

    _open_idx = models.Index("(job_id) WHERE result = 'running'")

    def _note_killed(self):
        self.write({"result": "killed", "ended_on": fields.Datetime.now()})

    @api.autovacuum
    def _gc_runs(self):
        old = self.search(
            [("started_on", "<", fields.Datetime.now() - self._KEPT)],
            order="id",
            limit=GC_UNLINK_LIMIT,
        )
        old.unlink()
        return len(old), len(old) == GC_UNLINK_LIMIT
