"""The set-up of `docs/scaling.md`: several workers, a replica that is read from, and a
limit to the connections; asked by many at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import pytest
from own_postgres import Cluster, Replica
from replicated import DATABASE, SERVER, Written, own_copy, serve_replicated
from requests import HTTPError

from devkit.serving import Client, Refused

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WORKERS = 3
#: What a process may have open to the primary, and as many again to the replica.
CONNECTIONS = 2
CLIENTS, ROUNDS = 24, 5
LIST = {"complete_name": {}, "card_number": {}, "expiry_date": {}}
OF_SERVER = f"""
    SELECT pid FROM pg_stat_activity
     WHERE application_name = '{SERVER}' AND datname = '{DATABASE}'
"""


class Site(NamedTuple):
    url: str
    primary: Cluster
    replica: Replica


@pytest.fixture(scope="module")
def copy():
    with own_copy() as clusters:
        yield clusters


@pytest.fixture
def site(copy):
    with serve_replicated(*copy, workers=WORKERS, db_maxconn=CONNECTIONS) as url:
        yield Site(url, *copy)


@contextmanager
def watched(cluster):
    """Look every few milliseconds who is connected.

    :return: sets of connections, one each time
    """
    seen, over = [], threading.Event()

    def look():
        while not over.is_set():
            seen.append({pid for (pid,) in cluster.ask(OF_SERVER)})
            time.sleep(0.02)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def log_in(site):
    client = Client(site.url)
    client.log_in(DATABASE, "desk", "desk")
    site.replica.catch_up()
    return client


def log_in_many(site):
    """Windows of one browser: a password takes half a second to check, on purpose."""
    first = log_in(site)
    clients = [Client(site.url) for _number in range(CLIENTS)]
    for client in clients:
        client.session.cookies.update(first.session.cookies)
    return clients


def all_at_once(clients, ask):
    """:return: what each was answered; an error is raised here"""
    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(ask, clients, range(len(clients))))


def find_patrons(client, _number):
    for _round in range(ROUNDS):
        found = client.call_kw("library.patron", "web_search_read", [], LIST, limit=80)
    return len(found["records"])


def log_visit(client, patron):
    client.call_kw("library.patron", "action_log_visit", [patron])


def test_reads_of_many_are_answered_by_several_workers_from_the_replica(site):
    clients = log_in_many(site)
    written = Written(site.primary.home / "log")
    place = written.place()
    with watched(site.replica) as seen:
        found = all_at_once(clients, find_patrons)
    assert set(found) == {80}
    assert written.since(place) == []
    assert len(set.union(*seen)) >= WORKERS


def test_connections_stay_under_the_limit_whoever_asks(site):
    clients = log_in_many(site)
    patrons = find_ids(site)

    def read_and_write(client, number):
        for _round in range(ROUNDS):
            find_patrons(client, number)
            log_visit(client, patrons[number])

    with watched(site.primary) as primary, watched(site.replica) as replica:
        all_at_once(clients, read_and_write)
    for seen in (primary, replica):
        assert 0 < max(map(len, seen)) <= WORKERS * CONNECTIONS


def test_writes_of_many_are_on_the_primary_at_once_and_on_the_replica_soon(site):
    clients = log_in_many(site)
    patrons = find_ids(site)
    count = "SELECT sum(quantity) FROM library_service_usage"
    [(before,)] = site.primary.ask(count, DATABASE)
    logs = Written(site.primary.home / "log"), Written(site.replica.home / "log")
    places = [log.place() for log in logs]
    all_at_once(clients, lambda client, number: log_visit(client, patrons[number]))
    assert site.primary.ask(count, DATABASE) == [(before + CLIENTS,)]
    asked = [
        [line for line in log.since(place) if "INSERT INTO" in line]
        for log, place in zip(logs, places, strict=True)
    ]
    assert any("library_service_usage" in line for line in asked[0])
    assert asked[1] == []
    site.replica.catch_up()
    assert site.replica.ask(count, DATABASE) == [(before + CLIENTS,)]


def test_without_workers_whoever_finds_all_connections_taken_gets_an_error(copy):
    """Why it is workers: a worker answers one at a time and needs no more connections,
    the others wait. Threads do not wait."""
    options = {"workers": 0, "db_maxconn": 1, "log-level": "critical"}
    with serve_replicated(*copy, **options) as url:
        client = log_in(Site(url, *copy))
        with pytest.raises((Refused, HTTPError)):
            all_at_once([client] * CLIENTS, find_patrons)


def test_when_the_replica_fails_each_worker_errs_once_and_reads_from_the_primary(site):
    clients = log_in_many(site)
    all_at_once(clients, find_patrons)
    site.replica.crash()
    failed = 0
    try:
        for _request in range(4 * WORKERS):
            try:
                assert find_patrons(clients[0], 0) == 80
            except (Refused, HTTPError):
                failed += 1
    finally:
        site.replica.start()
        site.replica.catch_up()
    assert failed <= WORKERS


def find_ids(site):
    """A patron for each client, whose page the desk may open."""
    found = log_in(site).call_kw("library.patron", "search", [], limit=CLIENTS)
    assert len(found) == CLIENTS
    return found
