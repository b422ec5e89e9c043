"""Machines that allow large folios, and the events that the replay sends to their pages.

`Folios` stands beside the regions' arrays of columns, which have no large folios.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from collections.abc import Mapping as Map
from typing import TYPE_CHECKING, Final

from swaptrace.errors import NotModelled
from swaptrace.mm.block import PMD_ORDER, Block
from swaptrace.mm.blockevent import Collapse, Isolate, SplitPage, SplitPmd
from swaptrace.mm.column import ENTRY_BYTES, Column
from swaptrace.mm.event import (
    Access,
    ClearRefs,
    Dontneed,
    Event,
    Fork,
    Free,
    Guard,
    Merge,
    Migrate,
    Move,
    Mprotect,
    Pageout,
    Populate,
    SetVma,
    SwapIn,
    UffdCopy,
    UffdZeropage,
    Unmap,
    Unmerge,
    Unpin,
    Writeprotect,
)
from swaptrace.mm.khugepaged import KhugepagedScan
from swaptrace.replay.folios.moving import StoredPages, leave_empty, rebase, resize
from swaptrace.replay.folios.regions import Regions
from swaptrace.replay.folios.slotmap import slot_map
from swaptrace.replay.folios.sweep import Sweep
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.walk import Walk
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

MODELLED: Final = (
    *(Access, Populate, Pageout, Free, Dontneed, SwapIn, SetVma, Mprotect, Writeprotect),
    *(ClearRefs, Fork, Unmap, Merge, Unmerge, Migrate, Move, Guard),
    *(UffdCopy, UffdZeropage, Unpin),
)
"""The events that a block can have."""


def orders_of(machine: Machine, flags: VmFlag) -> tuple[int, ...]:
    """thp_vma_allowable_orders(): those of a VMA, largest first."""
    if VmFlag.NOHUGEPAGE in flags:
        return ()
    used = ("always", "madvise") if VmFlag.HUGEPAGE in flags else ("always",)
    return tuple(SIZES[each.size] for each in reversed(sizes(machine.thp)) if each.enabled in used)


def allowed_orders(machine: Machine) -> dict[VmFlag, tuple[int, ...]]:
    """The same by the flags that matter."""
    kinds = (NO_FLAGS, VmFlag.HUGEPAGE, VmFlag.NOHUGEPAGE)
    return {flags: orders_of(machine, flags) for flags in kinds}


def check_apart(process: Process, shared: SharedRegion, table_pages: int) -> None:
    """Raise where a page table would be of two regions."""
    first, last = (page // table_pages for page in (shared.base, shared.end - 1))
    for other in process.shared_regions():
        begins, ends = (page // table_pages for page in (other.base, other.end - 1))
        if other.name != shared.name and begins <= last and first <= ends:
            raise NotModelled(
                f"with large folios (machine.thp) regions that share 2 MiB of addresses are not "
                f"modelled; {other.name} and {shared.name} do"
            )


class Folios:
    """All pages of a world whose machine allows large folios. `collapses` is that there may be some
    of 2 MiB whether or not they are allowed."""

    def __init__(self, world: World, collapses: bool) -> None:
        machine = world.machine
        self.world = world
        size = machine.page_size // ENTRY_BYTES
        slots = slot_map(machine.kernel, world.device.total, size)
        orders = allowed_orders(machine)
        allowed = (SIZES[each.size] for each in sizes(machine.thp) if each.enabled != "never")
        largest = PMD_ORDER if collapses else max(allowed)
        self.regions = Regions(world, slots, size, orders, largest)

    def place(self, shared: SharedRegion, _pages: int, column: int) -> None:
        """A new region, with nothing in it."""
        if any(self.regions.orders.values()):
            check_apart(self.world.processes[shared.members[0]], shared, self.regions.table_pages)
        self.regions.place(shared, self.world.table.columns[column].maps)

    def columns(self, shared: SharedRegion) -> Iterator[tuple[int, Column]]:
        """The pages of a region by themselves, those alike together."""
        return self.regions.columns(shared)

    def huge(self, shared: SharedRegion, member: int) -> Iterator[tuple[int, bool]]:
        """The blocks of a region: how many pages, and whether a PMD entry maps them."""
        return self.regions.huge(shared, member)

    def key(self) -> tuple[object, ...]:
        """Equal for two moments after which the same happens."""
        return self.regions.key()

    def switched_to(self, name: str) -> None:
        """Nothing is reclaimed."""

    def switch_after(self, folios: int) -> None:
        """Nothing is reclaimed."""

    def drain_stock(self) -> None:
        """Nothing is charged."""

    def lru_gen(self) -> None:
        """There are no generations."""

    def send(self, tally: Tally, shared: SharedRegion, walk: Walk, event: Event) -> bool:
        """Let an event happen to the pages of a walk, in its order; False if one ended the step."""
        if not isinstance(event, MODELLED):
            what = type(event).__name__.lower()
            raise NotModelled(f"{what} is not modelled with large folios (machine.thp)")
        goes_on = True
        for part, each in self.with_rest(shared, walk, event):
            goes_on &= self.sweep(tally, shared, part, each)
        return goes_on

    def sweep(self, tally: Tally, shared: SharedRegion, walk: Walk, event: Event) -> bool:
        """The same, of an event that is modelled."""
        return Sweep(self.regions, tally, shared, event).over(walk)

    def with_rest(
        self, shared: SharedRegion, walk: Walk, event: Event
    ) -> Iterator[tuple[Walk, Event]]:
        """A process comes or goes in pages as well that lie beyond the end of the region."""
        gone, pages = isinstance(event, Unmap) and event.gone, shared.region.pages
        rest = self.stored(shared) - pages if gone or isinstance(event, Fork) else 0
        if not rest or walk.end != pages:
            yield walk, event
        elif gone:
            yield Walk(walk.first, walk.count + rest), event
        elif isinstance(event, Fork):
            yield walk, event
            yield Walk(pages, rest), event._replace(copy=False)

    def stored(self, shared: SharedRegion) -> int:
        """How many pages are kept of a region, which may have become smaller."""
        return StoredPages(self.regions, self.regions.tables_of(shared), shared.base).pages

    def check_room(self, process: Process, shared: SharedRegion) -> None:
        """Raise where a process would have a region that is not modelled there."""
        if any(self.regions.orders.values()):
            check_apart(process, shared, self.regions.table_pages)

    def rebase(self, shared: SharedRegion, base: int) -> None:
        """A region, which was at an address, has moved."""
        rebase(self.regions, shared, base)

    def resize(self, shared: SharedRegion, column: int) -> int:
        """A region has another size; new pages are of a column. How many were kept of it."""
        return resize(self.regions, shared, self.world.table.columns[column].maps)

    def leave_empty(
        self, moved: SharedRegion, left: SharedRegion, column: int, kept: list[range]
    ) -> None:
        """A region that MREMAP_DONTUNMAP has emptied, before the other is moved."""
        maps = self.world.table.columns[column].maps
        leave_empty(self.regions, moved, left, maps, kept)

    def adjust_trans_huge(self, tally: Tally, process: Process, address: int) -> None:
        """vma_adjust_trans_huge(): a huge entry does not go on beyond the end of a VMA."""
        if not any(address in (area.start, area.end) for area in process.space.areas):
            return
        for shared in process.shared_regions():
            if shared.base < address < shared.end and address % self.regions.table_pages:
                event = SplitPmd(shared.members.index(process.name), self.world.facts)
                sweep = Sweep(self.regions, tally, shared, event)
                sweep.over(Walk(address - shared.base, 1))

    def collapse(
        self, tally: Tally, shared: SharedRegion, walk: Walk, member: int
    ) -> list[KhugepagedScan]:
        """MADV_COLLAPSE of some times 2 MiB; what has been found, in order."""
        sweep = Sweep(self.regions, tally, shared, Collapse(member, self.world.facts))
        sweep.over(walk)
        return sweep.scanned

    def block_at(self, shared: SharedRegion, page: int) -> tuple[Hashable, Block, int]:
        """The block of a page, not to be changed, where that is, and which of its pages it is."""
        return self.regions.block_at(shared, page)

    def recount(self, shared: SharedRegion, total: Map[int | None, int]) -> None:
        """Note which KSM folios are mapped elsewhere; `total` is by how many PTEs, by byte."""
        self.regions.recount(shared, total)

    def split_page(self, tally: Tally, shared: SharedRegion, page: int, member: int) -> None:
        """ksmd splits the folio of a page."""
        event = SplitPage(member, self.world.facts)
        Sweep(self.regions, tally, shared, event).over(Walk(page, 1))

    def lru_add_drain(self, tally: Tally) -> None:
        """No lists are kept."""

    def cold(self, tally: Tally, shared: SharedRegion, walk: Walk, member: int) -> None:
        """MADV_COLD splits what MADV_PAGEOUT would."""
        Sweep(self.regions, tally, shared, Isolate(member, self.world.facts, cold=True)).over(walk)
