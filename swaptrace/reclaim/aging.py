"""The aging of the multi-generational LRU (mm/vmscan.c, v6.12): walks over page tables.

`try_to_inc_max_seq` looks at every PTE under the PMD entries that are young and known to the
Bloom filter; `look_around`, from eviction, at the neighbours of one young PTE. Each region has its
own PMD entries, even where two are so close that a kernel would have one for both.
"""

from __future__ import annotations

from typing import Final

from swaptrace.reclaim.batches import folio_activate
from swaptrace.reclaim.compiled import compiled
from swaptrace.reclaim.generations import gen_of, move_to_tail, set_gen
from swaptrace.reclaim.memory import (
    ADDRESS,
    ALL_MARKED,
    ANON,
    AVG_REFAULTED,
    AVG_TOTAL,
    CURRENT,
    FILTERS,
    FOLIO_OF,
    GEN,
    GENERATION_FLAGS,
    LOOKED_AT,
    MAX_NR_GENS,
    MAX_NR_TIERS,
    MAX_SEQ,
    MIN_LRU_BATCH,
    MIN_SEQ,
    PMD_LISTED,
    PMD_YOUNG,
    PROCESS_OF,
    PROCESSES,
    PTRS_PER_PTE,
    RAN,
    REFERENCED,
    REGION_END,
    SHARED_REGIONS,
    SINCE_WALK,
    SPLIT,
    STARTS,
    SWITCHED,
    TIER_EVICTED,
    TIER_PROTECTED,
    TIER_REFAULTED,
    TYPES,
    VMA_START,
    WALKABLE,
    WALKED,
    WIDTH,
    YOUNG,
    Memory,
    base_of,
)
from swaptrace.reclaim.pages import shared_of

PTES_PER_CACHE_LINE: Final = 8
MARKS: Final = PMD_YOUNG | RAN
"""What an access leaves at the PMD entry."""
SHORTEST_LOOK: Final = 1024
ACCESSES_PER_LOOK: Final = 16
"""How many accesses, at least, there are for one PMD entry that is looked at for its marks."""


@compiled
def pmd_start(m: Memory, shared: int, page: int) -> int:
    """The first page of a region under the PMD entry that a page of it is under."""
    first = m.t[m.v[STARTS] + shared]
    address = m.t[m.v[ADDRESS] + shared] + page - first
    return max(first, page - (address & (m.v[PTRS_PER_PTE] - 1)))


@compiled
def pmd_end(m: Memory, shared: int, page: int) -> int:
    """One past the last page under the same PMD entry."""
    first = m.t[m.v[STARTS] + shared]
    address = m.t[m.v[ADDRESS] + shared] + page - first
    entries = m.v[PTRS_PER_PTE]
    return min(m.t[m.v[REGION_END] + shared], page + entries - (address & (entries - 1)))


@compiled
def touch_pmd(m: Memory, page: int, process: int) -> None:
    """The processor walks down to a PTE of the process, which runs."""
    shared = shared_of(m, page)
    m.flags[base_of(m, pmd_start(m, shared, page)) + process] |= MARKS
    m.v[CURRENT] = m.t[m.v[PROCESS_OF] + shared * m.v[WIDTH] + process]


@compiled
def look_for_unmarked(m: Memory) -> None:
    """Find out whether accesses still have to mark PMD entries.

    If so, the next look is so far away that looking costs little beside the accesses until then.
    """
    looked, width = 0, m.v[WIDTH]
    for shared in range(m.v[SHARED_REGIONS]):
        for k in range(width):
            page = m.t[m.v[STARTS] + shared]
            if m.t[m.v[PROCESS_OF] + shared * width + k] < 0:
                continue
            while page < m.t[m.v[REGION_END] + shared]:
                looked += 1
                if m.flags[base_of(m, page) + k] & MARKS != MARKS:
                    m.v[LOOKED_AT] = max(SHORTEST_LOOK, looked * ACCESSES_PER_LOOK)
                    return
                page = pmd_end(m, shared, page)
    m.v[ALL_MARKED] = 1


@compiled
def suitable_to_scan(total: int, young: int) -> bool:
    """Whether each cache line of PTEs has a young one, on average."""
    return young * PTES_PER_CACHE_LINE >= total


@compiled
def update_filter(m: Memory, seq: int, node: int) -> None:
    """update_bloom_filter(), which takes no entry for another here."""
    if m.v[FILTERS + seq % 2]:
        m.flags[node] |= PMD_LISTED << (seq % 2)


@compiled
def sweep(m: Memory, process: int, mask: int) -> bool:
    """Clear flags of all PMD entries of a process (-1: of all); whether any was set."""
    found = False
    width = m.v[WIDTH]
    m.v[ALL_MARKED] = 0
    for shared in range(m.v[SHARED_REGIONS]):
        for k in range(width):
            number = m.t[m.v[PROCESS_OF] + shared * width + k]
            if number < 0 or (process >= 0 and number != process):
                continue
            page = m.t[m.v[STARTS] + shared]
            while page < m.t[m.v[REGION_END] + shared]:
                node = base_of(m, page) + k
                found = found or m.flags[node] & mask != 0
                m.flags[node] &= ~mask
                page = pmd_end(m, shared, page)
    return found


@compiled
def walk_pte_range(m: Memory, shared: int, page: int, k: int) -> bool:
    """Promote what is young under one PMD entry; whether that was worth the while."""
    total, young = 0, 0
    gen, width, split = m.v[MAX_SEQ] % MAX_NR_GENS, m.v[WIDTH], m.t[m.v[SPLIT] + shared]
    end = pmd_end(m, shared, page)
    walkable, folio_of = m.v[WALKABLE], m.v[FOLIO_OF] + k
    if not split:
        if not (m.t[walkable + m.column[page]] >> k) & 1:
            return False
        total = end - page
    base = base_of(m, page) - width
    for at in range(page, end):
        base += width
        if split:
            if not (m.t[walkable + m.column[at]] >> k) & 1:
                continue
            total += 1
        flags = m.flags[base + k]
        if not flags & YOUNG:
            continue
        folio = m.t[folio_of + m.column[at] * width]
        if folio < 0:
            continue
        m.flags[base + k] = flags & ~YOUNG
        young += 1
        folio_update_gen(m, base + folio, gen)
    return total > 0 and suitable_to_scan(total, young)


@compiled
def folio_update_gen(m: Memory, node: int, gen: int) -> None:
    """Promote a folio, or mark one that is isolated."""
    if m.flags[node] & GEN:
        set_gen(m, node, gen)
    else:
        m.flags[node] |= REFERENCED


@compiled
def walk_region(m: Memory, shared: int, k: int, force: bool) -> None:
    """walk_pmd_range(), of a region in one process."""
    seq = m.v[MAX_SEQ]
    page = m.t[m.v[STARTS] + shared]
    while page < m.t[m.v[REGION_END] + shared]:
        node = base_of(m, page) + k
        wanted = force
        if not force and m.flags[node] & PMD_YOUNG:
            m.flags[node] &= ~PMD_YOUNG
            m.v[ALL_MARKED] = 0
            wanted = not m.v[FILTERS + seq % 2] or m.flags[node] & (PMD_LISTED << (seq % 2)) != 0
        if wanted and walk_pte_range(m, shared, page, k):
            update_filter(m, seq + 1, node)
        page = pmd_end(m, shared, page)


@compiled
def walk_mm(m: Memory, process: int, force: bool) -> None:
    """All regions of a process."""
    width = m.v[WIDTH]
    for shared in range(m.v[SHARED_REGIONS]):
        for k in range(width):
            if m.t[m.v[PROCESS_OF] + shared * width + k] == process:
                walk_region(m, shared, k, force)


@compiled
def has_run(m: Memory, process: int) -> bool:
    """lru_gen_use_mm(): whether the process was switched to since the last walk."""
    ran = sweep(m, process, RAN)
    return ran or (process == m.v[CURRENT] and m.v[SINCE_WALK] >= m.v[SWITCHED])


@compiled
def iterate_mm_list(m: Memory) -> None:
    """Walk the page tables of the processes that have run; of new ones all of them."""
    following = m.v[MAX_SEQ] + 1
    first = True
    for process in range(m.v[PROCESSES]):
        force = process >= m.v[WALKED]
        if not has_run(m, process) and not force:
            continue
        if first:
            sweep(m, -1, PMD_LISTED << (following % 2))
            m.v[FILTERS + following % 2] = 1
            first = False
        if process == m.v[CURRENT]:
            m.v[SINCE_WALK] = 0
        walk_mm(m, process, force)
    m.v[WALKED] = m.v[PROCESSES]


@compiled
def reset_ctrl_pos(m: Memory, kind: int) -> None:
    """The oldest generation is gone: its refaults go into the moving averages."""
    for at in range(kind * MAX_NR_TIERS, (kind + 1) * MAX_NR_TIERS):
        m.v[AVG_REFAULTED + at] = (m.v[AVG_REFAULTED + at] + m.v[TIER_REFAULTED + at]) // 2
        total = m.v[AVG_TOTAL + at] + m.v[TIER_EVICTED + at] + m.v[TIER_PROTECTED + at]
        m.v[AVG_TOTAL + at] = total // 2
        m.v[TIER_REFAULTED + at] = m.v[TIER_EVICTED + at] = m.v[TIER_PROTECTED + at] = 0


@compiled
def inc_min_seq(m: Memory, kind: int, can_swap: bool) -> None:
    """There are as many generations as there can be: the two oldest become one."""
    old = m.v[MIN_SEQ + kind] % MAX_NR_GENS
    which = old * TYPES + kind
    while (kind != ANON or can_swap) and int(m.prev[which]) != which:
        node = int(m.prev[which])
        gen = gen_of(m, node)
        if gen == old:
            gen = (old + 1) % MAX_NR_GENS
            set_gen(m, node, gen)
        move_to_tail(m, node, gen * TYPES + kind)
    reset_ctrl_pos(m, kind)
    m.v[MIN_SEQ + kind] += 1


@compiled
def try_to_inc_max_seq(m: Memory, can_swap: bool) -> None:
    """A new generation, after a walk that has promoted what is in use."""
    iterate_mm_list(m)
    for kind in range(TYPES - 1, -1, -1):
        if m.v[MAX_SEQ] - m.v[MIN_SEQ + kind] + 1 == MAX_NR_GENS:
            inc_min_seq(m, kind, can_swap)
    m.v[MAX_SEQ] += 1


@compiled
def vma_start(m: Memory, page: int, k: int, least: int) -> int:
    """Where the VMA of a page begins; of what lies further down than `least`, nothing is asked."""
    while page > least and not m.flags[base_of(m, page) + k] & VMA_START:
        page -= 1
    return page


@compiled
def vma_end(m: Memory, page: int, k: int, most: int) -> int:
    """The same of its end."""
    page += 1
    while page < most and not m.flags[base_of(m, page) + k] & VMA_START:
        page += 1
    return page


@compiled
def look_around(m: Memory, page: int, k: int) -> None:
    """lru_gen_look_around(), at a PTE of the process that is young: what is young near it is for
    the youngest generation, and the PMD entry may be worth a walk."""
    m.flags[base_of(m, page) + k] &= ~YOUNG
    shared = shared_of(m, page)
    entry = pmd_start(m, shared, page)
    start = max(entry, page - MIN_LRU_BATCH)
    end = min(pmd_end(m, shared, page), page + MIN_LRU_BATCH + 1)
    if m.t[m.v[SPLIT] + shared]:
        start, end = vma_start(m, page, k, start), vma_end(m, page, k, end)
    if end - start == 1:
        return
    if end - start > MIN_LRU_BATCH:
        half = MIN_LRU_BATCH // 2
        if page - start < half:
            end = start + MIN_LRU_BATCH
        elif end - page < half:
            start = end - MIN_LRU_BATCH
        else:
            start, end = page - half, page + half
    young = 1
    width, folio_of = m.v[WIDTH], m.v[FOLIO_OF] + k
    base = base_of(m, start) - width
    for at in range(start, end):
        base += width
        flags = m.flags[base + k]
        if not flags & YOUNG:
            continue
        folio = m.t[folio_of + m.column[at] * width]
        if folio >= 0:
            m.flags[base + k] = flags & ~YOUNG
            young += 1
            promote(m, base + folio)
    if suitable_to_scan(end - start, young):
        update_filter(m, m.v[MAX_SEQ], base_of(m, entry) + k)


@compiled
def promote(m: Memory, node: int) -> None:
    """What was found to be young: one that is isolated is spared, others are activated."""
    gen = gen_of(m, node)
    if gen < 0:
        m.flags[node] |= REFERENCED
    elif gen != m.v[MAX_SEQ] % MAX_NR_GENS:
        m.flags[node] &= ~GENERATION_FLAGS
        folio_activate(m, node)
