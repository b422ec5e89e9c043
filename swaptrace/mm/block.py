"""The pages that one page table maps, with the large folios among them.

Where folios have several pages, what happens to one page depends on its neighbours. A `Block` is a
stretch of pages that nothing crosses: no folio, no window of read-ahead, no walk of the kernel is
larger than the range of one page table. It is changed in place, as the kernel changes its page
tables; `BlockPage` (mm/blockpage.py) is one of its pages to the kernel functions of this package.

Folios are numbered within the block. A folio lies naturally aligned unless mremap() has moved it,
but never in parts: page `i` of the block can only be mapped to page `i - first` of it. Slots are
positions on the swap device.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple, Protocol

from swaptrace.mm.column import Mapping, Pinned, Pte, SwapPte
from swaptrace.mm.event import Facts

PMD_ORDER: Final = 9
"""The order of a folio that one PMD entry can map, with pages of 4 KiB."""


class Pmd(Enum):
    """What the PMD entry of a process is: pmd_none(), a page table, or pmd_trans_huge()."""

    NONE = "nothing"
    TABLE = "a page table"
    HUGE = "a huge page"

    def __repr__(self) -> str:
        return self.name


@dataclass(slots=True)
class BlockFolio:
    """An anonymous folio of one page or more: pages `first`, ... of its block.

    `data` and `exclusive` (PageAnonExclusive) are by page; `slot` is the first of the slots that
    it is cached for, `partially_mapped` PG_partially_mapped. `mm_ids` are the processes that it
    knows to map it, and how often (mm/mmids.py); None where it knows all. The rest is as in
    `Folio`: so each page that maps a KSM folio has its own, in one block as well.
    """

    first: int
    data: list[int]
    exclusive: list[bool]
    dirty: bool = False
    lazyfree: bool = False
    readahead: bool = False
    slot: int | None = None
    partially_mapped: bool = False
    mlocked: bool = False
    mlock_count: int = 0
    fresh: bool = False
    active: bool | None = False
    marked: bool = False
    ksm: bool = False
    elsewhere: bool = False
    mm_ids: dict[int, int] | None = None

    @property
    def nr_pages(self) -> int:
        """folio_nr_pages()."""
        return len(self.data)

    @property
    def pages(self) -> range:
        """The pages of the block that it is for."""
        return range(self.first, self.first + len(self.data))


class BlockSlot(NamedTuple):
    """What a slot of the swap device holds for `page` of the block.

    `data` as in `SwapSlot`; `zeroes` is that it is marked in the zeromap, which a page of zeroes
    is not that was written with others.
    """

    page: int
    data: int | None
    zeroes: bool = False


class Surroundings(Protocol):
    """What lies around a block: the machine, address spaces, the swap device."""

    @property
    def facts(self) -> Facts:
        """As they are now."""

    def orders(self, p: int, i: int) -> tuple[int, ...]:
        """The orders of large folios allowed for page `i` of process `p`, largest first."""

    def bounds(self, p: int, i: int) -> tuple[int, int]:
        """The part of the block that the VMA of page `i` of process `p` covers."""

    def anon_vma_prepare(self, p: int, i: int) -> None:
        """The VMA of page `i` gets an anon_vma."""

    def charge(self, p: int | None, pages: range) -> bool:
        """mem_cgroup_charge(), for a new folio of these pages of process `p` (None: of a process
        that does not matter); whether it may be. One of one page always may."""

    def allocate(self, order: int) -> int | None:
        """Slots in a row on the swap device: the first."""

    def release(self, slot: int) -> None:
        """A slot is free again."""

    def window(self, p: int, i: int) -> range:
        """The pages that a fault reads, and read-ahead with it (swap_vma_ra_win)."""

    def hit(self, p: int, i: int, ahead: bool) -> None:
        """A fault found page `i` in the swap cache."""


class Block:
    """`pages` pages, the first at address `base` (in pages).

    `maps[i]` are the mappings of page `i`, one for each process, and `pmds` their PMD entries; of
    one that is huge, the PTEs are what its parts would be, all alike but for the page. `cached` is
    the swap cache, by slot, `pins` are further references, by page. `stale` are slots that may have
    become free, and `loose` folios, `touched` the mappings of pages as they were before the event
    that is under way, `altered` the pages of which the event has changed a folio or a slot.
    """

    __slots__ = (
        "altered",
        "base",
        "cached",
        "folios",
        "loose",
        "maps",
        "next_folio",
        "pins",
        "pmds",
        "slots",
        "stale",
        "touched",
    )

    def __init__(self, base: int, maps: list[list[Mapping]]) -> None:
        self.base = base
        self.maps = maps
        self.pmds = [Pmd.NONE] * len(maps[0]) if maps else []
        self.folios: dict[int, BlockFolio] = {}
        self.slots: dict[int, BlockSlot] = {}
        self.cached: dict[int, int] = {}
        self.pins: dict[int, list[Pinned]] = {}
        self.stale: set[int] = set()
        self.loose: set[int] = set()
        self.touched: dict[int, list[Mapping]] = {}
        self.altered: set[int] = set()
        self.next_folio = 0

    def aligned(self, i: int, nr_pages: int) -> range:
        """The naturally aligned pages around page `i`."""
        first = i - (self.base + i) % nr_pages
        return range(first, first + nr_pages)

    def add_folio(self, pages: range, data: int, exclusive: bool = False) -> int:
        """A new folio for these pages; its number."""
        number, self.next_folio = self.next_folio, self.next_folio + 1
        size = len(pages)
        self.loose.add(number)
        self.folios[number] = BlockFolio(pages.start, [data] * size, [exclusive] * size)
        return number

    def mappings(self, f: int, i: int) -> int:
        """How many processes map page `i` as a page of folio `f`."""
        return sum(type(m.pte) is Pte and m.pte.folio == f for m in self.maps[i])

    def mapcount(self, f: int) -> int:
        """folio_mapcount(): a PMD entry counts once, and so does all that is elsewhere."""
        ptes = sum(self.mappings(f, i) for i in self.folios[f].pages) + self.folios[f].elsewhere
        return ptes - sum(self.folios[f].nr_pages - 1 for _ in self.huge_mappers(f))

    def is_mapped(self, f: int) -> bool:
        """folio_mapped()."""
        for i in self.folios[f].pages:
            for mapping in self.maps[i]:
                pte = mapping.pte
                if type(pte) is Pte and pte.folio == f:
                    return True
        return False

    def huge_mappers(self, f: int) -> list[int]:
        """The processes of which a PMD entry maps the folio."""
        first = self.maps[self.folios[f].first]
        huge = (p for p, pmd in enumerate(self.pmds) if pmd is Pmd.HUGE)
        return [p for p in huge if isinstance(pte := first[p].pte, Pte) and pte.folio == f]

    def mapcounts(self, f: int) -> dict[int, int]:
        """How often each process maps the folio that does; a PMD entry counts once."""
        counts: dict[int, int] = {}
        for i in self.folios[f].pages:
            for p, mapping in enumerate(self.maps[i]):
                if type(mapping.pte) is Pte and mapping.pte.folio == f:
                    counts[p] = 1 if self.pmds[p] is Pmd.HUGE else counts.get(p, 0) + 1
        return counts

    def is_mapped_by(self, f: int, p: int) -> bool:
        """Whether a process maps a page of the folio; one that is being forked has not all yet."""
        mappings = (self.maps[i][p] for i in self.folios[f].pages if p < len(self.maps[i]))
        return any(type(m.pte) is Pte and m.pte.folio == f for m in mappings)

    def mapped_by(self, f: int) -> set[int]:
        """The processes that map a page of the folio."""
        return {
            p
            for i in self.folios[f].pages
            for p, m in enumerate(self.maps[i])
            if type(m.pte) is Pte and m.pte.folio == f
        }

    def pinned(self, f: int) -> list[Pinned]:
        """The references to a folio that pins hold."""
        pages = self.folios[f].pages
        return [pin for i in pages for pin in self.pins.get(i, ()) if pin.folio == f]

    def swap_count(self, slot: int) -> int:
        """__swap_count(): the swap PTEs of a slot."""
        maps = self.maps[self.slots[slot].page]
        return sum(type(m.pte) is SwapPte and m.pte.slot == slot for m in maps)

    def folio_swapped(self, f: int) -> bool:
        """folio_swapped(): whether a swap PTE refers to a slot of the folio."""
        folio = self.folios[f]
        if folio.slot is None:
            return False
        slots = range(folio.slot, folio.slot + folio.nr_pages)
        return any(self.swap_count(slot) for slot in slots)

    def cache(self, f: int, slot: int | None) -> None:
        """swap_cache_add_folio() for slots from `slot` on, or swap_cache_del_folio()."""
        folio = self.folios[f]
        self.loose.add(f)
        self.altered.update(folio.pages)
        if folio.slot is not None:
            for old in range(folio.slot, folio.slot + folio.nr_pages):
                del self.cached[old]
                self.stale.add(old)
        folio.slot = slot
        if slot is not None:
            for at, page in enumerate(folio.pages):
                self.cached[slot + at] = f
                self.slots.setdefault(slot + at, BlockSlot(page, None))

    def touch(self, i: int) -> None:
        """Note how a page was mapped, as it is about to be changed."""
        if i not in self.touched:
            self.touched[i] = list(self.maps[i])

    def by_table(self, before: list[Mapping], now: list[Mapping]) -> list[Mapping]:
        """How a page was mapped, but as it is now where it shares a huge entry with others."""
        huge = (pmd is Pmd.HUGE for pmd in self.pmds)
        return [new if h else old for old, new, h in zip(before, now, huge, strict=False)]

    def settle(self, around: Surroundings) -> None:
        """What nothing refers to any more is free."""
        known = [slot for slot in self.stale if slot in self.slots]
        for slot in sorted(known, key=lambda slot: (self.slots[slot].page, slot)):
            if slot not in self.cached and not self.swap_count(slot):
                del self.slots[slot]
                around.release(slot)
        self.stale.clear()

    def forget_folios(self) -> None:
        """Folios that nothing maps or pins and that are not in the swap cache are free."""
        for f in self.loose:
            if f in self.folios and self.folios[f].slot is None and not self.is_mapped(f):
                if self.pins and self.pinned(f):
                    continue
                del self.folios[f]
        self.loose.clear()


def cached_alone(block: Block) -> bool:
    """Whether there is a folio in the swap cache that no swap PTE needs."""
    return any(not block.folio_swapped(f) for f in set(block.cached.values()))
