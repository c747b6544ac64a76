from datetime import timedelta

from odoo import api, fields, models, tools
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

#: Days after its end in which a challenge still follows use that comes late.
LATE_DAYS = 30


class LibraryChallenge(models.Model):
    """A goal for a time, such as a summer of reading: patrons take part, see how far
    they are, and who gets there has a badge and a certificate.

    How far somebody is follows from their use, or from the minutes and ticks that they
    or their guardian log; never from what they read. It is reckoned by one statement a
    challenge: every night, and at once for whoever has just logged something. Who has
    finished has finished: a later correction takes no badge away.
    """

    _name = "library.challenge"
    _inherit = ["library.cache.mixin"]
    _description = "Challenge"
    _order = "date_from desc, id desc"
    _check_company_auto = True
    _library_personal_data = {"*": "setting"}

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    description = fields.Text(translate=True, help="What patrons read about it.")
    portal_published = fields.Boolean(
        string="In the Portal", help="Patrons see it in the portal and may take part."
    )
    date_from = fields.Date(
        string="First Day", required=True, default=fields.Date.context_today
    )
    date_to = fields.Date(
        string="Last Day",
        required=True,
        default=lambda self: fields.Date.context_today(self) + timedelta(days=60),
    )
    state = fields.Selection(
        [("planned", "Planned"), ("running", "Running"), ("over", "Over")],
        compute="_compute_state",
    )

    # The goal
    goal_kind = fields.Selection(
        [
            ("uses", "Uses of services"),
            ("days", "Days with a use"),
            ("minutes", "Minutes read, as logged"),
            ("bingo", "Bingo card"),
        ],
        string="Goal in",
        required=True,
        default="days",
    )
    target = fields.Integer(
        compute="_compute_target",
        store=True,
        readonly=False,
        precompute=True,
        help="So many uses, days, minutes or squares.",
    )
    in_words = fields.Char(string="Goal", compute="_compute_in_words")
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
    day_limit = fields.Integer(
        string="Minutes a Day, at Most",
        default=240,
        required=True,
        help="More than that cannot be logged for one day.",
    )
    log_days = fields.Integer(
        string="Log Back, Days",
        default=14,
        required=True,
        help="Patrons may log, and undo, for so many days that are over; staff for all "
        "days of the challenge.",
    )
    bingo_size = fields.Selection(
        [("3", "3 × 3"), ("4", "4 × 4"), ("5", "5 × 5")],
        string="Size of the Card",
        default="3",
        required=True,
    )
    bingo_goal = fields.Selection(
        [("line", "One line"), ("card", "The whole card")],
        default="line",
        required=True,
        help="A line is a row, a column or a diagonal.",
    )
    square_ids = fields.One2many(
        "library.challenge.square", "challenge_id", string="Squares", copy=True
    )
    is_team_goal = fields.Boolean(
        string="Teams",
        help="A class or a family reaches the target together; whoever of them has "
        "added something has finished then.",
    )
    team_ids = fields.One2many(
        "library.challenge.team", "challenge_id", string="Classes and Teams"
    )

    # For whom
    patron_category_ids = fields.Many2many(
        "library.patron.category",
        string="Patron Categories",
        check_company=True,
        help="Who is offered it in the portal. Empty: everybody.",
    )
    segment_id = fields.Many2one(
        "library.segment", ondelete="restrict", check_company=True, index=True
    )

    # What for
    badge_id = fields.Many2one(
        "library.badge", ondelete="restrict", check_company=True, index=True
    )
    has_certificate = fields.Boolean(
        string="Certificate", default=True, help="To print for whoever has finished."
    )
    leaderboard = fields.Boolean(
        help="Shows who is in front, by nickname, to those who take part. Only who "
        "asks to be on it is on it; for a minor the guardian asks."
    )

    entry_ids = fields.One2many(
        "library.challenge.entry", "challenge_id", string="Who Takes Part"
    )
    entry_count = fields.Integer(string="Taking Part", compute="_compute_counts")
    finished_count = fields.Integer(string="Finished", compute="_compute_counts")

    _dates_in_order = models.Constraint(
        "CHECK (date_from <= date_to AND date_to - date_from <= 1100)",
        "Challenge: its first day comes before its last, and it lasts three years at "
        "most.",
    )
    _target_plausible = models.Constraint(
        "CHECK (target BETWEEN 1 AND 10000000)", "Target: 1 to 10,000,000."
    )
    _limits_plausible = models.Constraint(
        "CHECK (day_limit BETWEEN 1 AND 1440 AND log_days BETWEEN 0 AND 366)",
        "A day has 1,440 minutes; logging back is for 0 to 366 days.",
    )
    _no_bingo_in_teams = models.Constraint(
        "CHECK (goal_kind != 'bingo' OR is_team_goal IS NOT TRUE)",
        "A bingo card is filled by each patron, not by a team.",
    )

    @api.depends("date_from", "date_to")
    def _compute_state(self):
        for challenge in self:
            today = challenge._today()
            if challenge.date_from and today < challenge.date_from:
                challenge.state = "planned"
            elif challenge.date_to and today > challenge.date_to:
                challenge.state = "over"
            else:
                challenge.state = "running"

    @api.depends("goal_kind", "bingo_goal", "bingo_size")
    def _compute_target(self):
        for challenge in self:
            if challenge.goal_kind == "bingo":
                challenge.target = challenge._get_card_target()
            else:
                challenge.target = challenge.target or 10

    def _get_card_target(self):
        size = int(self.bingo_size)
        return size if self.bingo_goal == "line" else size**2

    @api.depends("goal_kind", "target", "bingo_goal", "is_team_goal")
    @api.depends_context("lang")
    def _compute_in_words(self):
        env = self.env
        for challenge in self:
            number = f"{challenge.target:,}"
            words = {
                "uses": env._("Use the library %s times", number),
                "days": env._("Use the library on %s days", number),
                "minutes": env._("Read for %s minutes", number),
                "bingo": env._("Fill a line of the bingo card")
                if challenge.bingo_goal == "line"
                else env._("Fill the whole bingo card"),
            }
            said = words.get(challenge.goal_kind, "")
            if challenge.is_team_goal:
                said = env._("%s, together", said)
            challenge.in_words = said

    @api.depends("entry_ids", "entry_ids.finished_on")
    def _compute_counts(self):
        """How many take part is no secret; who they are is for those who serve them:
        hence sudo."""
        counts = {
            challenge.id: (total, finished)
            for challenge, total, finished in self.env["library.challenge.entry"]
            .sudo()
            ._read_group(
                [("challenge_id", "in", self.ids)],
                ["challenge_id"],
                ["__count", "finished_on:count"],
            )
        }
        for challenge in self:
            challenge.entry_count, challenge.finished_count = counts.get(
                challenge.id, (0, 0)
            )

    @api.constrains("goal_kind", "target", "bingo_size", "bingo_goal")
    def _check_card_target(self):
        for challenge in self.filtered(lambda one: one.goal_kind == "bingo"):
            if challenge.target != challenge._get_card_target():
                raise ValidationError(
                    self.env._(
                        "%(challenge)s: %(target)s squares are what is to be filled, "
                        "%(found)s was found.",
                        challenge=challenge.name,
                        target=challenge._get_card_target(),
                        found=challenge.target,
                    )
                )

    @api.constrains(
        *("portal_published", "goal_kind", "bingo_size", "square_ids", "is_team_goal")
    )
    def _check_is_complete(self):
        """What patrons see can be played."""
        for challenge in self.filtered("portal_published"):
            wanted = int(challenge.bingo_size) ** 2
            if challenge.goal_kind == "bingo" and len(challenge.square_ids) != wanted:
                raise ValidationError(
                    self.env._(
                        "The bingo card of %(challenge)s has %(found)s squares; "
                        "%(wanted)s are needed before patrons see it.",
                        challenge=challenge.name,
                        found=len(challenge.square_ids),
                        wanted=wanted,
                    )
                )

    # ------------------------------------------------------------
    # CREATE AND WRITE
    # ------------------------------------------------------------

    def write(self, vals):
        fixed = ("goal_kind", "bingo_size", "is_team_goal", "company_id")
        if any(
            name in vals
            and challenge._fields[name].convert_to_write(challenge[name], challenge)
            != vals[name]
            for challenge in self
            for name in fixed
        ):
            self._refuse_when_taken_part()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_taken_part(self):
        self._refuse_when_taken_part()

    def _refuse_when_taken_part(self):
        for challenge in self:
            if challenge.entry_count:
                raise UserError(
                    self.env._(
                        "%(count)s patrons take part in %(challenge)s: it keeps its "
                        "kind of goal, its card and its library, and is not deleted. "
                        "Archive it, or make another one.",
                        count=challenge.entry_count,
                        challenge=challenge.name,
                    )
                )

    # ------------------------------------------------------------
    # TAKING PART
    # ------------------------------------------------------------

    def _today(self):
        """The day of the library."""
        return fields.Date.context_today(self.with_company(self.company_id))

    @api.model
    def _get_offered(self, patron):
        """The challenges that a patron may begin in the portal: those published for
        them that are not over and in which they do not take part."""
        challenges = self.sudo().search(
            [
                ("portal_published", "=", True),
                ("company_id", "=", patron.company_id.id),
                ("date_to", ">=", fields.Date.context_today(self)),
                ("patron_category_ids", "in", [False, patron.patron_category_id.id]),
                ("entry_ids", "not any", [("patron_id", "=", patron.id)]),
            ],
            order="date_from, id",
        )
        return challenges.filtered(
            lambda challenge: (
                not challenge.segment_id
                or self.env["library.patron"]
                .sudo()
                .search_count(
                    Domain("id", "=", patron.id) & challenge.segment_id._get_domain()
                )
            )
        )

    def _enrol(self, patrons, team=None):
        """Let patrons take part, unless they do.

        :param team: ``library.challenge.team`` for those who are new
        :return: the entries of all of them
        """
        self.ensure_one()
        Entry = self.env["library.challenge.entry"]
        known = Entry.search(
            [("challenge_id", "=", self.id), ("patron_id", "in", patrons.ids)]
        )
        return known + Entry.create(
            [
                {
                    "challenge_id": self.id,
                    "patron_id": patron.id,
                    "team_id": team and team.id,
                }
                for patron in patrons - known.patron_id
            ]
        )

    # ------------------------------------------------------------
    # HOW FAR
    # ------------------------------------------------------------

    def _refresh(self, patrons=None):
        """Reckon how far those who take part are, and thank whoever has got there.

        Cost: one statement a challenge, with a pass over the use or the logs of its
        time.

        :param patrons: where only these are reckoned
        """
        for challenge in self.sudo():
            chosen = SQL("entry.challenge_id = %s", challenge.id)
            if patrons is not None:
                chosen = SQL("%s AND entry.patron_id = ANY(%s)", chosen, patrons.ids)
            self.env.flush_all()
            rows = self.env.execute_query(challenge._sql_refresh(chosen))
            finished = [id_ for (id_,) in rows]
            if challenge.is_team_goal:
                self.env.cr.execute(challenge._sql_refresh_teams())
                rows = self.env.execute_query(challenge._sql_finish_members())
                finished = [id_ for (id_,) in rows]
                self.env["library.challenge.team"].invalidate_model()
            Entry = self.env["library.challenge.entry"]
            Entry.invalidate_model(["progress", "finished_on", "percent"])
            challenge.invalidate_recordset(["finished_count"])
            challenge._thank(Entry.sudo().browse(finished))

    def _thank(self, entries):
        """What whoever has finished gets."""
        if not entries:
            return
        if self.badge_id:
            self.env["library.badge.award"]._award(self, entries)
        self.env["library.service.usage"]._reckon_points(entries.patron_id)
        entries._tell()

    def _sql_refresh(self, chosen):
        """Set how far the chosen entries are; gives the ids of those that finish."""
        self.ensure_one()
        return SQL(
            """
            WITH counted AS (%(counted)s),
            reached AS (
                SELECT entry.id, entry.finished_on AS finished_before,
                       least(coalesce(counted.amount, 0), 2000000000)::int AS amount
                  FROM library_challenge_entry entry
             LEFT JOIN counted ON counted.entry_id = entry.id
                 WHERE %(chosen)s
            ),
            changed AS (
                UPDATE library_challenge_entry entry
                   SET progress = reached.amount,
                       finished_on = CASE WHEN %(finishes)s THEN %(day)s
                                          ELSE entry.finished_on END
                  FROM reached
                 WHERE reached.id = entry.id
                   AND (entry.progress IS DISTINCT FROM reached.amount
                        OR %(finishes)s)
             RETURNING entry.id, entry.finished_on, reached.finished_before
            )
            SELECT id
              FROM changed
             WHERE finished_on IS NOT NULL AND finished_before IS NULL
            """,
            counted=getattr(self, f"_sql_{self.goal_kind}")(chosen),
            chosen=chosen,
            finishes=SQL("FALSE")
            if self.is_team_goal
            else SQL(
                "(entry.finished_on IS NULL AND reached.amount >= %s)", self.target
            ),
            day=self._get_last_day(),
        )

    def _sql_refresh_teams(self):
        """A team has what its members have."""
        return SQL(
            """
            UPDATE library_challenge_team team
               SET progress = summed.amount,
                   finished_on = coalesce(
                       team.finished_on,
                       CASE WHEN summed.amount >= summed.goal THEN %(day)s::date END
                   )
              FROM (
                    SELECT team.id,
                           coalesce(nullif(team.target, 0), %(target)s) AS goal,
                           least(coalesce(sum(entry.progress), 0), 2000000000)::int
                               AS amount
                      FROM library_challenge_team team
                 LEFT JOIN library_challenge_entry entry ON entry.team_id = team.id
                     WHERE team.challenge_id = %(challenge)s
                  GROUP BY team.id
                   ) summed
             WHERE summed.id = team.id
               AND (team.progress IS DISTINCT FROM summed.amount
                    OR team.finished_on IS NULL AND summed.amount >= summed.goal)
            """,
            day=self._get_last_day(),
            target=self.target,
            challenge=self.id,
        )

    def _sql_finish_members(self):
        """Who has added something to a team that has finished has finished."""
        return SQL(
            """
            UPDATE library_challenge_entry entry
               SET finished_on = %s
              FROM library_challenge_team team
             WHERE team.id = entry.team_id
               AND team.challenge_id = %s
               AND team.finished_on IS NOT NULL
               AND entry.finished_on IS NULL
               AND entry.progress > 0
         RETURNING entry.id
            """,
            self._get_last_day(),
            self.id,
        )

    def _get_last_day(self):
        return min(self._today(), self.date_to)

    def _sql_use_of_entries(self, chosen):
        """The use that counts, with the row ``entry``."""
        parts = [chosen]
        services = self.service_ids
        if self.service_category and not services:
            services = (
                self.env["library.service"]
                .with_context(active_test=False)
                .search([("category", "=", self.service_category)])
            )
        if services or self.service_category:
            parts.append(SQL("usage.service_id = ANY(%s)", services.ids))
        if self.branch_ids:
            parts.append(SQL("usage.branch_id = ANY(%s)", self.branch_ids.ids))
        return SQL(
            """
                  FROM library_challenge_entry entry
                  JOIN library_service_usage usage
                    ON usage.patron_id = entry.patron_id
                   AND usage.date BETWEEN %s AND %s
                 WHERE %s
            """,
            self.date_from,
            self.date_to,
            SQL(" AND ").join(parts),
        )

    def _sql_uses(self, chosen):
        return SQL(
            "SELECT entry.id AS entry_id, sum(usage.quantity) AS amount %s GROUP BY 1",
            self._sql_use_of_entries(chosen),
        )

    def _sql_days(self, chosen):
        return SQL(
            "SELECT entry.id AS entry_id, count(DISTINCT usage.date) AS amount %s"
            " GROUP BY 1",
            self._sql_use_of_entries(chosen),
        )

    def _sql_minutes(self, chosen):
        """The limit holds here too: two patrons who are merged have had one day."""
        return SQL(
            """
            SELECT entry_id, sum(least(minutes, %s)) AS amount
              FROM (
                    SELECT log.entry_id, log.date, sum(log.minutes) AS minutes
                      FROM library_challenge_entry entry
                      JOIN library_challenge_log log ON log.entry_id = entry.id
                     WHERE %s
                  GROUP BY 1, 2
                   ) logged
          GROUP BY 1
            """,
            self.day_limit,
            chosen,
        )

    def _sql_bingo(self, chosen):
        """The squares that are ticked: of the line that has most, or of the card."""
        ticked = self._sql_ticked(chosen)
        if self.bingo_goal == "card" or not self.square_ids:
            return SQL(
                "SELECT entry_id, count(*) AS amount FROM (%s) ticked GROUP BY 1",
                ticked,
            )
        squares = self.square_ids
        places = [
            SQL("(%s, %s)", line, squares[place].id)
            for line, members in enumerate(self._get_lines())
            for place in members
            if place < len(squares)
        ]
        return SQL(
            """
            SELECT entry_id, max(amount) AS amount
              FROM (
                    SELECT ticked.entry_id, place.line, count(*) AS amount
                      FROM (%s) ticked
                      JOIN (VALUES %s) place (line, square_id)
                        ON place.square_id = ticked.square_id
                  GROUP BY 1, 2
                   ) lines
          GROUP BY 1
            """,
            ticked,
            SQL(", ").join(places),
        )

    def _sql_ticked(self, chosen):
        """Entry and square: logged by somebody, or ticked by use."""
        return SQL(
            """
            SELECT log.entry_id, log.square_id
              FROM library_challenge_entry entry
              JOIN library_challenge_log log ON log.entry_id = entry.id
             WHERE %(chosen)s AND log.square_id IS NOT NULL
             UNION
            SELECT entry.id, square.id
              FROM library_challenge_entry entry
              JOIN library_challenge_square square
                ON square.challenge_id = entry.challenge_id
              JOIN library_service_usage usage
                ON usage.patron_id = entry.patron_id
               AND usage.service_id = square.service_id
               AND usage.date BETWEEN %(first)s AND %(last)s
             WHERE %(chosen)s
            """,
            chosen=chosen,
            first=self.date_from,
            last=self.date_to,
        )

    def _get_lines(self):
        """The lines of the card, as places of squares: rows, columns, diagonals.

        :rtype: list[list[int]]
        """
        size = int(self.bingo_size)
        row = range(size)
        return [
            *([size * one + other for other in row] for one in row),
            *([size * other + one for other in row] for one in row),
            [size * one + one for one in row],
            [size * one + size - 1 - one for one in row],
        ]

    # ------------------------------------------------------------
    # WHEN
    # ------------------------------------------------------------

    @api.model
    @tools.ormcache("today")
    def _get_open_ids(self, today):
        """The challenges that follow what patrons do on a day, by library.

        :rtype: dict[int, tuple[int]]
        """
        challenges = self.sudo().search(
            [
                ("date_from", "<=", today),
                ("date_to", ">=", today - timedelta(days=LATE_DAYS)),
            ]
        )
        return {
            company.id: tuple(group.ids)
            for company, group in challenges.grouped("company_id").items()
        }

    @api.model
    def _refresh_patrons(self, patrons):
        """Reckon patrons whose use has just changed. Where the library has no challenge
        nothing is asked."""
        open_ids = self._get_open_ids(fields.Date.context_today(self))
        if not open_ids:
            return
        for company, group in patrons.sudo().grouped("company_id").items():
            challenges = self.browse(open_ids.get(company.id, ()))
            entries = challenges and self.env["library.challenge.entry"].sudo().search(
                [
                    ("challenge_id", "in", challenges.ids),
                    ("patron_id", "in", group.ids),
                    ("challenge_id.goal_kind", "!=", "minutes"),
                ]
            )
            if entries:
                entries._refresh()

    @api.model
    def _cron_refresh(self):
        """Every night: the days that have passed, and whatever was missed."""
        IrCron = self.env["ir.cron"]
        open_ids = self._get_open_ids(fields.Date.context_today(self))
        challenges = self.browse(id_ for ids in open_ids.values() for id_ in ids)
        for place, challenge in enumerate(challenges, 1):
            challenge._refresh()
            if not IrCron._commit_progress(1, remaining=len(challenges) - place):
                return

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_refresh(self):
        self.check_access("write")
        self._refresh()

    def action_view_entries(self):
        return self._get_entries_action({})

    def action_view_finished(self):
        return self._get_entries_action({"search_default_finished": 1})

    def _get_entries_action(self, context):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm_loyalty.library_challenge_entry_action"
            ),
            "domain": [("challenge_id", "=", self.id)],
            "context": {"default_challenge_id": self.id, **context},
        }

    def action_view_logs(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm_loyalty.library_challenge_log_action"
            ),
            "domain": [("challenge_id", "=", self.id)],
        }
