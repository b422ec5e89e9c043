"""One transition of one page, and what it means for the lists."""

from __future__ import annotations

from swaptrace.reclaim.compiled import compiled
from swaptrace.reclaim.lists import (
    folio_add_lru,
    folio_put,
    lru_add_drain,
    reconsider,
    rename,
)
from swaptrace.reclaim.memory import (
    ABSENT,
    BREAKS,
    COLUMNS,
    DEAD,
    DRAINS,
    FAMILIES,
    FOLIO,
    LISTS,
    SLOTS,
    SLOTS_USED,
    TRACKED,
    WIDTH,
    Memory,
    base_of,
)
from swaptrace.reclaim.workingset import workingset_eviction, workingset_refault


@compiled
def family_of(m: Memory, page: int) -> int:
    """The region that a page lies in."""
    family = m.v[FAMILIES] - 1
    while m.starts[family] > page:
        family -= 1
    return family


@compiled
def vm_swap_full(m: Memory) -> bool:
    """Whether more than half of the slots are in use."""
    return (m.v[SLOTS] - m.v[SLOTS_USED]) * 2 < m.v[SLOTS]


@compiled
def at_hand(m: Memory, event: int) -> int:
    """Of a pair of events the one for the swap device as it is."""
    full = m.v[SLOTS_USED] >= m.v[SLOTS] if m.scarce[event] else vm_swap_full(m)
    return event + 1 if full else event


@compiled
def take(m: Memory, page: int, event: int, root: bool) -> None:
    """Let `event` happen to a page; its transition is in the tables, new folios are charged.

    `root` is that a folio is evicted on advice: its shadow entry is not the cgroup's.
    """
    column = m.column[page]
    at = event * m.v[COLUMNS] + column
    family = family_of(m, page)
    m.taken[family * len(m.new) + at] += 1
    if m.does[at] & BREAKS:
        first = family * len(m.new) + at
        if m.first[first] < 0 or page < m.first[first]:
            m.first[first] = page
    new = m.new[at]
    m.column[page] = new
    m.v[SLOTS_USED] += m.slots[at]
    if not m.v[TRACKED]:
        return
    if m.moves[at]:
        move(m, page, m.moves[at], column, root)
    if m.locked[column] or m.locked[new] or m.lazy[column] or m.lazy[new]:
        for k in range(m.folios[new]):
            reconsider(m, base_of(m, page) + k, (m.lazy[new] >> k) & 1 != 0)
    if m.does[at] & DRAINS:
        lru_add_drain(m)


@compiled
def move(m: Memory, page: int, row: int, column: int, root: bool) -> None:
    """Follow the folios and slots of a page through a transition."""
    base, to = base_of(m, page), row * m.v[WIDTH]
    refault = 0
    if m.read[row] >= 0:
        refault = m.shadow[base + m.read[row]]
        m.shadow[base + m.read[row]] = 0
    renumber_slots(m, base, to)
    renumbered = False
    for k in range(m.folios[column]):
        if m.folio_to[to + k] < 0:
            if m.stored[to + k] >= 0:
                m.shadow[base + m.stored[to + k]] = workingset_eviction(m, m.flags[base + k], root)
            folio_put(m, base + k)
        elif m.folio_to[to + k] != k:
            renumbered = True
    if renumbered:
        renumber(m, base, to, m.folios[column])
    for j in range(2):
        node = m.fresh[row * 2 + j]
        if node == ABSENT:
            return
        flags = workingset_refault(m, refault) if refault and j == 0 else 0
        if node != DEAD:
            node += base
            m.flags[node] = (m.flags[node] & ~FOLIO) | flags
        folio_add_lru(m, node)


@compiled
def renumber(m: Memory, base: int, to: int, folios: int) -> None:
    """Folios change numbers, by way of the spare nodes."""
    spare = LISTS
    for k in range(folios):
        if m.folio_to[to + k] >= 0:
            rename(m, base + k, spare + k)
    for k in range(folios):
        if m.folio_to[to + k] >= 0:
            rename(m, spare + k, base + m.folio_to[to + k])


@compiled
def renumber_slots(m: Memory, base: int, to: int) -> None:
    """Slots change numbers or are freed, and their shadow entries with them."""
    width, spare = m.v[WIDTH], LISTS
    if width == 1:
        if m.slot_to[to] < 0:
            m.shadow[base] = 0
        return
    for k in range(width):
        m.shadow[spare + k] = m.shadow[base + k]
        m.shadow[base + k] = 0
    for k in range(width):
        if m.slot_to[to + k] >= 0:
            m.shadow[base + m.slot_to[to + k]] = m.shadow[spare + k]
