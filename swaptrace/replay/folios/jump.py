"""Page tables that meet the same as those before them, counted without being visited.

What happens to a page table depends on its blocks and on the swap device. Clusters of slots are
told apart by nothing but their lists. So if two equal page tables in a row have met the same, and
the swap device is as it was before each of them but for the numbers of clusters, then the next one
meets the same, with numbers as much further on, as long as there are clusters of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from swaptrace.counters import ViolationKind
from swaptrace.mm.blockevent import BlockChange
from swaptrace.replay.folios.clusters import NOT_FULL, Sequence
from swaptrace.replay.folios.slotmap import Moved, SlotMap
from swaptrace.replay.folios.stretches import PageRows, Stretch

Distances = tuple[int, ...]


@dataclass(slots=True)
class Counted:
    """What an event has counted in a page table; violations by kind, process and page of it; how
    often what happened to pages."""

    counts: dict[int, int] = field(default_factory=dict)
    violations: list[tuple[ViolationKind, int, int]] = field(default_factory=list)
    changes: dict[BlockChange, int] = field(default_factory=dict)

    def clear(self) -> None:
        """Nothing."""
        self.counts.clear()
        self.violations.clear()
        self.changes.clear()


class Before(NamedTuple):
    """What a page table is about to meet, apart from the numbers of clusters, and those numbers.

    `shape` are the lists of clusters in use in part, with the places at which the next slots are
    looked for, those that are set aside, and which clusters the page table has slots in; `around`
    are the VMAs, the pages that are visited, and the read-ahead.
    """

    blocks: tuple[int, ...]
    rows: PageRows
    shape: tuple[object, ...]
    clusters: tuple[int, ...]
    used: int
    around: tuple[object, ...]

    def like(self, other: Before) -> bool:
        """Whether the same happens, but for the numbers."""
        same = self.blocks, self.shape, self.around
        return same == (other.blocks, other.shape, other.around)


class Visit(NamedTuple):
    """A page table that was visited: what was before, what has been counted, what has become of it,
    and of clusters."""

    before: Before
    counted: Counted
    after: Stretch
    moved: Moved


def before(
    slots: SlotMap,
    blocks: tuple[int, ...],
    rows: PageRows,
    row: int,
    around: tuple[object, ...],
) -> Before:
    """What a page table is about to meet; `row` is the length of its rows."""
    lists = slots.lists()
    clusters = [number for each in lists for number, _, _ in each]
    found = {number: index for index, number in enumerate(clusters)}

    def label(number: int) -> int:
        return found.setdefault(number, len(found))

    own = dict.fromkeys(at * row // slots.size for at in rows)
    following = [None if at is None else divmod(at, slots.size) for at in slots.next]
    shape = (
        tuple(tuple((order, used) for _, order, used in each) for each in lists),
        tuple(None if at is None else (found.get(at[0], -1), at[1]) for at in following),
        tuple(
            (label(each.start // slots.size), each.start % slots.size, len(each))
            for each in slots.stock
        ),
        tuple(label(number) for number in own),
        slots.swap_full,
    )
    clusters += [at[0] for at in following if at is not None]
    clusters += [each.start // slots.size for each in slots.stock]
    return Before(blocks, rows, shape, tuple(clusters), slots.used, around)


def distances(a: tuple[int, ...] | list[int], b: tuple[int, ...] | list[int]) -> Distances:
    """By how much each number is further on."""
    return tuple([y - x for x, y in zip(a, b, strict=True)])


class Jump:
    """Whether and how far the page tables that follow can be counted.

    `first` and `second` were visited one after the other, `now` is what comes next, and `ahead` the
    page tables that lie ahead, alike, in the walk's direction. `slack` is how near to half of the
    swap device being in use pages have to be looked at one by one.
    """

    def __init__(
        self,
        slots: SlotMap,
        first: Visit,
        second: Visit,
        now: Before,
        ahead: Stretch,
        slack: int,
    ) -> None:
        self.slots, self.first, self.second, self.now = slots, first, second, now
        self.ahead, self.slack = ahead, slack
        self.gained = now.used - second.before.used

    def alike(self) -> bool:
        """Whether the last two page tables have met the same, and the next one is about to."""
        a, b, now = self.first, self.second, self.now
        befores = a.before, b.before, now
        if not (a.before.like(b.before) and b.before.like(now) and a.counted == b.counted):
            return False
        if a.after.blocks != b.after.blocks or not (a.moved.regular and b.moved.regular):
            return False
        rows, clusters = (
            {distances(getattr(x, of), getattr(y, of)) for x, y in pairwise(befores)}
            for of in ("rows", "clusters")
        )
        steady = len(rows) == len(clusters) == 1 and a.moved.lengths == b.moved.lengths
        return steady and (self.ahead.tables == 1 or rows == {self.ahead.strides})

    def most(self) -> int:
        """How many page tables meet the same."""
        if not self.alike():
            return 0
        taken, freed, filled, opened = self.sequences()
        if taken is None or freed is None or filled is None or opened is None:
            return 0
        return max(min(self.limits(taken, filled, opened)), 0)

    def sequences(self) -> tuple[Sequence | None, ...]:
        """What becomes of clusters in the next page table; None where it is not in a row."""
        a, b = self.first.moved, self.second.moved
        pairs = (a.taken, b.taken), (a.freed, b.freed), (a.filled, b.filled), (a.opened, b.opened)
        return tuple(following(*pair) for pair in pairs)

    def limits(self, taken: Sequence, filled: Sequence, opened: Sequence) -> Iterator[int]:
        """As far as this and that goes on."""
        slots = self.slots
        yield self.ahead.tables
        if self.gained:
            half, full = slots.total // 2, slots.swap_full
            if full == (self.gained < 0):
                room = (slots.used - half if full else half - slots.used) - self.slack
                yield room // abs(self.gained)
        if taken.length:
            free = next(iter(slots.free), Sequence(0, 0))
            goes_on = free.first == taken.first and (free.length == 1 or free.step == taken.step)
            yield free.length // taken.length if goes_on else 0
            yield (len(slots.free) - slots.reserve) // taken.length
        if opened.length:
            around = slots.full.around(opened.first)
            ends = [around.start - 1, around.stop, *slots.cut]
            ahead = min(d for end in ends if (d := (end - opened.first) * opened.step) >= 0)
            same = slots.full.order(opened.first) == self.second.moved.opened_as
            yield ahead // opened.length if same else 0
        if opened.length and filled.length:
            yield abs(opened.first - filled.first) // max(opened.length, filled.length)

    def take(self, times: int) -> Stretch:
        """Let so many page tables meet the same; what becomes of them, in the walk's direction."""
        taken, freed, filled, opened = self.sequences()
        assert taken is not None
        assert freed is not None
        assert filled is not None
        assert opened is not None
        slots, order = self.slots, self.second.moved.filled_as
        if taken.length:
            slots.free.drop(taken.length * times)
        for each, what in ((opened, NOT_FULL), (filled, order)):
            if each.length:
                numbers = each._replace(length=each.length * times).numbers
                slots.full.set(min(numbers[0], numbers[-1]), len(numbers), what)
        if freed.length:
            slots.free.extend(freed._replace(length=freed.length * times))
        moved = distances(self.second.before.clusters, self.now.clusters)
        slots.renumber([times * by for by in moved])
        slots.used += self.gained * times
        strides = distances(self.first.after.rows, self.second.after.rows)
        after = Stretch(times, self.second.after.blocks, self.second.after.rows, strides)
        return after._replace(rows=after.rows_at(1))


def following(a: list[int], b: list[int]) -> Sequence | None:
    """The clusters that come after these, if they are in a row with them."""
    if not a:
        return Sequence(0, 0)
    step = 1 if b[0] > a[0] else -1
    in_row = range(a[0], a[0] + 2 * len(a) * step, step)
    if [*a, *b] != [*in_row]:
        return None
    return Sequence(in_row.stop, len(a), step)
