"""What a load of a year's use costs, against the least that it can cost.

A ``statistics`` export of 1,000,000 rows (``LIBRARY_BENCH_ROWS``), made with a fixed
seed, of 100,000 patrons in 20 branches:

- ``usage_load_vs_copy``: from the file to rows that are stored, indexed and rolled up
  by month, as the job does it (cut out what may not be kept, read, stage, merge, commit
  as it goes); against a bare ``COPY`` of the very rows that came out of it into a table
  with the same columns, constraints, foreign keys and indexes.
- ``usage_same_vs_first``: the same file once more, which changes nothing.
- ``usage_speedup_over_odoo_import``: the time a row, against Odoo's own import
  (``load()``) of 2,000 of these rows into the same model, which is given what the file
  gives: the card, the branch and the service by name. ``…_by_id`` is the same with
  database ids, which nobody has who holds the file, and which spare it the look-ups.
- ``peak_memory_mb``: how far the process grew during the first load over its size
  before it.
"""

import csv
import os
import random
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

from odoo.tools import SQL

ROWS = int(os.environ.get("LIBRARY_BENCH_ROWS", 1_000_000))
PATRONS = 100_000
BRANCHES = 20
IMPORTED = 2000
SEED = 19
TYPES = ("issue",) * 5 + ("renew",) * 2 + ("return",) * 4 + ("localuse",)
COLUMNS = (
    *("patron_id", "service_id", "branch_id", "date", "quantity", "channel"),
    *("source_id", "external_ref", "patron_category_id", "age_band"),
)


def figures(env):
    """Yield (name, value)."""
    make_patrons(env)
    source = env["library.data.source"].create(
        {"name": "Bench", "format": "koha_statistics"}
    )
    env.cr.commit()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "statistics.csv")
        write_statistics(path)
        idle = reset_peak()
        first = timed(env, lambda: load(source, path, new=ROWS))
        yield "peak_memory_mb", peak() - idle
        yield "usage_rows_a_second", ROWS / first
        yield "usage_load_vs_copy", first / copy_rows(env, Path(folder, "rows"))
        yield (
            "usage_same_vs_first",
            timed(env, lambda: load(source, path, new=0)) / first,
        )
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


def load(source, path, new):
    found = source.load_file(str(path), commit=True)
    assert (found.state, found.rows_new) == ("done", new), found.read()


def make_patrons(env):
    """Patrons with a reference, in branches of ours; they stay between runs."""
    env["library.branch"].create(
        [{"name": f"Branch {n}", "code": f"B{n:02}"} for n in range(BRANCHES)]
    )
    category = env["library.patron.category"].create({"name": "Bench", "code": "BENCH"})
    model = env["library.patron"].create(
        {"name": "Bench 0", "patron_category_id": category.id, "birth_year": 1980}
    )
    env.flush_all()
    env.cr.execute(
        """
        WITH partner AS (
            INSERT INTO res_partner
            SELECT twin.*
              FROM res_partner AS model, generate_series(1, %s) AS number,
                   jsonb_populate_record(model, jsonb_build_object(
                       'id', nextval('res_partner_id_seq'),
                       'complete_name', 'Bench ' || number
                   )) AS twin
             WHERE model.id = %s
         RETURNING id, complete_name
        )
        INSERT INTO library_patron
        SELECT twin.*
          FROM library_patron AS model, partner,
               jsonb_populate_record(model, jsonb_build_object(
                   'id', nextval('library_patron_id_seq'),
                   'partner_id', partner.id,
                   'complete_name', partner.complete_name,
                   'ils_ref', split_part(partner.complete_name, ' ', 2),
                   'card_number', 'C' || split_part(partner.complete_name, ' ', 2),
                   'birth_year', 1930 + partner.id %% 90
               )) AS twin
         WHERE model.id = %s
        """,
        [PATRONS, model.partner_id.id, model.id],
    )
    env.cr.commit()
    for table in ("res_partner", "library_patron"):
        env.cr.execute(SQL("ANALYZE %s", SQL.identifier(table)))


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
