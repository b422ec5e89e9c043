"""Where the calls of a log of strace's own lie between the accesses of lackey's.

Lackey's lines have no time. With valgrind's `--trace-syscalls=yes` its log has a line for each call
of the program, and the place is exact. Otherwise only this is known: a mapping is made before its
first access. Then a mapping is taken to be made as early as the calls before it allow, and any
other call as late as the first access to a mapping that was made after it.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from swaptrace.importers.accesses import Flags, Pages
from swaptrace.importers.recorder import AccessRecorder, pages
from swaptrace.importers.strace import MalformedCall, StraceCall, number

MARK: Final = re.compile(
    rb"SYSCALL\[\d+,(?P<tid>\d+)\]\( *\d+\) "
    rb"(?:sys_(?P<name>\w+) *\( *(?P<first>0x[0-9a-f]+|\d+)\b.*\)|\.\.\.) *"
    rb"(?:\[\w+\] *)?--> *(?:\[[\w-]+\] *)?"
    rb"(?P<end>\.\.\.|Success\((?P<value>0x[0-9a-f]+)\)|Fail.*) *"
)
SHORTEST: Final = 64
GROWTH: Final = 8
"""Accesses that are looked at after a call, and how many times more after each such stretch: a
block with many calls between its accesses is not looked at as often as it has calls."""

RETURNED: Final = ("mmap", "mremap")
"""The calls that are known by the address that they return, not by the one that they are given."""


class Placing:
    """Gives a recorder accesses, and the calls of a list where they belong."""

    def __init__(self, recorder: AccessRecorder, calls: Iterable[StraceCall]) -> None:
        self.recorder = recorder
        self.calls = deque(with_mappings(calls))
        self.made = 0
        self.exact = False
        self.waiting: dict[bytes, tuple[bytes, bytes]] = {}  # by thread
        self.bounds, self.last = last_mapped([each.made for each in self.calls])
        self.known_by: dict[tuple[str, int], deque[int]] = defaultdict(deque)
        for nth, each in enumerate(self.calls):
            with suppress(MalformedCall):  # then it is the address of no call that is followed
                self.known_by[each.call.name, where(each.call)].append(nth)
        self.make_mappings()

    def accesses(self, page: Pages, write: Flags) -> None:
        """Accesses one after another, with the calls that must have been made by then.

        They are looked at in stretches, which are short where there was a call just before.
        """
        if not len(page):
            return
        stretch = SHORTEST
        while len(page) and self.calls and len(self.bounds):
            at = self.first_unmapped(page[:stretch])
            end = min(stretch, len(page)) if at is None else at
            self.recorder.accesses(page[:end], write[:end])
            page, write = page[end:], write[end:]
            stretch = stretch * GROWTH if at is None else SHORTEST
            if at is not None:
                self.map(int(page[0]))
        self.recorder.accesses(page, write)

    def first_unmapped(self, page: Pages) -> int | None:
        """The first access to a page that is not mapped, but by a call that is to come."""
        missing = np.flatnonzero(self.recorder.space.locate(page) < 0)
        index = np.searchsorted(self.bounds, page[missing], side="right") - 1
        to_come = (index >= 0) & (self.last[index] >= self.made)
        return int(missing[to_come][0]) if to_come.any() else None

    def map(self, page: int) -> None:
        """Make the calls up to the one that maps a page that is to be mapped."""
        for count, each in enumerate(self.calls, start=1):
            if each.made and each.made[0] <= page < each.made[1]:
                self.make(count)
                return

    def mark(self, line: bytes) -> bool:
        """A line of the log; whether it is one of a call. A call that may wait has two lines, and
        is made when it returns."""
        match = MARK.fullmatch(line)
        if match is None:
            return False
        self.exact = True
        tid = match["tid"]
        name, first = self.waiting.pop(tid, (b"", b"0"))
        if match["name"]:
            name, first = match["name"], match["first"]
        if match["end"] == b"...":
            self.waiting[tid] = name, first
        elif match["value"]:
            called = name.decode()
            with suppress(MalformedCall):  # then it is the address of no call that is followed
                known_by = match["value"] if called in RETURNED else first
                self.returned(called, number(known_by.decode()))
        return True

    def returned(self, name: str, address: int) -> None:
        """Make the calls up to the one that is known by its name and an address."""
        known = self.known_by.get((name, address), deque())
        while known and known[0] < self.made:
            known.popleft()
        if known:
            self.make(known[0] - self.made + 1)

    def make(self, number: int) -> None:
        """Make so many calls, and the mappings that come right after them."""
        for _ in range(number):
            self.make_next()
        if not self.exact:
            self.make_mappings()

    def make_mappings(self) -> None:
        """Make the calls up to the first that does more than to map."""
        while self.calls and self.calls[0].only_maps:
            self.make_next()

    def make_next(self) -> None:
        """Make the call whose turn it is."""
        self.recorder.call(self.calls.popleft().call)
        self.made += 1

    def finish(self) -> None:
        """Make the calls that are left."""
        while self.calls:
            self.make_next()


def last_mapped(
    made: Sequence[tuple[int, int] | None],
) -> tuple[Pages, npt.NDArray[np.intp]]:
    """From each page of the first array to the next one, the number of the last call that maps
    there; -1 if none does."""
    bounds = np.unique(np.array([page for each in made if each for page in each], np.uint64))
    last = np.full(len(bounds), -1, np.intp)
    for nth, each in enumerate(made):
        if each:
            first, end = np.searchsorted(bounds, np.array(each, np.uint64)).tolist()
            last[first:end] = nth
    return bounds, last


def where(call: StraceCall) -> int:
    """The address that a call is known by."""
    return call.value if call.name in RETURNED else call.number(0)


class PlacedMapping(NamedTuple):
    """A call, and the pages that it maps; `only_maps` says that it does nothing else."""

    call: StraceCall
    made: tuple[int, int] | None = None
    only_maps: bool = False


def with_mappings(calls: Iterable[StraceCall]) -> Iterator[PlacedMapping]:
    """What each of the calls maps. brk() tells the heap's new end; the old one is known from the
    call before, of which the first only asks."""
    heap: int | None = None
    for call in calls:
        match call.name:
            case "mmap":
                yield PlacedMapping(call, pages(call.value, call.number(1)), True)
            case "mremap":
                yield PlacedMapping(call, pages(call.value, call.number(2)))
            case "brk":
                before, heap = call.value if heap is None else heap, call.value
                old, new = pages(before, 0)[1], pages(heap, 0)[1]
                yield PlacedMapping(call, (old, new) if old < new else None, old <= new)
            case _:
                yield PlacedMapping(call)
