"""What tells one state of an arena from another, as far as anything that follows can.

Counters grow for ever, and so do the clock and the age that shadow entries are compared with. What
follows depends on differences alone: when the next drain and flush are due, how long ago a folio
was evicted, whether refaults were seen since. Everything else is in the key as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swaptrace.reclaim import memory
from swaptrace.replay.dense import first_page
from swaptrace.replay.flat import SHAPES

if TYPE_CHECKING:
    from swaptrace.replay.arena import Arena
    from swaptrace.replay.flat import Integers
    from swaptrace.replay.nodes import Nodes

TABLES: Final = tuple(shape.place for shape in SHAPES.values())
"""The scalars that say where tables begin, which grow with what is known."""

WITHOUT_A_FUTURE: Final = (
    *TABLES,
    *range(memory.SCAN, memory.SCAN + memory.LISTS),
    *range(memory.TARGET, memory.TARGET + memory.LISTS),
    *range(memory.HELD_ENTRIES, memory.HELD_ENTRIES + memory.CLUSTER),
    *(memory.ASKED, memory.ASKED + 1, memory.COLUMNS, memory.CELLS, memory.SLOTS_USED),
    *(memory.MOMENT,),
    *(memory.PGSCAN, memory.PGSTEAL, memory.PGACTIVATE, memory.PGDEACTIVATE, memory.REFAULTS),
)
"""Scalars that are written before they are read again, or only counted. Of the device, the world
knows what is in use."""


def recurring_key(arena: Arena) -> tuple[object, ...]:
    """Equal for two moments after which the same happens.

    Ages wrap after 2^31 evictions; a cycle that is multiplied beyond that is not followed there.
    """
    v = arena.v.copy()
    v[list(WITHOUT_A_FUTURE)] = 0
    v[memory.BATCH_ENTRIES + int(v[memory.BATCH]) : memory.HELD_ENTRIES] = 0
    activated, flushed, snapshot = v[memory.ACTIVATED : memory.ACTIVATED_SNAPSHOT + 1].tolist()
    v[memory.ACTIVATED : memory.ACTIVATED_SNAPSHOT + 1] = (
        activated != flushed,
        flushed != snapshot,
        0,
    )
    clock, v[memory.CLOCK], v[memory.AGE] = int(v[memory.CLOCK]), 0, 0
    due = tuple(clock % int(n) for n in v[[memory.STAT_FLUSH, memory.LRU_DRAIN]] if n)
    places = tuple(
        (family.name, first_page(family), family.region.pages, tuple(family.members))
        for family in arena.families
    )
    nodes = relative(arena.nodes, arena.v)
    return (v.tobytes(), due, places, *(array.tobytes() for array in nodes))


def relative(nodes: Nodes, v: Integers) -> list[np.ndarray[Any, Any]]:
    """Flags, the neighbours of what is in a list, and how long ago each slot was left.

    No list is longer than the limit: what was evicted longer ago than that is not recent, nor
    ever will be.
    """
    flags, shadow = nodes["flags"], nodes["shadow"].astype(np.int64)
    in_list = (flags & memory.WHERE) == memory.LISTED
    in_list[: memory.LISTS] = True
    ages = shadow >> 1
    ago = (v[memory.AGE] - ages) & memory.AGE_MASK
    ago = np.minimum(ago, v[memory.CAPACITY] + 1)
    evicted = np.where(ages >= memory.FIRST_AGE, (ago << 2) + 4 | shadow & 1, shadow)
    return [flags, *(np.where(in_list, nodes[name], 0) for name in ("next", "prev")), evicted]
