"""Page faults and page tables (mm/memory.c, arch/x86/mm/fault.c)."""

from __future__ import annotations

from swaptrace.counters import Counter
from swaptrace.errors import PolicyError
from swaptrace.mm.column import GUARD, ZERO_PAGE, Marker, Pte, SwapPte, Vma
from swaptrace.mm.event import Facts
from swaptrace.mm.mprotect import do_numa_page
from swaptrace.mm.outcome import FaultResult
from swaptrace.mm.page import Page, drop_data
from swaptrace.mm.policy import FOLIO, SLOT, FolioRefs, SwapinFault, SwapinPte, ask
from swaptrace.mm.shmem import do_fault, pte_install_uffd_wp_if_needed
from swaptrace.mm.swap import (
    folio_free_swap,
    free_swap_and_cache,
    free_swap_cache,
    read_swap_cache,
    swap_read_folio,
)
from swaptrace.mm.userfault import do_uffd_rwp, handle_missing, handle_userfault

MAX_FAULTS = 8
"""More faults than any access takes; a policy under which it takes more is in error."""


class DirtyingPte(Pte):
    """A PTE where pte_mkwrite() dirties, too (arm64 before 143937ca51cc).

    In a column it is a plain `Pte`, which it never equals: a policy is asked something else.
    """

    def mkwrite(self) -> Pte:
        return DirtyingPte(self.folio, True, True, self.soft_dirty, self.uffd_wp)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DirtyingPte) and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = Pte.__hash__


def mk_pte(facts: Facts, f: int) -> Pte:
    """mk_pte() with the protection of a private VMA: never writable."""
    return DirtyingPte(f) if facts.mkwrite_dirties else Pte(f)


def user_fault(page: Page, p: int, write: bool) -> None:
    """do_user_addr_fault(): one fault as the process sees it, retried if need be.

    With per-VMA locks (0bff0aaea03e, 6.4) the retry under mmap_lock counts as major only if
    the first attempt swapped in; without them every retry does.
    """
    result = handle_mm_fault(page, p, write)
    tried = False
    if result.error:
        page.count(Counter.SIGBUS if result.sigbus else Counter.SIGSEGV)
        page.ends = True
        return
    if result.retry:
        tried = result.major or not page.facts.per_vma_lock
        result = handle_mm_fault(page, p, write)
        if result.retry:
            raise never_ends(page)
    mm_account_fault(page, result.major or tried)


def mm_account_fault(page: Page, major: bool) -> None:
    """Only a completed fault counts; major if it was, or was retried with FAULT_FLAG_TRIED."""
    page.count(Counter.MAJFLT if major else Counter.MINFLT)


def handle_mm_fault(page: Page, p: int, write: bool) -> FaultResult:
    """__handle_mm_fault(), handle_pte_fault()."""
    result = page.handle_pmd_fault(p, write)
    if result is not None:
        return result
    pte, own = page.maps[p].pte, page.policy.functions
    if pte is None:
        result = do_pte_missing(page, p, write)
    elif isinstance(pte, Marker):
        result = handle_pte_marker(page, p, write)
    elif isinstance(pte, SwapPte):
        result = own.get("do_swap_page", do_swap_page)(page, p, pte, write)
    elif page.traps(p):
        result = own.get("do_uffd_rwp", do_uffd_rwp)(page, p)
    elif page.maps[p].protnone:
        do_numa_page(page, p)
    elif write and not pte.write:
        result = own.get("do_wp_page", do_wp_page)(page, p)
    elif write:
        page.enter("handle_pte_fault")
        page.set_pte(p, pte.mkdirty())
    return result or FaultResult()


def do_pte_missing(page: Page, p: int, write: bool) -> FaultResult | None:
    """do_fault() of an object, do_anonymous_page() of the rest."""
    if page.vma(p).shmem:
        return do_fault(page, p, write)
    own = page.policy.functions.get("do_anonymous_page", do_anonymous_page)
    result: FaultResult | None = own(page, p, write)
    return result


def handle_pte_marker(page: Page, p: int, write: bool) -> FaultResult:
    """A page that was protected before it was there: one comes as if there were no marker, and is
    protected. A marker of a VMA that is no longer registered is only taken away. A guard is an
    error (VM_FAULT_SIGSEGV)."""
    page.enter("handle_pte_marker")
    if page.maps[p].pte == GUARD:
        return FaultResult(error=True)
    page.set_pte(p, None)
    if not page.vma(p).uffd_wp:
        return FaultResult()
    page.marked = True
    result = do_pte_missing(page, p, write)
    page.marked = False
    if page.maps[p].pte is None:
        page.set_pte(p, Marker())
    return result or FaultResult()


def do_anonymous_page(page: Page, p: int, write: bool) -> FaultResult:
    """First touch: an event where the VMA is registered for missing pages, else the shared zero
    page for a read, a fresh folio for a write."""
    page.enter("do_anonymous_page")
    if page.vma(p).uffd.missing:
        if not page.may_retry:
            return FaultResult(error=True)
        handle_missing(page, p)
        return FaultResult(retry=True)
    if not write:
        page.count(Counter.ZERO_PAGE)
        page.set_pte(p, Pte(ZERO_PAGE, uffd_wp=page.marked))
        return FaultResult()
    page.count(Counter.ZERO_FILL)
    f = page.alloc_anon_folio(p)
    page.lru_add_vma(f, p)
    pte = mk_pte(page.facts, f)
    if page.vma(p).writable:
        pte = pte.mkdirty().mkwrite()
    page.set_ptes(p, Pte(*(pte.mkuffd_wp() if page.marked else pte)), f)
    return FaultResult()


def do_swap_page(page: Page, p: int, orig: SwapPte, write: bool) -> FaultResult:
    """Swap the page in; a write that the policy has not handled goes on to do_wp_page()."""
    page.enter("do_swap_page")
    f, major = swapin_folio(page, p, orig)
    if drains_to_map(page, f, write):
        page.lru_add_drain()
    finish = map_and_free if page.facts.maps_before_freeing else free_and_map
    if finish(page, p, f, orig, write):
        result = do_wp_page(page, p)
        return FaultResult(major and not result.error, result.retry, result.error)
    return FaultResult(major=major)


def drains_to_map(page: Page, f: int, write: bool) -> bool:
    """Whether a write fault drains the per-CPU batch of new folios, to know the references to its
    own, which is in the swap cache; not since 7.3, where no reference is asked for."""
    if not write or page.facts.exclusive_alone:
        return False
    return page.off_lru(f) and page.folios[f].slot is not None


def free_and_map(page: Page, p: int, f: int, orig: SwapPte, write: bool) -> bool:
    """The second half up to 6.19: the swap cache is let go, if it is to be, and then the PTE is
    made. Whether a write is still to be handled."""
    exclusive = orig.exclusive or page.folios[f].slot is None
    whole = page.maps_whole(p, f, orig)
    page.set_ptes(p, None, f if whole else None)  # swap_free_nr(): one reference less
    vma, refs = page.vma(p), page.refs(f, held=1)
    if not page.facts.frees_large_swap:
        refs = refs._replace(nr_pages=1)  # two references are asked for, whatever the size
    if ask(page.policy, "should_free_swap", bool, refs, vma, write, page.facts.swap_full):
        folio_free_swap(page, f)
    fault = fault_of(page, vma, write, orig, exclusive, page.refs(f, held=1))
    answer = map_swapped_in(page, p, f, fault, whole)
    return write and not answer.write_handled


def map_and_free(page: Page, p: int, f: int, orig: SwapPte, write: bool) -> bool:
    """The second half since 7.0 (4b34f1d82c65): the PTE is made while the folio is in the swap
    cache. Whether a write is still to be handled.

    The fault's own reference becomes that of the PTE.
    """
    vma, whole = page.vma(p), page.maps_whole(p, f, orig)
    refs = page.refs(f, held=1)
    fault = fault_of(page, vma, write, orig, orig.exclusive, refs)
    answer = map_swapped_in(page, p, f, fault, whole)
    if page.facts.exclusive_alone:
        left = write and not answer.pte.write and not page.rwp(p)
        frees = write and orig.exclusive
    else:
        left = frees = write and not answer.write_handled
    question = refs_once_mapped(page, f, orig, whole), vma, frees, page.facts.swap_full
    if page.facts.backend.synchronous_io or ask(page.policy, "should_free_swap", bool, *question):
        folio_free_swap(page, f)
    return left


def refs_once_mapped(page: Page, f: int, orig: SwapPte, whole: bool) -> FolioRefs:
    """What should_try_to_free_swap() goes by since 7.0: what the fault has mapped counts as one
    reference, however many pages that are. In 7.3 the exclusive marker of the entry says that
    nobody else refers to it."""
    refs = page.refs(f)
    if page.facts.exclusive_alone and orig.exclusive:
        return refs._replace(ref_count=1 + refs.nr_pages)
    return refs._replace(ref_count=refs.ref_count - (refs.nr_pages - 1) * whole)


def swapin_folio(page: Page, p: int, orig: SwapPte) -> tuple[int, bool]:
    """The folio for a swap entry, and whether it had to be read (a major fault).

    A synchronous device bypasses the swap cache where the slot's count is one, up to 6.19; since
    7.0 it never does, nor reads ahead (swapin_sync()).
    """
    cached = page.swap_cache_get_folio(orig.slot)
    if cached is not None:
        page.lookup = "readahead_hit" if page.folios[cached].readahead else "hit"
        page.note_lookup(p, cached)
        if page.folios[cached].readahead:
            page.count(Counter.SWAP_RA_HIT)
            page.set_folio(cached, readahead=False)
        return cached, False
    if page.facts.backend.synchronous_io:
        if page.facts.sync_through_cache:
            page.enter("swapin_sync")
            f = page.alloc_swap_folio(p, orig)
            page.set_folio(f, slot=orig.slot)
            page.lru_add(f)
            swap_read_folio(page, orig.slot, f)
            return f, True
        if page.swap_count(orig.slot) == 1:
            f = page.alloc_swap_folio(p, orig)
            page.lru_add(f)
            swap_read_folio(page, orig.slot, f)
            return f, True
    page.lookup = "read"
    page.enter("swapin_readahead")
    page.swapin_readahead(p)
    f = read_swap_cache(page, orig.slot)
    if page.facts.readahead and not page.facts.exclusive_alone:
        page.lru_add_drain()  # swap_vma_readahead(), up to 7.2
    return f, True


def fault_of(
    page: Page, vma: Vma, write: bool, orig: SwapPte, exclusive: bool, refs: FolioRefs
) -> SwapinFault:
    """What a policy is handed: no number of a folio or slot."""
    entry, pte = orig._replace(slot=SLOT), mk_pte(page.facts, FOLIO)
    return SwapinFault(vma, write, entry, pte, exclusive, refs)


def map_swapped_in(page: Page, p: int, f: int, fault: SwapinFault, whole: bool) -> SwapinPte:
    """folio_add_anon_rmap_ptes() and set_ptes() of folio `f`, as the policy says: of all of its
    pages, or of the one of the fault. One that is read-write protected stays so, and the access
    faults once more."""
    answer = ask(page.policy, "swapin_pte", SwapinPte, fault)
    if fault.orig.uffd_wp and fault.vma.uffd_rwp:
        answer = answer._replace(pte=Pte(*fault.carry_bits(fault.pte)))
    note_swapped_in(page, p, f)
    if answer.exclusive:
        page.set_exclusive(f, whole)
    page.set_ptes(p, answer.pte._replace(folio=f), f if whole else None)
    return answer


def note_swapped_in(page: Page, p: int, f: int) -> None:
    """folio_add_anon_rmap_ptes(), which mlocks; since 9ae2feacedde (6.11)
    folio_add_new_anon_rmap() of a folio that nobody has mapped, which does not."""
    if not page.is_fresh(f) or not page.facts.swapin_unmlocked:
        page.mlock_vma_folio(f, p)
    page.set_fresh(f, False)


def do_wp_page(page: Page, p: int, unshare: bool = False) -> FaultResult:
    """A write to a write-protected present page: an event, a reuse or a copy. Or no write, but the
    page is to be the process's own (FAULT_FLAG_UNSHARE)."""
    page.enter("do_wp_page")
    page.wp_fault = True
    pte = page.maps[p].pte
    assert isinstance(pte, Pte)
    if page.vma(p).uffd_wp and pte.uffd_wp and not unshare:
        if not page.vma(p).wp_async:
            if not page.may_retry:
                return FaultResult(error=True)  # handle_userfault(): VM_FAULT_SIGBUS, and no event
            handle_userfault(page, p)
            return FaultResult(retry=True)
        pte = pte.clear_uffd_wp()
        page.set_pte(p, pte)
    if page.vma(p).shared:
        page.count(Counter.WP_REUSE)
        wp_page_shared(page, p, pte)
    elif not (pte.is_zero_page or page.in_page_cache(pte.folio)) and (
        page.folios[pte.folio].anon_exclusive or wp_can_reuse_anon_folio(page, pte.folio)
    ):
        page.set_folio(pte.folio, anon_exclusive=True)
        if not unshare:
            page.count(Counter.WP_REUSE)
            wp_page_reuse(page, p, pte)
    else:
        page.count(Counter.WP_COPY)
        wp_page_copy(page, p, pte, unshare)
    return FaultResult()


def wp_can_reuse_anon_folio(page: Page, f: int) -> bool:
    """Whether a folio not marked exclusive is ours alone; if so it leaves the swap cache."""
    if page.nr_pages(f) > 1 and page.facts.copies_last:
        return page.wp_can_reuse_large_anon_folio(f)
    if page.off_lru(f) and page.refs(f).ref_count <= most_references(page, f):
        page.lru_add_drain()
    if not page.can_reuse_anon(f):
        return False
    folio_free_swap(page, f)
    return True


def most_references(page: Page, f: int) -> int:
    """With how many to a folio in the batch wp_can_reuse_anon_folio() still drains it; since 7.3 as
    many as there are if all but one go."""
    cached = page.folios[f].slot is not None
    return 2 + cached if page.facts.exclusive_alone else 3


def wp_page_reuse(page: Page, p: int, pte: Pte) -> None:
    """Make the PTE dirty and, if the VMA allows, writable."""
    page.enter("wp_page_reuse")
    pte = pte.mkdirty()
    page.set_pte(p, pte.mkwrite() if page.vma(p).writable else pte)


def wp_page_shared(page: Page, p: int, pte: Pte) -> None:
    """wp_page_shared() without page_mkwrite(), which shmem has not."""
    page.enter("wp_page_shared")
    wp_page_reuse(page, p, pte)
    page.set_folio(pte.folio, dirty=True)


def wp_page_copy(page: Page, p: int, old: Pte, unshare: bool = False) -> None:
    """Give the process a folio of its own with the same content."""
    page.enter("wp_page_copy")
    f = page.new_folio(page.content(p), anon_exclusive=True)
    page.lru_add_vma(f, p)
    pte = Pte(f).mkdirty()
    if unshare:
        page.set_pte(p, Pte(f, soft_dirty=old.soft_dirty, uffd_wp=old.uffd_wp))
    else:
        page.set_pte(p, pte.mkwrite() if page.vma(p).writable else pte)
    if not old.is_zero_page:
        page.munlock_vma_folio(old.folio, p)  # folio_remove_rmap_pte()
        free_swap_cache(page, old.folio)


def zap_pte(page: Page, p: int, keeps_markers: bool = False) -> None:
    """zap_pte_range(): the process loses the page (MADV_DONTNEED, munmap, exit). MADV_DONTNEED
    `keeps_markers` of guards, and those that protect an object's pages: zap_drop_markers()."""
    page.enter("zap_pte_range")
    pte, vma = page.maps[p].pte, page.vma(p)
    if keeps_markers and (pte == GUARD or (vma.shmem and isinstance(pte, Marker))):
        return
    left = pte_install_uffd_wp_if_needed(page, p) if keeps_markers else None
    armed = page.maps[p].armed
    if isinstance(pte, SwapPte):
        free_swap_and_cache(page, p, pte.slot)
    elif pte is not None:
        page.set_pte(p, None)
        if isinstance(pte, Pte) and not pte.is_zero_page:
            if page.in_page_cache(pte.folio):
                page.set_folio(pte.folio, dirty=page.folios[pte.folio].dirty or pte.dirty)
                page.set_active(pte.folio, None)  # folio_mark_accessed()
            if vma.locked:
                page.walk_mlocks(pte.folio, "unlock")  # folio_remove_rmap_ptes()
            free_swap_cache(page, pte.folio)
    drop_data(page, p)
    if left is not None:
        page.set_map(p, pte=left, armed=armed)


def never_ends(page: Page) -> PolicyError:
    """The error of a policy under which an access cannot complete."""
    return PolicyError(
        f"policy {page.policy.name!r}: an access faults for ever: "
        "the PTE of swapin_pte() never permits it"
    )
