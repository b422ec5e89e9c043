"""From what was recorded to the steps of a scenario, and the pages of its regions.

A region is all memory that ever was anonymous and hangs together; it is mapped at the beginning,
readable and writable. What cannot matter is left out: to map a page counts nothing, and neither
does a call on pages that hold nothing. Memory that is unmapped and mapped again has to stay part
of its region; MADV_DONTNEED frees its pages just so.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from swaptrace.advice import BY_NAME, Advice, Effect
from swaptrace.errors import SwaptraceError
from swaptrace.importers.accesses import MOST_PAGES, PAGE_SIZE, Flags, Pages
from swaptrace.importers.recorder import AccessRecorder, Event
from swaptrace.importers.space import Ranges
from swaptrace.traces.chunk import Chunk

GAP: Final = (1 << 20) // PAGE_SIZE
"""Where nothing tells the mappings, pages that are this far apart belong to two regions."""

MOST_REGIONS: Final = 1 << 16

MOST_SPREAD: Final = 1 << 17
"""A call on many regions is a step in each: few lines would make any number."""


class ModelRegion(NamedTuple):
    """A region of the scenario, and its pages in the model's address space."""

    name: str
    start: int
    end: int


class ComposedStep(NamedTuple):
    """A step: its operation, the region or the file, its other keys."""

    op: str
    argument: str
    keys: Mapping[str, str | int] = MappingProxyType({})


def regions(recorder: AccessRecorder, pages: Pages) -> list[ModelRegion]:
    """The regions of the pages that are accessed, ascending. Raises `SwaptraceError` if there are
    too many."""
    parts = clusters(pages) if recorder.guessed else extents(recorder, pages)
    if number_of_pages(parts) > MOST_PAGES:
        raise SwaptraceError(
            f"{number_of_pages(parts)} pages are too many to replay a trace; at most {MOST_PAGES}"
        )
    found = [ModelRegion(f"anon-{n}", start, end) for n, (start, end) in enumerate(parts, start=1)]
    if len(found) > MOST_REGIONS:
        raise SwaptraceError(f"{len(found)} regions are too many; at most {MOST_REGIONS}")
    return found


def distinct(recorder: AccessRecorder) -> Pages:
    """Every page that is accessed, once, ascending."""
    found = np.zeros(0, np.uint64)
    waiting: list[Pages] = []
    for page, _ in recorder.spooled():
        waiting.append(np.unique(page))
        if sum(map(len, waiting)) > max(1 << 20, len(found)):
            found, waiting = np.unique(np.concatenate([found, *waiting])), []
    return np.unique(np.concatenate([found, *waiting]))


def clusters(pages: Pages) -> list[tuple[int, int]]:
    """Ranges that have a page at either end, and no gap of `GAP` pages."""
    if not len(pages):
        return []
    cuts = np.flatnonzero(np.diff(pages) > GAP)
    starts = np.concatenate((pages[:1], pages[cuts + 1]))
    ends = np.concatenate((pages[cuts], pages[-1:])) + np.uint64(1)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def extents(recorder: AccessRecorder, pages: Pages) -> list[tuple[int, int]]:
    """The ranges of anonymous memory with any access; if they are enormous, of what is accessed."""
    found, accessed = [], []
    for start, end in recorder.extent:
        first, last = np.searchsorted(pages, [start, end]).tolist()
        if last > first:
            found.append((start, end))
            accessed += clusters(pages[first:last])
    return found if number_of_pages(found) <= MOST_PAGES else accessed


def number_of_pages(parts: Sequence[tuple[int, int]]) -> int:
    """How many pages ranges have together."""
    return sum(end - start for start, end in parts)


class StepComposer:
    """Goes through the accesses and events once more, in their order."""

    def __init__(
        self, recorder: AccessRecorder, found: Sequence[ModelRegion], pages: Pages
    ) -> None:
        self.recorder = recorder
        self.regions = found
        self.starts = np.array([region.start for region in found], np.uint64)
        self.pages = pages
        self.holding = np.zeros(len(self.pages), np.bool_)  # which of them hold something
        self.populated = Ranges()  # and what holds something without an access
        self.restricted = Ranges()  # not readable and writable
        self.locked = Ranges()
        self.remapped = mapped_later(recorder.events)
        self.spread = 0

    def parts(self) -> Iterator[Chunk | ComposedStep]:
        """The accesses, and the steps between them."""
        events = list(enumerate(self.recorder.events))[::-1]
        position = 0
        for page, write in self.recorder.spooled():
            begin = 0
            while events and events[-1][1].position < position + len(page):
                cut = events[-1][1].position - position
                yield from self.played(page[begin:cut], write[begin:cut])
                yield from self.event(*events.pop())
                begin = cut
            yield from self.played(page[begin:], write[begin:])
            position += len(page)
        for index, event in reversed(events):
            yield from self.event(index, event)

    def played(self, page: Pages, write: Flags) -> Iterator[Chunk]:
        """Accesses to pages of the address space as those to pages of regions."""
        if not len(page):
            return
        self.holding[np.searchsorted(self.pages, page)] = True
        index = np.searchsorted(self.starts, page, side="right") - 1
        within = (page - self.starts[index]).astype(np.uint32)
        yield Chunk(within, write, index.astype(np.uint16))

    def event(self, index: int, event: Event) -> Iterator[ComposedStep]:
        """The steps that an event takes, in each region that it reaches."""
        first = bisect_right(self.regions, event.start, key=lambda region: region.end)
        last = bisect_left(self.regions, event.end, key=lambda region: region.start)
        self.spread += max(0, last - first - 1)
        if self.spread > MOST_SPREAD:
            raise SwaptraceError(
                f"the calls reach more than {MOST_SPREAD} regions beside their first ones, which "
                "are more steps than a scenario can have"
            )
        for region in self.regions[first:last]:
            start, end = max(event.start, region.start), min(event.end, region.end)
            yield from self.handle(index, event._replace(start=start, end=end))

    def handle(self, index: int, event: Event) -> Iterator[ComposedStep]:
        """The steps of an event that lies within one region."""
        match event.op:
            case "map":
                for start, end in self.restricted.remove(event.start, event.end):
                    yield self.step("mprotect", start, end, prot="rw")
            case "munmap":
                yield from self.munmap(event, index in self.remapped)
            case "madvise":
                yield from self.madvise(event)
            case "mprotect":
                yield from self.mprotect(event)
            case "mlock":
                self.locked.add(event.start, event.end)
                self.populated.add(event.start, event.end)
                yield self.step("mlock", event.start, event.end)
            case "munlock":
                for start, end in self.locked.remove(event.start, event.end):
                    yield self.step("munlock", start, end)

    def munmap(self, event: Event, again: bool) -> Iterator[ComposedStep]:
        """`again`: the pages are mapped again later, wholly or in part."""
        if again:
            for start, end in self.locked.remove(event.start, event.end):
                yield self.step("munlock", start, end)
        if not self.holds(event):
            return
        self.empty(event)
        if again:
            yield self.step("madvise", event.start, event.end, advice=str(Advice.DONTNEED))
        else:
            yield self.step("munmap", event.start, event.end)

    def madvise(self, event: Event) -> Iterator[ComposedStep]:
        match BY_NAME[event.detail].effect:
            case Effect.POPULATE_READ | Effect.POPULATE_WRITE:
                self.populated.add(event.start, event.end)
            case _ if not self.holds(event):
                return
            case Effect.ZAP:
                self.empty(event)
            case Effect.PAGEOUT | Effect.COLD | Effect.FREE | Effect.SWAP_IN:
                pass
            case Effect.FLAGS | Effect.COLLAPSE | Effect.UNMERGE | Effect.REMOVE:
                pass  # left out before
            case Effect.GUARD_INSTALL | Effect.GUARD_REMOVE:
                pass  # these as well
        yield self.step("madvise", event.start, event.end, advice=event.detail)

    def mprotect(self, event: Event) -> Iterator[ComposedStep]:
        restricted = self.restricted.remove(event.start, event.end)
        writable = event.detail == "rw"
        if not restricted and (writable or not self.holds(event)):
            return
        if not writable:
            self.restricted.add(event.start, event.end)
        yield self.step("mprotect", event.start, event.end, prot=event.detail)

    def step(self, op: str, start: int, end: int, **keys: str) -> ComposedStep:
        """A step on pages of a region."""
        region = self.regions[bisect_right(self.regions, start, key=lambda each: each.end)]
        span = {}
        if (start, end) != (region.start, region.end):
            span["offset"] = (start - region.start) * PAGE_SIZE
            span["length"] = (end - start) * PAGE_SIZE
        return ComposedStep(op, region.name, {**keys, **span})

    def holds(self, event: Event) -> bool:
        """Whether any page of the range holds something."""
        first, last = np.searchsorted(self.pages, [event.start, event.end])
        populated = self.populated.within(event.start, event.end)
        return bool(populated) or bool(self.holding[first:last].any())

    def empty(self, event: Event) -> None:
        """Note that the pages hold nothing any more."""
        first, last = np.searchsorted(self.pages, [event.start, event.end])
        self.holding[first:last] = False
        self.populated.remove(event.start, event.end)


def mapped_later(events: Sequence[Event]) -> set[int]:
    """The indices of the events that unmap what is mapped again, wholly or in part."""
    later, found = Ranges(), set()
    for index in range(len(events) - 1, -1, -1):
        event = events[index]
        if event.op == "map":
            later.add(event.start, event.end)
        elif event.op == "munmap" and later.within(event.start, event.end):
            found.add(index)
    return found
