"""/proc/PID/pagemap as a run-length code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from swaptrace.kernels import Rule
from swaptrace.mm.checks import reads_soft_dirty
from swaptrace.mm.column import Column, Marker, Pte, SwapPte
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.world import World
from swaptrace.scenario.claims import NO_FLAGS, PageRun, merged, page_code


def page_maps(world: World) -> dict[str, dict[str, str]]:
    """Process to region to code, for every process that lives."""
    return {
        process.name: {name: page_map(world, name, process.name) for name in process.regions}
        for process in world.processes.values()
    }


def page_map(world: World, region: str, process: str) -> str:
    """One region: `512PDX` or `8PX,504SD`."""
    return page_code(page_runs(world, region, process))


def page_runs(world: World, region: str, process: str) -> tuple[PageRun, ...]:
    """The page map of one region as runs."""
    shared = world.processes[process].regions[region]
    member = shared.member(process)
    runs = merged(
        PageRun(pages, flags_of(column, member, world.machine.soft_dirty))
        for pages, column in column_runs(world, shared)
    )
    by_page = world.follows(Rule.PAGEMAP_BY_PAGE) and not world.follows(Rule.PAGEMAP_BY_HEAD)
    if world.arena is None or by_page:
        return runs
    return merged(by_head(runs, world.arena.huge(shared, member)))


def by_head(runs: Iterable[PageRun], blocks: Iterable[tuple[int, bool]]) -> Iterator[PageRun]:
    """Of pages that a PMD entry maps each shows what the first does: pagemap_pmd_range_thp() asks
    for the map count of that one alone. `blocks` are as of `SinglePages.huge`."""
    left = list(runs)[::-1]
    for pages, huge in blocks:
        taken = list(take(left, pages))
        yield from [PageRun(pages, taken[0].flags)] if huge else taken


def take(left: list[PageRun], pages: int) -> Iterator[PageRun]:
    """So many pages of runs, which stand in reverse order and lose them."""
    while pages:
        count, flags = left.pop()
        if count > pages:
            left.append(PageRun(count - pages, flags))
        yield PageRun(min(count, pages), flags)
        pages -= min(count, pages)


def column_runs(world: World, shared: SharedRegion) -> Iterator[tuple[int, Column]]:
    """The pages of a region, runs of equal ones together, and the column of each."""
    return pages_of(world, shared, Walk(0, shared.region.pages))


def column_counts(world: World, shared: SharedRegion) -> Iterator[tuple[int, Column]]:
    """How many pages of a region have which column, wherever they lie; a column may come again."""
    single = None if world.arena is None else world.arena.columns(shared)
    if single is not None:
        yield from single
        return
    for number, pages in shared.region.histogram(Walk(0, shared.region.pages)).items():
        yield pages, world.table.columns[number]


def pages_of(world: World, shared: SharedRegion, walk: Walk) -> Iterator[tuple[int, Column]]:
    """The same of a part of it, which is contiguous."""
    single = None if world.arena is None else world.arena.columns(shared)
    if single is not None:
        yield from part_of(single, walk)
        return
    for _, pages, number in shared.region.segments(walk):
        yield pages, world.table.columns[number]


def part_of(runs: Iterable[tuple[int, Column]], walk: Walk) -> Iterator[tuple[int, Column]]:
    """What a contiguous walk meets of the runs of a whole region."""
    at = 0
    for pages, column in runs:
        low, high = max(at, walk.first), min(at + pages, walk.end)
        if low < high:
            yield high - low, column
        at += pages


def flags_of(column: Column, member: int, soft_dirty: bool) -> str:
    """pte_to_pagemap_entry(), as `LETTERS`; `-` where none is set."""
    mapping = column.maps[member]
    pte = mapping.pte
    huge = mapping.vma is not None and mapping.vma.hugetlb  # pagemap_hugetlb_range()
    letters = {Pte: "P", SwapPte: "S", Marker: "" if huge else "S"}.get(type(pte), "")
    if soft_dirty and reads_soft_dirty(mapping):
        letters += "D"
    if isinstance(pte, Pte) and not pte.is_zero_page and column.mapcount(pte.folio) == 1:
        letters += "X"
    if pte is not None and pte.uffd_wp:
        letters += "U"
    return letters or NO_FLAGS
