"""What the multi-generational LRU asks of address spaces: processes, addresses, VMAs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from swaptrace.reclaim import memory
from swaptrace.replay.pages.dense import first_page
from swaptrace.result.lrugen import TYPES, Generation, LruGen, Tier

if TYPE_CHECKING:
    from swaptrace.replay.pages.parts import Parts
    from swaptrace.replay.processes import Process, SharedRegion

Stamp: TypeAlias = tuple[tuple[object, ...], ...]

ENTRY: int = 8
"""Bytes that a PTE takes."""


class PageTables:
    """Numbers the processes in the order in which they came to be (lru_gen_add_mm), and tells the
    inner loop whose page tables the regions are in."""

    def __init__(self) -> None:
        self._numbered: dict[str, tuple[Process, int]] = {}
        self._stamp: Stamp = ()

    def number(self, arena: Parts, name: str) -> int:
        """A process's number; another process by the same name has another."""
        process = arena.world.processes[name]
        known = self._numbered.get(name)
        if known is None or known[0] is not process:
            number = int(arena.v[memory.PROCESSES])
            arena.v[memory.PROCESSES] += 1
            known = self._numbered[name] = process, number
        return known[1]

    def switched_to(self, arena: Parts, name: str) -> None:
        """Mark a process as one that has run, if it has regions."""
        shared = next((f for f in arena.shared_regions if name in f.members), None)
        if shared is not None:
            place = int(arena.v[memory.BASE]) + first_page(shared) * int(arena.v[memory.WIDTH])
            arena.nodes["flags"][place + shared.members.index(name)] |= np.uint32(memory.RAN)
            arena.v[memory.CURRENT] = self.number(arena, name)

    def name(self, number: int) -> str:
        """The process that has a number; empty if none that lives."""
        return next((name for name, known in self._numbered.items() if known[1] == number), "")

    def changed(self, arena: Parts) -> bool:
        """Whether processes, regions or VMAs are others than when it was last asked."""
        for name in arena.world.processes:
            self.number(arena, name)
        stamp = tuple(stamp_of(arena, shared) for shared in arena.shared_regions)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        for shared in arena.shared_regions:
            mark_areas(arena, shared)
        return True

    def describe(self, arena: Parts) -> None:
        """Fill in the tables."""
        arrays = arena.table.arrays
        arrays["process"][:] = -1
        for at, shared in enumerate(arena.shared_regions):
            arrays["address"][at] = shared.base
            arrays["end"][at] = first_page(shared) + shared.region.pages
            arrays["split"][at] = any(
                area_starts(arena, shared, name) != [0] for name in shared.members
            )
            for k, name in enumerate(shared.members):
                if name in arena.world.processes:
                    arrays["process"][at, k] = self.number(arena, name)


def stamp_of(arena: Parts, shared: SharedRegion) -> tuple[object, ...]:
    """Equal as long as a region lies where it did, and its VMAs begin where they did."""
    starts = (tuple(area_starts(arena, shared, name)) for name in shared.members)
    return first_page(shared), shared.base, tuple(shared.members), tuple(starts)


def area_starts(arena: Parts, shared: SharedRegion, name: str) -> list[int]:
    """The pages of a region with which a VMA of the process begins; and holes end VMAs."""
    process = arena.world.processes.get(name)
    if process is None:
        return []
    areas = process.space.within(shared.base, shared.end)
    edges = {edge for area in areas for edge in (area.start, area.end)}
    return sorted(edge - shared.base for edge in edges if shared.base <= edge < shared.end)


def mark_areas(arena: Parts, shared: SharedRegion) -> None:
    """VMA_START, for all pages of a region."""
    base, width = int(arena.v[memory.BASE]), int(arena.v[memory.WIDTH])
    places: np.ndarray[Any, Any] = arena.nodes["flags"][base:].reshape(-1, width)
    first = first_page(shared)
    pages = places[first : first + shared.region.pages]
    pages &= np.uint32(~memory.VMA_START & 0xFFFFFFFF)
    for k, name in enumerate(shared.members):
        pages[area_starts(arena, shared, name), k] |= np.uint32(memory.VMA_START)


def new_page_tables(arena: Parts, first: int, pages: int) -> None:
    """PMD entries are young when they are made (_PAGE_TABLE)."""
    base, width = int(arena.v[memory.BASE]), int(arena.v[memory.WIDTH])
    arena.nodes["flags"][base + first * width :][: pages * width] |= np.uint32(memory.PMD_YOUNG)


def lru_gen(v: np.ndarray[Any, Any]) -> LruGen:
    """The generations and tiers as they are."""
    oldest, newest = int(v[memory.MIN_SEQ]), int(v[memory.MAX_SEQ])
    pages = v[memory.GEN_PAGES :][: memory.HEADS].reshape(-1, memory.TYPES).tolist()
    return LruGen(
        generations=tuple(
            Generation(seq, *pages[seq % memory.MAX_NR_GENS]) for seq in range(oldest, newest + 1)
        ),
        tiers=tuple(
            Tier(kind, tier, *counts)
            for number, kind in enumerate(TYPES)
            for tier in range(memory.MAX_NR_TIERS)
            if any(counts := tier_counts(v, number * memory.MAX_NR_TIERS + tier))
        ),
    )


def tier_counts(v: np.ndarray[Any, Any], at: int) -> list[int]:
    """Refaulted, evicted, protected."""
    places = (memory.TIER_REFAULTED, memory.TIER_EVICTED, memory.TIER_PROTECTED)
    return [int(v[place + at]) for place in places]


def start_generations(v: np.ndarray[Any, Any], page_size: int) -> None:
    """lru_gen_init_lruvec()"""
    v[memory.MGLRU] = 1
    v[memory.SWITCHED] = memory.RESCHEDULED
    v[memory.MAX_SEQ] = memory.MIN_NR_GENS + 1
    v[memory.IN_FAULT] = 1
    v[memory.PTRS_PER_PTE] = page_size // ENTRY
