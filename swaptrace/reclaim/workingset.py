"""Refaults: what was evicted, and whether it would still be here with a little more memory.

mm/workingset.c. A shadow entry is the lruvec's nonresident age at the eviction, and whether the
folio had the workingset mark; 0 is none.
"""

from __future__ import annotations

from swaptrace.reclaim.compiled import compiled
from swaptrace.reclaim.memory import (
    ACTIVATED,
    ACTIVE,
    ACTIVE_ANON,
    AGE,
    AGE_MASK,
    ANON_COST,
    CLUSTER,
    EXACT,
    FILE_COST,
    FIRST_AGE,
    FLUSHED,
    INACTIVE_FILE,
    LISTS,
    REFAULTS,
    ROOT_AGE,
    SLOTS,
    SLOTS_USED,
    WORKINGSET,
    Memory,
)


@compiled
def lru_note_cost(m: Memory, file: int, io: int, rotated: int) -> None:
    """What reclaiming from these lists has cost; a floating average of recent events."""
    m.v[ANON_COST + file] += io * CLUSTER + rotated
    size = 0
    for which in range(LISTS):
        size += m.v[FLUSHED + which]
    if m.v[ANON_COST] + m.v[FILE_COST] > size // 4:
        m.v[ANON_COST] //= 2
        m.v[FILE_COST] //= 2


@compiled
def workingset_eviction(m: Memory, flags: int, root: bool) -> int:
    """The shadow entry of a folio that is evicted, given its flags.

    What MADV_PAGEOUT evicts is noted for the root cgroup (reclaim_pages() has no target).
    """
    marked = 1 if flags & WORKINGSET else 0
    if root:
        return (ROOT_AGE << 1) | marked
    age = m.v[AGE] & AGE_MASK
    m.v[AGE] += 1
    return (max(age, FIRST_AGE) << 1) | marked


@compiled
def workingset_test_recent(m: Memory, age: int) -> bool:
    """Whether the distance is no longer than the working set, as the statistics knew it last.

    The root cgroup's is the whole machine's, file pages included: it is taken to be large.
    """
    if age == ROOT_AGE:
        return True
    size = m.v[FLUSHED + INACTIVE_FILE] + m.v[FLUSHED + INACTIVE_FILE + 1]
    if m.v[SLOTS_USED] < m.v[SLOTS]:
        size += m.v[FLUSHED + ACTIVE_ANON]
    return ((m.v[AGE] - age) & AGE_MASK) <= size


@compiled
def workingset_refault(m: Memory, shadow: int) -> int:
    """The flags with which a folio comes back that has left this shadow entry."""
    if m.v[EXACT]:
        return 0
    m.v[REFAULTS] += 1
    if not workingset_test_recent(m, shadow >> 1):
        return 0
    m.v[AGE] += 1
    m.v[ACTIVATED] += 1
    if not shadow & 1:
        return ACTIVE
    lru_note_cost(m, 0, 1, 0)
    return ACTIVE | WORKINGSET
