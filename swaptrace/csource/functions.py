"""The functions that C may call: what they take, what they give, and what they do.

One table, and nothing else is ever executed. Each does to the values of the model what the
kernel's function of the same name does to the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from swaptrace.csource.block import Point
from swaptrace.csource.frame import Evaluation
from swaptrace.csource.kinds import EXCLUSIVE, ValueKind
from swaptrace.mm.policy import needs_soft_dirty_wp

INT, PTE, SWAP, FOLIO, PAGE, VMA = (
    ValueKind.INT,
    ValueKind.PTE,
    ValueKind.SWAP,
    ValueKind.FOLIO,
    ValueKind.PAGE,
    ValueKind.VMA,
)

ANY: Final[frozenset[ValueKind]] = frozenset()
"""A parameter whose argument is not looked at."""

SWAPIN: Final[frozenset[Point]] = frozenset({"swapin_pte"})
FREEING: Final[frozenset[Point]] = frozenset({"should_free_swap"})
REUSING: Final[frozenset[Point]] = frozenset({"can_reuse_anon"})
EVERYWHERE: Final = SWAPIN | FREEING | REUSING
WITH_VMA: Final = SWAPIN | FREEING

Params = tuple[frozenset[ValueKind], ...]


class KnownFunction(NamedTuple):
    """What the model knows of a function of the kernel.

    `run` takes the frame and the values of the arguments. Of `params` the last `optional` may be
    missing. `points` are the decisions that may call it: at others the model is not told enough.
    `changes` says that it does something besides giving a value.
    """

    params: Params
    result: ValueKind
    run: Callable[..., Any]
    points: frozenset[Point] = EVERYWHERE
    optional: int = 0
    changes: bool = False


def _of(*kinds: ValueKind) -> frozenset[ValueKind]:
    return frozenset(kinds)


_PTE: Final[Params] = (_of(PTE),)
_SWAP: Final[Params] = (_of(SWAP),)
_VMA_PTE: Final[Params] = (_of(VMA), _of(PTE))


def _pte(method: Callable[[Any], Any], result: ValueKind = PTE) -> KnownFunction:
    return KnownFunction(_PTE, result, lambda _frame, pte: method(pte), SWAPIN)


def _maybe_mkwrite(frame: Evaluation, pte: Any, _vma: object) -> Any:
    return pte.mkwrite() if frame.vma.writable else pte


_PTES: Final[Mapping[str, KnownFunction]] = {
    "mk_pte": KnownFunction((_of(PAGE), ANY), PTE, lambda frame, _page: frame.made, SWAPIN),
    "folio_mk_pte": KnownFunction((_of(FOLIO), ANY), PTE, lambda frame, _folio: frame.made, SWAPIN),
    "pte_mkwrite": KnownFunction(
        (_of(PTE), _of(VMA)), PTE, lambda _frame, pte, _vma=None: pte.mkwrite(), SWAPIN, optional=1
    ),
    "pte_mkwrite_novma": _pte(lambda pte: pte.mkwrite()),
    "maybe_mkwrite": KnownFunction((_of(PTE), _of(VMA)), PTE, _maybe_mkwrite, SWAPIN),
    "pte_wrprotect": _pte(lambda pte: pte.wrprotect()),
    "pte_mkdirty": _pte(lambda pte: pte.mkdirty()),
    "pte_mkclean": _pte(lambda pte: pte.mkclean()),
    "pte_mksoft_dirty": _pte(lambda pte: pte.mksoft_dirty()),
    "pte_clear_soft_dirty": _pte(lambda pte: pte.clear_soft_dirty()),
    "pte_mkuffd_wp": _pte(lambda pte: pte.mkuffd_wp()),
    "pte_clear_uffd_wp": _pte(lambda pte: pte.clear_uffd_wp()),
    # Nothing in the model depends on the accessed bit, or on which page of a folio it is.
    "pte_mkyoung": _pte(lambda pte: pte),
    "pte_mkold": _pte(lambda pte: pte),
    "pte_advance_pfn": KnownFunction((_of(PTE), ANY), PTE, lambda _frame, pte: pte, SWAPIN),
    "pte_write": _pte(lambda pte: int(pte.write), INT),
    "pte_dirty": _pte(lambda pte: int(pte.dirty), INT),
    "pte_soft_dirty": _pte(lambda pte: int(pte.soft_dirty), INT),
    "pte_uffd_wp": _pte(lambda pte: int(pte.uffd_wp), INT),
    "pte_present": _pte(lambda _pte: 1, INT),
    "pte_swp_soft_dirty": KnownFunction(_SWAP, INT, lambda _frame, e: int(e.soft_dirty), SWAPIN),
    "pte_swp_uffd_wp": KnownFunction(_SWAP, INT, lambda _frame, e: int(e.uffd_wp), SWAPIN),
    "pte_swp_exclusive": KnownFunction(_SWAP, INT, lambda _frame, e: int(e.exclusive), SWAPIN),
}

_VMAS: Final[Mapping[str, KnownFunction]] = {
    "userfaultfd_pte_wp": KnownFunction(
        _VMA_PTE,
        INT,
        lambda frame, _vma, pte: int(frame.vma.uffd_wp and pte.uffd_wp),
        SWAPIN,
    ),
    "userfaultfd_wp": KnownFunction(
        (_of(VMA),), INT, lambda frame, _vma: int(frame.vma.uffd_wp), WITH_VMA
    ),
    "vma_soft_dirty_enabled": KnownFunction(
        (_of(VMA),), INT, lambda frame, _vma: int(frame.vma.soft_dirty_enabled), WITH_VMA
    ),
    "pte_needs_soft_dirty_wp": KnownFunction(
        _VMA_PTE,
        INT,
        lambda frame, _vma, pte: int(needs_soft_dirty_wp(frame.vma, pte)),
        SWAPIN,
    ),
}


def _about(
    folio: str,
    page: str,
    run: Callable[[Evaluation], int],
    points: frozenset[Point] = EVERYWHERE,
    changes: bool = False,
) -> dict[str, KnownFunction]:
    """A function about a folio, and the one about a page that older kernels have for it."""

    def answer(frame: Evaluation, _folio: object) -> int:
        return run(frame)

    kinds = dict.fromkeys(folio.split(), FOLIO) | dict.fromkeys(page.split(), PAGE)
    return {
        name: KnownFunction((_of(kind),), INT, answer, points, changes=changes)
        for name, kind in kinds.items()
    }


_FOLIOS: Final[Mapping[str, KnownFunction]] = {
    **_about("folio_ref_count", "page_count page_ref_count", lambda frame: frame.ref_count),
    **_about("folio_mapcount", "page_mapcount total_mapcount", lambda frame: frame.mapcount),
    **_about("folio_mapped", "page_mapped", lambda frame: int(frame.mapcount > 0)),
    **_about(
        "folio_maybe_mapped_shared folio_likely_mapped_shared", "", lambda f: int(f.mapcount > 1)
    ),
    **_about("folio_test_swapcache", "PageSwapCache", lambda frame: int(frame.swapcache)),
    **_about("folio_swapped", "", lambda frame: int(frame.swapcache and frame.swap_count > 0)),
    **_about("folio_expected_ref_count", "", Evaluation.expected),
    **_about("folio_test_mlocked", "PageMlocked", lambda frame: int(frame.mlocked)),
    **_about("folio_test_lru", "PageLRU", lambda frame: int(frame.batched == 0)),
    **_about("folio_test_ksm", "PageKsm", lambda frame: int(frame.ksm)),
    **_about("folio_test_large", "PageCompound PageTransCompound", lambda f: int(f.nr_pages > 1)),
    # C knows no pins and no pages under writeback.
    **_about("folio_maybe_dma_pinned", "page_maybe_dma_pinned", lambda _frame: 0),
    **_about("folio_test_writeback", "PageWriteback", lambda _frame: 0),
    **_about("folio_test_hugetlb folio_is_zone_device", "PageHuge", lambda _frame: 0),
    **_about("folio_nr_pages", "compound_nr", lambda frame: frame.nr_pages),
    **_about("folio_test_anon", "PageAnon", lambda _frame: 1),
    **_about("folio_test_locked", "PageLocked", lambda _frame: 1),
    **_about("folio_test_uptodate", "PageUptodate", lambda _frame: 1),
    # An exclusive page is reused without a question, and in do_swap_page() none is mapped yet.
    **_about("", "PageAnonExclusive", lambda _frame: 0),
    # Nobody else holds the lock of a page: one thing happens at a time.
    **_about("folio_trylock", "trylock_page", lambda _frame: 1),
    # Only a page that is to be reused can leave the swap cache by what C does.
    **_about("folio_free_swap", "try_to_free_swap", Evaluation.free_swap, REUSING, changes=True),
    "mem_cgroup_swap_full": KnownFunction(
        (_of(FOLIO, PAGE),), INT, lambda frame, _folio: int(frame.swap_full), FREEING
    ),
    "vm_swap_full": KnownFunction((), INT, lambda frame: int(frame.swap_full), FREEING),
    "page_folio": KnownFunction((_of(PAGE),), FOLIO, lambda _frame, _page: 1),
    "folio_page": KnownFunction((_of(FOLIO), _of(INT)), PAGE, lambda _frame, _folio, _index: 1),
    "__wp_can_reuse_large_anon_folio": KnownFunction(
        (_of(FOLIO), _of(VMA)), INT, lambda _frame, _folio, _vma: 0, REUSING
    ),
}


def _effect(
    run: Callable[..., None],
    *params: frozenset[ValueKind],
    points: frozenset[Point] = EVERYWHERE,
    optional: int = 0,
) -> KnownFunction:
    return KnownFunction(params, ValueKind.VOID, run, points, optional, changes=True)


def _reference(frame: Evaluation, _folio: object, count: int = 1) -> None:
    frame.ref_count += count


def _put(frame: Evaluation, _folio: object) -> None:
    frame.ref_count -= 1


def _rmap(frame: Evaluation, *arguments: Any) -> None:
    frame.mapped = bool(arguments[-1] & EXCLUSIVE)


def _new_rmap(frame: Evaluation, flags: int = EXCLUSIVE) -> None:
    frame.mapped = bool(flags & EXCLUSIVE)


def _publish(frame: Evaluation, pte: Any) -> None:
    frame.published = pte


_RMAP: Final = _of(ValueKind.RMAP, ValueKind.INT)

_EFFECTS: Final[Mapping[str, KnownFunction]] = {
    "lru_add_drain": _effect(Evaluation.drain),
    "folio_get": _effect(_reference, _of(FOLIO)),
    "get_page": _effect(_reference, _of(PAGE)),
    "folio_ref_add": _effect(_reference, _of(FOLIO), _of(INT)),
    "page_ref_add": _effect(_reference, _of(PAGE), _of(INT)),
    "folio_put": _effect(_put, _of(FOLIO)),
    "put_page": _effect(_put, _of(PAGE)),
    "folio_add_anon_rmap_pte": _effect(_rmap, *(ANY,) * 4, _RMAP, points=SWAPIN),
    "folio_add_anon_rmap_ptes": _effect(_rmap, *(ANY,) * 5, _RMAP, points=SWAPIN),
    "page_add_anon_rmap": _effect(_rmap, *(ANY,) * 3, _RMAP, points=SWAPIN),
    "folio_add_new_anon_rmap": _effect(_new_rmap, *(ANY,) * 3, _RMAP, points=SWAPIN, optional=1),
    "page_add_new_anon_rmap": _effect(_new_rmap, *(ANY,) * 3, points=SWAPIN),
    # do_wp_page() marks every page that is reused, and so does the model.
    "SetPageAnonExclusive": _effect(lambda _frame, _page: None, _of(PAGE), points=REUSING),
    "set_pte": _effect(_publish, ANY, _of(PTE), points=SWAPIN),
    "set_pte_at": _effect(_publish, *(ANY,) * 3, _of(PTE), points=SWAPIN),
    "set_ptes": _effect(_publish, *(ANY,) * 3, _of(PTE), ANY, points=SWAPIN),
}

PUBLISHING: Final = frozenset({"set_pte", "set_pte_at", "set_ptes"})
"""The PTE is mapped: what follows decides nothing."""

FUNCTIONS: Final[Mapping[str, KnownFunction]] = {**_PTES, **_VMAS, **_FOLIOS, **_EFFECTS}
"""All of them, by name."""

UNCHANGED: Final = frozenset({"likely", "unlikely", "READ_ONCE", "data_race"})
"""Macros whose value is that of their argument."""
