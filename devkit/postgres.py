"""The PostgreSQL server: our own private cluster, or one that exists already."""

import json
import os
import pwd
import shutil
import subprocess
import tempfile
import urllib.parse
from pathlib import Path
from typing import NamedTuple

from devkit.common import (
    CHECKOUT,
    ROOT,
    STATE,
    fail,
    need_space,
    run,
    say,
    step,
)
from devkit.environment import PYTHON, environment
from devkit.system import postgres_folders

POSTGRES_SETTINGS = """
# A socket that only its owner can reach, and no TCP.
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0700
# Databases for development, made anew at any time: quick rather than safe. After a
# power cut they may be broken; `./dev clean` is the way out.
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = 1GB
autovacuum_naptime = 20s
shared_buffers = 512MB
work_mem = 16MB
maintenance_work_mem = 128MB
random_page_cost = 1.1
jit = off
max_connections = 200
"""


class Server(NamedTuple):
    """Where PostgreSQL answers. A host that is a path is a socket's folder."""

    host: str
    port: int
    user: str
    password: str

    def variables(self) -> dict[str, str]:
        """The same for the programs of PostgreSQL."""
        names = ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD")
        return {
            name: str(value) for name, value in zip(names, self, strict=True) if value
        }


def existing_postgres(url: str) -> Server:
    """The server that LIBRARY_POSTGRES names as postgresql://user:password@host:port."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        fail("LIBRARY_POSTGRES is to be postgresql://user:password@host:port")
    query = dict(urllib.parse.parse_qsl(parts.query))
    user = urllib.parse.unquote(parts.username or pwd.getpwuid(os.geteuid()).pw_name)
    if user == "postgres":
        fail("LIBRARY_POSTGRES: Odoo refuses the user postgres; name one with CREATEDB")
    host = query.get("host") or parts.hostname or "localhost"
    password = urllib.parse.unquote(parts.password or "")
    return Server(host, parts.port or 5432, user, password)


class Cluster(NamedTuple):
    home: Path
    socket: Path  # the folder of its socket
    owner: dict  # for subprocess: who it runs as


def cluster() -> Cluster:
    """Where our own PostgreSQL lives and as whom it runs.

    PostgreSQL refuses to run as root, so root hands it to another user, who has to be
    able to reach the folder.
    """
    home, owner = STATE / "pg", {}
    if not os.geteuid():
        names = [account.pw_name for account in pwd.getpwall()]
        name = "postgres" if "postgres" in names else "nobody"
        account = pwd.getpwnam(name)
        owner = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        reach = subprocess.run(["test", "-x", ROOT], **owner, cwd="/", check=False)
        if reach.returncode:
            home = Path("/var/lib/library-crm") / CHECKOUT
    place = home
    if len(str(home / ".s.PGSQL.5432")) > 107:  # as long as a socket's name may be
        place = Path(tempfile.gettempdir()) / f"library-crm-{os.geteuid()}-{CHECKOUT}"
    return Cluster(home, place, owner)


def start_postgres() -> Server:
    """The server to use. Our own is made and started if it is not running."""
    if url := os.environ.get("LIBRARY_POSTGRES"):
        return existing_postgres(url)
    home, place, owner = cluster()
    server = Server(str(place), 5432, "odoo", "")
    data = home / "data"
    programs = postgres_programs(data)
    ready = [programs / "pg_isready", "-q", "-h", place]
    if not subprocess.run(ready).returncode:
        return server
    for folder in {home, place}:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if owner:
            os.chown(folder, owner["user"], owner["group"])
    if not data.exists():
        if STATE not in home.parents:
            say(f"PostgreSQL's user cannot reach {ROOT}; its files go to {home}")
        need_space(home, 1500, "The databases")
        making = home / "data.new"
        shutil.rmtree(making, ignore_errors=True)
        with step("Making a PostgreSQL cluster"):
            initdb = [programs / "initdb", "-D", making, "-U", "odoo", "--auth=trust"]
            initdb += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
            run(initdb, cwd="/", **owner)
            with (making / "postgresql.conf").open("a") as conf:
                conf.write(POSTGRES_SETTINGS.format(socket=place))
        making.rename(data)
    forget_dead_postgres(data, place)
    start = [programs / "pg_ctl", "-D", data, "-l", home / "server.log", "-w", "start"]
    with step("Starting PostgreSQL"):
        run(
            start,
            cwd="/",
            hint=f"PostgreSQL does not start; {home}/server.log says why "
            "(`./dev clean` makes everything anew)",
            **owner,
        )
    return server


def postgres_programs(data: Path) -> Path:
    """PostgreSQL's programs, of the release that made the cluster."""
    folders = postgres_folders()
    if not (data / "PG_VERSION").exists():
        return folders[0]
    release = (data / "PG_VERSION").read_text().strip()
    for folder in folders:
        version = subprocess.run(
            [folder / "postgres", "-V"], capture_output=True, text=True
        )
        if f" {release}." in version.stdout:
            return folder
    fail(f"the databases are of PostgreSQL {release}, which is gone: ./dev clean")


def forget_dead_postgres(data: Path, place: Path) -> None:
    """Remove the locks of a server that was killed.

    PostgreSQL does it itself unless its number now belongs to another process, as after
    a reboot.
    """
    lock = data / "postmaster.pid"
    if lock.exists():
        number = lock.read_text().split("\n", 1)[0]
        cmdline = Path(f"/proc/{number}/cmdline")
        if not cmdline.exists() or str(data) not in cmdline.read_text(errors="replace"):
            lock.unlink()
            (place / ".s.PGSQL.5432.lock").unlink(missing_ok=True)


def stop_postgres() -> None:
    home, place, owner = cluster()
    data = home / "data"
    if (data / "postmaster.pid").exists():
        forget_dead_postgres(data, place)
    if (data / "postmaster.pid").exists():
        stop = [postgres_programs(data) / "pg_ctl", "-D", data, "-m", "fast", "stop"]
        with step("Stopping PostgreSQL"):
            run(stop, cwd="/", **owner)


def sql(server: Server, statement: str, *values, database: str = "postgres") -> list:
    """Run one statement outside of a transaction and return its rows."""
    code = (
        "import json, psycopg2, sys\n"
        "database, statement, values = json.load(sys.stdin)\n"
        "connection = psycopg2.connect(dbname=database)\n"
        "connection.autocommit = True\n"
        "cursor = connection.cursor()\n"
        "cursor.execute(statement, values)\n"
        "print(json.dumps(cursor.fetchall() if cursor.description else []))\n"
    )
    result = subprocess.run(
        [PYTHON, "-c", code],
        input=json.dumps([database, statement, values or None]),
        env={**environment(pip=True), **server.variables()},
        capture_output=True,
        text=True,
    )
    if result.returncode:
        fail(f"PostgreSQL at {server.host}: {result.stderr.strip().splitlines()[-1]}")
    return json.loads(result.stdout)
