"""A load that is killed, and what is found afterwards."""

import os
import signal
import subprocess
import time
from contextlib import closing

import pytest
from whole_database import ROOT, copy

import odoo.sql_db

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROWS = 30_000
#: A year's use of five patrons, with rows that are alike and rows that are refused.
MAKE = f"""
import base64
library = env["res.company"].create({{"name": "Fault Library"}})
env["library.branch"].create(
    {{"name": "Main", "code": "FMAIN", "company_id": library.id}})
env["library.patron"].create(
    [{{"name": f"Patron {{n}}", "ils_ref": str(n), "company_id": library.id}}
     for n in range(5)])
source = env["library.data.source"].create(
    {{"name": "Fault", "format": "koha_statistics", "company_id": library.id}})
rows = "".join(
    f"2025-{{n % 12 + 1:02}}-03 10:{{n // 7 % 60:02}}:{{n % 7:02}},FMAIN,"
    f"{{'issue' if n % 3 else 'renew'}},{{n % 6}}\\n"
    for n in range({ROWS}))
load = env["library.data.load"].create(
    {{"source_id": source.id, "file_name": "use.csv", "file": base64.b64encode(
        ("datetime,branch,type,borrowernumber\\n" + rows).encode())}})
load.state = "queued"
env.cr.commit()
"""
#: The job, with small parts so that there is something between them.
RUN = """
from odoo.addons.library_crm.loaders import UsageLoader
UsageLoader._PART = 1500
type(env["library.data.load"])._BATCH = 500
env["library.data.load"]._cron_run_pending()
env.cr.commit()
"""
FIGURES = """
    SELECT state, coalesce(rows_read, 0), coalesce(rows_new, 0), rows_changed,
           rows_unchanged, rows_ignored, rows_refused,
           (SELECT count(*) FROM library_data_refusal WHERE load_id = load.id),
           (SELECT count(*) FROM library_service_usage u WHERE u.source_id = s.id),
           (SELECT count(*) FROM library_service_usage_stage),
           (SELECT sum(quantity) FROM library_service_usage_month m
             WHERE m.company_id = s.company_id),
           (SELECT array_agg(last_use_date ORDER BY ils_ref) FROM library_patron p
             WHERE p.company_id = s.company_id)
      FROM library_data_load load
      JOIN library_data_source s ON s.id = load.source_id
     WHERE s.name = 'Fault'
"""


def shell(database):
    return subprocess.Popen(
        [ROOT / "dev", "odoo", "shell", "-d", database, "--no-http"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def run(database, script):
    process = shell(database)
    process.communicate(script)
    assert not process.returncode


def figures(database):
    with closing(odoo.sql_db.db_connect(database).cursor()) as cr:
        cr.execute(FIGURES)
        return cr.fetchone()


def kill_when(database, script, reached):
    """Kill the process as soon as the load has come to where ``reached`` is true."""
    process = shell(database)
    process.stdin.write(script)
    process.stdin.close()
    while not reached(*figures(database)[1:3]):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_killed_load_ends_with_the_figures_of_an_undisturbed_one():
    with copy("library_test_undisturbed") as database:
        run(database, MAKE)
        run(database, RUN)
        undisturbed = figures(database)
    assert undisturbed[:2] == ("done", ROWS)
    assert undisturbed[2] == undisturbed[8] == undisturbed[10] == ROWS * 5 // 6

    with copy("library_test_killed") as database:
        run(database, MAKE)
        for reached in (
            lambda read, new: read > 0,
            lambda read, new: read > ROWS // 2,
            lambda read, new: new > 0,
            lambda read, new: new > ROWS // 2,
        ):
            kill_when(database, RUN, reached)
            assert figures(database)[0] == "running"
        run(database, RUN)
        assert figures(database) == undisturbed
