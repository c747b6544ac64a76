"""A server of Odoo for a while, and those who ask it: for tests and benchmarks.

It needs `requests`, which is in the virtual environment; `dev` itself does not use it.
"""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from devkit.common import free_port
from devkit.environment import PYTHON, environment


class Refused(Exception):
    """The server answered with an error; what it said."""


@contextmanager
def serve(
    database: str, options: dict, prepare: Callable[[Path], None] | None = None
) -> Iterator[str]:
    """A server of Odoo.

    :param options: of Odoo's command line, beside a folder and ports of its own
    :param prepare: puts into the folder what the server shall find there
    :return: its address
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="library-crm-") as home:
        if prepare:
            prepare(Path(home))
        log = Path(home, "log")
        given = {
            **{"data-dir": home, "max-cron-threads": 0},
            **{"http-port": port, "gevent-port": free_port()},
            **options,
        }
        # With workers Odoo starts one more by the name of its script, which has to be
        # one that can be started: ``python -m odoo`` is none.
        script = Path(home, "server.py")
        script.write_text("from odoo.cli.command import main\n\nmain()\n")
        command = [PYTHON, script, "-d", database]
        command += [f"--{name}={value}" for name, value in given.items()]
        with log.open("w") as kept:
            server = subprocess.Popen(
                command, stdout=kept, stderr=kept, env=environment()
            )
        url = f"http://127.0.0.1:{port}"
        try:
            while not is_there(url):
                if server.poll() is not None:
                    raise RuntimeError(log.read_text()[-5000:])
                time.sleep(0.2)
            yield url
        finally:
            server.terminate()
            server.wait()


def is_there(url: str) -> bool:
    try:
        return requests.get(f"{url}/web/health", timeout=60).ok
    except requests.ConnectionError:
        return False


class Client:
    """Somebody at a server, as a browser asks it."""

    def __init__(self, url: str):
        self.url, self.session = url, requests.Session()

    def log_in(self, database: str, login: str, password: str) -> None:
        self.post(
            "/web/session/authenticate", db=database, login=login, password=password
        )
        # Odoo writes down which device it is.
        self.post("/web/session/get_session_info")

    def post(self, path: str, **params):
        """:raises Refused: with what the server wrote down"""
        answer = self.session.post(
            self.url + path, json={"method": "call", "params": params}, timeout=120
        )
        answer.raise_for_status()
        answer = answer.json()
        if "error" in answer:
            raise Refused(answer["error"]["data"]["debug"])
        return answer["result"]

    def call_kw(self, model: str, method: str, *args, **kwargs):
        """Call a method as the web client does."""
        return self.post(
            f"/web/dataset/call_kw/{model}/{method}",
            **{"model": model, "method": method, "args": args, "kwargs": kwargs},
        )
