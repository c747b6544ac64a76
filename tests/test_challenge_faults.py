"""Two who log for one child at the same moment, and two of a class who do: what is
counted in the end."""

import subprocess

import pytest
from whole_database import ROOT, copy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

#: A class of two, each of whom may log 100 minutes a day, with a target of 150.
MAKE = """
from threading import Thread
from time import sleep
from psycopg2.errors import SerializationFailure
from odoo.exceptions import UserError

library = env["res.company"].create({"name": "Fault Library"})
branch = env["library.branch"].create(
    {"name": "Main", "code": "CMAIN", "company_id": library.id})
patrons = env["library.patron"].create([
    {"name": name, "company_id": library.id, "branch_id": branch.id}
    for name in ("Amal", "Noor")])
badge = env["library.badge"].create({"name": "Bookworm", "company_id": library.id})
challenge = env["library.challenge"].create({
    "name": "Summer", "company_id": library.id, "goal_kind": "minutes",
    "target": 150, "day_limit": 100, "is_team_goal": True, "badge_id": badge.id})
team = env["library.challenge.team"].create(
    {"name": "Class 4b", "challenge_id": challenge.id})
entries = challenge._enrol(patrons, team)
env.cr.commit()
found = []

def attempt(work, number):
    with env.registry.cursor() as cr:
        try:
            work(env(cr=cr), number)
            found.append("done")
        except (SerializationFailure, UserError) as error:
            found.append(type(error).__name__)
            cr.rollback()

def at_once(work):
    "One does it and has not committed yet; another begins; then the first commits."
    with env.registry.cursor() as cr:
        work(env(cr=cr), 0)
        other = Thread(target=attempt, args=(work, 1))
        other.start()
        sleep(2)
        assert other.is_alive(), "The second waits for the first"
        cr.commit()
    other.join()
    # Odoo tries again what failed because of somebody else.
    attempt(work, 1)
    env.cr.rollback()
    env.invalidate_all()
"""
ONE_CHILD = """
def log(env, number):
    env["library.challenge.log"].create({"entry_id": entries[0].id, "minutes": 60})

at_once(log)
assert found == ["SerializationFailure", "ValidationError"], found
assert entries[0].progress == 60, entries[0].progress
assert len(entries[0].log_ids) == 1
"""
ONE_CLASS = """
def log(env, number):
    env["library.challenge.log"].create(
        {"entry_id": entries[number].id, "minutes": 80})

at_once(log)
assert found == ["SerializationFailure", "done"], found
assert team.progress == 160, team.progress
assert team.finished_on and all(entries.mapped("finished_on"))
assert badge.award_count == 2, badge.award_count
"""


@pytest.mark.parametrize(
    "script", [ONE_CHILD, ONE_CLASS], ids=["for one child", "in one class"]
)
def test_two_who_log_at_once_are_counted_right(script):
    with copy("library_challenge_faults") as database:
        result = subprocess.run(
            [ROOT / "dev", "odoo", "shell", "--no-http", "-d", database],
            input=MAKE + script,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    assert not result.returncode and "Traceback" not in result.stdout, result.stdout
