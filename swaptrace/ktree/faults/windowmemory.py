"""What the swap_vma_ra_win() of a tree has come to, and where it would come to the same."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias

from swaptrace.errors import PolicyError
from swaptrace.ktree.faults.linear import FAR, Factors, Interval, parts_of
from swaptrace.ktree.faults.values import NeedsNumber
from swaptrace.ktree.faults.windows import BELOW, ReadaheadFault
from swaptrace.mm.readahead import ReadFault, Window

Run: TypeAlias = Callable[[ReadaheadFault], Window]

Machine: TypeAlias = tuple[int, int, int]
"""The last three of `ReadFault`."""

AT: Final[Factors] = (1, 0, 0, 0)
"""Those of the fault's page."""


class LastFault(NamedTuple):
    """Where the fault before was: at one of `pages` if `within`, or else at another one."""

    pages: frozenset[int]
    within: bool


ANYWHERE: Final = LastFault(frozenset(), within=False)


class LocalWindow(NamedTuple):
    """A window of some faults of a page table: those of which the one before was `near` behind the
    fault, and `far` behind the page table. Each of the three sums is so many times the fault's
    page, and a number."""

    near: LastFault
    far: LastFault
    size: int
    start: tuple[int, int]
    end: tuple[int, int]
    last: tuple[int, int]
    window: int
    hits: int


class WindowShape(NamedTuple):
    """A window wherever all of `intervals` hold, and of each of `asked` the last fault was so many
    pages behind the fault (True), or behind page 0, or was not. The three are sums of what `linear`
    has."""

    intervals: tuple[Interval, ...]
    asked: tuple[tuple[bool, int, bool], ...]
    size: int
    start: tuple[Factors, int]
    end: tuple[Factors, int]
    last: tuple[Factors, int]
    window: int
    hits: int

    def faults(self, low: int, high: int) -> range:
        """For which pages of a page table it holds, if the bounds of the VMA are there."""
        first, last = 0, FAR
        for a, b, c, least, most in self.intervals:
            rest = b * low + c * high + (a + b + c) * BELOW
            if a == 0:
                if not least <= rest <= most:
                    return range(0)
            elif a > 0:
                first, last = max(first, -((rest - least) // a)), min(last, (most - rest) // a)
            else:
                first, last = max(first, -((most - rest) // -a)), min(last, (rest - least) // -a)
        return range(first, last + 1)

    def local(self, low: int, high: int) -> LocalWindow:
        """The same where the bounds of the VMA are known."""
        far = _last_fault((by - BELOW, yes) for is_near, by, yes in self.asked if not is_near)
        start, end, last = (_local(*sums, low, high) for sums in (self.start, self.end, self.last))
        return LocalWindow(self.near, far, self.size, start, end, last, self.window, self.hits)

    @property
    def near(self) -> LastFault:
        """How far behind the fault the one before was."""
        return _last_fault((by, yes) for is_near, by, yes in self.asked if is_near)

    @property
    def is_alone_everywhere(self) -> bool:
        """Whether it is of one page, and no matter where the page is."""
        known_of_places = self.intervals or not all(is_near for is_near, _, _ in self.asked)
        return self.size == 1 and not known_of_places and self.last == (AT, 0)


def _last_fault(asked: Iterable[tuple[int, bool]]) -> LastFault:
    """All that was asked of it: where it was at one page, it was at no other for that reason."""
    answers = dict(asked)
    there = frozenset(page for page, yes in answers.items() if yes)
    return LastFault(there or frozenset(answers), within=bool(there))


def _local(factors: Factors, number: int, low: int, high: int) -> tuple[int, int]:
    """A page as seen from the page table."""
    a, _, b, c = factors
    return a, b * low + c * high + number + (a + b + c - 1) * BELOW


def shape_of(found: Window, reading: ReadaheadFault) -> WindowShape:
    """Where the window would be the same. Raises `NeedsNumber` if it is where the last fault was,
    which may have been anywhere."""
    size, start, end, last, window, hits = found
    sums = parts_of(start), parts_of(end), parts_of(last)
    if any(factors[1] for factors, _ in sums):
        raise NeedsNumber
    asked = tuple((*which, yes) for which, yes in reading.known.asked.items())
    return WindowShape(reading.known.intervals(), asked, size, *sums, window, hits)


def _only(fault: ReadFault, found: Window) -> tuple[range, LocalWindow]:
    """The window of one fault, after just this one before."""
    at, before = fault.address - BELOW, LastFault(frozenset({fault.last - BELOW}), within=True)
    size, start, end, last, window, hits = moved(found, -BELOW)
    pages = (0, start), (0, end), (0, last)
    return range(at, at + 1), LocalWindow(ANYWHERE, before, size, *pages, window, hits)


class LocalWindows:
    """The windows of page tables with the bounds of the VMA where they are, for one state of its
    read-ahead. `runs` begin at the pages `starts`, each with the windows that its faults may have;
    the first `taken` of all shapes are among them."""

    def __init__(self) -> None:
        self.starts = [0]
        self.runs: list[list[LocalWindow]] = [[]]
        self.taken = 0

    def find(self, at: int, last: int) -> Window | None:
        """That of a fault and the one before; None if it is not known."""
        for each in self.runs[bisect_right(self.starts, at) - 1]:
            (near, is_near), (far, is_far), size, (a, b), (c, d), (e, f), window, hits = each
            if (last - at in near) is is_near and (last in far) is is_far:
                return Window(size, a * at + b, c * at + d, e * at + f, window, hits)
        return None

    def add(self, faults: range, window: LocalWindow) -> None:
        """One more, of some of the faults."""
        if faults:
            first, behind = self._split(faults.start), self._split(faults.stop)
            for run in self.runs[first:behind]:
                run.append(window)

    def _split(self, at: int) -> int:
        """The run that begins at a page."""
        number = bisect_left(self.starts, at)
        if number == len(self.starts) or self.starts[number] != at:
            self.starts.insert(number, at)
            self.runs.insert(number, list(self.runs[number - 1]))
        return number


class MachineWindows:
    """swap_vma_ra_win() on one machine. `shapes` are all that C came to, by the last window and
    what was found of it; `alone` is of those that are of one page everywhere where the last fault
    was, and the new state."""

    def __init__(self, run: Run, machine: Machine) -> None:
        self.run, self.machine, self.table_pages = run, machine, machine[1]
        self.shapes: dict[tuple[int, int], list[WindowShape]] = {}
        self.alone: dict[tuple[int, int], list[tuple[LastFault, int, int]]] = {}
        self.local: dict[tuple[int, int, int, int], LocalWindows] = {}

    def window(
        self, address: int, last: int, window: int, hits: int, bounds: tuple[int, int]
    ) -> Window:
        """That of a fault; the arguments are those of `ReadFault`."""
        for (near, is_near), new, found in self.alone.get((window, hits), ()):
            if (last - address in near) is is_near:
                return Window(1, address, address, address, new, found)
        at = address % self.table_pages
        first = address - at
        low, high = bounds
        return moved(self._local(at, last - first, window, hits, low - first, high - first), first)

    def _local(self, at: int, last: int, window: int, hits: int, low: int, high: int) -> Window:
        """The same as seen from the fault's page table: what comes out depends on nothing but what
        is near."""
        # What is farther away than a page table makes a window that no kernel reads.
        low, high = max(low, -self.table_pages), min(high, 2 * self.table_pages)
        last = max(last, -BELOW)
        key = window, hits, low, high
        known = self.local.get(key)
        if known is None:
            known = self.local[key] = LocalWindows()
        found = known.find(at, last)
        while found is None:
            shapes = self.shapes.setdefault((window, hits), [])
            if known.taken == len(shapes):
                near = ReadFault(
                    at + BELOW, last + BELOW, window, hits, low + BELOW, high + BELOW, *self.machine
                )
                self._ask(near, known)
            for shape in shapes[known.taken :]:
                known.add(shape.faults(low, high), shape.local(low, high))
            known.taken = len(shapes)
            found = known.find(at, last)
        return found

    def _ask(self, fault: ReadFault, known: LocalWindows) -> None:
        """Let C answer: for all faults of which it says the same, or else for this one."""
        state = fault.window, fault.hits
        try:
            reading = ReadaheadFault(fault, exact=False)
            shape = shape_of(self.run(reading), reading)
        except (NeedsNumber, PolicyError):
            known.add(*_only(fault, self.run(ReadaheadFault(fault, exact=True))))
            return
        self.shapes[state].append(shape)
        if shape.is_alone_everywhere:
            alone = self.alone.setdefault(state, [])
            alone.append((shape.near, shape.window, shape.hits))


class Windows:
    """swap_vma_ra_win() of a tree as a function of the model. What it came to is remembered, with
    what it asked about addresses to get there."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.machines: dict[Machine, MachineWindows] = {}

    def __call__(self, machine: Machine) -> MachineWindows:
        """What it does on a machine, which is the last three of `ReadFault`."""
        if machine not in self.machines:
            self.machines[machine] = MachineWindows(self.run, machine)
        return self.machines[machine]


def moved(found: Window, by: int) -> Window:
    """The window so many pages farther up."""
    size, start, end, last, window, hits = found
    return Window(size, start + by, end + by, last + by, window, hits)
