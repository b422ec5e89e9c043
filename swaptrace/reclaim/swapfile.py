"""Where a page that is swapped out finds a slot (mm/swapfile.c, mm/swap_slots.c).

Once more than half of the device is in use, the allocator takes slots back that only the swap
cache holds: those that it comes across while it looks for a free one, and all of a full cluster
where no cluster is free. Their folios are dirty again, and have to be written once more.
"""

from __future__ import annotations

from typing import Final

from swaptrace.reclaim.compiled import compiled
from swaptrace.reclaim.memory import (
    ASKED,
    COLUMNS,
    DOES,
    FREES,
    KNOWN,
    ONLY_CACHED,
    SLOTS,
    SLOTS_DELTA,
    SLOTS_USED,
    Memory,
    base_of,
    page_of,
)
from swaptrace.reclaim.pages import take
from swaptrace.reclaim.slots import (
    ACTIVE_CACHE,
    AFTER,
    CACHE,
    CACHE_SIZE,
    CACHED,
    CACHES,
    CLUSTER_SIZE,
    CLUSTERS,
    COUNT,
    DIRECT,
    END,
    FLAG,
    FRAG,
    FREE,
    FREE_PAGES,
    FULL,
    HELD_IN_CACHE,
    INUSE,
    LAZY,
    NEXT,
    NOBODY,
    NONFULL,
    NONFULL_FIRST,
    OFF,
    PLACED,
    RESERVED,
    WORK,
    at_position,
    drain_returned,
    field_of,
    first_of,
    free_swap_slot,
    move_cluster,
    owner,
    swap_entry_range_free,
    take_off,
    vm_swap_full,
)

ACTIVATES_ABOVE: Final = 5 * CACHE_SIZE
"""THRESHOLD_ACTIVATE_SWAP_SLOTS_CACHE, for one CPU."""
DEACTIVATES_BELOW: Final = 2 * CACHE_SIZE
"""THRESHOLD_DEACTIVATE_SWAP_SLOTS_CACHE."""

NO_EVENT: Final = -1
"""Of a pair of events none can happen yet: its transition is not in the tables."""


@compiled
def only_cached(m: Memory, position: int) -> bool:
    """Whether the swap cache alone holds a position: a folio, and no swap PTE."""
    node = owner(m, position)
    if node < 0:
        return False
    page = page_of(m, node)
    return (m.t[m.v[ONLY_CACHED] + m.column[page]] >> (node - base_of(m, page))) & 1 != 0


@compiled
def try_to_reclaim_swap(m: Memory, position: int) -> None:
    """__try_to_reclaim_swap() with TTRS_ANYWAY: the folio leaves the swap cache."""
    node = owner(m, position)
    page = page_of(m, node)
    m.swap[DIRECT] = 1
    take(m, page, m.t[m.v[FREES] + node - base_of(m, page)], False)
    m.swap[DIRECT] = 0


@compiled
def available(m: Memory, position: int) -> bool:
    """cluster_scan_range() and cluster_reclaim_range(): free, or taken back now."""
    if m.swap[at_position(m, position)] == NOBODY:
        return True
    if not vm_swap_full(m) or not only_cached(m, position):
        return False
    try_to_reclaim_swap(m, position)
    return True


@compiled
def use_position(m: Memory, position: int) -> None:
    """swap_range_alloc(): the last free position schedules reclaim_work."""
    m.swap[at_position(m, position)] = HELD_IN_CACHE
    m.swap[field_of(m, COUNT, position // m.swap[CLUSTER_SIZE])] += 1
    m.swap[INUSE] += 1
    if m.swap[INUSE] == m.v[SLOTS]:
        m.swap[WORK] = 1


@compiled
def relocate_cluster(m: Memory, cluster: int) -> None:
    """After an allocation a cluster is on the list that its count says."""
    count = m.swap[field_of(m, COUNT, cluster)]
    which = FRAG
    if count == 0:
        which = FREE
    elif count == m.swap[CLUSTER_SIZE]:
        which = FULL
    if m.swap[field_of(m, FLAG, cluster)] != which:
        move_cluster(m, cluster, which)


@compiled
def scan_cluster(m: Memory, cluster: int, position: int) -> int:
    """alloc_swap_scan_cluster() of 6.18: the first position from there on, or 0.

    A cluster that becomes free by what is taken back of it is not used any more.
    """
    found, following = 0, 0
    end = (cluster + 1) * m.swap[CLUSTER_SIZE]
    if m.swap[field_of(m, COUNT, cluster)] < m.swap[CLUSTER_SIZE]:
        while position < end:
            usable = available(m, position)
            if m.swap[field_of(m, FLAG, cluster)] == FREE:
                break
            if usable:
                use_position(m, position)
                m.swap[FREE_PAGES] -= 1
                found = position
                full = m.swap[field_of(m, COUNT, cluster)] == m.swap[CLUSTER_SIZE]
                following = position + 1 if position + 1 < end and not full else 0
                break
            position += 1
    relocate_cluster(m, cluster)
    m.swap[NEXT] = following
    return found


@compiled
def scan_list(m: Memory, which: int, scan_all: bool) -> int:
    """alloc_swap_scan_list(): the first cluster of a list, or one after the other."""
    found = 0
    while not found:
        cluster = first_of(m, which)
        if cluster == OFF:
            break
        take_off(m, cluster)
        found = scan_cluster(m, cluster, cluster * m.swap[CLUSTER_SIZE])
        if not scan_all:
            break
    return found


@compiled
def cluster_alloc(m: Memory) -> int:
    """swap_alloc_fast() and cluster_alloc_swap_entry() of 6.18."""
    position = m.swap[NEXT]
    if position:
        cluster = position // m.swap[CLUSTER_SIZE]
        flag = m.swap[field_of(m, FLAG, cluster)]
        if flag in (NONFULL, FRAG):
            found = scan_cluster(m, cluster, position)
            if found:
                return found
    if m.swap[INUSE] == m.v[SLOTS]:
        return 0
    found = scan_list(m, NONFULL, True)
    if not found:
        found = scan_list(m, FREE, False)
    if found:
        return found
    if vm_swap_full(m):
        swap_reclaim_full_clusters(m, 1)
    return scan_list(m, FRAG, False)


@compiled
def swap_reclaim_full_clusters(m: Memory, clusters: int) -> None:
    """Take back what only the swap cache holds of so many full clusters."""
    while True:
        cluster = first_of(m, FULL)
        if cluster == OFF:
            return
        if m.swap[NONFULL_FIRST]:
            take_off(m, cluster)
        else:
            move_cluster(m, cluster, FULL)
        clusters -= 1
        first = cluster * m.swap[CLUSTER_SIZE]
        for position in range(first, min(first + m.swap[CLUSTER_SIZE], m.swap[END])):
            if only_cached(m, position):
                try_to_reclaim_swap(m, position)
        if m.swap[field_of(m, FLAG, cluster)] == OFF:
            relocate_cluster(m, cluster)
        if clusters <= 0:
            return


@compiled
def swap_reclaim_work(m: Memory) -> None:
    """What is scheduled when the last free position is used, and runs once the process that has
    used it lets go of the CPU: before the next page, or after the system call (LAZY)."""
    if m.swap[PLACED] and m.swap[WORK]:
        m.swap[WORK] = 0
        swap_reclaim_full_clusters(m, m.swap[INUSE] // m.swap[CLUSTER_SIZE])


@compiled
def old_scan_cluster(m: Memory, position: int) -> int:
    """alloc_swap_scan_cluster() of 6.12; where to go on is in NEXT."""
    cluster = position // m.swap[CLUSTER_SIZE]
    end = min((cluster + 1) * m.swap[CLUSTER_SIZE], m.swap[END])
    m.swap[NEXT] = 0
    if m.swap[field_of(m, COUNT, cluster)] == m.swap[CLUSTER_SIZE]:
        return 0
    while position < end:
        if available(m, position):
            if m.swap[field_of(m, FLAG, cluster)] == FREE:
                move_cluster(m, cluster, NONFULL)
            use_position(m, position)
            if m.swap[field_of(m, COUNT, cluster)] == m.swap[CLUSTER_SIZE]:
                move_cluster(m, cluster, FULL)
            elif position + 1 < end:
                m.swap[NEXT] = position + 1
            return position
        position += 1
    return 0


@compiled
def old_cluster_alloc(m: Memory) -> int:
    """cluster_alloc_swap_entry() of 6.12: free clusters go before those in use."""
    size = m.swap[CLUSTER_SIZE]
    if m.swap[NEXT]:
        found = old_scan_cluster(m, m.swap[NEXT])
        if found:
            return found
    if first_of(m, FREE) != OFF:
        return old_scan_cluster(m, first_of(m, FREE) * size)
    if vm_swap_full(m):
        swap_reclaim_full_clusters(m, 1)
    scanned = 0
    while first_of(m, NONFULL) != OFF:
        cluster = first_of(m, NONFULL)
        move_cluster(m, cluster, FRAG)
        scanned += 1
        found = old_scan_cluster(m, cluster * size)
        if found:
            return found
    while scanned < length_of(m, FRAG):
        cluster = first_of(m, FRAG)
        move_cluster(m, cluster, FRAG)
        scanned += 1
        found = old_scan_cluster(m, cluster * size)
        if found:
            return found
    return 0


@compiled
def length_of(m: Memory, which: int) -> int:
    """How many clusters a list has."""
    length = 0
    cluster = first_of(m, which)
    while cluster != OFF:
        length += 1
        after = m.swap[field_of(m, AFTER, cluster)]
        cluster = after if after < m.swap[CLUSTERS] else OFF
    return length


@compiled
def get_swap_pages(m: Memory, goal: int) -> int:
    """So many positions, if there are as many, into the cache; how many."""
    goal = min(goal, m.swap[FREE_PAGES])
    if goal <= 0:
        return 0
    m.swap[FREE_PAGES] -= goal
    got = 0
    while got < goal and m.swap[INUSE] < m.v[SLOTS]:
        position = old_cluster_alloc(m)
        if not position:
            break
        m.swap[CACHE + got] = position
        got += 1
    m.swap[FREE_PAGES] += goal - got
    return got


@compiled
def check_cache_active(m: Memory) -> bool:
    """The cache is on while there is plenty, and is given back once slots are scarce."""
    if not m.swap[CACHES]:
        return False
    if not m.swap[ACTIVE_CACHE]:
        m.swap[ACTIVE_CACHE] = 1 if m.swap[FREE_PAGES] > ACTIVATES_ABOVE else 0
    elif m.swap[FREE_PAGES] < DEACTIVATES_BELOW:
        m.swap[ACTIVE_CACHE] = 0
        for i in range(m.swap[CACHED]):
            swap_entry_range_free(m, m.swap[CACHE + m.swap[CACHED + 1] + i])
        m.swap[CACHED] = m.swap[CACHED + 1] = 0
        drain_returned(m)
    return m.swap[ACTIVE_CACHE] != 0


@compiled
def old_folio_alloc_swap(m: Memory) -> int:
    """folio_alloc_swap() up to 6.14."""
    if check_cache_active(m):
        if not m.swap[CACHED]:
            m.swap[CACHED] = get_swap_pages(m, CACHE_SIZE)
            m.swap[CACHED + 1] = 0
        if m.swap[CACHED]:
            m.swap[CACHED] -= 1
            m.swap[CACHED + 1] += 1
            return m.swap[CACHE + m.swap[CACHED + 1] - 1]
    return m.swap[CACHE] if get_swap_pages(m, 1) else 0


@compiled
def folio_alloc_swap(m: Memory) -> int:
    """A position for a page that is swapped out, or 0."""
    if m.swap[NONFULL_FIRST]:
        return cluster_alloc(m)
    return old_folio_alloc_swap(m)


@compiled
def known(m: Memory, page: int, event: int) -> bool:
    """Whether a transition is in the tables; else it is asked for."""
    if m.t[m.v[DOES] + event * m.v[COLUMNS] + m.column[page]] & KNOWN:
        return True
    m.v[ASKED] = event
    m.v[ASKED + 1] = m.column[page]
    return False


@compiled
def allocates_slot(m: Memory, page: int, event: int) -> bool:
    """Whether a transition takes a slot."""
    return m.t[m.v[SLOTS_DELTA] + event * m.v[COLUMNS] + m.column[page]] > 0


@compiled
def swapping_out(m: Memory, page: int, pair: int) -> int:
    """Of a pair of events that swap a page out the one that happens now, or NO_EVENT.

    What needs a slot has its position when this returns, if there is one to be had. On the way
    the page itself may change: another slot of it may be taken back.
    """
    event = pair
    if not m.swap[PLACED]:
        event = pair + 1 if m.v[SLOTS_USED] >= m.v[SLOTS] else pair
        return event if known(m, page, event) else NO_EVENT
    if not known(m, page, pair):
        return NO_EVENT
    if allocates_slot(m, page, pair) and not m.swap[RESERVED]:
        if not m.swap[LAZY]:
            swap_reclaim_work(m)
        m.swap[RESERVED] = folio_alloc_swap(m)
        if not m.swap[RESERVED]:
            event = pair + 1
        if not known(m, page, event):
            return NO_EVENT
    if m.swap[RESERVED] and not allocates_slot(m, page, event):
        free_swap_slot(m, m.swap[RESERVED])
        m.swap[RESERVED] = 0
    return event
