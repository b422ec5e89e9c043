"""PAGEMAP_SCAN (fs/proc/task_mmu.c): which pages of a range are of a kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

import numpy as np

from swaptrace.errors import NotModelled
from swaptrace.features import Feature, has_model
from swaptrace.kernels import Rule
from swaptrace.mm.checks import reads_soft_dirty
from swaptrace.mm.column import ENTRY_BYTES, GUARD, Column, Entry, Pte, Vma
from swaptrace.mm.event import Writeprotect
from swaptrace.replay.call import Call, Errno, begin
from swaptrace.replay.pagemap import pages_of
from swaptrace.replay.processes import Process
from swaptrace.replay.runs.visit import send
from swaptrace.replay.runs.walk import Walk, listed
from swaptrace.replay.space import VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.pagescan import (
    CATEGORIES,
    CHECK_WPASYNC,
    FILE,
    FLAGS,
    HUGE,
    NOT_FOUND,
    PFNZERO,
    PRESENT,
    SOFT_DIRTY,
    SWAPPED,
    WP_MATCHING,
    WPALLOWED,
    WRITTEN,
    PagemapScanStep,
    Scanned,
    letters,
)


class PageRegion(NamedTuple):
    """struct page_region: pages from `start` to `end` (exclusive) with these categories."""

    start: int
    end: int
    categories: int


class OutputFull(Exception):
    """The buffer is full, or there are enough pages (-ENOSPC)."""


@dataclass
class ScanOutput:
    """struct pagemap_scan_private: the regions found so far, those of them that are not copied out
    yet last. `room` is for how many more the caller's buffer has room."""

    most: int
    room: int
    portion: int
    found: int = 0
    walk_end: int = 0
    buffer: list[PageRegion] = field(default_factory=list)
    copied: list[PageRegion] = field(default_factory=list)

    def add(self, categories: int, start: int, end: int) -> int:
        """pagemap_scan_output(): up to which page the pages are found. `OutputFull` is for the
        caller to raise, who has to protect these first."""
        stop = min(end, start + self.most - self.found)
        last = self.buffer[-1] if self.buffer else None
        if last is not None and last.end == start and last.categories == categories:
            self.buffer[-1] = last._replace(end=stop)
        elif len(self.buffer) >= min(self.portion, self.room):
            stop = start
        elif start < stop:
            self.buffer.append(PageRegion(start, stop, categories))
        self.found += stop - start
        if stop < end:
            self.walk_end = stop
        return stop

    def flush(self) -> bool:
        """pagemap_scan_flush_buffer(): copy out; whether the scan is over."""
        self.copied += self.buffer
        self.room -= len(self.buffer)
        self.buffer = []
        return self.room == 0 or self.found == self.most


def pagemap_scan(world: World, tally: Tally, process: Process, step: PagemapScanStep) -> Errno:
    """do_pagemap_scan(); the answer is kept with the process."""
    check_modelled(world, step)
    process.scanned = None
    call = begin(world, tally, process, step.region, step.span)
    pages = call.end - call.start
    vec_len = (pages if step.vec else 0) if step.vec_len is None else step.vec_len
    known = sum(CATEGORIES.values())
    if step.flags & ~sum(FLAGS.values()) or step.masks & ~known or (vec_len and not step.vec):
        return "EINVAL"
    portion = world.machine.page_size // ENTRY_BYTES
    output = ScanOutput(step.max_pages or 1 << 64, vec_len, portion)
    errno = Scan(call, step, output if vec_len else None).run(output)
    if errno is None:
        at = ((output.walk_end or call.end) - call.start) * world.machine.page_size
        code = code_of(output.copied, call.start, call.end)
        process.scanned = Scanned(len(output.copied), at, code)
    return errno


def check_modelled(world: World, step: PagemapScanStep) -> None:
    """Raise `NotModelled` where it is not known what the kernel finds."""
    if not has_model(world.machine.kernel, Feature.PAGEMAP_SCAN):
        raise NotModelled(Feature.PAGEMAP_SCAN.condition)
    if step.masks >> 8 & 0b11 and world.follows(Rule.SCANS_GUARDS):
        raise NotModelled("PAGE_IS_GUARD and PAGE_IS_ACCESSED are not modelled")


@dataclass
class Scan:
    """A scan under way. `output` is None without a buffer."""

    call: Call
    step: PagemapScanStep
    output: ScanOutput | None

    def run(self, output: ScanOutput) -> Errno:
        """Walk until the end, starting over wherever the buffer was full."""
        at, errno = self.call.start, None
        while at < self.call.end:
            try:
                errno = self.walk(at)
            except OutputFull:
                at = output.walk_end
                if output.flush():
                    break
                continue
            output.flush()
            break
        return errno

    def walk(self, at: int) -> Errno:
        """walk_page_range() from a page on."""
        for start, end, area in list(self.call.space.clipped(at, self.call.end)):
            allowed = wp_allowed(area.vma)
            if not allowed and self.step.flags & CHECK_WPASYNC:
                return "EPERM"
            if not allowed and self.step.flags & WP_MATCHING:
                continue
            if self.step.category & WPALLOWED and not allowed ^ bool(
                self.step.inverted & WPALLOWED
            ):
                continue
            self.scan_vma(start, end, area)
        return None

    def scan_vma(self, start: int, end: int, area: VmArea) -> None:
        """Every page of a part of a VMA."""
        if self.step.flags & WP_MATCHING and self.output is None and not area.vma.hugetlb:
            self.protect_all(start, end, area)
            return
        protected: list[tuple[int, int]] = []
        try:
            for low, high, categories in self.pages(start, end, area):
                if not self.is_interesting(categories):
                    continue
                stop = high
                if self.output is not None:
                    stop = self.output.add(categories & self.step.returned, low, high)
                if categories & WRITTEN and self.step.flags & WP_MATCHING and low < stop:
                    self.check_parts(low, stop, categories, area.vma)
                    protected.append((low, stop))
                if stop < high:
                    raise OutputFull
        finally:
            self.protect(protected)

    def protect_all(self, start: int, end: int, area: VmArea) -> None:
        """The short way, which looks at no mask where there is a page table; a huge entry it
        protects if that is found."""
        none = WRITTEN | vma_categories(area.vma, self.call.world.machine.soft_dirty)
        if not self.is_interesting(none) and any(
            column.maps[member].pte is None for _, _, column, member, _ in self.columns(start, end)
        ):
            raise NotModelled(
                "without a buffer, which pages are protected depends on page tables unless the "
                "masks let those through that are not there (PAGE_IS_WRITTEN)"
            )
        self.protect(
            [
                (low, high)
                for low, high, categories in self.pages(start, end, area)
                if not categories & HUGE
                or (self.is_interesting(categories) and categories & WRITTEN)
            ]
        )

    def protect(self, ranges: list[tuple[int, int]]) -> None:
        """make_uffd_wp_pte() of what is not protected yet."""
        for low, high in ranges:
            self.check_guards(low, high)
        if not ranges:
            return
        pages = np.concatenate([np.arange(low, high, dtype=np.int64) for low, high in ranges])
        event = Writeprotect(0, self.call.world.facts, wp=True, scans=True)
        for shared, walk, member in self.call.pieces(ranges[0][0], ranges[-1][1]):
            inside = (pages >= shared.base + walk.first) & (pages < shared.base + walk.end)
            whole = int(inside.sum()) == walk.count
            part = walk if whole else listed(pages[inside] - shared.base)
            named = event._replace(process=member)
            send(self.call.world, self.call.tally, shared, part, named)

    def check_parts(self, start: int, end: int, categories: int, vma: Vma) -> None:
        """What is protected in part is told as if it had never been huge; one of hugetlbfs is not
        protected in part, and ends the scan."""
        table = self.call.world.machine.page_size // ENTRY_BYTES
        if vma.hugetlb and (start % table or end % table):
            raise NotModelled("a scan that protects a part of a huge page is not modelled")
        if categories & HUGE and self.step.masks & HUGE and (start % table or end % table):
            raise NotModelled("it is not modelled that a scan splits what it tells to be huge")

    def check_guards(self, start: int, end: int) -> None:
        """A guard gets a bit that the model has not."""
        columns = self.columns(start, end)
        if any(column.maps[member].pte == GUARD for _, _, column, member, _ in columns):
            raise NotModelled("it is not modelled that a scan write-protects guards")

    def columns(self, start: int, end: int) -> Iterator[tuple[int, int, Column, int, bool]]:
        """Runs of pages that are alike: from where to where, the caller's place in each, and
        whether a PMD entry maps them."""
        world = self.call.world
        for shared, walk, member in self.call.pieces(start, end):
            at = shared.base + walk.first
            arena, base = world.arena, shared.base
            blocks = [(shared.region.pages, False)]
            if arena is not None:
                blocks = list(arena.huge(shared, member))
            for pages, huge in blocks:
                low, high = max(base, at), min(base + pages, shared.base + walk.end)
                base += pages
                part = Walk(low - shared.base, max(0, high - low))
                for count, column in pages_of(world, shared, part) if part.count else ():
                    yield at, at + count, column, member, huge
                    at += count

    def pages(self, start: int, end: int, area: VmArea) -> Iterator[tuple[int, int, int]]:
        """Runs of pages and their categories, equal neighbours as one."""
        found = (
            (low, high, self.categories(column, member, area.vma) | HUGE * huge)
            for low, high, column, member, huge in self.columns(start, end)
        )
        for categories, group in groupby(found, key=lambda run: run[2]):
            runs = list(group)
            yield runs[0][0], runs[-1][1], categories

    def categories(self, column: Column, member: int, vma: Vma) -> int:
        """pagemap_page_category() and pagemap_scan_pte_hole()."""
        mapping, world = column.maps[member], self.call.world
        found = vma_categories(vma, world.machine.soft_dirty) | entry_categories(
            column, mapping.pte
        )
        if world.machine.soft_dirty and reads_soft_dirty(mapping):
            found |= SOFT_DIRTY
        if vma.hugetlb:
            return found | self.hugetlb_category(mapping.pte)
        if mapping.pte is not None and mapping.pte.uffd_wp:
            return found
        if vma.uffd_wp:
            return found | WRITTEN
        if world.follows(Rule.WRITTEN_WHERE_REGISTERED):
            return found
        if mapping.pte is None and self.step.masks & WRITTEN:
            raise NotModelled(
                "whether a page that is not there is PAGE_IS_WRITTEN depends on page tables unless "
                "it is registered for write-protection"
            )
        return found | WRITTEN

    def hugetlb_category(self, pte: Entry) -> int:
        """pagemap_hugetlb_category(): nothing that is not there was written."""
        if pte is None and (self.step.masks & HUGE or self.step.flags & WP_MATCHING):
            raise NotModelled(
                "what a scan does to huge pages that are neither there nor protected depends on "
                "page tables; leave PAGE_IS_HUGE and PM_SCAN_WP_MATCHING out"
            )
        return HUGE | WRITTEN * (pte is not None and not pte.uffd_wp)

    def is_interesting(self, categories: int) -> bool:
        """pagemap_scan_is_interesting_page()."""
        step = self.step
        categories ^= step.inverted
        if categories & step.category != step.category:
            return False
        return not step.anyof or bool(categories & step.anyof)


def wp_allowed(vma: Vma) -> bool:
    """userfaultfd_wp_async() and userfaultfd_wp_use_markers()."""
    return vma.wp_async


def vma_categories(vma: Vma, soft_dirty: bool) -> int:
    """What every page of a VMA is."""
    return WPALLOWED * wp_allowed(vma) | SOFT_DIRTY * (soft_dirty and vma.soft_dirty)


def entry_categories(column: Column, pte: Entry) -> int:
    """What a page-table entry says; a marker is no page, but an entry that is not present."""
    if pte is None:
        return 0
    if isinstance(pte, Pte):
        cached = column.shmem is not None and column.shmem.folio == pte.folio
        return PRESENT | PFNZERO * pte.is_zero_page | FILE * cached
    return SWAPPED


def code_of(regions: list[PageRegion], start: int, end: int) -> str:
    """The pages of a range as a code."""
    runs, at = [], start
    for region in regions:
        if at < region.start:
            runs.append(f"{region.start - at}{NOT_FOUND}")
        runs.append(f"{region.end - region.start}{letters(region.categories)}")
        at = region.end
    if at < end:
        runs.append(f"{end - at}{NOT_FOUND}")
    return ",".join(runs)
