"""What it costs to tell what the library is worth, against the bare SQL that could do
it.

5,000,000 uses (``LIBRARY_BENCH_USES``) of 200,000 patrons (``LIBRARY_BENCH_PATRONS``)
over five years in 20 branches, made with a fixed seed, with costs, the number of people
to be served, and renewals.

- ``snapshot_vs_sql``: the nightly count of all shipped indicators for all branches and
  the whole library, in a month of which nothing was told yet; against statements,
  written by hand below, that compute the numerators and denominators of the month and
  of its twelve months, hide nothing and write nothing. Both have to find the same.
- ``snapshot_night_vs_sql``: a whole night, which looks for months that are not the same
  any more and counts the three that are open; against three times these statements.
- ``dashboard_vs_sql``: the time on the server of all that a browser asks when a manager
  opens the director's dashboard, against the statements of ``dashboard.py``.
- ``dashboard_5m_vs_500k``: the same with all uses, against a tenth of them.

Both sides alternate; a figure is the median of the one divided by the median of the
other.
"""

import os
import sys
from pathlib import Path
from statistics import median

from dateutil.relativedelta import relativedelta

from odoo import fields
from odoo.fields import Domain
from odoo.tools import SQL

sys.path.insert(0, str(Path(__file__).parent))
import bench_engage  # noqa: E402
import bench_patron  # noqa: E402
import dashboard  # noqa: E402

PATRONS = int(os.environ.get("LIBRARY_BENCH_PATRONS", 200_000))
USES = int(os.environ.get("LIBRARY_BENCH_USES", 5_000_000))
ROUNDS = 5
SEED = 19


def figures(env):
    """Yield (name, value)."""
    make_uses(env, USES // 10)
    make_costs(env)
    dashboard.make_targets(env, find_branches(env))
    reader = dashboard.make_reader(env)
    dashboard.tell(env)
    few = [dashboard.open_dashboard(env, reader) for _round in range(2 * ROUNDS)]
    make_uses(env, USES - USES // 10)
    make_records(env)
    dashboard.tell(env)
    yield from dashboard_figures(env, reader, median(few))
    yield from snapshot_figures(env)


def make_costs(env):
    services = env["library.service"].search([("company_id", "=", False)], order="id")
    env["library.cost"].create(
        [
            {
                "name": f"Bench {branch.name}",
                "branch_id": branch.id,
                "service_id": service.id if service else False,
                "date_from": fields.Date.today() - relativedelta(years=5),
                "date_to": fields.Date.today(),
                "amount": 100_000,
            }
            for branch in find_branches(env)
            for service in (*services, None)
        ]
    )


def make_records(env):
    """A membership for each patron, half of them renewed once, a word about news by
    email of most, which one in ten has taken back; and 20,000 requests."""
    plan = env["library.membership.plan"].create(
        {"name": "Bench", "company_id": env.company.id}
    )
    params = {
        "plan": plan.id,
        "purpose": env.ref("library_crm.library_consent_purpose_news").id,
        "branches": find_branches(env).ids,
        "company": env.company.id,
    }
    for statement in (
        """
        INSERT INTO library_membership (
               patron_id, plan_id, company_id, branch_id, patron_category_id,
               date_start, date_end, state
               )
        SELECT id, %(plan)s, company_id, branch_id, patron_category_id,
               date_end - 700, date_end,
               CASE WHEN date_end < current_date THEN 'expired' ELSE 'active' END
          FROM library_patron,
               LATERAL (SELECT current_date + 365 - (id * 7 % 1500)::int AS date_end) it
         WHERE ils_ref LIKE 'bench-%%'
        """,
        """
        INSERT INTO library_membership_renewal (
               membership_id, patron_id, company_id, date, old_end, new_end
               )
        SELECT id, patron_id, company_id, date_end - 370, date_end - 365, date_end
          FROM library_membership
         WHERE plan_id = %(plan)s
           AND id % 2 = 0
        """,
        """
        INSERT INTO library_consent (
               patron_id, company_id, purpose_id, channel, state, source, date
               )
        SELECT id, company_id, %(purpose)s, 'email', word, 'desk', came
          FROM library_patron,
               LATERAL (VALUES
                   ('given', timestamp '2020-01-01', 3),
                   ('withdrawn', timestamp '2021-01-01', 10)
               ) said (word, came, part)
         WHERE ils_ref LIKE 'bench-%%'
           AND id % part = 1
        """,
        """
        INSERT INTO crm_lead (
               name, type, active, company_id, library_branch_id,
               library_request_kind, create_date, date_closed
               )
        SELECT 'Bench', 'opportunity', TRUE, %(company)s,
               (%(branches)s::int[])[1 + number % 20],
               (ARRAY['consultation', 'reference', 'complaint', 'win_back'])[
                   1 + number % 4
               ],
               came, CASE WHEN number % 9 > 0
                          THEN came + number % 8 * interval '1 day' END
          FROM generate_series(1, 20000) number,
               LATERAL (SELECT now() AT TIME ZONE 'UTC' - number * interval '1 hour'
                            AS came) it
        """,
    ):
        env.cr.execute(statement.replace(" % ", " %% "), params)
    env.cr.commit()
    bench_engage.vacuum(
        env,
        *("library_membership", "library_membership_renewal", "library_consent"),
        "crm_lead",
    )


def make_uses(env, count):
    """Add uses of ``PATRONS`` patrons, over five years in 20 branches, and roll them
    up; commits. The patrons are made if they are not there.

    Uses carry the category and the band of age of their patron, as those of a load do,
    so the roll-up has the rows that it has in a library. To compare two sizes in one
    database, call it twice, the second time with what is missing::

        make_uses(env, 500_000)
        …  # measure with 500,000
        make_uses(env, 4_500_000)
        …  # measure with 5,000,000
    """
    [(last,)] = env.execute_query(
        SQL("SELECT coalesce(max(id), 0) FROM library_service_usage")
    )
    if not last:
        make_patrons(env)
    Usage = env["library.service.usage"]
    branches = find_branches(env)
    services = env["library.service"].search([("company_id", "=", False)], order="id")
    [(first,)] = env.execute_query(
        SQL("SELECT min(id) FROM library_patron WHERE ils_ref LIKE 'bench-%%'")
    )
    env.cr.execute("SELECT setseed(%s)", [(SEED + last % 7) / 100])
    # A power of a random number prefers the front: few use much, many little. One use
    # in ten is in another branch than that of the patron.
    env.cr.execute(
        SQL(
            """
            INSERT INTO library_service_usage (
                   patron_id, service_id, branch_id, date, quantity, channel,
                   patron_category_id, age_band
                   )
            SELECT patron.id, given.service_id,
                   CASE WHEN given.elsewhere < %(branch_count)s
                        THEN (%(branches)s::int[])[1 + given.elsewhere]
                        ELSE patron.branch_id END,
                   given.date, 1, 'onsite', patron.patron_category_id, %(age_band)s
              FROM (
                    SELECT %(first)s + floor(%(patrons)s * power(random(), 2))::int
                               AS patron_id,
                           (%(services)s::int[])[
                               1 + floor(%(service_count)s * power(random(), 3))
                           ] AS service_id,
                           floor(10 * %(branch_count)s * random())::int AS elsewhere,
                           current_date - floor(1825 * random())::int AS date
                      FROM generate_series(1, %(uses)s)
                   ) given
              JOIN library_patron patron ON patron.id = given.patron_id
            """,
            age_band=Usage._sql_age_band(),
            services=services.ids,
            service_count=len(services),
            branches=branches.ids,
            branch_count=len(branches),
            first=first,
            patrons=PATRONS,
            uses=count,
        )
    )
    rows = SQL("(SELECT * FROM library_service_usage WHERE id > %s)", last)
    env.cr.execute(Usage._sql_roll_up(rows, 1))
    env["library.service.usage.month"]._gc_differences()
    env.cr.commit()
    bench_engage.vacuum(
        env,
        "library_patron",
        "library_service_usage",
        "library_service_usage_month",
        "library_membership",
    )


def make_patrons(env):
    """Patrons of 20 branches, who are as old as those of their category are."""
    bench_patron.make_rows(env, PATRONS)
    find_branches(env).population = 25_000
    env.cr.execute(
        """
        UPDATE library_patron patron
           SET birth_year = date_part('year', current_date) - patron.id % 3
               - (ARRAY[30, 8, 3, 14, 20, 50, 70, 45])[category.place]
          FROM (
                SELECT id, row_number() OVER (ORDER BY name->>'en_US') AS place
                  FROM library_patron_category
                 WHERE code LIKE 'BENCH %'
               ) category
         WHERE category.id = patron.patron_category_id
        """
    )


def find_branches(env):
    """The 20 branches of the bench."""
    return env["library.branch"].search(
        [("company_id", "=", env.company.id), ("name", "like", "Bench ")],
        limit=20,
        order="id",
    )


def dashboard_figures(env, reader, few):
    """``few``: how long it takes with a tenth of the uses."""
    statements, params = dashboard.bare(env)
    dashboard.assert_told(env, reader, statements, params)
    ours, bare = [], []
    for _round in range(2 * ROUNDS):
        bare.append(dashboard.ask(env, statements, params))
        ours.append(dashboard.open_dashboard(env, reader))
    yield "dashboard_vs_sql", median(ours) / median(bare)
    yield "dashboard_seconds", median(ours)
    yield "dashboard_sql_seconds", median(bare)
    yield "dashboard_5m_vs_500k", median(ours) / few


def snapshot_figures(env):
    Value = env["library.indicator.value"]
    company = env.company
    indicators = env["library.indicator"].search(Domain.TRUE)
    month = fields.Date.start_of(fields.Date.today(), "month") - relativedelta(months=1)
    since = env["library.service.usage"]._get_kept_since(company)
    end = month + relativedelta(months=1)
    year = month - relativedelta(months=11)
    params = {
        "company": company.id,
        "branches": find_branches(env).ids,
        "purpose": env.ref("library_crm.library_consent_purpose_news").id,
        "month": month,
        "end": end,
        "year": year,
        "before": year - relativedelta(years=1),
        "month_before": month - relativedelta(months=1),
        "year_ago": month - relativedelta(years=1),
        # The library is in UTC.
        "month_at": month,
        "year_at": year,
        "end_at": end,
    }
    assert_same(read_ours(env, month, since), read_bare(env, params))

    def forget():
        env.cr.execute("TRUNCATE library_indicator_value")
        env.cr.commit()

    def ask(times=1):
        for _time in range(times):
            for _names, statement in BARE:
                env.cr.execute(statement, params)
                env.cr.fetchall()

    def count():
        Value._count_months(company, since, [month], indicators)

    ours, bare = [], []
    for _round in range(ROUNDS):
        forget()
        bare.append(bench_engage.timed(env, ask))
        ours.append(bench_engage.timed(env, count))
    yield "snapshot_vs_sql", median(ours) / median(bare)
    yield "snapshot_seconds", median(ours)
    yield "snapshot_sql_seconds", median(bare)
    Value._count(company)
    env.cr.commit()
    bench_engage.vacuum(env, "library_indicator_value")
    ours, bare = [], []
    for _round in range(3):
        bare.append(bench_engage.timed(env, lambda: ask(3)))
        ours.append(bench_engage.timed(env, lambda: Value._count(company)))
    yield "snapshot_night_vs_sql", median(ours) / median(bare)
    yield "snapshot_night_seconds", median(ours)


def read_bare(env, params):
    """What the statements below find: numbers of the month and of the year, by measure,
    category (empty: all) and branch (0: the whole library)."""
    found = {}
    for names, statement in BARE:
        env.cr.execute(statement, params)
        for branch, measure, category, *numbers in env.cr.fetchall():
            for place, name in enumerate(names or [measure or "uses"]):
                key = name, category or "", branch or 0
                found[key] = numbers[2 * place], numbers[2 * place + 1]
    return found


def read_ours(env, month, since):
    """The same as the indicators have it, before what is hidden and divided."""
    Value = env["library.indicator.value"]
    Measure = env["library.indicator.measure"]
    values = {"company": env.company.id, "months": [month], "since": since}
    queries = Measure._get_queries(env.company, set(Measure._get_labels()), [month])
    rows = env.execute_query(
        SQL(
            """
            WITH span AS MATERIALIZED (%s), served AS MATERIALIZED (%s)
            SELECT * FROM (%s) figure (measure, category, branch_id, month, one, many)
             WHERE branch_id != -1
            """,
            Value._query_span(values),
            Value._query_served(values),
            SQL(" UNION ALL ").join(SQL("(%s)", query) for query in queries),
        )
    )
    return {
        (measure, "none" if category is None else category, branch): (one, many)
        for measure, category, branch, _month, one, many in rows
    }


def assert_same(ours, bare):
    """Both found the same. A number of nobody may be told or left out."""

    def tell(found):
        return {
            (*key, place): round(float(number), 4)
            for key, numbers in found.items()
            for place, number in enumerate(numbers)
            if number
        }

    ours, bare = tell(ours), tell(bare)
    assert len(ours) > 1000, len(ours)
    differ = {
        key: (ours.get(key), bare.get(key))
        for key in ours.keys() | bare.keys()
        if ours.get(key) != bare.get(key)
    }
    assert not differ, (len(differ), sorted(differ.items(), key=str)[:10])


# ------------------------------------------------------------
# BY HAND
# ------------------------------------------------------------

USES_SQL = """
    SELECT branch_id, indicator, category,
           CASE WHEN GROUPING(indicator) = 0 THEN sum(month)
                ELSE sum(month) FILTER (WHERE indicator != 'turnaways') END,
           CASE WHEN GROUPING(indicator) = 0 THEN sum(year)
                ELSE sum(year) FILTER (WHERE indicator != 'turnaways') END
      FROM (
            SELECT branch_id, service_id,
                   sum(quantity) FILTER (WHERE month = %(month)s) AS month,
                   sum(quantity) AS year
              FROM library_service_usage_month
             WHERE company_id = %(company)s
               AND month BETWEEN %(year)s AND %(month)s
          GROUP BY branch_id, service_id
           ) usage
      JOIN library_service service ON service.id = usage.service_id
  GROUP BY CUBE (branch_id, indicator, category)
"""
COST_SQL = """
    SELECT branch_id, NULL,
           CASE WHEN GROUPING(service_category) = 0
                THEN coalesce(service_category, 'none') END,
           sum(company_amount * greatest(0, least(date_to, %(end)s - 1)
               - greatest(date_from, %(month)s) + 1) / (date_to - date_from + 1)),
           sum(company_amount * greatest(0, least(date_to, %(end)s - 1)
               - greatest(date_from, %(year)s) + 1) / (date_to - date_from + 1))
      FROM library_cost
     WHERE company_id = %(company)s
       AND date_from < %(end)s
       AND date_to >= %(year)s
  GROUP BY CUBE (branch_id, service_category)
"""
POPULATION_SQL = """
    SELECT id, NULL, NULL, sum(population), sum(population)
      FROM library_branch
     WHERE company_id = %(company)s
       AND active
  GROUP BY ROLLUP (id)
"""
#: Of each use: 1 in the month, 2 in the month before, 4 in the twelve months before, 8
#: in the year, 16 in the year before.
USERS_SQL = """
    WITH present AS MATERIALIZED (
        SELECT patron_id, branch_id,
               bit_or(CASE WHEN date >= %(month)s THEN 1 + 8
                           WHEN date >= %(month_before)s THEN 2 + 4 + 8
                           WHEN date >= %(year)s THEN 4 + 8
                           WHEN date >= %(year_ago)s THEN 4 + 16
                           ELSE 16 END) AS came
          FROM library_service_usage
         WHERE branch_id = ANY(%(branches)s)
           AND patron_id IS NOT NULL
           AND date >= %(before)s
           AND date < %(end)s
      GROUP BY patron_id, branch_id
    ),
    person AS (
        SELECT patron_id, branch_id, came FROM present
     UNION ALL
        SELECT patron_id, NULL, bit_or(came) FROM present GROUP BY patron_id
    )
    SELECT person.branch_id, NULL, NULL,
           count(*) FILTER (WHERE came & 1 > 0), count(*) FILTER (WHERE came & 8 > 0),
           count(*) FILTER (WHERE came & 2 > 0), count(*) FILTER (WHERE came & 16 > 0),
           count(*) FILTER (WHERE came & 3 = 3),
           count(*) FILTER (WHERE came & 24 = 24),
           count(*) FILTER (
               WHERE came & 5 = 1 AND patron.enrolled_on < %(year_ago)s),
           count(*) FILTER (
               WHERE came & 24 = 8 AND patron.enrolled_on < %(before)s)
      FROM person
      JOIN library_patron patron ON patron.id = person.patron_id
  GROUP BY 1
"""
NEW_SQL = """
    SELECT branch_id, NULL, NULL,
           count(*) FILTER (WHERE enrolled_on >= %(month)s), count(*)
      FROM library_patron
     WHERE company_id = %(company)s
       AND enrolled_on >= %(year)s
       AND enrolled_on < %(end)s
  GROUP BY ROLLUP (branch_id)
"""
ENDED_SQL = """
    SELECT branch_id, NULL, NULL,
           count(*) FILTER (WHERE ended >= %(month)s), count(*),
           count(*) FILTER (WHERE renewed AND ended >= %(month)s),
           count(*) FILTER (WHERE renewed)
      FROM (
            SELECT membership.branch_id, renewal.old_end AS ended, TRUE AS renewed
              FROM library_membership_renewal renewal
              JOIN library_membership membership
                ON membership.id = renewal.membership_id
             WHERE membership.company_id = %(company)s
         UNION ALL
            SELECT branch_id, date_end, FALSE
              FROM library_membership
             WHERE company_id = %(company)s
               AND state IN ('grace', 'expired')
           ) ending
     WHERE ended >= %(year)s
       AND ended < %(end)s
  GROUP BY ROLLUP (branch_id)
"""
REQUESTS_SQL = """
    SELECT library_branch_id, NULL, NULL,
           count(*) FILTER (WHERE create_date >= %(month_at)s), count(*),
           count(*) FILTER (WHERE in_time AND create_date >= %(month_at)s),
           count(*) FILTER (WHERE in_time)
      FROM (
            SELECT library_branch_id, create_date,
                   date_closed <= create_date + interval '5 days' AS in_time
              FROM crm_lead
             WHERE company_id = %(company)s
               AND library_request_kind NOT IN ('outreach', 'win_back')
               AND create_date >= %(year_at)s
               AND create_date < %(end_at)s
               AND (date_closed IS NOT NULL
                    OR create_date <= now() AT TIME ZONE 'UTC' - interval '5 days')
           ) request
  GROUP BY ROLLUP (library_branch_id)
"""
REACHED_SQL = """
    SELECT branch_id, NULL, NULL, count(*), count(*), count(agreed), count(agreed)
      FROM (
            SELECT patron.branch_id,
                   CASE WHEN agreed.state = 'given'
                         AND NOT (
                                 patron.birth_year
                                     >= date_part('year', current_date) - 16
                                 AND NOT EXISTS (
                                         SELECT
                                           FROM library_patron guardian
                                           JOIN res_partner contact
                                             ON contact.id = guardian.partner_id
                                          WHERE guardian.id = patron.guardian_id
                                            AND contact.email_normalized IS NOT NULL
                                     )
                             )
                        THEN 1 END AS agreed
              FROM library_patron patron
         LEFT JOIN (
                    SELECT DISTINCT ON (patron_id) patron_id, state
                      FROM library_consent
                     WHERE purpose_id = %(purpose)s
                       AND channel = 'email'
                  ORDER BY patron_id, date DESC, id DESC
                   ) agreed
                ON agreed.patron_id = patron.id
             WHERE patron.company_id = %(company)s
               AND patron.active
           ) patron
  GROUP BY ROLLUP (branch_id)
"""
#: Each statement gives branch, measure, service category, and a number of the month and
#: one of the year: of each measure that is named, or else of the one in the row.
BARE = (
    ((), USES_SQL),
    (("cost",), COST_SQL),
    (("population",), POPULATION_SQL),
    (("active_users", "users_before", "users_kept", "users_returned"), USERS_SQL),
    (("users_new",), NEW_SQL),
    (("memberships_ended", "memberships_renewed"), ENDED_SQL),
    (("requests", "requests_in_time"), REQUESTS_SQL),
    (("patrons", "patrons_reached"), REACHED_SQL),
)
