from ast import literal_eval
from datetime import timedelta

from babel.dates import format_timedelta
from dateutil.relativedelta import relativedelta
from psycopg2.errors import SerializationFailure

from odoo import api, fields, models, tools
from odoo.fields import Domain
from odoo.tools import SQL, get_lang
from odoo.tools.misc import babel_locale_parse

from .library_service_usage import FEWEST_PATRONS

# So many days of use, over so many days, make a rhythm of one's own.
_RHYTHM_USES, _RHYTHM_DAYS = 4, 60


class LibraryPatron(models.Model):
    """How much a patron uses the library, measured in services and days, never in what
    was read; and whether the use begins, goes on, fades or has ended.

    A statement reckons all of it for any number of patrons: at night for everybody, and
    at once for those whose use was just logged. Of children, of those for whom staff
    switched it off and of those who objected there are no figures.
    """

    _inherit = "library.patron"
    _library_personal_data = {
        "lifecycle": "figure",
        "lifecycle_since": "figure",
        "recency": "figure",
        "frequency": "figure",
        "variety": "figure",
        "use_day_count": "figure",
        "service_count": "figure",
        "usual_gap": "figure",
        "cluster_id": "figure",
        "profiling_stopped": "figure",
    }

    #: Patrons who are reckoned in one transaction.
    _ENGAGEMENT_BATCH = 50_000
    #: What has to be reckoned anew when it is changed by hand.
    _ENGAGEMENT_CAUSES = frozenset(
        ("birth_date", "birth_year", "patron_category_id", "enrolled_on")
        + ("profiling_stopped", "company_id")
    )

    lifecycle = fields.Selection(
        [
            ("new", "New"),
            ("active", "Active"),
            ("occasional", "Occasional"),
            ("lapsing", "Lapsing"),
            ("lapsed", "Lapsed"),
            ("returned", "Returned"),
        ],
        readonly=True,
        copy=False,
        groups="base.group_user",
    )
    lifecycle_since = fields.Date(readonly=True, copy=False, groups="base.group_user")
    lifecycle_reason = fields.Char(
        string="Why",
        compute="_compute_lifecycle_reason",
        groups="library_crm.group_library_user",
    )
    recency = fields.Selection(
        [("recent", "Recent"), ("earlier", "Earlier"), ("never", "Long ago or never")],
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="When the library was used last.",
    )
    frequency = fields.Selection(
        [
            ("often", "Often"),
            ("regular", "Now and then"),
            ("rare", "Rarely"),
            ("none", "Not at all"),
        ],
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="On how many days the library was used in 12 months.",
    )
    variety = fields.Selection(
        [("many", "Many"), ("some", "Some"), ("one", "One"), ("none", "None")],
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="How many different services were used in 12 months.",
    )
    use_day_count = fields.Integer(
        string="Days of Use in 12 Months",
        readonly=True,
        copy=False,
        aggregator="avg",
        groups="library_crm.group_library_user",
    )
    service_count = fields.Integer(
        string="Services Used in 12 Months",
        readonly=True,
        copy=False,
        aggregator="avg",
        groups="library_crm.group_library_user",
    )
    usual_gap = fields.Integer(
        string="Days Between Uses",
        readonly=True,
        copy=False,
        aggregator="avg",
        groups="library_crm.group_library_user",
        help="From one day of use to the next, on the average of 12 months; empty "
        "where there are too few to speak of a rhythm.",
    )
    cluster_id = fields.Many2one(
        "library.cluster",
        readonly=True,
        copy=False,
        ondelete="set null",
        groups="library_crm.group_library_user",
    )
    profiling_stopped = fields.Boolean(
        string="No Figures",
        tracking=True,
        groups="library_crm.group_library_user",
        help="The patron does not want to be reckoned: no lifecycle, no cluster.",
    )

    segment_ids = fields.Many2many(
        "library.segment",
        string="Segments",
        compute="_compute_segment_ids",
        search="_search_segment_ids",
        groups="library_crm.group_library_user,library_crm.group_library_marketing",
    )

    # ------------------------------------------------------------
    # IN WORDS
    # ------------------------------------------------------------

    @api.depends("lifecycle", "usual_gap", "last_use_date", "enrolled_on")
    @api.depends_context("lang")
    def _compute_lifecycle_reason(self):
        today = fields.Date.context_today(self)
        for patron in self:
            patron.lifecycle_reason = patron._describe_lifecycle(today)

    def _describe_lifecycle(self, today):
        """Why the patron stands where they stand, in a sentence."""
        env = self.env
        if not self.lifecycle:
            return (
                env._("No figures: staff switched them off.")
                if self.profiling_stopped
                else env._(
                    "No figures: of children, and of who objected, none are made."
                )
            )
        if not self.last_use_date:
            if not self.enrolled_on:
                return env._("Has not used a service yet.")
            return env._(
                "Joined %(since)s ago, has not used a service yet.",
                since=self._say_days(today - self.enrolled_on),
            )
        silence = self._say_days(today - self.last_use_date)
        if self.lifecycle == "returned":
            return env._("Is back after a long time, last use %s ago.", silence)
        if self.usual_gap:
            return env._(
                "Usually every %(gap)s, last use %(silence)s ago.",
                gap=self._say_days(timedelta(days=self.usual_gap)),
                silence=silence,
            )
        return env._("Last use %s ago.", silence)

    def _say_days(self, span):
        """A span of days as people say it: 21 days are 3 weeks, 77 days 11 weeks."""
        locale = babel_locale_parse(get_lang(self.env).code)
        return format_timedelta(span, granularity="day", threshold=3, locale=locale)

    # ------------------------------------------------------------
    # RECKONING
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        patrons = super().create(vals_list)
        if not self.env.context.get("library_from_ils"):
            patrons._refresh_engagement()
        return patrons

    def write(self, vals):
        result = super().write(vals)
        by_hand = not self.env.context.get("library_from_ils")
        if by_hand and self._ENGAGEMENT_CAUSES & vals.keys():
            self._refresh_engagement()
        return result

    def _refresh_engagement(self):
        """Reckon these patrons: one statement for each library."""
        for company, patrons in self.sudo().grouped("company_id").items():
            self._reckon(company, SQL("patron.id = ANY(%s)", list(patrons._ids)))

    @api.model
    def _cron_refresh_engagement(self):
        """Reckon everybody, because a day has passed; and keep each part."""
        IrCron = self.env["ir.cron"]
        companies = self.env["library.patron"]._read_group([], ["company_id"])
        for (company,) in companies:
            last = 0
            while last is not None:
                # A load may write the same patrons; then they are taken again.
                try:
                    count, last = self._reckon_next(company, last)
                except SerializationFailure:
                    self.env.cr.rollback()
                    continue
                if not IrCron._commit_progress(count, remaining=int(last is not None)):
                    IrCron._commit_progress(remaining=1)
                    return

    @api.model
    def _reckon_next(self, company, last):
        """Reckon the next patrons of a library behind the one with the id ``last``.

        :return: how many they were, and the id of the last of them, or None if these
            were all
        """
        [(count, until)] = self.env.execute_query(
            SQL(
                """
                SELECT count(*), max(id)
                  FROM (
                        SELECT id
                          FROM library_patron
                         WHERE company_id = %s AND id > %s
                      ORDER BY id
                         LIMIT %s
                       ) part
                """,
                company.id,
                last,
                self._ENGAGEMENT_BATCH,
            )
        )
        if count:
            self._reckon(
                company, SQL("patron.id > %s AND patron.id <= %s", last, until)
            )
        return count, until if count == self._ENGAGEMENT_BATCH else None

    @api.model
    def _reckon(self, company, chosen):
        """Write the figures of the patrons of a library who are chosen.

        Cost: one pass over their rows of use of some 15 months, and a new version of
        the row of each patron of whom something has changed; no index is written.

        :param SQL chosen: a condition on the row ``patron``
        """
        self.env.flush_all()
        # The day of the library, and not that of whoever happens to reckon.
        today = fields.Date.context_today(self.with_company(company))
        recipe = self.sudo()._get_recipe(company.id, today)
        self.env.cr.execute(self._sql_reckon(company, chosen, today, recipe))
        self.invalidate_model(
            [
                *("lifecycle", "lifecycle_since", "recency", "frequency", "variety"),
                *("use_day_count", "service_count", "usual_gap", "cluster_id"),
            ],
            flush=False,
        )

    @api.model
    @tools.ormcache("company_id", "today")
    def _get_recipe(self, company_id, today):
        """How the patrons of a library are reckoned on a day: the lines that its rules
        draw, and parts of the statement that follow from its clusters."""
        company = self.env["res.company"].browse(company_id)
        rule = self.env["library.engagement.rule"]._get_for(company)
        clusters = self.env["library.cluster"]._get_for(company)
        year = today - relativedelta(years=1)
        returned = today - timedelta(days=rule.returned_days)
        return {
            "year": year,
            "returned": returned,
            "since": min(year, returned - timedelta(days=rule.lapsed_days)),
            "cluster_facts": SQL("").join(
                SQL(
                    ", %s AS %s",
                    condition._sql_holds(),
                    SQL.identifier(f"holds_{condition.id}"),
                )
                for condition in clusters.condition_ids
            ),
            "cluster": self._sql_cluster(clusters),
            "new": rule.new_days,
            "lapsed": rule.lapsed_days,
            "lapsing": rule.lapsing_days,
            "factor": rule.lapsing_factor,
            "occasional": rule.occasional_days,
            "recent": rule.recent_days,
            "often": rule.often_days,
            "regular": rule.regular_days,
            "many": rule.many_services,
            "some": rule.some_services,
            "profile_from_age": rule.profile_from_age,
        }

    def _sql_reckon(self, company, chosen, today, recipe):
        return SQL(
            """
            WITH facts AS (
                SELECT use.patron_id,
                       count(DISTINCT use.date) FILTER (WHERE use.date > %(year)s)
                           AS days,
                       count(DISTINCT use.service_id) FILTER (WHERE use.date > %(year)s)
                           AS services,
                       min(use.date) FILTER (WHERE use.date > %(year)s) AS first_day,
                       max(use.date) AS last_day,
                       min(use.date) FILTER (WHERE use.date > %(returned)s)
                           AS back_day,
                       max(use.date) FILTER (WHERE use.date <= %(returned)s)
                           AS left_day
                       %(cluster_facts)s
                  FROM library_service_usage use
                  JOIN library_patron patron ON patron.id = use.patron_id
                 WHERE patron.company_id = %(company)s
                   AND %(chosen)s
                   AND use.date > %(since)s
              GROUP BY use.patron_id
            ),
            -- What stands here is reckoned once, and not wherever it is looked at.
            known AS MATERIALIZED (
                SELECT patron.id,
                       patron.lifecycle AS old_lifecycle,
                       patron.enrolled_on,
                       %(is_reckoned)s AS is_reckoned,
                       coalesce(facts.days, 0) AS days,
                       coalesce(facts.services, 0) AS services,
                       %(today)s - patron.last_use_date AS silence,
                       CASE WHEN facts.days >= %(rhythm_uses)s
                             AND facts.last_day - facts.first_day >= %(rhythm_days)s
                            THEN round(
                                (facts.last_day - facts.first_day)::numeric
                                / (facts.days - 1)
                            )::int
                        END AS gap,
                       -- Nothing for so long before the first use of late, though
                       -- there was use before that.
                       CASE WHEN facts.left_day IS NOT NULL
                            THEN facts.back_day - facts.left_day >= %(lapsed)s
                            WHEN facts.back_day IS NOT NULL
                            THEN EXISTS (
                                SELECT FROM library_service_usage use
                                 WHERE use.patron_id = patron.id
                                   AND use.date <= %(since)s
                            )
                        END AS is_back,
                       %(cluster)s AS cluster_id
                  FROM library_patron patron
             LEFT JOIN facts ON facts.patron_id = patron.id
                 WHERE patron.company_id = %(company)s
                   AND %(chosen)s
            ),
            figures AS (
                SELECT id,
                       CASE WHEN NOT is_reckoned THEN NULL
                            WHEN is_back THEN 'returned'
                            WHEN enrolled_on > %(today)s - %(new)s THEN 'new'
                            WHEN silence IS NULL OR silence >= %(lapsed)s THEN 'lapsed'
                            WHEN silence >= %(lapsing)s
                             AND silence > %(factor)s * gap THEN 'lapsing'
                            WHEN silence >= %(occasional)s THEN 'occasional'
                            ELSE 'active'
                        END AS lifecycle,
                       CASE WHEN NOT is_reckoned THEN NULL
                            WHEN silence < %(recent)s THEN 'recent'
                            WHEN silence < %(lapsed)s THEN 'earlier'
                            ELSE 'never'
                        END AS recency,
                       CASE WHEN NOT is_reckoned THEN NULL
                            WHEN days >= %(often)s THEN 'often'
                            WHEN days >= %(regular)s THEN 'regular'
                            WHEN days > 0 THEN 'rare'
                            ELSE 'none'
                        END AS frequency,
                       CASE WHEN NOT is_reckoned THEN NULL
                            WHEN services >= %(many)s THEN 'many'
                            WHEN services >= %(some)s THEN 'some'
                            WHEN services > 0 THEN 'one'
                            ELSE 'none'
                        END AS variety,
                       CASE WHEN is_reckoned THEN days END::int AS use_day_count,
                       CASE WHEN is_reckoned THEN services END::int AS service_count,
                       CASE WHEN is_reckoned THEN gap END AS usual_gap,
                       CASE WHEN is_reckoned THEN cluster_id END AS cluster_id
                  FROM known
            )
            UPDATE library_patron patron
               SET lifecycle = figures.lifecycle,
                   lifecycle_since = CASE
                       WHEN patron.lifecycle IS NOT DISTINCT FROM figures.lifecycle
                       THEN patron.lifecycle_since
                       WHEN figures.lifecycle IS NOT NULL THEN %(today)s
                   END,
                   recency = figures.recency,
                   frequency = figures.frequency,
                   variety = figures.variety,
                   use_day_count = figures.use_day_count,
                   service_count = figures.service_count,
                   usual_gap = figures.usual_gap,
                   cluster_id = figures.cluster_id
              FROM figures
             WHERE figures.id = patron.id
               AND (patron.lifecycle, patron.recency, patron.frequency, patron.variety,
                    patron.use_day_count, patron.service_count, patron.usual_gap,
                    patron.cluster_id)
                   IS DISTINCT FROM
                   (figures.lifecycle, figures.recency, figures.frequency,
                    figures.variety, figures.use_day_count, figures.service_count,
                    figures.usual_gap, figures.cluster_id)
            """,
            today=today,
            company=company.id,
            chosen=chosen,
            is_reckoned=self._sql_is_reckoned(
                recipe["profile_from_age"], today, chosen
            ),
            rhythm_uses=_RHYTHM_USES,
            rhythm_days=_RHYTHM_DAYS,
            **recipe,
        )

    def _sql_cluster(self, clusters):
        """The id of the first cluster whose rules the patron fulfils."""
        whens = []
        for cluster in clusters:
            parts = [SQL("facts.days > 0")]
            parts += [
                SQL("facts.%s", SQL.identifier(f"holds_{condition.id}"))
                for condition in cluster.condition_ids
            ]
            domain = Domain(literal_eval(cluster.patron_domain))
            if not domain.is_true():
                patrons = self.with_context(active_test=False)._search(domain)
                parts.append(SQL("patron.id IN %s", patrons.subselect()))
            whens.append(SQL("WHEN %s THEN %s", SQL(" AND ").join(parts), cluster.id))
        if not whens:
            return SQL("NULL::int")
        return SQL("CASE %s END", SQL(" ").join(whens))

    def _sql_is_reckoned(self, from_age, today, chosen):
        """Whether figures may be made of the row ``patron``, one of those chosen: of
        nobody below the age, of nobody for whom it was switched off, of nobody who
        objected."""
        return SQL(
            """
            (
                patron.profiling_stopped IS NOT TRUE
                AND NOT %(is_child)s
                AND patron.id NOT IN %(objected)s
            )
            """,
            is_child=self._sql_is_younger(from_age, today),
            objected=self.env["library.consent"]._query_objected("profiling", chosen),
        )

    @api.model
    def _query_not_profiled(self):
        """The patrons of whose use nobody may ask: it was switched off, or they
        objected.

        :return: SQL that gives patron ids
        :rtype: odoo.tools.SQL
        """
        self.flush_model(["profiling_stopped"])
        return SQL(
            "(SELECT id FROM library_patron WHERE profiling_stopped UNION %s)",
            self.env["library.consent"]._query_objected("profiling"),
        )

    # ------------------------------------------------------------
    # SEGMENTS
    # ------------------------------------------------------------

    @api.depends_context("uid", "allowed_company_ids")
    def _compute_segment_ids(self):
        """One question a segment, whose answer is at most the patrons asked for."""
        found = {patron.id: [] for patron in self}
        segments = self.env["library.segment"].search(Domain.TRUE)
        for segment in segments - segments._filter_unlisted():
            for patron in self.with_context(active_test=False).search(
                Domain("id", "in", self.ids) & segment._get_domain()
            ):
                found[patron.id].append(segment.id)
        for patron in self:
            patron.segment_ids = found[patron.id]

    @api.model
    def _search_segment_ids(self, operator, value):
        """:raise AccessError: if being in one of them tells what the user may not know;
        see ``library.segment._filter_unlisted``
        """
        self._check_may_ask("segment_ids")
        if operator != "in":
            return NotImplemented
        # Those that the user may see; another library's is as if it were not there.
        segments = (
            self.env["library.segment"]
            .with_context(active_test=False)
            .search([("id", "in", [id_ for id_ in value if id_])])
        )
        segments._check_may_list()
        found = Domain.OR(segment._get_domain() for segment in segments)
        if False in value:
            every = self.env["library.segment"].search(Domain.TRUE)
            every -= every._filter_unlisted()
            found |= ~Domain.OR(segment._get_domain() for segment in every)
        return found

    @api.model
    def search_count(self, domain, limit=None):
        """How many there are in a segment is told to whoever may write to it, also
        where it is not told who they are; of that segment as a whole."""
        segment = self.env["library.segment"]._find_alone(domain)
        if not segment._filter_unlisted():
            return super().search_count(domain, limit=limit)
        count = self._count_unlisted(Domain(domain))
        return min(count, limit) if limit else count

    @api.model
    def _count_unlisted(self, domain):
        """How many patrons of the user's libraries there are, where the user may not
        know who: fewer than five are told as none.

        The caller has made sure that the domain names nobody.
        """
        domain &= Domain("company_id", "in", self.env.companies.ids)
        count = self.sudo().search_count(domain)
        return count if count >= FEWEST_PATRONS else 0

    @api.model
    def _iter_asked_groups(self, domain):
        """The groups that each field is limited to which a domain on patrons asks."""
        for condition in Domain(domain).iter_conditions():
            model = self
            for name in condition.field_expr.split("."):
                field = model._fields.get(name)
                if not field:
                    break
                yield field.groups
                model = self.env[field.comodel_name] if field.relational else model
