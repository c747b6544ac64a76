"""What a load of a year's use costs, against the least that it can cost.

A ``statistics`` export of 1,000,000 rows (``LIBRARY_BENCH_ROWS``), made with a fixed
seed, of these patrons in 20 branches:

- ``usage_load_vs_copy``: from the file to rows that are stored, indexed and rolled up
  by month, as the job does it (cut out what may not be kept, read, stage, merge, commit
  as it goes); against a bare ``COPY`` of the very rows that came out of it into a table
  with the same columns, constraints, foreign keys and indexes.
- ``usage_same_vs_first``: the same file once more, which changes nothing.
- ``usage_speedup_over_odoo_import``: the time a row, against Odoo's own import
  (``load()``) of 2,000 of these rows into the same model, which is given what the file
  gives: the card, the branch and the service by name. ``…_by_id`` is the same with
  database ids, which nobody has who holds the file, and which spare it the look-ups.

And a Koha patron file of 100,000 rows (``LIBRARY_BENCH_PATRONS``), loaded for the first
time with contact, address and membership:

- ``patron_same_vs_first``, ``patron_one_percent_vs_first``: the same file once more,
  and again with one phone number in a hundred changed, against the first time.
- ``patron_speedup_over_odoo_import``: the time a row of a first load of as many into
  another library whose source keeps no memberships, against ``load()`` of the very same
  fields of 1,000 patrons, the median of three. ``…_with_memberships`` is the time a row
  of the first load above against the same ``load()``, which makes none.
- ``patron_same_memory_mb``: how far the process grew in the load of the same file.

``peak_memory_mb``: how far the process grew over its size before, in the one of the two
first loads in which it grew more.
"""

import csv
import os
import random
import tempfile
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter

from odoo.tools import SQL

ROWS = int(os.environ.get("LIBRARY_BENCH_ROWS", 1_000_000))
PATRONS = int(os.environ.get("LIBRARY_BENCH_PATRONS", 100_000))
BRANCHES = 20
IMPORTED = 2000
IMPORTED_PATRONS = 1000
SEED = 19
TYPES = ("issue",) * 5 + ("renew",) * 2 + ("return",) * 4 + ("localuse",)
COLUMNS = (
    *("patron_id", "service_id", "branch_id", "date", "quantity", "channel"),
    *("source_id", "external_ref", "patron_category_id", "age_band"),
)


def figures(env):
    """Yield (name, value)."""
    grown = []
    with tempfile.TemporaryDirectory() as folder:
        yield from patron_figures(env, Path(folder, "patrons.csv"), grown)
        yield from usage_figures(env, Path(folder, "statistics.csv"), grown)
    yield "peak_memory_mb", max(grown)


def patron_figures(env, path, grown):
    category = env["library.patron.category"].create({"name": "Bench", "code": "BENCH"})
    category.plan_id = env["library.membership.plan"].create({"name": "Bench"})
    env["library.branch"].create(
        [{"name": f"Branch {n}", "code": f"B{n:02}"} for n in range(BRANCHES)]
    )
    source = env["library.data.source"].create(
        {"name": "Bench patrons", "format": "koha_patrons"}
    )
    env.cr.commit()
    write_patrons(path)
    idle = reset_peak()
    first = timed(env, lambda: load(source, path, rows_new=PATRONS))
    grown.append(peak() - idle)
    yield "patron_rows_a_second", PATRONS / first
    analyze(env)
    idle = reset_peak()
    same = timed(env, lambda: load(source, path, rows_unchanged=PATRONS))
    yield "patron_same_vs_first", same / first
    yield "patron_same_memory_mb", peak() - idle
    write_patrons(path, changed=100)
    some = timed(env, lambda: load(source, path, rows_changed=PATRONS // 100))
    yield "patron_one_percent_vs_first", some / first
    imported = import_a_patron(env) * PATRONS
    bare = load_without_memberships(env, path)
    yield "patron_speedup_over_odoo_import", imported / bare
    yield "patron_speedup_over_odoo_import_with_memberships", imported / first


def analyze(env):
    for table in (
        *("res_partner", "library_patron", "library_membership"),
        "library_patron_row",
    ):
        env.cr.execute(SQL("ANALYZE %s", SQL.identifier(table)))


def load_without_memberships(env, path):
    """Seconds of a first load into another library."""
    company = env["res.company"].create({"name": "No memberships"})
    make_codes(env, company, "Another ")
    source = env["library.data.source"].create(
        {
            "name": "No memberships",
            "format": "koha_patrons",
            "company_id": company.id,
            "start_memberships": False,
        }
    )
    env.cr.commit()
    write_patrons(path, prefix=4)
    return timed(env, lambda: load(source, path, rows_new=PATRONS))


def make_codes(env, company, name):
    """The category and the branches of the file; ``load()`` finds them by their names,
    which are their codes where ``name`` is empty."""
    env["library.patron.category"].create(
        {"name": f"{name}BENCH", "code": "BENCH", "company_id": company.id}
    )
    env["library.branch"].create(
        [
            {"name": f"{name}B{n:02}", "code": f"B{n:02}", "company_id": company.id}
            for n in range(BRANCHES)
        ]
    )


def usage_figures(env, path, grown):
    source = env["library.data.source"].create(
        {"name": "Bench use", "format": "koha_statistics"}
    )
    env.cr.commit()
    write_statistics(path)
    idle = reset_peak()
    first = timed(env, lambda: load(source, path, rows_new=ROWS))
    grown.append(peak() - idle)
    yield "usage_rows_a_second", ROWS / first
    yield "usage_load_vs_copy", first / copy_rows(env, path.with_name("rows"))
    same = timed(env, lambda: load(source, path, rows_unchanged=ROWS))
    yield "usage_same_vs_first", same / first
    yield "usage_speedup_over_odoo_import", import_a_row(env, "") * ROWS / first
    yield (
        "usage_speedup_over_odoo_import_by_id",
        import_a_row(env, "/.id") * ROWS / first,
    )


def timed(env, work):
    env.invalidate_all()
    started = perf_counter()
    work()
    env.cr.commit()
    return perf_counter() - started


def load(source, path, **expected):
    found = source.load_file(str(path), commit=True)
    assert found.state == "done", found.message
    for name, count in expected.items():
        assert found[name] == count, found.read()


def patron_rows(changed=0, prefix=2):
    """The header of a patron file, and its rows, with a new phone in every
    ``changed``th. Cards begin with the prefix."""
    yield (
        "borrowernumber cardnumber surname firstname address city zipcode email phone "
        "dateofbirth branchcode categorycode dateenrolled dateexpiry"
    ).split()
    draw = random.Random(SEED)
    for number in range(1, PATRONS + 1):
        moved = 5 if changed and number % changed == 0 else 0
        yield [
            str(number),
            f"{prefix}{number * 7:013}",
            f"Bench {number}",
            draw.choice(("Ada", "Bo", "Cem", "Dina", "Eli", "Fay")),
            f"{draw.randint(1, 200)} Mill Lane",
            "Riverside",
            f"{draw.randint(1, 99999):05}",
            f"bench{number}@test.example.com",
            f"+1555{moved}{number:06}",
            f"{draw.randint(1930, 2020)}-0{draw.randint(1, 9)}-1{draw.randint(0, 9)}",
            f"B{draw.randrange(BRANCHES):02}",
            "BENCH",
            f"202{draw.randint(0, 3)}-03-01",
            f"209{draw.randint(0, 9)}-03-01",
        ]


def write_patrons(path, **how):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(patron_rows(**how))


def import_a_patron(env):
    """Seconds that Odoo's own import takes for a patron."""
    header = (
        "ils_ref card_number name street city zip email phone birth_date branch_id "
        "patron_category_id enrolled_on company_id/.id"
    ).split()
    company = env["res.company"].create({"name": "Import"})
    env.user.company_ids += company
    env = env(context={"allowed_company_ids": company.ids})
    make_codes(env, company, "")
    env.cr.commit()
    source, seconds = islice(patron_rows(prefix=3), 1, None), []
    for _round in range(3):
        rows = []
        for ref, card, surname, name, *rest, __ in islice(source, IMPORTED_PATRONS):
            rows.append([ref, card, f"{name} {surname}", *rest, str(company.id)])
        seconds.append(timed(env, partial(import_rows, env, header, rows)))
    return median(seconds) / IMPORTED_PATRONS


def import_rows(env, header, rows):
    result = env["library.patron"].load(header, rows)
    assert len(result["ids"] or ()) == len(rows), result["messages"]


def write_statistics(path):
    draw = random.Random(SEED)
    at = datetime(2023, 1, 2, 9)
    step = timedelta(days=730) / ROWS
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            "datetime branch value type other itemnumber itemtype location "
            "borrowernumber ccode categorycode interface".split()
        )
        for _number in range(ROWS):
            at += step * draw.expovariate(1)
            writer.writerow(
                [
                    at.strftime("%Y-%m-%d %H:%M:%S"),
                    f"B{draw.randrange(BRANCHES):02}",
                    "0.0",
                    draw.choice(TYPES),
                    "",
                    draw.randrange(1_000_000),
                    "BK",
                    "STACKS",
                    draw.randint(1, PATRONS),
                    "FIC",
                    "BENCH",
                    "intranet",
                ]
            )


def copy_rows(env, path):
    """Seconds of a bare COPY of the same rows into a table of the same make."""
    names = SQL(", ").join(map(SQL.identifier, COLUMNS))
    with path.open("wb") as file:
        copy = SQL("COPY (SELECT %s FROM library_service_usage) TO STDOUT", names)
        env.cr.copy_expert(copy.code, file)
    env.cr.execute("CREATE TABLE bench_copy (LIKE library_service_usage INCLUDING ALL)")
    env.cr.execute(
        """
        SELECT format('ALTER TABLE bench_copy ADD %s', pg_get_constraintdef(oid))
          FROM pg_constraint
         WHERE conrelid = 'library_service_usage'::regclass AND contype = 'f'
        """
    )
    for (statement,) in env.cr.fetchall():
        env.cr.execute(statement)
    env.cr.commit()

    def copy():
        with path.open("rb") as file:
            env.cr.copy_expert(SQL("COPY bench_copy (%s) FROM STDIN", names).code, file)

    seconds = timed(env, copy)
    env.cr.execute("SELECT count(*) FROM bench_copy")
    assert env.cr.fetchone() == (ROWS,)
    return seconds


def import_a_row(env, key):
    """Seconds that Odoo's own import takes for a row whose patron, service and branch
    are told by ``key``: "/.id" or "", the name."""
    source = env["library.data.source"].create(
        {"name": "Import", "format": "koha_statistics"}
    )
    told = {
        "": "patron.card_number, service.name->>'en_US', branch.name->>'en_US'",
        "/.id": "patron.id::text, service.id::text, branch.id::text",
    }
    env.cr.execute(
        SQL(
            """
            SELECT %s, usage.date::text, usage.quantity::text, usage.channel,
                   usage.external_ref, %s::text
              FROM library_service_usage usage
              JOIN library_patron patron ON patron.id = usage.patron_id
              JOIN library_service service ON service.id = usage.service_id
              JOIN library_branch branch ON branch.id = usage.branch_id
             WHERE usage.source_id = (SELECT min(source_id) FROM library_service_usage)
             LIMIT %s
            """,
            SQL(told[key]),
            source.id,
            IMPORTED,
        )
    )
    rows = env.cr.fetchall()
    header = [f"{name}{key}" for name in ("patron_id", "service_id", "branch_id")]
    header += ["date", "quantity", "channel", "external_ref", "source_id/.id"]

    def work():
        result = env["library.service.usage"].load(header, rows)
        assert len(result["ids"] or ()) == IMPORTED, result["messages"]

    return timed(env, work) / IMPORTED


def reset_peak():
    """Forget the largest size of the process so far; its size now, in megabytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak("VmRSS")


def peak(name="VmHWM"):
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024
