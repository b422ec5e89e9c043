"""A fault in an arena that asks the swap cache, with read-ahead around it (mm/swap_state.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from swaptrace.kernels import Rule
from swaptrace.mm.canonical import canonical
from swaptrace.mm.column import Column, SwapPte, SwapSlot
from swaptrace.mm.event import Access, Populate, SwapIn
from swaptrace.reclaim import memory
from swaptrace.reclaim.batches import lru_add_drain, place_in
from swaptrace.reclaim.memory import LRU_ADD
from swaptrace.reclaim.pages import at_hand
from swaptrace.replay.pages.dense import first_page
from swaptrace.replay.runs.readahead import Pass

if TYPE_CHECKING:
    from swaptrace.replay.pages.parts import Parts


def look_up(arena: Parts, page: int, number: int) -> int:
    """Let the fault happen to a page of the arena; what `loop.happen` says of it."""
    shared = arena.locate(page)
    event = arena.table.events[number]
    process = arena.world.processes[shared.members[event.process]]
    address = shared.base + page - first_page(shared)
    area = next(iter(process.space.within(address, address + 1)))
    bounds = area.start - shared.base, area.end - shared.base
    assert isinstance(event, Access | Populate)
    ahead = Pass(arena.world, shared, event, bounds, area.readahead)
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
    shared = ahead.shared
    first = first_page(shared)
    start, end = ahead.window(shared.base + page - first)
    event = ahead.event
    if ahead.alone:
        alone = event._replace(facts=event.facts._replace(readahead=False))
        return arena.happen(page, arena.table.number(alone))
    moment = int(arena.v[memory.MOMENT])
    arena.v[memory.MOMENT] += 1
    before = int(arena.column[page])
    process = arena.world.processes[shared.members[event.process]]
    for address in range(shared.base + start, shared.base + end):
        holder = shared if shared.base <= address < shared.end else process.shared_at(address)
        other, member = first_page(holder) + address - holder.base, event.process
        if holder is not shared:  # of a region that touches
            member = holder.members.index(process.name)
        reading = SwapIn(member, event.facts, readahead=other != page)
        why = arena.happen(other, arena.table.number(reading))
        if why:
            return why
    if not arena.world.follows(Rule.READS_AHEAD_UNDRAINED):
        lru_add_drain(arena.memory())
    reading = SwapIn(event.process, event.facts, readahead=False)
    return map_read(arena, page, number, before, arena.table.number(reading), moment)


def map_read(arena: Parts, page: int, number: int, before: int, reading: int, moment: int) -> int:
    """The fault goes on with the folio that it has read, and counts as the one event that it is."""
    shared = arena.shared_regions.index(arena.locate(page))
    read, full = int(arena.column[page]), at_hand(arena.memory(), number)
    finding = found_by(arena, page, number)
    found = at_hand(arena.memory(), finding)
    why = arena.happen(page, finding)
    if read == before:
        return why
    start = next(
        (at for at in starts(arena, full, before, read) if fits(arena, full, at, page)), None
    )
    if start is None:
        return why
    taken = arena.table.arrays["taken"]
    places = [(shared, r, at) for at in (before, start) for r in (reading, reading + 1)]
    place = next((place for place in places if taken[place]), None)
    if place is not None:
        untake(arena, place)
        untake(arena, (shared, found, read))
        retake(arena, (shared, full, start), page, moment)
    return why


def found_by(arena: Parts, page: int, number: int) -> int:
    """The event that a fault is from then on, when it finds in the swap cache what it has read."""
    event = arena.table.events[number]
    assert isinstance(event, Access | Populate)
    if not waits(arena, page, event.process):
        return number
    return arena.table.number(event._replace(facts=event.facts._replace(found_waiting=True)))


def waits(arena: Parts, page: int, process: int) -> bool:
    """Whether a folio in the swap cache waits in the batch of new ones when a fault finds it.

    Without a memory limit batches are not followed: it does, as in a fault that is one event."""
    if not arena.world.follows(Rule.READS_AHEAD_UNDRAINED):
        return False
    column = arena.world.table.columns[arena.column[page]]
    pte = column.maps[process].pte
    if not isinstance(pte, SwapPte):
        return False
    found = [f for f, each in enumerate(column.folios) if each.slot == pte.slot]
    if not found:
        return False
    node = int(arena.v[memory.BASE] + page * arena.v[memory.WIDTH]) + found[0]
    return not arena.v[memory.TRACKED] or place_in(arena.memory(), LRU_ADD, node) >= 0


def starts(arena: Parts, full: int, before: int, read: int) -> Iterator[int]:
    """The columns that the fault may be said to have begun with: the one that it found, or where
    reclaim took another process's page of it meanwhile, that which was read but not yet read."""
    yield before
    table = arena.world.table
    column, event = table.columns[read], arena.table.events[full]
    assert isinstance(event, Access | Populate)
    pte = column.maps[event.process].pte
    if isinstance(pte, SwapPte) and any(folio.slot == pte.slot for folio in column.folios):
        yield known(arena, full, table.intern(unread(column, pte.slot)))


def unread(column: Column, slot: int) -> Column:
    """The column without the folio that the swap cache holds for a slot."""
    data = next(folio.data for folio in column.folios if folio.slot == slot)
    folios = [f._replace(slot=None) if f.slot == slot else f for f in column.folios]
    slots = list(column.slots)
    slots[slot] = SwapSlot(data)
    return canonical(column.maps, folios, slots, column.pins)


def known(arena: Parts, event: int, column: int) -> int:
    """The column, whose transition the tables have."""
    arena.v[memory.ASKED : memory.ASKED + 2] = event, column
    arena.fill()
    return column


def fits(arena: Parts, full: int, start: int, page: int) -> bool:
    """Whether the fault as one event leads from a column to that of the page."""
    row = arena.world.table.row(arena.table.events[full], start)
    return bool(row.new == arena.column[page])


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
