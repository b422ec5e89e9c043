"""What a fault and an event return: counts, violations, the new column."""

from __future__ import annotations

from typing import Literal, NamedTuple

from swaptrace.counters import ViolationKind
from swaptrace.mm.column import Column


class FaultResult(NamedTuple):
    """vm_fault_t: VM_FAULT_MAJOR, VM_FAULT_RETRY and VM_FAULT_ERROR; `sigbus` is that the error
    is VM_FAULT_SIGBUS where an access meets it."""

    major: bool = False
    retry: bool = False
    error: bool = False
    sigbus: bool = False


Lookup = Literal["none", "hit", "readahead_hit", "read"]
"""What the event asked of the swap cache: nothing, found there, found there after it had been
read ahead, or had to be read through it (swapin_readahead)."""


class Batched(NamedTuple):
    """Whether an event drained all per-CPU batches, or emptied that of new folios (`filled`) or of
    mlock (`mlock_filled`); how many came since to these (`added`, `mlocked`) and to that of
    MADV_FREE or MADV_COLD (`queued`, and perhaps `doubtful` more)."""

    drained: bool = False
    filled: bool = False
    added: int = 0
    queued: int = 0
    mlock_filled: bool = False
    mlocked: int = 0
    doubtful: int = 0


class Outcome(NamedTuple):
    """What an event does to a column.

    `counts` is in the order of `COUNTERS`; `violations` are kinds with the index (in
    `column`) of the process that sees each; `lookup` is what read-ahead needs to know; `path`
    names the kernel functions that decided, in order; `ends` is that nothing more of the step
    happens, to no page that follows (a signal, or an error while populating). `batch` is known
    where that is kept. `around` is that a read fault maps neighbours, too."""

    column: Column
    counts: tuple[int, ...]
    violations: tuple[tuple[ViolationKind, int], ...]
    lookup: Lookup
    path: tuple[str, ...]
    ends: bool = False
    batch: Batched = Batched()
    around: bool = False
