import re
from ast import literal_eval
from collections import defaultdict
from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL, is_html_empty


class LibraryJourneyStep(models.Model):
    """One thing that is done on a journey, some time after the step before it or on a
    day before or after the occasion: a mail, a task for staff, a request, or a
    question that parts the way.

    Steps are a tree: each has one step after it, a question has two, for yes and no.
    """

    _name = "library.journey.step"
    _description = "Journey Step"
    _order = "journey_id, version, id"
    _library_personal_data = {"*": "setting", "activity_user_id": "staff"}

    # Patrons who are dealt with together, in one transaction.
    _BATCH = 500
    # A step tied to a day (a birthday, the end of a card) is pointless much later.
    _LATE = timedelta(days=3)

    name = fields.Char(
        required=True, translate=True, help="For staff; patrons do not see it."
    )
    journey_id = fields.Many2one(
        "library.journey", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="journey_id.company_id")
    version = fields.Integer(required=True, default=1, readonly=True)
    parent_id = fields.Many2one(
        "library.journey.step",
        string="After",
        index="btree_not_null",
        ondelete="restrict",
        domain="[('journey_id', '=', journey_id), ('version', '=', version)]",
    )
    parent_kind = fields.Selection(related="parent_id.kind", string="Kind Before")
    branch = fields.Selection(
        [("yes", "Yes"), ("no", "No")],
        string="If",
        help="After a question: on which answer.",
    )
    kind = fields.Selection(
        [
            ("mail", "Mail"),
            ("activity", "Task for staff"),
            ("request", "Request"),
            ("condition", "Question"),
        ],
        required=True,
        default="mail",
    )

    # When
    timing = fields.Selection(
        [
            ("previous", "after the step before"),
            ("occasion", "from the day of the occasion"),
        ],
        string="Counted",
        required=True,
        default="previous",
        help="The occasion is the day of joining, the birthday, the end of the card … "
        "A day before it is a number below zero.",
    )
    delay = fields.Integer(string="Wait", required=True, default=0)
    delay_unit = fields.Selection(
        [
            ("hours", "Hours"),
            ("days", "Days"),
            ("weeks", "Weeks"),
            ("months", "Months"),
        ],
        required=True,
        default="days",
    )

    # What
    mailing_id = fields.Many2one(
        "mailing.mailing",
        string="Mail",
        index="btree_not_null",
        ondelete="restrict",
        domain="[('mailing_model_name', '=', 'library.patron')]",
    )
    mailing_b_id = fields.Many2one(
        "mailing.mailing",
        string="Second Mail (A/B)",
        index="btree_not_null",
        ondelete="restrict",
        domain="[('mailing_model_name', '=', 'library.patron')]",
        help="Half of the patrons get this one instead, to see which is opened more.",
    )
    domain = fields.Char(
        string="Question",
        default="[]",
        required=True,
        help="Yes for the patrons whom this holds for at that moment.",
    )
    activity_type_id = fields.Many2one(
        "mail.activity.type",
        default=lambda self: self.env.ref(
            "mail.mail_activity_data_todo", raise_if_not_found=False
        ),
        ondelete="restrict",
    )
    activity_user_id = fields.Many2one(
        "res.users",
        string="Assigned to",
        domain=[("share", "=", False)],
        help="Empty: the liaison of the patron, or else who is responsible for the "
        "journey.",
    )
    request_kind = fields.Selection(
        lambda self: (
            self.env["crm.lead"]
            ._fields["library_request_kind"]
            ._description_selection(self.env)
        ),
        string="Kind of Request",
    )
    note = fields.Text(help="What the task or request says.")

    is_open = fields.Boolean(
        compute="_compute_is_open",
        help="Nobody goes through this version yet, so it can be changed.",
    )

    # Numbers
    waiting_count = fields.Integer(string="Waiting", compute="_compute_numbers")
    sent_count = fields.Integer(string="Sent", compute="_compute_numbers")
    opened_count = fields.Integer(string="Opened", compute="_compute_numbers")
    clicked_count = fields.Integer(string="Clicked", compute="_compute_numbers")
    observed_count = fields.Integer(
        string="Followed Up",
        compute="_compute_numbers",
        help="Written to in a month of which the 30 days after are over, in a group of "
        "five or more.",
    )
    used_count = fields.Integer(
        string="Used a Service",
        compute="_compute_numbers",
        help="Of those followed up: within 30 days after they were written to.",
    )
    done_count = fields.Integer(string="Done", compute="_compute_numbers")
    yes_count = fields.Integer(string="Yes", compute="_compute_numbers")
    no_count = fields.Integer(string="No", compute="_compute_numbers")
    skipped_count = fields.Integer(string="Left Out", compute="_compute_numbers")
    failed_count = fields.Integer(string="Failed", compute="_compute_numbers")
    held_out_count = fields.Integer(string="Held Out", compute="_compute_numbers")
    exited_count = fields.Integer(string="Left", compute="_compute_numbers")
    comparison = fields.Char(string="A or B", compute="_compute_comparison")

    # ------------------------------------------------------------
    # COMPUTES
    # ------------------------------------------------------------

    @api.depends("journey_id.started_on", "journey_id.version", "version")
    def _compute_is_open(self):
        for step in self:
            step.is_open = step._are_open(step.journey_id, step.version)

    @api.model
    def _get_numbers(self):
        """What is counted of a step, as ``library.journey.result`` calls it; a hook."""
        return [
            *("sent", "opened", "clicked", "observed", "used", "done", "yes", "no"),
            *("skipped", "failed", "held_out", "exited"),
        ]

    def _compute_numbers(self):
        names = self._get_numbers()
        waiting = dict(
            self.env["library.journey.enrolment"]
            .sudo()
            ._read_group(
                [("step_id", "in", self.ids), ("state", "=", "active")],
                ["step_id"],
                ["__count"],
            )
        )
        numbers = {
            step: counts
            for step, *counts in self.env["library.journey.result"]
            .sudo()
            ._read_group(
                [("step_id", "in", self.ids)],
                ["step_id"],
                [f"{name}:sum" for name in names],
            )
        }
        for step in self:
            step.waiting_count = waiting.get(step, 0)
            counts = numbers.get(step, [0] * len(names))
            for name, count in zip(names, counts, strict=True):
                step[f"{name}_count"] = count

    def _compute_comparison(self):
        counts = {}
        for step, mailing, sent, opened in (
            self.env["library.journey.result"]
            .sudo()
            ._read_group(
                [("step_id", "in", self.ids), ("sent", "=", 1)],
                ["step_id", "mailing_id"],
                ["sent:sum", "opened:sum"],
            )
        ):
            original = mailing.library_original_id or mailing
            total = counts.setdefault((step, original), [0, 0])
            total[0] += sent
            total[1] += opened
        for step in self:
            if not step.mailing_b_id:
                step.comparison = False
                continue
            sent_a, opened_a = counts.get((step, step.mailing_id), (0, 0))
            sent_b, opened_b = counts.get((step, step.mailing_b_id), (0, 0))
            step.comparison = self.env._(
                "A: opened %(opened_a)s of %(sent_a)s; B: %(opened_b)s of %(sent_b)s.",
                opened_a=opened_a,
                sent_a=sent_a,
                opened_b=opened_b,
                sent_b=sent_b,
            )

    def _get_picture(self):
        """The step as a card of the picture; see ``library.journey.get_picture``."""
        self.ensure_one()
        numbers = ["waiting", *self._get_shown_numbers()]
        if self.observed_count:
            numbers += ["observed", "used"]
        numbers += [
            name
            for name in ("skipped", "failed", "held_out", "exited")
            if name == "exited" or self[f"{name}_count"]
        ]
        return {
            "id": self.id,
            "parent_id": self.parent_id.id,
            "branch": self.branch,
            "kind": self.kind,
            "icon": self._get_icon(),
            "name": self.name,
            "when": self._say_when(),
            "detail": self._say_detail(),
            "numbers": [
                {
                    "name": name,
                    "label": self._fields[f"{name}_count"]._description_string(
                        self.env
                    ),
                    "value": self[f"{name}_count"],
                }
                for name in numbers
            ],
        }

    def _get_shown_numbers(self):
        """What the picture counts of the step in any case; a hook."""
        return {
            "mail": ("sent", "opened", "clicked"),
            "condition": ("yes", "no"),
        }.get(self.kind, ("done",))

    def _get_icon(self):
        """The sign of the step in the picture; a hook."""
        return {
            "mail": "fa-envelope-o",
            "activity": "fa-check-square-o",
            "request": "fa-comments-o",
            "condition": "fa-question-circle-o",
        }[self.kind]

    def _say_when(self):
        count, unit = abs(self.delay), self.delay_unit
        words = {
            "hours": self.env._("%(count)s hours", count=count),
            "days": self.env._("%(count)s days", count=count),
            "weeks": self.env._("%(count)s weeks", count=count),
            "months": self.env._("%(count)s months", count=count),
        }[unit]
        if self.timing == "previous":
            if not self.delay:
                return self.env._("At once")
            return self.env._("After %(time)s", time=words)
        if not self.delay:
            return self.env._("On the day")
        if self.delay < 0:
            return self.env._("%(time)s before the day", time=words)
        return self.env._("%(time)s after the day", time=words)

    def _say_detail(self):
        if self.kind == "mail":
            subjects = (self.mailing_id + self.mailing_b_id).mapped("subject")
            return re.sub(r"\{\{.*?\}\}", "…", " / ".join(subjects))
        if self.kind == "request":
            selection = self._fields["request_kind"]._description_selection(self.env)
            return dict(selection).get(self.request_kind, "")
        return (self.note or "") if self.kind == "activity" else ""

    # ------------------------------------------------------------
    # THE TREE
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        steps = super().create(vals_list)
        if not self.env.context.get("library_copy_steps"):
            for step in steps:
                step._check_open()
                step._take_place()
        steps._check_library_domain()
        steps._own_mailings()
        return steps

    def write(self, vals):
        if vals.keys() - self._get_always_open():
            self._check_open()
        result = super().write(vals)
        if "domain" in vals:
            self._check_library_domain()
        if {"mailing_id", "mailing_b_id"} & vals.keys():
            self._own_mailings()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_only_open(self):
        self._check_open()

    def unlink(self):
        """The mails of a step go with it, the steps after it first."""
        mailings = self.mailing_id + self.mailing_b_id
        ordered = self._in_order()
        for step in reversed(ordered):
            super(LibraryJourneyStep, step).unlink()
        (mailings + mailings.library_translation_ids).filtered(
            "library_journey_id"
        ).sudo().unlink()
        return True

    def _in_order(self):
        """These steps, each after the one before it."""
        ordered, left = self.browse(), self
        while left:
            now = left.filtered(lambda step, left=left: step.parent_id not in left)
            if not now:
                raise UserError(
                    self.env._("Steps can not follow each other in a ring.")
                )
            ordered += now
            left -= now
        return ordered

    def _are_open(self, journey, version):
        """Whether the steps of a version may still be changed."""
        return not journey.started_on or version > journey.version

    @api.model
    def _get_always_open(self):
        """The fields that can be changed though patrons go through the step; a
        hook."""
        return {"name", "note", "activity_user_id"}

    def _check_open(self):
        """:raise UserError: if patrons have gone through this version already"""
        for step in self:
            if not step._are_open(step.journey_id, step.version):
                raise UserError(
                    self.env._(
                        "Patrons are going through version %(version)s of %(journey)s. "
                        "Begin a new version to change its steps; the text of the "
                        "mails can be changed at any time.",
                        version=step.version,
                        journey=step.journey_id.name,
                    )
                )

    def _take_place(self):
        """A step put before another pushes it down; after a question, to its yes."""
        self.ensure_one()
        if self.parent_id.kind != "condition":
            self.branch = False
        elif not self.branch:
            self.branch = "yes"
        self.journey_id._get_steps(self.version).filtered(
            lambda step: (
                step != self
                and step.parent_id == self.parent_id
                and (step.branch or False) == (self.branch or False)
            )
        ).write(
            {
                "parent_id": self.id,
                "branch": "yes" if self.kind == "condition" else False,
            }
        )

    def action_remove(self):
        """Take the step out; the steps after it move up. After a question only its yes
        goes on, and the steps of its no go with it."""
        self.ensure_one()
        self._check_open()
        children = self._get_children()
        kept = children.filtered(lambda step: step.branch != "no")
        dropped = (children - kept)._get_branch()
        kept.write({"parent_id": self.parent_id.id, "branch": self.branch})
        (self + dropped).unlink()
        return {"type": "ir.actions.act_window_close"}

    def _get_children(self):
        return self.journey_id.step_ids.filtered(lambda step: step.parent_id in self)

    def _get_branch(self):
        """These steps and all after them."""
        found = self
        while children := found._get_children() - found:
            found += children
        return found

    def _pass_over(self):
        """Before the addon of a kind is uninstalled: patrons go on to what comes after,
        as after a question to which everybody says yes. In SQL, because nobody may
        change the steps of a journey that runs."""
        self.env.flush_all()
        for query in (
            "UPDATE library_journey_step SET kind = 'condition', domain = '[]' "
            "WHERE id = ANY(%s)",
            "UPDATE library_journey_step SET branch = 'yes' WHERE parent_id = ANY(%s)",
        ):
            self.env.cr.execute(SQL(query, self.ids))
        self.env.invalidate_all()

    def _copy_to(self, journey, version):
        """Copy these steps, with their mails, to a version of a journey."""
        copies = {self.browse(): self.browse()}
        for step in self._in_order():
            copies[step] = step.with_context(library_copy_steps=True).copy(
                {
                    "journey_id": journey.id,
                    "version": version,
                    "parent_id": copies[step.parent_id].id,
                    "mailing_id": step.mailing_id._copy_for_journey().id,
                    "mailing_b_id": step.mailing_b_id._copy_for_journey().id,
                }
            )

    def _own_mailings(self):
        """A mail of a journey is sent by it and by nothing else. One that was written
        as code can be changed in the editor, too."""
        for step in self:
            mailings = step.mailing_id + step.mailing_b_id
            mailings += mailings.library_translation_ids
            mailings.write(
                {
                    "library_journey_id": step.journey_id.id,
                    "library_purpose_id": step.journey_id.purpose_id.id,
                }
            )
            for mailing in mailings.filtered(lambda mailing: not mailing.body_arch):
                mailing.body_arch = mailing.body_html

    def _check_library_domain(self):
        for step in self:
            self.env["library.patron"]._check_mailing_domain(
                literal_eval(step.domain or "[]")
            )

    def _check_complete(self):
        """:raise UserError: naming a step that can not be done"""
        for step in self:
            if missing := step._say_missing():
                raise UserError(
                    self.env._(
                        "%(step)s: %(missing)s.", step=step.name, missing=missing
                    )
                )

    def _say_missing(self):
        """What keeps the step from being done, in words; a hook."""
        if self.kind == "mail" and any(
            is_html_empty(mailing.body_html) or not mailing.subject
            for mailing in self.mailing_id + self.mailing_b_id or [self.mailing_id]
        ):
            return self.env._("its mail has no text yet")
        if self.kind == "request" and not self.request_kind:
            return self.env._("the kind of request is missing")
        if self.kind == "condition" and self.domain == "[]":
            return self.env._("the question is missing")
        lead = self.journey_id._get_lead()
        if (
            self.timing == "occasion"
            and self._get_delay(self._get_today()).days < -lead
        ):
            return self.env._(
                "it comes before patrons enter, %(days)s days ahead", days=lead
            )
        return ""

    def _get_today(self):
        return fields.Date.context_today(self)

    def _get_delay(self, day):
        """The wait as counted from a day."""
        return day + relativedelta(**{self.delay_unit: self.delay}) - day

    # ------------------------------------------------------------
    # WHEN
    # ------------------------------------------------------------

    def _sql_due_at(self, occasion, time_zone):
        """When the step is due, in UTC, for somebody who has just come to it. A step
        tied to a day is due when the quiet hours of that day end at the branch."""
        delay = SQL("%s::interval", f"{self.delay} {self.delay_unit}")
        if self.timing == "previous":
            return SQL("%s::timestamp + %s", fields.Datetime.now(), delay)
        return SQL(
            "((%(day)s + %(delay)s + %(hour)s) AT TIME ZONE %(zone)s) "
            "AT TIME ZONE 'UTC'",
            day=occasion,
            delay=delay,
            hour=timedelta(hours=self.journey_id.quiet_to),
            zone=time_zone,
        )

    def _sql_of_enrolments(self, enrolments, columns):
        """A query of these enrolments with what is known of their patron."""
        journey = self.journey_id
        return SQL(
            """
            SELECT enrolment.id, %(columns)s
              FROM library_journey_enrolment enrolment
              JOIN library_patron patron ON patron.id = enrolment.patron_id
              %(join)s
             WHERE enrolment.id = ANY(%(ids)s)
            """,
            columns=columns,
            join=journey._sql_join_time_zone(),
            ids=enrolments.ids,
        )

    # ------------------------------------------------------------
    # WHAT IS DUE
    # ------------------------------------------------------------

    def _run_batch(self):
        """Do the step for some of the patrons who are due for it.

        :return: how many were dealt with; 0: nobody is due, or another worker has them
        :rtype: int
        """
        self.ensure_one()
        enrolments = self._claim()
        if enrolments:
            self._run(enrolments)
        return len(enrolments)

    def _claim(self):
        """Lock some who are due, leaving those that another worker has locked. Where
        households get one message, whoever of them is due on that day comes along."""
        Enrolment = self.env["library.journey.enrolment"]
        self.env.flush_all()
        now = fields.Datetime.now()
        self.env.cr.execute(
            SQL(
                """
                SELECT id
                  FROM library_journey_enrolment
                 WHERE state = 'active' AND step_id = %(step)s AND due_at <= %(now)s
              ORDER BY due_at, id
                 LIMIT %(limit)s
                   FOR UPDATE SKIP LOCKED
                """,
                step=self.id,
                now=now,
                limit=self._BATCH,
            )
        )
        ids = [number for (number,) in self.env.cr.fetchall()]
        if ids and self._groups_households():
            self.env.cr.execute(
                SQL(
                    """
                    SELECT enrolment.id
                      FROM library_journey_enrolment enrolment
                      JOIN library_patron patron ON patron.id = enrolment.patron_id
                     WHERE enrolment.state = 'active'
                       AND enrolment.step_id = %(step)s
                       AND enrolment.due_at < %(day)s
                       AND enrolment.id != ALL(%(ids)s)
                       AND %(household)s IN (
                               SELECT %(household)s
                                 FROM library_journey_enrolment claimed
                                 JOIN library_patron patron
                                   ON patron.id = claimed.patron_id
                                WHERE claimed.id = ANY(%(ids)s)
                           )
                       FOR UPDATE OF enrolment SKIP LOCKED
                    """,
                    step=self.id,
                    day=now + timedelta(days=1),
                    ids=ids,
                    household=self.journey_id._sql_household(),
                )
            )
            ids += [number for (number,) in self.env.cr.fetchall()]
        return Enrolment.browse(ids)

    def _run(self, enrolments):
        """Do the step for patrons who are due, after asking what holds now."""
        for reason, gone in self._find_exits(enrolments):
            gone._exit(self, reason)
            enrolments -= gone
        late = self._find_late(enrolments)
        late._pass(self, "skipped", reason="late")
        getattr(self, f"_run_{self.kind}")(enrolments - late)

    def _find_exits(self, enrolments):
        """Who leaves the journey now, and why.

        :return: pairs of a reason and enrolments; nobody is in two of them
        """
        journey = self.journey_id
        gone = enrolments.filtered(lambda enrolment: not enrolment.patron_id.active)
        yield "archived", gone
        enrolments -= gone
        days = enrolments.mapped("occasion") or [self._get_today()]
        holding = self.env.execute_query(
            SQL(
                "SELECT enrolment.id FROM library_journey_enrolment enrolment "
                "WHERE enrolment.id = ANY(%(ids)s) AND %(holds)s",
                ids=enrolments.ids,
                holds=journey._sql_occasion_holds(min(days), max(days)),
            )
        )
        gone = enrolments - enrolments.browse(number for (number,) in holding)
        yield "occasion", gone
        enrolments -= gone
        if exit_domain := journey._get_exit_domain():
            yield "wish", enrolments._filter_patrons(exit_domain)

    def _find_late(self, enrolments):
        if self.timing != "occasion" or self.kind == "condition":
            return enrolments.browse()
        deadline = fields.Datetime.now() - self._LATE
        late = self.env.execute_query(
            SQL(
                "SELECT id FROM (%s) AS plan (id, due_at) WHERE due_at < %s",
                self._sql_of_enrolments(
                    enrolments,
                    self._sql_due_at(
                        SQL("enrolment.occasion"), self.journey_id._sql_time_zone()
                    ),
                ),
                deadline,
            )
        )
        return enrolments.browse(number for (number,) in late)

    def _run_condition(self, enrolments):
        yes = enrolments._filter_patrons(Domain(literal_eval(self.domain)))
        yes._pass(self, "yes")
        (enrolments - yes)._pass(self, "no")

    def _run_activity(self, enrolments):
        treated = enrolments.filtered(lambda enrolment: enrolment.arm == "treated")
        (enrolments - treated)._pass(self, "held_out")
        for enrolment in treated:
            patron = enrolment.patron_id
            user = self.activity_user_id or patron.liaison_id or self.journey_id.user_id
            patron.activity_schedule(
                activity_type_id=self.activity_type_id.id,
                summary=self.name,
                note=self.note,
                user_id=user.id or self.env.uid,
            )
        treated._pass(self, "done")

    def _run_request(self, enrolments):
        treated = enrolments.filtered(lambda enrolment: enrolment.arm == "treated")
        (enrolments - treated)._pass(self, "held_out")
        self.env["crm.lead"].with_company(self.company_id).with_context(
            mail_create_nosubscribe=True
        ).create(
            [self._prepare_request_values(enrolment.patron_id) for enrolment in treated]
        )
        treated._pass(self, "done")

    def _prepare_request_values(self, patron):
        """Values of the request about a patron; a hook."""
        return {
            "name": f"{self.name}: {patron.complete_name}",
            "library_request_kind": self.request_kind,
            "library_patron_id": patron.id,
            "company_id": self.company_id.id,
            "user_id": (self.activity_user_id or patron.liaison_id).id,
            "description": self.note,
        }

    # ------------------------------------------------------------
    # MESSAGES
    # ------------------------------------------------------------

    @api.model
    def _get_channels(self):
        """The kinds of step that write to patrons: the channel by which they must have
        agreed to it, and the field of a patron with the address it goes to. Another
        kind adds itself and a method ``_queue_<kind>``; see :meth:`_queue_mail`."""
        return {"mail": ("email", "email_normalized")}

    def _is_message(self):
        """Whether the step writes to patrons."""
        return self.kind in self._get_channels()

    def _run_mail(self, enrolments):
        self._run_message(enrolments)

    def _run_message(self, enrolments):
        """Write to those who can be written to now, whatever the channel is."""
        enrolments -= self._wait_for_quiet_hours(enrolments)
        for reason, left_out in self._find_unreachable(enrolments):
            left_out._pass(self, "skipped", reason=reason)
            enrolments -= left_out
        enrolments -= self._wait_for_cap(enrolments)
        held_out = enrolments.filtered(lambda enrolment: enrolment.arm == "held_out")
        held_out._pass(self, "held_out")
        self._send(enrolments - held_out)

    def _wait_for_quiet_hours(self, enrolments):
        """Put off whoever it is night for, to the end of the night at their branch."""
        journey = self.journey_id
        if journey.quiet_from == journey.quiet_to:
            return enrolments.browse()
        hours = {
            "start": timedelta(hours=journey.quiet_from),
            "end": timedelta(hours=journey.quiet_to),
        }
        is_quiet = (
            SQL("clock >= %(start)s AND clock < %(end)s", **hours)
            if journey.quiet_from < journey.quiet_to
            else SQL("(clock >= %(start)s OR clock < %(end)s)", **hours)
        )
        rows = self.env.execute_query(
            SQL(
                """
                SELECT id,
                       ((moment - clock + %(end)s + CASE WHEN clock < %(end)s
                            THEN '0 days' ELSE '1 day' END::interval
                        ) AT TIME ZONE zone) AT TIME ZONE 'UTC'
                  FROM (
                        SELECT id, zone, moment, moment::time::interval AS clock
                          FROM (%(local)s) AS local (id, zone, moment)
                       ) night
                 WHERE %(is_quiet)s
                """,
                local=self._sql_of_enrolments(
                    enrolments,
                    SQL(
                        "%(zone)s, %(now)s::timestamp AT TIME ZONE 'UTC' "
                        "AT TIME ZONE %(zone)s",
                        zone=journey._sql_time_zone(),
                        now=fields.Datetime.now(),
                    ),
                ),
                is_quiet=is_quiet,
                end=hours["end"],
            )
        )
        return enrolments._put_off(dict(rows))

    def _find_unreachable(self, enrolments):
        """Who can not be written to now, and why.

        :return: pairs of a reason and enrolments; nobody is in two of them
        """
        for reason, patrons in self._find_unreachable_patrons(enrolments.patron_id):
            yield (
                reason,
                enrolments.filtered(
                    lambda one, patrons=patrons: one.patron_id in patrons
                ),
            )

    def _find_unreachable_patrons(self, patrons):
        """:return: pairs of a reason and patrons; nobody is in two of them"""
        channel, _field = self._get_channels()[self.kind]
        reachable = self.env["library.consent"]._filter_reachable(
            patrons, self.journey_id.purpose_id, channel
        )
        yield "no_consent", patrons - reachable
        addresses = self._get_addresses(reachable)
        blocked = self._find_blacklisted(list(filter(None, addresses.values())))
        yield (
            self._get_reason_without_address(),
            reachable.filtered(lambda one: not addresses[one]),
        )
        yield "blacklisted", reachable.filtered(lambda one: addresses[one] in blocked)

    def _get_addresses(self, patrons):
        """Where the message for each of some patrons goes to.

        :rtype: dict[library.patron, str]
        """
        _channel, field = self._get_channels()[self.kind]
        return {
            patron: recipient.sudo()[field]
            for patron, recipient in patrons._get_recipients(field).items()
        }

    def _find_blacklisted(self, addresses):
        """Those of some addresses that nothing is to be sent to; a hook."""
        return set(
            self.env["mail.blacklist"]
            .search([("email", "in", addresses)])
            .mapped("email")
        )

    def _is_at_rest(self):
        """Whether nothing is sent for now, and whoever is due goes on; a hook."""
        return False

    def _get_days_of_peace(self):
        """For how many days after such a message nobody gets another; a hook for what
        is rarely sent. Whoever would is left out, and goes on."""
        return 0

    def _get_days_of_last(self, patrons):
        """The day on which some patrons had such a message last; a hook.

        :return: days by the id of the patron
        """
        return {}

    def _groups_households(self):
        """Whether several in a household are named in one message; a hook."""
        return self._is_message() and self.journey_id.groups_households

    def _get_reason_without_address(self):
        """Why somebody without an address is left out; a hook."""
        return "no_address"

    def _wait_for_cap(self, enrolments):
        """Put off whoever has had as many messages of the library within a week as one
        should get, until the first of them is a week old."""
        cap = self.company_id.library_weekly_cap
        if not cap or not self.journey_id.purpose_id.is_refusable:
            return enrolments.browse()
        week = timedelta(days=7)
        rows = self.env.execute_query(
            SQL(
                """
                SELECT patron_id, (array_agg(sent_at ORDER BY sent_at DESC))[%(cap)s]
                  FROM (%(messages)s) AS message (patron_id, sent_at)
              GROUP BY patron_id
                HAVING count(*) >= %(cap)s
                """,
                cap=cap,
                messages=self._query_messages(
                    enrolments.patron_id, fields.Datetime.now() - week
                ),
            )
        )
        free_at = {patron: sent_at + week for patron, sent_at in rows}
        return enrolments._put_off(
            {
                enrolment.id: free_at[enrolment.patron_id.id]
                for enrolment in enrolments
                if enrolment.patron_id.id in free_at
            }
        )

    @api.model
    def _query_messages(self, patrons, since):
        """What some patrons were sent since a moment, of all journeys and mailings,
        and the mails to others of the household that were for them as well; a hook.

        :return: a query of patron id and moment
        :rtype: odoo.tools.SQL
        """
        return SQL(
            """
            SELECT library_patron_id, create_date
              FROM mailing_trace
             WHERE library_patron_id = ANY(%(patrons)s)
               AND create_date > %(since)s
               AND trace_status NOT IN ('cancel', 'error')
         UNION ALL
            SELECT enrolment.patron_id, event.date
              FROM library_journey_event event
              JOIN library_journey_enrolment enrolment
                ON enrolment.id = event.enrolment_id
             WHERE enrolment.patron_id = ANY(%(patrons)s)
               AND event.what = 'sent'
               AND event.date > %(since)s
               AND event.is_together
            """,
            patrons=patrons.ids,
            since=since,
        )

    def _send(self, enrolments):
        """Put the messages into the queue, with the rows that say so, to be committed
        together. Several in a household are named in the message to one of them."""
        if not enrolments:
            return
        groups = self._group(enrolments)
        companions = {
            lead.patron_id.id: tuple(group.patron_id.ids)
            for lead, group in groups.items()
            if len(group) > 1
        }
        queue = getattr(
            self.with_context(library_journey_companions=tuple(companions.items())),
            f"_queue_{self.kind}",
        )
        leads = enrolments.browse().concat(*groups)
        for done, outcome, values, own in queue(leads):
            done._pass(self, outcome, own=own, **values)
            for lead in done:
                (groups[lead] - lead)._pass(
                    self,
                    outcome,
                    with_patron_id=lead.patron_id.id,
                    is_together=True,
                    **values,
                )

    def _queue_mail(self, leads):
        """Put the mails into the queue.

        :param leads: enrolments of those who are written to
        :return: some of the enrolments, what came of them, further values of their
            events, and those of the event of each by the id of the patron
        """
        alike = defaultdict(leads.browse)
        for lead, mailing, lang in self._choose_mailings(leads):
            alike[mailing, lang] += lead
        for (mailing, lang), some in alike.items():
            traces = mailing._queue_for_journey(some.patron_id, lang)
            own = {
                patron_id: {"trace_id": traces[patron_id].id} for patron_id in traces
            }
            for outcome, values, done in self._read_outcomes(some, traces):
                yield done, outcome, {"mailing_id": mailing.id, **values}, own

    def _read_outcomes(self, leads, traces):
        """What Odoo's composer made of the mails: in the queue, or refused by it."""
        refused = leads.filtered(
            lambda lead: (
                lead.patron_id.id not in traces
                or traces[lead.patron_id.id].trace_status in ("cancel", "error")
            )
        )
        if refused:
            yield "skipped", {"reason": "refused"}, refused
        if sent := leads - refused:
            yield "sent", {}, sent

    def _group(self, enrolments):
        """Who is written to, with those whom the mail is for as well: each alone, or
        one of a household: a grown-up with an address of their own, if there is one.

        :return: enrolments by the one of them who is written to
        :rtype: dict
        """
        if not self._groups_households():
            return {enrolment: enrolment for enrolment in enrolments}
        households = dict(
            self.env.execute_query(
                self._sql_of_enrolments(enrolments, self.journey_id._sql_household())
            )
        )
        return {
            min(group, key=lambda one: self._rank_reader(one.patron_id)): group
            for group in enrolments.grouped(lambda one: households[one.id]).values()
        }

    def _rank_reader(self, patron):
        """Of a household the one with the lowest rank is written to."""
        _channel, field = self._get_channels()[self.kind]
        return bool(patron.guardian_id), not patron[field], patron.id

    def _choose_mailings(self, leads):
        """The mail for each: A or B, always the same for a patron at this step, in
        the language of whoever reads it, where it was translated.

        :return: an enrolment, a ``mailing.mailing``, and the language of the reader
        """
        gets_b = set()
        if self.mailing_b_id:
            gets_b = {
                number
                for number, dice in self.env.execute_query(
                    self._sql_of_enrolments(
                        leads, self.journey_id._sql_dice("mail", self.id)
                    )
                )
                if dice >= 50
            }
        readers = leads.patron_id._get_mail_recipients()
        for lead in leads:
            mailing = self.mailing_b_id if lead.id in gets_b else self.mailing_id
            lang = readers[lead.patron_id].sudo().lang
            yield lead, mailing._in_language(lang), lang

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_edit_mail(self):
        """Open the mail of the step, made anew where there is none; which of the two
        comes in the context as ``library_mail``."""
        self.ensure_one()
        name = self.env.context.get("library_mail", "mailing_id")
        if not self[name]:
            self[name] = self.env["mailing.mailing"].create(
                self._prepare_mailing_values()
            )
        return {
            "type": "ir.actions.act_window",
            "res_model": "mailing.mailing",
            "view_mode": "form",
            "res_id": self[name].id,
        }

    def _prepare_mailing_values(self):
        """Values of a new mail of the step; a hook."""
        return {
            "subject": self.name,
            "mailing_model_id": self.env["ir.model"]._get_id("library.patron"),
            "mailing_domain": "[]",
            "library_purpose_id": self.journey_id.purpose_id.id,
        }

    def action_view_waiting(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_journey_enrolment_action"
            ),
            "domain": [("step_id", "=", self.id), ("state", "=", "active")],
            "context": {},
        }
