"""The aging of the multi-generational LRU where memory comes in large folios (mm/vmscan.c, v6.12):
walks over page tables.

Each PTE has its accessed bit, whatever the size of the folio that it maps. A block is what is under
one PMD entry, of each process.
"""

from __future__ import annotations

from typing import Final

from swaptrace.mm.block import Block
from swaptrace.mm.column import Pte
from swaptrace.mm.event import Access, Event, Populate, Unmap
from swaptrace.reclaim.memory import MIN_LRU_BATCH, RESCHEDULED
from swaptrace.replay.folios.generations import MAX_NR_GENS, Generations, clear_refs
from swaptrace.replay.folios.limited import LimitedFolios
from swaptrace.replay.folios.lru import Kind, Lists, LruFolio
from swaptrace.replay.folios.pagewise import Near
from swaptrace.replay.folios.young import Entry, moved_up
from swaptrace.replay.pages.flat import walkable
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.world import World
from swaptrace.result.lrugen import LruGen

PTES_PER_CACHE_LINE: Final = 8


def suitable_to_scan(total: int, young: int) -> bool:
    """Whether each cache line of PTEs has a young one, on average."""
    return young * PTES_PER_CACHE_LINE >= total


class Aging(LimitedFolios):
    """`old_entries` are the PMD entries that are not young, `filters` those that the Bloom filters
    know. `ran` are the processes that were switched to since their page tables were walked,
    `written` the pages that `current` has written since."""

    lru: Generations
    switched, asked = RESCHEDULED, 0

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.old_entries: set[Entry] = set()
        self.filters: list[set[Entry] | None] = [None, None]
        self.shared_regions: list[SharedRegion] = []
        self.ran: set[int] = set()
        self.born: list[Process] = []
        self.walked: list[Process] = []
        self.current: Process | None = None
        self.written = 0

    def new_lists(self, page_size: int) -> Lists:
        return Generations(page_size)

    def lru_gen(self) -> LruGen:  # type: ignore[override]
        """Generations and tiers."""
        return self.lru.shown()

    def key(self) -> tuple[object, ...]:
        """Two moments are never the same."""
        self.asked += 1
        return (self.asked,)

    def place(self, shared: SharedRegion, pages: int, column: int) -> None:
        super().place(shared, pages, column)
        self.shared_regions.append(shared)

    def switched_to(self, name: str) -> None:
        """lru_gen_use_mm()."""
        if any(name in shared.members for shared in self.shared_regions):
            self.current = self.world.processes[name]
            self.ran.add(id(self.current))

    def switch_after(self, folios: int) -> None:
        """The process that reclaims is switched from and to again after so many are written."""
        self.switched = folios

    # PTEs

    def begin(self, near: Near, i: int, event: Access | Populate) -> None:
        block, p = near.block, event.process
        if isinstance(event, Access):
            self.switched_to(near.shared.members[p])
            self.old_entries.discard((id(block), p))
        super().begin(near, i, event)

    def marks(self, event: Access | Populate, faulted: bool) -> bool:
        return faulted or isinstance(event, Access)

    def used_by(self, near: Near, i: int, event: Access | Populate, faulted: bool) -> None:
        """The access after a fault leaves the PMD entry young; the kernel's own use marks the folio
        (FOLL_TOUCH)."""
        super().used_by(near, i, event, faulted)
        block, p = near.block, event.process
        pte = block.maps[i][p].pte
        if isinstance(event, Access):
            self.old_entries.discard((id(block), p))
        elif isinstance(pte, Pte) and not pte.is_zero_page:
            self.lru.inc_refs(self.known[id(block)][pte.folio])

    def mapped(self, block: Block, i: int, p: int) -> LruFolio | None:
        """What a young PTE maps, which no longer is young then."""
        pte = block.maps[i][p].pte
        if not isinstance(pte, Pte) or pte.is_zero_page:
            return None
        self.young[id(block), p].discard(i)
        return self.known[id(block)][pte.folio]

    # the walk

    def listed(self, seq: int, entry: Entry) -> None:
        """update_bloom_filter(), which takes no entry for another here."""
        known = self.filters[seq % 2]
        if known is not None:
            known.add(entry)

    def walk_pte_range(self, process: Process, block: Block, p: int) -> bool:
        """Promote what is young under one PMD entry; whether that was worth the while."""
        total = young = 0
        ptes = self.ptes((id(block), p))
        end = block.base + len(block.maps)
        for start, stop, area in process.space.clipped(block.base, end):
            if not walkable(area.vma):
                continue
            total += stop - start
            inside = range(start - block.base, stop - block.base)
            for i in sorted(ptes.intersection(inside)):
                folio = self.mapped(block, i, p)
                if folio is not None:
                    young += 1
                    self.update_gen(folio)
        return total > 0 and suitable_to_scan(total, young)

    def update_gen(self, folio: LruFolio) -> None:
        """folio_update_gen(): promote a folio, or mark one that is isolated."""
        if folio.gen >= 0:
            self.lru.set_gen(folio, self.lru.youngest)
        else:
            folio.referenced = True

    def walk_mm(self, process: Process, force: bool) -> None:
        """All regions of a process."""
        seq = self.lru.max_seq
        for shared in self.shared_regions:
            if process.name not in shared.members:
                continue
            p = shared.members.index(process.name)
            for block in self.blocks[id(shared)]:
                entry = id(block), p
                wanted, known = force, self.filters[seq % 2]
                if not force and entry not in self.old_entries:
                    self.old_entries.add(entry)
                    wanted = known is None or entry in known
                if wanted and self.walk_pte_range(process, block, p):
                    self.listed(seq + 1, entry)

    def iterate_mm_list(self) -> None:
        """Walk the page tables of the processes that have run; of new ones all of them."""
        alive = list(self.world.processes.values())
        self.born = [p for p in self.born if any(p is q for q in alive)]
        self.born += [p for p in alive if not any(p is q for q in self.born)]
        fresh = True
        for process in self.born:
            force = not any(process is other for other in self.walked)
            again = process is self.current and self.written >= self.switched
            if not force and id(process) not in self.ran and not again:
                continue
            self.ran.discard(id(process))
            if fresh:
                self.filters[(self.lru.max_seq + 1) % 2] = set()
                fresh = False
            if process is self.current:
                self.written = 0
            self.walk_mm(process, force)
        self.walked = list(self.born)

    def inc_min_seq(self, kind: Kind, can_swap: bool) -> None:
        """There are as many generations as there can be: the two oldest become one."""
        lru = self.lru
        old = lru.oldest(kind)
        ring = lru.rings[old, kind]
        while ring and (kind == "file" or can_swap):
            folio = next(iter(ring))
            if folio.gen == old:
                lru.set_gen(folio, (old + 1) % MAX_NR_GENS)
            lru.shift(folio, newest=False)
        lru.reset_ctrl_pos(kind)
        lru.min_seq[kind] += 1

    def try_to_inc_max_seq(self, can_swap: bool) -> None:
        """A new generation, after a walk that has promoted what is in use."""
        self.iterate_mm_list()
        kinds: tuple[Kind, Kind] = ("file", "anon")
        for kind in kinds:
            if self.lru.nr_gens(kind) == MAX_NR_GENS:
                self.inc_min_seq(kind, can_swap)
        self.lru.max_seq += 1

    # the rmap

    def look_around(self, near: Near, i: int, p: int) -> bool:
        """lru_gen_look_around(): whether the PTE of the process is young; if so, what is young near
        it is for the youngest generation, and the PMD entry may be worth a walk."""
        block = near.block
        young = self.ptes((id(block), p))
        if i not in young:
            return False
        young.discard(i)
        start, end = near.bounds(p, i)
        if end - start == 1:
            return True
        if end - start > MIN_LRU_BATCH:
            half = MIN_LRU_BATCH // 2
            if i - start < half:
                end = start + MIN_LRU_BATCH
            elif end - i < half:
                start = end - MIN_LRU_BATCH
            else:
                start, end = i - half, i + half
        found = 1
        for other in sorted(young.intersection(range(start, end))):
            folio = self.mapped(block, other, p)
            if folio is not None:
                found += 1
                self.promote(folio)
        if suitable_to_scan(end - start, found):
            self.listed(self.lru.max_seq, (id(block), p))
        return True

    def promote(self, folio: LruFolio) -> None:
        """What was found to be young: one that is isolated is spared, others are activated."""
        if folio.gen < 0:
            folio.referenced = True
        elif folio.gen != self.lru.youngest:
            clear_refs(folio)
            self.lru.wait("activate", folio)

    def forget_young(self, block: Block, event: Event) -> None:
        super().forget_young(block, event)
        if not isinstance(event, Unmap) or not event.gone:
            return
        for entries in (self.old_entries, *(known for known in self.filters if known is not None)):
            own_entries = {entry for entry in entries if entry[0] == id(block)}
            entries -= own_entries
            entries |= {moved_up(e, event.process) for e in own_entries if e[1] != event.process}
