from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.tools import SQL

#: Days within which a request is answered in time.
ANSWER_DAYS = 5


class LibraryIndicatorMeasure(models.AbstractModel):
    """What indicators are made of: numbers of a month, and of the twelve months that
    end with it, of each branch and of the whole library.

    An addon adds a measure by its label and a query that counts it. A query names its
    period in so many words, since PostgreSQL plans by what stands in a statement, and
    not by what it will find. It may read two tables: ``span``, the months to count
    (``month``, ``since``: the first of its twelve months, ``has_year``: whether
    services were used in each of the twelve, ``known_months``: of how many months up to
    it the rows of use are all there, ``is_known``: of one at least); and ``served``,
    where a service was used (``month``, ``branch_id``; 0: in the library).
    """

    _name = "library.indicator.measure"
    _description = "What Indicators Are Made of"

    @api.model
    def _get_labels(self):
        """The measures by name; a hook.

        :rtype: dict[str, str]
        """
        return {
            "uses": self.env._("Uses of services"),
            "loans": self.env._("Loans"),
            "visits": self.env._("Visits"),
            "eresource_uses": self.env._("E-resource uses"),
            "attendances": self.env._("Attendances"),
            "attendances_placed": self.env._("Attendances where the places are known"),
            "places": self.env._("Places offered in programmes"),
            "enquiries": self.env._("Enquiries"),
            "internet_sessions": self.env._("Internet sessions"),
            "turnaways": self.env._("E-resource turn-aways"),
            "cost": self.env._("Cost"),
            "population": self.env._("People to be served"),
            "active_users": self.env._("Active users"),
            "users_before": self.env._("Active users of the period before"),
            "users_kept": self.env._("Active users of both periods"),
            "users_returned": self.env._("Users who came back"),
            "users_new": self.env._("New patrons"),
            "memberships_ended": self.env._("Memberships that came to their end"),
            "memberships_renewed": self.env._("Memberships renewed"),
            "requests": self.env._("Requests"),
            "requests_in_time": self.env._("Requests answered in time"),
            "patrons": self.env._("Patrons"),
            "patrons_reached": self.env._("Patrons who agreed to news by email"),
        }

    @api.model
    def _get_of_people(self):
        """The measures that count people or what is theirs, of which a number below
        five is not told; a hook.

        :rtype: set[str]
        """
        return {
            *("active_users", "users_before", "users_kept", "users_returned"),
            *("users_new", "memberships_ended", "memberships_renewed"),
            *("requests", "requests_in_time", "patrons", "patrons_reached"),
        }

    @api.model
    def _get_by_category(self):
        """The measures that are also known of each category of services.

        :rtype: set[str]
        """
        return {*self._get_uses(), "uses", "cost"}

    @api.model
    def _get_kept(self):
        """The measures that are made of what is never deleted because of its age; a
        hook.

        :rtype: set[str]
        """
        return {
            *self._get_by_category(),
            *("population", "places", "attendances_placed"),
        }

    @api.model
    def _get_reopened(self):
        """The measures that a late load, or a cost or a population that was entered
        late, changes long after the month; a hook.

        :rtype: set[str]
        """
        return {
            *self._get_kept(),
            *("active_users", "users_before", "users_kept", "users_returned"),
        }

    @api.model
    def _get_of_today(self):
        """The measures of which the past is not known: they are counted once, when
        their month is over; a hook.

        :rtype: set[str]
        """
        return {"patrons", "patrons_reached"}

    @api.model
    def _get_queries(self, company, names, months):
        """The queries that count measures; a hook.

        :param set names: of the measures that are asked for
        :param months: to be counted, the earliest first; no more of them than three
            years
        :type months: list[datetime.date]
        :return: queries of measure, service category (empty: all), branch id (0: the
            whole library), month, number of the month and number of the twelve months
        :rtype: list[SQL]
        """
        families = (
            (self._query_uses, {*self._get_uses(), "uses"}),
            (self._query_cost, {"cost"}),
            (self._query_population, {"population"}),
            (self._query_places, {"places", "attendances_placed"}),
            (
                self._query_users,
                {"active_users", "users_before", "users_kept", "users_returned"},
            ),
            (self._query_new_users, {"users_new"}),
            (self._query_memberships, {"memberships_ended", "memberships_renewed"}),
            (self._query_requests, {"requests", "requests_in_time"}),
            (self._query_reached, self._get_of_today()),
        )
        return [
            query(company, months) for query, counted in families if counted & names
        ]

    @api.model
    def _get_period(self, months):
        """The first day of the twelve months that end with the first of the months, and
        the day after the last one."""
        return (
            months[0] - relativedelta(months=11),
            months[-1] + relativedelta(months=1),
        )

    # ------------------------------------------------------------
    # SUMS
    # ------------------------------------------------------------

    @api.model
    def _sum_up(self, parts):
        """Add numbers of months up, by branch and for the whole library.

        A branch that opened or closed in the year counts with the months in which it
        was open.

        :param SQL parts: a query of measure, category, branch_id (-1: none), month and
            amount
        """
        return SQL(
            """
            SELECT measure, category,
                   CASE WHEN GROUPING(branch_id) = 1 THEN 0 ELSE branch_id END,
                   span.month,
                   sum(amount) FILTER (WHERE part.month = span.month)::float8,
                   CASE WHEN span.has_year THEN sum(amount)::float8 END
              FROM (%s) part
              JOIN span ON part.month BETWEEN span.since AND span.month
          GROUP BY measure, category, span.month, span.has_year,
                   GROUPING SETS ((branch_id), ())
            """,
            parts,
        )

    @api.model
    def _get_uses(self):
        """Measures that are what services count for."""
        return {
            name
            for name, _label in self.env["library.service"]
            ._fields["indicator"]
            .selection
            if name != "none"
        }

    @api.model
    def _query_uses(self, company, months):
        """Turn-aways are no uses. Cost: one pass over the roll-up of the months."""
        first, end = self._get_period(months)
        return self._sum_up(
            SQL(
                """
                SELECT CASE WHEN GROUPING(service.indicator) = 0
                            THEN service.indicator ELSE 'uses' END AS measure,
                       CASE WHEN GROUPING(service.category) = 0
                            THEN service.category ELSE '' END AS category,
                       usage.branch_id, usage.month,
                       CASE WHEN GROUPING(service.indicator) = 0
                            THEN sum(usage.quantity)
                            ELSE sum(usage.quantity) FILTER (
                                WHERE service.indicator != 'turnaways'
                            )
                        END AS amount
                  FROM (
                        SELECT branch_id, month, service_id, sum(quantity) AS quantity
                          FROM library_service_usage_month
                         WHERE company_id = %s
                           AND month >= %s
                           AND month < %s
                      GROUP BY branch_id, month, service_id
                       ) usage
                  JOIN library_service service ON service.id = usage.service_id
              GROUP BY usage.branch_id, usage.month,
                       CUBE (service.indicator, service.category)
                """,
                company.id,
                first,
                end,
            )
        )

    @api.model
    def _query_cost(self, company, months):
        """Money of a period, spread over its days. What is spent for no branch in
        particular is part of the whole library's only."""
        first, end = self._get_period(months)
        return self._sum_up(
            SQL(
                """
                SELECT 'cost' AS measure,
                       CASE WHEN GROUPING(service_category) = 0
                            THEN service_category ELSE '' END AS category,
                       branch_id, month, sum(amount) AS amount
                  FROM (
                        SELECT coalesce(cost.branch_id, -1) AS branch_id,
                               cost.service_category, month::date AS month,
                               cost.company_amount * (
                                   least(
                                       cost.date_to,
                                       (month + interval '1 month')::date - 1
                                   ) - greatest(cost.date_from, month::date) + 1
                               ) / (cost.date_to - cost.date_from + 1) AS amount
                          FROM library_cost cost
                          JOIN generate_series(
                                   %(first)s::timestamp,
                                   %(end)s::timestamp - interval '1 day', '1 month'
                               ) month
                            ON month <= cost.date_to
                           AND month + interval '1 month' > cost.date_from
                         WHERE cost.company_id = %(company)s
                       ) spread
              GROUP BY branch_id, month, GROUPING SETS ((service_category), ())
                """,
                first=first,
                end=end,
                company=company.id,
            )
        )

    @api.model
    def _query_population(self, company, months):
        """The last figure that was known in the year of the month; of a branch without
        one what the branch says, of a library without one the sum of its branches.
        Nobody to be served: no figure."""

        def known(branch):
            return SQL(
                """
                (
                    SELECT people.number
                      FROM library_population people
                     WHERE people.company_id = %s
                       AND people.branch_id %s
                       AND people.year <= date_part('year', span.month)
                  ORDER BY people.year DESC
                     LIMIT 1
                )
                """,
                company.id,
                branch,
            )

        return SQL(
            """
            WITH place AS (
                SELECT span.month, branch.id AS branch_id, branch.active,
                       coalesce(%(branch)s, branch.population) AS number
                  FROM span
                  JOIN library_branch branch ON branch.company_id = %(company)s
            ),
            people AS (
                SELECT month, branch_id, number FROM place
             UNION ALL
                SELECT span.month, 0,
                       coalesce(%(library)s, sum(place.number) FILTER (
                           WHERE place.active OR served.branch_id IS NOT NULL
                       ))
                  FROM span
                  JOIN place ON place.month = span.month
             LEFT JOIN served ON served.month = place.month
                   AND served.branch_id = place.branch_id
              GROUP BY span.month
            )
            SELECT 'population', '', branch_id, month, number::float8, number::float8
              FROM people
             WHERE number > 0
            """,
            branch=known(SQL("= branch.id")),
            library=known(SQL("IS NULL")),
            company=company.id,
        )

    @api.model
    def _query_places(self, company, months):
        """Places of programmes, and who came to those. Where nobody was counted, the
        count may be yet to come: it is a gap. Cost: one pass over the places."""
        first, end = self._get_period(months)
        return self._sum_up(
            SQL(
                """
                SELECT counted.measure, '' AS category, place.branch_id, place.month,
                       sum(counted.amount) AS amount
                  FROM library_service_place place,
                       LATERAL (
                        SELECT sum(usage.quantity) AS attendances
                          FROM library_service_usage_month usage
                         WHERE usage.company_id = place.company_id
                           AND usage.month = place.month
                           AND usage.branch_id = place.branch_id
                           AND usage.service_id = place.service_id
                        HAVING sum(usage.quantity) > 0
                       ) came,
                       LATERAL (VALUES
                           ('places', place.places),
                           ('attendances_placed', came.attendances)
                       ) counted (measure, amount)
                 WHERE place.company_id = %s
                   AND place.month >= %s
                   AND place.month < %s
              GROUP BY counted.measure, place.branch_id, place.month
                """,
                company.id,
                first,
                end,
            )
        )

    # ------------------------------------------------------------
    # PEOPLE
    # ------------------------------------------------------------

    @api.model
    def _query_users(self, company, months):
        """Patrons who used a service, of a branch those who used one there, each once.
        A patron came back who was not here in the twelve months before the period,
        and became a patron before these.

        The months in which somebody came are the bits of a number, the earliest one the
        lowest. So uses are read once, however many months are counted, and by all
        processors; the rest is asked of one row for each patron and branch.

        Cost: one pass over the uses of patrons in two years.
        """
        first, end = self._get_period(months)
        first -= relativedelta(years=1)
        days = [first + timedelta(days=day) for day in range((end - first).days)]
        return SQL(
            """
            WITH present AS MATERIALIZED (
                SELECT patron_id, branch_id,
                       bit_or((%(bits)s::bigint[])[date - %(first)s + 1]) AS months
                  FROM library_service_usage
                 WHERE branch_id = ANY(%(branches)s)
                   AND patron_id IS NOT NULL
                   AND date >= %(first)s
                   AND date < %(end)s
              GROUP BY patron_id, branch_id
            ),
            person AS (
                SELECT patron_id, branch_id, months FROM present
             UNION ALL
                SELECT patron_id, 0, bit_or(months) FROM present GROUP BY patron_id
            ),
            counted AS (
                SELECT month, branch_id,
                       count(*) FILTER (WHERE now) AS active,
                       count(*) FILTER (WHERE now_year) AS active_year,
                       count(*) FILTER (WHERE before) AS before,
                       count(*) FILTER (WHERE before_year) AS before_year,
                       count(*) FILTER (WHERE now AND before) AS kept,
                       count(*) FILTER (WHERE now_year AND before_year) AS kept_year,
                       count(*) FILTER (
                           WHERE now AND NOT lately AND enrolled_on < a_year_ago
                       ) AS returned,
                       count(*) FILTER (
                           WHERE now_year AND NOT before_year
                             AND enrolled_on < two_years_ago
                       ) AS returned_year
                  FROM (
                        SELECT asked.*, person.branch_id, patron.enrolled_on,
                               (months >> place) & 1 != 0 AS now,
                               (months >> (place - 1)) & 1 != 0 AS before,
                               (months >> (place - 12)) & 4095 != 0 AS lately,
                               (months >> (place - 11)) & 4095 != 0 AS now_year,
                               (months >> (place - 23)) & 4095 != 0 AS before_year
                          FROM (VALUES %(asked)s) asked (
                               month, place, a_year_ago, two_years_ago
                               )
                          JOIN person ON (months >> (place - 23)) & 16777215 != 0
                          JOIN library_patron patron ON patron.id = person.patron_id
                       ) come
              GROUP BY month, branch_id
            )
            SELECT figure.measure, '', counted.branch_id, counted.month,
                   CASE WHEN figure.months <= span.known_months
                        THEN figure.amount END::float8,
                   CASE WHEN span.has_year
                         AND figure.year_months <= span.known_months
                        THEN figure.amount_year END::float8
              FROM counted
              JOIN span ON span.month = counted.month AND span.is_known,
                   LATERAL (VALUES
                       ('active_users', 1, active, 12, active_year),
                       ('users_before', 2, before, 24, before_year),
                       ('users_kept', 2, kept, 24, kept_year),
                       ('users_returned', 13, returned, 24, returned_year)
                   ) figure (measure, months, amount, year_months, amount_year)
            """,
            first=first,
            end=end,
            bits=[1 << months_between(first, day) for day in days],
            asked=SQL(", ").join(
                SQL(
                    "(%s::date, %s, %s::date, %s::date)",
                    month,
                    months_between(first, month),
                    month - relativedelta(years=1),
                    month - relativedelta(months=23),
                )
                for month in months
            ),
            branches=self.env["library.branch"]
            .with_context(active_test=False)
            .search([("company_id", "=", company.id)])
            .ids,
        )

    @api.model
    def _query_new_users(self, company, months):
        """Who became a patron, by home branch, also who has left since."""
        first, end = self._get_period(months)
        return self._sum_up(
            SQL(
                """
                SELECT 'users_new' AS measure, '' AS category,
                       coalesce(branch_id, -1) AS branch_id,
                       date_trunc('month', enrolled_on)::date AS month,
                       count(*) AS amount
                  FROM library_patron
                 WHERE company_id = %s
                   AND enrolled_on >= %s
                   AND enrolled_on < %s
              GROUP BY 3, 4
                """,
                company.id,
                first,
                end,
            )
        )

    @api.model
    def _query_memberships(self, company, months):
        """Memberships whose last day was in the month: those that were renewed, and
        those that ran out."""
        first, end = self._get_period(months)
        return self._sum_up(
            SQL(
                """
                SELECT measure, '' AS category, coalesce(branch_id, -1) AS branch_id,
                       date_trunc('month', ended)::date AS month, count(*) AS amount
                  FROM (
                        SELECT membership.branch_id, renewal.old_end AS ended,
                               TRUE AS renewed
                          FROM library_membership_renewal renewal
                          JOIN library_membership membership
                            ON membership.id = renewal.membership_id
                         WHERE membership.company_id = %(company)s
                     UNION ALL
                        SELECT branch_id, date_end, FALSE
                          FROM library_membership
                         WHERE company_id = %(company)s
                           AND state IN ('grace', 'expired')
                       ) ending,
                       LATERAL (VALUES
                           ('memberships_ended', TRUE),
                           ('memberships_renewed', renewed)
                       ) counted (measure, counts)
                 WHERE counts
                   AND ended >= %(first)s
                   AND ended < %(end)s
              GROUP BY 1, 3, 4
                """,
                first=first,
                end=end,
                company=company.id,
            )
        )

    @api.model
    def _query_requests(self, company, months):
        """Requests of people, by the month in which they came on the clock of the
        library; those that still wait in time are not counted yet."""
        first, end = self._get_period(months)
        return self._sum_up(
            SQL(
                """
                SELECT measure, '' AS category, coalesce(branch_id, -1) AS branch_id,
                       date_trunc(
                           'month', came AT TIME ZONE 'UTC' AT TIME ZONE %(tz)s
                       )::date AS month,
                       count(*) AS amount
                  FROM (
                        SELECT library_branch_id AS branch_id, create_date AS came,
                               coalesce(
                                   date_closed <= create_date + %(days)s, FALSE
                               ) AS in_time,
                               date_closed IS NULL AS is_open
                          FROM crm_lead
                         WHERE company_id = %(company)s
                           AND library_request_kind IS NOT NULL
                           AND library_request_kind NOT IN ('outreach', 'win_back')
                           -- Wherever the library is, and then its own clock tells.
                           AND create_date >= %(first)s::date - 1
                           AND create_date < %(end)s::date + 1
                       ) request,
                       LATERAL (VALUES
                           ('requests', TRUE), ('requests_in_time', in_time)
                       ) counted (measure, counts)
                 WHERE counts
                   AND NOT (is_open AND came + %(days)s > %(now)s)
              GROUP BY 1, 3, 4
                """,
                first=first,
                end=end,
                company=company.id,
                tz=company._get_library_tz(),
                days=timedelta(days=ANSWER_DAYS),
                now=fields.Datetime.now(),
            )
        )

    @api.model
    def _query_reached(self, company, months):
        """Patrons of today, and those of them who agreed to news by email."""
        purpose = self.env.ref(
            "library_crm.library_consent_purpose_news", raise_if_not_found=False
        )
        return SQL(
            """
            SELECT counted.measure, '', branch_id, span.month, counted.amount::float8,
                   counted.amount::float8
              FROM (SELECT max(month) AS month FROM span) span,
                   (
                    SELECT CASE WHEN GROUPING(branch_id) = 1 THEN 0
                                ELSE coalesce(branch_id, -1) END AS branch_id,
                           count(*) AS patrons, count(reachable.id) AS reached
                      FROM library_patron patron
                 LEFT JOIN %(reachable)s reachable (id) ON reachable.id = patron.id
                     WHERE patron.company_id = %(company)s
                       AND patron.active
                  GROUP BY GROUPING SETS ((branch_id), ())
                   ) patron,
                   LATERAL (VALUES
                       ('patrons', patrons), ('patrons_reached', reached)
                   ) counted (measure, amount)
            """,
            reachable=self.env["library.consent"]._query_reachable(
                purpose, "email", by_guardian=True
            ),
            company=company.id,
        )


def months_between(first, last):
    """How many months the second of two is after the first."""
    return (last.year - first.year) * 12 + last.month - first.month
