"""Databases of their own for tests that commit, kill or uninstall."""

import subprocess
from contextlib import contextmanager
from pathlib import Path

import odoo.sql_db

ROOT = Path(__file__).parent.parent


def dev_odoo(*arguments: str) -> str:
    """Run `./dev odoo …`, expect it to succeed, and return what it wrote."""
    result = subprocess.run(
        [ROOT / "dev", "odoo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert not result.returncode, result.stdout[-20_000:]
    return result.stdout


@contextmanager
def copy(name: str):
    """A copy of the test database, for as long as it is needed."""
    dev_odoo("db", "duplicate", "--force", "library_test", name)
    try:
        yield name
    finally:
        odoo.sql_db.close_db(name)
        dev_odoo("db", "drop", name)
