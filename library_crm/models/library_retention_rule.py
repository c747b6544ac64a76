import logging
import time

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, format_date

_logger = logging.getLogger(__name__)


class LibraryRetentionRule(models.Model):
    """For how long a kind of data is kept, and what happens to it then.

    Each library has a rule of each kind, made with the strict default that
    ``library.retention.kind`` gives the reason of. A rule that is switched off keeps
    for ever, and the public page says so. At night the rules go one after another, in
    batches that are each done whole or not at all.
    """

    _name = "library.retention.rule"
    _description = "Retention Rule"
    _order = "company_id, sequence, id"
    _rec_name = "kind"
    _library_personal_data = {"*": "setting"}

    kind = fields.Selection(
        lambda self: [
            (name, kept.label)
            for name, kept in self.env["library.retention.kind"]._get_kinds().items()
        ],
        string="Data",
        required=True,
        readonly=True,
    )
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        readonly=True,
        index=True,
        ondelete="cascade",
        help="Empty: it is of the whole database.",
    )
    sequence = fields.Integer(readonly=True)
    active = fields.Boolean(
        string="On",
        default=True,
        help="Off: this data is kept for ever, and the public page says so.",
    )
    keep_number = fields.Integer(string="Keep for", required=True)
    keep_unit = fields.Selection(
        [("day", "Days"), ("month", "Months"), ("year", "Years")],
        string="Unit",
        required=True,
    )
    action = fields.Selection(
        [("delete", "Delete"), ("pseudonymise", "Take names off")],
        string="Then",
        required=True,
        help="Delete: the rows go. Take names off: they stay as counts of nobody.",
    )
    why = fields.Text(string="Why So Long", compute="_compute_why")
    warning = fields.Text(compute="_compute_warning")

    # Tonight
    before = fields.Date(
        string="Older Than",
        compute="_compute_before",
        help="What is older goes, if nothing holds it.",
    )
    due_count = fields.Integer(string="Rows Tonight", compute="_compute_due")
    due_oldest = fields.Date(string="Oldest of Them", compute="_compute_due")
    held_text = fields.Text(string="Held Back", compute="_compute_due")

    # Last time
    run_ids = fields.One2many("library.retention.run", "rule_id", string="Runs")
    last_run_on = fields.Datetime(string="Last Run", readonly=True)
    last_count = fields.Integer(string="Rows Last Run", readonly=True)
    last_seconds = fields.Float(
        string="Seconds Last Run", readonly=True, digits=(16, 1)
    )
    last_failure = fields.Char(readonly=True)

    _kind_uniq = models.UniqueIndex(
        "(kind, coalesce(company_id, 0))",
        "Data: this library has a rule for it already.",
    )
    _keep_positive = models.Constraint(
        "CHECK (keep_number > 0)",
        "Keep for: 1 or more is expected. To keep for ever, switch the rule off.",
    )

    # ------------------------------------------------------------
    # WHAT IT SAYS
    # ------------------------------------------------------------

    @api.depends("kind")
    @api.depends_context("lang")
    def _compute_display_name(self):
        labels = dict(self._fields["kind"]._description_selection(self.env))
        for rule in self:
            rule.display_name = labels.get(rule.kind, rule.kind)

    @api.depends("kind")
    @api.depends_context("lang")
    def _compute_why(self):
        kinds = self.env["library.retention.kind"]._get_kinds()
        for rule in self:
            rule.why = kinds[rule.kind].why if rule.kind in kinds else False

    @api.depends("kind", "keep_number", "keep_unit", "active")
    @api.depends_context("lang")
    def _compute_warning(self):
        kinds = self.env["library.retention.kind"]._get_kinds()
        for rule in self:
            kept = kinds.get(rule.kind)
            rule.warning = False
            if not rule.active:
                rule.warning = self.env._(
                    "Switched off: kept for ever, and the public page says so."
                )
            elif kept and rule._get_days() < kept.better:
                rule.warning = kept.better_why

    @api.depends("kind", "keep_number", "keep_unit")
    def _compute_before(self):
        for rule in self:
            rule.before = rule.keep_number > 0 and rule._get_before()

    @api.depends("kind", "keep_number", "keep_unit", "action", "active")
    def _compute_due(self):
        """Cost: a query a rule, which reads what is due."""
        self.env.flush_all()
        for rule in self:
            rule.due_count, rule.due_oldest = rule._count_due()
            rule.held_text = rule._describe_held()

    @api.constrains("kind", "keep_number", "keep_unit", "action")
    def _check_period(self):
        kinds = self.env["library.retention.kind"]._get_kinds()
        for rule in self:
            kept = kinds[rule.kind]
            if 0 < rule.keep_number and rule._get_days() < kept.least:
                raise ValidationError(
                    self.env._(
                        "%(kind)s: %(period)s is too short. %(why)s",
                        kind=kept.label,
                        period=rule._say_period(),
                        why=kept.least_why,
                    )
                )
            if rule._get_days() > 100 * 366:
                raise ValidationError(
                    self.env._(
                        "%(kind)s: a hundred years at most. To keep for ever, switch "
                        "the rule off.",
                        kind=kept.label,
                    )
                )
            if rule.action not in kept.says:
                raise ValidationError(
                    self.env._(
                        "%(kind)s: %(action)s is not possible for it.",
                        kind=kept.label,
                        action=dict(
                            self._fields["action"]._description_selection(self.env)
                        )[rule.action],
                    )
                )

    def _get_days(self):
        """The period in days, the shortest that it can be."""
        return self.keep_number * {"day": 1, "month": 28, "year": 365}[self.keep_unit]

    def _get_before(self):
        """The day before which rows are due."""
        self.ensure_one()
        company = self.company_id or self.env.company
        today = company._get_library_today()
        before = today - relativedelta(**{f"{self.keep_unit}s": self.keep_number})
        return self.env["library.retention.kind"]._get_before(self, before)

    def _say_period(self):
        self.ensure_one()
        number = self.keep_number
        if self.keep_unit == "day":
            return self.env._("%s days", number)
        if self.keep_unit == "month":
            return self.env._("%s months", number)
        return self.env._("%s years", number)

    def _say_kept(self):
        """For how long, in a sentence for patrons."""
        self.ensure_one()
        if not self.active:
            return self.env._("Kept for ever.")
        says = self.env["library.retention.kind"]._get_kinds()[self.kind].says
        return says[self.action] % {"period": self._say_period()}

    # ------------------------------------------------------------
    # WHICH THERE ARE
    # ------------------------------------------------------------

    @api.model
    def _get_for(self, company):
        """The rules of a library and of the whole database, by kind; those that are
        switched off too.

        :rtype: dict[str, library.retention.rule]
        """
        rules = (
            self.sudo()
            .with_context(active_test=False)
            .search([("company_id", "in", [company.id, False])])
        )
        return {rule.kind: rule for rule in rules}

    @api.model
    def _add_missing(self):
        """Give each library each rule that it has not got, as an addon that brings
        kinds or a new library needs; and take away rules of kinds that are gone."""
        Kind = self.env["library.retention.kind"]
        kinds = Kind._get_kinds()
        shared = Kind._get_shared()
        rules = self.sudo().with_context(active_test=False).search(Domain.TRUE)
        # While addons are loaded, those that come later have not said their kinds.
        if self.pool.ready:
            rules.filtered(lambda rule: rule.kind not in kinds).unlink()
            rules = rules.exists()
        there = {(rule.kind, rule.company_id.id) for rule in rules}
        companies = self.env["res.company"].sudo().search(Domain.TRUE).ids
        self.sudo().create(
            [
                {
                    "kind": name,
                    "company_id": company_id,
                    "sequence": place,
                    "keep_number": kept.number,
                    "keep_unit": kept.unit,
                    "action": next(iter(kept.says)),
                }
                for place, (name, kept) in enumerate(kinds.items(), 1)
                for company_id in ([False] if name in shared else companies)
                if (name, company_id) not in there
            ]
        )

    # ------------------------------------------------------------
    # TONIGHT
    # ------------------------------------------------------------

    def _query_due(self):
        self.ensure_one()
        query = getattr(self.env["library.retention.kind"], f"_query_due_{self.kind}")
        return query(self, self._get_before())

    def _count_due(self):
        """:return: number of rows that are due, and the day of the oldest"""
        if not self.active or self.keep_number <= 0:
            return 0, False
        [(count, oldest)] = self.env.execute_query(
            SQL("SELECT count(*), min(day) FROM (%s) due", self._query_due())
        )
        return count, oldest

    def _describe_held(self):
        """Who is old enough and held, and by what."""
        Kind = self.env["library.retention.kind"]
        holds = Kind._get_holds(self)
        if not self.active or not holds:
            return False
        old = Kind._query_old_patrons(self, self._get_before())
        [counts] = self.env.execute_query(
            SQL(
                "SELECT %s FROM library_patron patron WHERE id IN (SELECT id FROM (%s) "
                "old)",
                SQL(", ").join(
                    SQL("count(*) FILTER (WHERE %s)", hold) for hold in holds.values()
                ),
                old,
            )
        )
        return "\n".join(
            self.env._("%(count)s by %(hold)s", count=count, hold=hold)
            for hold, count in zip(holds, counts, strict=True)
            if count
        )

    @api.model
    def _cron_run(self):
        """Do what the rules say, batch by batch, each kept by itself: what is killed
        goes on the next night."""
        IrCron = self.env["ir.cron"]
        self._add_missing()
        rules = self.search(Domain.TRUE)
        for place, rule in enumerate(rules, 1):
            for count in rule._run():
                left = IrCron._commit_progress(
                    count, remaining=len(rules) - place + bool(count)
                )
                if not left:
                    return
                self.env.invalidate_all()

    def _run(self):
        """Do what the rule says. After each batch, also one that failed, the caller can
        commit.

        :return: the number of rows of each batch, 0 at the end
        """
        self.ensure_one()
        Kind = self.env["library.retention.kind"].sudo()
        batch = Kind._get_kinds()[self.kind].batch
        act = getattr(Kind, f"_{self.action}_{self.kind}")
        prepare = getattr(Kind, f"_prepare_{self.kind}", None)
        before = self._get_before()
        started, done = time.monotonic(), 0
        self.sudo().write({"last_run_on": fields.Datetime.now(), "last_failure": False})
        while ids := self._take(batch):
            begun = time.monotonic()
            try:
                with self.env.cr.savepoint():
                    if prepare:
                        prepare(self, before)
                        prepare = None
                    act(self, ids, before)
                    self.env.flush_all()
            except Exception as error:
                # What it says may name somebody; its kind does not.
                failure = type(error).__name__
                _logger.error(
                    "The retention rule %s of library %s failed: %s",
                    self.kind,
                    self.company_id.id,
                    failure,
                )
                self.env.invalidate_all(flush=False)
                self._note(0, time.monotonic() - begun, failure)
                self.sudo().last_failure = failure
                break
            self.env.invalidate_all()
            self._note(len(ids), time.monotonic() - begun)
            done += len(ids)
            self.sudo().write(
                {"last_count": done, "last_seconds": time.monotonic() - started}
            )
            yield len(ids)
        else:
            self.sudo().write(
                {"last_count": done, "last_seconds": time.monotonic() - started}
            )
        yield 0

    def _take(self, batch):
        """The next rows that are due, the oldest first."""
        self.env.flush_all()
        return [
            id_
            for (id_,) in self.env.execute_query(
                SQL(
                    "SELECT id FROM (%s) due ORDER BY day, id LIMIT %s",
                    self._query_due(),
                    batch,
                )
            )
        ]

    def _note(self, count, seconds, failure=False):
        self.env["library.retention.run"].sudo().create(
            {
                "rule_id": self.id,
                "kind": self.kind,
                "company_id": self.company_id.id,
                "action": self.action,
                "before": self._get_before(),
                "count": count,
                "seconds": seconds,
                "failure": failure,
            }
        )

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    @api.model
    def action_open_rules(self):
        """The screen with all rules and what each will do tonight."""
        self._add_missing()
        return self.env["ir.actions.actions"]._for_xml_id(
            "library_crm.library_retention_rule_action"
        )

    def action_dry_run(self):
        """Do it, take it all back, and tell what it would have done."""
        self.ensure_one()
        self.check_access("write")
        count, oldest = self._count_due()
        done, failure = 0, False
        self.env.flush_all()
        savepoint = self.env.cr.savepoint(flush=False)
        try:
            begun = time.monotonic()
            done = next(self._run())
            self.env.flush_all()
            failure = self.last_failure
            seconds = time.monotonic() - begun
        finally:
            savepoint.rollback()
            savepoint.close(rollback=False)
            self.env.invalidate_all(flush=False)
        if failure:
            message = self.env._("It would fail: %s", failure)
        elif not count:
            message = self.env._("Nothing is due.")
        else:
            message = self.env._(
                "%(count)s rows are due, the oldest of %(oldest)s. The first %(done)s "
                "went in %(seconds)s seconds, and were taken back.",
                count=count,
                oldest=format_date(self.env, oldest),
                done=done,
                seconds=round(seconds, 1),
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": self.display_name,
                "type": "danger" if failure else "info",
                "message": message,
                "sticky": True,
            },
        }

    def action_view_runs(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_retention_run_action"
            ),
            "domain": [("rule_id", "=", self.id)],
        }
