from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL, format_date

#: Events that are reckoned from rows of use.
USE_EVENTS = ("use", "first_use", "streak", "variety")
#: Events that are reckoned from ``library.loyalty.occasion``.
OCCASIONS = ("survey", "interests", "referral")
#: The most points that a rule gives for one thing.
MOST_POINTS = 10_000


class LibraryLoyaltyRule(models.Model):
    """What earns points in a programme: each use of some services, the first one ever,
    coming week after week, joining, a friend who joins …

    A rule says of any day what was worth how much on that day. So when a rule that has
    given points is changed, the earlier wording is kept and goes on to hold for the
    days until then: late and corrected use is reckoned as it would have been. Whoever
    wants the new wording to hold for the past recomputes the programme.
    """

    _name = "library.loyalty.rule"
    _description = "Loyalty Rule"
    _order = "program_id, sequence, id"
    _check_company_auto = True
    _library_personal_data = {"*": "setting"}

    #: What a rule gives to whom for what; the rest is how it looks.
    _TERMS = frozenset(
        ("event", "service_ids", "service_category", "branch_ids")
        + ("patron_category_ids", "segment_id", "points", "per", "cap_day")
        + ("cap_week", "cap_program", "date_from", "date_to", "multiplier")
        + ("multiplier_from", "multiplier_to", "streak_weeks", "variety_count")
    )

    program_id = fields.Many2one(
        "loyalty.program",
        string="Programme",
        required=True,
        index=True,
        ondelete="cascade",
        domain=[("program_type", "=", "library")],
    )
    company_id = fields.Many2one(
        related="program_id.company_id", store=True, precompute=True, string="Library"
    )
    name = fields.Char(
        required=True, translate=True, help="What patrons read in their points."
    )
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)

    # For what
    event = fields.Selection(
        [
            ("use", "Use of a service"),
            ("first_use", "First use ever"),
            ("streak", "Use in weeks one after another"),
            ("variety", "Different services in a month"),
            ("joined", "Joining the programme"),
            ("renewed", "Renewing the membership"),
            ("anniversary", "Anniversary of joining the library"),
            ("survey", "Answering a survey"),
            ("interests", "Filling in interests"),
            ("referral", "Bringing a friend"),
            ("challenge", "Finishing a challenge"),
            ("manual", "Given by staff"),
        ],
        string="Points for",
        required=True,
        default="use",
    )
    service_category = fields.Selection(
        lambda self: (
            self.env["library.service"]
            ._fields["category"]
            ._description_selection(self.env)
        ),
        string="Kind of Service",
        help="Also of services that are added later.",
    )
    service_ids = fields.Many2many(
        "library.service",
        string="Services",
        check_company=True,
        help="Any of them; empty: all of the kind.",
    )
    branch_ids = fields.Many2many(
        "library.branch", string="Branches", check_company=True, help="Empty: all."
    )
    streak_weeks = fields.Integer(
        string="Weeks", default=4, help="So many weeks with a use, one after another."
    )
    variety_count = fields.Integer(
        string="Services in a Month", default=3, help="So many different services."
    )

    # For whom
    patron_category_ids = fields.Many2many(
        "library.patron.category",
        string="Patron Categories",
        check_company=True,
        help="Of the patron on the day of the use. Empty: all.",
    )
    segment_id = fields.Many2one(
        "library.segment",
        ondelete="restrict",
        check_company=True,
        help="Only patrons who are in it when the points are posted. They keep the "
        "points when they leave it.",
    )

    # How many
    points = fields.Integer(required=True, default=1)
    per = fields.Selection(
        [("use", "each use"), ("day", "each day of use")], required=True, default="day"
    )
    cap_day = fields.Integer(
        string="At Most a Day", help="Points under this rule; 0: no limit."
    )
    cap_week = fields.Integer(
        string="At Most a Week",
        help="Points under this rule from Monday to Sunday; 0: no limit.",
    )
    cap_program = fields.Integer(
        string="At Most in All", help="Points under this rule; 0: no limit."
    )
    multiplier = fields.Float(
        default=1, digits=(4, 2), help="So many times the points in a period."
    )
    multiplier_from = fields.Date()
    multiplier_to = fields.Date()
    date_from = fields.Date(string="From")
    date_to = fields.Date(string="Until")

    # Since when
    since = fields.Date(
        string="Holds since",
        readonly=True,
        copy=False,
        help="This wording holds for what happened from this day on. Empty: from the "
        "beginning.",
    )
    until = fields.Date(string="In Force Until", readonly=True, copy=False)
    current_id = fields.Many2one(
        "library.loyalty.rule",
        readonly=True,
        index="btree_not_null",
        ondelete="cascade",
        help="This is an earlier wording of that rule.",
    )
    version_ids = fields.One2many(
        "library.loyalty.rule",
        "current_id",
        string="Earlier Wordings",
        context={"active_test": False},
    )
    is_reckoned = fields.Boolean(compute="_compute_is_reckoned")
    in_words = fields.Char(compute="_compute_in_words", help="The rule as a sentence.")

    _points_plausible = models.Constraint(
        "CHECK (points BETWEEN 1 AND 10000)", "Points: 1 to 10,000."
    )
    _multiplier_plausible = models.Constraint(
        "CHECK (multiplier BETWEEN 1 AND 10)", "Multiplier: 1 to 10 times."
    )
    _caps_plausible = models.Constraint(
        "CHECK (cap_day >= 0 AND cap_week >= 0 AND cap_program >= 0)",
        "Limits: a number of points, or 0 for no limit.",
    )
    _counts_plausible = models.Constraint(
        "CHECK ((event != 'streak' OR streak_weeks BETWEEN 2 AND 52) "
        "AND (event != 'variety' OR variety_count BETWEEN 2 AND 50))",
        "Weeks one after another are 2 to 52, different services 2 to 50.",
    )
    _dates_in_order = models.Constraint(
        "CHECK ((date_from IS NULL OR date_to IS NULL OR date_from <= date_to) "
        "AND (multiplier_from IS NULL OR multiplier_to IS NULL "
        "OR multiplier_from <= multiplier_to))",
        "Period: its first day comes before its last.",
    )

    @api.depends("event")
    def _compute_is_reckoned(self):
        for rule in self:
            rule.is_reckoned = rule.event != "manual"

    @api.constrains("event", "per", "cap_day", "cap_week", "cap_program")
    def _check_finite(self):
        """Nothing may earn without end: a gate that counts somebody all day, a friend
        who joins again and again."""
        for rule in self:
            limited = rule.cap_day or rule.cap_week or rule.cap_program
            if rule.event == "use" and rule.per == "use" and not limited:
                raise ValidationError(
                    self.env._(
                        "%(rule)s gives points for each use and nothing limits them: a "
                        "gate that counts somebody a hundred times would make them "
                        "rich. Set the most points a day, a week or in all.",
                        rule=rule.name,
                    )
                )
            if rule.event == "referral" and not limited:
                raise ValidationError(
                    self.env._(
                        "%(rule)s gives points for each friend and nothing limits "
                        "them. Set the most points a day, a week or in all.",
                        rule=rule.name,
                    )
                )

    @api.constrains("segment_id")
    def _check_segment(self):
        """Points that make somebody earn points would feed themselves."""
        for rule in self:
            if "loyalty" in (rule.segment_id.domain or ""):
                raise ValidationError(
                    self.env._(
                        "%(rule)s is for the segment %(segment)s, which asks for "
                        "points or tiers itself: points would lead to points without "
                        "end. Choose another segment.",
                        rule=rule.name,
                        segment=rule.segment_id.name,
                    )
                )

    # ------------------------------------------------------------
    # IN WORDS
    # ------------------------------------------------------------

    @api.depends(*_TERMS)
    @api.depends_context("lang")
    def _compute_in_words(self):
        for rule in self:
            rule.in_words = " · ".join(
                filter(
                    None,
                    [
                        rule._say_what(),
                        rule._say_whose(),
                        rule._say_limits(),
                        rule._say_when(),
                    ],
                )
            )

    def _say_what(self):
        env = self.env
        labels = dict(self._fields["event"]._description_selection(env))
        what = ", ".join(self.service_ids.mapped("name")) or dict(
            self._fields["service_category"]._description_selection(env)
        ).get(self.service_category, env._("any service"))
        if self.event not in USE_EVENTS:
            return env._(
                "+%(points)s: %(event)s",
                points=self.points,
                event=labels.get(self.event, ""),
            )
        words = {
            "use": (
                env._("+%(points)s for each use of %(what)s")
                if self.per == "use"
                else env._("+%(points)s for each day with %(what)s")
            ),
            "first_use": env._("+%(points)s for the first use ever of %(what)s"),
            "streak": env._(
                "+%(points)s for %(weeks)s weeks one after another with %(what)s"
            ),
            "variety": env._(
                "+%(points)s for %(services)s different services in a month"
            ),
        }
        return words[self.event] % {
            "points": self.points,
            "what": what,
            "weeks": self.streak_weeks,
            "services": self.variety_count,
        }

    def _say_whose(self):
        return ", ".join(
            [
                *self.branch_ids.mapped("name"),
                *self.patron_category_ids.mapped("name"),
                *self.segment_id.mapped("name"),
            ]
        )

    def _say_limits(self):
        env = self.env
        limits = [
            self.cap_day and env._("%s a day", self.cap_day),
            self.cap_week and env._("%s a week", self.cap_week),
            self.cap_program and env._("%s in all", self.cap_program),
        ]
        limits = ", ".join(filter(None, limits))
        return limits and env._("at most %s", limits)

    def _say_when(self):
        env = self.env
        says = []
        for first, last, text in (
            (self.date_from, self.date_to, env._("%s")),
            (
                self.multiplier_from,
                self.multiplier_to,
                env._(
                    "%(times)s times %(when)s", times=f"{self.multiplier:g}", when="%s"
                )
                if self.multiplier != 1
                else "",
            ),
        ):
            dates = [day and format_date(env, day) or "…" for day in (first, last)]
            if text and (first or last or text != "%s"):
                says.append(text.replace("%s", " – ".join(dates)))
        return ", ".join(says)

    # ------------------------------------------------------------
    # WORDINGS
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        rules = super().create(vals_list)
        for rule in rules:
            if not rule.current_id and rule.program_id._library_has_lines():
                rule.since = rule.program_id._library_today()
        rules.filtered(lambda rule: not rule.current_id).program_id._library_note_due()
        return rules

    def write(self, vals):
        if not (self._TERMS | {"active"}) & vals.keys() or any(
            self.mapped("current_id")
        ):
            return super().write(vals)
        for rule in self:
            changed = {**vals, **rule._keep_wording(vals)}
            super(LibraryLoyaltyRule, rule).write(changed)
        self.program_id._library_note_due()
        return True

    def _keep_wording(self, vals):
        """Before a rule that has given points is changed: keep what it says for the
        days until yesterday, or until it was archived.

        :param dict vals: what is to be written
        :return: since when and until when the rule holds then, if that changes
        :rtype: dict
        """
        self.ensure_one()
        if not self._has_lines():
            return {}
        today = self.program_id._library_today()
        if "active" in vals and not vals["active"]:
            return {"until": today}
        wakes = not self.active and vals.get("active")
        if not wakes and not (self.active and self._TERMS & vals.keys()):
            # What is archived gives nothing; when it does again, it is kept then.
            return {}
        until = today - timedelta(days=1)
        if wakes:
            until = min(self.until or until, until)
        if self.since and self.since > until:
            return {"until": False}
        self.copy(
            {
                "name": self.name,
                "program_id": self.program_id.id,
                "current_id": self.id,
                "active": False,
            }
        ).write({"since": self.since, "until": until})
        return {"since": today, "until": False}

    def _has_lines(self):
        return bool(
            self.env["loyalty.history"]
            .sudo()
            .search_count([("library_rule_id", "in", self.ids)], limit=1)
        )

    def _hold_since(self, since):
        """Let each rule as it stands hold from ``since`` on (None: from the first day);
        earlier wordings hold until the day before or not at all."""
        for rule in self:
            span = rule._get_wording_span(since)
            if span:
                rule.write({"since": span[0], "until": span[1]})
            else:
                rule.unlink()

    def _get_wording_span(self, since=False):
        """The first and last day for which this wording holds, None: no limit.

        :param since: a date: after recomputing from that day; None: after recomputing
            from the first day; False: as it is
        :return: None where it holds for no day any more
        """
        first, last = self.since or None, self.until or None
        if since is False:
            return first, last
        if not self.current_id:
            return since and first and min(since, first), last
        if since is None:
            return None
        last = min(last, since - timedelta(days=1))
        return None if first and first > last else (first, last)

    def _get_span(self, since=False):
        """The first and last day on which something may earn points under this
        wording, None: no limit; or None where there is no such day."""
        wording = self._get_wording_span(since)
        if not wording:
            return None
        first, last = wording
        lasts = [last, self.date_to, self.program_id.date_to]
        first = max(filter(None, [first, self._get_begin()]), default=None)
        last = min(filter(None, lasts), default=None)
        return None if first and last and first > last else (first, last)

    def _get_begin(self):
        """The first day of which use counts, whichever wording it earned under; None:
        no limit."""
        program = self.program_id
        settled = program.library_settled_until
        firsts = [self.date_from, program.date_from]
        firsts.append(settled and settled + timedelta(days=1))
        return max(filter(None, firsts), default=None)

    # ------------------------------------------------------------
    # WHAT SHOULD BE IN THE LEDGER
    # ------------------------------------------------------------

    def _sql_nothing(self):
        return SQL(
            "SELECT 0 AS card_id, 0 AS rule_id, ''::varchar AS key, NULL::date AS date,"
            " NULL::int AS usage_id, 0 AS points WHERE FALSE"
        )

    def _sql_booked_under(self):
        """Which lines of the row ``history`` are compared with what these rules say.
        Who has left the segment of a rule keeps what they got."""
        parts = [SQL("history.library_rule_id = ANY(%s)", list(self._ids))]
        for rule in self.filtered("segment_id"):
            parts.append(
                SQL(
                    "(history.library_rule_id != %s OR %s)",
                    rule.id,
                    rule._sql_in_segment(),
                )
            )
        return SQL(" AND ").join(parts)

    def _sql_in_segment(self):
        Patron = self.env["library.patron"].sudo().with_context(active_test=False)
        patrons = Patron._search(self.segment_id._get_domain())
        return SQL("card.library_patron_id IN %s", patrons.subselect())

    def _sql_wanted(self, chosen, first, last):
        """The points that the chosen cards should have under this wording: card, rule,
        key, date, use and points.

        :param SQL chosen: a condition on the row ``card``
        :param first: the first day, or None
        :param last: the last day, or None
        """
        self.ensure_one()
        holders = [
            SQL("card.program_id = %s", self.program_id.id),
            SQL("card.active AND card.is_library"),
            chosen,
        ]
        if self.segment_id:
            holders.append(self._sql_in_segment())
        holders = SQL(" AND ").join(holders)
        if self.event in USE_EVENTS:
            things = getattr(self, f"_sql_{self.event}")(holders, first, last)
        elif self.event in OCCASIONS:
            things = self._sql_occasions(holders)
        else:
            things = getattr(self, f"_sql_{self.event}")(holders)
        if self.event not in USE_EVENTS or self.event == "first_use":
            things = SQL(
                "SELECT * FROM (%s) thing WHERE date >= joined_on AND %s",
                things,
                self._sql_between(SQL("thing.date"), first, last),
            )
        rows = SQL(
            "SELECT card_id, key, date, usage_id, %s AS points FROM (%s) thing",
            self._sql_worth(),
            things,
        )
        return SQL(
            "SELECT card_id, %s AS rule_id, key::varchar AS key, date, usage_id, points"
            " FROM (%s) earned WHERE points > 0",
            (self.current_id or self).id,
            self._sql_limit(rows, first),
        )

    @api.model
    def _sql_between(self, day, first, last):
        parts = []
        if first:
            parts.append(SQL("%s >= %s", day, first))
        if last:
            parts.append(SQL("%s <= %s", day, last))
        return SQL(" AND ").join(parts) if parts else SQL("TRUE")

    def _sql_worth(self):
        """The points for a row ``thing``, before limits."""
        worth = SQL("thing.times * %s", self.points)
        if self.multiplier == 1:
            return worth
        return SQL(
            "CASE WHEN %s THEN round(%s * %s::numeric)::bigint ELSE %s END",
            self._sql_between(
                SQL("thing.date"), self.multiplier_from, self.multiplier_to
            ),
            worth,
            self.multiplier,
            worth,
        )

    def _sql_limit(self, rows, first):
        """No more than the most a day, a week and in all, the earliest first."""
        week = SQL("(date - DATE '1900-01-01') / 7")
        for cap, period in ((self.cap_day, SQL("date")), (self.cap_week, week)):
            if cap:
                rows = self._sql_at_most(rows, SQL("%s", cap), SQL(", %s", period))
        if not self.cap_program:
            return rows
        if not first:
            return self._sql_at_most(rows, SQL("%s", self.cap_program), SQL(""))
        # What days before this wording gave counts too.
        rows = SQL(
            """
            SELECT earned.*, coalesce(before.points, 0) AS before
              FROM (%s) earned
         LEFT JOIN (
                    SELECT card_id, sum(issued - used)::int AS points
                      FROM loyalty_history
                     WHERE library_rule_id = %s
                       AND library_kind IN ('earned', 'corrected')
                       AND library_date < %s
                  GROUP BY card_id
                   ) before ON before.card_id = earned.card_id
            """,
            rows,
            (self.current_id or self).id,
            first,
        )
        return self._sql_at_most(
            rows, SQL("greatest(0, %s - before)", self.cap_program), SQL("")
        )

    @api.model
    def _sql_at_most(self, rows, cap, period):
        return SQL(
            """
            SELECT card_id, key, date, usage_id,
                   greatest(0, least(points, %(cap)s - coalesce(sum(points) OVER (
                       PARTITION BY card_id %(period)s
                       ORDER BY date, usage_id
                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                   ), 0)))::int AS points
              FROM (%(rows)s) earned
            """,
            cap=cap,
            period=period,
            rows=rows,
        )

    # ------------------------------------------------------------
    # THINGS THAT EARN: card, key, date, use, and how many times
    # ------------------------------------------------------------

    def _sql_usages(self, holders, first, last):
        """The use that counts for this rule, with the row ``card``."""
        parts = [holders, self._sql_between(SQL("usage.date"), first, last)]
        if self.service_ids or self.service_category:
            services = self.service_ids or (
                self.env["library.service"]
                .with_context(active_test=False)
                .search([("category", "=", self.service_category)])
            )
            parts.append(SQL("usage.service_id = ANY(%s)", services.ids))
        if self.branch_ids:
            parts.append(SQL("usage.branch_id = ANY(%s)", self.branch_ids.ids))
        if self.patron_category_ids:
            parts.append(
                SQL("usage.patron_category_id = ANY(%s)", self.patron_category_ids.ids)
            )
        return SQL(
            """
                  FROM loyalty_card card
                  JOIN library_service_usage usage
                    ON usage.patron_id = card.library_patron_id
                 WHERE %s
            """,
            SQL(" AND ").join(parts),
        )

    def _sql_since_joining(self, holders, first, last):
        return SQL(
            "%s AND usage.date >= card.library_joined_on",
            self._sql_usages(holders, first, last),
        )

    def _sql_use(self, holders, first, last):
        usages = self._sql_since_joining(holders, first, last)
        if self.per == "day":
            return SQL(
                "SELECT card.id AS card_id, usage.date::text AS key, usage.date,"
                " NULL::int AS usage_id, 1 AS times %s GROUP BY 1, usage.date",
                usages,
            )
        return SQL(
            "SELECT card.id AS card_id, usage.id::text AS key, usage.date,"
            " usage.id AS usage_id, usage.quantity::bigint AS times %s",
            usages,
        )

    def _sql_first_use(self, holders, first, last):
        """Also use before the programme is looked at: it is the first one ever."""
        return SQL(
            """
            SELECT DISTINCT ON (card.id)
                   card.id AS card_id, 'first' AS key, usage.date, usage.id AS usage_id,
                   1 AS times, card.library_joined_on AS joined_on
            %s
          ORDER BY card.id, usage.date, usage.id
            """,
            self._sql_usages(holders, None, None),
        )

    def _sql_streak(self, holders, first, last):
        """Weeks with a use stand in a row where the number of the week goes up with
        their place; each time the row is long enough it earns. A row that began under
        an earlier wording goes on."""
        return SQL(
            """
            SELECT card_id, 'week ' || (DATE '1900-01-01' + 7 * week)::text AS key,
                   date, NULL::int AS usage_id, 1 AS times
              FROM (
                    SELECT *, row_number() OVER (
                               PARTITION BY card_id, run ORDER BY week
                           ) AS place
                      FROM (
                            SELECT *, week - row_number() OVER (
                                       PARTITION BY card_id ORDER BY week
                                   ) AS run
                              FROM (
                                    SELECT card.id AS card_id,
                                           (usage.date - DATE '1900-01-01') / 7 AS week,
                                           min(usage.date) AS date
                                    %s
                                  GROUP BY 1, 2
                                   ) used
                           ) in_runs
                   ) placed
             WHERE place %% %s = 0 AND %s
            """,
            self._sql_since_joining(holders, self._get_begin(), last),
            self.streak_weeks,
            self._sql_between(SQL("date"), first, last),
        )

    def _sql_variety(self, holders, first, last):
        """The services of the whole month count, also under an earlier wording."""
        return SQL(
            """
            SELECT card_id, to_char(month, 'YYYY-MM') AS key, date,
                   NULL::int AS usage_id, 1 AS times
              FROM (
                    SELECT *, row_number() OVER (
                               PARTITION BY card_id, month ORDER BY date, service_id
                           ) AS place
                      FROM (
                            SELECT card.id AS card_id,
                                   date_trunc('month', usage.date)::date AS month,
                                   usage.service_id, min(usage.date) AS date
                            %s
                          GROUP BY 1, 2, 3
                           ) used
                   ) placed
             WHERE place = %s AND %s
            """,
            self._sql_since_joining(holders, self._get_begin(), last),
            self.variety_count,
            self._sql_between(SQL("date"), first, last),
        )

    def _sql_joined(self, holders):
        return SQL(
            """
            SELECT card.id AS card_id, 'joined' AS key, card.library_joined_on AS date,
                   NULL::int AS usage_id, 1 AS times,
                   card.library_joined_on AS joined_on
              FROM loyalty_card card
             WHERE %s
            """,
            holders,
        )

    def _sql_renewed(self, holders):
        return SQL(
            """
            SELECT card.id AS card_id, renewal.id::text AS key, renewal.date,
                   NULL::int AS usage_id, 1 AS times,
                   card.library_joined_on AS joined_on
              FROM loyalty_card card
              JOIN library_membership_renewal renewal
                ON renewal.patron_id = card.library_patron_id
             WHERE %s
            """,
            holders,
        )

    def _sql_anniversary(self, holders):
        """A year has passed since joining the library, and each year after that."""
        today = self.program_id._library_today()
        return SQL(
            """
            SELECT card.id AS card_id, year::text AS key,
                   (patron.enrolled_on + year * interval '1 year')::date AS date,
                   NULL::int AS usage_id, 1 AS times,
                   card.library_joined_on AS joined_on
              FROM loyalty_card card
              JOIN library_patron patron ON patron.id = card.library_patron_id
              JOIN LATERAL generate_series(
                       1,
                       date_part('year', age(%s::date, patron.enrolled_on))::int
                   ) year ON TRUE
             WHERE %s
            """,
            today,
            holders,
        )

    def _sql_challenge(self, holders):
        return SQL(
            """
            SELECT card.id AS card_id, entry.challenge_id::text AS key,
                   entry.finished_on AS date, NULL::int AS usage_id, 1 AS times,
                   card.library_joined_on AS joined_on
              FROM loyalty_card card
              JOIN library_challenge_entry entry
                ON entry.patron_id = card.library_patron_id
             WHERE entry.finished_on IS NOT NULL AND %s
            """,
            holders,
        )

    def _sql_occasions(self, holders):
        return SQL(
            """
            SELECT card.id AS card_id, occasion.key, occasion.date,
                   NULL::int AS usage_id, 1 AS times,
                   card.library_joined_on AS joined_on
              FROM loyalty_card card
              JOIN library_loyalty_occasion occasion
                ON occasion.patron_id = card.library_patron_id
             WHERE occasion.event = %s AND %s
            """,
            self.event,
            holders,
        )
