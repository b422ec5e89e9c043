"""A private temporary directory that does not outlive its process for long.

It is removed at the end. Where the process is killed, the next one that makes a directory finds
that nobody holds the lock on it any more, and removes it. What ran from there ends by itself: the
kernel kills the programs that were started (see `children`), and the processes of a scenario end
when the first one of them has gone.

Others may write to the directory for temporary files. So what lies there is opened by a
descriptor that follows no symbolic link, looked at through it, and removed relative to it.
"""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from swaptrace.errors import SwaptraceError, printable
from swaptrace.verify.signals import deferred, held_off

PREFIX: Final = "swaptrace-verify-"
DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PRIVATE: Final = 0o700
GRACE: Final = 60.0
"""Seconds for which one without a lock is taken to be in the making."""


@contextmanager
def work_directory() -> Iterator[Path]:
    """A new empty directory; those that were left behind are removed first.

    Raises `SwaptraceError` where others could exchange it.
    """
    place = tempfile.gettempdir()
    within = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _check_safe(within, place)
        remove_abandoned(within)
        yield from _made(within, Path(place))
    finally:
        os.close(within)


def _made(within: int, place: Path) -> Iterator[Path]:
    """One of an unpredictable name, for as long as it is used."""
    name = f"{PREFIX}{secrets.token_hex(8)}"
    directory = None
    try:
        with deferred():
            os.mkdir(name, PRIVATE, dir_fd=within)
            directory = os.open(name, DIRECTORY, dir_fd=within)
            fcntl.flock(directory, fcntl.LOCK_EX)
        yield place / name
    finally:
        if directory is not None:
            with held_off():
                _remove(within, name, directory)
                os.close(directory)


def _check_safe(within: int, place: str) -> None:
    """Nobody else may rename our directory, nor put another one in its place."""
    found = os.fstat(within)
    mode = found.st_mode
    if found.st_uid not in (0, os.geteuid()):
        owner = f"user {found.st_uid}, whom it belongs to,"
    elif mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        owner = "everybody"
    elif mode & stat.S_IWGRP and not mode & stat.S_ISVTX and not _alone(found.st_gid):
        owner = f"group {found.st_gid}"
    else:
        return
    raise SwaptraceError(
        f"{printable(place)}: {owner} may exchange what lies in this directory; temporary files "
        "need one of root's with the sticky bit, or one of your own that nobody else may write to "
        "(TMPDIR)"
    )


def _alone(group: int) -> bool:
    """Whether the group is root's, or nobody but the user is in it as far as is known."""
    if group == 0:
        return True
    if os.geteuid() == 0:
        return False
    try:
        members = {*grp.getgrgid(group).gr_mem}
        others = {each.pw_name for each in pwd.getpwall() if each.pw_gid == group}
        return {*members, *others} <= {pwd.getpwuid(os.geteuid()).pw_name}
    except KeyError:
        return False


def remove_abandoned(within: int) -> None:
    """Remove the directories of processes that have died."""
    with os.scandir(within) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(PREFIX)]
    for name in names:
        with suppress(OSError):
            directory = os.open(name, DIRECTORY, dir_fd=within)
            try:
                if _abandoned(directory):
                    _remove(within, name, directory)
            finally:
                os.close(directory)


def _abandoned(directory: int) -> bool:
    """Whether it is one of our own and nobody holds the lock; one that is young may be between
    the moment at which it was made and that at which it is locked."""
    found = os.fstat(directory)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != PRIVATE:
        return False
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with os.scandir(directory) as entries:
        return any(entries) or time.time() - found.st_mtime > GRACE


def _remove(within: int, name: str, directory: int) -> None:
    """Remove all that is in the directory, then its name if that still is this very one."""
    with suppress(OSError):
        _empty(directory)
    with suppress(OSError):
        found = os.stat(name, dir_fd=within, follow_symlinks=False)
        if os.path.samestat(found, os.fstat(directory)):
            os.rmdir(name, dir_fd=within)


def _empty(directory: int) -> None:
    with os.scandir(directory) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if is_directory:
            shutil.rmtree(name, ignore_errors=True, dir_fd=directory)
        else:
            os.unlink(name, dir_fd=directory)
