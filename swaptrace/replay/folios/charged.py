"""Folios that are charged to a memory cgroup: which of them lie on which list."""

from __future__ import annotations

from swaptrace.mm.block import Block, BlockFolio
from swaptrace.mm.column import Mapping, Pte, SwapPte
from swaptrace.replay.folios.lru import BATCH, Lists, LruFolio, Shadow
from swaptrace.replay.folios.pagewise import Near
from swaptrace.replay.folios.young import Young
from swaptrace.replay.world import World
from swaptrace.vmflags import VmFlag


class Charged(Young):
    """Blocks whose folios are on lists. `fresh` are those that have been charged by the event that
    is under way, by block and first page; `busy` those that a fault refers to; `split_queue` those
    to be split, as parts of them are unmapped. `swappable` is that a slot was free when the last
    one was charged, as workingset_refault() comes before swap_free()."""

    swappable = True

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.lru = self.new_lists(world.machine.page_size)
        self.known: dict[int, dict[int, LruFolio]] = {}
        self.fresh: dict[tuple[int, int], Shadow | None] = {}
        self.shadows: dict[int, Shadow] = {}
        self.busy: list[LruFolio] = []
        self.split_queue: list[LruFolio] = []
        self.used = 0

    def new_lists(self, page_size: int) -> Lists:
        """The lists of the cgroup, with nothing on them."""
        return Lists(page_size)

    def charge(self, near: Near, p: int | None, pages: range) -> bool:
        """try_charge_memcg(). For a large folio a VMA without MADV_HUGEPAGE does not reclaim
        (vma_thp_gfp_mask(), with `defrag` set to madvise)."""
        block = near.block
        known = self.known.setdefault(id(block), {})
        ptes = [m.pte for m in block.maps[pages.start]]
        mapped = (pte.folio for pte in ptes if isinstance(pte, Pte))
        self.busy = [known[f] for f in mapped if f in known]
        flags = VmFlag.HUGEPAGE if p is None else near.area(p, pages.start)[1].flags
        touched, block.touched = block.touched, {}
        made = self.hide_uncharged(block)
        fits = self.make_room(len(pages), len(pages) == 1 or VmFlag.HUGEPAGE in flags)
        block.touched = touched
        block.folios.update(made)
        block.loose.update(made)
        if fits:
            self.fresh[id(block), pages.start] = self.shadow_of(block, p, pages)
            self.swappable = self.slots.used < self.slots.total
            self.used += len(pages)
        return fits

    def hide_uncharged(self, block: Block) -> dict[int, BlockFolio]:
        """Take those folios out of a block that the C of a tree has allocated, and perhaps put
        again: they are nobody's until they are charged."""
        known = self.known[id(block)]
        new = [f for f in block.folios if f not in known]
        made = [f for f in new if block.folios[f].slot is None and not block.mapcount(f)]
        return {f: block.folios.pop(f) for f in made}

    def shadow_of(self, block: Block, p: int | None, pages: range) -> Shadow | None:
        """The shadow entry that a folio of these pages takes the place of."""
        mappings = [m for i in pages for m in block.maps[i][slice(p, None if p is None else p + 1)]]
        slots = [m.pte.slot for m in mappings if isinstance(m.pte, SwapPte)]
        shadows = [self.shadows.pop(slot, None) for slot in slots]
        return shadows[0] if shadows else None

    def make_room(self, pages: int, may_reclaim: bool) -> bool:
        """Whether so many pages can be charged, once others are reclaimed."""
        raise NotImplementedError

    def follow(self, near: Near) -> None:
        """Let the lists follow what has become of the folios of a block: those that are gone, or
        have been split, and those that are new."""
        block = near.block
        known = self.known.setdefault(id(block), {})
        gone = [known.pop(f) for f in [f for f in known if f not in block.folios]]
        new = [f for f in block.folios if f not in known]
        for f in new:
            known[f] = LruFolio(near.shared, block, f, block.folios[f].pages)
        here = {start for where, start in self.fresh if where == id(block)}
        split = [known[f] for f in new if known[f].pages.start not in here]
        for folio in gone:
            parts = {part.pages.start: part for part in split if part.pages.start in folio.pages}
            for part in parts.values():
                part.inherit(folio)
            self.lru.replace(folio, [parts[i] for i in self.in_order(folio.pages) if i in parts])
            self.used -= folio.nr_pages - len(parts)
        self.queue(known, gone)
        for f in [f for f in new if known[f].pages.start in here]:
            self.add_new(known[f], self.fresh.pop((id(block), known[f].pages.start)))

    def in_order(self, pages: range) -> tuple[int, ...]:
        """The pages of a folio in the order in which a split puts them on a list."""
        first, *rest = pages
        return (first, *(reversed(rest) if self.world.facts.splits_backward else rest))

    def queue(self, known: dict[int, LruFolio], gone: list[LruFolio]) -> None:
        """deferred_split_folio(): those of a block that are now mapped in part."""
        if gone and self.split_queue:
            self.split_queue = [each for each in self.split_queue if each not in gone]
        folios = (each for each in known.values() if each.nr_pages > 1)
        found = [each for each in folios if each.block.folios[each.number].partially_mapped]
        new = [each for each in found if each not in self.split_queue]
        self.split_queue += sorted(new, key=lambda folio: folio.pages.start)

    def add_new(self, folio: LruFolio, shadow: Shadow | None) -> None:
        """A new folio, which may have been here before."""
        if shadow is not None:
            self.lru.refault(folio, shadow, self.swappable)
        self.add_lru(folio)

    def add_lru(self, folio: LruFolio) -> None:
        """folio_add_lru(); a large folio does not wait in the per-CPU batch."""
        self.lru.batch.append(folio)
        if folio.nr_pages > 1 or len(self.lru.batch) == BATCH:
            self.drain_new()

    def drain_new(self) -> None:
        """lru_add(), of all that waits."""
        batch, self.lru.batch = self.lru.batch, []
        for folio in batch:
            self.lru.add(folio, self.evictable(folio))

    def drain(self) -> None:
        """lru_add_drain()."""
        self.drain_new()
        for move in self.lru.waiting:
            self.lru.move(move)

    def evictable(self, folio: LruFolio) -> bool:
        """Whether no locked VMA maps all of it: reclaim is taken to have marked the others."""
        spaces = (process.space for process in self.world.processes.values())
        if not any(area.vma.locked for space in spaces for area in space.areas):
            return True
        maps = folio.block.maps
        return not any(
            all(mlocks(maps[i][p], folio.number) for i in folio.pages)
            for p in folio.block.mapped_by(folio.number)
        )

    def reconsider(self, near: Near) -> None:
        """Folios of a block that are locked now, or no longer."""
        for folio in self.known.get(id(near.block), {}).values():
            evictable = self.evictable(folio)
            if folio.place is not None and evictable == (folio.place is self.lru.unevictable):
                self.lru.remove(folio)
                self.lru.add(folio, evictable)

    def released(self, slot: int) -> None:
        self.shadows.pop(slot, None)


def mlocks(mapping: Mapping, f: int) -> bool:
    """Whether a locked VMA maps the folio here."""
    vma, pte = mapping.vma, mapping.pte
    return isinstance(pte, Pte) and pte.folio == f and vma is not None and vma.locked
