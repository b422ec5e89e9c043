"""The inner loop: accesses one after another, hits in runs, all else page by page."""

from __future__ import annotations

from typing import Final

import numpy as np

from swaptrace.reclaim.aging import MARKS, look_for_unmarked, touch_pmd
from swaptrace.reclaim.batches import folio_mark_accessed, lru_add_drain
from swaptrace.reclaim.compiled import COMPILED, compiled
from swaptrace.reclaim.lists import add_folio, del_folio
from swaptrace.reclaim.memory import (
    ACTIVATED,
    ACTIVATED_FLUSHED,
    ADDRESS,
    ALL_MARKED,
    ALLOCATES,
    ASKED,
    BASE,
    CACHED,
    CLOCK,
    COLUMNS,
    DOES,
    ENDS,
    EXACT,
    FAULTS,
    FLUSHED,
    FOLIO_OF,
    KNOWN,
    LISTED,
    LISTS,
    LOOKED_AT,
    LRU_DRAIN,
    MEMBER,
    MGLRU,
    MOMENT,
    PINNED,
    PLAIN,
    PTRS_PER_PTE,
    READAHEAD,
    REGION_END,
    SIZE,
    STARTS,
    STAT_FLUSH,
    TOUCHES,
    TRACKED,
    USED,
    WHERE,
    WIDTH,
    YOUNG,
    Array,
    Memory,
    base_of,
)
from swaptrace.reclaim.pages import at_hand, met_before, shared_of, take
from swaptrace.reclaim.swapfile import swap_reclaim_work
from swaptrace.reclaim.vmscan import charge

# Why the loop stops.
DONE: Final = 0
UNKNOWN: Final = 1
"""A transition is not in the tables; `ASKED` says which. The access has not happened."""
LOOKS_UP: Final = 2
"""The access asks the swap cache, and read-ahead is on. It has not happened."""
KILLED: Final = 3
"""Memory is needed and nothing can be reclaimed."""
ENDED: Final = 4
"""The access has ended its step (SIGSEGV)."""

FIRST_LOOK: Final = 64
LONGEST_LOOK: Final = 8192
"""How many accesses are looked at together, where hits are found with arrays."""


@compiled
def stat_flush(m: Memory) -> None:
    """mem_cgroup_flush_stats(): from now on the statistics are as of now."""
    for which in range(LISTS):
        m.v[FLUSHED + which] = m.v[SIZE + which]
    m.v[ACTIVATED_FLUSHED] = m.v[ACTIVATED]


@compiled
def tick(m: Memory, accesses: int) -> None:
    """So many accesses go by, which have changed no list.

    What happens after every so many of them happens now: of several times only the first drain
    and the last flush matter, and of both after the same access the drain comes first.
    """
    before = m.v[CLOCK]
    now = before + accesses
    m.v[CLOCK] = now
    drains, flushes = m.v[LRU_DRAIN], m.v[STAT_FLUSH]
    drained = 0
    if drains and now // drains != before // drains:
        drained = (before // drains + 1) * drains
    if flushes and now // flushes != before // flushes:
        if drained and drained <= now // flushes * flushes:
            lru_add_drain(m)
            drained = 0
        stat_flush(m)
    if drained:
        lru_add_drain(m)


@compiled
def hits_one_by_one(m: Memory, pages: Array, events: Array, start: int, end: int) -> int:
    """Let accesses happen that change no column, up to the first that does; where that is."""
    if m.v[TRACKED] and m.v[MGLRU] and not m.v[ALL_MARKED]:
        met = hits_under_walks(m, pages, events, start, end)
        m.v[LOOKED_AT] -= met - start
        if m.v[LOOKED_AT] < 0:
            look_for_unmarked(m)
        return met
    columns, tracked, exact = m.v[COLUMNS], m.v[TRACKED], m.v[EXACT]
    base, width = m.v[BASE], m.v[WIDTH]
    for i in range(start, end):
        page, event = pages[i], events[i]
        column = m.column[page]
        if not m.t[m.v[DOES] + event * columns + column] & PLAIN:
            return i
        if tracked:
            process = m.t[m.v[MEMBER] + event]
            m.flags[base + page * width + process] |= YOUNG
            if exact:
                use(m, base + page * width, column, process)
    return end


@compiled
def hits_under_walks(m: Memory, pages: Array, events: Array, start: int, end: int) -> int:
    """The same where page tables are walked: the processor sets the accessed bit of the PMD entry
    as well. What is set is not written again: most accesses find it so.
    """
    columns, does, member = m.v[COLUMNS], m.v[DOES], m.v[MEMBER]
    base, width = m.v[BASE], m.v[WIDTH]
    first, end_of, shift, mask = 0, 0, 0, m.v[PTRS_PER_PTE] - 1  # of the region, as in touch_pmd()
    for i in range(start, end):
        page, event = pages[i], events[i]
        if not m.t[does + event * columns + m.column[page]] & PLAIN:
            return i
        process = m.t[member + event]
        if not m.flags[base + page * width + process] & YOUNG:
            m.flags[base + page * width + process] |= YOUNG
        if not first <= page < end_of:
            shared = shared_of(m, page)
            first, end_of = m.t[m.v[STARTS] + shared], m.t[m.v[REGION_END] + shared]
            shift = m.t[m.v[ADDRESS] + shared] - first
        entry = base + max(first, page - ((page + shift) & mask)) * width + process
        if m.flags[entry] & MARKS != MARKS:
            m.flags[entry] |= MARKS
    return end


@compiled
def use(m: Memory, base: int, column: int, process: int) -> None:
    """The exact LRU: the folio that the process maps is now the newest."""
    folio = m.t[m.v[FOLIO_OF] + column * m.v[WIDTH] + process]
    if folio >= 0 and m.flags[base + folio] & WHERE == LISTED:
        del_folio(m, base + folio)
        add_folio(m, base + folio)


def hits_by_arrays(m: Memory, pages: Array, events: Array, start: int, end: int) -> int:
    """The same, many at a time."""
    if m.v[EXACT] or m.v[MGLRU]:
        return hits_one_by_one(m, pages, events, start, end)
    columns, tables = np.asarray(m.column), np.asarray(m.t)
    does, member = tables[m.v[DOES] :], tables[m.v[MEMBER] :]
    flags, base, width = np.asarray(m.flags), m.v[BASE], m.v[WIDTH]
    all_pages, all_events = np.asarray(pages), np.asarray(events)
    look = FIRST_LOOK
    while start < end:
        page, event = all_pages[start : start + look], all_events[start : start + look]
        page, event = page[: end - start], event[: end - start]
        plain = does[event * m.v[COLUMNS] + columns[page]] & PLAIN != 0
        met = len(plain) if plain.all() else int(plain.argmin())
        if m.v[TRACKED]:
            flags[base + page[:met] * width + member[event[:met]]] |= YOUNG
        start += met
        if met < len(plain):
            return start
        look = min(look * 2, LONGEST_LOOK)
    return end


hits = hits_one_by_one if COMPILED else hits_by_arrays


@compiled
def unknown(m: Memory, page: int, event: int) -> bool:
    """Whether a transition is not in the tables; notes which."""
    if m.t[m.v[DOES] + event * m.v[COLUMNS] + m.column[page]] & KNOWN:
        return False
    m.v[ASKED] = event
    m.v[ASKED + 1] = m.column[page]
    return True


@compiled
def charge_all(m: Memory, page: int, folios: int) -> bool:
    """Room for the new folios of a fault, whose page is locked meanwhile."""
    m.v[PINNED] = page
    for _ in range(folios):
        if not charge(m):
            return False
    m.v[PINNED] = -1
    return True


@compiled
def happen(m: Memory, page: int, pair: int) -> int:
    """One event of one page, whatever it does; says why the loop must stop, or DONE.

    Reclaim on its way may fill the swap device, or find that it is no longer full.
    """
    event = at_hand(m, pair)
    if unknown(m, page, event):
        return UNKNOWN
    at = event * m.v[COLUMNS] + m.column[page]
    if m.t[m.v[DOES] + at] & CACHED and m.v[READAHEAD]:
        return LOOKS_UP
    if m.v[MGLRU] and m.t[m.v[TOUCHES] + event] == 1:
        touch_pmd(m, page, m.t[m.v[MEMBER] + event])
    folios, moment = m.t[m.v[ALLOCATES] + at], m.v[MOMENT]
    m.v[MOMENT] += 1
    if folios and m.v[TRACKED]:
        if not charge_all(m, page, folios):
            return KILLED
        swap_reclaim_work(m)
        event = at_hand(m, pair)
        if unknown(m, page, event):
            m.v[USED] -= folios
            return UNKNOWN
        at = event * m.v[COLUMNS] + m.column[page]
    ends = m.t[m.v[DOES] + at] & ENDS
    take(m, page, event, False)
    met_before(m, page, at, moment)
    if m.v[TRACKED] and m.t[m.v[TOUCHES] + event]:
        touched(m, page, event, m.t[m.v[DOES] + at])
    return ENDED if ends else DONE


@compiled
def touched(m: Memory, page: int, event: int, does: int) -> None:
    """A process has used a page, or the kernel has on its behalf: then the PTE is young only if
    there was a fault, and the folio is marked (FOLL_TOUCH of mm/gup.c). SIGSEGV leaves it as it is.
    """
    process, by_itself = m.t[m.v[MEMBER] + event], m.t[m.v[TOUCHES] + event] == 1
    base, column = base_of(m, page), m.column[page]
    if does & FAULTS or (by_itself and not does & ENDS):
        m.flags[base + process] |= YOUNG
    if by_itself and m.v[MGLRU]:  # a walk by reclaim may have made the entry old meanwhile
        touch_pmd(m, page, process)
    if m.v[EXACT]:
        use(m, base, column, process)
    folio = m.t[m.v[FOLIO_OF] + column * m.v[WIDTH] + process]
    if not by_itself and folio >= 0 and not does & ENDS:
        folio_mark_accessed(m, base + folio)


@compiled
def run(m: Memory, pages: Array, events: Array, start: int, end: int) -> tuple[int, int]:
    """Let events happen to pages, in order, from the one at `start` on.

    Returns where it has stopped and why. Only accesses count as time.
    """
    while start < end:
        met = hits(m, pages, events, start, end)
        if met > start:
            tick(m, met - start)
            start = met
            if start == end:
                break
        why = happen(m, pages[start], events[start])
        if why and why != ENDED:
            return start, why
        if m.t[m.v[TOUCHES] + events[start]] == 1:
            tick(m, 1)
        start += 1
        if why:
            return start, why
    return start, DONE
