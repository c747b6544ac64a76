"""How the daily work grows with the library: at two sizes, and the curve they give to
ten million patrons.

10,000 patrons and then 100,000 (``LIBRARY_BENCH_PATRONS``; the first is a tenth), each
with ten uses over five years, a membership and consents, in 20 branches.

Of each operation: ``…_ms_<patrons>`` at both sizes; ``…_exponent``, the power of the
number of patrons with which it grows between them (0: it stays, 1: as the patrons do);
``…_ms_10000000``, which carries this power on from the larger size. That is what the
two sizes say and no more: it holds as long as what is asked lies in memory.

- ``card``: finding a card as the desk does, ``patron_page``: opening the page, with the
  chart; ``contact`` and ``contact_page``, for comparison: finding a contact by its
  email in Odoo's search box, and opening it.
- ``roll_up``: counting a month of use and joining the cells that have several rows, as
  a load and the job of the night do.
- ``segment``: counting “at least five loans in a year, and a membership that runs”.
- ``bytes_a_patron_<table>``: on disk, with indexes (at the larger size), and
  ``gigabytes_<patrons>`` of all of them.

And whether it helps to part the table of uses by month, at the larger size. Two copies
of it with the same indexes and without foreign keys, one in parts; a figure below 1 is
in favour of parts:

- ``parted_delete_month_vs_whole``: deleting a month of use, which is dropping a part.
- ``parted_year_vs_whole``: who had five uses in a year, of all patrons.
- ``parted_page_vs_whole``: the uses of one patron in a year, as on the page.
- ``parted_patron_vs_whole``: all uses of one patron, as an erasure asks for them.
- ``parted_insert_vs_whole``: 50,000 rows of the last two months.
"""

import os
import random
import sys
from math import log
from pathlib import Path
from statistics import median
from time import perf_counter

from odoo.tools import SQL

sys.path.insert(0, str(Path(__file__).parent))
import bench_engage  # noqa: E402
import bench_load  # noqa: E402
import bench_patron  # noqa: E402

PATRONS = int(os.environ.get("LIBRARY_BENCH_PATRONS", 100_000))
USES_A_PATRON = 10
FAR = 10_000_000
ROUNDS = 60
TABLES = (
    *("res_partner", "library_patron", "library_membership", "library_consent"),
    *("library_service_usage", "library_service_usage_month"),
)
INDEXES = ("(id)", "(patron_id, date)", "(branch_id, date)", "(date DESC, id DESC)")


def figures(env):
    """Yield (name, value)."""
    small, large = {}, {}
    desk = None
    for patrons, found in ((PATRONS // 10, small), (PATRONS, large)):
        bench_load.make_rows(env, patrons, USES_A_PATRON * patrons)
        desk = desk or bench_patron.make_users(env)[0]
        bench_engage.vacuum(env, *TABLES)
        found.update(measure(env, desk))
        for name, value in found.items():
            yield f"{name}_ms_{patrons}", value
        if patrons == PATRONS:
            sizes = measure_tables(env)
            yield f"gigabytes_{patrons}", sum(sizes.values()) / 1e9
    for name, value in large.items():
        exponent = max(log(value / small[name], 10), 0)
        yield f"{name}_exponent", exponent
        yield f"{name}_ms_{FAR}", value * (FAR / PATRONS) ** exponent
    for table, size in sizes.items():
        yield f"bytes_a_patron_{table}", size / PATRONS
    yield f"gigabytes_{FAR}", sum(sizes.values()) / 1e9 * FAR / PATRONS
    yield from parts_figures(env)


# ------------------------------------------------------------
# OPERATIONS
# ------------------------------------------------------------


class Inside:
    """Asks as the web client does, without HTTP."""

    def __init__(self, env, user):
        self.context = {"lang": "en_US", "tz": "UTC", "bin_size": True}
        self.env = env(user=user.id, context=self.context)

    def call_kw(self, model, method, *args, context=None, **kwargs):
        records, method = self.env[model], getattr(type(self.env[model]), method)
        if method.__name__ in ("web_read", *bench_load.WIDGETS.values()):
            records, args = records.browse(args[0]), args[1:]
        return method(records, *args, **kwargs)


def measure(env, user):
    """:return: milliseconds, by what is done"""
    inside = Inside(env, user)
    chosen = random.Random(bench_load.SEED).sample(bench_load.choose(env), ROUNDS)
    lists = {
        model: bench_patron.specification(env[model], view, "list")
        for model, view in bench_load.LISTS.items()
    }
    forms = {
        model: bench_load.form_specification(inside, model, env.ref(view).id)
        for model, view in bench_load.FORMS.items()
    }

    def find(model, domain):
        found = inside.call_kw(
            *(model, "web_search_read", domain, lists[model]),
            limit=80,
            count_limit=bench_patron.COUNT_LIMIT,
        )
        assert found["length"], domain

    def open_page(model, number):
        wanted, widgets = forms[model]
        inside.call_kw(model, "web_read", [number], wanted)
        for method in widgets:
            inside.call_kw(model, method, [number])

    def find_card(row):
        find("library.patron", [("display_name", "ilike", row[2])])

    def find_contact(row):
        find("res.partner", bench_load.search_contact(row[3]))

    return {
        "card": each(env, find_card, chosen),
        "contact": each(env, find_contact, chosen),
        "patron_page": each(
            env, lambda row: open_page("library.patron", row[0]), chosen
        ),
        "contact_page": each(env, lambda row: open_page("res.partner", row[1]), chosen),
        "roll_up": roll_up(env),
        "segment": count_segment(env),
    }


def each(env, ask, rows):
    """Each with an empty cache; those of the first ten warm up."""
    times = []
    for row in rows[:10] + rows:
        env.invalidate_all()
        started = perf_counter()
        ask(row)
        times.append(perf_counter() - started)
    return 1000 * median(times[10:])


def roll_up(env):
    Usage = env["library.service.usage"]
    rows = SQL(
        """
        (SELECT * FROM library_service_usage
          WHERE date >= date_trunc('month', current_date) - interval '1 month'
            AND date < date_trunc('month', current_date))
        """
    )
    times = []
    for _round in range(3):
        started = perf_counter()
        env.cr.execute(Usage._sql_roll_up(rows, 1))
        env["library.service.usage.month"]._gc_differences()
        times.append(perf_counter() - started)
        env.cr.rollback()
        bench_engage.vacuum(env, "library_service_usage_month")
    return 1000 * median(times)


def count_segment(env):
    segment = env["library.segment"].create(
        {
            "name": "Bench",
            "domain": "[('membership_state', '=', 'active')]",
            "condition_ids": [
                (0, 0, {"rule": "at_least", "amount": 5, "service_category": "lending"})
            ],
        }
    )
    times = []
    for _round in range(5):
        env.invalidate_all()
        started = perf_counter()
        env["library.patron"].search_count([("segment_ids", "in", segment.ids)])
        times.append(perf_counter() - started)
    segment.unlink()
    return 1000 * median(times)


def measure_tables(env):
    return {
        table: env.execute_query(SQL("SELECT pg_total_relation_size(%s)", table))[0][0]
        for table in TABLES
    }


# ------------------------------------------------------------
# PARTS
# ------------------------------------------------------------


def parts_figures(env):
    make_copies(env)
    [(patron, oldest)] = env.execute_query(
        SQL(
            """
            SELECT min(patron_id), date_trunc('month', min(date) + 31)::date
              FROM library_service_usage
            """
        )
    )
    year = "date > current_date - 365"
    mine = f"patron_id = {patron}"
    for name, statement, rounds in (
        (
            "year",
            f"SELECT count(*) FROM (SELECT FROM {{}} WHERE {year} "
            "GROUP BY patron_id HAVING sum(quantity) >= 5) it",
            5,
        ),
        ("page", f"SELECT sum(quantity) FROM {{}} WHERE {mine} AND {year}", 200),
        ("patron", f"SELECT sum(quantity) FROM {{}} WHERE {mine}", 200),
        (
            "insert",
            "INSERT INTO {0} SELECT * FROM bench_whole "
            "WHERE date > current_date - 62 LIMIT 50000",
            5,
        ),
    ):
        whole, parted = [], []
        for _round in range(rounds):
            whole.append(run(env, statement.format("bench_whole")))
            parted.append(run(env, statement.format("bench_parted")))
        yield f"parted_{name}_vs_whole", median(parted) / median(whole)
        yield f"parted_{name}_ms", 1000 * median(parted)
    whole = run(
        env,
        f"DELETE FROM bench_whole WHERE date >= '{oldest}' "
        f"AND date < '{oldest}'::date + interval '1 month'",
    )
    parted = run(env, f"DROP TABLE bench_parted_{oldest:%Y%m}")
    yield "parted_delete_month_vs_whole", parted / whole
    yield "parted_delete_month_ms", 1000 * parted


def run(env, statement):
    """How long a statement takes; it is taken back."""
    started = perf_counter()
    env.cr.execute(statement)
    if env.cr.description:
        env.cr.fetchall()
    took = perf_counter() - started
    env.cr.rollback()
    return took


def make_copies(env):
    env.cr.execute("CREATE TABLE bench_whole (LIKE library_service_usage)")
    env.cr.execute(
        """
        CREATE TABLE bench_parted (LIKE library_service_usage)
        PARTITION BY RANGE (date)
        """
    )
    for month, following in env.execute_query(
        SQL(
            """
            SELECT month::date, (month + interval '1 month')::date
              FROM library_service_usage_month
          GROUP BY month
            """
        )
    ):
        env.cr.execute(
            f"CREATE TABLE bench_parted_{month:%Y%m} PARTITION OF bench_parted "
            f"FOR VALUES FROM ('{month}') TO ('{following}')"
        )
    for copy in ("bench_whole", "bench_parted"):
        env.cr.execute(f"INSERT INTO {copy} SELECT * FROM library_service_usage")
        for index in INDEXES:
            env.cr.execute(f"CREATE INDEX ON {copy} {index}")
    bench_engage.vacuum(env, "bench_whole", "bench_parted")
