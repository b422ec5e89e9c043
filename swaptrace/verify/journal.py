"""What was changed on this machine and has to be undone, kept where it outlives the program.

One process at a time holds the journal (a lock on a file in /run). Whoever gets the lock and
finds entries knows that they are of a process that was killed, and undoes them first.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from swaptrace.errors import SwaptraceError
from swaptrace.terminal.output import complain

DIRECTORY: Final = Path("/run/swaptrace")
LOCKS: Final = Path("/proc/locks")
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class WrittenSetting(NamedTuple):
    """A file of /proc/sys or /sys that was written: its text before and since."""

    before: str
    since: str


class Entries(NamedTuple):
    """What is to be undone: the number of the zram device (None: there is none), the UUID of its
    swap area, settings by path, and the directory of a cgroup. Later ones are undone first."""

    zram: int | None = None
    uuid: str = ""
    settings: Mapping[str, WrittenSetting] = {}
    cgroup: str = ""


class Journal:
    """The entries of this process, in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = _read(path)

    def write(self, entries: Entries) -> None:
        """Replace the entries; before what they say is done."""
        self.entries = entries
        if entries == Entries():
            self.path.unlink(missing_ok=True)
            return
        beside = self.path.with_suffix(".new")
        found = {**entries._asdict(), "boot": BOOT_ID.read_text().strip()}
        beside.write_text(json.dumps(found))
        os.replace(beside, self.path)


@contextmanager
def journal(directory: Path = DIRECTORY) -> Iterator[Journal]:
    """Hold the journal; while another process does, wait until it ends.

    Raises `SwaptraceError` where the directory cannot be used.
    """
    flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        directory.mkdir(mode=0o755, exist_ok=True)
        lock = os.open(directory / "lock", flags, 0o600)
    except OSError as error:
        raise SwaptraceError(f"{directory}: {error.strerror}") from error
    try:
        _take(lock)
        yield Journal(directory / "journal.json")
    finally:
        os.close(lock)


def _take(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        complain(f"{_holder(lock)} has its own swap on this machine; waiting until it ends.")
        fcntl.flock(lock, fcntl.LOCK_EX)


def _holder(lock: int) -> str:
    """The process that holds the lock, by what the kernel says of the file (proc_locks(5))."""
    found = os.fstat(lock)
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for line in LOCKS.read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[5] == device and int(words[4]) > 0:
            return f"Another swaptrace (process {words[4]})"
    return "Another swaptrace"


def _read(path: Path) -> Entries:
    """What a predecessor left; nothing if that was before the machine was booted."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        if found.pop("boot") != BOOT_ID.read_text().strip():
            return Entries()
        settings = {path: WrittenSetting(*pair) for path, pair in found.pop("settings").items()}
        return Entries(settings=settings, **found)
    except FileNotFoundError:
        return Entries()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path} is damaged; look what is left of an earlier run, then remove it"
        raise SwaptraceError(message) from error
