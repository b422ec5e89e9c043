"""Refaults: what was evicted, and whether it would still be here with a little more memory.

mm/workingset.c. A shadow entry is the lruvec's nonresident age at the eviction, and whether the
folio had the workingset mark; 0 is none. Of the multi-generational LRU it is the oldest generation
and how often the folio had been referenced.
"""

from __future__ import annotations

from typing import Final

from swaptrace.reclaim.compiled import compiled
from swaptrace.reclaim.generations import lru_refs, tier_of, type_of
from swaptrace.reclaim.memory import (
    ACTIVATED,
    ACTIVE,
    ACTIVE_ANON,
    AGE,
    AGE_MASK,
    ANON,
    ANON_COST,
    CLUSTER,
    EXACT,
    FILE_COST,
    FIRST_AGE,
    FLUSHED,
    IN_FAULT,
    INACTIVE_FILE,
    LISTS,
    MAX_NR_TIERS,
    MGLRU,
    MIN_SEQ,
    REFAULTS,
    REFS,
    RESTORED,
    ROOT_AGE,
    SLOTS,
    SLOTS_USED,
    TIER_EVICTED,
    TIER_REFAULTED,
    WORKINGSET,
    Memory,
)

REFS_WIDTH: Final = 2
"""LRU_REFS_WIDTH"""
SEQ_SHIFT: Final = 1 + REFS_WIDTH
"""Where the generation begins in a shadow entry, above the references."""
SEQ_MASK: Final = (1 << 28) - 1
"""How much of a generation's number a shadow entry keeps."""


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
def workingset_eviction(m: Memory, node: int, root: bool) -> int:
    """The shadow entry of a folio that is evicted.

    What MADV_PAGEOUT evicts is noted for the root cgroup (reclaim_pages() has no target), except
    by the multi-generational LRU.
    """
    if m.v[MGLRU]:
        return lru_gen_eviction(m, node)
    marked = 1 if m.flags[node] & WORKINGSET else 0
    if root:
        return (ROOT_AGE << 1) | marked
    age = m.v[AGE] & AGE_MASK
    m.v[AGE] += 1
    return (max(age, FIRST_AGE) << 1) | marked


@compiled
def generation(m: Memory, kind: int) -> int:
    """The oldest generation as shadow entries name it, which is never 0."""
    return (m.v[MIN_SEQ + kind] + 1) & SEQ_MASK


@compiled
def lru_gen_eviction(m: Memory, node: int) -> int:
    """The oldest generation, LRU_REFS_WIDTH bits of references, and whether there were any."""
    refs, kind = lru_refs(m, node), type_of(m, node)
    m.v[TIER_EVICTED + kind * MAX_NR_TIERS + tier_of(refs)] += 1
    token = (generation(m, kind) << REFS_WIDTH) | max(refs - 1, 0)
    return (token << 1) | (1 if refs else 0)


@compiled
def lru_gen_refault(m: Memory, shadow: int) -> int:
    """The flags with which a folio comes back; it is anonymous, as it was in swap.

    It counts as recent where no generation has gone since, and then for its tier.
    """
    if shadow >> SEQ_SHIFT != generation(m, ANON):
        return 0
    refs = ((shadow >> 1) & ((1 << REFS_WIDTH) - 1)) + (shadow & 1)
    m.v[TIER_REFAULTED + ANON * MAX_NR_TIERS + tier_of(refs)] += 1
    m.v[ACTIVATED] += 1
    if not m.v[IN_FAULT] and refs < (1 << REFS_WIDTH) - 1:
        return 0
    m.v[RESTORED] += 1
    return REFS | WORKINGSET


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
    if m.v[MGLRU]:
        return lru_gen_refault(m, shadow)
    if not workingset_test_recent(m, shadow >> 1):
        return 0
    m.v[AGE] += 1
    m.v[ACTIVATED] += 1
    if not shadow & 1:
        return ACTIVE
    m.v[RESTORED] += 1
    lru_note_cost(m, 0, 1, 0)
    return ACTIVE | WORKINGSET
