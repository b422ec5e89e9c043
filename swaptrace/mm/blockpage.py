"""One page of a block, as the kernel functions see it (mm/memory.c, mm/huge_memory.c)."""

from __future__ import annotations

from itertools import count
from typing import Any, Self

from swaptrace.counters import Counter
from swaptrace.errors import PolicyError
from swaptrace.mm.block import PMD_ORDER, Block, BlockFolio, BlockSlot, Surroundings
from swaptrace.mm.blockcolumn import FoliosOf, SlotsOf, column_of
from swaptrace.mm.blockpins import PinnedPage
from swaptrace.mm.column import (
    NUMBER_BITS,
    NUMBERS,
    ZERO,
    Column,
    Entry,
    Folio,
    Mapping,
    MlockEntry,
    Pte,
    SwapPte,
)
from swaptrace.mm.mmids import PLACES, add_mappings, has_shared_bit, remove_mappings
from swaptrace.mm.policy import Policy, ask
from swaptrace.mm.swap import read_swap_cache

NOTHING = Column(())


class BlockPage(PinnedPage):
    """Page `i` of a block. `around` is what lies around the block; `stops` is set where a walk that
    begins with this page goes no further in the page table."""

    __slots__ = ("around", "stops")

    def __init__(self, block: Block, i: int, policy: Policy, around: Surroundings) -> None:
        super().__init__(NOTHING, policy, around.facts)
        del self.fresh  # the block's folios know it: only is_fresh() and set_fresh() are right
        self.block, self.i, self.around = block, i, around
        self.reasons = []
        self.spared = []
        self.stops = False
        self.maps = block.maps[i]
        self.pins = block.pins.get(i, [])
        self.folios: Any = FoliosOf(block, i)
        self.slots: Any = SlotsOf(block, i)

    def at(self, i: int) -> Self:
        """Another page of the block, which counts with this one."""
        page = type(self)(self.block, i, self.policy, self.around)
        page.counts, page.path, page.broken = self.counts, self.path, self.broken
        page.reasons, page.spared, page.mlocks = self.reasons, self.spared, self.mlocks
        return page

    def set_map(self, p: int, **changes: Any) -> None:
        self.block.touch(self.i)
        if "pte" in changes:
            changes["pte"] = self.kept(changes["pte"])
        super().set_map(p, **changes)

    def kept(self, pte: Entry) -> Entry:
        """An entry as a page table has it: without CONFIG_MEM_SOFT_DIRTY there is no such bit, by
        which those side by side could differ."""
        if not self.facts.soft_dirty and isinstance(pte, Pte | SwapPte) and pte.soft_dirty:
            return pte._replace(soft_dirty=False)
        return pte

    def set_pte(self, p: int, pte: Entry) -> None:
        """set_pte_at(), and what rmap notes of folios."""
        old, pte = self.maps[p].pte, self.kept(pte)
        self.block.touch(self.i)
        if type(pte) is Pte and not maps(old, pte.folio):
            self.note_mapping(p, pte)
        super().set_pte(p, pte)
        if type(old) is SwapPte:
            self.block.stale.add(old.slot)
        elif type(old) is Pte and not old.is_zero_page and not maps(pte, old.folio):
            self.block.loose.add(old.folio)
            remove_mappings(self.block, old.folio, p)
            self.deferred_split_folio(old.folio)

    def add_process(self, mapping: Mapping) -> None:
        if isinstance(mapping.pte, Pte):
            self.note_mapping(len(self.maps), mapping.pte)
        super().add_process(mapping)

    def note_mapping(self, p: int, pte: Pte) -> None:
        """folio_add_anon_rmap_pte() or folio_try_dup_anon_rmap_pte(), before the page table of the
        process has it. With fewer than three processes a large folio knows all."""
        if not self.facts.mm_ids or pte.is_zero_page:
            return
        folio = self.block.folios[pte.folio]
        all_known = folio.mm_ids is None and max(p + 1, len(self.maps)) <= PLACES
        if folio.nr_pages > 1 and not all_known and not (self.is_huge(p) and self.i > folio.first):
            add_mappings(self.block, pte.folio, p)

    def forget_process(self, p: int) -> None:
        """All pages of the block forget it at once (after_walk())."""

    def deferred_split_folio(self, f: int) -> None:
        """A page of a folio of more than two pages is mapped no more, and others are."""
        folio = self.block.folios[f]
        if folio.nr_pages > 2 and folio.slot is None and not self.block.mappings(f, self.i):
            folio.partially_mapped = True

    def set_folio(self, f: int, **changes: Any) -> None:
        folio = self.block.folios[f]
        at = self.i - folio.first
        self.block.altered.add(self.i)
        for field, value in changes.items():
            if field == "slot":
                self.block.cache(f, None if value is None else value - at)
            elif field == "data":
                folio.data[at] = value
            elif field == "anon_exclusive":
                folio.exclusive[at] = value
            elif getattr(folio, field) != value:
                self.block.altered.update(folio.pages)
                setattr(folio, field, value)

    def new_folio(self, data: int, **fields: Any) -> int:
        pages = range(self.i, self.i + 1)
        self.around.charge(None, pages)
        f = self.block.add_folio(pages, data)
        self.set_folio(f, **fields)
        return f

    def new_slot(self) -> int:
        raise AssertionError("slots of a block have positions")

    def new_token(self, byte: int = 0) -> int:
        column = column_of(self.block, self.i)
        used = {m.data & NUMBERS for m in column.maps}
        used |= {folio.data & NUMBERS for folio in column.folios}
        used |= {slot.data & NUMBERS for slot in column.slots if slot.data is not None}
        used |= {pin.data & NUMBERS for pin in column.pins}
        return next(n for n in count(1) if n not in used) | byte << NUMBER_BITS

    def mapcount(self, f: int) -> int:
        return self.block.mapcount(f)

    def cached_folio(self, s: int) -> int | None:
        return self.block.cached.get(s)

    def nr_pages(self, f: int) -> int:
        return self.block.folios[f].nr_pages

    def lru_add(self, f: int) -> None:
        """A large folio waits in no batch, nor what it finds there (folio_may_be_lru_cached())."""
        super().lru_add(f)
        if self.nr_pages(f) > 1:
            self.batch.clear()

    def let_go(self) -> None:
        """What waits in a batch does so no longer than the event lasts."""
        self.batch.clear()
        self.mlock_drain()

    def folio_swapped(self, f: int) -> bool:
        return self.block.folio_swapped(f)

    def set_fresh(self, f: int, fresh: bool) -> None:
        if self.facts.keeps_fresh:
            self.set_folio(f, fresh=fresh)

    def is_fresh(self, f: int) -> bool:
        return self.block.folios[f].fresh

    def queue_mlock(self, f: int, entry: MlockEntry) -> None:
        """A large folio does not wait, nor what it finds there."""
        super().queue_mlock(f, entry)
        if self.nr_pages(f) > 1:
            self.mlock_drain()

    def mark_of(self, f: int) -> Folio:
        """Of any page of the block."""
        folio = self.block.folios[f]
        return Folio(ZERO, mlocked=folio.mlocked, mlock_count=folio.mlock_count)

    def mlock_vma_folio(self, f: int, p: int) -> None:
        """Of a large folio rmap does not know whether the VMA maps all."""
        if self.nr_pages(f) == 1:
            super().mlock_vma_folio(f, p)

    def walk_mlocks(self, f: int, entry: MlockEntry) -> None:
        """A large folio was locked or unlocked at once, as the walk began (mm/blockmlock.py)."""
        if self.nr_pages(f) == 1:
            super().walk_mlocks(f, entry)

    def alloc_anon_folio(self, p: int) -> int:
        """alloc_anon_folio(): the largest allowed folio whose range is empty."""
        pages = self.pages_to_fault_in(p)
        if len(pages) > 1:
            self.enter("alloc_anon_folio")
        f = self.block.add_folio(pages, ZERO, exclusive=True)
        self.count(Counter.MTHP_FAULT_ALLOC, len(pages) > 1)
        return f

    def pages_to_fault_in(self, p: int) -> range:
        """The pages that a first write brings in."""
        maps = self.block.maps
        for pages in self.suitable(p):
            if not all(maps[i][p].pte is None for i in pages):
                self.refuse(pages, "a page of it is there already")
            elif self.charge(p, pages):
                return pages
        self.around.charge(p, range(self.i, self.i + 1))
        return range(self.i, self.i + 1)

    def charge(self, p: int, pages: range) -> bool:
        """mem_cgroup_charge(), of a large folio."""
        charged = self.around.charge(p, pages)
        if not charged:
            self.refuse(pages, "the memory limit has no room for it")
        return charged

    def suitable(self, p: int) -> list[range]:
        """thp_vma_suitable_orders() of those that PTEs map, as ranges of pages, largest first; none
        in a VMA that is registered with a userfaultfd, which wants to know of every page."""
        if self.vma(p).uffd_armed:
            self.reasons.append("one page, as the VMA is registered with a userfaultfd")
            return []
        low, high = self.around.bounds(p, self.i)
        orders = (order for order in self.around.orders(p, self.i) if order < PMD_ORDER)
        ranges = [self.block.aligned(self.i, 1 << order) for order in orders]
        fitting = [pages for pages in ranges if low <= pages.start and pages.stop <= high]
        for pages in ranges:
            if pages not in fitting:
                self.refuse(pages, "it does not lie in the VMA")
        return fitting

    def refuse(self, pages: range, why: str) -> None:
        """Note why a size is not used."""
        self.reasons.append(f"not {4 * len(pages)} KiB: {why}")

    def alloc_swap_folio(self, p: int, orig: SwapPte) -> int:
        """alloc_swap_folio(): the largest folio that all of swap holds in order."""
        for pages in self.swapin_ranges(p, orig):
            first = orig.slot - (self.i - pages.start)
            if not self.uniform(range(first, first + len(pages))):
                self.count(Counter.MTHP_SWPIN_FALLBACK, self.facts.sync_through_cache)
                self.refuse(pages, "some of it is in the swap cache, or of zeroes and some is not")
            elif self.charge(p, pages):
                self.enter("alloc_swap_folio")
                return self.block.add_folio(pages, ZERO)
            else:
                self.count(Counter.MTHP_SWPIN_FALLBACK, self.facts.counts_refused_swapin)
        self.around.charge(p, range(self.i, self.i + 1))
        return self.block.add_folio(range(self.i, self.i + 1), ZERO)

    def swapin_ranges(self, p: int, orig: SwapPte) -> list[range]:
        """thp_swapin_suitable_orders(), as ranges of pages, largest first, from the one on that the
        policy wants."""
        facts, ranges = self.facts, dict[int, range]()
        whole = facts.swaps_in_whole and facts.zswap_never_enabled and not facts.backend.compressed
        for pages in self.suitable(p) if whole else []:
            if (orig.slot - (self.i - pages.start)) % len(pages):
                self.refuse(pages, "its slots are not aligned as its pages are")
            elif not self.can_swapin_thp(p, pages, orig):
                self.refuse(pages, "not all of it is in swap, in order and with the same bits")
            else:
                ranges[len(pages).bit_length() - 1] = pages
        if not ranges:
            return []
        wanted = ask(self.policy, "swapin_order", int, self.vma(p), tuple(ranges))
        if wanted not in (0, *ranges):
            known = ", ".join(map(str, (*ranges, 0)))
            raise PolicyError(
                f"policy {self.policy.name!r}: swapin_order() returned {wanted}; the orders are "
                f"{known}"
            )
        for order in ranges.keys() - range(wanted + 1):
            self.refuse(ranges.pop(order), "the policy wants a smaller one")
        return list(ranges.values())

    def can_swapin_thp(self, p: int, pages: range, orig: SwapPte) -> bool:
        """Whether the PTEs are swap entries in order with the same bits (swap_pte_batch)."""
        first = orig.slot - (self.i - pages.start)
        return all(
            self.block.maps[i][p].pte == orig._replace(slot=first + at)
            for at, i in enumerate(pages)
        )

    def uniform(self, slots: range) -> bool:
        """Whether no slot is in the swap cache, and all or none are marked as zeroes."""
        if any(slot in self.block.cached for slot in slots):
            return False
        return len({self.block.slots[slot].zeroes for slot in slots}) == 1

    def maps_whole(self, p: int, f: int, orig: SwapPte) -> bool:
        """Whether a fault maps all of a large folio, as its PTEs are all still in swap."""
        folio = self.block.folios[f]
        if folio.nr_pages == 1 or not self.facts.maps_cached_whole:
            return False
        low, high = self.around.bounds(p, self.i)
        within = low <= folio.pages.start and folio.pages.stop <= high
        return within and self.can_swapin_thp(p, folio.pages, orig)

    def set_ptes(self, p: int, pte: Pte | None, f: int | None = None) -> None:
        if f is None:
            self.set_pte(p, pte)
            return
        for i in self.block.folios[f].pages:
            (self if i == self.i else self.at(i)).set_pte(p, pte)

    def set_exclusive(self, f: int, whole: bool) -> None:
        folio = self.block.folios[f]
        self.block.altered.update(folio.pages if whole else [self.i])
        if whole:
            folio.exclusive = [True] * folio.nr_pages
        else:
            folio.exclusive[self.i - folio.first] = True

    def load(self, s: int, f: int) -> bool:
        folio, slots = self.block.folios[f], self.block.slots
        first = s - (self.i - folio.first)
        self.block.altered.update(folio.pages)
        for at in range(folio.nr_pages):
            data = slots[first + at].data
            assert data is not None, "a slot without a copy has its folio in the swap cache"
            folio.data[at] = data
        return slots[s].zeroes

    def store(self, f: int) -> bool:
        folio, slots = self.block.folios[f], self.block.slots
        assert folio.slot is not None
        self.block.altered.update(folio.pages)
        zeroes = not any(folio.data)
        for at, (page, data) in enumerate(zip(folio.pages, folio.data, strict=True)):
            self.count(Counter.REWRITES, slots[folio.slot + at].data == data)
            slots[folio.slot + at] = BlockSlot(page, data, zeroes)
        return zeroes

    def count_swpout(self, f: int) -> None:
        self.count(Counter.MTHP_SWPOUT, self.nr_pages(f) > 1)
        self.count(Counter.THP_SWPOUT, self.nr_pages(f) == 1 << PMD_ORDER)

    def swapin_readahead(self, p: int) -> None:
        window = self.around.window(p, self.i)
        if len(window) <= 1:
            self.facts = self.facts._replace(readahead=False)
        for i in window:
            pte = self.block.maps[i][p].pte
            if isinstance(pte, SwapPte):
                here = self if i == self.i else self.at(i)
                read_swap_cache(here, pte.slot, readahead=i != self.i)

    def note_lookup(self, p: int, f: int) -> None:
        """swap_update_readahead(), which large folios are nothing to."""
        if self.nr_pages(f) == 1:
            self.around.hit(p, self.i, self.folios[f].readahead)

    def maybe_mapped_shared(self, f: int) -> bool:
        """folio_maybe_mapped_shared(): whether another process maps it, too, as far as a large one
        knows; before 6.15 folio_likely_mapped_shared(), which guesses it from map counts."""
        mapcount, folio = self.mapcount(f), self.block.folios[f]
        if folio.nr_pages == 1:
            return mapcount > 1
        if not self.facts.sharers_by_mapcount:
            return self.estimated_sharers(f) > 1
        if mapcount <= 1:
            return False
        if self.facts.mm_ids:
            return has_shared_bit(self.block, f)
        if self.block.huge_mappers(f) or mapcount > folio.nr_pages:
            return True
        return self.estimated_sharers(f) > 1

    def estimated_sharers(self, f: int) -> int:
        """folio_estimated_sharers(), up to 6.9: how often the first page is mapped."""
        return self.block.mappings(f, self.block.folios[f].first)

    def wp_can_reuse_large_anon_folio(self, f: int) -> bool:
        """__wp_can_reuse_large_anon_folio(), since 1da190f4d0a6 (6.15): as far as the folio knows,
        all that refers to it is this process, and more than one of its pages is mapped."""
        if not self.facts.reuses_large:
            return False
        if self.mapcount(f) <= 1 or has_shared_bit(self.block, f):
            return False
        folio = self.block.folios[f]
        if folio.slot is not None and not self.block.folio_swapped(f):
            self.enter("folio_free_swap")
            self.block.cache(f, None)
            folio.dirty = True
        return folio.slot is None and not self.pin_count(f)


def maps(pte: Entry, f: int) -> bool:
    """Whether an entry maps the folio."""
    return type(pte) is Pte and pte.folio == f


def folio_of(block: Block, p: int, i: int) -> tuple[int, BlockFolio] | None:
    """vm_normal_folio(): the folio that a process maps at page `i`, unless it is the zero page."""
    pte = block.maps[i][p].pte
    if not isinstance(pte, Pte) or pte.is_zero_page:
        return None
    return pte.folio, block.folios[pte.folio]
