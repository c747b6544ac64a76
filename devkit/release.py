"""The version that libraries run, kept for the next one to be updated from it."""

import ast
import io
import lzma
import re
import subprocess
import tarfile
from pathlib import Path

from devkit.common import ROOT, fail, say, settings
from devkit.databases import addons

#: The addons as they were released, without what no database is made of. There is one:
#: each version is updated from the one before it.
RELEASE = ROOT / "tests" / "previous_release.tar.xz"
_LEFT_OUT = ("tests", "i18n", "readme")


def keep_release(commit: str) -> None:
    """Keep the addons of a commit as the version that libraries run.

    The same commit gives the same file, byte by byte.
    """
    names = addons()
    listed = subprocess.run(
        ["git", "archive", "--format=tar", commit, *names],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    kept, versions = io.BytesIO(), {}
    with (
        tarfile.open(fileobj=io.BytesIO(listed)) as source,
        tarfile.open(fileobj=kept, mode="w") as target,
    ):
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            path = Path(member.name)
            if not member.isfile() or path.parts[1] in _LEFT_OUT:
                continue
            content = source.extractfile(member).read()
            if path.parts[1:] == ("__manifest__.py",):
                versions[path.parts[0]] = ast.literal_eval(content.decode())["version"]
            entry = tarfile.TarInfo(member.name)
            entry.size = len(content)
            target.addfile(entry, io.BytesIO(content))
    if len({*versions.values(), settings["metadata"]["version"]}) > 1:
        fail(f"the addons and setup.cfg are of different versions: {versions}")
    [version] = set(versions.values())
    changes = (ROOT / "CHANGELOG.md").read_text()
    if not re.search(rf"^## {re.escape(version)} ", changes, re.MULTILINE):
        fail(f"CHANGELOG.md says nothing of {version}")
    RELEASE.write_bytes(lzma.compress(kept.getvalue(), preset=9))
    size = RELEASE.stat().st_size // 1000
    say(f"{RELEASE.relative_to(ROOT)} is {version} now, {size} kB")


def unpack_release(folder: Path) -> dict[str, str]:
    """:return: the version of each of its addons"""
    with tarfile.open(RELEASE) as kept:
        kept.extractall(folder)
    return {
        path.parent.name: ast.literal_eval(path.read_text())["version"]
        for path in sorted(folder.glob("*/__manifest__.py"))
    }
