"""One transition of one page, and what it means for the lists."""

from __future__ import annotations

from swaptrace.reclaim.batches import (
    folio_add_lru,
    folio_add_lru_vma,
    folio_put,
    lru_add_drain,
    mlock_folio,
    reconsider,
    rename,
)
from swaptrace.reclaim.compiled import compiled
from swaptrace.reclaim.memory import (
    ABSENT,
    BREAKS,
    CELLS,
    COLUMNS,
    DEAD,
    DOES,
    DRAINS,
    FIRST_PAGE,
    FOLIO_COUNT,
    FOLIO_OF,
    FOLIO_TO,
    FRESH,
    HEADS,
    LAZY_FOLIOS,
    LOCKED_FOLIOS,
    LOCKS,
    MEMBER,
    MOMENT,
    NEW_COLUMN,
    OF_FOLIO,
    ORDER,
    READ_FROM,
    SCARCE,
    SHARED_REGIONS,
    SLOT_TO,
    SLOTS,
    SLOTS_DELTA,
    SLOTS_USED,
    STARTS,
    STORED,
    TAKEN,
    TRACKED,
    WAY,
    WIDTH,
    Memory,
    base_of,
)
from swaptrace.reclaim.slots import PLACED, follow_slots, vm_swap_full
from swaptrace.reclaim.workingset import workingset_eviction, workingset_refault


@compiled
def shared_of(m: Memory, page: int) -> int:
    """The region that a page lies in."""
    shared = m.v[SHARED_REGIONS] - 1
    while m.t[m.v[STARTS] + shared] > page:
        shared -= 1
    return shared


@compiled
def at_hand(m: Memory, event: int) -> int:
    """Of a pair of events the one for the swap device as it is."""
    full = m.v[SLOTS_USED] >= m.v[SLOTS] if m.t[m.v[SCARCE] + event] else vm_swap_full(m)
    return event + 1 if full else event


@compiled
def met_before(m: Memory, page: int, at: int, moment: int) -> None:
    """A transition that was taken just now began before what it has caused."""
    cell = shared_of(m, page) * m.v[CELLS] + at
    if m.t[m.v[TAKEN] + cell] == 1:
        m.t[m.v[ORDER] + cell] = moment


@compiled
def take(m: Memory, page: int, event: int, root: bool) -> None:
    """Let `event` happen to a page; its transition is in the tables, new folios are charged.

    `root` is that a folio is evicted on advice: its shadow entry is not the cgroup's.
    """
    column = m.column[page]
    at = event * m.v[COLUMNS] + column
    shared = shared_of(m, page)
    if not m.t[m.v[TAKEN] + shared * m.v[CELLS] + at]:
        m.t[m.v[ORDER] + shared * m.v[CELLS] + at] = m.v[MOMENT]
        m.v[MOMENT] += 1
    m.t[m.v[TAKEN] + shared * m.v[CELLS] + at] += 1
    if m.t[m.v[DOES] + at] & BREAKS:
        first = shared * m.v[CELLS] + at
        if m.t[m.v[FIRST_PAGE] + first] < 0 or page < m.t[m.v[FIRST_PAGE] + first]:
            m.t[m.v[FIRST_PAGE] + first] = page
    new = m.t[m.v[NEW_COLUMN] + at]
    m.column[page] = new
    if m.swap[PLACED] and m.t[m.v[WAY] + at]:
        follow_slots(m, page, m.t[m.v[WAY] + at])
    if m.v[TRACKED] and m.t[m.v[WAY] + at]:
        move(m, page, m.t[m.v[WAY] + at], column, root)
    m.v[SLOTS_USED] += m.t[m.v[SLOTS_DELTA] + at]  # workingset_refault() comes before swap_free()
    if not m.v[TRACKED]:
        return
    if (
        m.t[m.v[LOCKED_FOLIOS] + column]
        or m.t[m.v[LOCKED_FOLIOS] + new]
        or m.t[m.v[LAZY_FOLIOS] + column]
        or m.t[m.v[LAZY_FOLIOS] + new]
    ):
        for k in range(m.t[m.v[FOLIO_COUNT] + new]):
            reconsider(m, base_of(m, page) + k, (m.t[m.v[LAZY_FOLIOS] + new] >> k) & 1 != 0)
    if m.t[m.v[DOES] + at] & LOCKS:
        folio = m.t[m.v[FOLIO_OF] + new * m.v[WIDTH] + m.t[m.v[MEMBER] + event]]
        if folio >= 0:
            mlock_folio(m, base_of(m, page) + folio)
    if m.t[m.v[DOES] + at] & DRAINS:
        lru_add_drain(m)


@compiled
def move(m: Memory, page: int, row: int, column: int, root: bool) -> None:
    """Follow the folios and slots of a page through a transition."""
    base, to = base_of(m, page), row * m.v[WIDTH]
    refault = 0
    if m.t[m.v[READ_FROM] + row] >= 0:
        refault = m.shadow[base + m.t[m.v[READ_FROM] + row]]
        m.shadow[base + m.t[m.v[READ_FROM] + row]] = 0
    renumber_slots(m, base, to)
    renumbered = False
    for k in range(m.t[m.v[FOLIO_COUNT] + column]):
        if m.t[m.v[FOLIO_TO] + to + k] < 0:
            if m.t[m.v[STORED] + to + k] >= 0:
                m.shadow[base + m.t[m.v[STORED] + to + k]] = workingset_eviction(m, base + k, root)
            folio_put(m, base + k)
        elif m.t[m.v[FOLIO_TO] + to + k] != k:
            renumbered = True
    if renumbered:
        renumber(m, base, to, m.t[m.v[FOLIO_COUNT] + column])
    for j in range(2):
        node = m.t[m.v[FRESH] + row * 2 + j]
        if node == ABSENT:
            return
        flags = workingset_refault(m, refault) if refault and j == 0 else 0
        if node != DEAD:
            node += base
            m.flags[node] = (m.flags[node] & ~OF_FOLIO) | flags
        if j == 0 and m.t[m.v[READ_FROM] + row] >= 0:
            folio_add_lru(m, node)
        else:
            folio_add_lru_vma(m, node)


@compiled
def renumber(m: Memory, base: int, to: int, folios: int) -> None:
    """Folios change numbers, by way of the spare nodes."""
    spare = HEADS
    for k in range(folios):
        if m.t[m.v[FOLIO_TO] + to + k] >= 0:
            rename(m, base + k, spare + k)
    for k in range(folios):
        if m.t[m.v[FOLIO_TO] + to + k] >= 0:
            rename(m, spare + k, base + m.t[m.v[FOLIO_TO] + to + k])


@compiled
def renumber_slots(m: Memory, base: int, to: int) -> None:
    """Slots change numbers or are freed, and their shadow entries with them."""
    width, spare = m.v[WIDTH], HEADS
    if width == 1:
        if m.t[m.v[SLOT_TO] + to] < 0:
            m.shadow[base] = 0
        return
    for k in range(width):
        m.shadow[spare + k] = m.shadow[base + k]
        m.shadow[base + k] = 0
    for k in range(width):
        if m.t[m.v[SLOT_TO] + to + k] >= 0:
            m.shadow[base + m.t[m.v[SLOT_TO] + to + k]] = m.shadow[spare + k]
