"""The operations that are tried on a page, as events of the model and as steps of a scenario.

An operation does to the one page of a region what its step does in a replay
(`replay.syscalls`, `replay.access`). Those that the kernel refuses, or that change nothing
because things are so already, are left out: they lead to the state they start from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from swaptrace.advice import Advice
from swaptrace.mm.column import Vma
from swaptrace.mm.event import (
    Access,
    ClearRefs,
    Dontneed,
    Event,
    Facts,
    Fork,
    Free,
    Mprotect,
    Pageout,
    Populate,
    SetVma,
    SwapIn,
    Unmap,
    Writeprotect,
)

REGION: Final = "page"
"""What the region is called in the scenarios that are found."""

BLOCK_PAGES: Final = 4
"""How many pages are looked at where memory comes in large folios: those of 16 KiB."""

PAGE_BYTES: Final = 4096
"""What a page of such a block has."""

TARGETS: Final[Mapping[str, Mapping[str, int]]] = {
    "all": {},
    **{str(page): {"offset": page * PAGE_BYTES, "length": PAGE_BYTES} for page in range(2)},
}
"""Which pages of a block an operation concerns, by what stands behind `@`: all, the first, or the
second, which stands for any other."""


class Situation(NamedTuple):
    """What decides whether an operation does anything: the caller and its VMA."""

    process: int
    vma: Vma
    anon_vma: bool
    processes: int
    facts: Facts
    soft_dirty: bool
    """CONFIG_MEM_SOFT_DIRTY"""
    limit: int
    """How many processes there may be."""


class Operation(NamedTuple):
    """One letter of the alphabet.

    `events` gives what it means for the page, None where it is left out; `step` the step of a
    scenario, in which `process` is who executes it and `child` a name for a new process.
    """

    events: Callable[[Situation], tuple[Event, ...] | None]
    step: Callable[[str, str], dict[str, Any]]


def _read(s: Situation) -> tuple[Event, ...]:
    return (Access(s.process, s.facts, read=True, store=None),)


def _write(s: Situation) -> tuple[Event, ...]:
    return (Access(s.process, s.facts, read=False, store="fresh"),)


def _advice(
    event: Callable[[int, Facts], Event],
) -> Callable[[Situation], tuple[Event, ...] | None]:
    """madvise_vma_behavior() refuses these for a locked VMA."""
    return lambda s: None if s.vma.locked else (event(s.process, s.facts),)


def _willneed(s: Situation) -> tuple[Event, ...]:
    return (SwapIn(s.process, s.facts, readahead=False),)


def _fork(s: Situation) -> tuple[Event, ...] | None:
    if s.processes == s.limit:
        return None
    return (Fork(s.process, s.facts, copy=s.anon_vma),)


def _exit(s: Situation) -> tuple[Event, ...] | None:
    return (Unmap(s.process, s.facts, gone=True),) if s.processes > 1 else None


def _mprotect(writable: bool) -> Callable[[Situation], tuple[Event, ...] | None]:
    def events(s: Situation) -> tuple[Event, ...] | None:
        if s.vma.writable == writable:
            return None
        change = Mprotect(s.process, s.facts, readable=True, writable=writable)
        if s.vma.locked and writable:
            return change, Populate(s.process, s.facts, write=True, may_retry=False)
        return (change,)

    return events


def _clear_refs(s: Situation) -> tuple[Event, ...] | None:
    return (ClearRefs(s.process, s.facts),) if s.soft_dirty else None


def _uffd(wp: bool, rwp: bool = False) -> Callable[[Situation], tuple[Event, ...] | None]:
    """A VMA is registered for one of the two, and refuses the other."""

    def events(s: Situation) -> tuple[Event, ...] | None:
        if (s.vma.uffd_wp if rwp else s.vma.uffd_rwp) or (rwp and not s.facts.uffd_rwp):
            return None
        change = Writeprotect(s.process, s.facts, wp, rwp)
        if s.vma.uffd_armed:
            return (change,)
        registered = s.vma._replace(uffd_wp=not rwp, uffd_rwp=rwp)
        return SetVma(s.process, s.facts, registered), change

    return events


def _mlock(s: Situation) -> tuple[Event, ...] | None:
    populate = Populate(s.process, s.facts, write=s.vma.writable)
    if s.vma.locked:
        return (populate,)
    return SetVma(s.process, s.facts, s.vma._replace(locked=True)), populate


def _munlock(s: Situation) -> tuple[Event, ...] | None:
    if not s.vma.locked:
        return None
    return (SetVma(s.process, s.facts, s.vma._replace(locked=False)),)


def _step(operation: str, **keys: Any) -> Callable[[str, str], dict[str, Any]]:
    return lambda process, _child: {operation: REGION, **keys, **_by(process)}


def _by(process: str) -> dict[str, str]:
    return {} if process == "main" else {"process": process}


OPERATIONS: Final[Mapping[str, Operation]] = {
    "read": Operation(_read, _step("read")),
    "write": Operation(_write, _step("write")),
    "pageout": Operation(_advice(Pageout), _step("madvise", advice=str(Advice.PAGEOUT))),
    "dontneed": Operation(_advice(Dontneed), _step("madvise", advice=str(Advice.DONTNEED))),
    "free": Operation(_advice(Free), _step("madvise", advice=str(Advice.FREE))),
    "willneed": Operation(_willneed, _step("madvise", advice=str(Advice.WILLNEED))),
    "fork": Operation(_fork, lambda process, child: {"fork": child, **_by(process)}),
    "exit": Operation(_exit, lambda process, _child: {"exit": process}),
    "mprotect_r": Operation(_mprotect(False), _step("mprotect", prot="r")),
    "mprotect_rw": Operation(_mprotect(True), _step("mprotect", prot="rw")),
    "clear_refs": Operation(
        _clear_refs, lambda process, _child: {"clear_refs": "soft_dirty", **_by(process)}
    ),
    "uffd_wp": Operation(_uffd(True), _step("uffd_writeprotect")),
    "uffd_unwp": Operation(_uffd(False), _step("uffd_writeprotect", wp=False)),
    "uffd_rwp": Operation(_uffd(True, rwp=True), _step("uffd_writeprotect", mode="rwp")),
    "uffd_unrwp": Operation(
        _uffd(False, rwp=True), _step("uffd_writeprotect", mode="rwp", wp=False)
    ),
    "mlock": Operation(_mlock, _step("mlock")),
    "munlock": Operation(_munlock, _step("munlock")),
}
"""By the names that `--ops` takes, in the order in which they are tried."""

ON_REQUEST: Final = ("uffd_rwp", "uffd_unrwp")
"""Those that are tried only where `--ops` names them: of 7.3, and with each of the two ways to
register a VMA there are many more states."""

DEFAULT: Final = tuple(name for name in OPERATIONS if name not in ON_REQUEST)


def step_of(letter: str, process: str, child: str) -> dict[str, Any]:
    """The step of an operation, or of one with `@` on pages of a block."""
    name, _, target = letter.partition("@")
    return {**OPERATIONS[name].step(process, child), **(TARGETS[target] if target else {})}


def on_targets(letter: str) -> tuple[str, ...]:
    """An operation on every target, if it concerns pages and none is named."""
    pages = "@" not in letter and REGION in step_of(letter, "", "").values()
    return tuple(f"{letter}@{target}" for target in TARGETS) if pages else (letter,)
