"""A memory limit where memory comes in large folios."""

from __future__ import annotations

from typing import Final

from swaptrace.counters import POSITION, Counter, ReclaimCounter
from swaptrace.errors import NotModelled
from swaptrace.mm.block import Block
from swaptrace.mm.blockevent import Isolate
from swaptrace.mm.column import Pte, SwapPte
from swaptrace.mm.event import (
    Access,
    ClearRefs,
    Dontneed,
    Event,
    Free,
    Mprotect,
    Pageout,
    Populate,
    SetVma,
    SwapIn,
    Unmap,
    Writeprotect,
)
from swaptrace.replay.folios.advised import Advised
from swaptrace.replay.folios.lru import LruFolio
from swaptrace.replay.folios.pagewise import Near
from swaptrace.replay.folios.recurring import recurring_key
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.tally import Tally

MODELLED: Final = (
    *(Access, Populate, Dontneed, SetVma, Mprotect, Writeprotect, ClearRefs, Unmap),
    *(Pageout, Free, SwapIn),
)
"""The events that folios under a limit can have."""

FAULTS: Final = POSITION[Counter.MINFLT], POSITION[Counter.MAJFLT]


def asked_about(block: Block, i: int, event: Access | Populate) -> int | None:
    """The folio that has been there before, and of which a write drains the per-CPU batch to count
    the references (do_swap_page(), wp_can_reuse_anon_folio()); None if there is none."""
    facts, pte = event.facts, block.maps[i][event.process].pte
    stores = event.store is not None if isinstance(event, Access) else event.write
    if not stores or pte is None:
        return None
    if isinstance(pte, SwapPte):
        reads_first = isinstance(event, Access) and event.read
        asks = not pte.exclusive or not (facts.exclusive_alone or reads_first)
        return block.cached.get(pte.slot) if asks else None
    if not isinstance(pte, Pte) or pte.write or pte.is_zero_page:
        return None
    folio = block.folios[pte.folio]
    return None if folio.exclusive[i - folio.first] else pte.folio


class LimitedFolios(Advised):
    """All pages of a world with large folios and a memory limit."""

    clock = 0

    def key(self) -> tuple[object, ...]:
        """Equal for two moments after which the same happens."""
        return recurring_key(self, self.clock)

    def lru_add_drain(self, tally: Tally) -> None:  # noqa: ARG002
        """All folios onto their lists."""
        self.drain()

    def switched_to(self, name: str) -> None:
        """Nothing depends on which process runs."""

    def switch_after(self, folios: int) -> None:
        """There is no aging that could be interrupted."""

    def drain_stock(self) -> None:
        """Nothing is charged in advance."""

    def lru_gen(self) -> None:
        """There are no generations."""

    def adjust_trans_huge(self, tally: Tally, process: Process, address: int) -> None:
        """No entry is huge."""

    def cold(self, tally: Tally, shared: SharedRegion, walk: Walk, member: int) -> None:
        """MADV_COLD."""
        self.tally = tally
        self.drain()
        for block, pages in self.parts(shared, walk):
            self.advise(Near(self, shared, block), Isolate(member, self.world.facts, True), pages)
        self.report(tally)

    def send(self, tally: Tally, shared: SharedRegion, walk: Walk, event: Event) -> bool:
        """Let an event happen to the pages of a walk, in its order; False if one ended the step."""
        if not isinstance(event, MODELLED):
            what = type(event).__name__.lower()
            raise NotModelled(f"{what} is not modelled with large folios under a memory limit")
        self.tally, goes_on = tally, True
        if isinstance(event, Access | Populate):
            goes_on = all(self.access(shared, page, event) for page in walk.pages().tolist())
        elif isinstance(event, Pageout | Free | SwapIn):
            self.advised(shared, walk, event)
        else:
            self.drain()
            for block, pages in self.parts(shared, walk):
                near = Near(self, shared, block)
                self.happen(near, event, pages)
                self.follow(near)
                self.reconsider(near)
                self.forget_young(block, event)
        self.report(tally)
        return goes_on

    def report(self, tally: Tally) -> None:
        """What has been counted since the last time."""
        for counter in ReclaimCounter:
            tally.reclaim[counter] += self.lru.counts[counter]
        self.lru.counts.clear()

    def advised(self, shared: SharedRegion, walk: Walk, event: Pageout | Free | SwapIn) -> None:
        """madvise_pageout(), madvise_free_single_vma() and madvise_willneed(): before the first two
        and after the last the batches are drained."""
        if not isinstance(event, SwapIn):
            self.drain()
        for block, pages in self.parts(shared, walk):
            self.advise(Near(self, shared, block), event, pages)
        if isinstance(event, SwapIn):
            self.drain()

    def access(self, shared: SharedRegion, page: int, event: Access | Populate) -> bool:
        """One load or store, or a fault for the kernel; False if it ended the step."""
        block, i = self.locate(shared, page)
        near, asked = Near(self, shared, block), asked_about(block, i, event)
        if asked is not None:
            self.check_drains(self.known[id(block)][asked])
        self.begin(near, i, event)
        done = self.happen(near, event, range(i, i + 1))
        self.follow(near)
        if done.drained or asked is not None:
            self.drain()
        self.used_by(near, i, event, any(done.counts[at] for at in FAULTS))
        if isinstance(event, Access):
            self.tick()
        return not done.ends

    def check_drains(self, folio: LruFolio) -> None:
        """Raise `NotModelled` where the C of a tree would have to be told that a folio waits."""
        if self.world.table.policy.functions and folio in self.lru.batch:
            raise NotModelled(
                "a fault on a folio that waits in a per-CPU batch is not modelled under a policy "
                "that is a kernel tree, under a memory limit with large folios (machine.thp)"
            )

    def tick(self) -> None:
        """What happens after so many accesses."""
        self.clock += 1
        machine = self.world.machine
        if machine.lru_drain and self.clock % machine.lru_drain == 0:
            self.drain()
        if machine.stat_flush and self.clock % machine.stat_flush == 0:
            self.lru.flush()
