"""What a run of `swaptrace verify --setup-zram` could leave on this machine, and does it?

Only what is its own is looked at: others may have swap areas and zram devices, and make and
remove them while the tests run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE
from threading import Event, Thread
from typing import Any

from swaptrace.errors import SwaptraceError
from swaptrace.verify import swap
from swaptrace.verify.host import PAGE_CLUSTER
from swaptrace.verify.journal import DIRECTORY, Entries, Journal, journal
from swaptrace.verify.workdir import PREFIX
from tests.commandline import SWAPTRACE, environment
from tests.processes import PATIENCE, begin, until


class Watched:
    """A run in the background whose temporary files lie in a directory of the test's own."""

    def __init__(
        self, temporary: Path, *arguments: str | Path, program: Sequence[str] = SWAPTRACE
    ) -> None:
        self.temporary = temporary
        self.cluster = PAGE_CLUSTER.read_text()
        self.uuids: set[str] = set()
        self.process = begin(
            [*program, "verify", "--setup-zram", "16M", *map(str, arguments)],
            stdout=PIPE,
            stderr=PIPE,
            env=environment(),
        )
        self.over = Event()
        self.watcher = Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def watch(self) -> None:
        """Learn which swap areas are made."""
        while not self.over.wait(0.002):
            with suppress(SwaptraceError, OSError):
                self.uuids.add(Journal(DIRECTORY / "journal.json").entries.uuid)

    def programs(self) -> list[int]:
        """The processes that run a program of the run."""
        return list(programs(self.temporary))

    def wait_for_programs(self) -> list[int]:
        """The processes as soon as there are some."""
        found: list[int] = []

        def some() -> list[int]:
            found[:] = self.programs()
            return found

        until(some, self.process)
        return found

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; the exit code, and what it wrote."""
        out, err = self.process.communicate(timeout=PATIENCE)
        self.over.set()
        self.watcher.join()
        return self.process.returncode, out.decode(), err.decode()

    def left(self) -> dict[str, Any]:
        """What there is of the run though it has ended; empty if all is undone."""
        with journal() as notes:  # nobody else is about to undo something
            found = {
                "noted": notes.entries if notes.entries != Entries() else None,
                "devices": sorted(self.devices()),
                "page-cluster": None if PAGE_CLUSTER.read_text() == self.cluster else "changed",
                "files": sorted(path.name for path in self.temporary.glob(f"{PREFIX}*")),
                "programs": self.programs(),
            }
        return {name: value for name, value in found.items() if value}

    def devices(self) -> Iterator[str]:
        """The zram devices with a swap area of the run."""
        for block in Path("/sys/block").glob("zram*"):
            with suppress(OSError), open(f"/dev/{block.name}", "rb") as device:
                first = device.read(swap.PAGE)
                if first[swap.UUID_AT : swap.UUID_AT + 16].hex() in self.uuids - {""}:
                    yield block.name


def programs(temporary: Path) -> Iterator[int]:
    """The processes whose executable lies in a working directory there."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.readlink(process / "exe").startswith(f"{temporary}/{PREFIX}"):
                yield int(process.name)


HOG = """\
import mmap, os
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # a scenario runs on the first one
page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
page.write(b"x" * 4096)
while True:
    page.madvise(21)
    page[0]
"""


def a_page_that_comes_and_goes() -> list[str]:
    """A command that swaps a page of its own out and in, all the time."""
    return [sys.executable, "-c", HOG]
