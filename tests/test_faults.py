"""Loads that are killed, cut off, cancelled or meet each other, and what is found
afterwards: the figures of a load that nobody disturbed."""

import tempfile
from contextlib import closing, contextmanager

import psycopg2
import pytest
from killing import run_killed, run_undisturbed
from own_postgres import own_cluster
from whole_database import Place, copy, kill, wait

from odoo.sql_db import connection_info_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROWS = 30_000
PATRONS = 900
#: A year's use of five patrons, with rows that are alike and rows that are refused;
#: and patrons of whom the first have guardians who stand at the end of the file.
MAKE = f"""
import base64
library = env["res.company"].create({{"name": "Fault Library"}})
env["library.branch"].create(
    {{"name": "Main", "code": "FMAIN", "company_id": library.id}})
plan = env["library.membership.plan"].create(
    {{"name": "A year", "company_id": library.id}})
env["library.patron.category"].create(
    {{"name": "All", "code": "FALL", "plan_id": plan.id, "company_id": library.id}})
env["library.patron"].create(
    [{{"name": f"Patron {{n}}", "ils_ref": str(n), "company_id": library.id}}
     for n in range(5)])

def make(name, format, header, rows):
    source = env["library.data.source"].create(
        {{"name": name, "format": format, "company_id": library.id}})
    content = "".join(f"{{row}}\\n" for row in (header, *rows)).encode()
    env["library.data.load"].create(
        [{{"source_id": source.id, "file_name": f"{{number}}.csv",
           "file": base64.b64encode(content)}} for number in range(2)])

make("use", "koha_statistics", "datetime,branch,type,borrowernumber", (
    f"2025-{{n % 12 + 1:02}}-{{n % 7 + 1:02}} 10:{{n // 7 % 60:02}}:{{n % 7:02}},FMAIN,"
    f"{{'issue' if n % 3 else 'renew'}},{{n % 6}}"
    for n in range({ROWS})))
make("patrons", "koha_patrons",
    "borrowernumber,cardnumber,surname,branchcode,categorycode,dateexpiry,guarantorid",
    (f"{{n}},F{{n}},Patron {{n}},{{'FMAIN' if n % 50 else 'NOWHERE'}},FALL,2098-01-01,"
     f"{{{PATRONS} + 999 - n % 7 if n < 1030 else ''}}"
     for n in range(1000, 1000 + {PATRONS})))
env.cr.commit()
"""
#: The job, with small parts so that there is something between them.
RUN = """
from odoo.addons.library_crm.loaders import UsageLoader
UsageLoader._PART = 1
Load = env["library.data.load"]
Batch = {"koha_statistics": 500, "koha_patrons": 100, "counter": 100}
type(Load)._BATCH = property(lambda load: Batch[load.source_id.format])
Load._cron_run_pending()
env.cr.commit()
"""
#: The same with smaller parts still, for many kills.
RUN_KILLED = RUN.replace('"koha_patrons": 100', '"koha_patrons": 6')
REPORTS = 40
#: COUNTER reports, each a short load of another platform and twelve months, of which
#: every second one is corrected by a later load.
MAKE_REPORTS = f"""
import base64, json
library = env["res.company"].create({{"name": "Fault Library"}})
branch = env["library.branch"].create(
    {{"name": "Online", "code": "FONLINE", "company_id": library.id}})
source = env["library.data.source"].create(
    {{"name": "reports", "format": "counter", "company_id": library.id,
      "branch_id": branch.id}})

def report(platform, more):
    months = {{f"2025-{{month:02}}": platform + month + more for month in range(1, 13)}}
    return json.dumps({{
        "Report_Header": {{
            "Release": "5.1", "Report_ID": "PR", "Report_Filters": {{
                "Begin_Date": "2025-01-01", "End_Date": "2025-12-31"}}}},
        "Report_Items": [{{
            "Platform": f"Platform {{platform}}",
            "Attribute_Performance": [
                {{"Performance": {{"Total_Item_Requests": months}}}}]}}]}})

env["library.data.load"].create(
    [{{"source_id": source.id, "file_name": f"{{number}}.json", "state": "queued",
       "file": base64.b64encode(report(*given).encode())}}
     for number, given in enumerate(
        [(n, 0) for n in range({REPORTS})] + [(n, 5) for n in range(0, {REPORTS}, 2)])])
env.cr.commit()
"""
#: What comes of each kind of load.
FOUND = {
    "use": """
        (SELECT count(*) FROM library_service_usage u WHERE u.source_id = s.id),
        (SELECT count(*) FROM library_service_usage_stage),
        (SELECT sum(quantity) FROM library_service_usage_month m
          WHERE m.company_id = s.company_id),
        (SELECT array_agg(last_use_date ORDER BY ils_ref) FROM library_patron p
          WHERE p.company_id = s.company_id AND length(ils_ref) = 1)
    """,
    "patrons": """
        (SELECT count(*) FROM library_membership m
           JOIN library_patron p ON p.id = m.patron_id
          WHERE p.company_id = s.company_id),
        (SELECT array_agg((p.ils_ref, p.membership_state, g.ils_ref) ORDER BY p.ils_ref)
           FROM library_patron p LEFT JOIN library_patron g ON g.id = p.guardian_id
          WHERE p.company_id = s.company_id)::text
    """,
}
COUNTS = (
    *("rows_read", "rows_new", "rows_changed", "rows_unchanged", "rows_ignored"),
    "rows_refused",
)


class LoadPlace(Place):
    """With what came of the loads there."""

    def figures(self, kind, number=0):
        """State and counts of a load, and what came of it."""
        [found] = self.ask(
            f"""
            SELECT l.state, {", ".join(f"coalesce(l.{name}, 0)" for name in COUNTS)},
                   (SELECT count(*) FROM library_data_refusal WHERE load_id = l.id),
                   l.notes::text, {FOUND[kind]}
              FROM library_data_load l
              JOIN library_data_source s ON s.id = l.source_id
             WHERE s.name = '{kind}' AND l.file_name = '{number}.csv'
            """
        )
        return found

    def read(self, kind):
        return self.figures(kind)[1]

    def new(self, kind):
        return self.figures(kind)[2]

    def queue(self, kind, number=0):
        self.ask(
            f"""
            UPDATE library_data_load l SET state = 'queued'
              FROM library_data_source s
             WHERE s.id = l.source_id AND s.name = '{kind}'
               AND l.file_name = '{number}.csv'
            """
        )

    @contextmanager
    def held(self, statement):
        """Hold a lock, so that a load stops where it asks for it."""
        with closing(psycopg2.connect(**self.address)) as connection:
            connection.cursor().execute(statement)
            yield

    def is_held_up(self):
        [(count,)] = self.ask(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND datname = current_database()"
        )
        return count > 0


@contextmanager
def place(name, made_by=MAKE):
    with copy(name) as database:
        made = LoadPlace.of(database)
        made.run(made_by)
        yield made


@pytest.fixture(scope="module")
def undisturbed():
    found = {}
    with place("library_test_undisturbed") as at:
        for kind in FOUND:
            at.queue(kind)
            counts = run_undisturbed(at, RUN_KILLED)
            found[kind], found["counts", kind] = at.figures(kind), counts
    assert found["use"][:3] == ("done", ROWS, ROWS * 5 // 6)
    assert found["use"][9] == found["use"][11] == ROWS * 5 // 6
    assert found["patrons"][:3] == ("done", PATRONS, PATRONS * 49 // 50)
    return found


@pytest.mark.parametrize("kind", FOUND)
def test_load_that_is_killed_50_times_ends_as_an_undisturbed_one(kind, undisturbed):
    with place("library_test_killed") as at:
        at.queue(kind)
        run_killed(at, RUN_KILLED, undisturbed["counts", kind])
        assert at.figures(kind) == undisturbed[kind]


def test_loads_of_reports_killed_50_times_end_as_undisturbed_ones():
    def figures(at):
        """Of each load its counts, and what is counted of each platform and month."""
        counts = ", ".join(f"coalesce({name}, 0)" for name in COUNTS)
        loads = at.ask(
            f"SELECT file_name, state, {counts}, notes::text FROM library_data_load "
            "WHERE file_name LIKE '%.json' ORDER BY file_name"
        )
        branch = "(SELECT id FROM library_branch WHERE code = 'FONLINE')"
        return loads, *(
            at.ask(query)
            for query in (
                "SELECT date, quantity FROM library_service_usage "
                f"WHERE branch_id = {branch} ORDER BY 1, 2",
                "SELECT month, sum(quantity) FROM library_service_usage_month "
                f"WHERE branch_id = {branch} GROUP BY 1 ORDER BY 1",
                "SELECT report.platform, month, quantity "
                "FROM library_counter_report report "
                "JOIN library_data_source source ON source.id = source_id "
                "WHERE source.name = 'reports' ORDER BY 1, 2",
            )
        )

    with place("library_test_reports", MAKE_REPORTS) as at:
        counts = run_undisturbed(at, RUN_KILLED)
        undisturbed = figures(at)
    loads, uses, months, reports = undisturbed
    assert {load[1] for load in loads} == {"done"}
    assert len(uses) == len(reports) == REPORTS * 12
    assert sum(row[1] for row in months) == sum(row[1] for row in uses)
    with place("library_test_killed", MAKE_REPORTS) as at:
        run_killed(at, RUN_KILLED, counts)
        assert figures(at) == undisturbed


def test_load_of_patrons_killed_in_a_statement_ends_as_an_undisturbed_one(undisturbed):
    with place("library_test_killed") as at:
        at.queue("patrons")
        # Between two batches, or wherever it is just after one.
        process = at.start(RUN)
        wait(process, lambda: at.read("patrons") >= 200)
        kill(process)
        # In a batch, when its patrons are made and their memberships are not.
        process = at.start(RUN)
        with at.held("LOCK TABLE library_membership IN SHARE MODE"):
            wait(process, at.is_held_up)
            kill(process)
        assert 200 <= at.read("patrons") < PATRONS
        # At the end, when the first children are given their guardians.
        with at.held("SELECT FROM library_patron WHERE ils_ref = '1020' FOR UPDATE"):
            process = at.start(RUN)
            wait(process, at.is_held_up)
            kill(process)
        assert at.figures("patrons")[:2] == ("running", PATRONS)
        at.run(RUN)
        assert at.figures("patrons") == undisturbed["patrons"]


def test_crash_of_postgresql_costs_no_row_and_counts_none_twice(undisturbed):
    with own_cluster() as own, tempfile.TemporaryDirectory() as files:
        __, address = connection_info_for("library_test")
        own.fill("crashed", address)
        at = LoadPlace(
            {**own.address, "dbname": "crashed"},
            (
                *("-d", "crashed", f"--data-dir={files}"),
                *(f"--db_{key}={value}" for key, value in own.address.items()),
            ),
        )
        at.run(MAKE)
        at.queue("use")
        at.queue("patrons")
        for reached in (
            lambda: at.read("use") > ROWS // 2,
            lambda: at.new("use") > ROWS // 3,
            lambda: at.read("patrons") > PATRONS // 2,
        ):
            process = at.start(RUN)
            wait(process, reached)
            own.crash()
            assert process.wait(timeout=60)
            own.start()
        assert at.figures("patrons")[0] == "running"
        at.run(RUN)
        for kind in FOUND:
            assert at.figures(kind) == undisturbed[kind]


def test_second_load_of_a_source_waits_for_the_first_and_counts_right(undisturbed):
    with place("library_test_met") as at:
        at.queue("use", 0)
        at.queue("use", 1)
        with at.held("LOCK TABLE library_service_usage IN SHARE MODE"):
            first = at.start(RUN)
            wait(first, at.is_held_up)
            # Another worker finds nothing to do, and who would not wait is told to.
            at.run(
                RUN + "from odoo.exceptions import UserError\n"
                'load = Load.search([("state", "=", "queued")])\n'
                "try:\n"
                "    load._run(commit=True)\n"
                "except UserError as error:\n"
                '    assert "Wait until it is done" in str(error), error\n'
                "else:\n"
                '    raise AssertionError("it did not wait")\n'
            )
            assert at.figures("use", 1)[:2] == ("queued", 0)
        assert not first.wait()
        assert at.figures("use")[:9] == undisturbed["use"][:9]
        # The same file: nothing is new.
        again = at.figures("use", 1)
        assert again[:2] == ("done", ROWS)
        assert (again[2], again[4]) == (0, undisturbed["use"][2])
        assert again[9:] == undisturbed["use"][9:]


@pytest.mark.parametrize(
    "kind, table",
    [("use", "library_service_usage"), ("patrons", "library_membership")],
)
def test_cancelled_while_it_runs_it_stops_and_can_be_run_again(
    undisturbed, kind, table
):
    with place("library_test_cancelled") as at:
        at.queue(kind)
        job = at.start(RUN)
        wait(job, lambda: at.new(kind) > 0)
        with at.held(f"LOCK TABLE {table} IN SHARE MODE"):
            wait(job, at.is_held_up)
            kept = at.figures(kind)
            at.run(
                "load = env['library.data.load'].search([('state', '=', 'running')])\n"
                "load.action_cancel()\n"
                "env.cr.commit()\n"
            )
        said = at.finish(job)
        assert " ERROR " not in said, said[-5000:]
        assert kept[0] == "running" and 0 < kept[2] < undisturbed[kind][2]
        assert at.figures(kind) == ("cancelled", *kept[1:])
        at.queue(kind)
        at.run(RUN)
        again = at.figures(kind)
        assert again[0] == "done"
        assert again[4] == kept[2] and again[2] + again[4] == undisturbed[kind][2]
        assert again[9:] == undisturbed[kind][9:]
