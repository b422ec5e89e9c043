"""What an event does to pages of a block: as mm/transition.py, where pages have neighbours."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

from swaptrace.counters import ViolationKind
from swaptrace.mm import checks
from swaptrace.mm.block import Block, Pmd, Surroundings
from swaptrace.mm.blockevent import (
    BlockChange,
    BlockEvent,
    Collapse,
    Isolate,
    Shrink,
    SplitFolios,
    SplitPage,
    SplitPmd,
    Teller,
)
from swaptrace.mm.blockmigrate import migrate_range
from swaptrace.mm.blockmlock import large_mlocks
from swaptrace.mm.blockpins import broken_at, broken_pins
from swaptrace.mm.blockwalk import (
    isolate,
    level_batches,
    madvise_free_range,
    putback,
    shrink_folio_list,
)
from swaptrace.mm.column import Column
from swaptrace.mm.event import Access, Free, Migrate, Mprotect, Unmap, Writeprotect
from swaptrace.mm.huge_memory import split_folio, split_huge_pmd
from swaptrace.mm.khugepaged import KhugepagedScan, collapse_huge_page, collapse_scan_pmd
from swaptrace.mm.pmd import PmdPage, after_walk, before_walk
from swaptrace.mm.policy import Policy
from swaptrace.mm.transition import NOUGHT, perform
from swaptrace.mm.vmscan import deactivate

OnRange: TypeAlias = Isolate | Free | Migrate | SplitPmd | SplitPage | Collapse
"""What happens to pages together."""


@dataclass(slots=True)
class Happened:
    """What has come of an event, besides the block.

    `violations` are kinds with process and page; `ends` that nothing more of the step happens,
    `stops` that nothing more of it happens to what the page table maps; `drained` that a fault has
    called lru_add_drain();
    `isolated` are the folios that the first half of MADV_PAGEOUT leaves to the second, `scanned`
    what MADV_COLLAPSE found, `changes` what happened one after the other, if that is asked for.
    `broken_pins` are the pages with the processes that read something else through their pin.
    """

    counts: list[int] = field(default_factory=lambda: list(NOUGHT))
    violations: list[tuple[ViolationKind, int, int]] = field(default_factory=list)
    ends: bool = False
    stops: bool = False
    drained: bool = False
    isolated: tuple[int, ...] = ()
    scanned: KhugepagedScan | None = None
    changes: list[BlockChange] = field(default_factory=list)
    broken_pins: set[tuple[int, int]] = field(default_factory=set)


def happen(
    block: Block,
    event: BlockEvent,
    pages: range,
    policy: Policy,
    around: Surroundings,
    tells: bool = False,
    kind: type[PmdPage] = PmdPage,
) -> Happened:
    """Let an event happen to pages of a block, in their order; `tells` asks for what happened,
    `kind` is what a page is to the kernel's functions."""
    done, teller = Happened(broken_pins=broken_pins(block)), Teller(block) if tells else None
    first = kind(block, pages[0], policy, around)
    if isinstance(event, OnRange):
        on_range(done, first, event, pages)
        done.stops = first.stops
        settle(done, first, event, teller)
        return done
    if isinstance(event, Shrink | SplitFolios):
        shrunk: list[int] = []
        for f in event.folios:
            page = kind(block, block.folios[f].first, policy, around)
            if isinstance(event, Shrink):
                shrunk += shrink_folio_list(page, deque([f]), event.held)
            else:
                split_folio(page, f)
            settle(done, page, event, teller)
        putback(first, shrunk)
        return done
    before_walk(first, event, pages)
    if isinstance(event, Mprotect | Writeprotect) and first.facts.batches_protection:
        level_batches(first, event, pages)
    locks = large_mlocks(first, event, pages)
    for i in pages:
        page = first if i == first.i else kind(block, i, policy, around)
        block.touch(i)
        if i in locks:
            page.queue_mlock(*locks[i])
        perform(page, event)
        settle(done, page, event, teller)
        if page.ends:
            done.ends = True
            return done
    after_walk(first, event, pages)
    return done


def on_range(
    done: Happened,
    page: PmdPage,
    event: OnRange,
    pages: range,
) -> None:
    """What happens to pages together."""
    p = event.process
    match event:
        case Isolate():
            done.isolated = tuple(isolate(page, p, pages))
            for f in done.isolated if event.cold else ():
                deactivate(page.at(page.block.folios[f].first), f)
        case Free():
            madvise_free_range(page, p, pages)
        case Migrate():
            migrate_range(page, p, pages)
        case SplitPmd():
            if page.block.pmds[p] is Pmd.HUGE:
                split_huge_pmd(page, p)
        case SplitPage():
            page.split_huge_page(p)
        case Collapse():
            done.scanned = collapse_scan_pmd(page, p)
            if done.scanned is KhugepagedScan.SUCCEED:
                done.scanned = collapse_huge_page(page, p)
            done.ends = done.scanned.ends


def settle(done: Happened, page: PmdPage, event: BlockEvent, teller: Teller | None) -> None:
    """Check what an event has made of the pages that it touched, and add up what it counted."""
    page.let_go()
    block, touched, known = page.block, sorted(page.block.touched), len(done.violations)
    gone = isinstance(event, Unmap) and event.gone
    for i, before in [] if gone else sorted(block.touched.items()):
        here = page if i == page.i else page.at(i)
        if i != page.i or not isinstance(event, Access):
            entries = before if i == page.i else block.by_table(before, here.maps)
            checks.count_spurious_dirty(here, entries, writer=None)
        broken = checks.newly_broken(Column(tuple(before)), here.maps)
        for kind, p in (page.broken if i == page.i else []) + broken:
            done.violations.append((kind, p, i))
    if block.pins and not gone:
        check_pins(done, block, {*touched, *block.altered})
    if teller is not None:
        remapped = {i for i, before in block.touched.items() if before != block.maps[i]}
        teller.altered |= remapped | block.altered
    block.touched.clear()
    block.altered.clear()
    block.settle(page.around)
    block.forget_folios()
    if teller is not None:
        teller.tell(done.changes, page, event, touched, done.violations[known:])
    done.drained |= page.batched.drained
    done.counts = [a + b for a, b in zip(done.counts, page.counts, strict=True)]


def check_pins(done: Happened, block: Block, pages: set[int]) -> None:
    """Find the pins of pages that have come to read something else."""
    for i in sorted(pages):
        for pin in broken_at(block, i):
            if (i, pin.process) not in done.broken_pins:
                done.broken_pins.add((i, pin.process))
                done.violations.append((ViolationKind.PIN_BROKEN, pin.process, i))
