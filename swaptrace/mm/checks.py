"""The promises of the kernel to user space, one function per promise.

What a process may rely on is kept beside its mapping (`Mapping.data`, `freed`, `written`,
`armed`) by the functions here that perform its loads and stores; the kernel functions
never look at it.
"""

from __future__ import annotations

from collections.abc import Sequence

from swaptrace.counters import Counter, ViolationKind
from swaptrace.mm.column import (
    FILLED,
    NUMBER_BITS,
    ZERO,
    Column,
    Mapping,
    Marker,
    Pte,
    SwapPte,
    filled_with,
    object_data,
)
from swaptrace.mm.event import Store
from swaptrace.mm.page import Page


def load(page: Page, p: int) -> None:
    """The process reads the page: does it see what it may expect?"""
    mapping, seen = page.maps[p], page.content(p)
    if mapping.freed and seen == ZERO:
        page.set_map(p, data=ZERO, freed=False)
    elif seen != mapping.data:
        page.broken.append((misread(page, p, seen), p))
        page.set_map(p, data=seen, freed=False)


def lost(column: Column, mapping: Mapping) -> bool:
    """Whether a process's data are no longer what it may expect, read or not.

    A load would find what the process last wrote, or zeroes after MADV_FREE.
    """
    seen = content(column, mapping)
    return seen != mapping.data and not (mapping.freed and seen == ZERO)


def content(column: Column, mapping: Mapping) -> int | None:
    """The data token that a load would find, wherever it is now."""
    vma, pte = mapping.vma, mapping.pte
    if vma is not None and vma.shmem and (pte is None or isinstance(pte, Marker)):
        return object_data(column.shmem, column.folios, column.slots)
    if isinstance(pte, Pte):
        return ZERO if pte.is_zero_page else column.folios[pte.folio].data
    if not isinstance(pte, SwapPte):
        return ZERO
    cached = (folio.data for folio in column.folios if folio.slot == pte.slot)
    return next(cached, column.slots[pte.slot].data)


def misread(page: Page, p: int, seen: int) -> ViolationKind:
    """Whose data did the process read: another's (cow_leak), or not even that (lost_write)?

    Zeroes are nobody's.
    """
    others = (m for q, m in enumerate(page.maps) if q != p and m.vma is not None)
    leaks = seen != ZERO and any(m.data == seen for m in others)
    return ViolationKind.COW_LEAK if leaks else ViolationKind.LOST_WRITE


def store(page: Page, p: int, what: Store, forced: bool = False) -> None:
    """The process writes the page through its PTE, whose dirty bit the MMU sets; or a debugger does
    (`forced`), which dirties the folio alone."""
    mapping = page.maps[p]
    pte = mapping.pte
    assert isinstance(pte, Pte)
    vma = page.vma(p)
    if mapping.armed and (pte.uffd_wp or not vma.wp_async):
        page.broken.append((ViolationKind.LOST_UFFD_WP, p))
    if what == "zero" or (what == "same" and page.content(p) == ZERO):
        data = ZERO
    elif what == "same":
        data = page.new_token(page.content(p) >> NUMBER_BITS)
    elif isinstance(what, int):
        data = page.new_token(what | FILLED if filled_with(page.content(p)) == what else what)
    else:
        data = page.new_token()
    page.set_folio(pte.folio, data=data)
    dirty = Pte(pte.folio, pte.write, pte.dirty or not forced, pte.soft_dirty, pte.uffd_wp)
    page.maps[p] = Mapping(vma, dirty, data, freed=False, written=True, armed=False)
    if forced:
        page.set_folio(pte.folio, dirty=True)
    elif not pte.dirty:
        page.mmu_dirties(p)
    if vma is not None and vma.shared:
        for q in range(len(page.maps)):
            if sees_object(page, q):
                page.set_map(q, data=data)
        page.pins = [
            pin._replace(data=data) if pin.folio == pte.folio else pin for pin in page.pins
        ]
    elif page.pins:
        follow_store(page, p)


def sees_object(page: Page, p: int) -> bool:
    """Whether the process has the object's page, and no copy of its own as a private mapping may
    have."""
    vma, pte = page.maps[p].vma, page.maps[p].pte
    if vma is None or not (vma.shared or vma.shmem):
        return False
    absent = pte is None or isinstance(pte, Marker)
    return vma.shared or absent or (isinstance(pte, Pte) and page.in_page_cache(pte.folio))


def follow_store(page: Page, p: int) -> None:
    """The process stored: what is read through its pin must be that, unless it has given the page
    up since. Of a reference by FOLL_GET the kernel does not promise it, only that what another
    process stores is not seen."""
    data = page.maps[p].data
    for number, pin in enumerate(page.pins):
        if pin.process == p and not pin.detached:
            seen = data if pin.longterm else page.folios[pin.folio].data
            page.pins[number] = pin._replace(data=seen)


def newly_broken_pins(before: Column, page: Page) -> list[tuple[ViolationKind, int]]:
    """The pins through which not that is read which must be, and that were in order before."""
    known = {pin.process for pin in before.pins if before.folios[pin.folio].data != pin.data}
    return [
        (ViolationKind.PIN_BROKEN, pin.process)
        for pin in page.pins
        if page.folios[pin.folio].data != pin.data and pin.process not in known
    ]


def reads_soft_dirty(mapping: Mapping) -> bool:
    """Bit 55 of /proc/PID/pagemap."""
    if mapping.vma is None:
        return False
    return mapping.vma.soft_dirty or (mapping.pte is not None and mapping.pte.soft_dirty)


def lost_soft_dirty(mapping: Mapping) -> bool:
    """Written since clear_refs, and does not read as soft-dirty."""
    return mapping.written and not reads_soft_dirty(mapping)


def spurious_soft_dirty(mapping: Mapping) -> bool:
    """Reads as soft-dirty although it was not written since clear_refs."""
    if mapping.vma is None or mapping.vma.soft_dirty:
        return False
    return reads_soft_dirty(mapping) and not mapping.written


def write_without_permission(mapping: Mapping) -> bool:
    """A writable PTE in a VMA without VM_WRITE."""
    return (
        isinstance(mapping.pte, Pte)
        and mapping.pte.write
        and mapping.vma is not None
        and not mapping.vma.writable
    )


STATE_CHECKS = (
    (ViolationKind.LOST_SOFT_DIRTY, lost_soft_dirty),
    (ViolationKind.WRITE_WITHOUT_PERMISSION, write_without_permission),
    (ViolationKind.SPURIOUS_SOFT_DIRTY, spurious_soft_dirty),
)


def newly_broken(before: Column, after: list[Mapping]) -> list[tuple[ViolationKind, int]]:
    """What holds in no mapping of `before` but in one of `after` (of the same processes)."""
    broken = [
        (kind, p)
        for p, (old, new) in enumerate(zip(before.maps, after, strict=False))
        if new is not old
        for kind, check in STATE_CHECKS
        if check(new) and not check(old)
    ]
    return sorted(broken, key=_order) if len(broken) > 1 else broken


def _order(broken: tuple[ViolationKind, int]) -> int:
    return [kind for kind, _ in STATE_CHECKS].index(broken[0])


def count_spurious_dirty(page: Page, before: Sequence[Mapping], writer: int | None) -> None:
    """PTEs that became dirty although their process stored nothing (`writer` is about to), nor was
    given the page."""
    for p, (old, new) in enumerate(zip(before, page.maps, strict=False)):
        if new is not old and _dirty(new) and not _dirty(old) and p not in (writer, page.given):
            page.count(Counter.SPURIOUS_DIRTY)


def _dirty(mapping: Mapping) -> bool:
    return isinstance(mapping.pte, Pte) and mapping.pte.dirty
