"""Points that two desks take at once, a voucher that two desks scan at once, the last
thing in stock that two patrons take at once, points that two jobs post at once, and
points that a journey gives whose job is killed: what the ledger says in the end."""

import subprocess

import pytest
from killing import run_killed, run_undisturbed
from whole_database import ROOT, Place, copy, kill, wait

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
MAKE_REWARD = """
bag = env["library.loyalty.reward"].create({
    "name": "A bag", "program_id": program.id, "points": 40})
"""
SCAN = (
    MAKE_REWARD
    + """
voucher = bag._issue(card)
env.cr.commit()

def scan(env):
    env["library.loyalty.redemption"]._find_by_code(voucher.code)._redeem()

at_once(scan)
assert found == ["SerializationFailure", "UserError"], found
assert voucher.state == "redeemed", voucher.state
assert card.points == 60, card.points
"""
)
UNDO = (
    MAKE_REWARD
    + """
voucher = bag._issue(card)
env.cr.commit()

def undo(env):
    env["library.loyalty.redemption"].browse(voucher.id)._undo("Wrong patron")

at_once(undo)
assert found == ["SerializationFailure", "UserError"], found
assert card.points == 100, card.points
"""
)
LIMIT = (
    MAKE_REWARD
    + """
bag.patron_limit = 1
env.cr.commit()

def take(env):
    env["library.loyalty.reward"].browse(bag.id)._issue(
        env["loyalty.card"].browse(card.id))

at_once(take)
assert found == ["SerializationFailure", "UserError"], found
assert card.points == 60, card.points
assert len(card.library_patron_id.loyalty_redemption_ids) == 1
"""
)
LAST = (
    MAKE_REWARD
    + """
bag.write({"is_limited": True, "stock": 1})
others = [card]
for name in ("Bruno", "Chidi"):
    other = env["library.patron"].create(
        {"name": name, "company_id": library.id, "branch_id": branch.id})
    env["library.service.usage"].create({
        "patron_id": other.id, "branch_id": branch.id,
        "service_id": env.ref("library_crm.library_service_visit").id})
    others.append(program._library_join(other))
env.cr.commit()

def take(env):
    env["library.loyalty.reward"].browse(bag.id)._issue(
        env["loyalty.card"].browse(others.pop().id))

at_once(take)
assert found == ["SerializationFailure", "UserError"], found
assert bag.stock == 0, bag.stock
assert bag.redemption_count == 1, bag.redemption_count
"""
)
#: A guardian and a child; the guardian gives 80 of 100 points, twice at once.
MAKE_FAMILY = """
child = env["library.patron"].create({
    "name": "Noor", "company_id": library.id, "branch_id": branch.id,
    "guardian_id": patron.id})
child_card = program._library_join(child)
env.cr.commit()

def cards(env):
    return (env["loyalty.card"].browse(one.id) for one in (card, child_card))
"""
GIVE_AWAY = (
    MAKE_FAMILY
    + """
def give(env):
    giver, receiver = cards(env)
    giver._library_give(receiver, 80)

at_once(give)
assert found == ["SerializationFailure", "UserError"], found
assert (card.points, child_card.points) == (20, 80), (card.points, child_card.points)
"""
)
TAKE_BACK = (
    MAKE_FAMILY
    + """
giver, receiver = cards(env)
giver._library_give(receiver, 80)
line = receiver.history_ids[0]
env.cr.commit()

def undo(env):
    env["loyalty.history"].browse(line.id)._undo_move("Wrong child")

at_once(undo)
assert found == ["SerializationFailure", "UserError"], found
assert (card.points, child_card.points) == (100, 0), (card.points, child_card.points)
"""
)


@pytest.mark.parametrize(
    "script",
    [SPEND, RECKON, SCAN, UNDO, LIMIT, LAST, GIVE_AWAY, TAKE_BACK],
    ids=[
        "two desks",
        "two jobs",
        "one voucher at two desks",
        "undone at two desks",
        "one for each patron",
        "the last one",
        "given to a child twice",
        "taken back twice",
    ],
)
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


PATRONS = 450
#: A journey that gives 25 points to each of many who take part.
GIFTS = f"""
library = env["res.company"].create({{"name": "Fault Library"}})
env["library.journey"].search([]).action_close()
branch = env["library.branch"].create(
    {{"name": "Main", "code": "LMAIN", "company_id": library.id}})
patrons = env["library.patron"].create(
    [{{"name": f"Patron {{n}}", "company_id": library.id, "branch_id": branch.id}}
     for n in range({PATRONS})])
program = env["loyalty.program"].create(
    {{"name": "Thanks", "program_type": "library", "company_id": library.id}})
program._library_join(patrons)
journey = env["library.journey"].create({{
    "name": "Fault", "company_id": library.id,
    "purpose_id": env.ref("library_crm.library_consent_purpose_service").id}})
env["library.journey.step"].create({{
    "name": "Gift", "journey_id": journey.id, "kind": "points",
    "loyalty_program_id": program.id, "loyalty_points": 25}})
journey.action_start()
env.cr.commit()
"""
#: The job, with small batches so that there is something between them.
GIVE = """
type(env["library.journey.step"])._BATCH = 20
env["library.journey"]._cron_run()
env.cr.commit()
"""


def test_journey_that_is_killed_or_run_twice_at_once_gives_points_once():
    given = "loyalty_history WHERE library_kind = 'journey'"
    of_step = "JOIN library_journey_step s ON s.kind = 'points'"
    events = f"library_journey_event e {of_step} AND s.id = e.step_id"
    rich = "loyalty_card c JOIN loyalty_program p ON p.id = c.program_id"
    rich += " WHERE p.company_id = (SELECT max(id) FROM res_company) AND points = 25"
    with copy("library_loyalty_gifts") as database:
        at = Place.of(database)
        at.run(GIFTS)
        for lines in (1, 200):
            process = at.start(GIVE)
            wait(process, lambda lines=lines: at.count(given) >= lines)
            kill(process)
            assert at.count(given) == at.count(events) < PATRONS
        workers = [at.start(GIVE) for _worker in range(2)]
        for worker in workers:
            at.finish(worker)
        at.run(GIVE)
        assert at.count(given) == at.count(events) == at.count(rich) == PATRONS


#: A load of four visits of each of many who take part, whose points are to be posted.
LOADED = f"""
from odoo.tools import SQL
library = env["res.company"].create({{"name": "Fault Library"}})
env.cr.execute("TRUNCATE library_loyalty_due")
branch = env["library.branch"].create(
    {{"name": "Main", "code": "LMAIN", "company_id": library.id}})
patrons = env["library.patron"].create(
    [{{"name": f"Patron {{n}}", "ils_ref": f"{{n:03}}", "company_id": library.id,
       "branch_id": branch.id}} for n in range({PATRONS})])
visit = env.ref("library_crm.library_service_visit")
program = env["loyalty.program"].create(
    {{"name": "Thanks", "program_type": "library", "company_id": library.id}})
env["library.loyalty.rule"].create(
    {{"name": "A visit", "program_id": program.id, "points": 10,
      "service_ids": visit.ids}})
program._library_join(patrons)
challenge = env["library.challenge"].create({{
    "name": "Summer", "company_id": library.id, "goal_kind": "uses", "target": 3,
    "service_ids": visit.ids}})
challenge._enrol(patrons)
env["library.service.usage"].insert_rows(SQL(
    "SELECT patron.id, %s, %s, current_date - patron.id %% 2, 1, 'onsite', NULL::int, "
    "NULL::varchar FROM library_patron patron, generate_series(1, 4) "
    "WHERE patron.company_id = %s", visit.id, branch.id, library.id))
env.cr.commit()
"""
#: The job, with small batches so that there is something between them.
POST = """
type(env["library.loyalty.due"])._BATCH = 4
env["library.loyalty.due"]._cron_reckon()
env.cr.commit()
"""


def test_posting_that_is_killed_50_times_ends_as_an_undisturbed_one():
    def figures(at):
        """Of each patron: what they have, line by line, and how far they are."""
        return at.ask(
            """
            SELECT l.ils_ref, c.points, e.progress, e.finished_on, h.library_kind,
                   h.library_date, h.library_key, h.issued, h.used
              FROM loyalty_card c
              JOIN library_patron l ON l.id = c.library_patron_id
              JOIN library_challenge_entry e ON e.patron_id = l.id
         LEFT JOIN loyalty_history h ON h.card_id = c.id
             WHERE l.company_id = (SELECT max(id) FROM res_company)
          ORDER BY 1, 5, 6, 7
            """
        )

    with copy("library_loyalty_undisturbed") as database:
        at = Place.of(database)
        at.run(LOADED)
        before = figures(at)
        counts = run_undisturbed(at, POST)
        undisturbed = figures(at)
        assert {row[1] for row in before} == {0}
        # Whose visits were yesterday had not joined yet.
        assert {row[1] for row in undisturbed} == {0, 10}
        assert {bool(row[3]) for row in undisturbed} == {True, False}
        assert not at.count("library_loyalty_due")
    with copy("library_loyalty_killed") as database:
        at = Place.of(database)
        at.run(LOADED)
        run_killed(at, POST, counts)
        assert figures(at) == undisturbed
        assert not at.count("library_loyalty_due")
