"""One page beside others on its CPU, where the per-CPU batches are kept (`machine.lru_batch`).

How far the batch of new folios is from full when something happens to the page is a matter of what
else the CPU has done, and so is when it is emptied. So each operation that may put a folio there is
tried with every distance that it can tell, and others fill or drain the batch at any time. Of
MADV_FREE's batch, which every such call drains first, others decide nothing else; that of mlock has
nothing in it without locked VMAs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from swaptrace.errors import SwaptraceError
from swaptrace.exploration.alphabet import DEFAULT
from swaptrace.kernels import Rule, follows
from swaptrace.mm.column import Column
from swaptrace.mm.event import MOST_ADDED
from swaptrace.mm.outcome import Batched
from swaptrace.replay.runs.batch import capacity_of
from swaptrace.scenario.hardware import Machine

ADD: Final = ("read", "write", "willneed")
"""The operations that may fill the batch; `pageout` finds it empty."""

FILL, DRAIN = "others_fill", "others_drain"
OTHERS: Final = (FILL, DRAIN)
"""What other pages do: fill the batch of new folios, or have all drained."""

LOCK: Final = ("mlock", "munlock")

ALONE: Final = tuple(name for name in DEFAULT if name not in LOCK)
"""What is tried by default."""

MARKS: Final[dict[str, Any]] = {"queued": False, "mlocks": ()}
"""Of the other two batches, on a folio."""


class Company(NamedTuple):
    """What the machine's kernel does about the batches: the operations that drain them before they
    look at the page, those that do so last, and how many folios the batch of new ones holds."""

    first: frozenset[str]
    last: frozenset[str]
    capacity: int

    def before(self, name: str, column: Column) -> Column:
        """The column as an operation finds it."""
        if name in self.first:
            return emptied(column, everything=True)
        return emptied(column, everything=False) if name == FILL else column

    def after(self, name: str, column: Column) -> Column:
        """The column as an operation leaves it. Only MADV_COLD, which is none of them, asks who is
        active."""
        passive = tuple(folio._replace(active=False) for folio in column.folios)
        column = column if passive == column.folios else column._replace(folios=passive)
        return emptied(column, everything=True) if name in self.last else column

    def joined(self, name: str, each: Iterable[Batched]) -> Batched:
        """What all events of an operation, and the system call itself, do to the batches."""
        whole = Batched(drained=name in self.first)
        for one in each:
            gone = one.drained or one.filled
            whole = Batched(
                drained=whole.drained or one.drained,
                filled=whole.filled or one.filled,
                added=one.added + (0 if gone else whole.added),
                queued=one.queued + (0 if one.drained else whole.queued),
            )
        return Batched(drained=True) if name in self.last else whole


def company_of(machine: Machine) -> Company | None:
    """None where every access begins with empty batches."""
    if not machine.lru_batch:
        return None
    zaps = () if follows(machine.kernel, Rule.UNMAPS_UNDRAINED) else ("dontneed", "exit")
    first = frozenset(("pageout", "free", DRAIN, *zaps))
    return Company(first, frozenset(("willneed",)), capacity_of(machine.kernel))


def emptied(column: Column, everything: bool) -> Column:
    """The column when the batch of new folios is empty, or all three are."""
    marks = {"batched": False, **(MARKS if everything else {})}
    folios = tuple(folio._replace(**marks) for folio in column.folios)
    return column if folios == column.folios else column._replace(folios=folios)


def beside_others(names: tuple[str, ...]) -> tuple[str, ...]:
    """The operations, those that may put folios into the batch also with fewer places left there
    (`write~1`), and what others do. Raises `SwaptraceError` for mlock."""
    names = ALONE if names == DEFAULT else names
    locks = [name for name in names if name in LOCK]
    if locks:
        raise SwaptraceError(f"--ops: {locks[0]} is not explored where machine.lru_batch is on")
    return (*_with_distances(names), *OTHERS)


def _with_distances(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield name
        if name in ADD:
            yield from (f"{name}~{left}" for left in range(1, MOST_ADDED))


def split(letter: str) -> tuple[str, int]:
    """The operation, and how many more folios fill the batch, as far as it can tell."""
    name, _, left = letter.partition("~")
    return name, int(left or MOST_ADDED)


def without_company(operations: Iterable[str]) -> tuple[str, ...]:
    """The operations themselves, each once."""
    names = (split(letter)[0] for letter in operations)
    return tuple(dict.fromkeys(name for name in names if name not in OTHERS))
