"""A PostgreSQL cluster of a test's own, which it may crash, and a replica of it."""

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2

from devkit.postgres import POSTGRES_SETTINGS, cluster, postgres_programs

#: For a cluster that is read from a replica, and tells what each of the two was asked.
WATCHED = """
wal_level = replica
max_wal_senders = 4
log_statement = all
log_line_prefix = '%a: '
"""


class Cluster:
    """:ivar dict address: where it answers, for psycopg2"""

    def __init__(self, home: Path, settings=""):
        self.home, self.data, self.settings = home, home / "data", settings
        self.owner = cluster().owner
        self.address = {"host": str(home), "port": 5432, "user": "odoo"}
        self.programs = postgres_programs(self.data)
        if self.owner:
            os.chown(home, self.owner["user"], self.owner["group"])
        self._make()
        # What is said last counts.
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(POSTGRES_SETTINGS.format(socket=home))
            conf.write(f"shared_buffers = 64MB\n{settings}")

    def _make(self):
        self._call("initdb", "-U", "odoo", "--auth=trust", "--locale=C.UTF-8")

    def start(self):
        self._call("pg_ctl", "-w", "-l", self.home / "log", "start")

    def crash(self):
        """End it at once: what was not committed is gone, what was is recovered."""
        self._call("pg_ctl", "-w", "-m", "immediate", "stop")

    def fill(self, name: str, source: dict):
        """Copy a database of another server.

        :param source: its address, as psycopg2 takes it
        """
        dump = [self.programs / "pg_dump", "--no-owner", *_options(source)]
        subprocess.run(
            [self.programs / "createdb", *_options(self.address), name], check=True
        )
        with subprocess.Popen(dump, stdout=subprocess.PIPE) as dumping:
            subprocess.run(
                [self.programs / "psql", "-q", *_options(self.address), "-d", name],
                stdin=dumping.stdout,
                stdout=subprocess.DEVNULL,
                check=True,
            )
        assert not dumping.returncode

    def ask(self, query, database="postgres"):
        """:return: the rows of a query, each on its own connection"""
        address = {**self.address, "dbname": database}
        with closing(psycopg2.connect(**address)) as connection:
            cursor = connection.cursor()
            cursor.execute(query)
            connection.commit()
            return cursor.fetchall()

    def _call(self, program, *arguments):
        subprocess.run(
            [self.programs / program, "-D", self.data, *arguments],
            cwd="/",
            stdout=subprocess.DEVNULL,
            check=True,
            **self.owner,
        )


class Replica(Cluster):
    """A copy of another cluster that follows it and can only be read."""

    def __init__(self, home: Path, primary: Cluster):
        self.primary = primary
        super().__init__(home, primary.settings)

    def _make(self):
        source = ("-h", self.primary.home, "-U", "odoo")
        self._call("pg_basebackup", *source, "-R", "--checkpoint=fast", "--no-sync")

    def catch_up(self):
        """Wait until all that was committed is here as well."""
        [(reached,)] = self.primary.ask("SELECT pg_current_wal_insert_lsn()")
        is_there = f"SELECT pg_last_wal_replay_lsn() >= '{reached}'"
        while self.ask(is_there) != [(True,)]:
            time.sleep(0.05)


def _options(address):
    """An address of psycopg2 for the programs of PostgreSQL; a password comes from the
    environment."""
    names = {"host": "host", "port": "port", "user": "username", "database": "dbname"}
    return [f"--{names[key]}={address[key]}" for key in names if address.get(key)]


@contextmanager
def own_cluster():
    """A running cluster, for as long as it is needed."""
    with _running(Cluster) as own:
        yield own


@contextmanager
def own_replicated_cluster(name: str, source: dict):
    """A running cluster with a copy of a database in it, and a replica that follows.

    :param str name: of the copy
    :param dict source: the address of what is copied
    :return: both
    """
    with _running(Cluster, WATCHED) as primary:
        primary.fill(name, source)
        with _running(Replica, primary) as replica:
            yield primary, replica


@contextmanager
def _running(kind, *arguments):
    home = Path(tempfile.mkdtemp(prefix="library-crm-"))
    try:
        made = kind(home, *arguments)
        made.start()
        try:
            yield made
        finally:
            if (made.data / "postmaster.pid").exists():
                made.crash()
    finally:
        shutil.rmtree(home)
