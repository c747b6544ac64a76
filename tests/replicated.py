"""A copy of the database of the tests on a primary and a replica, servers of Odoo that
read from the replica, and what PostgreSQL wrote down that it was asked."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from own_postgres import own_replicated_cluster

from odoo.sql_db import connection_info_for
from odoo.tools import config

from devkit import serving

DATABASE = "replicated"
#: The name by which PostgreSQL tells the server from whoever else asks.
SERVER = "server of the test"


class Written(NamedTuple):
    """What a cluster of PostgreSQL was asked by the server, from its log."""

    path: Path

    def since(self, place):
        with self.path.open(errors="replace") as log:
            log.seek(place)
            lines = log.read().replace("\n\t", " ").splitlines()
        return [line for line in lines if line.startswith(f"{SERVER}: ")]

    def place(self):
        return self.path.stat().st_size


@contextmanager
def own_copy():
    """:return: primary and replica"""
    __, source = connection_info_for("library_test")
    with own_replicated_cluster(DATABASE, source) as clusters:
        yield clusters


@contextmanager
def serve_replicated(primary, replica, **options):
    """A server that reads from the replica.

    :return: its address
    """
    given = {
        **{"db_host": primary.address["host"], "db_port": primary.address["port"]},
        "db_replica_host": replica.address["host"],
        "db_replica_port": replica.address["port"],
        **{"db_user": primary.address["user"], "db_app_name": SERVER},
        **options,
    }
    with serving.serve(DATABASE, given, _link_filestore) as url:
        yield url


def _link_filestore(home):
    shutil.copytree(
        Path(config["data_dir"], "filestore", "library_test"),
        Path(home, "filestore", DATABASE),
        copy_function=os.link,
    )
