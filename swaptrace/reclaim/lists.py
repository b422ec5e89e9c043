"""The LRU lists (linux/mm_inline.h).

Each list is a ring through its head, the node of its number: `next` of the head is the newest
folio, `prev` the oldest.
"""

from __future__ import annotations

from swaptrace.reclaim.compiled import compiled
from swaptrace.reclaim.generations import gen_add_folio, gen_del_folio
from swaptrace.reclaim.memory import (
    ACTIVE,
    CAPACITY,
    EXACT,
    FILE,
    INACTIVE_ANON,
    LISTED,
    LOCKED_FOLIOS,
    MGLRU,
    MLOCKED,
    MLOCKED_FOLIOS,
    SIZE,
    UNEVICTABLE,
    USED,
    WHERE,
    Memory,
    base_of,
    page_of,
)
from swaptrace.reclaim.rings import link_after, unlink


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
    """folio_evictable()"""
    return m.flags[node] & MLOCKED == 0


@compiled
def in_locked_vma(m: Memory, node: int) -> bool:
    """Whether a locked VMA maps the folio, which PG_mlocked does not always say."""
    page = page_of(m, node)
    return (m.t[m.v[LOCKED_FOLIOS] + m.column[page]] >> (node - base_of(m, page))) & 1 != 0


@compiled
def mlocked(m: Memory, node: int) -> bool:
    """Whether the folio is to have PG_mlocked when the batches are drained."""
    page = page_of(m, node)
    return (m.t[m.v[MLOCKED_FOLIOS] + m.column[page]] >> (node - base_of(m, page))) & 1 != 0


@compiled
def lru_add(m: Memory, node: int) -> None:
    """lru_add(): a folio joins its list, or none."""
    if evictable(m, node):
        add_folio(m, node)
    else:
        m.flags[node] = (m.flags[node] & ~(WHERE | ACTIVE)) | UNEVICTABLE


@compiled
def full(m: Memory) -> bool:
    """Whether one page more would exceed the limit."""
    return m.v[USED] >= m.v[CAPACITY]
