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
    bench_patron.make_rows(env, PATRONS)
    branches = env["library.branch"].search(
        [("company_id", "=", env.company.id), ("name", "like", "Bench ")],
        limit=20,
        order="id",
    )
    branches.population = 25_000
    services = env["library.service"].search([("company_id", "=", False)], order="id")
    [(first,)] = env.execute_query(
        SQL("SELECT min(id) FROM library_patron WHERE ils_ref LIKE 'bench-%%'")
    )
    env.cr.execute("SELECT setseed(%s)", [SEED / 100])
    env.cr.execute(
        SQL(
            """
            INSERT INTO library_service_usage (
                   patron_id, service_id, branch_id, date, quantity, channel
                   )
            SELECT drawn.patron_id,
                   (%(services)s::int[])[
                       1 + floor(%(service_count)s * power(random(), 3))
                   ],
                   (%(branches)s::int[])[1 + drawn.patron_id %% %(branch_count)s],
                   current_date - floor(1825 * random())::int,
                   1, 'onsite'
              FROM (
                    SELECT %(first)s + floor(%(patrons)s * power(random(), 2))::int
                           AS patron_id
                      FROM generate_series(1, %(uses)s)
                   ) drawn
            """,
            services=services.ids,
            service_count=len(services),
            branches=branches.ids,
            branch_count=len(branches),
            first=first,
            patrons=PATRONS,
            uses=USES,
        )
    )
    env.cr.execute(
        env["library.service.usage"]._sql_roll_up(SQL("library_service_usage"), 1)
    )
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
            for branch in branches
            for service in (*services, None)
        ]
    )
    env.cr.commit()
    bench_engage.vacuum(
        env,
        "library_patron",
        "library_service_usage",
        "library_service_usage_month",
        "library_membership",
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
