"""Shared anonymous memory and files of tmpfs (mm/shmem.c), and faults on them (mm/memory.c)."""

from __future__ import annotations

from swaptrace.counters import Counter
from swaptrace.errors import NotModelled
from swaptrace.mm.column import ZERO, Entry, Marker, Pte, Shmem
from swaptrace.mm.outcome import FaultResult
from swaptrace.mm.page import Page, drop_data
from swaptrace.mm.swap import read_swap_cache, swap_read_folio, swap_writepage


def do_fault(page: Page, p: int, write: bool) -> FaultResult:
    """do_fault() of a page that is not mapped; major if it had to be read, and VM_FAULT_SIGBUS
    beyond the end of the file (shmem_fault()).

    A read fault maps the page as vm_page_prot says, and its neighbours, too, even if it fails; a
    write fault of a private mapping copies it at once. No neighbours where a userfaultfd protects
    them (uffd_disable_fault_around()).
    """
    vma = page.vma(p)
    copies = write and not vma.shared
    page.enter("do_cow_fault" if copies else "do_shared_fault" if write else "do_read_fault")
    page.maps_around = not write and not vma.uffd_wp
    if page.shmem is None:
        page.enter("shmem_fault")
        return FaultResult(error=True, sigbus=True)
    return FaultResult(do_cow_fault(page, p) if copies else map_object(page, p, write))


def map_object(page: Page, p: int, write: bool) -> bool:
    """The object's page is mapped; whether it had to be read."""
    vma = page.vma(p)
    f, major = shmem_get_folio(page)
    pte = Pte(f, write=vma.prot_writes)
    if write:
        pte = pte.mkdirty().mkwrite() if vma.writable else pte.mkdirty()
        page.set_folio(f, dirty=True)
    set_pte_range(page, p, pte)
    return major


def do_cow_fault(page: Page, p: int) -> bool:
    """The object's page is looked up or read, and an anonymous copy of it mapped."""
    page.count(Counter.COW_FAULT)
    cached, major = shmem_get_folio(page)
    f = page.new_folio(page.folios[cached].data, anon_exclusive=True)
    page.lru_add_vma(f, p)
    pte = Pte(f).mkdirty()
    set_pte_range(page, p, pte.mkwrite() if page.vma(p).writable else pte)
    return major


def set_pte_range(page: Page, p: int, pte: Pte) -> None:
    """The entry that a fault makes: protected if a marker stood there."""
    page.set_pte(p, pte.mkuffd_wp() if page.marked else pte)
    if page.in_page_cache(pte.folio):
        page.mlock_vma_folio(pte.folio, p)  # folio_add_file_rmap_ptes()


def pte_install_uffd_wp_if_needed(page: Page, p: int) -> Entry:
    """What is left of an entry that is taken away while the VMA stays: of an object's page that is
    protected a marker (5.19), else nothing."""
    vma, pte = page.vma(p), page.maps[p].pte
    kept = vma.shmem and vma.uffd_wp and pte is not None and pte.uffd_wp
    return Marker() if kept else None


def shmem_get_folio(page: Page) -> tuple[int, bool]:
    """shmem_get_folio_gfp() with SGP_CACHE: the object's folio, new if there was none; and whether
    it was read."""
    assert page.shmem is not None
    if page.shmem.folio is not None:
        return page.shmem.folio, False
    if page.shmem.slot is not None:
        return shmem_swapin_folio(page, page.shmem.slot)
    f = page.new_folio(ZERO)
    page.shmem = Shmem(folio=f)
    page.lru_add(f)
    return f, False


def shmem_swapin_folio(page: Page, s: int) -> tuple[int, bool]:
    """The folio leaves the swap cache, is dirty, and its slot is free.

    A synchronous device bypasses the swap cache since 1dd44c0af4fc (6.14). Otherwise
    swap_cluster_readahead() would read what lies in slots nearby, which is not modelled.
    """
    page.enter("shmem_swapin_folio")
    f = page.cached_folio(s)
    major = f is None
    if f is None:
        direct = page.facts.backend.synchronous_io and page.facts.shmem_sync
        if page.facts.readahead and not direct:
            raise NotModelled(
                "shared memory is read from swap with what lies in slots nearby, which is not "
                "modelled; set machine.swap.page_cluster to 0"
            )
        f = page.new_folio(ZERO, slot=s)
        page.lru_add(f)
        swap_read_folio(page, s, f)
    page.shmem = Shmem(folio=f)
    page.set_folio(f, slot=None, dirty=True)
    return f, major


def shmem_writeout(page: Page, f: int) -> None:
    """shmem_writepage(), shmem_writeout(): the object's entry is a slot then, and the folio is in
    the swap cache until it is written. Without a free slot it stays where it is."""
    page.enter("shmem_writeout")
    page.set_folio(f, dirty=True)
    if not page.facts.slot_free:
        return
    s = page.new_slot()
    page.set_folio(f, slot=s)
    page.shmem = Shmem(slot=s)
    if swap_writepage(page, f):
        page.set_folio(f, slot=None)  # __remove_mapping()


def filemap_map_pages(page: Page, p: int) -> None:
    """A neighbour of a read fault: mapped if nothing is, and it is in the page cache."""
    vma, cached = page.maps[p].vma, page.shmem
    if vma is None or page.maps[p].pte is not None or cached is None or cached.folio is None:
        return
    page.enter("filemap_map_pages")
    page.count(Counter.FAULT_AROUND)
    page.set_pte(p, Pte(cached.folio, write=vma.prot_writes))
    page.mlock_vma_folio(cached.folio, p)  # folio_add_file_rmap_ptes()


def shmem_swapin_range(page: Page) -> None:
    """MADV_WILLNEED: what the object has in swap is read into the swap cache."""
    page.enter("shmem_swapin_range")
    if page.shmem is not None and page.shmem.slot is not None:
        read_swap_cache(page, page.shmem.slot)


def shmem_truncate_range(page: Page) -> None:
    """The page is unmapped everywhere, but for copies that processes have, and is a hole then."""
    page.enter("shmem_truncate_range")
    for p, mapping in enumerate(page.maps):
        pte = mapping.pte
        if mapping.vma is None or not mapping.vma.shmem:
            continue
        if isinstance(pte, Marker):
            page.set_map(p, data=ZERO)
        elif pte is None or (isinstance(pte, Pte) and page.in_page_cache(pte.folio)):
            left, armed = pte_install_uffd_wp_if_needed(page, p), mapping.armed
            if pte is not None:
                page.munlock_vma_folio(pte.folio, p)  # folio_remove_rmap_ptes()
            drop_data(page, p)
            page.set_map(p, pte=left, data=ZERO, armed=armed and left is not None)
    page.shmem = None if page.shmem is None else Shmem()
