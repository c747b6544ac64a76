"""What it costs to tell what the library is worth, against the bare SQL that could do
it.

5,000,000 uses (``LIBRARY_BENCH_USES``) of 200,000 patrons (``LIBRARY_BENCH_PATRONS``)
over five years in 20 branches, made with a fixed seed, with costs, the number of people
to be served, and renewals.

- ``snapshot_vs_sql``: the nightly count of all shipped indicators for all branches and
  the whole library, in a month of which nothing was told yet; against statements,
  written by hand below, that compute the numerators and denominators of the month and
  of its twelve months, hide nothing and write nothing.
- ``snapshot_night_vs_sql``: a whole night, which looks for months that are not the same
  any more and counts the three that are open; against three times these statements.

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

PATRONS = int(os.environ.get("LIBRARY_BENCH_PATRONS", 200_000))
USES = int(os.environ.get("LIBRARY_BENCH_USES", 5_000_000))
ROUNDS = 5
SEED = 19


def figures(env):
    """Yield (name, value)."""
    make_rows(env)
    yield from snapshot_figures(env)


def make_rows(env):
    make_uses(env, USES)
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
    env.cr.commit()


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


def snapshot_figures(env):
    Value = env["library.indicator.value"]
    company = env.company
    indicators = env["library.indicator"].search(Domain.TRUE)
    month = fields.Date.start_of(fields.Date.today(), "month") - relativedelta(months=1)
    since = env["library.service.usage"]._get_kept_since(company)
    params = {
        "company": company.id,
        "month": month,
        "end": month + relativedelta(months=1),
        "year": month - relativedelta(months=11),
        "before": month - relativedelta(months=23),
        "purpose": env.ref("library_crm.library_consent_purpose_news").id,
    }

    def forget():
        env.cr.execute("TRUNCATE library_indicator_value")
        env.cr.commit()

    def ask(times=1):
        for _time in range(times):
            for statement in BARE:
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


#: Uses by what they count for and by category, in the month and in the year.
USES_SQL = """
    SELECT usage.branch_id, service.indicator, service.category,
           sum(usage.quantity) FILTER (WHERE usage.month = %(month)s),
           sum(usage.quantity)
      FROM library_service_usage_month usage
      JOIN library_service service ON service.id = usage.service_id
     WHERE usage.company_id = %(company)s
       AND usage.month BETWEEN %(year)s AND %(month)s
  GROUP BY GROUPING SETS (
               (1, 2, 3), (1, 2), (1, 3), (1), (2, 3), (2), (3), ()
           )
"""
USERS_SQL = """
    SELECT person.branch_id, count(*) FILTER (WHERE now),
           count(*) FILTER (WHERE now_year),
           count(*) FILTER (WHERE before), count(*) FILTER (WHERE before_year),
           count(*) FILTER (WHERE now AND before),
           count(*) FILTER (WHERE now_year AND before_year),
           count(*) FILTER (
               WHERE now AND NOT lately
                 AND patron.enrolled_on < %(month)s - interval '1 year'),
           count(*) FILTER (
               WHERE now_year AND NOT before_year
                 AND patron.enrolled_on < %(before)s)
      FROM (
            SELECT usage.patron_id, usage.branch_id,
                   bool_or(usage.date >= %(month)s) AS now,
                   bool_or(usage.date >= %(year)s) AS now_year,
                   bool_or(usage.date < %(month)s
                       AND usage.date >= %(month)s - interval '1 month') AS before,
                   bool_or(usage.date < %(year)s) AS before_year,
                   bool_or(usage.date < %(month)s
                       AND usage.date >= %(month)s - interval '1 year') AS lately
              FROM library_service_usage usage
              JOIN library_branch branch ON branch.id = usage.branch_id
             WHERE branch.company_id = %(company)s
               AND usage.patron_id IS NOT NULL
               AND usage.date >= %(before)s
               AND usage.date < %(end)s
          GROUP BY usage.patron_id, GROUPING SETS ((usage.branch_id), ())
           ) person
      JOIN library_patron patron ON patron.id = person.patron_id
  GROUP BY 1
"""
COST_SQL = """
    SELECT branch_id, service_category,
           sum(company_amount * greatest(0, least(date_to, %(end)s - 1)
               - greatest(date_from, %(month)s) + 1) / (date_to - date_from + 1)),
           sum(company_amount * greatest(0, least(date_to, %(end)s - 1)
               - greatest(date_from, %(year)s) + 1) / (date_to - date_from + 1))
      FROM library_cost
     WHERE company_id = %(company)s
  GROUP BY GROUPING SETS ((1, 2), (1), (2), ())
"""
NEW_SQL = """
    SELECT branch_id, count(*) FILTER (WHERE enrolled_on >= %(month)s), count(*)
      FROM library_patron
     WHERE company_id = %(company)s
       AND enrolled_on >= %(year)s
       AND enrolled_on < %(end)s
  GROUP BY GROUPING SETS ((1), ())
"""
ENDED_SQL = """
    SELECT branch_id, count(*) FILTER (WHERE ended >= %(month)s), count(*),
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
  GROUP BY GROUPING SETS ((1), ())
"""
REQUESTS_SQL = """
    SELECT library_branch_id, count(*) FILTER (WHERE create_date >= %(month)s),
           count(*),
           count(*) FILTER (WHERE date_closed <= create_date + interval '5 days')
      FROM crm_lead
     WHERE company_id = %(company)s
       AND library_request_kind IS NOT NULL
       AND create_date >= %(year)s
       AND create_date < %(end)s
  GROUP BY GROUPING SETS ((1), ())
"""
REACHED_SQL = """
    SELECT patron.branch_id, count(*), count(agreed.patron_id)
      FROM library_patron patron
 LEFT JOIN (
            SELECT DISTINCT ON (patron_id) patron_id, state
              FROM library_consent
             WHERE purpose_id = %(purpose)s
               AND channel = 'email'
          ORDER BY patron_id, date DESC, id DESC
           ) agreed
        ON agreed.patron_id = patron.id
       AND agreed.state = 'given'
     WHERE patron.company_id = %(company)s
       AND patron.active
  GROUP BY GROUPING SETS ((1), ())
"""
BARE = (
    USES_SQL,
    USERS_SQL,
    COST_SQL,
    NEW_SQL,
    ENDED_SQL,
    REQUESTS_SQL,
    REACHED_SQL,
)
