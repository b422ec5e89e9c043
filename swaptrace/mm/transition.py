"""The only door into the kernel: what one event does to one page.

`transition(policy, column, event)` is a pure function: equal arguments give equal outcomes,
and nothing outside is touched. Everything that one page does is decided behind it; what
lies between pages (the order of accesses, read-ahead windows, a device that fills up) is
the replay's business and comes in as events and facts.
"""

from __future__ import annotations

from typing import Final

from swaptrace.counters import Counter
from swaptrace.mm import checks
from swaptrace.mm.column import Column, Pte
from swaptrace.mm.event import (
    Access,
    Activate,
    ClearRefs,
    Cold,
    Dontneed,
    Event,
    Fork,
    Free,
    FreeSwap,
    Guard,
    HugetlbFault,
    MapPages,
    Mprotect,
    Pageout,
    Reclaim,
    ReclaimEvent,
    Remove,
    SetVma,
    SwapIn,
    UffdCopy,
    UffdEvent,
    UffdZeropage,
    Unmap,
    Writeprotect,
)
from swaptrace.mm.fork import copy_page_range
from swaptrace.mm.gup import unpin
from swaptrace.mm.madvise import guard, madvise_free, swapin_walk
from swaptrace.mm.memory import (
    MAX_FAULTS,
    never_ends,
    user_fault,
    zap_pte,
)
from swaptrace.mm.mlock import set_vma
from swaptrace.mm.mprotect import clear_soft_dirty, mprotect_fixup, uffd_wp_range
from swaptrace.mm.outcome import Outcome
from swaptrace.mm.page import UNBATCHED, Page
from swaptrace.mm.policy import Policy
from swaptrace.mm.shmem import filemap_map_pages, shmem_truncate_range
from swaptrace.mm.swap import try_to_reclaim_swap
from swaptrace.mm.userfault import mfill_copy, mfill_zeropage
from swaptrace.mm.vmscan import activate, madvise_cold, madvise_pageout, shrink_folio

LOOK_THEMSELVES: Final = (Access, HugetlbFault)
"""The events that count spurious dirtiness between their faults."""

NOUGHT = (0,) * len(Counter)
"""The counters of an event that counts nothing."""

NOTHING: Final = [*NOUGHT]
"""The same of a page."""


def transition(policy: Policy, column: Column, event: Event) -> Outcome:
    """What `event` does to `column` under `policy`.

    Raises `PolicyError` where the policy raises or gives a nonsensical answer.
    """
    page = Page(column, policy, event.facts)
    perform(page, event)
    if not (isinstance(event, Unmap) and event.gone):  # the others have moved up, unchanged
        if not isinstance(event, LOOK_THEMSELVES):
            checks.count_spurious_dirty(page, column.maps, writer=None)
        page.broken += checks.newly_broken(column, page.maps)
        if page.pins:
            page.broken += checks.newly_broken_pins(column, page)
    return Outcome(
        column=page.freeze(),
        counts=NOUGHT if page.counts == NOTHING else tuple(page.counts),
        violations=tuple(page.broken),
        lookup=page.lookup,
        path=tuple(page.path),
        ends=page.ends,
        batch=page.batched if event.facts.batch_left else UNBATCHED,
        around=page.maps_around,
    )


def perform(page: Page, event: Event) -> None:
    """Hand the event to the kernel function that it is about."""
    p = event.process
    match event:
        case Access():
            perform_access(page, event)
        case Pageout():
            madvise_pageout(page, p)
        case Cold():
            madvise_cold(page, p)
        case Reclaim() | Activate() | FreeSwap():
            perform_reclaim(page, event)
        case Dontneed():
            zap_pte(page, p, keeps_markers=True)
        case Guard():
            guard(page, p, event.install)
        case Free():
            madvise_free(page, p)
        case SwapIn():
            swapin_walk(page, p, event.readahead)
        case SetVma():
            set_vma(page, p, event.vma)
        case Mprotect():
            mprotect_fixup(page, p, event.readable, event.writable)
        case Writeprotect() | UffdCopy() | UffdZeropage():
            perform_uffd(page, event)
        case ClearRefs():
            clear_soft_dirty(page, p)
        case Fork():
            copy_page_range(page, p, event.copy, event.child)
        case MapPages():
            filemap_map_pages(page, p)
        case Remove():
            shmem_truncate_range(page)
        case Unmap():
            perform_unmap(page, event)
        case _:
            # Imported with the first of them: a command that replays a small scenario spends most
            # of its time on imports.
            from swaptrace.mm.rare import perform_rare

            perform_rare(page, event)


def perform_reclaim(page: Page, event: ReclaimEvent) -> None:
    """What happens to a page that nobody asked for."""
    match event:
        case Reclaim():
            shrink_folio(page, event.folio, event.held)
        case Activate():
            activate(page, event.folio)
        case FreeSwap():
            try_to_reclaim_swap(page, event.slot)


def perform_uffd(page: Page, event: UffdEvent) -> None:
    """An ioctl of a userfaultfd."""
    p = event.process
    match event:
        case Writeprotect():
            uffd_wp_range(page, p, event.wp, event.rwp)
        case UffdCopy():
            mfill_copy(page, p, event.byte, event.wp)
        case UffdZeropage():
            mfill_zeropage(page, p)


def perform_access(page: Page, event: Access) -> None:
    """A load, a store, or both; the first that fails ends it with a signal."""
    p = event.process
    if event.read:
        before = list(page.maps)
        if not access(page, p, write=False):
            return
        checks.count_spurious_dirty(page, before, writer=None)
        checks.load(page, p)
    if event.store is not None:
        before = list(page.maps)
        if not access(page, p, write=True):
            return
        checks.count_spurious_dirty(page, before, writer=p)
        checks.store(page, p, event.store)


def access(page: Page, p: int, write: bool) -> bool:
    """Fault until the MMU lets the access through; False if it is forbidden."""
    vma = page.maps[p].vma
    if vma is None or not vma.allows(write):
        page.count(Counter.SIGSEGV)
        page.ends = True
        return False
    for _ in range(MAX_FAULTS):
        if mmu_permits(page, p, write):
            return True
        user_fault(page, p, write)
        if page.ends:
            return False
    raise never_ends(page)


def mmu_permits(page: Page, p: int, write: bool) -> bool:
    """Whether the access goes through without a fault.

    An MMU that does not set the dirty bit itself traps the first write to a clean page.
    """
    pte = page.maps[p].pte
    if not isinstance(pte, Pte) or page.maps[p].protnone or page.rwp(p):
        return False
    return not write or (pte.write and (page.facts.hw_dirty or pte.dirty))


def perform_unmap(page: Page, event: Unmap) -> None:
    """munmap leaves a hole; exit takes the process out of the column."""
    p = event.process
    if page.maps[p].vma is not None:
        zap_pte(page, p)
    if event.gone:
        unpin(page, p)
        page.forget_process(p)
    else:
        page.set_map(p, vma=None)
