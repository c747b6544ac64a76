"""How long it takes to open the director's dashboard, against the bare SQL that could
tell the same figures from the roll-up. A part of the bench ``value``.

What is asked is taken out of the dashboard that ships, as a browser asks it for the
last twelve months: each pivot, list and chart one call. The other side is a statement
for each, written by hand below, which reads the same roll-up and snapshots, with
neither rights nor labels. Each number of a statement has to be among those of its call.
"""

import json
import re
from decimal import Decimal
from itertools import accumulate
from time import perf_counter

from bench_engage import vacuum
from dateutil.relativedelta import relativedelta

from odoo import fields
from odoo.fields import Command, Domain
from odoo.tests import new_test_user
from odoo.tools import SQL

DASHBOARD = "library_crm.library_director_dashboard"


def make_reader(env):
    """The manager who opens the dashboard."""
    return new_test_user(
        env,
        "bench_manager",
        "library_crm.group_library_manager",
        context={"no_reset_password": True},
        company_id=env.company.id,
        company_ids=[Command.set(env.company.ids)],
    )


def make_targets(env, branches):
    """Targets of eight indicators, of the library and of each branch."""
    env["library.indicator.target"].create(
        [
            {
                "indicator_id": indicator.id,
                "company_id": env.company.id,
                "branch_id": branch and branch.id,
                "target": 10,
            }
            for indicator in env["library.indicator"].search([], limit=8)
            for branch in (False, *branches)
        ]
    )


def tell(env):
    """Count the snapshots of the last two years, which a dashboard may compare."""
    this_month = fields.Date.start_of(fields.Date.today(), "month")
    env["library.indicator.value"]._count_months(
        env.company,
        env["library.service.usage"]._get_kept_since(env.company),
        [this_month - relativedelta(months=ago) for ago in range(24, 0, -1)],
        env["library.indicator"].search(Domain.TRUE),
    )
    # All of it: PostgreSQL does not look at small tables by itself, and guesses.
    env.cr.execute("ANALYZE")
    env.cr.commit()
    vacuum(env, "library_indicator_value", "library_service_usage_month")


def assert_told(env, user, statements, params):
    """Each number that a statement finds is told by the call in its place; but not what
    different indicators or services, which have no first column then, make together.
    A list has the records that its statement finds."""
    calls = list(read_calls(env(user=user)))
    assert len(calls) == len(statements), (len(calls), len(statements))
    for call, statement in zip(calls, statements, strict=True):
        told = call()
        env.cr.execute(statement, params)
        found = [row for row in env.cr.fetchall() if row[0] is not None]
        assert found, statement
        if "records" in told:
            ids = [record["id"] for record in told["records"]]
            assert ids == [row[0] for row in found], (statement, ids, found)
        else:
            missing = set(numbers(found)) - set(numbers(told))
            assert not missing, (statement, sorted(missing)[:10])


def numbers(value):
    """All numbers in nested rows, rounded to where both ways may differ."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        yield float(f"{value:.4g}")
    elif isinstance(value, dict):
        yield from numbers(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from numbers(one)


# ------------------------------------------------------------
# WHAT A BROWSER ASKS
# ------------------------------------------------------------


def open_dashboard(env, user):
    """How long all calls take, one after the other."""
    calls = list(read_calls(env(user=user)))
    seconds = 0
    for call in calls:
        env.invalidate_all()
        started = perf_counter()
        call()
        seconds += perf_counter() - started
    env.cr.commit()
    return seconds


def read_calls(env):
    """The calls that opening the dashboard makes, from its file."""
    data = json.loads(env.ref(DASHBOARD).sudo().spreadsheet_data)
    for pivot in data["pivots"].values():
        rows, columns = ([dimension(one) for one in pivot[at]] for at in SIDES)
        yield partial_call(
            env[pivot["model"]].formatted_read_grouping_sets,
            [*pivot["domain"], *period(pivot["fieldMatching"])],
            [[*row, *column] for row in starts(rows) for column in starts(columns)],
            [measure["id"] for measure in pivot["measures"]] + ["__count"],
        )
    for number, asked in data["lists"].items():
        yield partial_call(
            env[asked["model"]].web_search_read,
            [*asked["domain"], *period(asked["fieldMatching"])],
            {name: SPEC.get(name, {}) for name in [*asked["columns"], "id"]},
            order=", ".join(
                f"{order['name']} {'asc' if order['asc'] else 'desc'}"
                for order in asked["orderBy"]
            ),
            limit=max(
                int(place)
                for sheet in data["sheets"]
                for cell in sheet["cells"].values()
                for place in re.findall(rf"ODOO\.LIST\({number},(\d+),", cell)
            ),
        )
    for figure in data["sheets"][0]["figures"]:
        chart = figure["data"]
        if chart["type"].startswith("odoo_"):
            measure = chart["metaData"]["measure"]
            model = env[chart["metaData"]["resModel"]]
            yield partial_call(
                model.with_context(
                    **chart["searchParams"]["context"]
                ).formatted_read_group,
                [*chart["searchParams"]["domain"], *period(chart["fieldMatching"])],
                chart["metaData"]["groupBy"],
                ["__count", f"{measure}:{model._fields[measure].aggregator}"],
            )


SIDES = ("rows", "columns")
SPEC = {
    "indicator_id": {"fields": {"display_name": {}}},
    "branch_id": {"fields": {"display_name": {}}},
}


def partial_call(method, *args, **options):
    return lambda: method(*args, **options)


def dimension(one):
    return ":".join(filter(None, (one["fieldName"], one.get("granularity"))))


def starts(names):
    """Nothing, the first, the first two, and so on."""
    return [[], *accumulate([name] for name in names)]


def period(matching):
    """The domain of the filter: the twelve months that are over, or those before."""
    if "period" not in matching:
        return []
    chain, offset = matching["period"]["chain"], matching["period"]["offset"]
    end = fields.Date.start_of(fields.Date.today(), "month")
    end += relativedelta(months=12 * offset)
    return [
        (chain, ">=", str(end - relativedelta(months=12))),
        (chain, "<=", str(end - relativedelta(days=1))),
    ]


# ------------------------------------------------------------
# THE SAME BY HAND
# ------------------------------------------------------------


def ask(env, statements, params):
    started = perf_counter()
    for statement in statements:
        env.cr.execute(statement, params)
        env.cr.fetchall()
    seconds = perf_counter() - started
    env.cr.commit()
    return seconds


def bare(env):
    """A statement for each pivot, list and chart, in their order, and its values."""
    end = fields.Date.start_of(fields.Date.today(), "month")
    params = {
        "company": env.company.id,
        "end": end,
        "since": end - relativedelta(months=12),
        "before": end - relativedelta(months=24),
        "codes": ["active_users", "market_penetration", "user_retention"],
        "shown": ["attendances", "loans", "visits"],
    }
    now, before = {"since": "since", "end": "end"}, {"since": "before", "end": "since"}
    library, branches = {"place": "IS NULL"}, {"place": "IS NOT NULL"}
    table = env["library.value.table"]
    prices, audience = (
        env.cr.mogrify(part.code, part.params).decode().replace("%", "%%")
        for part in (table._sql_prices(), table._sql_audience(SQL("category")))
    )
    return [
        *(
            FIGURES_SQL.format(key="month", ratios=BOTH, groups=MONTHS, **place, **when)
            for when in (now, before)
            for place in (library, branches)
        ),
        USES_SQL.format(groups=f"({BRANCH}), (1, {BRANCH}), (1), ()", **now),
        USES_SQL.format(groups="(1), ()", **before),
        VALUE_SQL.format(prices=prices, audience=audience),
        FIGURES_SQL.format(
            key="branch_id",
            ratios=OF_THE_YEAR,
            groups="(1, 2), (1), (2), ()",
            **branches,
            **now,
        ),
        TARGETS_SQL.format(**library),
        TARGETS_SQL.format(**branches),
        BRANCHES_SQL,
        CHART_SQL.format(column="month"),
        CHART_SQL.format(column="branch_id"),
    ], params


BRANCH = "usage.branch_id"
MONTHS = "(1, 2), (1), ()"
OF_THE_MONTH = "sum(figure.numerator) / nullif(sum(figure.denominator), 0)"
OF_THE_YEAR = "sum(figure.numerator_year) / nullif(sum(figure.denominator_year), 0)"
BOTH = f"{OF_THE_MONTH}, {OF_THE_YEAR}"
FIGURES_SQL = """
    SELECT indicator.code, figure.{key}, {ratios}
      FROM library_indicator_value figure
      JOIN library_indicator indicator ON indicator.id = figure.indicator_id
     WHERE figure.company_id = %(company)s
       AND figure.month >= %({since})s
       AND figure.month < %({end})s
       AND figure.branch_id {place}
       AND indicator.code = ANY(%(codes)s)
  GROUP BY GROUPING SETS ({groups})
"""
USES_SQL = """
    SELECT service.indicator, sum(usage.quantity)
      FROM library_service_usage_month usage
      JOIN library_service service ON service.id = usage.service_id
     WHERE usage.company_id = %(company)s
       AND usage.month >= %({since})s
       AND usage.month < %({end})s
       AND service.indicator = ANY(%(shown)s)
  GROUP BY GROUPING SETS ({groups})
"""
CHART_SQL = """
    SELECT usage.{column}, service.indicator, count(*), sum(usage.quantity)
      FROM library_service_usage_month usage
      JOIN library_service service ON service.id = usage.service_id
     WHERE usage.company_id = %(company)s
       AND usage.month >= %(since)s
       AND usage.month < %(end)s
       AND service.indicator = ANY(%(shown)s)
  GROUP BY 1, 2
  ORDER BY 1, 2
"""
#: The value and the cost of the year, by table of prices. The return is of what has
#: both: of months and branches in which something was spent, on the service or on all.
VALUE_SQL = """
    WITH spent AS MATERIALIZED (
        SELECT DISTINCT month::date, branch_id, service_id
          FROM library_cost
    CROSS JOIN generate_series(
                   %(since)s::date, %(end)s::date - 1, interval '1 month'
               ) month
         WHERE company_id = %(company)s
           AND date_from < month + interval '1 month'
           AND date_to >= month
    )
    SELECT used.table_id, used.value, spent.amount, 100 * used.compared / spent.amount
      FROM (
            SELECT price.table_id, sum(usage.quantity * price.price) AS value,
                   sum(usage.quantity * price.price) FILTER (WHERE usage.has_cost)
                       AS compared
              FROM (
                    SELECT service_id, audience, sum(quantity) AS quantity,
                           (month, branch_id, service_id) IN (
                               SELECT month, branch_id, service_id
                                 FROM spent
                                WHERE service_id IS NOT NULL
                           )
                        OR (month, branch_id) IN (
                               SELECT month, branch_id
                                 FROM spent
                                WHERE service_id IS NULL
                           ) AS has_cost
                      FROM (
                            SELECT figure.month, figure.branch_id, figure.service_id,
                                   {audience} AS audience,
                                   sum(figure.quantity) AS quantity
                              FROM library_service_usage_month figure
                         LEFT JOIN library_patron_category category
                                ON category.id = figure.patron_category_id
                             WHERE figure.company_id = %(company)s
                               AND figure.month >= %(since)s
                               AND figure.month < %(end)s
                          GROUP BY 1, 2, 3, 4
                           ) figure
                  GROUP BY 1, 2, 4
                   ) usage
              JOIN ({prices}) price
                ON price.service_id = usage.service_id
               AND price.audience IS NOT DISTINCT FROM usage.audience
          GROUP BY 1
           ) used,
           (
            SELECT sum(
                       company_amount * greatest(
                           0, least(date_to, %(end)s::date - 1)
                              - greatest(date_from, %(since)s::date) + 1
                       ) / (date_to - date_from + 1)
                   ) AS amount
              FROM library_cost
             WHERE company_id = %(company)s
           ) spent
"""
TARGETS_SQL = """
    SELECT figure.id, indicator.name, figure.month, figure.value_year,
           target.target, branch.name
      FROM library_indicator_value figure
      JOIN library_indicator indicator ON indicator.id = figure.indicator_id
 LEFT JOIN library_branch branch ON branch.id = figure.branch_id
 LEFT JOIN library_indicator_target target
        ON target.indicator_id = figure.indicator_id
       AND target.company_id = figure.company_id
       AND target.year = figure.year
       AND target.branch_id IS NOT DISTINCT FROM figure.branch_id
     WHERE figure.company_id = %(company)s
       AND figure.month >= %(since)s
       AND figure.month < %(end)s
       AND figure.branch_id {place}
       AND EXISTS (
               SELECT FROM library_indicator_target asked
                WHERE asked.indicator_id = figure.indicator_id
           )
  ORDER BY figure.month DESC, indicator.sequence, branch.name
     LIMIT 8
"""
BRANCHES_SQL = """
    SELECT id, name FROM library_branch WHERE company_id = %(company)s
  ORDER BY name LIMIT 20
"""
