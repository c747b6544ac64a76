import logging
from ast import literal_eval
from datetime import date, timedelta
from math import sqrt

from psycopg2 import OperationalError

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from .library_service_usage import OUTCOME_DAYS

_logger = logging.getLogger(__name__)

#: Triggers that tell of a patron what marketing may not know: the day of birth, or the
#: use of one service.
PRIVATE_TRIGGERS = ("birthday", "outgrow", "first_use")
#: Triggers tied to a day that is known before: patrons enter some days ahead of it.
AHEAD_TRIGGERS = ("birthday", "expiry", "anniversary", "outgrow")
#: Triggers that can hold of patrons whose day has passed.
PAST_TRIGGERS = ("joined", "expiry", "unused", "first_use")
#: Triggers that can stop being true while the patron is on the way.
REVOCABLE_TRIGGERS = ("expiry", "unused", "outgrow")

#: For the lift: so many patrons in each arm, and so many with and without a use.
FEWEST_IN_ARM = 30
FEWEST_OUTCOMES = 5


def get_lift(used_1, size_1, used_0, size_0):
    """How many more of those written to used the library than of those held out.

    The difference of two proportions, p1 - p0, with its 95 % interval after Wald:
    ``(p1 - p0) ± 1.96 · sqrt(p1 (1 - p1) / n1 + p0 (1 - p0) / n0)``. The normal
    approximation needs numbers: at least 30 in each arm, of whom at least 5 did and
    5 did not use the library.

    :param int used_1: patrons written to who used a service
    :param int size_1: patrons written to
    :param int used_0: patrons held out who used a service
    :param int size_0: patrons held out
    :return: the difference, the lower and the upper end of its interval, as shares;
        None where there are too few to tell
    :rtype: tuple[float, float, float] | None
    """
    for used, size in ((used_1, size_1), (used_0, size_0)):
        if (
            size < FEWEST_IN_ARM
            or not FEWEST_OUTCOMES <= used <= size - FEWEST_OUTCOMES
        ):
            return None
    share_1, share_0 = used_1 / size_1, used_0 / size_0
    half = 1.96 * sqrt(
        share_1 * (1 - share_1) / size_1 + share_0 * (1 - share_0) / size_0
    )
    lift = share_1 - share_0
    return lift, lift - half, lift + half


class LibraryJourney(models.Model):
    """What the library says to a patron, and when, after something has happened: they
    joined, their card is about to expire, they have not been seen for a while.

    A patron enters once an occasion. Whether a step still fits is asked at the moment
    of the step, not when the patron entered. Some patrons can be held out: they go the
    same way and nothing is sent, so that it can be seen whether writing helps.
    """

    _name = "library.journey"
    _description = "Journey"
    _order = "sequence, name, id"
    _check_company_auto = True
    _library_personal_data = {"*": "setting", "user_id": "staff"}

    # Entering is looked for this far back, so that a job that stood still for a while
    # leaves nobody out.
    _LOOK_BACK = timedelta(days=30)

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    sequence = fields.Integer(default=10)
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    user_id = fields.Many2one(
        "res.users",
        string="Responsible",
        domain=[("share", "=", False)],
        default=lambda self: self.env.user,
        help="Gets the tasks of patrons who have no liaison.",
    )
    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("running", "Running"),
            ("paused", "Paused"),
            ("done", "Closed"),
        ],
        required=True,
        readonly=True,
        copy=False,
        default="draft",
        help="Paused: nobody enters and nothing is sent. Closed: nobody enters, and "
        "whoever is on the way finishes.",
    )
    problem = fields.Char(
        readonly=True, copy=False, help="Why the journey was paused by itself."
    )
    started_on = fields.Date(readonly=True, copy=False)
    version = fields.Integer(
        readonly=True,
        copy=False,
        default=1,
        help="The version that patrons who enter now will go through.",
    )
    edited_version = fields.Integer(readonly=True, copy=False, default=1)
    kept_until = fields.Date(
        string="Outcome Kept Until",
        readonly=True,
        copy=False,
        help="What followed first mails before this day is kept as a count: the rows "
        "of use that told it are gone.",
    )
    kept_outcome = fields.Json(
        readonly=True,
        copy=False,
        help="Used and size, by arm: of first mails till then.",
    )

    # Who enters
    trigger = fields.Selection(
        [
            ("joined", "Joined"),
            ("expiry", "Card expires"),
            ("unused", "Has not used a service"),
            ("birthday", "Birthday"),
            ("anniversary", "Anniversary of joining"),
            ("outgrow", "Outgrows the category"),
            ("first_use", "First use of a service"),
            ("domain", "Matches the choice below"),
        ],
        required=True,
        default="joined",
    )
    trigger_days = fields.Integer(
        string="Days",
        help="Card, birthday, anniversary, category: so many days before the day a "
        "patron enters. No use: after so many days.",
    )
    service_id = fields.Many2one(
        "library.service",
        check_company=True,
        index="btree_not_null",
        ondelete="restrict",
        help="Empty: any service.",
    )
    includes_past = fields.Boolean(
        string="Also Those Whose Day Has Passed",
        help="Take in at the start whoever it already holds for, not only those of "
        "whom it becomes true from now on.",
    )
    patron_domain = fields.Char(string="Only Patrons", default="[]", required=True)
    segment_id = fields.Many2one(
        "library.segment",
        compute="_compute_segment_id",
        store=True,
        index="btree_not_null",
        ondelete="set null",
        help="The one that is asked for under Only Patrons.",
    )
    reentry = fields.Selection(
        [
            ("once", "Once"),
            ("occasion", "On each occasion"),
            ("after", "Again after some days"),
        ],
        string="Enters",
        required=True,
        default="occasion",
    )
    reentry_days = fields.Integer(string="Days Between", default=180)
    is_private = fields.Boolean(
        compute="_compute_is_private",
        store=True,
        help="Being on this journey tells when somebody was born, what they used or "
        "answered, so marketing sees its numbers and no names.",
    )

    # Who leaves, and how it is sent
    exit_domain = fields.Char(
        string="Leave When", help="Patrons whom this holds for leave the journey."
    )
    purpose_id = fields.Many2one(
        "library.consent.purpose",
        required=True,
        ondelete="restrict",
        default=lambda self: self.env.ref(
            "library_crm.library_consent_purpose_news", raise_if_not_found=False
        ),
        help="Only patrons who agreed to it are written to.",
    )
    hold_out_percent = fields.Integer(
        string="Held Out (%)",
        help="So many of a hundred patrons go through without being written to, to "
        "compare with.",
    )
    quiet_from = fields.Float(
        default=20, help="Nothing is sent from this hour on, at the patron's branch."
    )
    quiet_to = fields.Float(
        default=8,
        help="From this hour on mails are sent again, at the patron's branch.",
    )
    groups_households = fields.Boolean(
        string="One Mail a Household",
        help="Members of a household, or children of one guardian, who are due for the "
        "same step on the same day get one mail that names them all.",
    )
    weekly_cap = fields.Integer(
        string="Mails a Week at Most",
        compute="_compute_weekly_cap",
        inverse="_inverse_weekly_cap",
        groups="library_crm.group_library_manager",
        help="Of all journeys and mailings of the library together; 0: no limit. "
        "Messages that can not be refused are not held back.",
    )
    step_ids = fields.One2many("library.journey.step", "journey_id", copy=False)

    # Numbers
    enrolled_count = fields.Integer(string="Entered", compute="_compute_enrolled_count")
    waiting_count = fields.Integer(
        string="On the Way", compute="_compute_enrolled_count"
    )
    sent_count = fields.Integer(string="Sent", compute="_compute_sent_count")
    opened_count = fields.Integer(string="Opened", compute="_compute_sent_count")
    clicked_count = fields.Integer(string="Clicked", compute="_compute_sent_count")
    failed_count = fields.Integer(string="Failed", compute="_compute_sent_count")
    lift_text = fields.Char(string="Does It Help?", compute="_compute_lift_text")

    _hold_out_share = models.Constraint(
        "CHECK (hold_out_percent BETWEEN 0 AND 90)",
        "Held out: a share between 0 and 90 percent is expected.",
    )
    _quiet_hours = models.Constraint(
        "CHECK (quiet_from >= 0 AND quiet_from < 24 "
        "AND quiet_to >= 0 AND quiet_to < 24)",
        "Quiet hours: times between 0:00 and 23:59 are expected.",
    )
    _days_positive = models.Constraint(
        "CHECK (trigger_days >= 0 AND reentry_days >= 0)",
        "Days: a number of 0 or more is expected.",
    )

    # ------------------------------------------------------------
    # COMPUTES
    # ------------------------------------------------------------

    @api.depends("trigger", "patron_domain", "exit_domain", "step_ids.domain")
    def _compute_is_private(self):
        for journey in self:
            domains = [journey.patron_domain, journey.exit_domain]
            domains += journey.step_ids.mapped("domain")
            journey.is_private = journey._is_trigger_private() or any(
                self._asks_private(domain) for domain in domains
            )

    def _may_see_names(self):
        """Whether the user may know who is on the journey; a hook."""
        return not self.is_private or self.env.user.has_group(
            "library_crm.group_library_user"
        )

    def _is_trigger_private(self):
        """Whether the trigger tells of a patron what marketing may not know; a hook."""
        return self.trigger in PRIVATE_TRIGGERS

    @api.model
    def _asks_private(self, domain):
        """Whether a domain on patrons asks a field that not all staff may read."""
        return any(
            groups and "base.group_user" not in groups
            for groups in self.env["library.patron"]._iter_asked_groups(
                literal_eval(domain or "[]")
            )
        )

    @api.depends("patron_domain")
    def _compute_segment_id(self):
        for journey in self:
            journey.segment_id = self.env["library.segment"]._find_addressed(
                literal_eval(journey.patron_domain or "[]")
            )

    @api.depends("company_id")
    def _compute_weekly_cap(self):
        for journey in self:
            journey.weekly_cap = journey.company_id.sudo().library_weekly_cap

    def _inverse_weekly_cap(self):
        for journey in self:
            journey.company_id.sudo().library_weekly_cap = max(journey.weekly_cap, 0)

    def _compute_enrolled_count(self):
        counts = {}
        for journey, state, count in (
            self.env["library.journey.enrolment"]
            .sudo()
            ._read_group(
                [("journey_id", "in", self.ids)], ["journey_id", "state"], ["__count"]
            )
        ):
            counts.setdefault(journey.id, {})[state] = count
        for journey in self:
            by_state = counts.get(journey.id, {})
            journey.enrolled_count = sum(by_state.values())
            journey.waiting_count = by_state.get("active", 0)

    def _compute_sent_count(self):
        names = ("sent", "opened", "clicked", "failed")
        counts = {
            journey.id: sums
            for journey, *sums in self.env["library.journey.result"]
            .sudo()
            ._read_group(
                [("journey_id", "in", self.ids)],
                ["journey_id"],
                [f"{name}:sum" for name in names],
            )
        }
        for journey in self:
            sums = counts.get(journey.id, [0] * len(names))
            for name, count in zip(names, sums, strict=True):
                journey[f"{name}_count"] = count

    def _compute_lift_text(self):
        outcomes = self._get_outcomes()
        for journey in self:
            journey.lift_text = journey._say_lift(*outcomes.get(journey.id, (0,) * 4))

    def _get_outcomes(self):
        """Of the patrons whose first mail is long enough ago, how many used a service
        since, of those written to and of those held out.

        Cost: an index look-up in the uses a patron.

        :return: used and size of those written to, used and size of those held out,
            by the id of the journey
        :rtype: dict[int, tuple[int, int, int, int]]
        """
        found = self._count_outcomes(
            fields.Date.context_today(self) - timedelta(days=OUTCOME_DAYS)
        )
        outcomes = {}
        for journey in self:
            kept = journey.kept_outcome or {}
            sums = [
                kept.get(arm, [0, 0])[place]
                + found.get((journey.id, arm), (0, 0))[place]
                for arm in ("treated", "held_out")
                for place in (0, 1)
            ]
            if any(sums):
                outcomes[journey.id] = tuple(sums)
        return outcomes

    def _count_outcomes(self, before, among=None):
        """Count those whose first mail was before a day and is not counted for good.

        :param among: of these patrons only
        :return: used and size by the id of the journey and the arm
        """
        if not self.ids:
            return {}
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT journey_id, arm, count(*), count(*) FILTER (WHERE used)
                  FROM (
                        SELECT enrolment.journey_id, enrolment.arm, %(used)s AS used
                          FROM library_journey_enrolment enrolment
                          JOIN library_journey journey
                            ON journey.id = enrolment.journey_id
                         WHERE enrolment.journey_id = ANY(%(ids)s)
                           AND enrolment.first_at::date < %(before)s
                           AND %(among)s
                           AND (journey.kept_until IS NULL
                                OR enrolment.first_at::date >= journey.kept_until)
                       ) outcome
              GROUP BY 1, 2
                """,
                ids=self.ids,
                before=before,
                among=SQL("TRUE")
                if among is None
                else SQL("enrolment.patron_id = ANY(%s)", list(among._ids)),
                used=self.env["library.service.usage"]._sql_used_after(
                    SQL("enrolment.patron_id"), SQL("enrolment.first_at::date")
                ),
            )
        )
        return {(journey, arm): (used, size) for journey, arm, size, used in rows}

    @api.model
    def _keep_outcomes(self, company, before):
        """Count for good what followed the first mails before a day, since the rows of
        use of these days are about to go. Of what comes later nothing is counted yet:
        its thirty days begin behind the day."""
        journeys = self.with_context(active_test=False).search(
            [("company_id", "=", company.id)]
        )
        journeys = journeys.filtered(
            lambda journey: not journey.kept_until or journey.kept_until < before
        )
        journeys._add_outcomes(journeys._count_outcomes(before))
        journeys.kept_until = before

    def _keep_outcomes_of(self, patrons):
        """Count for good what followed the first mails to patrons who are about to be
        erased, where it is known by now."""
        self._add_outcomes(
            self._count_outcomes(
                fields.Date.context_today(self) - timedelta(days=OUTCOME_DAYS), patrons
            )
        )

    def _add_outcomes(self, found):
        """:param found: as of :meth:`_count_outcomes`"""
        for journey in self:
            kept = journey.kept_outcome or {}
            journey.kept_outcome = {
                arm: [
                    one + other
                    for one, other in zip(
                        kept.get(arm, [0, 0]),
                        found.get((journey.id, arm), (0, 0)),
                        strict=True,
                    )
                ]
                for arm in ("treated", "held_out")
            }

    def _say_lift(self, used_1, size_1, used_0, size_0):
        self.ensure_one()
        if not self.hold_out_percent and not size_0:
            return self.env._("Nobody is held out, so there is nothing to compare.")
        lift = get_lift(used_1, size_1, used_0, size_0)
        if not lift:
            return self.env._(
                "Too few to tell: %(used_1)s of %(size_1)s written to and %(used_0)s "
                "of %(size_0)s held out used a service within %(days)s days.",
                used_1=used_1,
                size_1=size_1,
                used_0=used_0,
                size_0=size_0,
                days=OUTCOME_DAYS,
            )
        points, low, high = (f"{100 * share:+.1f}" for share in lift)
        return self.env._(
            "%(share_1)s%% of %(size_1)s written to and %(share_0)s%% of %(size_0)s "
            "held out used a service within %(days)s days: %(points)s percentage "
            "points (95%% interval %(low)s to %(high)s).",
            share_1=f"{100 * used_1 / size_1:.1f}",
            size_1=size_1,
            share_0=f"{100 * used_0 / size_0:.1f}",
            size_0=size_0,
            days=OUTCOME_DAYS,
            points=points,
            low=low,
            high=high,
        )

    # ------------------------------------------------------------
    # CREATE AND WRITE
    # ------------------------------------------------------------

    @api.constrains("trigger", "reentry")
    def _check_reentry(self):
        for journey in self:
            if journey.trigger == "domain" and journey.reentry == "occasion":
                raise ValidationError(
                    self.env._(
                        "Enters: a choice of patrons holds every day. Let them enter "
                        "once, or again after some days."
                    )
                )

    @api.constrains("trigger", "trigger_days")
    def _check_trigger_days(self):
        for journey in self:
            if journey.trigger == "unused" and not journey.trigger_days:
                raise ValidationError(
                    self.env._("Days: after how many days without a use?")
                )

    @api.model_create_multi
    def create(self, vals_list):
        journeys = super().create(vals_list)
        journeys._check_domains()
        journeys._check_may_be_private()
        return journeys

    def write(self, vals):
        fixed = (self._get_trigger_fields() | {"company_id"}) & vals.keys()
        if fixed and any(journey.started_on for journey in self):
            label = self._fields[min(fixed)]._description_string(self.env)
            raise UserError(
                self.env._(
                    "%(field)s: patrons have entered by it already. Duplicate the "
                    "journey, change the copy, and close this one.",
                    field=label,
                )
            )
        result = super().write(vals)
        if {"patron_domain", "exit_domain"} & vals.keys():
            self._check_domains()
        if (self._get_trigger_fields() - {"trigger_days"}) & vals.keys():
            self._check_may_be_private()
        if "purpose_id" in vals:
            self.step_ids._own_mailings()
        return result

    @api.model
    def _get_trigger_fields(self):
        """The fields that say what an occasion is: fixed once patrons have entered; a
        hook."""
        return {"trigger", "trigger_days", "service_id"}

    def unlink(self):
        self.step_ids.unlink()
        return super().unlink()

    def _check_domains(self):
        """Journeys are run by the system, so a domain may only ask what its writer may
        read; or else who is written to would tell a birth date."""
        for journey in self:
            for domain in (journey.patron_domain, journey.exit_domain):
                self.env["library.patron"]._check_mailing_domain(
                    literal_eval(domain or "[]")
                )

    def _check_may_be_private(self):
        if (
            any(self.mapped("is_private"))
            and not self.env.su
            and not self.env.user.has_group("library_crm.group_library_manager")
        ):
            raise AccessError(
                self.env._(
                    "This trigger tells what is not for everybody: when somebody was "
                    "born, what they used or answered. A manager can set it up."
                )
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_only_unused(self):
        if (
            self.env["library.journey.enrolment"]
            .sudo()
            .search_count([("journey_id", "in", self.ids)], limit=1)
        ):
            raise UserError(
                self.env._(
                    "Patrons have been on this journey. Archive it instead, so that "
                    "its numbers stay."
                )
            )

    def copy(self, default=None):
        copies = super().copy(default)
        for journey, copied in zip(self, copies, strict=True):
            journey._get_steps(journey.version)._copy_to(copied, copied.version)
        return copies

    def copy_data(self, default=None):
        vals_list = super().copy_data(default)
        if "name" not in (default or {}):
            for journey, vals in zip(self, vals_list, strict=True):
                vals["name"] = self.env._("%(name)s (copy)", name=journey.name)
        return vals_list

    # ------------------------------------------------------------
    # STEPS AND VERSIONS
    # ------------------------------------------------------------

    def _get_steps(self, version):
        return self.step_ids.filtered(lambda step: step.version == version)

    def _get_first_step(self):
        """The step that patrons who enter now are to do first."""
        self.ensure_one()
        return self._get_steps(self.version).filtered(lambda step: not step.parent_id)[
            :1
        ]

    def action_new_version(self):
        """Begin another version of the steps. Whoever is on the way finishes the
        version they started, whoever enters goes through the old one until the new
        one is put to use."""
        self.ensure_one()
        if self.edited_version != self.version:
            raise UserError(self.env._("There is a new version already."))
        new = max(self.step_ids.mapped("version"), default=0) + 1
        self._get_steps(self.version)._copy_to(self, new)
        self.edited_version = new

    def action_use_version(self):
        """From now on patrons enter the new version."""
        self.ensure_one()
        self._check_steps(self.edited_version)
        self.version = self.edited_version

    def action_discard_version(self):
        self.ensure_one()
        if self.edited_version != self.version:
            self._get_steps(self.edited_version).unlink()
            self.edited_version = self.version

    def _check_steps(self, version):
        """:raise UserError: if a version can not be gone through"""
        steps = self._get_steps(version)
        if not steps:
            raise UserError(
                self.env._("%(journey)s has no step yet.", journey=self.name)
            )
        steps._check_complete()

    # ------------------------------------------------------------
    # STATES
    # ------------------------------------------------------------

    def action_start(self):
        """Start, or go on after a pause."""
        shipped = self.env["mailing.mailing"]._get_shipped()
        (shipped & self.step_ids.mailing_id)._follow_shipped_text()
        for journey in self:
            journey._check_steps(journey.version)
            journey.write(
                {
                    "state": "running",
                    "problem": False,
                    "started_on": journey.started_on
                    or fields.Date.context_today(journey),
                }
            )
        self.env.ref("library_crm.ir_cron_run_journeys").sudo()._trigger()

    def action_pause(self):
        self.state = "paused"

    def action_close(self):
        """Let nobody enter any more; whoever is on the way finishes."""
        self.state = "done"

    def _pause_for(self, error):
        """Stop a journey that can not go on, and say why; the others go on."""
        self.write({"state": "paused", "problem": str(error)[:500]})

    def _lose_trigger(self):
        """Before the addon of a trigger is uninstalled: nobody enters any more, and
        whoever is on the way finishes. In SQL, because the trigger of a journey that
        has run is fixed. Names stay hidden as they were: the trigger that takes its
        place tells no less."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                UPDATE library_journey
                   SET trigger = %(private)s,
                       state = CASE WHEN state = 'draft' THEN 'draft' ELSE 'done' END
                 WHERE id = ANY(%(ids)s)
                """,
                private="first_use",
                ids=self.ids,
            )
        )
        self.env.invalidate_all()

    # ------------------------------------------------------------
    # WHO ENTERS
    # ------------------------------------------------------------

    def _get_window(self, today, days=0):
        """The days of the occasions to look for.

        :param datetime.date today: the day on which is looked
        :param int days: look so many days into the future, for a forecast
        :rtype: tuple[datetime.date, datetime.date]
        """
        first = max(self.started_on or today, today - self._LOOK_BACK)
        if self.includes_past and self.trigger in self._get_past_triggers():
            first = date.min
        return first, today + timedelta(days=self._get_lead() + days)

    @api.model
    def _get_past_triggers(self):
        """Triggers that can take in those whose day has passed; a hook."""
        return PAST_TRIGGERS

    @api.model
    def _get_revocable_triggers(self):
        """Triggers whose occasion is looked for again before each step; a hook."""
        return REVOCABLE_TRIGGERS

    def _get_lead(self):
        return self.trigger_days if self.trigger in AHEAD_TRIGGERS else 0

    def _query_occasions(self, first, last):
        """The patrons who have an occasion, and its day; a hook for other triggers,
        which add a method ``_query_occasions_<trigger>``.

        :param datetime.date first: the first day of an occasion
        :param datetime.date last: the last
        :return: a query of patron id and day; it may give patrons of other libraries
            and archived ones, who are left out by the caller
        :rtype: odoo.tools.SQL
        """
        query = getattr(self, f"_query_occasions_{self.trigger}")(first, last)
        return SQL(
            "SELECT patron_id, day FROM (%(query)s) occasion (patron_id, day) "
            "WHERE day BETWEEN %(first)s AND %(last)s",
            query=query,
            first=first,
            last=last,
        )

    def _sql_occasion_holds(self, first, last):
        """Whether what brought an ``enrolment`` here, on one of some days, is still so:
        a card may have been renewed since."""
        if self.trigger not in self._get_revocable_triggers():
            return SQL("TRUE")
        return SQL(
            """
            EXISTS (
                SELECT FROM (%s) AS held
                 WHERE held.patron_id = enrolment.patron_id
                   AND held.day = enrolment.occasion
            )
            """,
            self._query_occasions(first, last),
        )

    def _query_occasions_joined(self, first, last):
        return SQL("SELECT id, enrolled_on FROM library_patron")

    def _query_occasions_expiry(self, first, last):
        return SQL(
            """
            SELECT id, expiry_date
              FROM library_patron
             WHERE membership_state IN ('active', 'grace', 'expired')
            """
        )

    def _query_occasions_unused(self, first, last):
        return SQL(
            """
            SELECT id, coalesce(last_use_date, enrolled_on) + %(days)s
              FROM library_patron
            """,
            days=self.trigger_days,
        )

    def _query_occasions_birthday(self, first, last):
        return self._query_yearly(SQL.identifier("birth_date"), first, last)

    def _query_occasions_anniversary(self, first, last):
        return self._query_yearly(SQL.identifier("enrolled_on"), first, last)

    def _query_yearly(self, column, first, last):
        """Each return of a day, on the last of February where a year has no 29th."""
        return SQL(
            """
            SELECT id, (
                       %(column)s + make_interval(
                           years => year - date_part('year', %(column)s)::int
                       )
                   )::date
              FROM library_patron, generate_series(%(first)s, %(last)s) AS year
             WHERE date_part('year', %(column)s) < year
            """,
            column=column,
            first=first.year,
            last=last.year,
        )

    def _query_occasions_outgrow(self, first, last):
        """The birthday on which a patron is older than the category allows; where only
        the year of birth is known, the first day of the year after."""
        return SQL(
            """
            SELECT patron.id,
                   CASE WHEN patron.birth_date IS NOT NULL
                        THEN (
                            patron.birth_date
                            + make_interval(years => category.age_max + 1)
                        )::date
                        ELSE make_date(patron.birth_year + category.age_max + 2, 1, 1)
                    END
              FROM library_patron patron
              JOIN library_patron_category category
                ON category.id = patron.patron_category_id
             WHERE category.next_category_id IS NOT NULL
               AND category.age_max > 0
               AND (patron.birth_date IS NOT NULL OR patron.birth_year > 0)
            """
        )

    def _query_occasions_first_use(self, first, last):
        """The first day of use, of those who used the service in the window: the
        earlier uses of the others are not read."""
        service = (
            SQL("AND %s = service_id", self.service_id.id) if self.service_id else SQL()
        )
        return SQL(
            """
            SELECT patron_id, min(date)
              FROM library_service_usage
             WHERE patron_id IN (
                       SELECT patron_id
                         FROM library_service_usage
                        WHERE date BETWEEN %(first)s AND %(last)s
                          AND patron_id IS NOT NULL %(service)s
                   ) %(service)s
          GROUP BY patron_id
            """,
            first=first,
            last=last,
            service=service,
        )

    def _query_occasions_domain(self, first, last):
        return SQL("SELECT id, %s FROM library_patron", fields.Date.context_today(self))

    def _query_entrants(self, first, last):
        """Who would enter on the occasions of some days: right library, right choice,
        not there already. The caller has flushed.

        :return: a query of patron id, occasion, time zone and arm
        :rtype: odoo.tools.SQL
        """
        self.ensure_one()
        Patron = self.env["library.patron"].sudo()
        conditions = [
            SQL("patron.active"),
            SQL("patron.company_id = %s", self.company_id.id),
        ]
        chosen = Domain(literal_eval(self.patron_domain or "[]"))
        if not chosen.is_true():
            conditions.append(
                SQL("patron.id IN %s", Patron._search(chosen).subselect())
            )
        if exit_domain := self._get_exit_domain():
            conditions.append(
                SQL("patron.id NOT IN %s", Patron._search(exit_domain).subselect())
            )
        again = {
            "once": SQL("TRUE"),
            "occasion": SQL("past.occasion = entrant.day"),
            "after": SQL(
                "past.entered_at > %s",
                fields.Datetime.now() - timedelta(days=self.reentry_days),
            ),
        }[self.reentry]
        conditions.append(
            SQL(
                """
                NOT EXISTS (
                    SELECT FROM library_journey_enrolment past
                     WHERE past.patron_id = patron.id
                       AND past.journey_id = %(journey)s
                       AND (past.state = 'active' OR %(again)s)
                )
                """,
                journey=self.id,
                again=again,
            )
        )
        return SQL(
            """
            SELECT patron.id AS patron_id, entrant.day AS occasion,
                   %(time_zone)s AS time_zone, %(arm)s AS arm
              FROM (%(occasions)s) entrant
              JOIN library_patron patron ON patron.id = entrant.patron_id
              %(join)s
             WHERE %(conditions)s
            """,
            time_zone=self._sql_time_zone(),
            arm=self._sql_arm(),
            occasions=self._query_occasions(first, last),
            join=self._sql_join_time_zone(),
            conditions=SQL(" AND ").join(conditions),
        )

    def _sql_time_zone(self):
        """The time zone of the branch of ``patron``; see ``_sql_join_time_zone``."""
        calendar = self.company_id.sudo().resource_calendar_id
        return SQL("coalesce(calendar.tz, %s)", calendar.tz or "UTC")

    def _sql_join_time_zone(self):
        return SQL(
            """
            LEFT JOIN library_branch branch ON branch.id = patron.branch_id
            LEFT JOIN resource_calendar calendar
                   ON calendar.id = branch.resource_calendar_id
            """
        )

    def _sql_arm(self):
        """Who is held out: by a digest of the journey and the patron, so that somebody
        who enters again is in the same arm. Where a household gets one mail, all of it
        is in one arm."""
        if not self.hold_out_percent:
            return SQL("'treated'")
        return SQL(
            "CASE WHEN %(dice)s < %(percent)s THEN 'held_out' ELSE 'treated' END",
            dice=self._sql_dice("arm", self.id),
            percent=self.hold_out_percent,
        )

    def _sql_dice(self, what, number):
        """A number from 0 to 99 that is always the same for a patron."""
        key = self._sql_household() if self.groups_households else SQL("patron.id")
        return SQL(
            "(('x' || substr(md5(concat_ws(':', %(what)s, %(number)s, %(key)s)), 1, 7))"
            "::bit(28)::int %% 100)",
            what=what,
            number=number,
            key=key,
        )

    @api.model
    def _sql_household(self):
        """What members of a household, or the children of one guardian, share."""
        return SQL("coalesce(patron.household_id, patron.guardian_id, patron.id)")

    def _get_exit_domain(self):
        """The domain of those who leave; None where nobody does."""
        domain = Domain(literal_eval(self.exit_domain or "[]"))
        return None if domain.is_true() else domain

    def _enrol(self):
        """Let in whoever has an occasion: one statement, whatever the number of
        patrons. A patron who is in already is left out by the unique index.

        The order has all entrants found before the first is written. Else PostgreSQL
        may look for each of them through the rows that the statement has added so far:
        100,000 took 70 s.

        :return: how many entered
        :rtype: int
        """
        self.ensure_one()
        first_step = self._get_first_step()
        today = fields.Date.context_today(self)
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO library_journey_enrolment (
                       journey_id, version, patron_id, occasion, arm, state,
                       entered_at, step_id, due_at
                       )
                SELECT %(journey)s, %(version)s, patron_id, occasion, arm, 'active',
                       %(now)s, %(step)s, %(due_at)s
                  FROM (%(entrants)s) entrant
              ORDER BY patron_id
           ON CONFLICT DO NOTHING
                """,
                journey=self.id,
                version=self.version,
                now=fields.Datetime.now(),
                step=first_step.id,
                due_at=first_step._sql_due_at(SQL("occasion"), SQL("time_zone")),
                entrants=self._query_entrants(*self._get_window(today)),
            )
        )
        entered = self.env.cr.rowcount
        self.env["library.journey.enrolment"].invalidate_model()
        return entered

    # ------------------------------------------------------------
    # THE JOB
    # ------------------------------------------------------------

    @api.model
    def _cron_run(self):
        """Let patrons in, then do what is due, batch by batch.

        A batch and what came of it are kept together: killed at any moment, the job
        goes on from what it finds. Mails are put into Odoo's queue, in the same
        transaction as the row that says so, and leave from there.
        """
        while failed := self.env["library.journey.event"]._retry_failed():
            if not self._keep(failed):
                return
        for journey in self.search([("state", "=", "running")]):
            if not self._keep(self._do_alone(journey, journey._enrol)):
                return
        steps = self.env["library.journey.step"].search(
            [("journey_id.state", "in", ["running", "done"])]
        )
        for step in steps:
            while step.journey_id.state in ("running", "done"):
                done = self._do_alone(step.journey_id, step._run_batch)
                if not self._keep(done):
                    return
                if not done:
                    break
        self.env["ir.cron"]._commit_progress(remaining=0)

    def _keep(self, done=None):
        """Commit, and begin the next batch with what others have written since.

        :return: whether there is time to go on; if not, the job is run again soon
        """
        seconds = self.env["ir.cron"]._commit_progress(done or 0, remaining=1)
        self.env.invalidate_all()
        return seconds > 0

    def _do_alone(self, journey, work):
        """Do a part of the work of a journey. Where another worker was there first it
        is left to that one, and where it fails only that journey stops.

        :return: what ``work`` returns; None where it was not done
        """
        try:
            with self.env.cr.savepoint():
                return work()
        except OperationalError:
            self.env.cr.rollback()
            self.env.invalidate_all()
        except Exception as error:
            _logger.warning("Journey %s is paused", journey.id, exc_info=True)
            self.env.invalidate_all()
            journey._pause_for(error)
        return None

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    @api.readonly
    def get_picture(self, version=None):
        """The steps of a version with their numbers, for the picture on the form.

        :param int version: empty: the one that is being edited
        :return: ``{"version": int, "versions": [int], "editable": bool, "steps":
            [{"id", "parent_id", "branch", "kind", "icon", "name", "when",
            "detail", "numbers": [{"name", "label", "value"}]}]}``
        :rtype: dict
        """
        self.ensure_one()
        self.check_access("read")
        version = version or self.edited_version
        steps = self._get_steps(version)
        return {
            "version": version,
            "versions": sorted(set(self.step_ids.mapped("version")), reverse=True),
            "used_version": self.version,
            "editable": steps._are_open(self, version) and self.has_access("write"),
            # Whoever sees the journey sees the subjects of its mails.
            "steps": [step._get_picture() for step in steps.sudo()],
        }

    def action_view_enrolments(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_journey_enrolment_action"
            ),
            "domain": [("journey_id", "=", self.id), ("patron_id", "!=", False)],
            "context": {},
        }

    def action_view_results(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_journey_result_action"
            ),
            "domain": [("journey_id", "=", self.id)],
        }

    @api.model
    def action_add_shipped(self):
        """The journeys that come along, as drafts for the library of the user, where it
        has none of that name; with the texts as they came, whatever another library
        made of them."""
        company = self.env.company
        there = self.with_context(active_test=False, lang="en_US").search(
            [("company_id", "=", company.id)]
        )
        shipped = self.browse(
            self.env["ir.model.data"]
            .sudo()
            .search([("module", "=", "library_crm"), ("model", "=", self._name)])
            .mapped("res_id")
        ).with_context(lang="en_US")
        self.check_access("create")
        missing = shipped.sudo().filtered(
            lambda journey: journey.name not in there.mapped("name")
        )
        for journey in missing:
            journey._copy_shipped(company)
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def _copy_shipped(self, company):
        copied = self.copy(
            {
                "name": self.name,
                "active": True,
                "company_id": company.id,
                "user_id": False,
                "patron_domain": "[]",
                "exit_domain": False,
            }
        )
        copied.step_ids.mailing_b_id = False
        mailings = copied.step_ids.mailing_id
        own = mailings.library_translation_ids.filtered(
            lambda mailing: not mailing.library_view_id
        )
        own.unlink()
        (mailings + mailings.library_translation_ids)._follow_shipped_text()

    def action_test(self):
        """Send the mails of the journey to oneself, as one patron would get them."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Test on One Patron"),
            "res_model": "library.journey.test",
            "view_mode": "form",
            "target": "new",
            "context": {"default_journey_id": self.id},
        }

    def action_forecast(self):
        """Show whom the journey would write to, without writing to anybody."""
        self.ensure_one()
        return self.env["library.journey.forecast"]._open(self)
