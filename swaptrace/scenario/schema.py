"""A scenario as frozen values: the steps, and what is expected.

Everything here has been validated: sizes are bytes, names exist, ranges lie within
their region and are aligned where the kernel demands it. `loader` makes these values
from YAML; nothing else needs to know that YAML exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from swaptrace.advice import Advice
from swaptrace.frozen import FrozenValue
from swaptrace.kernels import implied
from swaptrace.scenario.base import BaseStep, ByteRange
from swaptrace.scenario.claims import Claims, Expected, NamedPolicy
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.pagescan import MincoreStep, PagemapScanStep
from swaptrace.scenario.remap import MremapStep
from swaptrace.scenario.remote import MigrateStep, PokeStep
from swaptrace.scenario.source import SourceMark
from swaptrace.scenario.uffd import OnUffd
from swaptrace.terminal.files import Identity

Prot = Literal["rw", "r", "none", "w", "rx", "rwx"]
Order = Literal["forward", "backward", "random"]
PinMode = Literal["longterm", "longterm_read", "get"]
Pattern = Literal["sequential", "uniform", "zipf", "hot"]

MapFlag = Literal[
    "MAP_FIXED",
    "MAP_POPULATE",
    "MAP_LOCKED",
    "MAP_NORESERVE",
    "MAP_GROWSDOWN",
    "MAP_HUGETLB",
]
HUGE_PAGE: Final = 2 << 20
"""The size of a huge page of hugetlbfs, in bytes."""

LockFlag = Literal["MLOCK_ONFAULT"]
LockAllFlag = Literal["MCL_CURRENT", "MCL_FUTURE", "MCL_ONFAULT"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MmapStep(BaseStep):
    """A mapping of `size` bytes at address `at` (None: the kernel chooses): private and anonymous,
    or `shared`, or of a `file` of tmpfs from `file_offset` on.

    With MAP_FIXED it takes the place of a part of a region that there is, from `offset` on. With
    MAP_HUGETLB it is of huge pages of 2 MiB, and a file one of hugetlbfs. The file that is new has
    `file_size` bytes (None: up to the end of the mapping).
    """

    op = "mmap"
    region: str
    size: int
    prot: Prot = "rw"
    at: int | None = None
    offset: int = 0
    flags: tuple[MapFlag, ...] = ()
    shared: bool = False
    file: str | None = None
    file_size: int | None = None
    file_offset: int = 0

    @property
    def span(self) -> ByteRange:
        """The range of the region."""
        return ByteRange(self.offset, self.size)

    @property
    def huge(self) -> bool:
        """Whether it is of huge pages."""
        return "MAP_HUGETLB" in self.flags


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MunmapStep(BaseStep):
    """Unmap a range; a hole is left."""

    op = "munmap"
    region: str
    span: ByteRange


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MprotectStep(BaseStep):
    """Change the protection of a range."""

    op = "mprotect"
    region: str
    prot: Prot
    span: ByteRange


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MemsetStep(BaseStep):
    """Write every byte of a range: one write for each page."""

    op = "memset"
    region: str
    value: int
    span: ByteRange


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AccessStep(BaseStep):
    """`read`, `write` or `read_write` (see `op`) of one byte at each `stride` bytes.

    `value` is the byte that `write` stores (None: a fresh one, never zero); `seed`
    is that of `order: random`.
    """

    op: Literal["read", "write", "read_write"]
    region: str
    span: ByteRange
    stride: int
    order: Order = "forward"
    seed: int = 0
    value: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AccessPatternStep(BaseStep):
    """`count` accesses of one byte each, to the pages of a range, as the pattern says.

    `sequential` goes over the range again and again; `uniform` chooses every page as often;
    `zipf` the page of rank k in proportion to k^-exponent; `hot` one of `hot_pages` pages with the
    probability `hot_share`, else one of the others. Of all, `write_share` are stores. `traces`
    says how `seed` makes them.
    """

    op = "access"
    region: str
    span: ByteRange
    count: int
    pattern: Pattern = "uniform"
    exponent: float = 1.0
    hot_pages: int = 0
    hot_share: float = 0.9
    write_share: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class TraceStep(BaseStep):
    """The accesses of a recorded sequence, in the file `path`.

    `region` is where its pages lie, unless the file names regions itself (None).
    """

    op = "trace"
    path: str
    region: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MadviseStep(BaseStep):
    """Give advice on a range."""

    op = "madvise"
    region: str
    advice: Advice
    span: ByteRange
    target: str | None = None
    """The process whose memory it is about (process_madvise). None: that which executes it."""
    number: int | None = None
    """In the place of the advice: one that no kernel has."""

    @property
    def given(self) -> str:
        """The advice as C has it."""
        return str(self.advice if self.number is None else self.number)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MlockStep(BaseStep):
    """Lock a range, which populates it, unless a flag says that pages are to come by faults."""

    op = "mlock"
    region: str
    span: ByteRange
    flags: tuple[LockFlag | str, ...] = ()
    """By name, or as a number what no kernel has; so for `mlockall`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MunlockStep(BaseStep):
    """Unlock a range."""

    op = "munlock"
    region: str
    span: ByteRange


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MlockallStep(BaseStep):
    """Lock all that is mapped, or will be, or both; what is there is populated."""

    op = "mlockall"
    flags: tuple[LockAllFlag | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MunlockallStep(BaseStep):
    """Unlock everything, what will be mapped as well."""

    op = "munlockall"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PinStep(BaseStep):
    """Take a reference to each page of a range, besides that of its PTE, as for direct I/O."""

    op = "pin"
    region: str
    span: ByteRange
    mode: PinMode = "longterm"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class UnpinStep(BaseStep):
    """Give back the references that the process's pin of a region holds."""

    op = "unpin"
    region: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ForkStep(BaseStep):
    """`process` forks a child named `child`, which inherits the regions under their names."""

    op = "fork"
    child: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ExitStep(BaseStep):
    """`process` exits and is reaped."""

    op = "exit"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ClearRefsStep(BaseStep):
    """Write 4 to /proc/PID/clear_refs: forget what is soft-dirty."""

    op = "clear_refs"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class KsmScanStep(BaseStep):
    """Let ksmd scan until nothing more merges: equal pages where MADV_MERGEABLE was given."""

    op = "ksm_scan"
    zero_pages: bool = False
    """use_zero_pages: the zero page takes the place of pages of zeroes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MemoryMergeStep(BaseStep):
    """PR_SET_MEMORY_MERGE: ksmd looks at all private memory of the process, or no longer at any."""

    op = "memory_merge"
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CheckStep(BaseStep):
    """What must be true at this place, of pages, data or promises; changes nothing."""

    op = "check"
    claims: Claims


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MeasureStep(BaseStep):
    """A named window: what its inner steps count is also counted under `label`."""

    op = "measure"
    label: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RepeatStep(BaseStep):
    """The inner steps, `count` times."""

    op = "repeat"
    count: int
    steps: tuple[Step, ...]


SystemCall: TypeAlias = (
    MunmapStep
    | MprotectStep
    | MadviseStep
    | MlockStep
    | MunlockStep
    | OnUffd
    | PagemapScanStep
    | MincoreStep
    | MigrateStep
    | PinStep
)
"""The steps whose range the kernel takes in whole pages."""

OnRange: TypeAlias = MemsetStep | PokeStep | AccessStep | AccessPatternStep | SystemCall
"""The steps that have a range."""

OfProcess: TypeAlias = ClearRefsStep | KsmScanStep | MemoryMergeStep | MlockallStep | MunlockallStep
"""The steps that name no region, and make no process."""

Nesting: TypeAlias = MeasureStep | RepeatStep
"""The steps that have steps. To make the union takes longer than to ask for it."""

ManyAccesses: TypeAlias = AccessPatternStep | TraceStep
"""The steps that are sequences of accesses."""

OnLocks: TypeAlias = MlockStep | MunlockStep | MlockallStep | MunlockallStep
"""What a process does with its memory locks."""

RareStep: TypeAlias = (
    MremapStep
    | PagemapScanStep
    | PokeStep
    | MigrateStep
    | MincoreStep
    | PinStep
    | UnpinStep
    | MemoryMergeStep
    | KsmScanStep
    | OnLocks
    | OnUffd
)
"""The steps that few scenarios have."""

Step: TypeAlias = (
    MmapStep
    | MunmapStep
    | MprotectStep
    | MemsetStep
    | AccessStep
    | AccessPatternStep
    | TraceStep
    | MadviseStep
    | ForkStep
    | ExitStep
    | ClearRefsStep
    | CheckStep
    | MeasureStep
    | RepeatStep
    | RareStep
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scenario(FrozenValue):
    """A whole scenario. `file` is the path as the user gave it, `text` its source lines
    (for messages that point into it)."""

    name: str
    description: str
    machine: Machine
    steps: tuple[Step, ...]
    expect: tuple[Expected, ...] = ()
    named: tuple[NamedPolicy, ...] = field(default=(), repr=False, compare=False)
    """Of what policies anything is expected or checked, each time that the file names one."""
    file: str = "<string>"
    text: tuple[str, ...] = field(default=(), repr=False, compare=False)
    said: Mapping[str, SourceMark] = field(default_factory=dict, repr=False, compare=False)
    """What the file or the command line says of the machine, by path, and where; the rest is
    implied."""
    traces: Mapping[str, Identity] = field(default_factory=dict, repr=False, compare=False)
    """Of each trace, by its path in the step, which file it was when the scenario was loaded."""

    def machine_under(self, kernel: str, pinned: bool) -> Machine:
        """The machine with another kernel and what that implies ("": with its own).

        What the scenario says stays as it is, its kernel only if the other is not `pinned`.
        """
        if not kernel or ("kernel" in self.said and not pinned):
            return self.machine
        features: dict[str, Any] = {
            key: value for key, value in implied(kernel).items() if key not in self.said
        }
        return replace(self.machine, kernel=kernel, **features)

    def trace_path(self, path: str) -> str:
        """Where a trace lies that a step names: relative to the scenario's file, wherever that
        leads."""
        return str(Path(self.file).parent / path)
