"""A fault in an arena that asks the swap cache, with read-ahead around it (mm/swap_state.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swaptrace.mm.event import Access, Populate, SwapIn
from swaptrace.reclaim import memory
from swaptrace.reclaim.lists import lru_add_drain
from swaptrace.reclaim.pages import at_hand
from swaptrace.replay.pages.dense import first_page
from swaptrace.replay.runs.readahead import Pass

if TYPE_CHECKING:
    from swaptrace.replay.pages.parts import Parts


def look_up(arena: Parts, page: int, number: int) -> int:
    """Let the fault happen to a page of the arena; what `loop.happen` says of it."""
    family = arena.locate(page)
    event = arena.table.events[number]
    process = arena.world.processes[family.members[event.process]]
    address = family.base + page - first_page(family)
    area = next(iter(process.space.within(address, address + 1)))
    bounds = max(area.start - family.base, 0), min(area.end, family.end) - family.base
    assert isinstance(event, Access | Populate)
    ahead = Pass(arena.world, family, event, bounds, area.readahead)
    lookup = arena.row(page, number).lookup
    if lookup == "read":
        why = swap_vma_readahead(arena, ahead, page, number)
    else:
        ahead.note_hit(address, lookup == "readahead_hit")
        why = arena.happen(page, number)
    process.space.put(area, area._replace(readahead=ahead.readahead))
    return why


def swap_vma_readahead(arena: Parts, ahead: Pass, page: int, number: int) -> int:
    """The window is read page by page, that of the fault in its place, and then mapped."""
    first = first_page(ahead.family)
    start, end = ahead.window(ahead.family.base + page - first)
    event = ahead.event
    if ahead.readahead.window == 1:
        alone = event._replace(facts=event.facts._replace(readahead=False))
        return arena.happen(page, arena.table.number(alone))
    moment = int(arena.v[memory.MOMENT])
    arena.v[memory.MOMENT] += 1
    before = int(arena.column[page])
    for other in range(first + start, first + end):
        reading = SwapIn(event.process, event.facts, readahead=other != page)
        why = arena.happen(other, arena.table.number(reading))
        if why:
            return why
    lru_add_drain(arena.memory())
    reading = SwapIn(event.process, event.facts, readahead=False)
    return map_read(arena, page, number, before, arena.table.number(reading), moment)


def map_read(arena: Parts, page: int, number: int, before: int, reading: int, moment: int) -> int:
    """The fault goes on with the folio that it has read, and counts as the one event that it is."""
    family = arena.families.index(arena.locate(page))
    read, full = int(arena.column[page]), at_hand(arena.memory(), number)
    why = arena.happen(page, number)
    whole = arena.world.table.row(arena.table.events[full], before)
    if read != before and whole.new == arena.column[page]:
        event = reading if arena.table.arrays["taken"][family, reading, before] else reading + 1
        untake(arena, (family, event, before))
        untake(arena, (family, full, read))
        retake(arena, (family, full, before), page, moment)
    return why


def untake(arena: Parts, at: tuple[int, int, int]) -> None:
    """Forget the last page that took a transition."""
    taken, first = arena.table.arrays["taken"], arena.table.arrays["first"]
    taken[at] -= 1
    if not taken[at]:
        first[at] = -1


def retake(arena: Parts, at: tuple[int, int, int], page: int, moment: int) -> None:
    """Note a page that has taken a transition."""
    taken, first = arena.table.arrays["taken"], arena.table.arrays["first"]
    if not taken[at]:
        arena.table.arrays["order"][at] = moment
    taken[at] += 1
    if first[at] < 0 or page < first[at]:
        first[at] = page
