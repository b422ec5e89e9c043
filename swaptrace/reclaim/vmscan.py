"""Reclaim for a memory cgroup: the kernel's classic lists (mm/vmscan.c, v6.12), or an exact LRU."""

from __future__ import annotations

from typing import Final

from swaptrace.reclaim.batches import folio_putback_lru, lru_add_drain, mlock_folio, waiting
from swaptrace.reclaim.compiled import compiled
from swaptrace.reclaim.eviction import make_room
from swaptrace.reclaim.lists import (
    add_folio,
    add_folio_tail,
    del_folio,
    evictable,
    full,
    in_locked_vma,
)
from swaptrace.reclaim.memory import (
    ACTIVATED_FLUSHED,
    ACTIVATED_SNAPSHOT,
    ACTIVATES,
    ACTIVE,
    ACTIVE_ANON,
    ACTIVE_FILE,
    AGE,
    ANON_COST,
    CLUSTER,
    COLUMNS,
    DEAD,
    DOES,
    EVICTS,
    EXACT,
    FILE_COST,
    FLUSHED,
    FOLIO_TO,
    HELD,
    HELD_ENTRIES,
    INACTIVE_ANON,
    INACTIVE_FILE,
    LISTS,
    LRU_ADD,
    MAPPED,
    MGLRU,
    PAGES_SHIFT,
    PGACTIVATE,
    PGDEACTIVATE,
    PGSCAN,
    PGSTEAL,
    PINNED,
    REFERENCED,
    SCAN,
    SIZE,
    SLOTS,
    SLOTS_USED,
    TARGET,
    USED,
    WAY,
    WIDTH,
    WORKINGSET,
    WRITES,
    YOUNG,
    Memory,
    base_of,
    page_of,
)
from swaptrace.reclaim.pages import take
from swaptrace.reclaim.slots import vm_swap_full
from swaptrace.reclaim.swapfile import swapping_out
from swaptrace.reclaim.workingset import lru_note_cost

DEF_PRIORITY: Final = 12
SWAPPINESS: Final = 60
"""/proc/sys/vm/swappiness, as it is by default."""
MAX_SWAPPINESS: Final = 200

# What becomes of a folio that is looked at, as bits; none of them: it stays as it is.
ACTIVATED = 1
FREED = 2
WRITTEN = 4


@compiled
def int_sqrt(x: int) -> int:
    """The integer root."""
    root = 0
    while (root + 1) * (root + 1) <= x:
        root += 1
    return root


@compiled
def inactive_is_low(m: Memory, inactive: int) -> bool:
    """Whether too few folios are inactive, as the statistics knew them last."""
    few, many = m.v[FLUSHED + inactive], m.v[FLUSHED + inactive + 1]
    gigabytes = (few + many) >> m.v[PAGES_SHIFT]
    ratio = int_sqrt(10 * gigabytes) if gigabytes else 1
    return few * ratio < many


@compiled
def folio_referenced(m: Memory, page: int, folio: int) -> int:
    """How many PTEs have been used since they were last looked at; they are marked old.

    -1: a locked VMA maps the folio, which has missed that."""
    base = base_of(m, page)
    if in_locked_vma(m, base + folio):
        return -1
    mapped = m.t[m.v[MAPPED] + m.column[page] * m.v[WIDTH] + folio]
    found = 0
    process = 0
    while mapped:
        if mapped & 1 and m.flags[base + process] & YOUNG:
            m.flags[base + process] &= ~YOUNG
            found += 1
        mapped >>= 1
        process += 1
    return found


@compiled
def shrink_folio(m: Memory, node: int) -> int:
    """shrink_folio_list() for one folio: what becomes of it."""
    page = page_of(m, node)
    folio = node - base_of(m, page)
    if page == m.v[PINNED]:
        return 0
    young = folio_referenced(m, page, folio)
    referenced = m.flags[node] & REFERENCED
    m.flags[node] &= ~REFERENCED
    if young < 0:
        take(m, page, m.t[m.v[ACTIVATES] + folio] + 1, False)
        mlock_folio(m, node)
        return 0
    if not young:
        return evict(m, page, folio)
    m.flags[node] |= REFERENCED
    if not referenced and young == 1:
        return 0
    if vm_swap_full(m):
        take(m, page, m.t[m.v[ACTIVATES] + folio] + 1, False)
    return ACTIVATED


@compiled
def evict(m: Memory, page: int, folio: int) -> int:
    """Swap a folio out and free it, as far as that is possible."""
    event = swapping_out(m, page, m.t[m.v[EVICTS] + folio])
    at = event * m.v[COLUMNS] + m.column[page]
    row, written = m.t[m.v[WAY] + at], WRITTEN if m.t[m.v[DOES] + at] & WRITES else 0
    take(m, page, event, False)
    if row and m.t[m.v[FOLIO_TO] + row * m.v[WIDTH] + folio] < 0:
        return FREED | written
    # What is not written could not be: no slot is free, or it was used since MADV_FREE.
    return written if written else ACTIVATED


@compiled
def shrink_inactive_list(m: Memory, count: int, inactive: int) -> int:
    """Look at the oldest folios of an inactive list; how many could be freed.

    What is written in the background is clean before the next folios are looked at, and then comes
    first (folio_rotate_reclaimable).
    """
    lru_add_drain(m)
    scanned = isolate(m, count, inactive)
    freed, io = 0, 0
    for i in range(scanned):
        fate = shrink_folio(m, m.v[HELD_ENTRIES + i])
        if fate & WRITTEN:
            io += 1
        if fate & FREED:
            freed += 1
            m.v[HELD_ENTRIES + i] = DEAD
        elif fate & ACTIVATED:
            m.flags[m.v[HELD_ENTRIES + i]] |= ACTIVE
            m.v[PGACTIVATE] += 1
        elif fate & WRITTEN:
            add_folio_tail(m, m.v[HELD_ENTRIES + i])
            m.v[HELD_ENTRIES + i] = DEAD
    move_folios_to_lru(m)
    m.v[PGSCAN] += scanned
    m.v[PGSTEAL] += freed
    lru_note_cost(m, 1 if inactive == INACTIVE_FILE else 0, io, scanned - freed)
    return freed


@compiled
def isolate(m: Memory, count: int, which: int) -> int:
    """isolate_lru_folios(): so many from the tail of a list, or as many as there are."""
    count = min(count, m.v[SIZE + which])
    for i in range(count):
        node = int(m.prev[which])
        del_folio(m, node)
        m.v[HELD_ENTRIES + i] = node
    m.v[HELD] = count
    return count


@compiled
def move_folios_to_lru(m: Memory) -> int:
    """What is left of the isolated folios goes back, to the lists that they belong to now; how many
    are on lists."""
    moved = 0
    for i in range(m.v[HELD]):
        node = m.v[HELD_ENTRIES + i]
        if node == DEAD:
            continue
        if not evictable(m, node):
            folio_putback_lru(m, node)
            continue
        add_folio(m, node)
        moved += 1
        if m.flags[node] & ACTIVE:
            m.v[AGE] += 1
    m.v[HELD] = 0
    return moved


@compiled
def shrink_active_list(m: Memory, count: int, active: int) -> None:
    """The oldest active folios become inactive, used or not."""
    lru_add_drain(m)
    count = isolate(m, count, active)
    for i in range(count):
        node = m.v[HELD_ENTRIES + i]
        page = page_of(m, node)
        folio = node - base_of(m, page)
        if folio_referenced(m, page, folio) < 0:
            take(m, page, m.t[m.v[ACTIVATES] + folio], False)
            mlock_folio(m, node)
        m.flags[node] = (m.flags[node] & ~ACTIVE) | WORKINGSET
    m.v[PGDEACTIVATE] += move_folios_to_lru(m)


@compiled
def may_deactivate(m: Memory, inactive: int, force: bool) -> bool:
    """prepare_scan_control(): refaults are seen, or too few folios are inactive."""
    if force or inactive_is_low(m, inactive):
        return True
    return inactive == INACTIVE_ANON and m.v[ACTIVATED_FLUSHED] != m.v[ACTIVATED_SNAPSHOT]


@compiled
def get_scan_count(m: Memory, priority: int, file_only: bool) -> None:
    """How many folios of each list to look at, before the batch has been drained."""
    total = m.v[ANON_COST] + m.v[FILE_COST]
    anon_cost, file_cost = total + m.v[ANON_COST], total + m.v[FILE_COST]
    total = anon_cost + file_cost
    anon = SWAPPINESS * (total + 1) // (anon_cost + 1)
    file = (MAX_SWAPPINESS - SWAPPINESS) * (total + 1) // (file_cost + 1)
    for which in range(LISTS):
        scan = m.v[SIZE + which] >> priority
        if m.v[SLOTS_USED] >= m.v[SLOTS] or (priority and file_only):
            scan = scan if which >= INACTIVE_FILE else 0
        elif priority:
            scan = scan * (file if which >= INACTIVE_FILE else anon) // (anon + file)
        m.v[SCAN + which] = m.v[TARGET + which] = scan


@compiled
def shrink_list(m: Memory, which: int, deactivates: bool) -> int:
    """The next portion of one list; how many folios were freed."""
    count = min(m.v[SCAN + which], CLUSTER)
    m.v[SCAN + which] -= count
    if not count:
        return 0
    if which in (INACTIVE_ANON, INACTIVE_FILE):
        return shrink_inactive_list(m, count, which)
    if deactivates:
        shrink_active_list(m, count, which)
    return 0


@compiled
def shrink_lruvec(m: Memory, priority: int, force: bool) -> int:
    """One round over all lists; how many folios were freed."""
    anon, file = may_deactivate(m, INACTIVE_ANON, force), may_deactivate(m, INACTIVE_FILE, force)
    trim = m.v[FLUSHED + INACTIVE_FILE] >> priority != 0 and not file
    get_scan_count(m, priority, trim)
    freed = 0
    while m.v[SCAN + INACTIVE_ANON] or m.v[SCAN + INACTIVE_FILE] or m.v[SCAN + ACTIVE_FILE]:
        for which in range(LISTS):
            freed += shrink_list(m, which, file if which == ACTIVE_FILE else anon)
        if freed >= CLUSTER and not goes_on(m):
            break
    if m.v[SLOTS] and inactive_is_low(m, INACTIVE_ANON):  # can_age_anon_pages()
        shrink_active_list(m, CLUSTER, ACTIVE_ANON)
    return freed


@compiled
def goes_on(m: Memory) -> bool:
    """Enough is freed: of the two kinds, the one with more left is scanned in proportion."""
    anon = m.v[SCAN + INACTIVE_ANON] + m.v[SCAN + ACTIVE_ANON]
    file = m.v[SCAN + INACTIVE_FILE] + m.v[SCAN + ACTIVE_FILE]
    if not anon or not file:
        return False
    smaller, larger = (INACTIVE_ANON, INACTIVE_FILE) if file > anon else (INACTIVE_FILE, 0)
    target = m.v[TARGET + smaller] + m.v[TARGET + smaller + 1] + 1
    percentage = min(anon, file) * 100 // target
    for which in range(larger, larger + 2):
        done = m.v[TARGET + which] - m.v[SCAN + which]
        left = m.v[TARGET + which] * (100 - percentage) // 100
        m.v[SCAN + which] = max(left - done, 0)
        m.v[SCAN + which + smaller - larger] = 0
    return True


@compiled
def do_try_to_free_pages(m: Memory, force: bool) -> int:
    """Round after round, more thorough each time, until enough is freed."""
    freed = 0
    for priority in range(DEF_PRIORITY, -1, -1):
        freed += shrink_lruvec(m, priority, force)
        if freed >= CLUSTER:
            break
    m.v[ACTIVATED_SNAPSHOT] = m.v[ACTIVATED_FLUSHED]
    return freed


@compiled
def try_to_free_mem_cgroup_pages(m: Memory) -> int:
    """Direct reclaim for a charge; how many folios were freed.

    A first failure is repeated over the whole hierarchy, a second one with deactivation.
    """
    for attempt in range(3):
        freed = do_try_to_free_pages(m, attempt == 2)
        if freed:
            return freed
    return 0


@compiled
def evict_oldest(m: Memory) -> int:
    """The exact LRU's reclaim: the folio that has not been used for longest, if it can be freed."""
    for _ in range(2 * m.v[SIZE]):
        isolate(m, 1, 0)
        page = page_of(m, m.v[HELD_ENTRIES])
        fate = 0 if page == m.v[PINNED] else evict(m, page, m.v[HELD_ENTRIES] - base_of(m, page))
        m.v[PGSCAN] += 1
        if fate & FREED:
            m.v[HELD] = 0
            m.v[PGSTEAL] += 1
            return 1
        if fate & WRITTEN:
            add_folio_tail(m, m.v[HELD_ENTRIES])
            m.v[HELD] = 0
        else:
            move_folios_to_lru(m)
    return 0


@compiled
def charge(m: Memory) -> bool:
    """try_charge_memcg() for one page: reclaims first where the limit is reached.

    False: nothing can be reclaimed, and the kernel would kill the process. It would also where
    all folios wait in the batch, or are active and stale statistics hide it; here the batch is
    drained, and active ones are deactivated.
    """
    if m.v[MGLRU] and not make_room(m):
        return False
    while full(m):
        freed = evict_oldest(m) if m.v[EXACT] else try_to_free_mem_cgroup_pages(m)
        if not freed and full(m):
            if waiting(m, LRU_ADD):
                lru_add_drain(m)
                continue
            if m.v[EXACT] or not m.v[SIZE + ACTIVE_ANON] or m.v[SLOTS_USED] >= m.v[SLOTS]:
                return False
            shrink_active_list(m, CLUSTER, ACTIVE_ANON)
    m.v[USED] += 1
    return True
