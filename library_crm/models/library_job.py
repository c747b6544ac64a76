from datetime import timedelta
from typing import NamedTuple

from psycopg2.errors import SerializationFailure

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, format_datetime

#: The modules whose scheduled actions are jobs of the library.
_OURS = "library_crm%"


class Watched(NamedTuple):
    """What a job works on, each a model and a domain.

    :ivar waiting: what waits for it
    :ivar undone: what it could not do, and somebody has to look at
    """

    waiting: tuple[str, list] | None = None
    undone: tuple[str, list] | None = None


class LibraryJob(models.Model):
    """How a job of the library is doing: its last and next run, what waits for it, and
    what goes wrong. There is one for each scheduled action of ours.

    Another job looks after all of them and tells the managers of the library, once,
    what needs them.
    """

    _name = "library.job"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _description = "Job"
    _order = "id"
    _library_personal_data = {"*": "setting"}

    #: How long after its time a job is late.
    _LATE = timedelta(hours=1)
    #: For how long work may wait and get no less: at least a day, and three runs.
    _PATIENCE = timedelta(days=1)
    #: For how long a failure is told of.
    _RECENT = timedelta(days=7)

    cron_id = fields.Many2one(
        "ir.cron",
        string="Scheduled Action",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
        groups="base.group_system",
    )
    name = fields.Char(string="Job", compute="_compute_name", compute_sudo=True)
    is_on = fields.Boolean(
        string="On",
        related="cron_id.active",
        groups="library_crm.group_library_manager",
    )
    next_run_on = fields.Datetime(
        string="Next Run", compute="_compute_next_run_on", compute_sudo=True
    )
    run_ids = fields.One2many("library.job.run", "job_id", string="Runs", readonly=True)
    last_run_on = fields.Datetime(
        string="Last Run", compute="_compute_last_run", compute_sudo=True
    )
    last_result = fields.Selection(
        lambda self: (
            self.env["library.job.run"]
            ._fields["result"]
            ._description_selection(self.env)
        ),
        compute="_compute_last_run",
        compute_sudo=True,
    )
    last_seconds = fields.Float(
        string="Seconds",
        digits=(16, 1),
        compute="_compute_last_run",
        compute_sudo=True,
    )
    last_done = fields.Integer(
        string="Dealt With", compute="_compute_last_run", compute_sudo=True
    )
    backlog = fields.Integer(
        compute="_compute_backlog",
        compute_sudo=True,
        help="What waits for the job now.",
    )
    undone_count = fields.Integer(
        string="Not Done",
        compute="_compute_backlog",
        compute_sudo=True,
        help="What it could not do and somebody has to look at.",
    )
    failure_count = fields.Integer(
        string="Failures",
        compute="_compute_failure_count",
        compute_sudo=True,
        help="Runs that failed in the last seven days.",
    )
    state = fields.Selection(
        [
            ("failed", "Failed"),
            ("late", "Late"),
            ("behind", "Falls behind"),
            ("undone", "Not all done"),
            ("running", "Running"),
            ("ok", "Well"),
            ("new", "Has not run yet"),
            ("off", "Switched off"),
        ],
        string="How It Is",
        compute="_compute_state",
        compute_sudo=True,
        search="_search_state",
    )
    trouble = fields.Text(
        string="What Is Wrong", compute="_compute_state", compute_sudo=True
    )
    alerted_for = fields.Char(readonly=True)

    _cron_uniq = models.Constraint(
        "UNIQUE (cron_id)", "Scheduled action: it is a job already."
    )

    #: The states in which somebody has to look.
    _TROUBLES = ("failed", "late", "behind", "undone")

    # ------------------------------------------------------------
    # WHICH THERE ARE
    # ------------------------------------------------------------

    @api.model
    def _add_missing(self):
        """Make a job of each scheduled action of the library that is none yet."""
        crons = self.env["ir.cron"].sudo().with_context(active_test=False)
        ours = crons.browse(
            self.env["ir.model.data"]
            .sudo()
            .search([("model", "=", "ir.cron"), ("module", "=like", _OURS)])
            .mapped("res_id")
        ).exists()
        known = self.sudo().search(Domain.TRUE).cron_id
        self.sudo().create(
            [{"cron_id": cron.id} for cron in (ours - known).sorted("id")]
        )

    @api.model
    def _find(self, cron_id):
        """:return: the job of a scheduled action, if that is one of the library"""
        domain = [("cron_id", "=", cron_id)]
        if not (job := self.search(domain)):
            xml_ids = self.env["ir.cron"].browse(cron_id)._get_external_ids()[cron_id]
            if any(name.startswith(_OURS.rstrip("%")) for name in xml_ids):
                self._add_missing()
                job = self.search(domain)
        return job

    @api.model
    def _get_watched(self):
        """What the jobs work on; a hook. A job that is not among it takes everything
        in each run.

        :return: by the xml id of the scheduled action
        :rtype: dict[str, Watched]
        """
        now = fields.Datetime.now()
        moves = self.env["library.membership"]._get_daily_moves(
            fields.Date.context_today(self)
        )
        return {
            "library_crm.ir_cron_update_memberships": Watched(
                (
                    "library.membership",
                    Domain.OR(Domain(domain) for domain, _move in moves),
                )
            ),
            "library_crm.ir_cron_run_data_loads": Watched(
                ("library.data.load", [("state", "in", ["queued", "running"])]),
                (
                    "library.data.load",
                    [("state", "=", "failed"), ("ended_on", ">=", now - self._RECENT)],
                ),
            ),
            "library_crm.ir_cron_pull_data": Watched(
                ("library.data.source", [("next_pull_on", "<=", now)]),
                (
                    "library.data.source",
                    [("pull", "!=", "manual"), ("pull_message", "!=", False)],
                ),
            ),
            "library_crm.ir_cron_run_journeys": Watched(
                (
                    "library.journey.enrolment",
                    [
                        ("state", "=", "active"),
                        ("due_at", "<=", now),
                        ("journey_id.state", "in", ["running", "done"]),
                    ],
                ),
                (
                    "library.journey",
                    [("state", "=", "paused"), ("problem", "!=", False)],
                ),
            ),
            "library_crm.ir_cron_send_preferences_links": Watched(
                ("library.patron", [("preferences_asked_at", "!=", False)])
            ),
            "library_crm.ir_cron_apply_retention": Watched(
                undone=("library.retention.rule", [("last_failure", "!=", False)])
            ),
        }

    def _get_my_watched(self):
        """:rtype: dict[LibraryJob, Watched]"""
        watched = self._get_watched()
        names = self.sudo().cron_id._get_external_ids()
        return {
            job: next(
                (
                    watched[name]
                    for name in names[job.sudo().cron_id.id]
                    if name in watched
                ),
                Watched(),
            )
            for job in self
        }

    # ------------------------------------------------------------
    # HOW THEY ARE
    # ------------------------------------------------------------

    @api.depends("cron_id.name")
    @api.depends_context("lang")
    def _compute_name(self):
        for job in self:
            # In the list of Odoo they all begin with whose they are.
            name = (job.cron_id.name or "").partition(": ")[2] or job.cron_id.name
            job.name = name and name[:1].upper() + name[1:]

    @api.depends("name")
    def _compute_display_name(self):
        for job in self:
            job.display_name = job.name

    @api.depends("cron_id.nextcall")
    def _compute_next_run_on(self):
        triggers = dict(
            self.env["ir.cron.trigger"]._read_group(
                [("cron_id", "in", self.cron_id.ids)], ["cron_id"], ["call_at:min"]
            )
        )
        for job in self:
            planned = job.cron_id.active and job.cron_id.nextcall
            asked = triggers.get(job.cron_id)
            job.next_run_on = planned and min(planned, asked or planned)

    @api.depends("run_ids.result")
    def _compute_last_run(self):
        last = self._get_last_runs()
        for job in self:
            run = last[job]
            job.last_run_on = run.started_on
            job.last_result = run.result
            job.last_seconds = run.seconds
            job.last_done = run.done

    def _get_last_runs(self, domain=()):
        """:return: the last run of each job among those of a domain"""
        Run = self.env["library.job.run"]
        rows = Run._read_group(
            [("job_id", "in", self.ids), *domain], ["job_id"], ["id:max"]
        )
        return dict.fromkeys(self, Run) | {
            job: Run.browse(number) for job, number in rows
        }

    def _compute_backlog(self):
        last = self._get_last_runs()
        for job, watched in self._get_my_watched().items():
            waiting = watched.waiting
            job.backlog = job._count(waiting) if waiting else last[job].backlog
            job.undone_count = job._count(watched.undone) if watched.undone else 0

    def _count(self, watched):
        model_name, domain = watched
        return self.env[model_name].sudo().search_count(domain)

    @api.depends("run_ids.result")
    def _compute_failure_count(self):
        counts = dict(
            self.env["library.job.run"]._read_group(
                [
                    ("job_id", "in", self.ids),
                    ("started_on", ">=", fields.Datetime.now() - self._RECENT),
                    "|",
                    ("result", "=", "failed"),
                    ("failure", "!=", False),
                ],
                ["job_id"],
                ["__count"],
            )
        )
        for job in self:
            job.failure_count = counts.get(job, 0)

    @api.depends("run_ids.result", "cron_id.nextcall", "cron_id.active")
    @api.depends_context("lang", "tz")
    def _compute_state(self):
        now = fields.Datetime.now()
        behind = self._find_behind(now)
        all_last = self._get_last_runs()
        all_ended = self._get_last_runs([("result", "not in", ["running", "killed"])])
        for job in self:
            last, ended, trouble = all_last[job], all_ended[job], False
            if not job.cron_id.active:
                state = "off"
            elif ended.result == "failed":
                state = "failed"
                trouble = self.env._(
                    "The run of %(time)s failed (%(failure)s). The log of the server "
                    "says why.",
                    time=format_datetime(self.env, ended.started_on),
                    failure=ended.failure or self.env._("its time was up"),
                )
            elif last.result != "running" and job.next_run_on < now - self._LATE:
                state = "late"
                trouble = self.env._(
                    "It was to run at %(time)s. Is the server running its scheduled "
                    "actions?",
                    time=format_datetime(self.env, job.next_run_on),
                )
            elif job in behind:
                state = "behind"
                trouble = self.env._(
                    "%(count)s wait, and they have not become fewer for a day.",
                    count=job.backlog,
                )
            elif job.undone_count:
                state = "undone"
                trouble = self.env._(
                    "%(count)s could not be done and want somebody to look.",
                    count=job.undone_count,
                )
            elif last.result == "running":
                state = "running"
            else:
                state = "ok" if last else "new"
            job.state, job.trouble = state, trouble

    def _find_behind(self, now):
        """Jobs for which there was something left at the end of each run for at least
        a day and three runs, and never less than before."""
        behind = self.browse()
        for job in self.filtered("backlog"):
            cron = job.cron_id
            interval = timedelta(
                **{cron.interval_type: cron.interval_number}
                if cron.interval_type != "months"
                else {"days": 31 * cron.interval_number}
            )
            patience = max(self._PATIENCE, 3 * interval)
            [[is_behind]] = self.env.execute_query(
                SQL(
                    """
                    SELECT count(*) > 2 AND min(backlog) > 0
                           AND min(ended_on) < %(half)s
                           AND bool_and(backlog >= coalesce(before, 0))
                      FROM (
                            SELECT backlog, ended_on,
                                   lag(backlog) OVER (ORDER BY id) AS before
                              FROM library_job_run
                             WHERE job_id = %(job)s AND ended_on >= %(since)s
                               AND result != 'killed'
                           ) run
                    """,
                    job=job.id,
                    since=now - patience,
                    half=now - patience / 2,
                )
            )
            if is_behind:
                behind += job
        return behind

    def _search_state(self, operator, value):
        if operator != "in":
            return NotImplemented
        jobs = self.search(Domain.TRUE)
        return [("id", "in", jobs.filtered(lambda job: job.state in value).ids)]

    # ------------------------------------------------------------
    # RUNS
    # ------------------------------------------------------------

    def _begin(self):
        """A run begins. Nobody else runs the job: what is still open was killed."""
        self._get_open_runs()._note_killed()
        self.env["library.job.run"].create({"job_id": self.id})

    def _note_failure(self, failure):
        """:param str failure: the kind of the error"""
        self._get_open_runs().write({"failure": failure})

    def _end(self, result, seconds):
        """The run has come to its end; also one that was not begun, because those
        before took too long again and again."""
        run = self._get_open_runs()
        run = run or run.create({"job_id": self.id})
        progress = self.env["ir.cron.progress"].search(
            [("cron_id", "=", self.cron_id.id), ("create_date", ">=", run.started_on)],
            order="id desc",
        )
        waiting = self._get_my_watched()[self].waiting
        run.write(
            {
                "ended_on": fields.Datetime.now(),
                "seconds": seconds,
                "result": result,
                "done": sum(progress.mapped("done")),
                "backlog": self._count(waiting) if waiting else progress[:1].remaining,
            }
        )

    def _get_open_runs(self):
        return self.env["library.job.run"].search(
            [("job_id", "in", self.ids), ("result", "=", "running")]
        )

    # ------------------------------------------------------------
    # THE JOB THAT LOOKS AFTER THE JOBS
    # ------------------------------------------------------------

    @api.model
    def _cron_look_after(self):
        """Note what was killed, and tell the managers what needs them."""
        IrCron = self.env["ir.cron"]
        self._add_missing()
        IrCron._commit_progress()
        jobs = self.search(Domain.TRUE)
        try:
            jobs._get_killed_runs()._note_killed()
        except SerializationFailure:
            # One of them has just ended; the next time will do.
            self.env.cr.rollback()
        IrCron._commit_progress()
        jobs._alert()

    def _get_killed_runs(self):
        """:return: the open runs of jobs that no process holds"""
        runs = self._get_open_runs()
        free = runs.job_id.cron_id.try_lock_for_update(allow_referencing=True)
        return runs.filtered(lambda run: run.job_id.cron_id in free)

    def _alert(self):
        """Give each manager of the library an activity for each job that needs them,
        once; and take it away when that is over."""
        managers = self.env.ref("library_crm.group_library_manager").all_user_ids
        kind = "mail.mail_activity_data_warning"
        for job in self:
            if job.state not in self._TROUBLES:
                if job.alerted_for and job.state != "running":
                    job.activity_unlink([kind])
                    job._message_log(body=self.env._("It is well again."))
                    job.alerted_for = False
                continue
            known, _space, known_count = (job.alerted_for or "").partition(" ")
            is_known = job.state == known and job.undone_count <= int(known_count)
            # What became less is no news, and counts as less when it grows again.
            job.alerted_for = f"{job.state} {job.undone_count}"
            if is_known:
                continue
            told = job.activity_search([kind]).user_id
            for user in managers.filtered("active") - told:
                here = job.with_context(lang=user.lang)
                here.activity_schedule(
                    kind, summary=here._get_alert(), note=here.trouble, user_id=user.id
                )
            job._message_log(body=job.trouble)

    def _get_alert(self):
        state = dict(self._fields["state"]._description_selection(self.env))[self.state]
        return f"{self.name}: {state}"

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_run(self):
        """Run the job as soon as the server comes to it."""
        self.check_access("write")
        for job in self.sudo():
            job.cron_id._trigger()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "info",
                "message": self.env._("It is run as soon as the server comes to it."),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def action_view_undone(self):
        """What the job could not do."""
        self.ensure_one()
        model_name, domain = self._get_my_watched()[self].undone
        return {
            "type": "ir.actions.act_window",
            "name": self.name,
            "res_model": model_name,
            "view_mode": "list,form",
            "domain": list(Domain(domain)),
        }
