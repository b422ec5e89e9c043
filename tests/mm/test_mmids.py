"""Does a large folio take for shared what the two trackers of the kernel do?"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.mm.block import Block, Pmd
from swaptrace.mm.blockevent import BlockEvent, SplitPmd
from swaptrace.mm.blocktransition import happen
from swaptrace.mm.blockvalue import freeze, thaw
from swaptrace.mm.column import Mapping, Pte, Vma
from swaptrace.mm.event import Dontneed, Facts, Fork, Unmap
from swaptrace.mm.mmids import has_shared_bit
from swaptrace.mm.pmd import PmdPage, set_pmd
from swaptrace.replay import engine
from swaptrace.replay.folios.around import Around
from swaptrace.replay.folios.slotmap import slot_map
from swaptrace.scenario.loader import load_text
from tests.effort import examples, some

FACTS = Facts(mm_ids=True, reuses_large=True)
MERGED = policies.find("merged")
MOST = 5
FREE = 0


@dataclass
class Trackers:
    """What the kernel keeps of a folio, its bit among it: two ids and their counts, which are one
    less than the mappings, as is the sum of all."""

    ids: list[int] = field(default_factory=lambda: [FREE, FREE])
    counts: list[int] = field(default_factory=lambda: [-1, -1])
    total: int = -1
    bit: bool = False

    def add(self, mm: int, mappings: int) -> None:
        self.total += mappings
        if mm in self.ids:
            self.counts[self.ids.index(mm)] += mappings
        elif FREE in self.ids:
            place = self.ids.index(FREE)
            self.ids[place], self.counts[place] = mm, mappings - 1
            self.bit |= place == 1 or self.total != mappings - 1

    def remove(self, mm: int, mappings: int) -> None:
        self.total -= mappings
        if mm in self.ids:
            place = self.ids.index(mm)
            self.counts[place] -= mappings
            if self.counts[place] >= 0:
                return
            self.ids[place], self.counts[place] = FREE, -1
        if self.total in self.counts:
            self.bit = False


class Crowd:
    """A folio of the model beside the trackers; `mms` are the processes, by their numbers."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.block = Block(0, [[Mapping(Vma())] for _ in range(size)])
        self.block.pmds = [Pmd.TABLE]
        self.folio = self.block.add_folio(range(size), 1, exclusive=True)
        self.around = Around(0, FACTS, slot_map("6.18", 1 << 16, size), (), [], None, lambda: None)
        self.mms, self.born, self.trackers = [1], 1, Trackers()
        if size == 512:
            set_pmd(PmdPage(self.block, 0, MERGED, self.around), 0, Pte(self.folio))
        else:
            self.set_ptes(0, range(size))
        self.trackers.add(1, self.mappings(0, range(size)))

    def set_ptes(self, p: int, pages: range) -> None:
        for i in pages:
            PmdPage(self.block, i, MERGED, self.around).set_pte(p, Pte(self.folio))

    def mapped(self, p: int, pages: range) -> int:
        return sum(isinstance(self.block.maps[i][p].pte, Pte) for i in pages)

    def mappings(self, p: int, pages: range) -> int:
        return 1 if self.block.pmds[p] is Pmd.HUGE else self.mapped(p, pages)

    def happen(self, event: BlockEvent, pages: range) -> None:
        """With the block as its value has it afterwards."""
        happen(self.block, event, pages, MERGED, self.around)
        frozen = freeze(self.block, range(self.size), self.size)
        self.folio = frozen.folios[self.folio]
        self.block = thaw(0, [(frozen.value, frozen.rows)], self.size)

    def take(self, what: str, p: int, pages: range) -> None:
        """Something that a process may do, unless it cannot, or nothing would map the folio."""
        every = range(self.size)
        if what == "exit":
            pages = every
        others = sum(self.mapped(q, every) for q in range(len(self.mms)) if q != p)
        kept = others + self.mapped(p, every) - self.mapped(p, pages)
        if what == "fork" and len(self.mms) < MOST:
            self.fork(p)
        elif what == "exit" and kept and len(self.mms) > 1:
            self.remove(p, pages)
            self.happen(Unmap(p, FACTS, gone=True), pages)
            del self.mms[p]
        elif what == "give up" and kept:
            if self.mappings(p, every) and len(pages) < self.size:
                self.split(p)
            self.remove(p, pages)
            self.happen(Dontneed(p, FACTS), pages)
        elif what == "split":
            self.split(p)
        elif what == "map" and not self.mapped(p, pages):
            self.block.pmds[p] = Pmd.TABLE
            self.trackers.add(self.mms[p], len(pages))
            self.set_ptes(p, pages)

    def fork(self, p: int) -> None:
        self.born += 1
        self.mms.append(self.born)
        if mappings := self.mappings(p, range(self.size)):
            self.trackers.add(self.born, mappings)
        self.happen(Fork(p, FACTS, copy=True), range(self.size))

    def remove(self, p: int, pages: range) -> None:
        if self.mapped(p, pages):
            self.trackers.remove(self.mms[p], self.mappings(p, pages))

    def split(self, p: int) -> None:
        """The entry of 2 MiB of a process, if it has one."""
        if self.block.pmds[p] is Pmd.HUGE:
            self.happen(SplitPmd(p, FACTS), range(self.size))
            self.trackers.add(self.mms[p], self.size)
            self.trackers.remove(self.mms[p], 1)


DOES = ("fork", "fork", "exit", "give up", "give up", "give up", "map", "split")


def steps(size: int, most: int) -> st.SearchStrategy[list[tuple[str, int, int, int]]]:
    number = st.integers(0, size - 1)
    return st.lists(st.tuples(st.sampled_from(DOES), number, number, number), max_size=most)


def follow(size: int, happened: list[tuple[str, int, int, int]]) -> None:
    crowd = Crowd(size)
    for what, p, one, other in happened:
        low, high = sorted((one, other))
        pages = range(size) if low == high and what != "map" else range(low, high + 1)
        crowd.take(what, p % len(crowd.mms), pages)
        assert has_shared_bit(crowd.block, crowd.folio) == crowd.trackers.bit, happened


@settings(max_examples=examples(2000), deadline=None)
@given(steps(4, 30))
def test_the_bit_is_that_of_the_trackers(happened: list[tuple[str, int, int, int]]) -> None:
    """Does what is kept of a folio say the same, whoever comes and goes?"""
    follow(4, happened)


@settings(max_examples=examples(50), deadline=None)
@given(steps(512, 20))
def test_a_pmd_entry_counts_once(happened: list[tuple[str, int, int, int]]) -> None:
    """Does it where entries of 2 MiB are copied and split?"""
    follow(512, happened)


BEGIN = "- {write: buf}\n- {fork: a}\n- {fork: b}\n"
GIVEN_UP = "- {madvise: buf, advice: MADV_DONTNEED}\n"
OUT = "- {madvise: buf, advice: MADV_PAGEOUT, process: b"

SEEN = {
    "the third of three": (
        "64KiB",
        BEGIN + "- {exit: a}\n" + GIVEN_UP + "- {write: buf, process: b}\n",
        {"wp_copy": 16},
    ),
    "one that the folio knows": (
        "64KiB",
        BEGIN + "- {exit: b}\n" + GIVEN_UP + "- {write: buf, process: a}\n",
        {"wp_reuse": 16},
    ),
    "a child of the third, for which there is room": (
        "64KiB",
        BEGIN + GIVEN_UP + "- {fork: c, process: b}\n- {exit: a}\n- {exit: b}\n"
        "- {write: buf, process: c}\n",
        {"wp_reuse": 16},
    ),
    "a part of it is not split": (
        "64KiB",
        BEGIN + "- {exit: a}\n" + GIVEN_UP + OUT + ", length: 4KiB}\n" + OUT + "}\n",
        {"mthp_swpout": 1, "pswpout": 16},
    ),
    "what has lost a page is not moved, so not split": (
        "64KiB",
        BEGIN + "- {exit: a}\n- {exit: main}\n"
        "- {madvise: buf, advice: MADV_DONTNEED, length: 4KiB, process: b}\n"
        "- {migrate: buf, process: b}\n- {write: buf, process: b}\n",
        {"wp_copy": 15, "mthp_split": 0},
    ),
    "a PMD entry counts once": (
        "2MiB",
        BEGIN + "- {exit: a}\n" + GIVEN_UP + OUT + ", length: 4KiB}\n",
        {"mthp_split": 1, "pswpout": 1},
    ),
    "a PMD entry that is split late": (
        "2MiB",
        BEGIN
        + "- {exit: a}\n- {mprotect: buf, prot: r, length: 4KiB, process: b}\n"
        + GIVEN_UP
        + "- {write: buf, offset: 4KiB, length: 2044KiB, process: b}\n",
        {"wp_copy": 511},
    ),
}
"""A size, what happens to a folio of it, and what Linux 6.18.44 counted, among others."""


@pytest.mark.parametrize("what", some(SEEN, 4))
def test_a_kernel_counted_the_same(what: str) -> None:
    """Is the folio reused, copied or split as it was on a real kernel?"""
    size, happened, counted = SEEN[what]
    text = f"machine: {{kernel: '6.18', thp: {size}}}\nsteps:\n- {{mmap: buf, size: {size}}}\n"
    total = engine.replay(load_text((text + happened).encode(), what), MERGED).total
    found = {name: total.get(name, 0) for name in ("wp_copy", "wp_reuse", "pswpout", *counted)}
    assert found == {"wp_copy": 0, "wp_reuse": 0, "pswpout": 0, **counted}
