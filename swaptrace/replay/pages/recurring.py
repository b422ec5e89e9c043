"""What tells one state of an arena from another, as far as anything that follows can.

Counters grow for ever, and so do the clock and the age that shadow entries are compared with. What
follows depends on differences alone: when the next drain and flush are due, how long ago a folio
was evicted, whether refaults were seen since. Everything else is in the key as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swaptrace.reclaim import memory
from swaptrace.reclaim.workingset import SEQ_MASK, SEQ_SHIFT
from swaptrace.replay.pages.dense import first_page
from swaptrace.replay.pages.flat import SHAPES

if TYPE_CHECKING:
    from swaptrace.replay.pages.flat import Integers
    from swaptrace.replay.pages.nodes import Nodes
    from swaptrace.replay.pages.parts import Parts

TABLES: Final = tuple(shape.place for shape in SHAPES.values())
"""The scalars that say where tables begin, which grow with what is known."""

WITHOUT_A_FUTURE: Final = (
    *TABLES,
    *range(memory.SCAN, memory.SCAN + memory.LISTS),
    *range(memory.TARGET, memory.TARGET + memory.LISTS),
    *range(memory.HELD_ENTRIES, memory.HELD_ENTRIES + memory.MIN_LRU_BATCH),
    *(memory.ASKED, memory.ASKED + 1, memory.COLUMNS, memory.CELLS, memory.SLOTS_USED),
    *(memory.MOMENT, memory.ALL_MARKED, memory.LOOKED_AT),
    *(memory.PGSCAN, memory.PGSTEAL, memory.PGACTIVATE, memory.PGDEACTIVATE, memory.REFAULTS),
    *(memory.RESTORED, memory.RECLAIMED),
)
"""Scalars that are written before they are read again, or only counted. Of the device, the world
knows what is in use."""


def recurring_key(arena: Parts, running: str) -> tuple[object, ...]:
    """Equal for two moments after which the same happens; `running` is the process that runs.

    Ages wrap after 2^31 evictions; a cycle that is multiplied beyond that is not followed there.
    """
    v = arena.v.copy()
    v[list(WITHOUT_A_FUTURE)] = 0
    for batch in v[memory.BATCHES : memory.SCALARS].reshape(memory.BATCH_KINDS, -1):
        batch[1 + int(batch[0]) :] = 0
    activated, flushed, snapshot = v[memory.ACTIVATED : memory.ACTIVATED_SNAPSHOT + 1].tolist()
    v[memory.ACTIVATED : memory.ACTIVATED_SNAPSHOT + 1] = (
        activated != flushed,
        flushed != snapshot,
        0,
    )
    clock, v[memory.CLOCK], v[memory.AGE] = int(v[memory.CLOCK]), 0, 0
    due = tuple(clock % int(n) for n in v[[memory.STAT_FLUSH, memory.LRU_DRAIN]] if n)
    places = tuple(
        (shared.name, first_page(shared), shared.region.pages, tuple(shared.members))
        for shared in arena.shared_regions
    )
    nodes = relative(arena.nodes, arena.v)
    relative_generations(v)
    device = arena.swap.tobytes()
    return (v.tobytes(), due, places, running, device, *(array.tobytes() for array in nodes))


def relative_generations(v: Integers) -> None:
    """Generations by where their lists are and how many there are, processes by which are new."""
    newest = int(v[memory.MAX_SEQ])
    v[memory.MIN_SEQ : memory.MIN_SEQ + memory.TYPES] -= newest
    v[memory.MAX_SEQ] = newest % memory.MAX_NR_GENS
    v[memory.WALKED] -= v[memory.PROCESSES]
    v[memory.PROCESSES] = v[memory.CURRENT] = 0
    v[memory.SINCE_WALK] = min(int(v[memory.SINCE_WALK]), int(v[memory.SWITCHED]))


def relative(nodes: Nodes, v: Integers) -> list[np.ndarray[Any, Any]]:
    """Flags, the neighbours of what is in a list, and how long ago each slot was left.

    No list is longer than the limit: what was evicted longer ago than that is not recent, nor
    ever will be.
    """
    flags, shadow = nodes["flags"], nodes["shadow"].astype(np.int64)
    in_list = (flags & memory.WHERE) == memory.LISTED
    in_list[: memory.HEADS] = True
    places = [flags, *(np.where(in_list, nodes[name], 0) for name in ("next", "prev"))]
    if v[memory.MGLRU]:
        return [*places, still_recent(shadow, int(v[memory.MIN_SEQ]))]
    ages = shadow >> 1
    ago = (v[memory.AGE] - ages) & memory.AGE_MASK
    ago = np.minimum(ago, v[memory.CAPACITY] + 1)
    evicted = np.where(ages >= memory.FIRST_AGE, (ago << 2) + 4 | shadow & 1, shadow)
    return [*places, evicted]


def still_recent(shadow: Integers, oldest: int) -> Integers:
    """What was evicted from the oldest generation there is; all else will never be recent."""
    recent = shadow >> SEQ_SHIFT == (oldest + 1) & SEQ_MASK
    evicted = np.where(shadow, 1, 0)
    return np.where(recent, shadow & ((1 << SEQ_SHIFT) - 1) | 1 << SEQ_SHIFT, evicted)
