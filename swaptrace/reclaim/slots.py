"""Swap slots with their positions on a device that can fill (mm/swapfile.c, mm/swap_slots.c).

A device is an array: the scalars below, then four of its clusters (how many slots are in use, the
list that the cluster is on, its neighbours there), then one of its positions: what holds each. Of
a device on which positions cannot matter there is nothing but a zero.
"""

from __future__ import annotations

from typing import Final

from swaptrace.reclaim.compiled import compiled
from swaptrace.reclaim.memory import (
    ADDED,
    FULL_FROM,
    SLOT_TO,
    SLOTS,
    SLOTS_USED,
    WIDTH,
    Memory,
    base_of,
    page_of,
)
from swaptrace.reclaim.memory import (
    HEADS as LRU_HEADS,
)

# Where the scalars are.
PLACED: Final = 0
"""1: slots have positions."""
CACHES: Final = 1
"""1: slots are allocated and freed by way of a per-CPU cache (up to 6.14)."""
NONFULL_FIRST: Final = 2
"""1: a cluster that is in use goes before a free one (from 6.18 on)."""
CLUSTERS: Final = 3
CLUSTER_SIZE: Final = 4
"""SWAPFILE_CLUSTER."""
END: Final = 5
"""One past the last position (si->max); the first, 0, is the header."""
NEXT: Final = 6
"""Where this CPU goes on; 0: nowhere (SWAP_ENTRY_INVALID)."""
INUSE: Final = 7
"""si->inuse_pages, what a per-CPU cache holds included."""
FREE_PAGES: Final = 8
"""nr_swap_pages."""
RESERVED: Final = 9
"""The position for the slot that the next transition allocates, or 0."""
DIRECT: Final = 10
"""1: what is freed does not go through the cache (TTRS_DIRECT)."""
WORK: Final = 11
"""1: reclaim_work is scheduled."""
ACTIVE_CACHE: Final = 12
"""swap_slot_cache_active."""
CACHED: Final = 13
"""How many slots the cache has to give, and where the next one is (2)."""
RETURNED: Final = 15
"""How many wait to be freed."""
LAZY: Final = 16
"""1: the work that is scheduled runs when the system call ends."""
CACHE_SIZE: Final = 64
"""SWAP_SLOTS_CACHE_SIZE."""
CACHE: Final = 17
"""The positions to give (64)."""
RETURNS: Final = CACHE + CACHE_SIZE
"""Those that wait to be freed (64)."""
HEADER: Final = RETURNS + CACHE_SIZE

# Of a cluster, one array after the other.
COUNT: Final = 0
FLAG: Final = 1
AFTER: Final = 2
BEFORE: Final = 3

# The lists, and no list.
FREE: Final = 0
NONFULL: Final = 1
FRAG: Final = 2
FULL: Final = 3
OFF: Final = -1
HEADS: Final = 4

# What holds a position, if it is no slot of a page (which is 1 more than the number of its node).
NOBODY: Final = 0
BAD: Final = -1
HELD_IN_CACHE: Final = -2


@compiled
def field_of(m: Memory, field: int, cluster: int) -> int:
    """Where a field of a cluster is. The heads of the lists are clusters behind the last."""
    return HEADER + field * (m.swap[CLUSTERS] + HEADS) + cluster


@compiled
def at_position(m: Memory, position: int) -> int:
    """Where a position is."""
    return HEADER + 4 * (m.swap[CLUSTERS] + HEADS) + position


@compiled
def first_of(m: Memory, which: int) -> int:
    """The first cluster of a list, or OFF."""
    first = m.swap[field_of(m, AFTER, m.swap[CLUSTERS] + which)]
    return first if first < m.swap[CLUSTERS] else OFF


@compiled
def take_off(m: Memory, cluster: int) -> None:
    """list_del()."""
    before, after = m.swap[field_of(m, BEFORE, cluster)], m.swap[field_of(m, AFTER, cluster)]
    m.swap[field_of(m, AFTER, before)] = after
    m.swap[field_of(m, BEFORE, after)] = before
    m.swap[field_of(m, FLAG, cluster)] = OFF


@compiled
def move_cluster(m: Memory, cluster: int, which: int) -> None:
    """To the tail of a list, from wherever it is."""
    if m.swap[field_of(m, FLAG, cluster)] != OFF:
        take_off(m, cluster)
    head = m.swap[CLUSTERS] + which
    last = m.swap[field_of(m, BEFORE, head)]
    m.swap[field_of(m, AFTER, last)] = cluster
    m.swap[field_of(m, BEFORE, cluster)] = last
    m.swap[field_of(m, AFTER, cluster)] = head
    m.swap[field_of(m, BEFORE, head)] = cluster
    m.swap[field_of(m, FLAG, cluster)] = which


@compiled
def vm_swap_full(m: Memory) -> bool:
    """Whether more than half of the slots are in use, those in a per-CPU cache included; under a
    limit on swap (mem_cgroup_swap_full()) whether half of it is."""
    if m.swap[PLACED]:
        return m.swap[FREE_PAGES] * 2 < m.v[SLOTS]
    return m.v[SLOTS_USED] >= m.v[FULL_FROM]


@compiled
def swap_entry_range_free(m: Memory, position: int) -> None:
    """A position is free again; its cluster is free, or no longer full."""
    cluster = position // m.swap[CLUSTER_SIZE]
    m.swap[at_position(m, position)] = NOBODY
    m.swap[field_of(m, COUNT, cluster)] -= 1
    m.swap[INUSE] -= 1
    m.swap[FREE_PAGES] += 1
    if not m.swap[field_of(m, COUNT, cluster)]:
        move_cluster(m, cluster, FREE)
    elif m.swap[field_of(m, FLAG, cluster)] != NONFULL:
        move_cluster(m, cluster, NONFULL)


@compiled
def free_swap_slot(m: Memory, position: int) -> None:
    """A slot is no longer used: it is free, or waits in the cache until that is full."""
    if not m.swap[ACTIVE_CACHE] or m.swap[DIRECT]:
        swap_entry_range_free(m, position)
        return
    if m.swap[RETURNED] == CACHE_SIZE:
        drain_returned(m)
    m.swap[RETURNS + m.swap[RETURNED]] = position
    m.swap[RETURNED] += 1
    m.swap[at_position(m, position)] = HELD_IN_CACHE


@compiled
def drain_returned(m: Memory) -> None:
    """swapcache_free_entries() of all that waits."""
    for i in range(m.swap[RETURNED]):
        swap_entry_range_free(m, m.swap[RETURNS + i])
    m.swap[RETURNED] = 0


@compiled
def follow_slots(m: Memory, page: int, row: int) -> None:
    """The slots of a page change numbers, are freed, or get the position that is reserved."""
    base, to, width = base_of(m, page), row * m.v[WIDTH], m.v[WIDTH]
    for k in range(width):
        m.slot[LRU_HEADS + k] = m.slot[base + k]
        m.slot[base + k] = 0
    for k in range(width):
        position = int(m.slot[LRU_HEADS + k])
        if position and m.t[m.v[SLOT_TO] + to + k] >= 0:
            hold(m, base + m.t[m.v[SLOT_TO] + to + k], position)
        elif position:
            free_swap_slot(m, position)
    added = m.t[m.v[ADDED] + row]
    if added >= 0:
        hold(m, base + added, m.swap[RESERVED])
        m.swap[RESERVED] = 0


@compiled
def hold(m: Memory, node: int, position: int) -> None:
    """The slot of a node has a position."""
    m.slot[node] = position
    m.swap[at_position(m, position)] = node + 1


@compiled
def owner(m: Memory, position: int) -> int:
    """The node of the slot at a position, or -1."""
    return m.swap[at_position(m, position)] - 1 if m.swap[at_position(m, position)] > 0 else -1


@compiled
def page_at(m: Memory, position: int) -> int:
    """The page whose slot is at a position that has one."""
    return page_of(m, owner(m, position))
