"""A policy: the points at which patches to the anonymous fault path differ.

Subclass `Policy` and override what the patch changes. The defaults are those of v6.10,
before the series. A policy is asked once per distinct state, so its cost does not matter;
what counts is that it reads like its patch.

A policy is a function: its answer depends on what it is asked and on nothing else, neither on
what it was asked before nor on which object says so (`mm.steady` checks it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, NamedTuple, TypeVar, cast

from swaptrace.errors import PolicyError, listed, printable
from swaptrace.mm.column import Pte, SwapPte, Vma

T = TypeVar("T")

FOLIO: Final = 1 << 16
SLOT: Final = 0
"""What a policy is told of the folio and the swap slot of a fault. Their numbers in a column are
an order of appearance, which a patch cannot see; so no policy can depend on it. A PTE that was not
made of the one of the fault is found out by its folio."""

SWAPIN_PTE: Final = (int, *[bool] * 6)
"""The types of what is in a `SwapinPte`, those of its PTE first."""

ALIASES: Final[Mapping[str, str]] = {"old": "prepatch", "new": "final", "v2": "suggested"}
"""Other names of shipped policies."""


def is_called(policy: Policy, name: str) -> bool:
    """Whether a scenario means the policy by the name."""
    return ALIASES.get(name, name) == policy.name


Held = Literal[0, 1, 2]
"""References to a folio besides those of its mappings and of the swap cache: that of the fault,
and that of the per-CPU batch which a new folio is put into."""


class FolioRefs(NamedTuple):
    """What a policy may know of a folio.

    `mapcount` is folio_mapcount(); `ref_count` folio_ref_count(), with the reference that
    the fault holds where there is one; `swapcache` folio_test_swapcache(); `swap_count` the
    swap PTEs of its slot (0 where it is not cached); `mlocked` folio_test_mlocked(). `pins` are
    those of the references that pins hold, which the kernel cannot tell from others; `nr_pages`
    folio_nr_pages(): each page of a large folio that is mapped, or cached, is a reference. `ksm` is
    folio_test_ksm(); however many pages elsewhere map such a folio, they count as one.
    """

    mapcount: int
    ref_count: int
    swapcache: bool
    swap_count: int
    mlocked: bool
    pins: int = 0
    nr_pages: int = 1
    ksm: bool = False

    @classmethod
    def of(
        cls, mapcount: int, swap_count: int | None, mlocked: bool, held: int, nr_pages: int = 1
    ) -> FolioRefs:
        """Of a folio that so many page tables map, and so many swap PTEs if it is cached."""
        cached = swap_count is not None
        refs = mapcount + cached * nr_pages + held
        return cls(mapcount, refs, cached, swap_count or 0, mlocked, nr_pages=nr_pages)


class SwapinFault(NamedTuple):
    """do_swap_page() at the moment when it makes the new PTE.

    `vma` is vmf->vma, `write` FAULT_FLAG_WRITE, `orig` the swap entry (vmf->orig_pte, its slot
    always `SLOT`), `pte` what mk_pte() gives (read-only, clean, of the folio `FOLIO`), `exclusive`
    and `folio` the variables of these names; the swap cache has been freed already if it was to be.
    """

    vma: Vma
    write: bool
    orig: SwapPte
    pte: Pte
    exclusive: bool
    folio: FolioRefs

    @property
    def reusable(self) -> bool:
        """Certainly not shared: the entry or a fresh folio says so, or nobody else refers to it.
        A KSM folio never is that."""
        return not self.folio.ksm and (self.exclusive or self.folio.ref_count == 1)

    def carry_bits(self, pte: Pte) -> Pte:
        """Take soft-dirty and uffd-wp over from the swap entry; the latter write-protects."""
        if self.orig.soft_dirty:
            pte = pte.mksoft_dirty()
        if self.orig.uffd_wp:
            pte = pte.mkuffd_wp()
        return pte

    def uffd_wp(self, pte: Pte) -> bool:
        """userfaultfd_pte_wp()."""
        return self.vma.uffd_wp and pte.uffd_wp


class SwapinPte(NamedTuple):
    """The answer: the PTE to map, of the folio that the fault is about; whether the write fault is
    thereby done (FAULT_FLAG_WRITE is cleared), and whether the page is mapped exclusive
    (RMAP_EXCLUSIVE)."""

    pte: Pte
    write_handled: bool = False
    exclusive: bool = False


def needs_soft_dirty_wp(vma: Vma, pte: Pte) -> bool:
    """pte_needs_soft_dirty_wp()."""
    return vma.soft_dirty_enabled and not pte.soft_dirty


Watch = Callable[[], list[str]]
"""Says, and then is over, what two policies may do otherwise that has not been seen."""


def unreached(places: Sequence[str]) -> list[str]:
    """What is said of the parts that differ and have not been executed."""
    said = f"changed code that nothing which was explored reaches: {listed(places)}"
    return [said] if places else []


class Policy:
    """The decision points, as v6.10 takes them.

    `title` says in one line what it does to the PTE, `origin` where it comes from. `name` is
    that of the entry point or of the file it was found in. `kernel` is the version of its own
    kernel, "" for that of the scenario; it yields to what the scenario says, unless it is `pinned`.
    """

    name: str = ""
    kernel: str = ""
    pinned: bool = False
    title: ClassVar[str] = ""
    origin: ClassVar[str] = ""

    functions: Mapping[str, Callable[..., Any]] = {}
    """Functions of mm/ that the policy has whole, by name, with the arguments and the result of
    those here; where it has one, no decision point within it is asked."""

    takes_large: bool = False
    """Whether `functions` know pages of large folios."""

    interpreted: tuple[str, ...] = ()
    """The functions of C that are behind `functions`, those included that they call."""

    undecided: tuple[str, ...] = ()
    """Why nothing that is counted under the policy is the last word: what it was made of does more
    than is known of it."""

    unproved: tuple[str, ...] = ()
    """Why two policies that nothing tells apart need not be the same."""

    def watch(self, other: Policy, large: bool) -> Watch:  # noqa: ARG002
        """Begin to note what is executed of that in which the policy differs from another one,
        of `large` folios or of single pages."""
        return list

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        """do_swap_page(): the PTE after swap-in."""
        pte, handled = fault.pte, False
        if fault.reusable and fault.write:
            pte = pte.mkdirty()
            if fault.vma.writable:
                pte = pte.mkwrite()
            handled = True
        return SwapinPte(fault.carry_bits(pte), handled, exclusive=fault.reusable)

    def should_free_swap(self, folio: FolioRefs, vma: Vma, write: bool, swap_full: bool) -> bool:
        """should_try_to_free_swap(): whether do_swap_page() tries to drop the swap cache."""
        if not folio.swapcache:
            return False
        if swap_full or vma.locked or folio.mlocked:
            return True
        # The cache and the fault: it is likely that we are the exclusive user.
        return write and not folio.ksm and folio.ref_count == 1 + folio.nr_pages

    def can_reuse_anon(self, folio: FolioRefs) -> bool:
        """wp_can_reuse_anon_folio(): whether a page that is not marked exclusive is ours alone."""
        if folio.ksm or folio.ref_count > 1 + folio.swapcache:
            return False
        return folio.swap_count == 0

    def swapin_order(self, vma: Vma, orders: tuple[int, ...]) -> int:  # noqa: ARG002
        """alloc_swap_folio(), thp_swapin_suitable_orders(): the order of the folio to swap in.

        `orders` are those that the VMA allows and of which all is in swap in order
        (can_swapin_thp()), largest first; the answer is one of them, or 0 for one page. Where
        swap does not hold that much alike, the next smaller one is tried.
        """
        return orders[0]

    def readahead_window(
        self, address: int, last: int, hits: int, last_window: int, max_window: int
    ) -> int:
        """swap_vma_ra_win(), __swapin_nr_pages(): how many pages to read around a fault.

        `address` and `last` (of this fault and the one before) are in pages.
        """
        window = hits + 2
        if window == 2:
            if address not in (last + 1, last - 1):
                window = 1
        else:
            window = max(4, 1 << (window - 1).bit_length())
        # Read-ahead shrinks slowly.
        return max(min(window, max_window), last_window // 2)


def ask(policy: Policy, method: str, kind: type[T], *args: object) -> T:
    """Put a question to the policy; an answer of the wrong kind, or none, is its error.

    The answer is what a run goes by: its PTE is a `Pte`, whatever the architecture's is.
    """
    try:
        answer: T = getattr(policy, method)(*args)
    except PolicyError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}{_where(policy, method, error)}"
        raise PolicyError(f"policy {policy.name!r}: {method}() raised {what}") from error
    of_kind = isinstance(answer, kind)
    if of_kind and kind is not SwapinPte:
        return answer
    if not of_kind or not _well_formed(answer):
        raise PolicyError(
            f"policy {policy.name!r}: {method}() returned {answer!r}, not a {kind.__name__}"
        )
    assert isinstance(answer, SwapinPte)
    if answer.pte.folio != FOLIO:
        what = "the zero page" if answer.pte.is_zero_page else "a folio"
        raise PolicyError(
            f"policy {policy.name!r}: {method}() maps {what} that is not the folio of the fault; "
            "its PTE must be made of fault.pte"
        )
    if type(answer.pte) is not Pte or type(answer) is not SwapinPte:
        return cast("T", SwapinPte(Pte(*answer.pte), answer.write_handled, answer.exclusive))
    return answer


def _where(policy: Policy, method: str, error: Exception) -> str:
    """The file of the policy, and the line that the exception came through last."""
    code = getattr(getattr(policy, method, None), "__code__", None)
    where, trace = "", error.__traceback__
    while trace is not None and code is not None:
        file = trace.tb_frame.f_code.co_filename
        if file == code.co_filename:
            where = f" ({printable(file.rpartition('/')[2])}:{trace.tb_lineno})"
        trace = trace.tb_next
    return where


def _well_formed(answer: object) -> bool:
    if not isinstance(answer, SwapinPte):
        return True
    if not isinstance(answer.pte, Pte):
        return False
    # Nothing can be derived from bool.
    kinds = (*map(type, answer.pte), type(answer.write_handled), type(answer.exclusive))
    return kinds == SWAPIN_PTE
