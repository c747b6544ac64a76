"""Several tools send to one running server at once."""

import json
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests

import odoo.sql_db

from tests.whole_database import ROOT, copy

pytestmark = pytest.mark.slow

BATCHES = 12
ROWS = 150
SETUP = """
library = env["res.company"].create({"name": "Senders"})
branch = env["library.branch"].create(
    {"name": "Main", "code": "SMAIN", "company_id": library.id})
users = [
    env["res.users"].create({
        "name": name, "login": name, "company_id": library.id,
        "company_ids": [(6, 0, library.ids)],
        "group_ids": [(4, env.ref("library_crm.group_library_manager").id)]})
    for name in ("gate_a", "gate_b")]
source = env["library.data.source"].create({
    "name": "Senders", "format": "webhook", "company_id": library.id,
    "branch_id": branch.id})
for user in users:
    key = env["res.users.apikeys"].with_user(user).sudo()._generate(
        None, "test", datetime.datetime.now() + datetime.timedelta(days=1))
    print("KEY", source.id, key, flush=True)
env.cr.commit()
"""
OUTCOME = """
    SELECT count(*), sum(quantity),
           (SELECT sum(m.quantity) FROM library_service_usage_month m
             WHERE m.company_id = s.company_id),
           (SELECT count(*) FROM library_data_load l
             WHERE l.source_id = s.id AND l.state != 'done'),
           (SELECT sum(l.rows_new) FROM library_data_load l WHERE l.source_id = s.id)
      FROM library_service_usage u
      JOIN library_data_source s ON s.id = u.source_id
     WHERE s.name = 'Senders'
  GROUP BY s.id
"""


@contextmanager
def serve(database):
    """The address of a server with its jobs, for as long as it is needed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [ROOT / "dev", "odoo", "-d", database, "--db-filter", f"^{database}$"]
        + ["--http-port", str(port), "--max-cron-threads", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}/library_crm/v1"
    try:
        for _second in range(90):
            try:
                if requests.get(f"{address}/openapi.json", timeout=30).ok:
                    break
            except requests.ConnectionError:
                pass
            time.sleep(1)
        else:
            pytest.fail("the server does not answer")
        yield address
    finally:
        server.terminate()
        server.wait(60)


def make_keys(database):
    """The number of the source, and a key for each sender."""
    done = subprocess.run(
        [ROOT / "dev", "odoo", "shell", "-d", database, "--no-http"],
        input=f"import datetime\n{SETUP}",
        capture_output=True,
        text=True,
    )
    lines = [line.split() for line in done.stdout.splitlines() if "KEY " in line]
    assert len(lines) == 2, done.stdout + done.stderr
    return lines[0][-2], [line[-1] for line in lines]


def query(database, statement):
    with odoo.sql_db.db_connect(database).cursor() as cr:
        cr.execute(statement)
        return cr.fetchone()


def test_two_senders_at_once_and_replays_count_each_use_once():
    with copy("library_senders") as database:
        source, keys = make_keys(database)
        with serve(database) as address:

            def send(place):
                # Each batch is sent by both; one in three of its uses stands in the
                # next batch too.
                batch, key = place // 2, keys[place % 2]
                first = batch * ROWS * 2 // 3
                uses = [
                    {"key": f"use-{number}", "date": "2026-01-05", "service": "visit"}
                    for number in range(first, first + ROWS)
                ]
                answer = requests.post(
                    f"{address}/sources/{source}/uses",
                    data=json.dumps(uses),
                    headers={"Authorization": f"Bearer {key}"},
                    timeout=120,
                )
                return answer.status_code, answer.text

            with ThreadPoolExecutor(8) as senders:
                statuses = list(senders.map(send, range(BATCHES * 2)))
            assert not [text for status, text in statuses if status not in (200, 202)]
            sent = (BATCHES - 1) * ROWS * 2 // 3 + ROWS
            expected = (sent, sent, sent, 0, sent)
            for _second in range(120):
                outcome = query(database, OUTCOME)
                if outcome and not outcome[3]:
                    break
                time.sleep(1)
            assert outcome == expected
