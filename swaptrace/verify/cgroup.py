"""A memory cgroup of one's own (cgroup v2) on the running kernel; noted in the journal."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EBUSY
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from swaptrace.errors import SwaptraceError
from swaptrace.verify.journal import Journal
from swaptrace.verify.signals import held_off

MOUNTS: Final = Path("/proc/self/mountinfo")
CGROUPS: Final = Path("/proc/cgroups")
PREFIX: Final = "swaptrace-"

PATIENCE: Final = 5.0
"""Seconds in which processes that were killed are gone."""


class NoCgroup(SwaptraceError):
    """There can be no memory cgroup here; the text is the reason."""


def hierarchy(mounts: Path = MOUNTS, controllers: Path = CGROUPS) -> Path:
    """The directory in which memory cgroups can be made. Raises `NoCgroup`.

    Nothing is changed to make it possible: to hand a controller down would do so for the cgroups
    of others.
    """
    place = _mounted(mounts)
    if "memory" not in _words(place / "cgroup.controllers"):
        raise NoCgroup(f"{_where(controllers)}, not in the cgroup v2 hierarchy ({place})")
    if "memory" not in _words(place / "cgroup.subtree_control"):
        raise NoCgroup(
            f"{place} does not hand its memory controller down; where this is no container "
            f"`echo +memory > {place}/cgroup.subtree_control` lets it"
        )
    return place


def _mounted(mounts: Path) -> Path:
    """Where cgroup v2 is mounted (proc_pid_mountinfo(5)); the first place with a memory
    controller, if one has it."""
    places = []
    for line in mounts.read_text().splitlines():
        mount, _, kind = line.partition(" - ")
        if kind.split()[0] == "cgroup2":
            places.append(Path(_unescaped(mount.split()[4])))
    if not places:
        raise NoCgroup("no cgroup v2 hierarchy is mounted")
    has = (place for place in places if "memory" in _words(place / "cgroup.controllers"))
    return next(has, places[0])


def _unescaped(text: str) -> str:
    """A path as the kernel writes it, with blanks and backslashes in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _where(controllers: Path) -> str:
    """Where the memory controller is instead (proc_cgroups: hierarchy 0 is v2, or none)."""
    for line in controllers.read_text().splitlines():
        name, number, *_ = line.split()
        if name == "memory" and number != "0":
            return "the memory controller is in a cgroup v1 hierarchy"
    return "the kernel has its memory controller switched off"


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError as error:
        raise NoCgroup(f"{path}: {error.strerror}") from error


@contextmanager
def own_cgroup(notes: Journal, place: Path) -> Iterator[Path]:
    """An empty cgroup for a while. Whatever is in it at the end is killed.

    Its name is noted before it exists, and nobody else's can be the same. Raises `NoCgroup` where
    it cannot be made.
    """
    directory = place / f"{PREFIX}{os.urandom(8).hex()}"
    try:
        with held_off():
            notes.write(notes.entries._replace(cgroup=str(directory)))
            _make(directory)
        yield directory
    finally:
        with held_off():
            remove(directory)
            notes.write(notes.entries._replace(cgroup=""))


def _make(directory: Path) -> None:
    try:
        directory.mkdir()
    except OSError as error:
        raise NoCgroup(f"no cgroup can be made in {directory.parent}: {error.strerror}") from error


def remove(directory: Path) -> None:
    """Kill what is in a cgroup (cgroup.kill, Linux 5.14), and remove it; nothing if it is not
    there. Raises `OSError` where something does not die."""
    if not directory.is_dir():
        return
    kill = directory / "cgroup.kill"
    if kill.exists():
        kill.write_text("1")
    limit = monotonic() + PATIENCE
    while True:
        try:
            directory.rmdir()
            return
        except OSError as error:
            if error.errno != EBUSY or monotonic() > limit:
                raise
        sleep(0.01)
