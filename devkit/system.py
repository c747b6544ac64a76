"""What comes from the system: PostgreSQL, Chromium, apt's mirror."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from devkit.common import fail, run, step

CHROME_NAMES = ("google-chrome", "chromium", "chromium-browser", "google-chrome-stable")
DEBIAN_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def install_system_packages(*, browser: bool) -> None:
    """Have PostgreSQL, `venv` and, for the tests, Chromium; install what is missing."""
    missing = []
    if "LIBRARY_POSTGRES" not in os.environ and not postgres_folders():
        missing.append("postgresql")
    try:
        import ensurepip  # noqa: F401, PLC0415  Debian packs it apart from Python
    except ImportError:
        missing.append("python3-venv")
    if not debian_mirror() and not os.environ.get("LIBRARY_ODOO"):
        missing += ["git"] if not shutil.which("git") else []
    if browser and not any(map(shutil.which, CHROME_NAMES)):
        missing.append("chromium")
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if not shutil.which("apt-get"):
        fail(f"install these with your system's package manager: {', '.join(missing)}")
    become = []
    if os.geteuid():
        become = ["sudo"]
        may = shutil.which("sudo") and (
            sys.stdin.isatty()
            or not subprocess.run(
                ["sudo", "-n", "true"], capture_output=True
            ).returncode
        )
        if not may:
            fail(f"packages of the system are missing: su -c '{' '.join(command)}'")
    if sys.stdin.isatty() and become:
        subprocess.run(["sudo", "-v"])  # asks for the password before the silence below
    apt = [*become, "env", "DEBIAN_FRONTEND=noninteractive"]
    with step(f"Installing {', '.join(missing)} with apt"):
        run([*apt, "apt-get", "update"])
        run([*apt, *command])
        # Only for printing PDF; not every release has it, and Odoo shows HTML without.
        subprocess.run([*apt, *command[:4], "wkhtmltopdf"], capture_output=True)


def postgres_folders() -> list[Path]:
    """Folders with PostgreSQL's server, newest first."""
    debian = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found = sorted(debian, key=lambda path: int(path.parts[-3]), reverse=True)
    on_path = shutil.which("initdb")
    folders = [path.parent for path in found if int(path.parts[-3]) >= 13]
    return folders or ([Path(on_path).resolve().parent] if on_path else [])


def debian_mirror() -> str:
    """The mirror that this machine's apt uses for Debian; '' if it is no Debian."""
    release = Path("/etc/os-release")
    if not release.exists() or not DEBIAN_KEYS.exists():
        return ""
    if not re.search(r"^ID=\"?debian\"?$", release.read_text(), re.MULTILINE):
        return ""
    lists = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    text = "\n".join(path.read_text() for path in lists if path.is_file())
    # Both ways to write it: `URIs: http://…` and `deb [options] http://… suite main`.
    found = re.findall(r"^(?:URIs:|deb(?: \[.*?\])?)\s+(\S+)", text, re.MULTILINE)
    main = [uri for uri in found if uri.rstrip("/").endswith("/debian")]
    return main[0] if main else ""
