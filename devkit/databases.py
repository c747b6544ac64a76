"""The databases: what each is for, how it is made, and when it is made anew."""

import ast
import hashlib
import os
import re
import shutil
from pathlib import Path

from devkit.common import (
    CACHE,
    CHECKOUT,
    LOGS,
    ROOT,
    STATE,
    alone,
    fail,
    follow,
    need_space,
    replace,
    run,
    step,
)
from devkit.environment import environment, odoo_command
from devkit.postgres import Server, sql
from devkit.source import Source


def addons() -> list[str]:
    """The addons of this checkout."""
    return sorted(
        path.parent.name for path in ROOT.glob("library_crm*/__manifest__.py")
    )


def dependencies() -> list[str]:
    """What the addons depend on outside of this checkout."""
    ours, needed = addons(), set()
    for name in ours:
        # A manifest is a dictionary of literals, and Odoo reads it as such.
        text = (ROOT / name / "__manifest__.py").read_text()
        needed.update(ast.literal_eval(text).get("depends", []))
    return sorted(needed - set(ours)) or ["base"]


def fingerprint() -> str:
    """Changes when a file of the addons changes that shapes a database.

    Python, data, demo and manifests do; tests, scripts and styles are read from disk.
    """
    digest = hashlib.sha1()
    for name in addons():
        for path in sorted((ROOT / name).rglob("*")):
            inside = path.relative_to(ROOT / name).parts
            skip = inside[0] in ("tests", "readme") or inside[:2] == ("static", "src")
            if (
                skip
                or "__pycache__" in inside
                or path.suffix in (".md", ".rst", ".pot")
            ):
                continue
            if path.is_file():
                digest.update(f"{name}/{'/'.join(inside)}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class Databases:
    """The databases on a server, each with a stamp that says from what it was made.

    The stamp is the database's comment in PostgreSQL, so it goes where the database
    goes: "library-crm <checkout> <what it was made from>". While a database is being
    made the last word is "unfinished".
    """

    def __init__(self, server: Server, source: Source):
        self.server = server
        self.source = source

    def stamp(self, name: str) -> str | None:
        """What `name` was made from; None when there is no such database."""
        rows = sql(
            self.server,
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database "
            "WHERE datname = %s",
            name,
        )
        if not rows:
            return None
        mark, _, rest = (rows[0][0] or "").partition(f"library-crm {CHECKOUT} ")
        if "LIBRARY_POSTGRES" in os.environ and (mark or not rest):
            fail(
                f"the database {name} on {self.server.host} is not of this checkout: "
                f"rename it (ALTER DATABASE {name} RENAME TO …) or use another server"
            )
        return rest or "unfinished"

    def set_stamp(self, name: str, stamp: str) -> None:
        mark = f"library-crm {CHECKOUT} {stamp}"
        sql(self.server, f'COMMENT ON DATABASE "{name}" IS %s', mark)

    def drop(self, name: str) -> None:
        sql(
            self.server,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            name,
        )
        sql(self.server, f'DROP DATABASE IF EXISTS "{name}"')
        shutil.rmtree(filestore(name), ignore_errors=True)

    def create(self, name: str, template: str | None = None) -> None:
        """A new database, empty or a copy of another, still unfinished."""
        if self.stamp(name):
            self.drop(name)
        shutil.rmtree(filestore(name), ignore_errors=True)
        # Odoo's own choice: the order of bytes, whose indexes serve LIKE as well.
        like = f'"{template}"' if template else "template0 LC_COLLATE 'C'"
        sql(self.server, f'CREATE DATABASE "{name}" TEMPLATE {like}')
        self.set_stamp(name, "unfinished")
        if not template:
            sql(self.server, "CREATE EXTENSION IF NOT EXISTS pg_trgm", database=name)
        elif filestore(template).exists():
            # Files of a filestore are named after their content, never written again.
            shutil.copytree(filestore(template), filestore(name), copy_function=os.link)

    def odoo(self, what: str, name: str, *options: str) -> None:
        """Install or update modules, with the progress of Odoo's log."""

        def seen(line: str, count: int) -> None:
            if match := re.search(r"Loading module (\S+) \((\d+)/(\d+)\)", line):
                progress("module {1} of {2}, {0}".format(*match.groups()))

        command = odoo_command("-d", name, *options, "--stop-after-init", "--no-http")
        with step(what) as progress:
            follow(
                command,
                seen,
                environment(),
                LOGS / f"{name}.log",
                f"Odoo could not finish the database {name}",
            )

    def base(self) -> str:
        """A database with demo data of what the addons depend on, to copy from.

        It changes seldom; a copy takes a second, an installation two minutes. So it is
        kept in the cache as well, for the next checkout.
        """
        name, needed = "library_base", ",".join(dependencies())
        stamp = f"{needed} {self.source.version}"
        if self.stamp(name) == stamp:
            return name
        need_space(STATE, 800, "The databases")
        if "LIBRARY_POSTGRES" in os.environ:
            self.install_base(name, needed)
        else:
            release = sql(self.server, "SHOW server_version_num")[0][0]
            key = hashlib.sha1(f"{stamp} {release}".encode()).hexdigest()[:10]
            kept = CACHE / "databases" / f"{key}.zip"
            with alone(CACHE, CACHE / "holder"):
                if kept.exists():
                    self.drop(name)
                    with step("Loading the Odoo apps that the addons need"):
                        load = odoo_command("db", "load", name, str(kept))
                        run(load, env=environment())
                else:
                    self.install_base(name, needed)
                    making = replace(kept.parent) / kept.name
                    with step("Keeping a copy of them for the next checkout"):
                        dump = odoo_command("db", "dump", name, str(making))
                        run(dump, env=environment())
                    shutil.rmtree(kept.parent, ignore_errors=True)
                    making.parent.rename(kept.parent)
        self.set_stamp(name, stamp)
        return name

    def install_base(self, name: str, needed: str) -> None:
        self.create(name)
        what = "Installing the Odoo apps that the addons need, with demo data"
        self.odoo(what, name, "-i", needed, "--with-demo")

    def library(self) -> str:
        """The database to work with: kept, and updated when the addons changed."""
        name, current, ours = "library", fingerprint(), ",".join(addons())
        stamp = self.stamp(name)
        if stamp in (None, "unfinished"):
            self.create(name, self.base())
            self.odoo("Installing the addons", name, "-i", ours, "--with-demo")
        elif stamp != current:
            options = ("-i", ours, "-u", ours, "--with-demo")
            self.odoo("Updating the addons, which changed", name, *options)
        if stamp != current:
            self.set_stamp(name, current)
        return name

    def test(self) -> str:
        """The database that the tests copy: always installed afresh, never updated."""
        name = "library_test"
        stamp = f"{fingerprint()} {self.source.version}"
        if self.stamp(name) != stamp:
            self.create(name, self.base())
            ours = ",".join([*addons(), "test_lint"])
            self.odoo(
                "Installing the addons for tests", name, "-i", ours, "--with-demo"
            )
            self.set_stamp(name, stamp)
        return name

    def bench(self) -> str:
        """A database without demo data for the benchmarks to copy."""
        name = "library_bench"
        stamp = f"{fingerprint()} {self.source.version}"
        if self.stamp(name) != stamp:
            self.create(name)
            self.odoo(
                "Installing the addons without demo data",
                name,
                "-i",
                *[",".join(addons())],
            )
            self.set_stamp(name, stamp)
        return name


def filestore(database: str) -> Path:
    """Where Odoo keeps the files of a database."""
    return STATE / "data" / "filestore" / database
