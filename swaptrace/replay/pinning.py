"""Pins: references to the pages of a range, as a driver or a pipe takes them (mm/gup.c)."""

from __future__ import annotations

from swaptrace.mm.event import Unpin
from swaptrace.replay.call import Call, Errno, begin, populate
from swaptrace.replay.family import Process
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.schema import Pin
from swaptrace.scenario.schema import Unpin as UnpinStep


def pin(world: World, tally: Tally, process: Process, step: Pin) -> Errno:
    """io_pin_pages() with FOLL_WRITE | FOLL_LONGTERM, or vmsplice() with FOLL_GET: all of the
    range, or none of it after a hole or a VMA that does not permit it was found (EFAULT)."""
    call = begin(world, tally, process, step.region, step.span)
    if not step.span.length and step.mode == "longterm":
        return "EFAULT"  # io_buffer_validate()
    write, end = step.mode == "longterm", call.start
    for start, stop, area in list(call.space.clipped(call.start, call.end)):
        if start > end or not area.vma.allows(write):
            break
        end = stop
    for start, stop, _ in list(call.space.clipped(call.start, end)):
        populate(call, start, stop, write=write, tried=True, pin=True)
    if end == call.end:
        return None
    call.send(call.start, end, Unpin(0, world.facts))
    return "EFAULT"


def unpin(world: World, tally: Tally, process: Process, step: UnpinStep) -> None:
    """Give back all that the process holds of the region."""
    family = process.regions[step.region]
    call = Call(world, tally, process, family.base, family.end)
    call.send(call.start, call.end, Unpin(0, world.facts))
