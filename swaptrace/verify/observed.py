"""What a compiled scenario printed: the facts of the kernel, then a line for each executed step."""

from __future__ import annotations

import json
from collections import Counter as Bag
from collections.abc import Mapping
from dataclasses import dataclass, field
from errno import errorcode
from typing import Any, Final

from swaptrace.counters import MTHP, RECLAIM_COUNTERS, VMSTAT, Counter
from swaptrace.errors import SwaptraceError, quote, shorten

SCHEMA: Final = "swaptrace.observed/1"

OF_A_PROCESS: Final = (
    *(Counter.MINFLT, Counter.MAJFLT),
    *(Counter.UFFD_WP, Counter.UFFD_RWP, Counter.UFFD_MISSING),
    *(Counter.SIGSEGV, Counter.SIGBUS),
)
"""The counters that every kernel shows; which of the others it has in /proc/vmstat it says."""

COUNTED: Final = frozenset(
    (*(counter.value for counter in (*OF_A_PROCESS, *VMSTAT, *MTHP)), *RECLAIM_COUNTERS)
)
"""Every counter that some kernel shows; the model counts more."""

PageMaps = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class SwapArea:
    """A line of /proc/swaps; `size` and `used` are bytes."""

    device: str
    size: int
    used: int


@dataclass(frozen=True)
class KernelFacts:
    """The kernel that a program ran on, before its first step.

    `kernel` is the version in digits, `release` all of `uname -r`; `smp` is a kernel for several
    CPUs; `counters` are those of /proc/vmstat that it has, `ksm` that the program could use KSM,
    `thp` the sizes of large folios, `zswap_never_enabled` that zswap was off since it was booted.
    Under a memory limit `lru_gen` are the parts of the multi-generational LRU that are on, 0 if the
    kernel runs the classic one, and `swappiness` is as the sysctl.
    """

    kernel: str
    release: str
    smp: bool
    arch: str
    page_size: int
    page_cluster: int
    soft_dirty: bool
    uffd_wp: bool
    zswap: bool
    swap: tuple[SwapArea, ...]
    counters: tuple[str, ...]
    thp: tuple[str, ...] = ()
    zswap_never_enabled: bool = True
    lru_gen: int = 0
    swappiness: int = 60
    ksm: bool = False

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor."""
        major, minor, *_ = (*self.kernel.split("."), "0")
        return int(major), int(minor)

    @property
    def counted(self) -> frozenset[str]:
        """What can be compared on this kernel."""
        return frozenset(OF_A_PROCESS) | (COUNTED & set(self.counters))


@dataclass(frozen=True)
class ObservedStep:
    """One executed leaf step: `errno` by name, the counters that are not zero, and the page
    maps of all processes after it. `elsewhere` is what /proc/vmstat counted between the step
    before and this one, which is no work of the program's; no model shows that. `scan` is what it
    found, if it was a scan."""

    step: str
    errno: str | None
    counters: Mapping[str, int]
    pages: PageMaps
    elsewhere: Mapping[str, int] = field(default_factory=dict, compare=False)
    scan: str = ""


@dataclass(frozen=True)
class Observed:
    """All that a program printed; `skipped` and `failed` are its reasons for ending early."""

    facts: KernelFacts
    steps: tuple[ObservedStep, ...]
    skipped: str | None = None
    failed: str | None = None

    @property
    def elsewhere(self) -> Mapping[str, int]:
        """What was counted between the steps."""
        total: Bag[str] = Bag()
        for step in self.steps:
            total.update(step.elsewhere)
        return dict(sorted(total.items()))


class DamagedOutput(SwaptraceError):
    """What no emitted program prints."""


class NotBegun(SwaptraceError):
    """A program found at once that it cannot do its work; the text is its reason."""


def parse(text: str) -> Observed:
    """What a program wrote. A last line that was cut off is left out, by its end or by that
    of a process that the program needed to finish it.

    Raises `NotBegun` where it says that it could not begin, and `DamagedOutput` where this is not
    the output of an emitted program.
    """
    *lines, _ = text.split("\n")
    if not lines:
        raise DamagedOutput("the program printed nothing")
    if len(lines) > 1 and lines[-1].startswith('{"failed":') and not _whole(lines[-2]):
        del lines[-2]
    first, *rest = [_object(number, line) for number, line in enumerate(lines, start=1)]
    if first.keys() == {"failed"}:
        raise NotBegun(f"the program could not begin: {shorten(str(first['failed']))}")
    skipped = failed = None
    if rest and rest[-1].keys() <= {"skip", "failed"}:
        skipped, failed = rest[-1].get("skip"), rest.pop().get("failed")
    try:
        return Observed(_facts(first), tuple(map(_step, rest)), skipped, failed)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"the program's output is damaged: {type(error).__name__}: {error}"
        raise DamagedOutput(message) from error


def _whole(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _object(number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        message = f"the program's output is damaged: line {number}: {quote(line)} is no JSON object"
        raise DamagedOutput(message)
    return found


def _facts(found: dict[str, Any]) -> KernelFacts:
    if found.pop("schema") != SCHEMA:
        raise ValueError(f"the first line is no {SCHEMA}")
    swap = tuple(SwapArea(**area) for area in found.pop("swap"))
    facts = KernelFacts(**found, swap=swap)
    if facts.version < (1, 0):
        raise ValueError(f"{facts.kernel} is no version")
    return facts


def _step(found: dict[str, Any]) -> ObservedStep:
    errno = int(found["errno"])
    name = errorcode.get(errno, str(errno)) if errno else None
    pages = {name: dict(regions) for name, regions in found["pages"].items()}
    counters, elsewhere = _counts(found["counters"]), _counts(found.get("elsewhere", {}))
    scan = str(found.get("scan", ""))
    return ObservedStep(str(found["step"]), name, counters, pages, elsewhere, scan)


def _counts(found: dict[str, Any]) -> dict[str, int]:
    """Those that are not zero."""
    return {name: int(count) for name, count in found.items() if count}
