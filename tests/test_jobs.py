"""The jobs, all of them: two processes at once do the work of one, and who is killed
lets go of them."""

import time
from contextlib import closing

import psycopg2
import pytest
from whole_database import Place, copy, kill, wait

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

#: The jobs of the library, in processes forked from this one.
OURS = """
import json, os, sys, time, traceback
import odoo.sql_db
from odoo.api import SUPERUSER_ID, Environment
from odoo.exceptions import UserError

env["library.job"]._add_missing()
env.cr.commit()
ids = env["library.job"].search([]).cron_id.ids
registry = env.registry

def fork(work, *arguments):
    child = os.fork()
    if not child:
        try:
            with registry.cursor() as cr:
                work(Environment(cr, SUPERUSER_ID, {}), *arguments)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return child

def alone():
    env.cr.rollback()
    odoo.sql_db.close_all()
"""
#: Every job is begun as by the button or by the server, and stops where it is held.
HELD = (
    OURS
    + """
def hold(cron, *arguments):
    cron.env.cr.execute("SELECT pg_advisory_xact_lock(1)")

def run(env, cron_id):
    env.registry["ir.cron"]._callback = hold
    env["ir.cron"].browse(cron_id).method_direct_trigger()

alone()
children = [fork(run, cron_id) for cron_id in ids]
for child in children:
    os.waitpid(child, 0)
"""
)
#: Another server and another button find each job taken, and nobody is said to be dead.
MEANWHILE = (
    OURS
    + """
crons = env["ir.cron"].browse(ids)
crons.env.cr.execute("UPDATE library_job SET alerted_for = NULL")
env.cr.commit()
for cron in crons:
    with registry.cursor() as cr:
        type(crons)._process_jobs_loop(cr, job_ids=cron.ids)
    try:
        cron.method_direct_trigger()
    except UserError as error:
        assert "already executing" in str(error), error
    else:
        raise AssertionError(f"{cron.name} ran twice")
    env.cr.rollback()
env["library.job"]._cron_look_after()
env.cr.commit()
runs = env["library.job.run"].search([])
assert runs.mapped("result") == ["running"] * len(ids), runs.mapped("result")
states = set(env["library.job"].search([]).mapped("state"))
assert states <= {"running", "undone"}, states
"""
)
#: After they were killed: that is seen, and each job goes on.
AFTERWARDS = (
    OURS
    + """
env["library.job"]._cron_look_after()
env.cr.commit()
runs = env["library.job.run"].search([])
assert runs.mapped("result") == ["killed"] * len(ids), runs.mapped("result")
asked = env["library.patron"].search([("email", "!=", False)], limit=3)
asked.preferences_asked_at = "2026-01-01"
env.cr.commit()
for cron_id in ids:
    with registry.cursor() as cr:
        cr.execute("UPDATE ir_cron SET nextcall = now() - interval '1 minute' "
                   "WHERE id = %s", [cron_id])
    with registry.cursor() as cr:
        registry["ir.cron"]._process_jobs_loop(cr, job_ids=[cron_id])
env.cr.rollback()
env.invalidate_all()
for job in env["library.job"].search([]):
    run = job.run_ids[0]
    assert run.result in ("done", "partly"), (job.name, run.result, run.failure)
    assert run.seconds >= 0 and run.ended_on
    assert job.state in ("ok", "undone"), (job.name, job.state, job.trouble)
    if job.cron_id == env.ref("library_crm.ir_cron_send_preferences_links"):
        assert (job.last_done, job.backlog) == (3, 0), (job.last_done, job.backlog)
"""
)
#: Each job as from a shell, which asks nobody, in so many processes at once. Odoo tries
#: again what failed because of somebody else.
AT_ONCE = (
    OURS
    + """
from psycopg2 import OperationalError

def run(env, cron_id, at):
    time.sleep(max(0, at - time.time()))
    action = env["ir.cron"].browse(cron_id).ir_actions_server_id
    for _attempt in range(5):
        try:
            action.run()
            env.cr.commit()
            return
        except OperationalError:
            env.cr.rollback()
            env.invalidate_all()
    raise AssertionError("never done")

env.cr.execute("DELETE FROM ir_cron_progress")
env.cr.commit()
alone()
for cron_id in ids:
    at = time.time() + 0.3
    children = [fork(run, cron_id, at) for _worker in range(WORKERS)]
    if any([os.waitpid(child, 0)[1] for child in children]):
        print("Traceback: see above, of job", cron_id, flush=True)
        os._exit(1)
os._exit(0)
"""
)
#: What says by itself how often somebody has looked.
NOT_COMPARED = ("bus_bus", "ir_cron_trigger", "ir_logging", "bus_presence")


def count_rows(at):
    tables = at.ask(
        "SELECT table_name FROM information_schema.tables "
        "WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    return {
        name: at.count(f'"{name}"') for (name,) in tables if name not in NOT_COMPARED
    }


def test_job_that_runs_is_run_by_nobody_else_and_goes_on_when_it_was_killed():
    with copy("library_test_jobs_held") as database:
        at = Place.of(database)
        at.run(OURS)
        [(jobs,)] = at.ask("SELECT count(*) FROM library_job")
        assert jobs >= 22
        # No server runs them on its own, and none of them waits for its time.
        at.ask("UPDATE ir_cron SET nextcall = now() - interval '1 minute'")
        with closing(psycopg2.connect(**at.address)) as holding:
            holding.cursor().execute("SELECT pg_advisory_lock(1)")
            held = at.start(HELD)
            waiting = "pg_locks WHERE locktype = 'advisory' AND NOT granted"
            wait(held, lambda: at.count(waiting) == jobs)
            at.run(MEANWHILE)
            kill(held)
            # PostgreSQL ends who waits in it when it is let go.
        wait_until_gone(at)
        at.run(AFTERWARDS)


def wait_until_gone(at):
    others = (
        "pg_stat_activity WHERE datname = current_database() "
        "AND pid != pg_backend_pid()"
    )
    while at.count(others):
        time.sleep(0.1)


def test_two_processes_at_once_do_the_work_of_one():
    found = []
    for workers in (1, 2):
        with copy("library_test_jobs_at_once") as database:
            at = Place.of(database)
            before = count_rows(at)
            at.run(f"WORKERS = {workers}\n{AT_ONCE}")
            found.append(count_rows(at))
    one, two = found
    assert one != before
    assert {
        name: (one[name], two[name]) for name in one if one[name] != two[name]
    } == {}
