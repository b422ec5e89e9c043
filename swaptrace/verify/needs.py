"""What a scenario needs of the machine that it runs on: names, memory, kernel features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from swaptrace.advice import Advice
from swaptrace.mm.uffd import PLAIN, Uffd
from swaptrace.replay.pages.touched import TouchedMemory
from swaptrace.replay.userfaults import wanted_of
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.pagescan import MincoreStep, PagemapScanStep
from swaptrace.scenario.remap import MremapStep
from swaptrace.scenario.remote import PokeStep
from swaptrace.scenario.schema import (
    AccessPatternStep,
    AccessStep,
    CheckStep,
    ClearRefsStep,
    ForkStep,
    KsmScanStep,
    MadviseStep,
    MemoryMergeStep,
    MlockallStep,
    MlockStep,
    MmapStep,
    PinStep,
    Scenario,
    Step,
)
from swaptrace.scenario.thp import large_folios, sizes
from swaptrace.scenario.uffd import OnUffd, UffdCopyStep, UffdRegisterStep, UffdWriteprotectStep
from swaptrace.scenario.values import LENGTH
from swaptrace.verify.leaves import written

MOST_RECORDS: Final = 100_000
"""Of a trace: a table of more is nothing that a compiler, or a reader, should be given."""


@dataclass(frozen=True)
class Needs:
    """`processes`, `regions` and `files` in order of appearance, `main` first; `memory` in bytes,
    as much as is touched at a time, at most, counted for each process; `shuffled` is how many
    accesses or pages are put into random order at most, `ranks` how many pages a zipf pattern has,
    `data_pages` how many the largest region has where a check asks what the data are (else 0);
    `contexts` are the userfaultfds that a process may use, the plain one first, and `copied` how
    many bytes it is given at once at most; `scanned` is how many pages a scan has at most."""

    processes: tuple[str, ...]
    regions: tuple[str, ...]
    files: tuple[str, ...]
    memory: int
    shuffled: int
    ranks: int
    data_pages: int
    soft_dirty: bool
    uffd: bool
    rwp: bool
    contexts: tuple[Uffd, ...]
    copied: int
    scanned: int
    mlock: bool
    mlockall: bool
    pins: bool
    pokes: bool
    gup_test: bool
    ksm: bool
    huge_pages: bool
    advice: tuple[Advice, ...]
    """Which is given, oldest first."""


TOO_EARLY: Final = (
    "a program cannot map with MAP_POPULATE or MAP_LOCKED under a memory limit or with large folios"
)
"""Regions are prepared after they are mapped."""


def needs(scenario: Scenario) -> Needs:
    """Found by a look at every step."""
    steps = list(written(scenario.steps))
    forked = (step.child for step in steps if isinstance(step, ForkStep))
    given = {step.advice for step in steps if isinstance(step, MadviseStep)}
    registered = (step for step in steps if isinstance(step, UffdRegisterStep))
    mapped = (region for step in steps for region in named(step))
    return Needs(
        processes=tuple(dict.fromkeys(("main", *forked))),
        regions=tuple(dict.fromkeys(mapped)),
        files=tuple(dict.fromkeys(file for step in steps for file in named_file(step))),
        memory=TouchedMemory(largest_folio(scenario.machine), MOST_RECORDS).run(scenario.steps),
        shuffled=max((shuffled(step, scenario.machine.page_size) for step in steps), default=0),
        ranks=max((ranks(step, scenario.machine.page_size) for step in steps), default=0),
        data_pages=data_pages(steps, scenario.machine.page_size),
        soft_dirty=any(isinstance(step, ClearRefsStep) or names_soft_dirty(step) for step in steps),
        uffd=any(isinstance(step, OnUffd) for step in steps),
        contexts=tuple(dict.fromkeys((PLAIN, *map(context, registered)))),
        rwp=any(isinstance(step, UffdWriteprotectStep) and step.mode == "rwp" for step in steps),
        pins=any(isinstance(step, PinStep) for step in steps),
        pokes=any(isinstance(step, PokeStep) for step in steps),
        gup_test=any(isinstance(step, PinStep) and step.mode == "longterm_read" for step in steps),
        huge_pages=any(isinstance(step, MmapStep) and step.huge for step in steps),
        ksm=any(isinstance(step, KsmScanStep | MemoryMergeStep) for step in steps),
        copied=max(
            (step.span.length for step in steps if isinstance(step, UffdCopyStep)), default=0
        ),
        scanned=max((scanned(step, scenario.machine.page_size) for step in steps), default=0),
        mlock=any(isinstance(step, MlockStep | MlockallStep) for step in steps),
        mlockall=any(isinstance(step, MlockallStep) for step in steps),
        advice=tuple(each for each in Advice if each in given),
    )


def named(step: Step) -> Iterator[str]:
    """The region that a step makes."""
    if isinstance(step, MmapStep):
        yield step.region
    elif isinstance(step, MremapStep) and step.name is not None:
        yield step.name


def named_file(step: Step) -> Iterator[str]:
    """The file that a step maps."""
    if isinstance(step, MmapStep) and step.file is not None:
        yield step.file


def context(step: UffdRegisterStep) -> Uffd:
    """Which userfaultfd it registers with."""
    return wanted_of(step).context


def too_early(scenario: Scenario) -> MmapStep | None:
    """The first step that populates what is not prepared, if there is one."""
    if scenario.machine.memory is None and not large_folios(scenario.machine.thp):
        return None
    steps = (step for step in written(scenario.steps) if isinstance(step, MmapStep))
    return next((step for step in steps if populates(step)), None)


def populates(step: MmapStep) -> bool:
    """Whether the mapping is populated by a flag of its own."""
    return bool({"MAP_POPULATE", "MAP_LOCKED"} & set(step.flags))


def largest_folio(machine: Machine) -> int:
    """In bytes: as much comes with each page that is touched, at most."""
    used = (LENGTH(each.size) for each in sizes(machine.thp) if each.enabled != "never")
    return max(used, default=machine.page_size)


def scanned(step: Step, page_size: int) -> int:
    """Of how many pages at most a step asks the kernel what they are."""
    if not isinstance(step, PagemapScanStep | MincoreStep):
        return 0
    return -(-step.span.length // page_size)


def data_pages(steps: Sequence[Step], page_size: int) -> int:
    """Of how many pages, of each region, it is noted what was written there."""
    if not any(isinstance(step, CheckStep) and step.claims.data for step in steps):
        return 0
    ends = (step.size for step in steps if isinstance(step, MmapStep | MremapStep))
    in_files = (s.file_offset + s.size for s in steps if isinstance(s, MmapStep))
    pages = max((*ends, *in_files), default=0) // page_size
    return max(2, pages)


def names_soft_dirty(step: Step) -> bool:
    """Whether a check speaks of soft-dirty pages."""
    maps = step.claims.pages if isinstance(step, CheckStep) else ()
    return any(said.soft_dirty for _, said in maps)


def shuffled(step: Step, page_size: int) -> int:
    """How many accesses or pages the step puts into random order."""
    if isinstance(step, AccessPatternStep):
        return pages(step, page_size) if step.pattern in ("zipf", "hot") else 0
    if not isinstance(step, AccessStep) or step.order != "random":
        return 0
    if step.stride < page_size:
        return step.span.length // page_size + 2
    return -(-step.span.length // step.stride)


def ranks(step: Step, page_size: int) -> int:
    """How many pages of different popularity the step has."""
    zipf = isinstance(step, AccessPatternStep) and step.pattern == "zipf"
    return shuffled(step, page_size) if zipf else 0


def pages(step: AccessPatternStep, page_size: int) -> int:
    """How many pages the range has a byte of."""
    start, end = step.span.offset, step.span.offset + step.span.length
    return -(-end // page_size) - start // page_size
