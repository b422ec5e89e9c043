"""A zram device of one's own, and settings that are put back; all of it noted in the journal."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EBUSY
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from swaptrace.errors import SwaptraceError
from swaptrace.verify import cgroup, swap
from swaptrace.verify.journal import Entries, Journal, WrittenSetting, journal
from swaptrace.verify.signals import held_off
from swaptrace.verify.thp import selected

CONTROL: Final = Path("/sys/class/zram-control")
BLOCK: Final = Path("/sys/block")
DEV: Final = Path("/dev")

PATIENCE: Final = 2.0
"""Seconds."""


class OwnSwap:
    """The device of this run. `fresh` makes it a new swap area, `close` leaves no trace."""

    def __init__(self, notes: Journal) -> None:
        self.notes = notes

    @property
    def device(self) -> Path:
        return DEV / f"zram{self.notes.entries.zram}"

    def add(self) -> None:
        """A new device. Its number is noted before it exists: the kernel takes the lowest."""
        with held_off():
            number = next(n for n in count() if not (BLOCK / f"zram{n}").exists())
            uuid = os.urandom(16).hex()
            self.notes.write(self.notes.entries._replace(zram=number, uuid=uuid))
            added = int((CONTROL / "hot_add").read_text())
            if added != number:
                self.notes.write(self.notes.entries._replace(zram=added))

    def fresh(self, size: int) -> None:
        """An empty swap area into which `size` bytes of pages fit, active before all others."""
        with held_off():
            number = self.notes.entries.zram
            write_when_free(BLOCK / f"zram{number}" / "reset", "1")
            (BLOCK / f"zram{number}" / "disksize").write_text(str(size + swap.PAGE))
            swap.make(self.device, size, bytes.fromhex(self.notes.entries.uuid))
            swap.on(self.device)

    def off(self) -> None:
        """The area is no longer used."""
        with held_off():
            swap.off(self.device)

    def set(self, path: Path, text: str) -> None:
        """Write a setting, which is put back at the end."""
        with held_off():
            before = selected(path.read_text())
            if before == text:
                return
            entries = self.notes.entries
            first = entries.settings.get(str(path), WrittenSetting(before, text)).before
            settings = {**entries.settings, str(path): WrittenSetting(first, text)}
            self.notes.write(entries._replace(settings=settings))
            path.write_text(text)
            if (found := selected(path.read_text())) != text:  # of huge pages there may be fewer
                settings[str(path)] = WrittenSetting(first, found)
                self.notes.write(entries._replace(settings=settings))


@contextmanager
def own_swap() -> Iterator[OwnSwap]:
    """A device for a run; what a predecessor left is undone before, and everything after.

    Raises `SwaptraceError` where it cannot be had.
    """
    if os.geteuid() != 0:
        raise SwaptraceError("--setup-zram needs root: it makes a swap device")
    with journal() as notes:
        undo(notes)
        _need_zram()
        made = OwnSwap(notes)
        try:
            made.add()
            yield made
        finally:
            with held_off():
                undo(notes)


def _need_zram() -> None:
    if not CONTROL.is_dir():
        with suppress(OSError):
            subprocess.run(["modprobe", "zram", "num_devices=0"], capture_output=True)
    if not CONTROL.is_dir():
        raise SwaptraceError("this kernel has no zram (CONFIG_ZRAM, or the module zram)")


def undo(notes: Journal) -> None:
    """Remove the cgroup and the device of the journal, and put settings back, as far as they are
    still ours."""
    entries = notes.entries
    if entries.cgroup:
        cgroup.remove(Path(entries.cgroup))
    for path, setting in entries.settings.items():
        with suppress(OSError):
            if selected(Path(path).read_text()) == setting.since:
                Path(path).write_text(setting.before)
    if entries.zram is not None:
        remove(entries.zram, entries.uuid)
    notes.write(Entries())


def remove(number: int, uuid: str) -> None:
    """Remove a device if it is the one with our UUID, or has nothing on it yet.

    A device of somebody else, who was given the same number since, is left alone; so is
    one that is open, which the kernel refuses to remove.
    """
    block, device = BLOCK / f"zram{number}", DEV / f"zram{number}"
    if not block.exists():
        return
    if int((block / "disksize").read_text()) > 0:
        first = _first_page(device)
        if any(first) and first[swap.UUID_AT : swap.UUID_AT + 16].hex() != uuid:
            return
        if any(area.device == str(device) for area in swap.active()):
            swap.off(device)
        write_when_free(block / "reset", "1")
    write_when_free(CONTROL / "hot_remove", str(number))


def write_when_free(path: Path, text: str) -> None:
    """Write to a file of sysfs. Others may have the device open for a moment, to look what
    is on it (udev); after `PATIENCE` they are taken to use it, and `OSError` is raised."""
    limit = monotonic() + PATIENCE
    while True:
        try:
            path.write_text(text)
            return
        except OSError as error:
            if error.errno != EBUSY or monotonic() > limit:
                raise
        sleep(0.01)


def _first_page(device: Path) -> bytes:
    with open(device, "rb") as file:
        return file.read(swap.PAGE)
