"""Pages and what happens to them, in words."""

from __future__ import annotations

from typing import Final

from swaptrace.advice import Advice
from swaptrace.mm.column import Column, Mapping, Marker, Pte, SwapPte, Vma
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
    KsmEvent,
    MapPages,
    Merge,
    Migrate,
    Move,
    Mprotect,
    Pageout,
    Populate,
    Reclaim,
    ReclaimEvent,
    Remove,
    SetVma,
    SwapIn,
    UffdCopy,
    UffdEvent,
    UffdZeropage,
    Unmap,
    Unmerge,
    Unpin,
    Writeprotect,
)

ADVICE: Final = {
    Pageout: Advice.PAGEOUT,
    Cold: Advice.COLD,
    Dontneed: Advice.DONTNEED,
    Free: Advice.FREE,
}
"""What the events are called that are nothing but an advice."""


def event_words(event: Event, names: list[str]) -> str:
    """What happened to the page."""
    who = names[event.process]
    match event:
        case Access() | Populate() | HugetlbFault() | Unpin():
            return access_words(event, who)
        case Reclaim() | Activate() | FreeSwap():
            return reclaim_words(event)
        case Writeprotect() | UffdCopy() | UffdZeropage():
            return uffd_words(event, who)
        case Merge() | Unmerge():
            return ksm_words(event, who)
        case Pageout() | Cold() | Dontneed() | Free():
            return f"{who}: {ADVICE[type(event)]}"
        case Guard(install=install):
            return f"{who}: {Advice.GUARD_INSTALL if install else Advice.GUARD_REMOVE}"
        case SwapIn(readahead=True):
            return f"read ahead for a neighbour's fault by {who}"
        case SwapIn():
            return f"{who}: {Advice.WILLNEED}"
        case SetVma(vma=vma):
            return f"{who}: the VMA becomes {vma_words(vma)}"
        case Move():
            return f"{who}: mremap"
        case Mprotect(readable=readable, writable=writable):
            return f"{who}: mprotect to {'rw' if writable else 'r' if readable else 'none'}"
        case Migrate():
            return f"{who}: the page is migrated"
        case ClearRefs():
            return f"{who}: clear_refs"
        case Fork(copy=copy):
            return f"{who} forks" + ("" if copy else ", the page table is not copied")
        case MapPages():
            return f"mapped around a neighbour's read fault by {who}"
        case Remove():
            return "the object loses the page"
        case Unmap(gone=True):
            return f"{who} exits"
        case Unmap():
            return f"{who}: munmap"


def access_words(event: Access | Populate | HugetlbFault | Unpin, who: str) -> str:
    """What a process, or the kernel for it, does with the page."""
    match event:
        case Access(read=True, store=None):
            return f"{who} reads"
        case Access(read=True):
            return f"{who} reads, then writes it back"
        case Access(store=store):
            return f"{who} writes" + (" zeroes" if store == "zero" else "")
        case Populate(unshare=True):
            return f"{who} pins it, to read"
        case Populate(pin=True, write=longterm):
            return f"{who} pins it" + (", to write" if longterm else " with FOLL_GET, to read")
        case Populate(store=store) if store is not None:
            return f"a debugger writes it for {who}"
        case HugetlbFault(write=write):
            return f"{who} faults its huge page in, for " + ("writing" if write else "reading")
        case Unpin():
            return f"{who} unpins it"
        case Populate(write=write):
            return f"the kernel faults it in for {who}, for " + ("writing" if write else "reading")


def reclaim_words(event: ReclaimEvent) -> str:
    """What reclaim does."""
    match event:
        case Reclaim(held=True):
            return "unmapped by reclaim, and kept: a per-CPU batch still has a reference"
        case Reclaim():
            return "reclaimed, as it was not used"
        case Activate():
            return "spared by reclaim, as it was used"
        case FreeSwap():
            return "its slot is taken back for another page"


def uffd_words(event: UffdEvent, who: str) -> str:
    """What comes through a userfaultfd."""
    match event:
        case Writeprotect(wp=wp, rwp=rwp):
            how = "read-write-protects" if rwp else "write-protects"
            return f"{who}: userfaultfd " + (how if wp else "un-protects")
        case UffdCopy(byte=byte, wp=wp):
            what = f"a page full of {byte:#04x}" if byte else "a page of zeroes"
            return f"{who}: userfaultfd copies {what}" + (", write-protected" if wp else "")
        case UffdZeropage():
            return f"{who}: userfaultfd maps the zero page"


def ksm_words(event: KsmEvent, who: str) -> str:
    """What KSM does."""
    match event:
        case Merge(zero=True):
            return f"ksmd: the zero page takes the place of {who}'s"
        case Merge(kept=True):
            return f"ksmd: {who}'s page becomes the one that equal pages share"
        case Merge():
            return f"ksmd: an equal page takes the place of {who}'s"
        case Unmerge(by_ksmd=True):
            return f"ksmd: {who} gets a page of its own again"
        case Unmerge():
            return f"{who}: {Advice.UNMERGEABLE}"


def column_words(column: Column, names: list[str], sizes: tuple[int, ...] = ()) -> tuple[str, ...]:
    """Each process's view of the page; its name only where there are several. `sizes` are of how
    many pages its folios are, unless of one each."""
    views = [mapping_words(column, mapping, sizes) for mapping in column.maps]
    if len(views) == 1:
        return (views[0],)
    return tuple(f"{name}: {view}" for name, view in zip(names, views, strict=False))


def mapping_words(column: Column, mapping: Mapping, sizes: tuple[int, ...] = ()) -> str:
    """One process's view."""
    if mapping.vma is None:
        return "not mapped"
    return f"{entry_words(column, mapping, sizes)}; VMA {vma_words(mapping.vma)}"


def entry_words(column: Column, mapping: Mapping, sizes: tuple[int, ...]) -> str:
    """The page-table entry and what it leads to."""
    pte = mapping.pte
    if pte is None:
        beyond = mapping.vma is not None and mapping.vma.shmem and column.shmem is None
        if beyond:
            return "beyond the end of the file"
        return "no page" if column.shmem is None else f"no page; {object_words(column)}"
    if isinstance(pte, Marker):
        return "a guard" if pte.guard else "no page, a uffd-wp marker"
    bits = [word for word in ("soft_dirty", "uffd_wp") if getattr(pte, word)]
    if isinstance(pte, SwapPte):
        count = column.swap_count(pte.slot)
        words = ["in swap", "exclusive" if pte.exclusive else "not exclusive", *bits]
        cached = [f for f in column.folios if f.slot == pte.slot]
        if count > 1:
            words.append(f"slot shared by {count}")
        if cached:
            words.append("cached, read ahead" if cached[0].readahead else "cached")
        return _join(words)
    words = ["writable" if pte.write else "read-only", "dirty" if pte.dirty else "clean", *bits]
    return _join(words) + ", " + folio_words(column, pte, sizes)


def object_words(column: Column) -> str:
    """Where the object has its page."""
    shmem = column.shmem
    if shmem is not None and shmem.folio is not None:
        return "in the page cache" + (", dirty" if column.folios[shmem.folio].dirty else "")
    return "the object's is in swap" if shmem is not None and shmem.slot is not None else "a hole"


def folio_words(column: Column, pte: Pte, sizes: tuple[int, ...]) -> str:
    """The folio behind a present entry."""
    if pte.is_zero_page:
        return "the zero page"
    folio, count = column.folios[pte.folio], column.mapcount(pte.folio)
    cached = column.shmem is not None and column.shmem.folio == pte.folio
    kinds = [
        *([f"of {sizes[pte.folio]} pages"] if sizes and sizes[pte.folio] > 1 else []),
        "of the page cache" if cached else "exclusive" if folio.anon_exclusive else "not exclusive",
        *(["dirty"] if folio.dirty else []),
        *(["lazyfree"] if folio.lazyfree else []),
        *(["mlocked"] if folio.mlocked else []),
        *(["merged by KSM"] if folio.ksm else []),
        *([f"mapped {count} times"] if count > 1 and not folio.elsewhere else []),
        *(["mapped elsewhere"] if folio.elsewhere else []),
        *(["in the swap cache"] if folio.slot is not None else []),
        *(["pinned"] if any(pin.folio == pte.folio for pin in column.pins) else []),
    ]
    return f"folio {_join(kinds)}"


def vma_words(vma: Vma) -> str:
    """Protection and what else is on."""
    words = ["rw" if vma.writable else "r" if vma.readable else "none"]
    words += [word for word in ("locked", "uffd_wp", "uffd_rwp") if getattr(vma, word)]
    features = vma.uffd._replace(fill=0, hugetlbfs_shmem=False)._asdict()
    words += [f"uffd_{word.removeprefix('wp_')}" for word, on in features.items() if on]
    words += ["shared"] if vma.shared else ["file"] if vma.shmem else []
    words += ["hugetlb"] if vma.hugetlb else []
    if vma.soft_dirty_enabled:
        words.append("soft-dirty tracked")
    return _join(words)


def _join(words: list[str]) -> str:
    return " ".join(word.replace("_", "-") for word in words)
