"""Points that two desks take at once, and that two jobs post at once: what the ledger
says in the end."""

import subprocess

import pytest
from whole_database import ROOT, copy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

#: A patron with one visit, worth 100 points, that is not posted yet.
MAKE = """
from threading import Thread
from time import sleep
from psycopg2.errors import SerializationFailure
from odoo.exceptions import UserError

library = env["res.company"].create({"name": "Fault Library"})
branch = env["library.branch"].create(
    {"name": "Main", "code": "LMAIN", "company_id": library.id})
patron = env["library.patron"].create(
    {"name": "Amal", "company_id": library.id, "branch_id": branch.id})
program = env["loyalty.program"].create(
    {"name": "Thanks", "program_type": "library", "company_id": library.id})
rule = env["library.loyalty.rule"].create(
    {"name": "A visit", "program_id": program.id, "points": 100})
card = program._library_join(patron)
env["library.service.usage"].create({
    "patron_id": patron.id, "branch_id": branch.id,
    "service_id": env.ref("library_crm.library_service_visit").id})
env.cr.commit()
found = []

def attempt(work):
    with env.registry.cursor() as cr:
        try:
            work(env(cr=cr))
            found.append("done")
        except (SerializationFailure, UserError) as error:
            found.append(type(error).__name__)
            cr.rollback()

def at_once(work):
    "One does it and has not committed yet; another begins; then the first commits."
    with env.registry.cursor() as cr:
        work(env(cr=cr))
        other = Thread(target=attempt, args=(work,))
        other.start()
        sleep(2)
        assert other.is_alive(), "The second waits for the first"
        cr.commit()
    other.join()
    # Odoo tries again what failed because of somebody else.
    attempt(work)
    env.cr.rollback()
    env.invalidate_all()
    program._library_prove()
    assert not program.library_unbalanced
    env.cr.commit()
"""
SPEND = """
def spend(env):
    env["loyalty.card"]._library_post([{
        "card_id": card.id, "description": "A bag", "library_kind": "redeemed",
        "library_date": "2026-01-01", "points": -80}])

assert card.points == 100, card.points
at_once(spend)
assert found == ["SerializationFailure", "UserError"], found
assert card.points == 20, card.points
"""
RECKON = """
program.library_rule_ids.points = 7
env.cr.commit()

def reckon(env):
    env["loyalty.program"].browse(program.id)._library_reckon(SQL("TRUE"))

from odoo.tools import SQL
lines = len(card.history_ids)
at_once(reckon)
assert found == ["SerializationFailure", "done"], found
assert len(card.history_ids) == lines + 1, card.history_ids.mapped("library_kind")
assert card.points == 7, card.points
"""


@pytest.mark.parametrize("script", [SPEND, RECKON], ids=["two desks", "two jobs"])
def test_two_at_once_leave_a_ledger_that_balances(script):
    with copy("library_loyalty_faults") as database:
        result = subprocess.run(
            [ROOT / "dev", "odoo", "shell", "--no-http", "-d", database],
            input=MAKE + script,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    assert not result.returncode and "Traceback" not in result.stdout, result.stdout
