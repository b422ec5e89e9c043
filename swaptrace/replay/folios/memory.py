"""Regions whose memory may come in large folios: blocks of pages, one page table each.

`Folios` stands beside the regions' arrays of columns, which have no large folios, and takes the
events that the replay sends to pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Map
from typing import TYPE_CHECKING, Final

from swaptrace.errors import NotModelled, SwaptraceError, TooManyPages
from swaptrace.kernels import Rule, follows, version
from swaptrace.mm import checks
from swaptrace.mm.block import Block, Pmd
from swaptrace.mm.blockwalk import isolate, madvise_free_range, madvise_pageout_range
from swaptrace.mm.column import ENTRY_BYTES, Column
from swaptrace.mm.event import (
    Access,
    ClearRefs,
    Dontneed,
    Event,
    Facts,
    Fork,
    Free,
    Mprotect,
    Pageout,
    Populate,
    SetVma,
    SwapIn,
    Unmap,
    Writeprotect,
)
from swaptrace.mm.huge_memory import split_huge_pmd
from swaptrace.mm.khugepaged import Scan, collapse_huge_page, collapse_scan_pmd
from swaptrace.mm.pmd import PmdPage, after_walk, before_walk
from swaptrace.mm.transition import perform
from swaptrace.replay.access import anon_vma_prepare
from swaptrace.replay.family import Family, Process
from swaptrace.replay.folios.slotmap import SlotMap
from swaptrace.replay.runs.readahead import Pass
from swaptrace.replay.runs.region import Walk
from swaptrace.replay.space import AddressSpace, VmArea
from swaptrace.replay.tally import Tally
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.thp import ThpSize, sizes
from swaptrace.vmflags import NO_FLAGS, VmFlag

if TYPE_CHECKING:
    from swaptrace.replay.world import World

SIZES: Final[Map[ThpSize, int]] = {
    "16KiB": 2,
    "32KiB": 3,
    "64KiB": 4,
    "128KiB": 5,
    "256KiB": 6,
    "512KiB": 7,
    "1MiB": 8,
    "2MiB": 9,
}
"""The order of each size, with pages of 4 KiB."""

MAX_PAGES: Final = 1 << 18
"""A gigabyte: each page is an object of its own."""

MODELLED: Final = (
    *(Access, Populate, Pageout, Free, Dontneed, SwapIn, SetVma, Mprotect, Writeprotect),
    *(ClearRefs, Fork, Unmap),
)
"""The events that a block can have."""

FIRST_KERNEL: Final = (6, 15)
"""The first whose large folios are modelled."""


def check_modelled(machine: Machine, functions: bool) -> None:
    """Raise `SwaptraceError` for a machine with large folios that no model is there for."""
    what = ""
    if version(machine.kernel) < FIRST_KERNEL:
        what = f"before Linux 6.15, and the scenario's kernel is {machine.kernel}"
    elif machine.page_size != 4096:
        what = "with pages of another size than 4KiB"
    elif machine.memory is not None:
        what = "under a memory limit (machine.memory)"
    elif functions:
        what = "under a policy that is a kernel tree"
    if what:
        raise SwaptraceError(f"large folios (machine.thp) are not modelled {what}")


def orders_of(machine: Machine, flags: VmFlag) -> tuple[int, ...]:
    """thp_vma_allowable_orders(): those of a VMA, largest first."""
    if VmFlag.NOHUGEPAGE in flags:
        return ()
    used = ("always", "madvise") if VmFlag.HUGEPAGE in flags else ("always",)
    return tuple(SIZES[each.size] for each in reversed(sizes(machine.thp)) if each.enabled in used)


class Folios:
    """All pages of a world whose machine allows large folios, block by block."""

    def __init__(self, world: World) -> None:
        machine = world.machine
        check_modelled(machine, bool(world.table.policy.functions))
        self.world = world
        self.blocks: dict[int, list[Block]] = {}
        table = machine.page_size // ENTRY_BYTES
        first = follows(machine.kernel, Rule.NONFULL_CLUSTERS_FIRST)
        self.slots = SlotMap(world.device.total, table, first)
        self.table_pages = table
        self.reads_ahead = machine.swap.page_cluster > 0
        kinds = (NO_FLAGS, VmFlag.HUGEPAGE, VmFlag.NOHUGEPAGE)
        self.orders = {flags: orders_of(machine, flags) for flags in kinds}

    def place(self, family: Family, pages: int, column: int) -> None:
        """A new region, with nothing in it."""
        there = (len(b.maps) for f in self.world.families() for b in self.blocks.get(id(f), ()))
        if sum(there) + pages > MAX_PAGES:
            raise TooManyPages(
                f"with large folios (machine.thp) pages are replayed one by one; at most "
                f"{MAX_PAGES} can be mapped"
            )
        end, size = family.end, self.table_pages
        if any(self.orders.values()):
            self.check_apart(family)
        starts = [family.base, *range(family.base // size * size + size, end, size)]
        ends = [*starts[1:], end]
        self.blocks[id(family)] = [
            Block(start, [list(self.world.table.columns[column].maps) for _ in range(start, stop)])
            for start, stop in zip(starts, ends, strict=True)
        ]

    def check_apart(self, family: Family) -> None:
        """Raise where a page table would be of two regions."""
        first, last = (page // self.table_pages for page in (family.base, family.end - 1))
        for other in self.world.processes[family.members[0]].families():
            begins, ends = (page // self.table_pages for page in (other.base, other.end - 1))
            if other is not family and begins <= last and first <= ends:
                raise NotModelled(
                    f"with large folios (machine.thp) regions that share 2 MiB of addresses are "
                    f"not modelled; {other.name} and {family.name} do"
                )

    def parts(self, family: Family, walk: Walk) -> Iterator[tuple[Block, range]]:
        """The blocks of a walk, and the pages of each that it visits in a row."""
        if walk.contiguous and not walk.backward and walk.seed is None:
            low, high = family.base + walk.first, family.base + walk.first + walk.count
            for block in self.blocks[id(family)]:
                first, last = max(low, block.base), min(high, block.base + len(block.maps))
                if first < last:
                    yield block, range(first - block.base, last - block.base)
            return
        for page in walk.pages().tolist():
            block, i = self.locate(family, page)
            yield block, range(i, i + 1)

    def columns(self, family: Family) -> Iterator[Column]:
        """Each page of a region by itself."""
        policy = self.world.table.policy
        for block in self.blocks[id(family)]:
            around = Around(self, family, block)
            for i in range(len(block.maps)):
                yield PmdPage(block, i, policy, around).as_column(numbered=True)

    def key(self) -> tuple[object, ...]:
        """Equal for two moments after which the same happens."""
        families = {id(family): family for family in self.world.families()}
        return (
            self.slots.key(),
            *(
                (tuple(self.columns(family)), tuple(b.key() for b in self.blocks[number]))
                for number, family in families.items()
            ),
        )

    def switch_after(self, folios: int) -> None:
        """Nothing is reclaimed."""

    def lru_gen(self) -> None:
        """There are no generations."""

    def locate(self, family: Family, page: int) -> tuple[Block, int]:
        """A page of a region: its block, and where it is in that."""
        blocks = self.blocks[id(family)]
        address = family.base + page
        block = blocks[address // self.table_pages - family.base // self.table_pages]
        return block, address - block.base

    def send(self, tally: Tally, family: Family, walk: Walk, event: Event) -> bool:
        """Let an event happen to the pages of a walk, in its order; False if one ended the step."""
        if not isinstance(event, MODELLED):
            what = type(event).__name__.lower()
            raise SwaptraceError(f"{what} is not modelled with large folios (machine.thp)")
        for block, pages in self.parts(family, walk):
            around = Around(self, family, block)
            if isinstance(event, Pageout | Free):
                page = PmdPage(block, pages.start, self.world.table.policy, around)
                advise = madvise_pageout_range if isinstance(event, Pageout) else madvise_free_range
                advise(page, event.process, pages)
                self.count(tally, family, page, event)
                continue
            first = PmdPage(block, pages.start, self.world.table.policy, around)
            before_walk(first, event, pages)
            for i in pages:
                page = PmdPage(block, i, self.world.table.policy, around)
                perform(page, event)
                self.count(tally, family, page, event)
                if page.ends:
                    return False
            after_walk(first, event, pages)
        return True

    def cached_alone(self) -> bool:
        """Whether there is a slot that the allocator could take back: of a folio in the swap cache
        that no swap PTE needs."""
        blocks = (block for family in self.world.families() for block in self.blocks[id(family)])
        return any(
            not block.folio_swapped(f) for block in blocks for f in set(block.cached.values())
        )

    def adjust_trans_huge(self, tally: Tally, process: Process, address: int) -> None:
        """vma_adjust_trans_huge(): a huge entry does not go on beyond the end of a VMA."""
        if not any(address in (area.start, area.end) for area in process.space.areas):
            return
        for family in process.families():
            if family.base < address < family.end and address % self.table_pages:
                block, i = self.locate(family, address - family.base)
                page = PmdPage(block, i, self.world.table.policy, Around(self, family, block))
                p = family.members.index(process.name)
                if block.pmds[p] is Pmd.HUGE:
                    split_huge_pmd(page, p)
                    self.count(tally, family, page, None)

    def collapse(self, tally: Tally, family: Family, page: int, member: int) -> Scan:
        """MADV_COLLAPSE of the 2 MiB that begin with a page."""
        block, i = self.locate(family, page)
        here = PmdPage(block, i, self.world.table.policy, Around(self, family, block))
        scanned = collapse_scan_pmd(here, member)
        if scanned is Scan.SUCCEED:
            collapse_huge_page(here, member)
            self.count(tally, family, here, None)
        return scanned

    def cold(self, tally: Tally, family: Family, walk: Walk, member: int) -> None:
        """MADV_COLD splits what MADV_PAGEOUT would."""
        for block, pages in self.parts(family, walk):
            page = PmdPage(block, pages.start, self.world.table.policy, Around(self, family, block))
            isolate(page, member, pages)
            self.count(tally, family, page, None)

    def count(self, tally: Tally, family: Family, page: PmdPage, event: Event | None) -> None:
        """Check what an event has made of the pages that it touched, and add up what it counted."""
        block = page.block
        gone = isinstance(event, Unmap) and event.gone
        for i, before in [] if gone else sorted(block.touched.items()):
            here = page if i == page.i else page.at(i)
            if i != page.i or not isinstance(event, Access):
                entries = before if i == page.i else block.by_table(before, here.maps)
                checks.count_spurious_dirty(here, entries, writer=None)
            broken = checks.newly_broken(Column(tuple(before)), here.maps)
            for kind, p in (page.broken if i == page.i else []) + broken:
                first = family.base
                tally.see(kind, family.members[p], family.name, block.base + i - first, 1)
        block.touched.clear()
        block.settle(page.around)
        block.forget_folios()
        tally.counts = [a + b for a, b in zip(tally.counts, page.counts, strict=True)]


class Around:
    """What lies around one block of a region."""

    def __init__(self, folios: Folios, family: Family, block: Block) -> None:
        self.folios, self.family, self.block = folios, family, block

    @property
    def facts(self) -> Facts:
        """As they are now."""
        facts = self.folios.world.facts
        return facts._replace(swap_full=True) if self.folios.slots.swap_full else facts

    def area(self, p: int, i: int) -> tuple[AddressSpace, VmArea]:
        """The VMA that page `i` lies in, and the address space of which it is."""
        space = self.folios.world.processes[self.family.members[p]].space
        address = self.block.base + i
        return space, space.within(address, address + 1)[0]

    def orders(self, p: int, i: int) -> tuple[int, ...]:
        """thp_vma_allowable_orders()."""
        flags = self.area(p, i)[1].flags
        return self.folios.orders[flags & (VmFlag.HUGEPAGE | VmFlag.NOHUGEPAGE)]

    def bounds(self, p: int, i: int) -> tuple[int, int]:
        """The part of the block that the VMA covers."""
        _, area = self.area(p, i)
        base = self.block.base
        return max(area.start - base, 0), min(area.end - base, len(self.block.maps))

    def anon_vma_prepare(self, p: int, i: int) -> None:
        """__anon_vma_prepare()."""
        world = self.folios.world
        process = world.processes[self.family.members[p]]
        anon_vma_prepare(world, process, self.area(p, i)[1])

    def allocate(self, order: int) -> int | None:
        """folio_alloc_swap()."""
        if self.folios.slots.swap_full and self.folios.cached_alone():
            raise SwaptraceError(
                "large folios (machine.thp) are not modelled on a swap device that is more than "
                "half full and has slots that only the swap cache holds"
            )
        return self.folios.slots.allocate(order)

    def release(self, slot: int) -> None:
        """swap_range_free()."""
        self.folios.slots.release(slot)

    def ahead(self, p: int, i: int) -> tuple[Pass, AddressSpace, VmArea]:
        """The read-ahead of the VMA that page `i` lies in."""
        space, area = self.area(p, i)
        world, family = self.folios.world, self.family
        event = Access(p, world.facts, read=True, store=None)
        bounds = max(area.start - family.base, 0), min(area.end, family.end) - family.base
        return Pass(world, family, event, bounds, area.readahead), space, area

    def window(self, p: int, i: int) -> range:
        """swap_vma_ra_win(); one page where the machine does not read ahead."""
        if not self.folios.reads_ahead:
            return range(i, i + 1)
        ahead, space, area = self.ahead(p, i)
        start, end = ahead.window(self.block.base + i)
        space.put(area, area._replace(readahead=ahead.readahead))
        moved = self.family.base - self.block.base
        return range(start + moved, end + moved)

    def hit(self, p: int, i: int, ahead: bool) -> None:
        """swap_cache_get_folio()."""
        if self.folios.reads_ahead:
            state, space, area = self.ahead(p, i)
            state.note_hit(self.block.base + i, ahead)
            space.put(area, area._replace(readahead=state.readahead))
