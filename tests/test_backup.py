"""What docs/OPERATIONS.md says about backup and restore is done, word by word."""

import hashlib
import os
import re
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from whole_database import ROOT, Place, copy, dev_odoo

from odoo.sql_db import connection_info_for
from odoo.tools import config

from devkit.postgres import cluster, postgres_programs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

RESTORED = "library_test_restored"
#: A patron with a file, one of whose words is not to be lost.
MAKE = """
patron = env["library.patron"].create({"name": "Zoë Backup", "card_number": "0099"})
env["ir.attachment"].create({
    "name": "letter.txt", "raw": b"Dear Zo\\xc3\\xab, " * 1000,
    "res_model": "library.patron", "res_id": patron.id})
env.cr.commit()
"""
#: The restored library works: it finds, reads and writes, and its jobs run.
USE = """
patron = env["library.patron"].search([("card_number", "=", "0099")])
assert patron.name == "Zoë Backup"
letter = env["ir.attachment"].search([("res_model", "=", patron._name),
                                      ("res_id", "=", patron.id)])
assert letter.raw == "Dear Zoë, ".encode() * 1000
env["library.service.usage"].create({
    "patron_id": patron.id, "branch_id": env["library.branch"].search([], limit=1).id,
    "service_id": env.ref("library_crm.library_service_visit").id})
assert patron.last_use_date
env["library.membership"]._cron_update_states()
env.cr.rollback()
"""


def get_box(name):
    """The commands of a box of the page."""
    page = (ROOT / "docs" / "OPERATIONS.md").read_text()
    [box] = re.findall(rf"```sh\n# {name}\n(.*?)```", page, re.DOTALL)
    return box


def run_box(name, **variables):
    programs = postgres_programs(cluster().home / "data")
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", get_box(name)],
        env={**os.environ, **variables, "PATH": f"{programs}:{os.environ['PATH']}"},
        check=True,
    )


def read(database):
    """All rows of all tables as a digest a table, and the sequences' numbers."""
    _name, address = connection_info_for(database)
    with closing(psycopg2.connect(**address)) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        found = {}
        for (table,) in cursor.fetchall():
            cursor.execute(
                "SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) "
                f'FROM "{table}" t'
            )
            found[table] = cursor.fetchone()
        cursor.execute("SELECT sequencename, last_value FROM pg_sequences")
        found.update(cursor.fetchall())
        return found


def find_missing_files(database):
    """Attachments whose file is not there, or is another."""
    rows = Place.of(database).ask(
        "SELECT store_fname, checksum FROM ir_attachment WHERE store_fname IS NOT NULL"
    )
    assert len(rows) > 10
    files = filestore(database)
    return [
        name
        for name, checksum in rows
        if not (files / name).exists()
        or hashlib.sha1((files / name).read_bytes()).hexdigest() != checksum
    ]


def filestore(database):
    return Path(config["data_dir"], "filestore", database)


def test_what_was_backed_up_is_restored_with_its_files():
    with copy("library_test_backup") as database, tempfile.TemporaryDirectory() as kept:
        dev_odoo("shell", "--no-http", "-d", database, script=MAKE)
        before = read(database)
        # Demo patrons, and more than a few tables of ours.
        assert before["library_patron"][0] > 10
        assert not find_missing_files(database)
        variables = {
            "DATABASE": database,
            "FILESTORE": str(filestore(database)),
            "BACKUP": kept,
            "RESTORED": RESTORED,
            "RESTORED_FILESTORE": str(filestore(RESTORED)),
        }
        run_box("backup", **variables)
        try:
            run_box("restore", **variables)
            assert read(RESTORED) == before
            assert not find_missing_files(RESTORED)
            said = dev_odoo("shell", "--no-http", "-d", RESTORED, script=USE)
            assert "Traceback" not in said
            # As the page says it, with the name that Odoo has here.
            words = get_box("try a copy").replace('"$RESTORED"', RESTORED).split()
            assert words[0] == "odoo"
            dev_odoo(*words[1:])
            running = "ir_cron cron JOIN library_job job ON job.cron_id = cron.id"
            assert not Place.of(RESTORED).count(f"{running} WHERE cron.active")
        finally:
            dev_odoo("db", "drop", RESTORED)
