"""Pins: references to the pages of a range, as a driver or a pipe takes them (mm/gup.c)."""

from __future__ import annotations

from swaptrace.errors import NotModelled
from swaptrace.kernels import Rule
from swaptrace.mm.column import Pte
from swaptrace.mm.event import Unpin
from swaptrace.replay.call import Call, Errno, begin, populate
from swaptrace.replay.pagemap import pages_of
from swaptrace.replay.processes import Process
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.schema import PinStep, UnpinStep


def pin(world: World, tally: Tally, process: Process, step: PinStep) -> Errno:
    """io_pin_pages() with FOLL_WRITE | FOLL_LONGTERM, pin_longterm_test_start() without
    FOLL_WRITE, or vmsplice() with FOLL_GET: all of the range, or none of it after a hole or a VMA
    that does not permit it was found (EFAULT)."""
    call = begin(world, tally, process, step.region, step.span)
    if not step.span.length and step.mode == "longterm":
        return "EFAULT"  # io_buffer_validate()
    write, end = step.mode == "longterm", call.start
    for start, stop, area in list(call.space.clipped(call.start, call.end)):
        if start > end or not area.vma.allows(write):
            break
        if not write and not area.vma.readable:
            raise NotModelled("a pin to read of a mapping without PROT_READ is not modelled")
        end = stop
    unshare, waits = step.mode == "longterm_read", not write or world.follows(Rule.PINS_WAIT)
    how = {"write": write, "tried": True, "pin": True, "unshare": unshare, "may_retry": waits}
    fast = gup_fast_end(call, end) if write and waits else end  # pin_user_pages() touches nothing
    for start, stop, _ in list(call.space.clipped(call.start, end)):
        middle = min(max(start, fast), stop)
        if not populate(call, start, middle, **how) or not populate(
            call, middle, stop, slow=True, **how
        ):
            break
    else:
        if end == call.end:
            return None
    call.send(call.start, end, Unpin(0, world.facts))
    return "EFAULT"


def gup_fast_end(call: Call, end: int) -> int:
    """gup_fast(): up to where page tables permit all that a pin to write needs. From there on pages
    are touched, too, which makes those dirty that MADV_FREE has left clean."""
    at = call.start
    for shared, walk, member in sorted(call.pieces(at, end), key=lambda piece: piece[0].base):
        for pages, column in pages_of(call.world, shared, walk):
            pte = column.maps[member].pte
            if not isinstance(pte, Pte) or not pte.write:
                return at
            at += pages
    return at


def unpin(world: World, tally: Tally, process: Process, step: UnpinStep) -> None:
    """Give back all that the process holds of the region."""
    shared = process.regions[step.region]
    call = Call(world, tally, process, shared.base, shared.end)
    call.send(call.start, call.end, Unpin(0, world.facts))
