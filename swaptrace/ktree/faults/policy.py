"""A policy whose functions are those of a kernel tree."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from swaptrace.csource.frame import Cited
from swaptrace.csource.kinds import RESULTS as FLAGS
from swaptrace.csource.kinds import UNSHARE, WRITE
from swaptrace.errors import PolicyError
from swaptrace.kernels import Version
from swaptrace.ktree.faults.constants import RESULTS
from swaptrace.ktree.faults.dialect import FAULTS
from swaptrace.ktree.faults.fault import Fault, Unmodelled, shown
from swaptrace.ktree.faults.program import CallableFunction, FaultProgram
from swaptrace.ktree.faults.source import Sources, error_of
from swaptrace.ktree.faults.values import ADDRESS, PTEP, VMA, VMF, NeedsNumber
from swaptrace.ktree.faults.windowmemory import Windows
from swaptrace.ktree.faults.windows import ARGUMENTS, WINDOWS, ReadaheadFault
from swaptrace.mm.column import Pte, SwapPte
from swaptrace.mm.outcome import FaultResult
from swaptrace.mm.page import Page
from swaptrace.mm.policy import Policy, Watch
from swaptrace.mm.readahead import ROOT, Window
from swaptrace.mm.waiting import Waiting

if TYPE_CHECKING:
    from swaptrace.ktree.faults.largefault import LargeFault
    from swaptrace.mm.blockpage import BlockPage

LARGE: Final = ((6, 12), (7, 2), (7, 3))
"""The kernels whose functions are interpreted where memory comes in large folios."""

ERROR: Final = RESULTS["VM_FAULT_ERROR"]

MAJOR: Final = FLAGS["VM_FAULT_MAJOR"]
RETRY: Final = FLAGS["VM_FAULT_RETRY"]
SIGBUS: Final = FLAGS["VM_FAULT_SIGBUS"]

RETURNED: Final = MAJOR | RETRY | SIGBUS | FLAGS["VM_FAULT_WRITE"]
"""All that the result of a fault can say in the model. Only a userfaultfd that must not be waited
for makes a fault fail."""

DEPENDS: Final = (
    "what is done depends on whether a page that only the swap cache has was mapped before "
    "(folio_test_anon), which the model does not keep"
)

ON_A_PTE: Final = frozenset({"do_wp_page", "do_uffd_rwp"})
"""Those that are called with the page-table entry mapped (vmf->pte)."""


class TreePolicy(Policy):
    """Hands faults to the C of a tree. `program` is what was read, `notes` what its user must be
    told beside any result."""

    notes: tuple[str, ...] = ()

    title = "The functions of a fault as this tree has them"

    def __init__(
        self, name: str, program: FaultProgram, windows: FaultProgram | None = None
    ) -> None:
        self.name, self.program, self.windows = name, program, windows
        self.trace: list[Cited] | None = None
        self._large: FaultProgram | None = None
        self._large_fault: type[LargeFault]
        self.takes_large = program.sources.version in LARGE
        has = program.functions
        roots: Mapping[str, Callable[..., Any]] = {
            "do_swap_page": self._swap,
            "do_wp_page": self._write_protected,
            "do_anonymous_page": self._anonymous,
            "can_change_pte_writable": self._writable,
            "do_uffd_rwp": self._read_write_protected,
        }
        self.interpreted = tuple(f"{name}()" for name in has)
        functions = {name: roots[name] for name in FAULTS.roots if name in has}
        if windows is not None and not windows.functions.keys().isdisjoint(ARGUMENTS):
            functions[ROOT] = Windows(self._window)
        self.functions = functions

    @property
    def large(self) -> FaultProgram:
        """The same functions where memory comes in large folios, read when they are needed."""
        if self._large is None:
            # What it needs takes longer to import than a small replay takes.
            from swaptrace.ktree.faults.largefault import LargeFault
            from swaptrace.ktree.faults.largefolios import LARGE_FAULTS

            self._large_fault = LargeFault
            sources = self.program.sources.defining("CONFIG_TRANSPARENT_HUGEPAGE")
            program = FaultProgram(sources, self.program.builtin, LARGE_FAULTS)
            program.read()
            self._large = program
            self.interpreted = tuple(f"{name}()" for name in program.functions)
        return self._large

    def __reduce__(self) -> tuple[Callable[..., TreePolicy], tuple[object, ...]]:
        """Sent to another process as its C, and read there again."""
        sources = self.program.sources
        said = (self.notes, self.undecided, self.unproved, self.kernel, self.pinned)
        texts = (sources.texts, sources.shown)
        how = (sources.defined, self.program.builtin, sources.version)
        return _again, (self.name, texts, *how, said)

    def watch(self, other: Policy, large: bool) -> Watch:
        """As `Policy`, of another tree."""
        if not isinstance(other, TreePolicy):
            return super().watch(other, large)
        # Nothing else needs what compares two functions.
        from swaptrace.ktree.faults.watching import watch

        if large:
            return watch(self.large, other.large)
        return watch(self.program, other.program)

    def executed(self, run: Callable[[], object]) -> list[Cited]:
        """The lines of C that are executed while something runs, in order."""
        self.trace = []
        try:
            run()
            return self.trace
        finally:
            self.trace = None

    def _swap(self, page: Page, p: int, _orig: SwapPte, write: bool) -> FaultResult:
        return self._fault("do_swap_page", page, p, write * WRITE)

    def _write_protected(self, page: Page, p: int, unshare: bool = False) -> FaultResult:
        return self._fault("do_wp_page", page, p, UNSHARE if unshare else WRITE)

    def _read_write_protected(self, page: Page, p: int) -> FaultResult:
        return self._fault("do_uffd_rwp", page, p, 0)

    def _anonymous(self, page: Page, p: int, write: bool) -> FaultResult:
        return self._fault("do_anonymous_page", page, p, write * WRITE)

    def _writable(self, page: Page, p: int, pte: Pte) -> bool:
        of_block = is_of_block(page)
        program = self.large if of_block else self.program
        fault = (self._large_fault if of_block else Fault)(page, p, 0)
        function = program.functions["can_change_pte_writable"]
        fault.trace = self.trace
        return bool(function.call(fault, [VMA, ADDRESS, shown(page, p, pte)]))

    def _window(self, reading: ReadaheadFault) -> Window:
        assert self.windows is not None
        own = self.windows.functions
        name = next(name for name in ARGUMENTS if name in own)
        function = own[name]
        try:
            size = function.call(reading, ARGUMENTS[name])
            return reading.result(size if name == ROOT else reading.told())
        except Unmodelled as wrong:
            raise self._wrong(function, str(wrong)) from None
        except NeedsNumber:
            if not reading.exact:
                raise
            what = "it asks more of the page table, or of an address, than the model knows"
            raise self._wrong(function, what) from None

    def _fault(self, name: str, page: Page, p: int, flags: int) -> FaultResult:
        """Run a function on the page. Where it asks what the model does not keep, it must come to
        the same for either answer."""
        if is_of_block(page):
            return self._of_block(self.large.functions[name], page, p, flags)
        function, before = self.program.functions[name], _copied(page) if can_ask(page, p) else None
        result, asked = self._run(function, page, p, flags, anonymous=True)
        if not asked:
            return result
        if before is not None:
            other, _ = self._run(function, before, p, flags, anonymous=False)
            if other == result and _state(before) == _state(page):
                return result
        raise self._wrong(function, DEPENDS)

    def _of_block(
        self, function: CallableFunction, page: BlockPage, p: int, flags: int
    ) -> FaultResult:
        """The same of a page of a block, which is copied only where the question can come."""
        before = self._large_fault.twin(page) if can_ask(page, p) else None
        fault = self._large_fault(page, p, flags)
        fault.trace = self.trace
        result = self._come_to(function, fault)
        if fault.asked:
            other = None if before is None else type(fault)(before, p, flags, anonymous=False)
            if other is None or self._come_to(function, other) != result:
                raise self._wrong(function, DEPENDS)
            if not fault.same(other.page):
                raise self._wrong(function, DEPENDS)
        return result

    def _run(
        self, function: CallableFunction, page: Page, p: int, flags: int, anonymous: bool
    ) -> tuple[FaultResult, bool]:
        fault = Fault(page, p, flags, anonymous)
        fault.trace = self.trace if anonymous else None
        if function.definition.name in ON_A_PTE:
            fault.fields["pte"] = PTEP
        return self._come_to(function, fault), fault.asked

    def _come_to(self, function: CallableFunction, fault: Fault) -> FaultResult:
        """Call a function, and see what it has come to."""
        value = function.call(fault, [VMF])
        wrong = fault.left()
        if wrong is not None:
            raise self._wrong(function, wrong)
        if not isinstance(value, int):
            raise self._wrong(function, "it returns no vm_fault_t")
        failed = bool(value & ERROR)
        if failed and fault.page.may_retry:
            raise self._wrong(function, f"the fault fails (VM_FAULT_ERROR: {value & ERROR:#x})")
        if value & ~RETURNED:
            what = f"it returns {value:#x}, which no fault of the model does"
            raise self._wrong(function, what)
        return FaultResult(bool(value & MAJOR) and not failed, bool(value & RETRY), failed)

    def _wrong(self, function: CallableFunction, message: str) -> PolicyError:
        source, name = function.definition.source, function.definition.name
        return source.error(source.start, f"in {name}(): {message}")


def is_of_block(page: Page) -> TypeGuard[BlockPage]:
    """Whether a page is one of a block, as where memory comes in large folios."""
    return type(page) is not Page


def can_ask(page: Page, p: int) -> bool:
    """Whether C can ask what the model does not keep: of a folio that the swap cache has."""
    pte = page.maps[p].pte
    if type(pte) is not SwapPte or page.facts.keeps_fresh:
        return False
    return page.cached_folio(pte.slot) is not None


def _copied(page: Page) -> Page:
    other = object.__new__(Page)
    for name in (*Waiting.__slots__, *Page.__slots__):
        setattr(other, name, getattr(page, name))
    other.maps, other.folios, other.slots = list(page.maps), list(page.folios), list(page.slots)
    other.pins, other.batch, other.queued = list(page.pins), set(page.batch), set(page.queued)
    other.doubtful = set(page.doubtful)
    other.mlocks, other.fresh = page.mlocks.copy(), set(page.fresh)
    other.counts, other.path, other.broken = page.counts.copy(), list(page.path), list(page.broken)
    return other


def _state(page: Page) -> tuple[object, ...]:
    state = page.maps, page.folios, page.slots, page.pins, page.counts
    batches = page.batch, page.queued, page.doubtful, page.mlocks, page.batched
    return *state, page.lookup, page.broken, page.wp_fault, *batches


def _again(
    name: str,
    texts: tuple[Mapping[str, str], Mapping[str, str]],
    defined: Collection[str],
    builtin: Collection[str],
    version: Version | None,
    said: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], str, bool],
) -> TreePolicy:
    policy = TreePolicy(name, *programs_of(Sources(None, *texts, defined, version), builtin))
    policy.notes, policy.undecided, policy.unproved, policy.kernel, policy.pinned = said
    return policy


def programs_of(
    sources: Sources, builtin: Collection[str] = ()
) -> tuple[FaultProgram, FaultProgram]:
    """The functions of a tree for a fault and for its window, read. Raises `PolicyError` with all
    that is wrong."""
    both = FaultProgram(sources, builtin), FaultProgram(sources, builtin, WINDOWS)
    errors: list[PolicyError] = []
    for program in both:
        try:
            program.read()
        except PolicyError as error:
            errors.append(error)
    if errors:
        raise error_of(errors)
    return both
