"""mincore(): which pages are in memory (mm/mincore.c)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from swaptrace.mm.column import Column, Pte, SwapPte
from swaptrace.replay.call import Call, Errno, begin, is_aligned
from swaptrace.replay.pagemap import pages_of
from swaptrace.replay.processes import Process
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.pagescan import NOT_FOUND, PRESENT, MincoreStep, Scanned, letters


def mincore(world: World, tally: Tally, process: Process, step: MincoreStep) -> Errno:
    """do_mincore(), VMA by VMA up to the first hole; the answer is kept with the process."""
    process.scanned = None
    if not is_aligned(world, step.span.offset):
        return "EINVAL"
    if step.span.length < 0:  # access_ok()
        return "ENOMEM"
    call, runs = begin(world, tally, process, step.region, step.span), list[tuple[int, bool]]()
    at = call.start
    for start, end, _ in call.space.clipped(call.start, call.end):
        if at < start:
            break
        if not step.vec:
            return "EFAULT"
        runs += pages_in_memory(call, start, end)
        at = end
    if at < call.end:
        return "ENOMEM"
    process.scanned = scanned(runs, world.machine.page_size)
    return None


def pages_in_memory(call: Call, start: int, end: int) -> Iterator[tuple[int, bool]]:
    """Runs of pages of one VMA, and whether they are in memory."""
    for shared, walk, member in call.pieces(start, end):
        for pages, column in pages_of(call.world, shared, walk):
            yield pages, is_in_memory(column, member)


def is_in_memory(column: Column, member: int) -> bool:
    """mincore_pte_range(): mapped, or in the swap cache, or where nothing is mapped in the page
    cache of the object (filemap_get_incore_folio())."""
    mapping = column.maps[member]
    if isinstance(mapping.pte, Pte):
        return True
    if isinstance(mapping.pte, SwapPte):
        return is_cached(column, mapping.pte.slot)
    if column.shmem is None or mapping.vma is None or not mapping.vma.shmem:
        return False
    in_swap_cache = column.shmem.slot is not None and is_cached(column, column.shmem.slot)
    return column.shmem.folio is not None or in_swap_cache


def is_cached(column: Column, slot: int) -> bool:
    """mincore_page() of the swap cache."""
    return any(folio.slot == slot for folio in column.folios)


def scanned(runs: list[tuple[int, bool]], page_size: int) -> Scanned:
    """The answer, equal neighbours as one."""
    merged = [(here, sum(n for n, _ in group)) for here, group in groupby(runs, lambda run: run[1])]
    code = ",".join(f"{n}{letters(PRESENT) if here else NOT_FOUND}" for here, n in merged)
    whole = sum(n for _, n in merged) * page_size
    return Scanned(sum(here for here, _ in merged), whole, code)
