"""Where folios and swap slots go in a transition, for whoever keeps lists of them.

`canonical` numbers them anew in each column; a list of folios across all pages must follow.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from swaptrace.mm.canonical import numbering
from swaptrace.mm.column import Column, Pte, SwapPte
from swaptrace.mm.event import Access, Event, Pageout, Populate, Reclaim, SwapIn
from swaptrace.mm.page import Page
from swaptrace.mm.policy import Policy
from swaptrace.mm.transition import perform

GONE: Final = -1


class Moves(NamedTuple):
    """What becomes of a column's folios and slots, by their old numbers.

    `folios` and `slots` give the new numbers, or GONE. `stored` is, of a folio that reclaim has
    freed, the slot (new number) that its data are in, else GONE. `fresh` are the new folios in
    the order in which they were allocated, GONE if they are already free again; the first was read
    from slot `read` (old number), unless that is GONE. `drains` is that the per-CPU batch of new
    folios is drained (lru_add_drain), `writes` that swap_writepage() is called, `added` is the slot
    (new number) that is allocated, or GONE.
    """

    folios: tuple[int, ...]
    slots: tuple[int, ...]
    stored: tuple[int, ...]
    fresh: tuple[int, ...]
    read: int
    drains: bool
    writes: bool
    added: int = GONE

    @property
    def trivial(self) -> bool:
        """Whether everything stays where it is."""
        stay = tuple(range(len(self.folios))), tuple(range(len(self.slots)))
        still = (self.folios, self.slots) == stay
        return still and not self.fresh and self.added == GONE


def moves(policy: Policy, column: Column, event: Event) -> Moves:
    """How the transition of `column` by `event` moves folios and slots."""
    page = Page(column, policy, event.facts)
    perform(page, event)
    folio_of, slot_of = numbering(page.maps, page.folios, page.pins, page.shmem)
    folios = tuple(folio_of.get(old, GONE) for old in range(len(column.folios)))
    slots = tuple(slot_of.get(old, GONE) for old in range(len(column.slots)))
    fresh = range(len(column.folios), len(page.folios))
    return Moves(
        folios=folios,
        slots=slots,
        stored=tuple(
            stored_in(column, page, slot_of, f, event) if new == GONE else GONE
            for f, new in enumerate(folios)
        ),
        fresh=tuple(folio_of.get(new, GONE) for new in fresh),
        read=read_from(column, event) if fresh else GONE,
        drains=drains(column, page, event),
        writes=page.written,
        added=slot_of.get(len(column.slots), GONE),
    )


def stored_in(column: Column, page: Page, slot_of: dict[int, int], f: int, event: Event) -> int:
    """The slot, by its new number, that holds what reclaim has taken from folio `f`."""
    if not isinstance(event, Reclaim | Pageout):
        return GONE
    slot = column.folios[f].slot
    for p, mapping in enumerate(column.maps):
        new = page.maps[p].pte
        if isinstance(mapping.pte, Pte) and mapping.pte.folio == f and isinstance(new, SwapPte):
            slot = new.slot
    return GONE if slot is None else slot_of.get(slot, GONE)


def read_from(column: Column, event: Event) -> int:
    """The slot that the event reads its first new folio from."""
    if not isinstance(event, Access | Populate | SwapIn):
        return GONE
    pte = column.maps[event.process].pte
    if not isinstance(pte, SwapPte) or any(f.slot == pte.slot for f in column.folios):
        return GONE
    return pte.slot


def drains(column: Column, page: Page, event: Event) -> bool:
    """Whether a write fault pushes new folios to the lists, to count the references to its own.

    do_swap_page() does so where the folio is in the swap cache, and from 7.3 on does not;
    wp_can_reuse_anon_folio() where the folio is not known to be exclusive.
    """
    stores = isinstance(event, Access) and event.store is not None
    if not stores and not (isinstance(event, Populate) and event.write):
        return False
    pte = column.maps[event.process].pte
    if isinstance(pte, SwapPte) and isinstance(event, Access) and event.read:
        # The fault is that of the read; another one may follow.
        found = page.wp_fault and not pte.exclusive and page.lookup != "none"
        return found or page.batched.drained
    if isinstance(pte, SwapPte) and event.facts.exclusive_alone:
        return page.wp_fault and not pte.exclusive
    if page.lookup != "none" or (isinstance(pte, SwapPte) and event.facts.maps_before_freeing):
        return True
    if not page.wp_fault or not isinstance(pte, Pte) or pte.is_zero_page:
        return False
    return not column.folios[pte.folio].anon_exclusive
