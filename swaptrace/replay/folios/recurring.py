"""When large folios under a memory limit are as they were before.

Counters grow for ever, and so do the clock and the age that shadow entries are compared with. What
follows depends on differences alone: when the next drain and flush are due, how long ago a folio
was evicted, whether refaults were seen since. Folios are numbered as their blocks have them, and
clusters of slots as in `statekey`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from swaptrace.mm.blockvalue import Frozen, freeze
from swaptrace.replay.folios.lru import LruFolio
from swaptrace.replay.folios.reclaiming import Reclaiming
from swaptrace.replay.folios.statekey import ClusterLabels, labels_of, slots_key

Names: TypeAlias = dict[LruFolio, tuple[int, int]]
"""Of each folio the number of its block, and of itself in that."""


def recurring_key(memory: Reclaiming, clock: int) -> tuple[object, ...]:
    """Equal for two moments after which the same happens, under `reclaim: classic`; `clock` is how
    many accesses there have been."""
    slots, lru, size = memory.slots, memory.lru, memory.table_pages
    shared = memory.world.shared_regions()
    blocks = [block for each in shared for block in memory.blocks[id(each)]]
    frozen = [freeze(block, range(len(block.maps)), size) for block in blocks]
    names = {
        folio: (at, frozen[at].folios[f])
        for at, block in enumerate(blocks)
        for f, folio in memory.known.get(id(block), {}).items()
    }
    rows = {row * size // slots.size for each in frozen for row in each.rows}
    labels = labels_of(slots, ((row, row) for row in rows))
    lists = (*lru.lists.values(), lru.unevictable, lru.batch, *lru.waiting.values())
    return (
        [tuple(each.members) for each in shared],
        [memory_of(each, labels, size) for each in frozen],
        slots_key(slots, labels),
        [named(each, names) for each in lists],
        [names[folio] for folio in memory.split_queue],
        [(*lru.flushed.values(),), (*lru.cost.values(),), memory.deferred],
        lru.activated != lru.activated_flushed,
        lru.activated_flushed != memory.snapshot,
        shadows_of(memory, labels),
        [
            (at, p, sorted(memory.ptes((id(block), p))))
            for at, block in enumerate(blocks)
            for p in range(len(block.pmds))
        ],
        due(memory, clock),
    )


def memory_of(frozen: Frozen, labels: ClusterLabels, size: int) -> tuple[object, ...]:
    """A block, and where the rows of its slots are."""
    return frozen.value, [labels.place(row * size) for row in frozen.rows]


def named(folios: Iterable[LruFolio], names: Names) -> list[tuple[object, ...]]:
    """The folios of a list in its order, with their flags."""
    return [
        (names[each], each.referenced, each.active, each.workingset, each.lazyfree)
        for each in folios
    ]


def shadows_of(memory: Reclaiming, labels: ClusterLabels) -> list[tuple[object, ...]]:
    """What evicted folios have left, by slot, with how long ago that was."""
    now = memory.lru.age
    return sorted(
        (labels.place(slot), shadow.workingset, -1 if shadow.age is None else now - shadow.age)
        for slot, shadow in memory.shadows.items()
    )


def due(memory: Reclaiming, clock: int) -> tuple[int, ...]:
    """How far the clock is between two drains and two flushes."""
    machine = memory.world.machine
    return tuple(clock % n for n in (machine.lru_drain, machine.stat_flush) if n)
