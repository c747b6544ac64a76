"""Databases of their own for tests that commit, kill or uninstall."""

import os
import signal
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2

import odoo.sql_db

ROOT = Path(__file__).parent.parent


def dev_odoo(*arguments: str, script: str = "") -> str:
    """Run `./dev odoo …`, expect it to succeed, and return what it wrote.

    :param script: what it reads, as `./dev odoo shell` does
    """
    result = subprocess.run(
        [ROOT / "dev", "odoo", *arguments],
        input=script,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert not result.returncode, result.stdout[-20_000:]
    return result.stdout


@contextmanager
def copy(name: str, source: str = "library_test"):
    """A copy of the test database or of another, for as long as it is needed."""
    dev_odoo("db", "duplicate", "--force", source, name)
    try:
        yield name
    finally:
        odoo.sql_db.close_db(name)
        dev_odoo("db", "drop", name)


class Place:
    """A database: how psycopg2 and how Odoo find it, and how its Odoo is run."""

    def __init__(self, address, options):
        self.address, self.options = address, options

    @classmethod
    def of(cls, database):
        __, address = odoo.sql_db.connection_info_for(database)
        return cls(address, ("-d", database))

    def ask(self, query):
        with closing(psycopg2.connect(**self.address)) as connection:
            cursor = connection.cursor()
            cursor.execute(query)
            connection.commit()
            return cursor.fetchall() if cursor.description else None

    def count(self, condition):
        [(count,)] = self.ask(f"SELECT count(*) FROM {condition}")
        return count

    def start(self, script):
        log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        process = subprocess.Popen(
            [ROOT / "dev", "odoo", "shell", "--no-http", *self.options],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        process.log = log
        process.stdin.write(script)
        process.stdin.close()
        return process

    def finish(self, process):
        """Wait for the process, expect it to succeed, and return what it wrote."""
        code = process.wait()
        process.log.seek(0)
        said = process.log.read()
        assert not code and "Traceback" not in said, said[-5000:]
        return said

    def run(self, script):
        self.finish(self.start(script))


def wait(process, reached):
    """Until the process, which goes on, has come so far."""
    while not reached():
        assert process.poll() is None, "it ended before it came there"
        time.sleep(0.02)


def kill(process):
    """The process and all that it started, at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
