"""The one command: what it says when it can not go on, and that it goes on."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ADDRESS = "http://127.0.0.1:"
#: What `./dev run` says while it works, and how many seconds later it is killed.
KILLED_AT = (
    ("Unpacking Odoo", 1),
    ("Installing ", 3),
    ("Making a PostgreSQL cluster", 0.3),
    ("Loading the Odoo apps", 1),
    ("Loading the Odoo apps", 4),
    ("Installing the addons", 5),
)


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def checkout(tmp_path):
    """A second checkout, with nothing set up in it."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    place = tmp_path / "checkout"
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    yield place
    subprocess.run([place / "dev", "clean"], check=True)


class Run:
    """`./dev run`, in the background."""

    def __init__(self, checkout, port):
        self.log = checkout / "said"
        with self.log.open("w") as said:
            self.process = subprocess.Popen(
                [checkout / "dev", "run", f"--port={port}"],
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, text):
        """Wait until ``text`` is said. False: it has ended without."""
        while text not in self.log.read_text():
            if self.process.poll() is not None:
                return text in self.log.read_text()
            time.sleep(0.1)
        return True

    def kill(self, sign):
        os.killpg(self.process.pid, sign)
        self.process.wait()


def test_port_in_use_is_said_with_what_to_do():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = subprocess.run(
            [ROOT / "dev", "run", f"--port={port}"],
            capture_output=True,
            text=True,
        )
    assert result.returncode == 1
    assert result.stderr == (
        f"dev: port {port} is in use: ./dev run --port {port + 1}\n"
    )


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.keys().isdisjoint(("LIBRARY_ODOO", "LIBRARY_POSTGRES")),
    reason="the steps are those of a set-up of our own",
)
@pytest.mark.timeout(1200)
def test_killed_at_each_step_it_carries_on(checkout, port):
    for text, seconds in KILLED_AT:
        run = Run(checkout, port)
        assert run.wait_for(text), run.log.read_text()
        time.sleep(seconds)
        run.kill(signal.SIGKILL)
    run = Run(checkout, port)
    try:
        assert run.wait_for(f"{ADDRESS}{port}"), run.log.read_text()
        with urllib.request.urlopen(f"{ADDRESS}{port}/web/login") as page:
            assert page.status == 200
    finally:
        run.kill(signal.SIGTERM)
