"""A PostgreSQL cluster of a test's own, which it may crash."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from devkit.postgres import POSTGRES_SETTINGS, cluster, postgres_programs


class Cluster:
    """:ivar dict address: where it answers, for psycopg2"""

    def __init__(self, home: Path):
        self.home, self.data = home, home / "data"
        self.owner = cluster().owner
        self.address = {"host": str(home), "port": 5432, "user": "odoo"}
        self.programs = postgres_programs(self.data)
        if self.owner:
            os.chown(home, self.owner["user"], self.owner["group"])
        self._call("initdb", "-U", "odoo", "--auth=trust", "--locale=C.UTF-8")
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(POSTGRES_SETTINGS.format(socket=home))
            conf.write("shared_buffers = 64MB\n")

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

    def _call(self, program, *arguments):
        subprocess.run(
            [self.programs / program, "-D", self.data, *arguments],
            cwd="/",
            stdout=subprocess.DEVNULL,
            check=True,
            **self.owner,
        )


def _options(address):
    """An address of psycopg2 for the programs of PostgreSQL; a password comes from the
    environment."""
    names = {"host": "host", "port": "port", "user": "username", "database": "dbname"}
    return [f"--{names[key]}={address[key]}" for key in names if address.get(key)]


@contextmanager
def own_cluster():
    """A running cluster, for as long as it is needed."""
    home = Path(tempfile.mkdtemp(prefix="library-crm-"))
    own = Cluster(home)
    own.start()
    try:
        yield own
    finally:
        if (own.data / "postmaster.pid").exists():
            own.crash()
        shutil.rmtree(home)
