"""A private temporary directory that does not outlive its process for long.

It is removed at the end. Where the process is killed, the next one that makes a directory
finds that nobody holds the lock in it any more, ends what still runs from there, and removes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PREFIX: Final = "swaptrace-verify-"
LOCK: Final = "lock"


@contextmanager
def work_directory() -> Iterator[Path]:
    """A new empty directory, but for its lock; those that were left behind are removed first."""
    remove_abandoned(Path(tempfile.gettempdir()))
    path = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        lock = os.open(path / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield path
        finally:
            os.close(lock)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def remove_abandoned(within: Path) -> None:
    """Remove the directories of processes that have died."""
    for path in within.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if path.stat().st_uid == os.getuid() and not path.is_symlink() and _abandoned(path):
                end_processes(path)
                shutil.rmtree(path, ignore_errors=True)


def _abandoned(path: Path) -> bool:
    """Whether nobody holds the lock. A directory without one is just being made, or its
    maker died within that moment: it is left to the next."""
    try:
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return _older_than_a_minute(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _older_than_a_minute(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > 60


def end_processes(directory: Path) -> None:
    """Kill every process whose executable lies in the directory."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if Path(os.readlink(process / "exe")).parent == directory.resolve():
                os.kill(int(process.name), signal.SIGKILL)
