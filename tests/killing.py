"""A job that is killed again and again: at places that a seed draws, in processes of
its own, until it is let through.

Odoo is started once for all of them. Each attempt is a process forked from it, with its
own connection, that is ended by SIGKILL before or after one of its calls of the
database: a statement, a copy or a commit. PostgreSQL sees what it sees when the machine
of a worker dies.
"""

import json

KILLS = 50
SEED = 19

HARNESS = """
import json, os, random, signal, traceback
import odoo.sql_db
from odoo.api import SUPERUSER_ID, Environment
from odoo.sql_db import Cursor

registry = env.registry
env.cr.rollback()
odoo.sql_db.close_all()
reading, writing = os.pipe()


class Counted:
    "Counts the calls of the database, and dies at one of them."

    def __init__(self, parts=None, calls=None):
        # It dies at one of the calls after that many kept parts; or never.
        self.parts, self.calls = parts, calls
        self.seen_parts = self.seen_calls = 0

    def tick(self, is_part=False):
        self.seen_calls += 1
        self.seen_parts += is_part
        if self.parts is not None and self.seen_parts >= self.parts:
            self.calls -= 1
            if not self.calls:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, method, is_part=False):
        def call(*arguments, **named):
            self.tick()
            result = method(*arguments, **named)
            self.tick(is_part)
            return result
        return call


def attempt(*until):
    "Run the job in a process of its own; what it counted, or None if it was killed."
    child = os.fork()
    if not child:
        try:
            counted = Counted(*until)
            Cursor.execute = counted.around(Cursor.execute)
            Cursor.copy_expert = counted.around(
                lambda cr, *arguments: cr._obj.copy_expert(*arguments))
            Cursor.commit = counted.around(Cursor.commit, is_part=True)
            with registry.cursor() as cr:
                exec(JOB, {"env": Environment(cr, SUPERUSER_ID, {})})
            said = json.dumps([counted.seen_parts, counted.seen_calls])
            os.write(writing, said.encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    _child, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        return None
    assert not status, "The job failed, see above"
    return json.loads(os.read(reading, 100))


counts = PARTS
draw = random.Random(SEED)
for number in range(KILLS):
    # Three parts at the most are kept in an attempt, so there is work for all of them.
    parts = draw.randint(0, 3)
    calls = draw.randint(1, max(1, counts[1] // counts[0]))
    if attempt(parts, calls) is not None:
        print(f"Traceback: it came to its end after {number} kills", flush=True)
        os._exit(1)
print("COUNTED", json.dumps(attempt()), flush=True)
os._exit(0)
"""


def run_undisturbed(at, job: str) -> list[int]:
    """Run a job to its end.

    :param Place at: where
    :param str job: source of Python, with ``env``
    :return: in how many parts it kept its work, and its calls of the database
    """
    return _run(at, job, 0, [1, 1])


def run_killed(at, job: str, undisturbed: list[int]) -> None:
    """Kill a job 50 times, then let it come to its end.

    :param undisturbed: what ``run_undisturbed`` has counted on the same data
    """
    parts, _calls = undisturbed
    assert parts > 2 * KILLS, f"{parts} parts are too few for {KILLS} kills"
    _run(at, job, KILLS, undisturbed)


def _run(at, job, kills, counts):
    given = f"JOB, PARTS, KILLS, SEED = {job!r}, {counts!r}, {kills}, {SEED}\n"
    said = at.finish(at.start(given + HARNESS))
    [line] = [line for line in said.splitlines() if line.startswith("COUNTED ")]
    return json.loads(line.removeprefix("COUNTED "))
