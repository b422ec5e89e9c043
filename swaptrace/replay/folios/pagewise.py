"""Memory in large folios page by page: a block for each page table, which is changed in place.

Where every page may depend on every other nothing can be looked up.
"""

from __future__ import annotations

from collections.abc import Iterator

from swaptrace.errors import NotModelled
from swaptrace.mm.block import Block, Pmd, cached_alone
from swaptrace.mm.blockcolumn import columns
from swaptrace.mm.blockevent import BlockEvent
from swaptrace.mm.blocktransition import Happened, happen
from swaptrace.mm.column import ENTRY_BYTES, Column
from swaptrace.mm.event import Access, Facts
from swaptrace.mm.pmd import PmdPage
from swaptrace.replay.access import anon_vma_prepare
from swaptrace.replay.folios.memory import allowed_orders, check_apart
from swaptrace.replay.folios.slotmap import slot_map
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs.readahead import Pass
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.space import AddressSpace, VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.vmflags import VmFlag


class Pagewise:
    """The blocks of all regions, `table_pages` each; `allowed` are the orders of a VMA by flags,
    `refused` is how often there was no slot for a page."""

    def __init__(self, world: World) -> None:
        machine = world.machine
        self.world, self.allowed = world, allowed_orders(machine)
        self.table_pages = machine.page_size // ENTRY_BYTES
        self.slots = slot_map(machine.kernel, world.device.total, self.table_pages)
        self.blocks: dict[int, list[Block]] = {}
        self.refused = 0
        self.tally = Tally()

    def place(self, shared: SharedRegion, _pages: int, column: int) -> None:
        """A new region, with nothing in it."""
        check_apart(self.world.processes[shared.members[0]], shared, self.table_pages)
        size, maps = self.table_pages, self.world.table.columns[column].maps
        ends = [*range(shared.base - shared.base % size + size, shared.end, size), shared.end]
        starts = [shared.base, *ends[:-1]]
        self.blocks[id(shared)] = [
            Block(start, [list(maps) for _ in range(start, end)])
            for start, end in zip(starts, ends, strict=True)
        ]

    def columns(self, shared: SharedRegion) -> Iterator[tuple[int, Column]]:
        """The pages of a region by themselves."""
        for block in self.blocks[id(shared)]:
            yield from ((1, column) for column in columns(block))

    def huge(self, shared: SharedRegion, member: int) -> Iterator[tuple[int, bool]]:
        """The blocks of a region: how many pages, and whether a PMD entry maps them."""
        blocks = self.blocks[id(shared)]
        return ((len(block.maps), block.pmds[member] is Pmd.HUGE) for block in blocks)

    def locate(self, shared: SharedRegion, page: int) -> tuple[Block, int]:
        """A page of a region: its block, and where it is in that."""
        address = shared.base + page
        number = address // self.table_pages - shared.base // self.table_pages
        block = self.blocks[id(shared)][number]
        return block, address - block.base

    def parts(self, shared: SharedRegion, walk: Walk) -> Iterator[tuple[Block, range]]:
        """The blocks that a walk comes through, and the pages of each."""
        for block in self.blocks[id(shared)]:
            low = max(shared.base + walk.first, block.base) - block.base
            high = min(shared.base + walk.first + walk.count, block.base + len(block.maps))
            if low < high - block.base:
                yield block, range(low, high - block.base)

    def happen(self, near: Near, event: BlockEvent, pages: range) -> Happened:
        """Let an event happen, and count it."""
        shared, block = near.shared, near.block
        done = happen(block, event, pages, self.world.table.policy, near, near.tells, near.kind)
        self.tally.counts = [a + b for a, b in zip(self.tally.counts, done.counts, strict=True)]
        for kind, p, i in done.violations:
            page = block.base + i - shared.base
            self.tally.see(kind, shared.members[p], shared.name, page, 1)
        return done

    def charge(self, near: Near, p: int | None, pages: range) -> bool:
        """mem_cgroup_charge(), for a new folio of these pages; whether it may be."""
        raise NotImplementedError

    def released(self, slot: int) -> None:
        """A slot is free."""


class Near:
    """What lies around one block of a region."""

    kind: type[PmdPage] = PmdPage

    @property
    def tells(self) -> bool:
        """Whether somebody asks what happens."""
        return False

    def __init__(self, memory: Pagewise, shared: SharedRegion, block: Block) -> None:
        self.memory, self.shared, self.block = memory, shared, block

    @property
    def facts(self) -> Facts:
        """As they are now."""
        return self.memory.world.facts._replace(swap_full=self.memory.slots.swap_full)

    def area(self, p: int, i: int) -> tuple[AddressSpace, VmArea]:
        """The VMA that page `i` lies in, and the address space of which it is."""
        space = self.memory.world.processes[self.shared.members[p]].space
        address = self.block.base + i
        return space, space.within(address, address + 1)[0]

    def orders(self, p: int, i: int) -> tuple[int, ...]:
        """thp_vma_allowable_orders()."""
        flags = self.area(p, i)[1].flags
        return self.memory.allowed[flags & (VmFlag.HUGEPAGE | VmFlag.NOHUGEPAGE)]

    def bounds(self, p: int, i: int) -> tuple[int, int]:
        """The part of the block that the VMA covers."""
        _, area = self.area(p, i)
        base = self.block.base
        return max(area.start - base, 0), min(area.end - base, len(self.block.maps))

    def anon_vma_prepare(self, p: int, i: int) -> None:
        """__anon_vma_prepare()."""
        process = self.memory.world.processes[self.shared.members[p]]
        anon_vma_prepare(self.memory.world, process, self.area(p, i)[1])

    def charge(self, p: int | None, pages: range) -> bool:
        """mem_cgroup_charge()."""
        return self.memory.charge(self, p, pages)

    def allocate(self, order: int) -> int | None:
        """folio_alloc_swap()."""
        memory = self.memory
        blocks = (block for those in memory.blocks.values() for block in those)
        if memory.slots.swap_full and any(map(cached_alone, blocks)):
            raise NotModelled(
                "large folios (machine.thp) are not modelled on a swap device that is more than "
                "half full and has slots that only the swap cache holds"
            )
        slot = memory.slots.allocate(order)
        memory.refused += slot is None and order == 0
        return slot

    def release(self, slot: int) -> None:
        """swap_range_free()."""
        self.memory.slots.release(slot)
        self.memory.released(slot)

    def ahead(self, p: int, i: int) -> tuple[Pass, AddressSpace, VmArea]:
        """The read-ahead of the VMA that page `i` lies in."""
        space, area = self.area(p, i)
        shared, world = self.shared, self.memory.world
        event = Access(p, world.facts, read=True, store=None)
        bounds = max(area.start - shared.base, 0), min(area.end, shared.end) - shared.base
        return Pass(world, shared, event, bounds, area.readahead), space, area

    def window(self, p: int, i: int) -> range:
        """swap_vma_ra_win(); one page where the machine does not read ahead."""
        if not self.memory.world.facts.readahead:
            return range(i, i + 1)
        ahead, space, area = self.ahead(p, i)
        start, end = ahead.window(self.block.base + i)
        space.put(area, area._replace(readahead=ahead.readahead))
        moved = self.shared.base - self.block.base
        return range(start + moved, end + moved)

    def hit(self, p: int, i: int, ahead: bool) -> None:
        """swap_cache_get_folio()."""
        if self.memory.world.facts.readahead:
            state, space, area = self.ahead(p, i)
            state.note_hit(self.block.base + i, ahead)
            space.put(area, area._replace(readahead=state.readahead))
