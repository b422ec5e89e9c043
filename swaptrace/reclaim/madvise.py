"""What advice does to the lists (mm/madvise.c): pages out at once, or cold."""

from __future__ import annotations

from swaptrace.reclaim.batches import folio_add_lru, folio_deactivate
from swaptrace.reclaim.compiled import compiled
from swaptrace.reclaim.lists import del_folio
from swaptrace.reclaim.loop import DONE, UNKNOWN
from swaptrace.reclaim.memory import (
    ACTIVE,
    COLUMNS,
    DOES,
    EXACT,
    FOLIO_OF,
    FOLIO_TO,
    HELD,
    HELD_ENTRIES,
    LISTED,
    MAPPED,
    MEMBER,
    PGACTIVATE,
    REFERENCED,
    TRACKED,
    WAY,
    WHERE,
    WIDTH,
    WORKINGSET,
    WRITES,
    YOUNG,
    Array,
    Memory,
    base_of,
)
from swaptrace.reclaim.pages import take
from swaptrace.reclaim.swapfile import NO_EVENT, swapping_out


@compiled
def own_folio(m: Memory, page: int, process: int) -> int:
    """The folio that only this process maps, by its number; -1 if there is none."""
    column, width = m.column[page], m.v[WIDTH]
    folio = m.t[m.v[FOLIO_OF] + column * width + process]
    if folio < 0 or m.t[m.v[MAPPED] + column * width + folio] != 1 << process:
        return -1
    return folio


@compiled
def pageout(m: Memory, pages: Array, event: int, start: int, end: int) -> tuple[int, int]:
    """MADV_PAGEOUT, page by page; as `loop.run`."""
    for i in range(start, end):
        page = pages[i]
        now = swapping_out(m, page, event)
        if now == NO_EVENT:
            return i, UNKNOWN
        at = now * m.v[COLUMNS] + m.column[page]
        if not m.v[TRACKED]:
            take(m, page, now, True)
            continue
        folio = own_folio(m, page, m.t[m.v[MEMBER] + event])
        if folio >= 0:
            isolate_cold(m, base_of(m, page) + folio)
        row, written = m.t[m.v[WAY] + at], m.t[m.v[DOES] + at] & WRITES
        take(m, page, now, True)
        if folio >= 0 and (not row or m.t[m.v[FOLIO_TO] + row * m.v[WIDTH] + folio] >= 0):
            if not written and not m.v[EXACT]:  # activate_locked
                m.flags[m.v[HELD_ENTRIES]] |= ACTIVE
                m.v[PGACTIVATE] += 1
            folio_add_lru(m, m.v[HELD_ENTRIES])
        m.v[HELD] = 0
    return end, DONE


@compiled
def isolate_cold(m: Memory, node: int) -> None:
    """The folio leaves its list; that it was active becomes the workingset mark."""
    flags = m.flags[node]
    if flags & WHERE == LISTED:
        del_folio(m, node)
    m.flags[node] &= ~(ACTIVE | REFERENCED)
    if flags & ACTIVE:
        m.flags[node] |= WORKINGSET
    m.v[HELD_ENTRIES] = node
    m.v[HELD] = 1


@compiled
def cold(m: Memory, pages: Array, process: int) -> None:
    """MADV_COLD: pages that only the caller maps are no longer young, nor active."""
    for i in range(len(pages)):
        page = pages[i]
        folio = own_folio(m, page, process)
        if folio >= 0:
            node = base_of(m, page) + folio
            m.flags[base_of(m, page) + process] &= ~YOUNG
            was = m.flags[node]
            m.flags[node] &= ~REFERENCED
            if was & ACTIVE:
                m.flags[node] |= WORKINGSET
            folio_deactivate(m, node)
