"""A fault where memory comes in large folios, while the C of it runs."""

from __future__ import annotations

import copy
from typing import Any, Final

from swaptrace.ktree.faults.fault import Fault, Unmodelled, shown
from swaptrace.ktree.faults.values import PAGE_SHIFT, Address, OtherPte, PtePointer, further
from swaptrace.mm.block import Block, Surroundings
from swaptrace.mm.blockpage import BlockPage
from swaptrace.mm.column import Entry, Pte, SwapPte
from swaptrace.mm.event import Facts

OTHER: Final = "a PTE maps another page of the folio than that at its address"


class LargeFault(Fault):
    """A fault on page `i` of a block. `seen` are the entries of other pages as the kernel would
    read them, where the model has let go of their slots already; `made` is, of the folio that a PTE
    was made of, which of its pages that is for; `uncharged` are new folios that are charged to no
    memory cgroup. `pages` are those of the block that were looked at."""

    __slots__ = ("block", "i", "made", "pages", "seen", "uncharged")

    page: BlockPage

    def __init__(self, page: BlockPage, p: int, flags: int, anonymous: bool = True) -> None:
        super().__init__(page, p, flags, anonymous)
        self.block, self.i = page.block, page.i
        self.seen: dict[int, Entry] = {}
        self.made: dict[int, int] = {}
        self.uncharged: set[int] = set()
        self.pages: dict[int, BlockPage] = {}
        self.fields["address"] = Address((self.block.base + self.i) << PAGE_SHIFT)
        self.fields["pte"] = further(0) if isinstance(self.shown, Pte) else 0

    @property
    def numbers_slots(self) -> bool:
        return True

    def state(self) -> object:
        """As `Fault`, of the whole block, and of what lies around it."""
        around, where = self.page.around, (self.p, self.i)
        block = [getattr(self.block, name) for name in Block.__slots__]
        waiting = sorted(self.page.batch), sorted(self.page.queued)
        return where, block, *waiting, around.orders(*where), around.bounds(*where), around.facts

    def at(self, value: Any) -> int:
        """The page of the block that an address is in, or what is wrong."""
        if not isinstance(value, Address):
            raise Unmodelled("this needs an address")
        return (value.value >> PAGE_SHIFT) - self.block.base

    def page_of(self, pointer: Any, count: int = 1) -> int:
        """The page whose entry a pointer points to, and `count` from there on."""
        if type(pointer) is not PtePointer:
            raise Unmodelled("this needs a pointer to a PTE")
        i = self.i + pointer.number
        if not 0 <= i <= i + count <= len(self.block.maps):
            raise Unmodelled("a PTE is looked at that is of another page table")
        return i

    def at_page(self, i: int) -> BlockPage:
        """Another page of the block."""
        page = self.pages.get(i)
        if page is None:
            page = self.pages[i] = self.page.at(i)
        return page

    def entry(self, i: int) -> Entry:
        """What the page table holds."""
        if i == self.i:
            return self.shown
        pte = self.seen[i] if i in self.seen else self.block.maps[i][self.p].pte
        if type(pte) is SwapPte or not isinstance(pte, Pte) or not pte.uffd_wp:
            return pte
        return shown(self.at_page(i), self.p, pte)

    def is_anonymous(self, f: int) -> bool:
        """folio_test_anon(): a large folio gets into the swap cache when it is swapped out, or is
        mapped by the fault that reads it."""
        if self.block.folios[f].nr_pages > 1 and f not in self.fresh:
            return True
        return super().is_anonymous(f)

    def is_mapped(self, f: int) -> bool:
        """folio_mapped(), which need not count all pages that are."""
        return super().is_mapped(f) if self.mapping[f] else self.block.is_mapped(f)

    def swap_count(self, s: int) -> int:
        """__swap_count(), of a slot of any page of the block."""
        if s not in self.block.slots:
            raise Unmodelled("a swap slot is asked about that is none of the page table's")
        return self.block.swap_count(s) + self.kept[s]

    def swapped(self, f: int) -> bool:
        """folio_swapped()."""
        folio = self.block.folios[f]
        slots = range(folio.slot, folio.slot + folio.nr_pages) if folio.slot is not None else ()
        return any(map(self.swap_count, slots))

    def set_ptes(self, pointer: Any, pte: Any, count: int) -> None:
        """set_ptes(): as `set_pte`, of several pages of a folio in order."""
        first = self.page_of(pointer, count)
        if isinstance(pte, Pte) and not pte.is_zero_page:
            folio = self.block.folios[pte.folio]
            begins = folio.first + self.made.get(pte.folio, first - folio.first)
            if begins != first or first + count > folio.pages.stop:
                raise Unmodelled(OTHER)
            pte = Pte(*pte) if type(pte) is OtherPte else pte
        for i in range(first, first + count):
            self.set_at(i, pte)

    def set_pte(self, pte: Pte | SwapPte | None) -> None:
        """As `Fault`, of a PTE of the page of the fault."""
        if type(pte) is OtherPte:
            raise Unmodelled(OTHER)
        super().set_pte(pte)

    def set_at(self, i: int, pte: Any) -> None:
        """The entry of one page."""
        if i == self.i:
            self.set_pte(pte)
            return
        old = self.block.maps[i][self.p].pte
        if type(old) is SwapPte:
            self.kept[old.slot] += 1
        elif old is not None:
            raise Unmodelled("the PTE of a mapped folio is replaced by another one")
        if isinstance(pte, Pte) and not pte.is_zero_page:
            self.held[pte.folio] -= 1
            self.mapping[pte.folio] -= 1
        self.seen.pop(i, None)
        self.at_page(i).set_pte(self.p, self._kept(pte))

    def free_slot(self, s: int) -> None:
        """swap_free(), of a page of the block."""
        held = self.block.slots.get(s)
        i = self.i if held is None else held.page
        if self.kept[s] or i == self.i:
            super().free_slot(s)
            return
        old = self.block.maps[i][self.p].pte
        if not isinstance(old, SwapPte) or old.slot != s:
            raise Unmodelled("a reference to a swap slot is dropped that the fault does not hold")
        self.seen[i] = old
        self.at_page(i).set_pte(self.p, None)

    @staticmethod
    def twin(page: BlockPage) -> BlockPage:
        """A copy of a page and of its block, with which nothing comes of what happens."""
        other = type(page)(copy.deepcopy(page.block), page.i, page.policy, Quiet(page.around))
        other.facts, other.may_retry = page.facts, page.may_retry
        other.counts, other.broken, other.batch = [*page.counts], [*page.broken], {*page.batch}
        return other

    def same(self, other: BlockPage) -> bool:
        """Whether the same has become of the page and of a copy."""
        blocks = (self.block, other.block)
        alike = all(getattr(blocks[0], n) == getattr(blocks[1], n) for n in Block.__slots__)
        pages = (self.page, other)
        mine, theirs = ((page.counts, page.broken, page.batch, page.lookup) for page in pages)
        return alike and mine == theirs

    def left(self) -> str | None:
        """What is wrong when the fault is over."""
        if self.seen:
            return "a swap slot is freed, and no PTE is set"
        if self.uncharged and any(map(self.mapcount, self.uncharged)):
            return "a folio is mapped that was not charged"
        return super().left()


class Quiet:
    """What lies around a block, for what happens to a copy of it: nothing comes of it there."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around

    @property
    def facts(self) -> Facts:
        """As they are."""
        return self.around.facts

    def orders(self, p: int, i: int) -> tuple[int, ...]:
        """As they are."""
        return self.around.orders(p, i)

    def bounds(self, p: int, i: int) -> tuple[int, int]:
        """As they are."""
        return self.around.bounds(p, i)

    def anon_vma_prepare(self, p: int, i: int) -> None:
        """That is done."""

    def charge(self, _p: int | None, _pages: range) -> bool:
        """That is done."""
        return True

    def hit(self, p: int, i: int, ahead: bool) -> None:
        """That is noted."""

    def allocate(self, _order: int) -> int | None:
        """No fault takes slots."""
        raise Unmodelled("a fault allocates slots")

    def release(self, _slot: int) -> None:
        """Slots are released once a fault is over."""
        raise Unmodelled("a fault releases slots")

    def window(self, _p: int, _i: int) -> range:
        """Nothing is read that was cached."""
        raise Unmodelled("a page is read that is in the swap cache")
