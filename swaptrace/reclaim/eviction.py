"""The eviction of the multi-generational LRU (mm/vmscan.c, v6.12), for a memory cgroup."""

from __future__ import annotations

from typing import Final

from swaptrace.reclaim.aging import look_around, reset_ctrl_pos, try_to_inc_max_seq
from swaptrace.reclaim.batches import folio_putback_lru, lru_add_drain, mlock_folio
from swaptrace.reclaim.compiled import compiled
from swaptrace.reclaim.generations import (
    gen_add_folio,
    gen_del_folio,
    gen_of,
    lru_refs,
    move_to_head,
    move_to_tail,
    set_gen,
    tier_of,
)
from swaptrace.reclaim.lists import evictable, full, in_locked_vma
from swaptrace.reclaim.memory import (
    ACTIVATES,
    ACTIVATING,
    ACTIVE,
    ANON,
    AVG_REFAULTED,
    AVG_TOTAL,
    CLUSTER,
    COLUMNS,
    DEAD,
    DOES,
    EVICTS,
    FOLIO_TO,
    GEN_PAGES,
    GENERATION_FLAGS,
    HELD,
    HELD_ENTRIES,
    MAPPED,
    MAX_LRU_BATCH,
    MAX_NR_GENS,
    MAX_NR_TIERS,
    MAX_SEQ,
    MIN_LRU_BATCH,
    MIN_NR_GENS,
    MIN_SEQ,
    PGACTIVATE,
    PGSCAN,
    PGSTEAL,
    PINNED,
    RECLAIMED,
    REFERENCED,
    SINCE_WALK,
    SLOTS,
    SLOTS_USED,
    TIER_EVICTED,
    TIER_PROTECTED,
    TIER_REFAULTED,
    TYPES,
    UNMAPS,
    WAY,
    WIDTH,
    WRITES,
    YOUNG,
    Memory,
    base_of,
    page_of,
)
from swaptrace.reclaim.pages import take
from swaptrace.reclaim.slots import vm_swap_full
from swaptrace.reclaim.swapfile import swapping_out

DEF_PRIORITY: Final = 12
SWAPPINESS: Final = 60
"""/proc/sys/vm/swappiness, as it is by default."""
MAX_SWAPPINESS: Final = 200
ATTEMPTS: Final = 18
"""How often a charge reclaims in vain before a process is killed: MAX_RECLAIM_RETRIES, the first
time, and the time after drain_all_stock()."""

# What becomes of a folio that is isolated.
KEPT: Final = 0
FREED: Final = 1
IN_FLIGHT: Final = 2
"""It is being written, and clean soon."""


@compiled
def positive_ctrl_err(m: Memory, setpoint: int, gain: int, variable: int, other_gain: int) -> bool:
    """Whether the tier at `variable` refaults no more than the one at `setpoint`."""
    refaulted = m.v[AVG_REFAULTED + variable] + m.v[TIER_REFAULTED + variable]
    if refaulted < MIN_LRU_BATCH:
        return True
    total = (
        m.v[AVG_TOTAL + variable] + m.v[TIER_EVICTED + variable] + m.v[TIER_PROTECTED + variable]
    )
    most = m.v[AVG_REFAULTED + setpoint] + m.v[TIER_REFAULTED + setpoint]
    of = m.v[AVG_TOTAL + setpoint] + m.v[TIER_EVICTED + setpoint] + m.v[TIER_PROTECTED + setpoint]
    within: bool = refaulted * (of + MIN_LRU_BATCH) * gain <= (most + 1) * total * other_gain
    return within


@compiled
def last_tier(m: Memory, setpoint: int, gain: int, kind: int, other_gain: int) -> int:
    """The last tier of a type that refaults no more than the one at `setpoint`."""
    tier = 1
    while tier < MAX_NR_TIERS and positive_ctrl_err(
        m, setpoint, gain, kind * MAX_NR_TIERS + tier, other_gain
    ):
        tier += 1
    return tier - 1


@compiled
def gain_of(kind: int) -> int:
    """What the controller weighs a type's refaults with."""
    return SWAPPINESS if kind == ANON else MAX_SWAPPINESS - SWAPPINESS


@compiled
def sort_folio(m: Memory, node: int, kind: int, tier_idx: int) -> bool:
    """Whether the folio is spared: it was promoted meanwhile, or its tier is protected.

    It is evictable: the batch of mlock has been drained.
    """
    gen, oldest = gen_of(m, node), m.v[MIN_SEQ + kind] % MAX_NR_GENS
    if gen != oldest:
        move_to_head(m, node, gen * TYPES + kind)
        return True
    refs = lru_refs(m, node)
    if tier_of(refs) <= tier_idx and refs <= MAX_NR_TIERS - 1:
        return False
    gen = (oldest + 1) % MAX_NR_GENS
    set_gen(m, node, gen)
    move_to_tail(m, node, gen * TYPES + kind)
    m.v[TIER_PROTECTED + kind * MAX_NR_TIERS + tier_of(refs)] += 1
    return True


@compiled
def isolate_folio(m: Memory, node: int) -> None:
    """The folio leaves its list; without PG_referenced it is of the first tier."""
    if not m.flags[node] & REFERENCED:
        m.flags[node] &= ~GENERATION_FLAGS
    m.flags[node] &= ~REFERENCED
    gen_del_folio(m, node, True)
    m.v[HELD_ENTRIES + m.v[HELD]] = node
    m.v[HELD] += 1


@compiled
def scan_folios(m: Memory, kind: int, tier: int) -> int:
    """Isolate up to a batch from the oldest generation; how many folios were looked at."""
    if m.v[MAX_SEQ] - m.v[MIN_SEQ + kind] + 1 == MIN_NR_GENS:
        return 0
    which = m.v[MIN_SEQ + kind] % MAX_NR_GENS * TYPES + kind
    scanned = 0
    while int(m.prev[which]) != which and scanned < MAX_LRU_BATCH and m.v[HELD] < MIN_LRU_BATCH:
        node = int(m.prev[which])
        scanned += 1
        if not sort_folio(m, node, kind, tier):
            isolate_folio(m, node)
    m.v[PGSCAN] += m.v[HELD]
    return scanned if m.v[HELD] or scanned == MAX_LRU_BATCH else 0


@compiled
def isolate_folios(m: Memory, can_swap: bool) -> int:
    """From the type that the controller chooses, else from the other."""
    kind, tier = 1, -1
    if can_swap and m.v[MIN_SEQ] < m.v[MIN_SEQ + 1]:
        kind = ANON
    elif can_swap:
        if not positive_ctrl_err(m, 0, gain_of(ANON), MAX_NR_TIERS, gain_of(1)):
            kind = ANON
        other = 1 - kind
        tier = last_tier(m, other * MAX_NR_TIERS, gain_of(other), kind, gain_of(kind))
    for _ in range(TYPES if can_swap else 1):
        if tier < 0:
            tier = last_tier(m, kind * MAX_NR_TIERS, 1, kind, 2)
        scanned = scan_folios(m, kind, tier)
        if scanned:
            return scanned
        kind, tier = 1 - kind, -1
    return 0


@compiled
def try_to_inc_min_seq(m: Memory, can_swap: bool) -> bool:
    """Pass over generations that are empty; whether there were any."""
    first = ANON if can_swap else 1
    anon, file = m.v[MIN_SEQ], m.v[MIN_SEQ + 1]
    for kind in range(first, TYPES):
        seq = m.v[MIN_SEQ + kind]
        while seq + MIN_NR_GENS <= m.v[MAX_SEQ]:
            which = seq % MAX_NR_GENS * TYPES + kind
            if int(m.prev[which]) != which:
                break
            seq += 1
        if kind == ANON:
            anon = seq
        else:
            file = seq
    if can_swap:
        anon = min(anon, file)
        file = max(anon, m.v[MIN_SEQ + 1])
    moved = False
    for kind in range(first, TYPES):
        seq = anon if kind == ANON else file
        if seq != m.v[MIN_SEQ + kind]:
            reset_ctrl_pos(m, kind)
            m.v[MIN_SEQ + kind] = seq
            moved = True
    return moved


@compiled
def young_ptes(m: Memory, page: int, mapped: int) -> int:
    """folio_referenced(): how many processes have used the folio."""
    base, found = base_of(m, page), 0
    process = 0
    while mapped:
        if mapped & 1 and m.flags[base + process] & YOUNG:
            look_around(m, page, process)
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
        return KEPT
    mapped = m.t[m.v[MAPPED] + m.column[page] * m.v[WIDTH] + folio]
    if mapped and m.flags[node] & REFERENCED:
        return KEPT
    if in_locked_vma(m, node):
        m.flags[node] &= ~REFERENCED
        take(m, page, m.t[m.v[ACTIVATES] + folio] + 1, False)
        mlock_folio(m, node)
        return KEPT
    young = young_ptes(m, page, mapped)
    referenced = m.flags[node] & REFERENCED
    if not young:
        m.flags[node] &= ~REFERENCED
        return evict(m, page, folio)
    if referenced or young > 1:
        if vm_swap_full(m):
            take(m, page, m.t[m.v[ACTIVATES] + folio] + 1, False)
        m.v[PGACTIVATE] += 1
    return KEPT


@compiled
def evict(m: Memory, page: int, folio: int) -> int:
    """Swap a folio out and free it. One to which a batch holds a reference is only unmapped."""
    held = m.flags[base_of(m, page) + folio] & ACTIVATING != 0
    event = swapping_out(m, page, m.t[m.v[UNMAPS if held else EVICTS] + folio])
    at = event * m.v[COLUMNS] + m.column[page]
    row, writes = m.t[m.v[WAY] + at], m.t[m.v[DOES] + at] & WRITES
    take(m, page, event, False)
    if writes:
        m.v[SINCE_WALK] += 1
    if row and m.t[m.v[FOLIO_TO] + row * m.v[WIDTH] + folio] < 0:
        return FREED
    if writes:
        return IN_FLIGHT
    if not held:  # no slot is free, or it was used since MADV_FREE
        m.v[PGACTIVATE] += 1
    return KEPT


@compiled
def evict_folios(m: Memory, can_swap: bool) -> int:
    """One batch; how many folios were looked at, or 0 where only young generations are left."""
    scanned = isolate_folios(m, can_swap)
    if try_to_inc_min_seq(m, can_swap):
        scanned += 1
    kind = ANON if can_swap else 1
    if m.v[MAX_SEQ] - m.v[MIN_SEQ + kind] + 1 == MIN_NR_GENS:
        scanned = 0
    for i in range(m.v[HELD]):
        node = m.v[HELD_ENTRIES + i]
        fate = shrink_folio(m, node)
        if fate == FREED:
            m.v[RECLAIMED] += 1
            m.v[PGSTEAL] += 1
            m.v[HELD_ENTRIES + i] = DEAD
        elif fate == IN_FLIGHT:
            gen_add_folio(m, node, True)
            m.v[HELD_ENTRIES + i] = DEAD
    for i in range(m.v[HELD]):
        node = m.v[HELD_ENTRIES + i]
        if node == DEAD:
            continue
        if evictable(m, node):
            m.flags[node] = (m.flags[node] & ~GENERATION_FLAGS) | ACTIVE
            gen_add_folio(m, node, False)
        else:
            folio_putback_lru(m, node)
    m.v[HELD] = 0
    return scanned


@compiled
def should_run_aging(m: Memory, can_swap: bool) -> tuple[bool, int]:
    """Whether the generations are out of balance, and how many folios they have."""
    newest = m.v[MAX_SEQ]
    oldest = m.v[MIN_SEQ] if can_swap else m.v[MIN_SEQ + 1]
    if oldest + MIN_NR_GENS > newest:
        return True, 0
    old, young, total = 0, 0, 0
    for kind in range(ANON if can_swap else 1, TYPES):
        for seq in range(m.v[MIN_SEQ + kind], newest + 1):
            size = max(m.v[GEN_PAGES + seq % MAX_NR_GENS * TYPES + kind], 0)
            total += size
            if seq == newest:
                young += size
            elif seq + MIN_NR_GENS == newest:
                old += size
    if oldest + MIN_NR_GENS < newest:
        return False, total
    return young * MIN_NR_GENS > total or old * (MIN_NR_GENS + 2) < total, total


@compiled
def get_nr_to_scan(m: Memory, priority: int, can_swap: bool) -> int:
    """How many folios to look at; where there has to be a new generation first, 0."""
    aging, total = should_run_aging(m, can_swap)
    if not aging or priority == DEF_PRIORITY:
        return total >> priority
    try_to_inc_max_seq(m, can_swap)
    return 0


@compiled
def try_to_shrink_lruvec(m: Memory, priority: int) -> None:
    """One priority of a direct reclaim."""
    lru_add_drain(m)
    can_swap = m.v[SLOTS] - m.v[SLOTS_USED] >= MIN_LRU_BATCH
    scanned = 0
    while True:
        target = get_nr_to_scan(m, priority, can_swap)
        if target <= 0:
            return
        delta = evict_folios(m, can_swap)
        scanned += delta
        if not delta or scanned >= target:
            return


@compiled
def reclaim_generations(m: Memory) -> int:
    """try_to_free_mem_cgroup_pages(); how many folios were freed. A failure is repeated once."""
    m.v[RECLAIMED] = 0
    for _ in range(2):
        for priority in range(DEF_PRIORITY, -1, -1):
            try_to_shrink_lruvec(m, priority)
            if m.v[RECLAIMED] >= CLUSTER:
                break
        if m.v[RECLAIMED]:
            break
    return m.v[RECLAIMED]


@compiled
def make_room(m: Memory) -> bool:
    """Reclaim until one page more can be charged. False: the kernel would kill a process."""
    attempts = 0
    while full(m):
        if attempts == ATTEMPTS:
            return False
        reclaim_generations(m)
        attempts += 1
    return True
