"""What the swap_vma_ra_win() of a tree has come to, and where it would come to the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeAlias

from swaptrace.errors import PolicyError
from swaptrace.ktree.faults.linear import Factors, Interval, parts_of, total
from swaptrace.ktree.faults.values import NeedsNumber
from swaptrace.ktree.faults.windows import BELOW, ReadaheadFault
from swaptrace.mm.readahead import ReadFault, Window

Asked: TypeAlias = tuple[tuple[int, bool], ...]
"""Whether the last fault was at these pages."""


class WindowShape(NamedTuple):
    """A window wherever all of `intervals` hold, and of each of `asked` the last fault was so many
    pages behind the fault (True), or behind page 0, or was not. The three are sums of `places`."""

    intervals: tuple[Interval, ...]
    asked: tuple[tuple[bool, int, bool], ...]
    size: int
    start: tuple[Factors, int]
    end: tuple[Factors, int]
    last: tuple[Factors, int]
    window: int
    hits: int

    def window_at(self, places: Factors) -> Window | None:
        """The window there; None where it may be another one."""
        at, last, low, high = places
        for a, b, c, least, most in self.intervals:
            if not least <= a * at + b * low + c * high <= most:
                return None
        for from_fault, by, yes in self.asked:
            if (last == (at + by if from_fault else by)) is not yes:
                return None
        start, end = total(*self.start, places), total(*self.end, places)
        return Window(self.size, start, end, total(*self.last, places), self.window, self.hits)

    def asked_at(self, at: int) -> Asked:
        """Of which pages it is asked whether the last fault was there."""
        return tuple((at + by if from_fault else by, yes) for from_fault, by, yes in self.asked)


def shape_of(found: Window, reading: ReadaheadFault) -> WindowShape:
    """Where the window would be the same. Raises `NeedsNumber` if it is where the last fault was,
    which may have been anywhere."""
    size, start, end, last, window, hits = found
    sums = parts_of(start), parts_of(end), parts_of(last)
    if any(factors[1] for factors, _ in sums):
        raise NeedsNumber
    asked = tuple((*which, yes) for which, yes in reading.known.asked.items())
    return WindowShape(reading.known.intervals(), asked, size, *sums, window, hits)


class Windows:
    """swap_vma_ra_win() of a tree as a function of the model. What it came to is remembered, with
    what it asked about addresses to get there; all as seen from the fault's page table."""

    def __init__(self, run: Callable[[ReadaheadFault], Window]) -> None:
        self.run = run
        self.known: dict[Hashable, list[tuple[Asked, Window]]] = {}
        self.shapes: dict[Hashable, list[WindowShape]] = {}

    def __call__(
        self,
        at: int,
        last: int,
        window: int,
        hits: int,
        low: int,
        high: int,
        machine: tuple[int, int, int],
    ) -> Window:
        """The window of a fault `at` a page of its page table; the arguments are those of
        `ReadFault`, but addresses begin with that page table, as those of the result do."""
        pages = machine[1]
        # What is farther away than a page table makes a window that no kernel reads.
        low = low if low > -pages else -pages  # faster than max()
        high = high if high < 2 * pages else 2 * pages
        key = at, window, hits, low, high, machine
        for asked, found in self.known.get(key, ()):
            for page, yes in asked:
                if (last == page) is not yes:
                    break
            else:
                return found
        places = BELOW + at, max(0, last + BELOW), BELOW + low, BELOW + high
        asked, found = self.found(places, window, hits, machine)
        asked, found = tuple((page - BELOW, yes) for page, yes in asked), moved(found, -BELOW)
        self.known.setdefault(key, []).append((asked, found))
        return found

    def found(
        self, places: Factors, window: int, hits: int, machine: tuple[int, int, int]
    ) -> tuple[Asked, Window]:
        """The answer of C, and for which last faults it is the same."""
        at, last, low, high = places
        shapes = self.shapes.setdefault((window, hits, machine), [])
        for shape in shapes:
            known = shape.window_at(places)
            if known is not None:
                return shape.asked_at(at), known
        near = ReadFault(at, last, window, hits, low, high, *machine)
        try:
            reading = ReadaheadFault(near, exact=False)
            shape = shape_of(self.run(reading), reading)
        except (NeedsNumber, PolicyError):
            return ((last, True),), self.run(ReadaheadFault(near, exact=True))
        shapes.append(shape)
        answer = shape.window_at(places)
        assert answer is not None, "it holds where it was found"
        return shape.asked_at(at), answer


def moved(found: Window, by: int) -> Window:
    """The window so many pages farther up."""
    size, start, end, last, window, hits = found
    return Window(size, start + by, end + by, last + by, window, hits)
