"""The LRU lists and the per-CPU batch in front of them (mm/swap.c, linux/mm_inline.h).

Each list is a ring through its head, the node of its number: `next` of the head is the newest
folio, `prev` the oldest.
"""

from __future__ import annotations

from swaptrace.reclaim.compiled import compiled
from swaptrace.reclaim.generations import folio_activate_drain, gen_add_folio, gen_del_folio
from swaptrace.reclaim.memory import (
    ACTIVATING,
    ACTIVATING_ENTRIES,
    ACTIVE,
    BATCH,
    BATCH_ENTRIES,
    BATCH_SIZE,
    BATCHED,
    CAPACITY,
    DEAD,
    EXACT,
    FILE,
    HELD,
    HELD_ENTRIES,
    IN_FAULT,
    INACTIVE_ANON,
    LISTED,
    LOCKED_FOLIOS,
    MGLRU,
    OF_FOLIO,
    REFERENCED,
    SIZE,
    UNEVICTABLE,
    USED,
    WHERE,
    Memory,
    base_of,
    page_of,
)
from swaptrace.reclaim.rings import link_after, position, unlink


@compiled
def list_of(m: Memory, node: int) -> int:
    """folio_lru_list(), of what is evictable. An exact LRU has one list."""
    if m.v[EXACT]:
        return INACTIVE_ANON
    flags = m.flags[node]
    return (2 if flags & FILE else 0) + (1 if flags & ACTIVE else 0)


@compiled
def add_folio(m: Memory, node: int) -> None:
    """lruvec_add_folio(): to the head of the list that its flags say."""
    if m.v[MGLRU]:
        gen_add_folio(m, node, False)
        return
    which = list_of(m, node)
    link_after(m, node, which)
    m.v[SIZE + which] += 1
    m.flags[node] = (m.flags[node] & ~WHERE) | LISTED


@compiled
def add_folio_tail(m: Memory, node: int) -> None:
    """lruvec_add_folio_tail()."""
    which = list_of(m, node)
    link_after(m, node, int(m.prev[which]))
    m.v[SIZE + which] += 1
    m.flags[node] = (m.flags[node] & ~WHERE) | LISTED


@compiled
def del_folio(m: Memory, node: int) -> None:
    """lruvec_del_folio()."""
    if m.v[MGLRU]:
        gen_del_folio(m, node, False)
        return
    unlink(m, node)
    m.v[SIZE + list_of(m, node)] -= 1
    m.flags[node] &= ~WHERE


@compiled
def evictable(m: Memory, node: int) -> bool:
    """folio_evictable(): not mapped by a locked VMA."""
    page = page_of(m, node)
    return not (m.t[m.v[LOCKED_FOLIOS] + m.column[page]] >> (node - base_of(m, page))) & 1


@compiled
def lru_add(m: Memory, node: int) -> None:
    """lru_add(): a folio leaves the batch for its list."""
    if evictable(m, node):
        add_folio(m, node)
    else:
        m.flags[node] = (m.flags[node] & ~(WHERE | ACTIVE)) | UNEVICTABLE


@compiled
def lru_add_drain(m: Memory) -> None:
    """All that waits in a batch joins its list."""
    drain_new(m)
    folio_activate_drain(m)


@compiled
def drain_new(m: Memory) -> None:
    """All new folios join their lists; what was freed meanwhile is gone for good."""
    count = m.v[BATCH]
    m.v[BATCH] = 0
    for i in range(count):
        if m.v[BATCH_ENTRIES + i] == DEAD:
            m.v[USED] -= 1
        else:
            lru_add(m, m.v[BATCH_ENTRIES + i])


@compiled
def folio_add_lru(m: Memory, node: int) -> None:
    """A new folio waits in the batch, which is drained when it is full.

    `node` may be DEAD, for a folio that has been freed already.
    """
    if m.v[EXACT]:
        if node == DEAD:
            m.v[USED] -= 1
        else:
            lru_add(m, node)
        return
    if node != DEAD:
        m.flags[node] = (m.flags[node] & ~WHERE) | BATCHED
        if m.v[MGLRU] and m.v[IN_FAULT]:
            m.flags[node] |= ACTIVE
    m.v[BATCH_ENTRIES + m.v[BATCH]] = node
    m.v[BATCH] += 1
    if m.v[BATCH] == BATCH_SIZE:
        drain_new(m)


@compiled
def folio_put(m: Memory, node: int) -> None:
    """The folio is freed. In a batch it stays charged until that is drained."""
    where = m.flags[node] & WHERE
    if where == LISTED:
        del_folio(m, node)
    if where == BATCHED:
        waits = position(m, BATCH_ENTRIES, m.v[BATCH], node)
    else:
        waits = position(m, ACTIVATING_ENTRIES, m.v[ACTIVATING], node)
    if waits >= 0:
        m.v[waits] = DEAD
    else:
        m.v[USED] -= 1
    m.flags[node] &= ~OF_FOLIO


@compiled
def rename(m: Memory, old: int, new: int) -> None:
    """The folio of a node becomes that of another, which is free; its place stays the same."""
    flags = m.flags[old] & OF_FOLIO
    where = flags & WHERE
    if where == LISTED:
        newer = int(m.prev[old])
        unlink(m, old)
        link_after(m, new, newer)
    elif where == BATCHED:
        m.v[position(m, BATCH_ENTRIES, m.v[BATCH], old)] = new
    elif where == 0:
        held = position(m, HELD_ENTRIES, m.v[HELD], old)
        if held >= 0:
            m.v[held] = new
    waits = position(m, ACTIVATING_ENTRIES, m.v[ACTIVATING], old)
    if waits >= 0:
        m.v[waits] = new
    m.flags[old] &= ~OF_FOLIO
    m.flags[new] = (m.flags[new] & ~OF_FOLIO) | flags


@compiled
def reconsider(m: Memory, node: int, lazy: bool) -> None:
    """A folio has been locked, unlocked or given up (mlock_folio, munlock_folio,
    folio_mark_lazyfree), or is an ordinary one again (folio_set_swapbacked)."""
    flags = m.flags[node]
    where = flags & WHERE
    listed = where == LISTED
    may_be_listed = evictable(m, node)
    refiled = lazy != ((flags & FILE) != 0)
    if listed and (refiled or not may_be_listed):
        del_folio(m, node)
    if refiled:
        m.flags[node] ^= FILE
        if lazy:
            m.flags[node] &= ~(ACTIVE | REFERENCED)
    if listed and may_be_listed:
        if refiled:
            add_folio(m, node)
    elif listed:
        m.flags[node] = (m.flags[node] & ~(WHERE | ACTIVE)) | UNEVICTABLE
    elif where == UNEVICTABLE and may_be_listed:
        add_folio(m, node)


@compiled
def full(m: Memory) -> bool:
    """Whether one page more would exceed the limit."""
    return m.v[USED] >= m.v[CAPACITY]
