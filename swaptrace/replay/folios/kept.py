"""Memory in large folios where the per-CPU batches are kept from one fault to the next
(`machine.lru_batch`)."""

from __future__ import annotations

from swaptrace.errors import NotModelled
from swaptrace.kernels import Rule
from swaptrace.mm.block import Block
from swaptrace.mm.blockbatch import BlockBatches, KeptPage
from swaptrace.mm.blockevent import BlockEvent, Isolate, Shrink, SplitPmd
from swaptrace.mm.blocktransition import Happened
from swaptrace.mm.event import MOST_ADDED, Access, Cold, Event, Facts, Pageout, Populate
from swaptrace.replay.folios.memory import MODELLED
from swaptrace.replay.folios.pagewise import Near, Pagewise
from swaptrace.replay.folios.slotmap import SLOT_CACHE
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.batch import capacity_of, check_known
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.schema import Step


class KeptBatches(BlockBatches):
    """The batches of a world; `zap_drains` that unmapping pages drains."""

    left = mlock_left = MOST_ADDED

    def __init__(self, world: World) -> None:
        super().__init__(capacity_of(world.machine.kernel))
        self.zap_drains = not world.follows(Rule.UNMAPS_UNDRAINED)

    def key(self) -> tuple[object, ...]:
        """That of the pages says it."""
        return ()

    def check(self, step: Step) -> None:
        """Raise `NotModelled` for a step that more than these batches is about."""
        check_known(step)

    def zap(self) -> None:
        """What a system call that unmaps pages begins and ends with."""
        if self.zap_drains:
            self.drain()


class KeptFolios(Pagewise):
    """All pages of a world with large folios and kept batches."""

    asked = 0

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.batches = KeptBatches(world)

    def key(self) -> tuple[object, ...]:
        """Two moments are never the same."""
        self.asked += 1
        return (self.asked,)

    def near(self, shared: SharedRegion, block: Block) -> KeptNear:
        """What lies around a block."""
        return KeptNear(self, shared, block)

    def charge(self, near: Near, p: int | None, pages: range) -> bool:  # noqa: ARG002
        """There is no limit."""
        return True

    def happen(self, near: Near, event: BlockEvent, pages: range) -> Happened:
        done = super().happen(near, event, pages)
        for change in done.changes:
            self.tally.add_change(near.shared, change, 1)
        return done

    def send(self, tally: Tally, shared: SharedRegion, walk: Walk, event: Event) -> bool:
        """Let an event happen to the pages of a walk, in its order; False if one ended the step."""
        if isinstance(event, Cold):
            return True  # cold()
        if not isinstance(event, MODELLED):
            what = type(event).__name__.lower()
            raise NotModelled(f"{what} is not modelled with large folios (machine.thp)")
        self.tally = tally
        if isinstance(event, Access | Populate):
            return all(self.access(shared, page, event) for page in walk.pages().tolist())
        for block, pages in self.parts(shared, walk):
            if isinstance(event, Pageout):
                self.pageout(self.near(shared, block), event, pages)
            else:
                self.happen(self.near(shared, block), event, pages)
        return True

    def access(self, shared: SharedRegion, page: int, event: Access | Populate) -> bool:
        """One load or store, or a fault for the kernel; False if it ended the step."""
        block, i = self.locate(shared, page)
        return not self.happen(self.near(shared, block), event, range(i, i + 1)).ends

    def pageout(self, near: KeptNear, event: Pageout, pages: range) -> None:
        """reclaim_pages() of all folios that are found in the range of the page table."""
        found = self.happen(near, Isolate(event.process, event.facts), pages).isolated
        if found:
            self.happen(near, Shrink(event.process, event.facts, found), pages)

    def cold(self, tally: Tally, shared: SharedRegion, walk: Walk, member: int) -> None:
        """MADV_COLD."""
        self.tally = tally
        for block, pages in self.parts(shared, walk):
            self.happen(self.near(shared, block), Isolate(member, self.world.facts, True), pages)

    def adjust_trans_huge(self, tally: Tally, process: Process, address: int) -> None:
        """vma_adjust_trans_huge(): a huge entry does not go on beyond the end of a VMA."""
        if not any(address in (area.start, area.end) for area in process.space.areas):
            return
        self.tally = tally
        for shared in process.shared_regions():
            if shared.base < address < shared.end and address % self.table_pages:
                block, i = self.locate(shared, address - shared.base)
                event = SplitPmd(shared.members.index(process.name), self.world.facts)
                self.happen(self.near(shared, block), event, range(i, i + 1))

    def lru_add_drain(self, tally: Tally) -> None:
        """The batches are drained by themselves (`World.batch`)."""

    def switched_to(self, name: str) -> None:
        """Nothing is reclaimed."""

    def switch_after(self, folios: int) -> None:
        """Nothing is reclaimed."""

    def drain_stock(self) -> None:
        """Nothing is charged."""

    def lru_gen(self) -> None:
        """There are no generations."""


class KeptNear(Near):
    """What lies around one block of a region, where the batches are kept."""

    kind = KeptPage
    memory: KeptFolios

    @property
    def tells(self) -> bool:
        return self.memory.world.table.tells

    @property
    def batches(self) -> KeptBatches:
        """Those of the CPU."""
        return self.memory.batches

    @property
    def facts(self) -> Facts:
        return super().facts._replace(batch_left=MOST_ADDED, mlock_left=MOST_ADDED)

    def allocate(self, order: int) -> int | None:
        """folio_alloc_swap(), where it is known how many slots are in use."""
        slots = self.memory.slots
        known = self.memory.world.follows(Rule.NO_SLOT_CACHE)
        if not known and (slots.total - slots.used - SLOT_CACHE) * 2 < slots.total:
            raise NotModelled(
                "large folios (machine.thp) are not modelled before Linux 6.15 on a swap device "
                "that is nearly half full, since a CPU sets slots aside"
            )
        return super().allocate(order)
