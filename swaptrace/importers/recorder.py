"""What is imported, as it comes: the accesses to anonymous memory and the calls between them.

Accesses go to a temporary file, eight bytes each, since which region a page belongs to is only
known at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, Literal, NamedTuple

import numpy as np

from swaptrace.advice import BY_NAME, Advice, Effect
from swaptrace.errors import SwaptraceError
from swaptrace.importers.accesses import FIRST_PAGE, LAST_PAGE, PAGE_SHIFT, Flags, Pages
from swaptrace.importers.merge import LastAccess, merged
from swaptrace.importers.space import FEW, Kind, MappedArea, Ranges, Space
from swaptrace.importers.strace import StraceCall
from swaptrace.terminal.atomic import cannot_write

SPOOLED: Final = 1 << 16
"""How many accesses are read back at a time."""

WITHOUT_EFFECT: Final = frozenset(
    f"MADV_{name}"
    for name in (
        *("NORMAL", "RANDOM", "SEQUENTIAL", "DONTFORK", "DOFORK", "DONTDUMP", "DODUMP"),
        "NOHUGEPAGE",
    )
)
"""Advice that changes nothing that is counted."""


MOST_EVENTS: Final = 1 << 19
"""A call on many mappings is one for each: few lines would make any number."""

Op = Literal["map", "munmap", "madvise", "mprotect", "mlock", "munlock"]
"""That of a step, or `map` for pages that are mapped anew."""


class Event(NamedTuple):
    """What a call did to anonymous pages of the model, after so many accesses.

    `detail` is the advice or the protection.
    """

    position: int
    op: Op
    start: int
    end: int
    detail: str = ""


class Left(NamedTuple):
    """What was left out, how often each."""

    accesses: Counter[str]
    calls: Counter[str]


class AccessRecorder:
    """Takes accesses and calls in their order.

    Without any call before the first access, every page is taken for anonymous memory.
    """

    def __init__(self, directory: Path, every_access: bool, mapped: bool = False) -> None:
        self.directory = directory
        try:
            self.file = TemporaryFile(dir=directory)  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise self.full(error) from error
        self.every_access = every_access
        self.mapped = mapped
        self.guessed = False
        self.space = Space()
        self.extent = Ranges()  # all pages of the model that ever were anonymous memory
        self.events: list[Event] = []
        self.left = Left(Counter(), Counter())
        self.seen = 0
        self.count = 0
        self.last = LastAccess()
        self.brk = 0

    def close(self) -> None:
        """Give the temporary file up."""
        with suppress(OSError):  # what is still in a buffer of a full disk is not wanted
            self.file.close()

    def accesses(self, page: Pages, write: Flags) -> None:
        """Accesses one after another."""
        self.seen += len(page)
        if len(page) and not self.space.areas and not self.mapped:
            self.guessed = True
            self.space.put(MappedArea(FIRST_PAGE, LAST_PAGE + 1, "anonymous"))
        if not self.every_access:
            page, write, _ = merged(page, write, LastAccess())
        page, write = self.anonymous(page, write)
        if not self.every_access:
            page, write, self.last = merged(page, write, self.last)
        self.count += len(page)
        packed = (page << np.uint64(1) | write).astype("<u8")
        try:
            self.file.write(packed.tobytes())
        except OSError as error:
            raise self.full(error) from error

    def full(self, error: OSError) -> SwaptraceError:
        """The error of the temporary file."""
        return cannot_write(f"a temporary file in {self.directory}", error)

    def anonymous(self, page: Pages, write: Flags) -> tuple[Pages, Flags]:
        """The accesses to anonymous memory, by pages of the model."""
        index = self.space.locate(page)
        areas = [*self.space.areas, NOWHERE]  # the last is that of no index, -1
        if len(page) * FEW < len(areas):
            which, index = np.unique(index, return_inverse=True)
            areas = [areas[at] for at in which.tolist()]
        kinds = [UNKNOWN if area is NOWHERE else code(area.kind) for area in areas]
        kind = np.array(kinds, np.uint8)[index]
        kind[(page < FIRST_PAGE) | (page > LAST_PAGE)] = OUTSIDE
        keep = kind == ANONYMOUS
        if keep.all():
            kept, where = page, index
        else:
            self.count_left(kind)
            kept, where, write = page[keep], index[keep], write[keep]
        if any(area.shift for area in areas):
            shifts = np.array([area.shift for area in areas], np.int64)
            kept = (kept.astype(np.int64) + shifts[where]).astype(np.uint64)
        return kept, write

    def count_left(self, kind: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> None:
        """Note how many accesses are left out, by what they are to."""
        for number, name in enumerate(KINDS):
            if number != ANONYMOUS and (many := int(np.count_nonzero(kind == number))):
                self.left.accesses[name] += many

    def call(self, call: StraceCall) -> None:
        """A system call between two accesses."""
        handler = CALLS.get(call.name)
        if handler is None:
            self.left.calls[call.name] += 1
            return
        self.mapped = True
        handler(self, call)

    def note(self, op: Op, start: int, end: int, detail: str = "") -> None:
        """Note what happens to a range of pages of the model. Raises `SwaptraceError`."""
        if len(self.events) == MOST_EVENTS:
            raise SwaptraceError(
                f"the calls change mappings more than {MOST_EVENTS} times, one counted for each "
                "mapping that a call reaches; without strace's log they are left out"
            )
        self.last = LastAccess()
        self.events.append(Event(self.count, op, start, end, detail))

    def on_anonymous(self, op: Op, call: StraceCall, detail: str = "") -> None:
        """Note what happens to the anonymous pages of the range that a call is given."""
        start, end = pages(call.number(0), call.number(1))
        for area in self.space.within(start, end):
            if area.kind == "anonymous":
                self.note(op, *area.model, detail)

    def unmap(self, start: int, end: int) -> None:
        for area in self.space.unmap(start, end):
            if area.kind == "anonymous":
                self.note("munmap", *area.model)

    def map(self, start: int, end: int, kind: Kind) -> MappedArea | None:
        """Map pages anew, over what may have been there; those that a scenario can map, if any."""
        start, end = max(start, FIRST_PAGE), min(end, LAST_PAGE + 1)
        if start >= end:
            return None
        self.unmap(start, end)
        area = self.space.put(MappedArea(start, end, kind))
        if kind == "anonymous":
            self.extent.add(*area.model)
            self.note("map", *area.model)
        return area

    def spooled(self) -> Iterator[tuple[Pages, Flags]]:
        """The accesses to pages of the model, some at a time."""
        try:
            self.file.seek(0)
        except OSError as error:
            raise self.full(error) from error
        while len(packed := np.fromfile(self.file, "<u8", SPOOLED)):
            yield packed >> np.uint64(1), (packed & np.uint64(1)).astype(np.bool_)


KINDS: Final = (
    "to anonymous memory",
    "to mappings of files",
    "to shared memory",
    "to no mapping that strace shows",
    "to addresses below 64 KiB or behind user space",
)
"""What an access is to. Of the last, a scenario can map nothing; all else is taken for anonymous
memory where no call tells."""

ANONYMOUS, FILE, SHARED, UNKNOWN, OUTSIDE = range(5)

NOWHERE: Final = MappedArea(0, 0, "anonymous")
"""Stands for the mapping of pages that have none."""


def code(kind: Kind) -> int:
    """The index among `KINDS`."""
    return {"anonymous": ANONYMOUS, "file": FILE, "shared": SHARED}[kind]


def pages(address: int, length: int) -> tuple[int, int]:
    """The pages that a range of bytes lies in."""
    size = 1 << PAGE_SHIFT
    return address >> PAGE_SHIFT, (address + length + size - 1) >> PAGE_SHIFT


def mmap(recorder: AccessRecorder, call: StraceCall) -> None:
    start, end = pages(call.value, call.number(1))
    prot, flags = call.arguments[2], call.arguments[3].split("|")
    if "MAP_ANONYMOUS" not in flags:
        recorder.map(start, end, "file")
    elif "MAP_PRIVATE" not in flags:
        recorder.map(start, end, "shared")
    else:
        area = recorder.map(start, end, "anonymous")
        if area is None:
            return
        if "MAP_POPULATE" in flags or "MAP_LOCKED" in flags:
            how = "WRITE" if "PROT_WRITE" in prot else "READ"
            recorder.note("madvise", *area.model, str(Advice[f"POPULATE_{how}"]))
        if "MAP_LOCKED" in flags:
            recorder.note("mlock", *area.model)


def munmap(recorder: AccessRecorder, call: StraceCall) -> None:
    recorder.unmap(*pages(call.number(0), call.number(1)))


def mremap(recorder: AccessRecorder, call: StraceCall) -> None:
    """Pages keep what they hold, wherever the program sees them now."""
    start, end = pages(call.number(0), call.number(1))
    new, new_end = pages(call.value, call.number(2))
    if new_end > LAST_PAGE + 1 or new < FIRST_PAGE:
        recorder.unmap(start, end)  # a kernel gives no such address
        return
    if "MREMAP_DONTUNMAP" in call.arguments[3]:
        recorder.left.calls["mremap with MREMAP_DONTUNMAP"] += 1
        return
    if new_end - new < end - start:
        recorder.unmap(start + (new_end - new), end)
        end = start + (new_end - new)
    moved = recorder.space.unmap(start, end)
    recorder.unmap(new, new_end)
    by = new - start
    for area in moved:
        recorder.space.put(MappedArea(area.start + by, area.end + by, area.kind, area.shift - by))
    if new_end - new > end - start and moved:
        recorder.map(new + (end - start), new_end, moved[-1].kind)


def brk(recorder: AccessRecorder, call: StraceCall) -> None:
    """The heap's end; the first call of a program only asks where it is."""
    asked, is_now = call.number(0), call.value
    if asked and asked == is_now and recorder.brk:
        _, old = pages(recorder.brk, 0)
        _, new = pages(is_now, 0)
        if new > old:
            recorder.map(old, new, "anonymous")
        else:
            recorder.unmap(new, old)
    recorder.brk = is_now


def mprotect(recorder: AccessRecorder, call: StraceCall) -> None:
    prot = call.arguments[2]
    mode = "rw" if "PROT_WRITE" in prot else "r" if "PROT_READ" in prot else "none"
    recorder.on_anonymous("mprotect", call, mode)


LEFT_OUT: Final = (
    *(Effect.FLAGS, Effect.COLLAPSE, Effect.UNMERGE, Effect.REMOVE),
    *(Effect.GUARD_INSTALL, Effect.GUARD_REMOVE),
)


def madvise(recorder: AccessRecorder, call: StraceCall) -> None:
    advice = call.arguments[2]
    known = BY_NAME.get(advice)
    if known is not None and known.effect not in LEFT_OUT:
        recorder.on_anonymous("madvise", call, advice)
    elif advice not in WITHOUT_EFFECT:
        recorder.left.calls[f"madvise with {advice}"] += 1


def mlock(recorder: AccessRecorder, call: StraceCall) -> None:
    if "MLOCK_ONFAULT" in call.arguments[2:]:
        recorder.left.calls["mlock2 with MLOCK_ONFAULT"] += 1
    else:
        recorder.on_anonymous("mlock", call)


def munlock(recorder: AccessRecorder, call: StraceCall) -> None:
    recorder.on_anonymous("munlock", call)


CALLS: Final[dict[str, Callable[[AccessRecorder, StraceCall], None]]] = {
    "mmap": mmap,
    "munmap": munmap,
    "mremap": mremap,
    "brk": brk,
    "mprotect": mprotect,
    "pkey_mprotect": mprotect,
    "madvise": madvise,
    "mlock": mlock,
    "mlock2": mlock,
    "munlock": munlock,
}
"""The calls that are followed."""
