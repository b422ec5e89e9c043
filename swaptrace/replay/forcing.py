"""Memory that is changed without an access of the process: by a debugger, and by migration."""

from __future__ import annotations

from swaptrace.errors import NotModelled
from swaptrace.features import Feature, has_model
from swaptrace.mm.column import FILLED
from swaptrace.mm.event import Migrate, Store
from swaptrace.replay.access import regular
from swaptrace.replay.call import Call, Errno, begin, is_aligned, populate
from swaptrace.replay.filemap import refuse
from swaptrace.replay.processes import Process
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.remote import MigrateStep, PokeStep


def poke(world: World, tally: Tally, process: Process, step: PokeStep) -> Errno:
    """mem_rw(), __access_remote_vm(): page by page, up to one that cannot be had."""
    if world.machine.memory is not None:
        raise NotModelled("poke is not modelled under a memory limit; leave machine.memory out")
    walk = regular(step.span.offset, step.span.length, 1, world.machine.page_size)
    base = process.regions[step.region].base
    call = Call(world, tally, process, base + walk.first, base + walk.end)
    store, at = store_of(world, step), call.start
    for start, end, area in list(call.space.clipped(call.start, call.end)):
        forbidden = area.vma.shared and not area.vma.writable  # check_vma_flags()
        if at < start or forbidden:
            return "EIO"
        if not populate(call, start, end, write=True, may_retry=False, store=store):
            return "EIO"
        at = end
    return "EIO" if at < call.end else None


def store_of(world: World, step: PokeStep) -> Store:
    """What is left in a page."""
    size, span = world.machine.page_size, step.span
    if step.value == 0:
        return "zero"
    if not world.keeps_bytes:
        return "fresh"
    return step.value | FILLED * (span.offset % size == span.length % size == 0)


def migrate(world: World, tally: Tally, process: Process, step: MigrateStep) -> Errno:
    """do_mbind() with MPOL_DEFAULT, which leaves VMAs as they are and passes over holes."""
    if not is_aligned(world, step.span.offset):
        return "EINVAL"
    call = begin(world, tally, process, step.region, step.span)
    if world.machine.memory is not None or world.batch is not None:
        raise NotModelled("migrate is not modelled under a memory limit, or with machine.lru_batch")
    if not has_model(world.machine.kernel, Feature.MIGRATE):
        raise NotModelled(Feature.MIGRATE.condition)
    areas = list(call.space.clipped(call.start, call.end))
    refuse([area for _, _, area in areas], "migrate")
    if not areas:
        return "EFAULT" if step.span.length else None
    call.send(call.start, call.end, Migrate(0, world.facts))  # a large folio can be of two VMAs
    return None
