"""Odoo's source: a tree that exists already, Debian's package, or Odoo's git."""

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from devkit.common import (
    CACHE,
    STATE,
    alone,
    fail,
    need_space,
    replace,
    run,
    say,
    step,
    watch,
)
from devkit.system import DEBIAN_KEYS, debian_mirror

SERIES = "19.0"
GIT_SOURCE = "https://github.com/odoo/odoo.git"
# Debian's package of Odoo 19, and the packages that its links lead into. Each from the
# suite whose files have the names that Odoo's links ask for.
DEBIAN_PACKAGES = {
    "odoo-19": "sid",
    "fonts-montserrat": "sid",
    "fonts-font-awesome": "bookworm",
    "fonts-glyphicons-halflings": "bookworm",
    "fonts-inconsolata": "bookworm",
    "fonts-ocr-b": "bookworm",
    "fonts-roboto-unhinted": "bookworm",
    "libjs-jquery": "bookworm",
    "libjs-jquery-form": "bookworm",
    "libjs-underscore": "bookworm",
}
# The Debian package leaves this file out, and every browser test stops at the error.
# It only blurs the background in video calls; an empty one will do.
LEFT_OUT = "addons/mail/static/lib/selfie_segmentation/selfie_segmentation.js"


class Source(NamedTuple):
    path: Path  # has the package `odoo`
    addons: list[Path]  # of the addons that lie outside that package
    version: str  # changes when another Odoo takes its place, not with our own place


def odoo_source() -> Source:
    """Odoo's source: the one that LIBRARY_ODOO names, or ours, made if need be."""
    if named := os.environ.get("LIBRARY_ODOO"):
        path = Path(named).expanduser().resolve()
        path = path.parent if (path / "release.py").exists() else path
    else:
        if not (STATE / "odoo").exists():
            fetch_odoo()
        path = STATE / "odoo" / "usr/lib/python3/dist-packages"
        path = path if path.exists() else STATE / "odoo"
    release = path / "odoo" / "release.py"
    if not release.exists():
        fail(f"LIBRARY_ODOO={named}: there is no odoo/release.py in it")
    text = release.read_text()
    if not re.search(r"^version_info = \(19, 0,", text, re.MULTILINE):
        fail(f"{path} is not Odoo {SERIES}: set LIBRARY_ODOO to a tree of that release")
    # A git tree has most addons beside the package; Debian's has all of them inside.
    inside = (path / "odoo" / "addons" / "crm").exists()
    addons = [] if inside else [path / "addons"]
    return Source(path, addons, f"{named or SERIES} {release.stat().st_mtime_ns}")


def fetch_odoo() -> None:
    """Make `.dev/odoo` from Debian's package or, where there is none, Odoo's git."""
    need_space(STATE, 1800, "Odoo's source")
    making = replace(STATE / "odoo")
    with alone(CACHE, CACHE / "holder"):
        packages = odoo_packages()
        clone = None if packages else odoo_clone()
    with step("Unpacking Odoo") as progress:
        if packages:
            for number, package in enumerate(packages, 1):
                progress(f"package {number} of {len(packages)}")
                run(["dpkg", "-x", package, making])
            left_out = making / "usr/lib/python3/dist-packages/odoo" / LEFT_OUT
            left_out.parent.mkdir(parents=True, exist_ok=True)
            left_out.touch()
            broken = [path for path in making.rglob("*") if path.is_symlink()]
            broken = [path for path in broken if not path.exists()]
            if broken:
                fail(
                    f"Debian's packages changed: {broken[0].relative_to(making)} leads "
                    "nowhere; set LIBRARY_ODOO to a tree of Odoo 19 and run again"
                )
        else:
            run(["git", "clone", "--local", "--quiet", clone, making / "odoo"])
            making = making / "odoo"
        making.rename(STATE / "odoo")


def odoo_packages() -> list[Path]:
    """Debian's package of Odoo and those it leans on, in the cache; none elsewhere.

    apt is given a configuration of its own, so the machine's sources stay as they are.
    """
    folder = CACHE / "debian"
    if not folder.exists():
        mirror = debian_mirror()
        if not mirror:
            return []
        need_space(CACHE, 700, "The download of Odoo")
        apt = CACHE / "apt"
        (apt / "lists/partial").mkdir(parents=True, exist_ok=True)
        (apt / "archives/partial").mkdir(parents=True, exist_ok=True)
        (apt / "status").touch()
        (apt / "sources.list").write_text(
            "".join(
                f"deb [signed-by={DEBIAN_KEYS}] {mirror} {suite} main\n"
                for suite in sorted(set(DEBIAN_PACKAGES.values()))
            )
        )
        (apt / "apt.conf").write_text(
            f'Dir::State "{apt}";\nDir::State::status "{apt}/status";\n'
            f'Dir::Cache "{apt}";\nDir::Etc::sourcelist "{apt}/sources.list";\n'
            'Dir::Etc::sourceparts "-";\nAcquire::Languages "none";\n'
            f'APT::Sandbox::User "{pwd.getpwuid(os.geteuid()).pw_name}";\n'
        )
        environment = {**os.environ, "APT_CONFIG": str(apt / "apt.conf")}
        wanted = [f"{name}/{suite}" for name, suite in DEBIAN_PACKAGES.items()]
        with step("Looking for Debian's package of Odoo 19"):
            update = ["apt-get", "update", "-q", "--error-on=any"]
            lookup = ["apt-get", "download", "--print-uris", *wanted]
            found = None
            if not subprocess.run(
                update, env=environment, capture_output=True
            ).returncode:
                found = subprocess.run(
                    lookup, env=environment, capture_output=True, text=True
                )
        if not found or found.returncode:
            say("There is none; taking Odoo's git repository instead")
            return []
        sizes = re.findall(r"^'.*' \S+ (\d+) \S+$", found.stdout, re.MULTILINE)
        making = replace(folder)
        with step("Downloading Odoo") as progress, watch(making, progress, sizes):
            run(["apt-get", "download", *wanted], env=environment, cwd=making)
        making.rename(folder)
        shutil.rmtree(apt)
    return sorted(folder.glob("*.deb"))


def odoo_clone() -> Path:
    folder = CACHE / "odoo.git"
    if not folder.exists():
        need_space(CACHE, 1500, "The download of Odoo")
        making = replace(folder)
        clone = ["git", "clone", "--quiet", "--bare", "--depth=1", f"--branch={SERIES}"]
        with step("Downloading Odoo") as progress, watch(making, progress, ()):
            run(
                [*clone, GIT_SOURCE, making],
                hint=f"could not clone {GIT_SOURCE}: check the network and run again, "
                "or set LIBRARY_ODOO to a tree of Odoo 19",
            )
        making.rename(folder)
    return folder
