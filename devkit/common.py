"""Where things lie, and how `dev` speaks, waits, and runs other programs."""

import configparser
import contextlib
import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".dev"
CACHE = (
    Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "library-crm"
)
LOGS = STATE / "log"
# Short and the same in every run: names what belongs to this checkout elsewhere.
CHECKOUT = hashlib.sha1(str(ROOT).encode()).hexdigest()[:10]

settings = configparser.ConfigParser(interpolation=None, delimiters=("=",))
settings.optionxform = str
settings.read(ROOT / "setup.cfg", encoding="utf-8")


def say(text: str) -> None:
    print(text, flush=True)


def fail(text: str) -> NoReturn:
    """End with one line that says what is wrong and which command mends it."""
    sys.exit(f"dev: {text}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


@contextlib.contextmanager
def step(what: str) -> Iterator[Callable[[str], None]]:
    """Say what is being done, how far it is, and at the end how long it took.

    Yields a function to call with the progress. On a terminal that overwrites its line;
    in a log it adds one every ten seconds.
    """
    started = spoken = time.monotonic()
    terminal = sys.stdout.isatty()

    def progress(how_far: str) -> None:
        nonlocal spoken
        if terminal:
            print(f"\r\033[K{what}: {how_far}", end="", flush=True)
        elif time.monotonic() - spoken > 10:
            spoken = time.monotonic()
            say(f"{what}: {how_far}")

    print(f"{what} …", end="" if terminal else "\n", flush=True)
    yield progress
    took = duration(time.monotonic() - started)
    say(f"\r\033[K{what}: done in {took}" if terminal else f"{what}: done in {took}")


@contextlib.contextmanager
def alone(folder: Path, note: Path) -> Iterator[None]:
    """Hold `folder` for this process. `note` tells others who has it."""
    for place in (folder, note.parent):
        place.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = note.read_text() if note.exists() else "another command"
            say(f"Waiting for {holder}, which is setting up …")
            fcntl.flock(handle, fcntl.LOCK_EX)
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(f"`./dev {' '.join(sys.argv[1:2])}` (process {os.getpid()})")
        yield
    finally:
        os.close(handle)


def need_space(folder: Path, megabytes: int, what: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < megabytes:
        fail(
            f"{what} needs {megabytes} MB in {folder}, {free} MB are free: "
            "make room (`./dev clean --cache` removes what dev has made) and run again"
        )


def run(
    command: Iterable, *, log: Path | None = None, hint: str = "", **options
) -> str:
    """Run a command to its end and return what it wrote; `fail` when it fails."""
    command = [str(part) for part in command]
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        **options,
    )
    if result.returncode:
        last = [line for line in result.stdout.splitlines() if line.strip()][-12:]
        print(*(f"    {line}" for line in last), sep="\n", file=sys.stderr)
        fail(hint or f"this command failed: {' '.join(command)}")
    return result.stdout


def replace(folder: Path) -> Path:
    """An empty folder to make `folder` in; rename it when it is whole."""
    making = folder.with_name(folder.name + ".new")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    return making


def put(path: Path, text: str, mode: int = 0o644) -> None:
    """Let a file hold a text. Who reads it meanwhile finds all of it, or all of what
    it held before: Odoo starts on these files while another command sets up."""
    if path.exists() and path.read_text() == text:
        return
    making = path.with_name(path.name + ".new")
    making.unlink(missing_ok=True)
    making.touch(mode=mode)
    making.write_text(text)
    making.rename(path)


def folder_size(folder: Path) -> int:
    """Bytes in a folder, also while another process is writing there."""
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            size += path.lstat().st_size
    return size


def follow(
    command: list[str],
    seen: Callable[[str, int], None],
    env: dict[str, str],
    log: Path,
    hint: str,
) -> None:
    """Run a command, keep what it writes in `log`, and show each line to `seen`.

    `seen` gets the line and how many lines of its first word there have been.
    """
    counts: dict[str, int] = {}
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w") as kept,
        subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        for line in process.stdout:
            kept.write(line)
            first = line.split(" ", 1)[0]
            counts[first] = counts.get(first, 0) + 1
            seen(line, counts[first])
    if process.returncode:
        tail = log.read_text().splitlines()[-15:]
        print("", *(f"    {line}" for line in tail), sep="\n", file=sys.stderr)
        fail(f"{hint} (all of it: {log.relative_to(ROOT)})")


@contextlib.contextmanager
def watch(folder: Path, progress: Callable, sizes: Iterable[str]) -> Iterator[None]:
    """Report, while the body runs, how many megabytes have come into `folder`."""
    total = f" of {sum(map(int, sizes)) // 1_000_000}" if sizes else ""
    over = threading.Event()

    def look() -> None:
        while not over.wait(1):
            progress(f"{folder_size(folder) // 1_000_000}{total} MB")

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
