"""The per-CPU batches in front of the LRU lists (mm/swap.c, mm/mlock.c; v6.12).

What happens to a folio's place waits until its batch is full or drained. A batch has a reference
to each of its folios: one that is freed meanwhile stays charged until then.
"""

from __future__ import annotations

from swaptrace.reclaim.compiled import compiled
from swaptrace.reclaim.generations import folio_inc_refs
from swaptrace.reclaim.lists import add_folio, del_folio, evictable, lru_add, mlocked
from swaptrace.reclaim.memory import (
    ABSENT,
    ACTIVATING,
    ACTIVE,
    AGE,
    BATCH_KINDS,
    BATCH_ROOM,
    BATCH_SIZE,
    BATCHED,
    BATCHES,
    DEAD,
    EXACT,
    FILE,
    HELD,
    HELD_ENTRIES,
    IN_FAULT,
    LISTED,
    LRU_ACTIVATE,
    LRU_ADD,
    LRU_DEACTIVATE,
    LRU_LAZYFREE,
    MGLRU,
    MLOCK,
    MLOCKED,
    OF_FOLIO,
    PGACTIVATE,
    PGDEACTIVATE,
    REFERENCED,
    UNEVICTABLE,
    USED,
    WHERE,
    Memory,
)
from swaptrace.reclaim.rings import link_after, position, unlink


@compiled
def waiting(m: Memory, batch: int) -> int:
    """How many entries a batch has."""
    return m.v[BATCHES + batch * BATCH_ROOM]


@compiled
def place_in(m: Memory, batch: int, node: int) -> int:
    """Where a folio is in a batch, among the scalars; -1 if it is not."""
    first = BATCHES + batch * BATCH_ROOM + 1
    return position(m, first, m.v[first - 1], node)


@compiled
def batch_add(m: Memory, batch: int, node: int) -> None:
    """folio_batch_add_and_move(): one folio more; the batch is drained when it is full."""
    at = BATCHES + batch * BATCH_ROOM
    m.v[at] += 1
    m.v[at + m.v[at]] = node
    if m.v[at] == BATCH_SIZE:
        drain(m, batch)


@compiled
def drain(m: Memory, batch: int) -> None:
    """folio_batch_move_lru(): what was freed meanwhile is gone for good, all else moves."""
    at = BATCHES + batch * BATCH_ROOM
    count = m.v[at]
    m.v[at] = 0
    for i in range(at + 1, at + 1 + count):
        node = m.v[i]
        if node == DEAD:
            m.v[USED] -= 1
        elif node == ABSENT:
            continue
        elif batch == LRU_ADD:
            lru_add(m, node)
        elif batch == MLOCK:
            mlock_move(m, node)
        else:
            if batch == LRU_ACTIVATE:
                m.flags[node] &= ~ACTIVATING
            if m.flags[node] & WHERE == LISTED:
                lru_move(m, batch, node)


@compiled
def lru_move(m: Memory, batch: int, node: int) -> None:
    """lru_activate(), lru_deactivate() or lru_lazyfree()."""
    active = m.flags[node] & ACTIVE
    if batch == LRU_ACTIVATE:
        if not active:
            del_folio(m, node)
            m.flags[node] |= ACTIVE
            add_folio(m, node)
            m.v[PGACTIVATE] += 1
    elif batch == LRU_LAZYFREE:
        if not m.flags[node] & FILE:
            del_folio(m, node)
            m.flags[node] = (m.flags[node] & ~(ACTIVE | REFERENCED)) | FILE
            add_folio(m, node)
    elif active or m.v[MGLRU]:
        del_folio(m, node)
        m.flags[node] &= ~(ACTIVE | REFERENCED)
        add_folio(m, node)
        m.v[PGDEACTIVATE] += 1


@compiled
def mlock_move(m: Memory, node: int) -> None:
    """mlock_folio_batch(), for one folio: it has been locked or unlocked, or is new and locked."""
    where = m.flags[node] & WHERE
    if not mlocked(m, node):
        m.flags[node] &= ~MLOCKED
    if where == 0 or place_in(m, LRU_ADD, node) >= 0:
        return
    if evictable(m, node):
        if where != LISTED:
            add_folio(m, node)
        return
    if where == LISTED:
        del_folio(m, node)
        m.flags[node] &= ~ACTIVE
    m.flags[node] = (m.flags[node] & ~WHERE) | UNEVICTABLE


@compiled
def lru_add_drain(m: Memory) -> None:
    """All that waits in a batch moves."""
    for batch in range(BATCH_KINDS):
        if waiting(m, batch):
            drain(m, batch)


@compiled
def folio_add_lru(m: Memory, node: int) -> None:
    """A new folio waits for its list. `node` may be DEAD, for one that has been freed already."""
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
    batch_add(m, LRU_ADD, node)


@compiled
def folio_add_lru_vma(m: Memory, node: int) -> None:
    """The same where a process has made it: in a locked VMA it waits in the batch of mlock."""
    if node == DEAD or not mlocked(m, node):
        folio_add_lru(m, node)
        return
    m.flags[node] |= MLOCKED
    if m.v[EXACT]:
        folio_add_lru(m, node)
        return
    m.flags[node] = (m.flags[node] & ~WHERE) | BATCHED
    batch_add(m, MLOCK, node)


@compiled
def folio_putback_lru(m: Memory, node: int) -> None:
    """What reclaim has taken off its list and cannot put there again is to be found unevictable."""
    if m.v[EXACT]:
        lru_add(m, node)
        return
    m.flags[node] = (m.flags[node] & ~WHERE) | BATCHED
    batch_add(m, LRU_ADD, node)


@compiled
def mlock_folio(m: Memory, node: int) -> None:
    """The folio is locked; it leaves its list with the batch. munlock_folio() waits altogether."""
    m.flags[node] |= MLOCKED
    if m.v[EXACT]:
        mlock_move(m, node)
    else:
        batch_add(m, MLOCK, node)


@compiled
def folio_activate(m: Memory, node: int) -> None:
    """The folio waits to become active."""
    if m.flags[node] & WHERE == LISTED and not m.flags[node] & ACTIVE:
        if m.v[MGLRU]:
            m.flags[node] |= ACTIVATING
        batch_add(m, LRU_ACTIVATE, node)


@compiled
def folio_deactivate(m: Memory, node: int) -> None:
    """The folio waits to become inactive; one with a generation, to get an old one."""
    if m.flags[node] & WHERE == LISTED and (m.flags[node] & ACTIVE or m.v[MGLRU]):
        batch_add(m, LRU_DEACTIVATE, node)


@compiled
def folio_mark_accessed(m: Memory, node: int) -> None:
    """The folio was used, says get_user_pages() (FOLL_TOUCH): the second time it is activated."""
    flags = m.flags[node]
    if m.v[EXACT]:
        return
    if m.v[MGLRU]:
        folio_inc_refs(m, node)
    elif not flags & REFERENCED:
        m.flags[node] |= REFERENCED
    elif flags & WHERE != UNEVICTABLE and not flags & ACTIVE:
        m.flags[node] &= ~REFERENCED
        if flags & WHERE == LISTED:
            folio_activate(m, node)
        elif place_in(m, LRU_ADD, node) >= 0:
            m.flags[node] |= ACTIVE
        m.v[AGE] += 1


@compiled
def folio_put(m: Memory, node: int) -> None:
    """The folio is freed. In batches it stays charged until the last is drained."""
    if m.flags[node] & WHERE == LISTED:
        del_folio(m, node)
    mark = DEAD
    not_activating = m.v[MGLRU] and not m.flags[node] & ACTIVATING
    for batch in range(BATCH_KINDS - 1, -1, -1):
        if batch == LRU_ACTIVATE and not_activating:
            continue
        at = place_in(m, batch, node)
        while at >= 0:
            m.v[at] = mark
            mark = ABSENT
            at = place_in(m, batch, node)
    if mark == DEAD:
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
    elif where == 0:
        held = position(m, HELD_ENTRIES, m.v[HELD], old)
        if held >= 0:
            m.v[held] = new
    for batch in range(BATCH_KINDS):
        at = place_in(m, batch, old)
        while at >= 0:
            m.v[at] = new
            at = place_in(m, batch, old)
    m.flags[old] &= ~OF_FOLIO
    m.flags[new] = (m.flags[new] & ~OF_FOLIO) | flags


@compiled
def reconsider(m: Memory, node: int, lazy: bool) -> None:
    """A folio may have been unlocked or given up (munlock_folio(), folio_mark_lazyfree()), or be an
    ordinary one again (folio_set_swapbacked())."""
    flags = m.flags[node]
    where = flags & WHERE
    if flags & MLOCKED and not mlocked(m, node):
        if m.v[EXACT]:
            mlock_move(m, node)
        elif place_in(m, MLOCK, node) < 0:
            batch_add(m, MLOCK, node)
    if lazy == ((flags & FILE) != 0):
        return
    if lazy and where == LISTED and not m.v[EXACT]:
        if place_in(m, LRU_LAZYFREE, node) < 0:
            batch_add(m, LRU_LAZYFREE, node)
        return
    if where == LISTED:
        del_folio(m, node)
    m.flags[node] ^= FILE
    if lazy:
        m.flags[node] &= ~(ACTIVE | REFERENCED)
    if where == LISTED:
        add_folio(m, node)
