from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL


class LibraryJourneyEnrolment(models.Model):
    """A patron on a journey, for one occasion: where they are, and what is next. Of who
    is erased the row stays, so that results stay right, without the person and the day.

    The rows are written by set-based SQL, many at once, so who wrote them is not kept.
    """

    _name = "library.journey.enrolment"
    _description = "Patron on a Journey"
    _order = "entered_at desc, id desc"
    _rec_name = "journey_id"
    _log_access = False
    _library_personal_data = {"*": "journey"}

    journey_id = fields.Many2one(
        "library.journey", required=True, readonly=True, ondelete="cascade"
    )
    version = fields.Integer(
        required=True,
        readonly=True,
        aggregator=None,
        help="The version of the steps that the patron goes through to the end.",
    )
    patron_id = fields.Many2one("library.patron", readonly=True, ondelete="set null")
    branch_id = fields.Many2one(related="patron_id.branch_id")
    former_branch_id = fields.Many2one(
        "library.branch",
        string="Former Home Branch",
        readonly=True,
        ondelete="set null",
        help="The home branch of a patron who was erased.",
    )
    occasion = fields.Date(
        required=True, readonly=True, help="The day that it is about."
    )
    arm = fields.Selection(
        [("treated", "Written to"), ("held_out", "Held out")],
        string="Group",
        required=True,
        readonly=True,
        default="treated",
    )
    state = fields.Selection(
        [("active", "On the way"), ("done", "At the end"), ("exited", "Left")],
        required=True,
        readonly=True,
        default="active",
    )
    entered_at = fields.Datetime(required=True, readonly=True)
    step_id = fields.Many2one(
        "library.journey.step", string="Next Step", readonly=True, ondelete="restrict"
    )
    due_at = fields.Datetime(string="Due", readonly=True)
    first_at = fields.Datetime(
        string="First Written To",
        readonly=True,
        help="When the first message was sent, or would have been to who is held out.",
    )
    ended_at = fields.Datetime(string="Ended", readonly=True)
    event_ids = fields.One2many(
        "library.journey.event", "enrolment_id", string="What Happened", readonly=True
    )

    _occasion_uniq = models.UniqueIndex(
        "(patron_id, journey_id, occasion)",
        "This patron is on that journey for that occasion already.",
    )
    _active_uniq = models.UniqueIndex(
        "(journey_id, patron_id) WHERE state = 'active'",
        "This patron is on that journey already.",
    )
    _active_is_somebody = models.Constraint(
        "CHECK (state != 'active' OR patron_id IS NOT NULL)",
        "Patron: somebody is expected to be on the way.",
    )
    _due_idx = models.Index("(step_id, due_at) WHERE state = 'active'")

    @api.depends("journey_id", "patron_id")
    def _compute_display_name(self):
        for enrolment in self:
            enrolment.display_name = self.env._(
                "%(patron)s: %(journey)s",
                patron=enrolment.patron_id.complete_name or "",
                journey=enrolment.journey_id.name or "",
            )

    # ------------------------------------------------------------
    # ON THE WAY
    # ------------------------------------------------------------

    def _filter_patrons(self, domain):
        """Those whose patron a domain holds for now."""
        patrons = self.env["library.patron"].search(
            Domain("id", "in", self.patron_id.ids) & domain, order="id"
        )
        return self.filtered(lambda enrolment: enrolment.patron_id in patrons)

    def _put_off(self, due_at):
        """Let the step wait.

        :param dict due_at: until when, by id
        :return: those put off
        """
        put_off = self.browse(due_at)
        for enrolment in put_off:
            enrolment.due_at = due_at[enrolment.id]
        return put_off

    def _pass(self, step, what, own=None, **values):
        """Write down what came of a step, once, and go on to the next one.

        :param str what: as in ``library.journey.event``
        :param dict own: further values of the event of each, by patron id
        :param values: further values of all events
        """
        if not self:
            return
        self._record(step, what, own or {}, values)
        following = step._get_children().filtered(
            lambda child: (child.branch or what) == what
        )[:1]
        now = fields.Datetime.now()
        self.env.flush_all()
        is_written_to = step._is_message() and what != "skipped"
        self.env.cr.execute(
            SQL(
                """
                UPDATE library_journey_enrolment enrolment
                   SET step_id = %(step)s, state = %(state)s, due_at = plan.due_at,
                       ended_at = %(ended_at)s,
                       first_at = coalesce(first_at, %(first_at)s)
                  FROM (%(plan)s) AS plan (id, due_at)
                 WHERE plan.id = enrolment.id
                """,
                step=following.id or None,
                state="active" if following else "done",
                ended_at=None if following else now,
                first_at=now if is_written_to else None,
                plan=step._sql_of_enrolments(
                    self,
                    following._sql_due_at(
                        SQL("enrolment.occasion"), step.journey_id._sql_time_zone()
                    )
                    if following
                    else SQL("NULL::timestamp"),
                ),
            )
        )
        self.invalidate_recordset()

    def _exit(self, step, reason):
        """Leave the journey before a step."""
        if not self:
            return
        if step:
            self._record(step, "exited", {}, {"reason": reason})
        self.write(
            {
                "state": "exited",
                "step_id": False,
                "due_at": False,
                "ended_at": fields.Datetime.now(),
            }
        )

    def _record(self, step, what, own, values):
        now = fields.Datetime.now()
        self.env["library.journey.event"].create(
            [
                {
                    "enrolment_id": enrolment.id,
                    "step_id": step.id,
                    "date": now,
                    "what": what,
                    **values,
                    **own.get(enrolment.patron_id.id, {}),
                }
                for enrolment in self
            ]
        )

    @api.model
    def _merge_patrons(self, kept, others):
        """Before patrons are merged: of two ways for the same occasion one stays, and
        the patron is on a journey once. To be called with sudo."""
        enrolments = self.search([("patron_id", "in", (kept + others).ids)])
        for group in enrolments.grouped("journey_id").values():
            ordered = group.sorted(
                lambda one: (one.patron_id != kept, one.state != "active", one.id)
            )
            running = ordered.filtered(lambda one: one.state == "active")
            for extra in running[1:]:
                extra._exit(extra.step_id, "merged")
            for same in ordered.grouped("occasion").values():
                same[1:].unlink()

    @api.model
    def _forget(self, patrons):
        """These patrons are erased: what was counted stays counted, of nobody, in a
        month. To be called with sudo."""
        enrolments = self.search([("patron_id", "in", patrons.ids)])
        enrolments.journey_id._keep_outcomes_of(patrons)
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                UPDATE library_journey_event
                   SET date = date_trunc('month', date), failure = NULL
                 WHERE enrolment_id = ANY(%s)
                """,
                list(enrolments._ids),
            )
        )
        self.env.cr.execute(
            SQL(
                """
                UPDATE library_journey_enrolment enrolment
                   SET patron_id = NULL,
                       former_branch_id = patron.branch_id,
                       state = CASE WHEN state = 'done' THEN state ELSE 'exited' END,
                       step_id = NULL,
                       due_at = NULL,
                       first_at = NULL,
                       occasion = date_trunc('month', occasion),
                       entered_at = date_trunc('month', entered_at),
                       ended_at = date_trunc('month', ended_at)
                  FROM library_patron patron
                 WHERE patron.id = enrolment.patron_id
                   AND enrolment.id = ANY(%s)
                """,
                list(enrolments._ids),
            )
        )
        self.env.invalidate_all(flush=False)

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_take_out(self):
        """Let patrons leave the journey because somebody decided so."""
        self.env["library.patron"].browse(self.patron_id.ids).check_access("read")
        self.check_access("read")
        if any(enrolment.state != "active" for enrolment in self):
            raise UserError(self.env._("This patron is not on the way any more."))
        for step, enrolments in self.sudo().grouped("step_id").items():
            enrolments._exit(step, "staff")
