"""System calls on a range: which VMAs they change, what happens to each page, which errno.

Each takes the world, the step's tally, the process and the step, applies the effect that
the kernel's call has (in part, where it fails half-way) and returns the name of the errno,
or None for success. Ranges are page addresses, `start` to `end`.
"""

from __future__ import annotations

from typing import Final

from swaptrace.advice import Advice, Effect, On
from swaptrace.errors import NotModelled
from swaptrace.kernels import Rule, version
from swaptrace.mm.column import Vma
from swaptrace.mm.event import (
    ClearRefs,
    Cold,
    Dontneed,
    Free,
    Guard,
    Inherited,
    Mprotect,
    Pageout,
    SwapIn,
    Unmerge,
)
from swaptrace.mm.event import Fork as ForkEvent
from swaptrace.replay.access import anon_vma_prepare
from swaptrace.replay.call import Call, Errno, begin, each_vma, is_aligned, populate
from swaptrace.replay.collapsing import madvise_collapse
from swaptrace.replay.filemap import refuse, shmem_remove
from swaptrace.replay.hugetlb import splits
from swaptrace.replay.mapping import executable, leave, unmap, with_prot
from swaptrace.replay.merging import ksm_enter
from swaptrace.replay.objects import send_outside
from swaptrace.replay.processes import Lock, Process
from swaptrace.replay.space import AddressSpace, VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.schema import MadviseStep, MprotectStep, MunmapStep, Prot
from swaptrace.vmflags import VmFlag


def munmap(world: World, tally: Tally, process: Process, step: MunmapStep) -> Errno:
    """Succeeds over holes as well."""
    if not is_aligned(world, step.span.offset) or step.span.length <= 0:
        return "EINVAL"
    call = begin(world, tally, process, step.region, step.span)
    if splits(call.space, call.start, call.end):
        return "EINVAL"
    unmap(call)
    return None


def mprotect(world: World, tally: Tally, process: Process, step: MprotectStep) -> Errno:
    """do_mprotect_pkey(): VMA by VMA up to the first hole, which gives ENOMEM."""
    if not is_aligned(world, step.span.offset):
        return "EINVAL"
    if step.span.length < 0:
        return "ENOMEM"
    call = begin(world, tally, process, step.region, step.span)
    return each_vma(call, lambda c, a, lo, hi: mprotect_fixup(c, a, lo, hi, step.prot))


def mprotect_fixup(call: Call, area: VmArea, start: int, end: int, prot: Prot) -> None:
    """A new protection for a part of one VMA; the one it has already changes nothing."""
    vma, flags = with_prot(area.vma, prot), area.flags & ~VmFlag.EXEC | executable(prot)
    if (vma, flags) == (area.vma, area.flags):
        return
    account = area.account
    if vma.writable:
        account = VmFlag.NORESERVE not in flags and not vma.shared
    elif area.anon_vma is None and call.world.follows(Rule.MPROTECT_UNACCOUNTS):
        account = False
    call.modify(area, start, end, area._replace(vma=vma, account=account, flags=flags))
    event = Mprotect(0, call.world.facts, vma.readable, vma.writable)
    call.send(start, end, event)
    gained = vma.writable and not (area.vma.writable or vma.shared)
    if vma.locked and gained and VmFlag.LOCKONFAULT not in area.flags:
        # COW is broken at once, to spare the locked page the fault; nothing waits or fails.
        populate(call, start, end, write=True, may_retry=False)


def madvise(world: World, tally: Tally, process: Process, step: MadviseStep) -> Errno:
    """madvise_walk_vmas(): holes are passed over and give ENOMEM in the end. Of another process it
    is process_madvise(), which takes hints alone."""
    if not is_valid(world, process, step) or not is_aligned(world, step.span.offset):
        return "EINVAL"
    if step.span.length < 0:
        return "EINVAL"
    target = process if step.target is None else world.processes[step.target]
    if target is not process and world.machine.memory is not None:
        raise NotModelled("madvise of another process is not modelled under a memory limit")
    call = begin(world, tally, target, step.region, step.span)
    if step.advice.populates and world.follows(Rule.POPULATE_RETRIES):  # no longer VMA by VMA
        return each_populated(call, step.advice)
    if world.machine.memory is not None and step.advice.value.sets & RECENCY:
        raise NotModelled(f"{step.advice} under a memory limit is not modelled: {WHY}")
    hole, at = False, call.start
    for start, end, area in list(call.space.clipped(call.start, call.end)):
        hole = hole or at < start
        errno = madvise_vma(call, area, start, end, step.advice)
        if errno:
            return errno
        at = end
    return "ENOMEM" if hole or at < call.end else None


def is_valid(world: World, process: Process, step: MadviseStep) -> bool:
    """madvise_behavior_valid(), process_madvise_remote_valid()."""
    if step.number is not None or version(world.machine.kernel) < step.advice.since:
        return False
    own = step.target == process.name and world.follows(Rule.MADVISES_ITSELF)
    return step.target is None or own or step.advice.value.remote


def madvise_vma(call: Call, area: VmArea, start: int, end: int, advice: Advice) -> Errno:
    """madvise_vma_behavior(), for MADV_POPULATE_* madvise_populate()."""
    errno = refusal(advice, area.vma)
    if errno:
        return errno
    facts, batch = call.world.facts, call.world.batch
    if advice.effect in OF_ANONYMOUS:
        refuse([area], str(advice))
    if batch is not None and advice.effect in BEGIN_WITH_A_DRAIN:
        batch.drain()
    if batch is not None and advice.effect in UNMAPS:
        batch.zap()
    match advice.effect:
        case Effect.PAGEOUT:
            call.send(start, end, Pageout(0, facts))
        case Effect.COLD:
            cold(call, start, end)
        case Effect.ZAP:
            call.send(start, end, Dontneed(0, facts, locked=area.vma.locked))
        case Effect.GUARD_INSTALL:
            guard_install(call, area, start, end)
        case Effect.GUARD_REMOVE:
            call.send(start, end, Guard(0, facts, install=False))
        case Effect.FREE:
            call.send(start, end, Free(0, facts))
        case Effect.SWAP_IN:
            call.send(start, end, SwapIn(0, facts, readahead=False))
        case Effect.COLLAPSE:
            return madvise_collapse(call, area, start, end)
        case Effect.REMOVE:
            for shared, walk, _ in list(call.pieces(start, end)):
                shmem_remove(call.world, call.tally, shared, walk)
        case Effect.FLAGS:
            if VmFlag.MERGEABLE in advice.value.sets:
                if area.vma.shared:
                    return None  # vma_ksm_compatible()
                ksm_enter(call.world, call.process)
            madvise_update_vma(call, start, end, advice)
        case Effect.UNMERGE:
            ksm_unmerge(call, area, start, end, advice)
        case Effect.POPULATE_READ | Effect.POPULATE_WRITE:
            write = advice.effect is Effect.POPULATE_WRITE
            tried = call.world.follows(Rule.POPULATE_RETRIES)
            if not populate(call, start, end, write=write, tried=tried):
                errno = "EFAULT"
    if batch is not None and advice.effect is Effect.SWAP_IN:
        batch.drain()
    if batch is not None and advice.effect in UNMAPS:
        batch.zap()
    return errno


def ksm_unmerge(call: Call, area: VmArea, start: int, end: int, advice: Advice) -> None:
    """ksm_madvise(): where it is not mergeable, a KSM folio that another process's page became
    stays mapped."""
    if VmFlag.MERGEABLE in area.flags:
        unshare = call.world.follows(Rule.UNSHARES_KSM)
        call.send(start, end, Unmerge(0, call.world.facts, unshare))
        madvise_update_vma(call, start, end, advice)


def guard_install(call: Call, area: VmArea, start: int, end: int) -> None:
    """madvise_guard_install(), which needs an anon_vma, so that fork copies the page tables."""
    anon_vma_prepare(call.world, call.process, area)
    call.send(start, end, Guard(0, call.world.facts, install=True))


OF_ANONYMOUS: Final = (Effect.COLLAPSE, Effect.GUARD_INSTALL, Effect.GUARD_REMOVE)
"""What is not modelled of shared memory and files."""

RECENCY: Final = VmFlag.RAND_READ | VmFlag.SEQ_READ
BEGIN_WITH_A_DRAIN: Final = (Effect.PAGEOUT, Effect.COLD, Effect.FREE)
"""Advice that calls lru_add_drain() before it looks at pages."""

UNMAPS: Final = (Effect.ZAP, Effect.REMOVE)
"""Advice that unmaps pages, of whoever maps them."""

WHY: Final = "reclaim does not look at the accessed bits of such a VMA (vma_has_recency())"


def madvise_update_vma(call: Call, start: int, end: int, advice: Advice) -> None:
    """Other flags for a part of a VMA, which may have merged with what is before it."""
    area = next(iter(call.space.within(start, start + 1)))
    flags = area.flags & ~advice.value.clears | advice.value.sets
    if flags != area.flags:
        call.modify(area, start, end, area._replace(flags=flags))


def refusal(advice: Advice, vma: Vma) -> Errno:
    """The errno that a VMA is refused with, if it is."""
    return next((errno for on, errno in advice.value.refused if is_on(vma, on)), None)


def is_on(vma: Vma, on: On) -> bool:
    """Whether the VMA is of that kind (can_madv_lru_vma(), check_vma_flags() of mm/gup.c)."""
    match on:
        case On.LOCKED:
            return vma.locked
        case On.UNREADABLE:
            return not vma.readable
        case On.UNWRITABLE:
            return not vma.writable
        case On.OBJECT:
            return vma.shmem
        case On.ANONYMOUS:
            return not vma.shmem
        case On.PRIVATE:
            return not vma.shared


def cold(call: Call, start: int, end: int) -> None:
    """MADV_COLD changes nothing but the order in which a memory limit reclaims, and splits large
    folios."""
    if call.world.batch is not None:
        call.send(start, end, Cold(0, call.world.facts))
    if call.world.arena is not None:
        for shared, walk, member in call.pieces(start, end):
            call.world.arena.cold(call.tally, shared, walk, member)


def each_populated(call: Call, advice: Advice) -> Errno:
    """madvise_populate(): up to the first hole."""
    at = call.start
    for start, end, area in list(call.space.clipped(call.start, call.end)):
        if at < start:
            break
        errno = madvise_vma(call, area, start, end, advice)
        if errno:
            return errno
        at = end
    return "ENOMEM" if at < call.end else None


def clear_refs(world: World, tally: Tally, process: Process) -> None:
    """echo 4 > /proc/PID/clear_refs, of every mapping; without CONFIG_MEM_SOFT_DIRTY nothing."""
    if not world.machine.soft_dirty:
        return
    for shared in process.shared_regions():
        call = Call(world, tally, process, shared.base, shared.end)
        for start, end, _ in list(call.space.clipped(call.start, call.end)):
            call.send(start, end, ClearRefs(0, world.facts))
    process.space.update(lambda a: a._replace(vma=a.vma._replace(soft_dirty=False)))


def fork(world: World, tally: Tally, process: Process, child: str) -> None:
    """dup_mmap(): the child gets the VMAs, and page tables where something was ever written."""
    for shared in process.shared_regions():
        call = Call(world, tally, process, shared.base, shared.end)
        at = shared.base
        for start, end, area in list(call.space.clipped(shared.base, shared.end)):
            copy_range(call, at, start, copy=False)
            copy_range(call, start, end, needs_copy(area), inherited(area))
            at = end
        copy_range(call, at, shared.end, copy=False)
        event = ForkEvent(shared.member(process.name), world.facts, copy=False)
        send_outside(world, shared, event)
        shared.join(child)
    space = AddressSpace(
        tuple(child_area(world, a) for a in process.space.areas if inherited(a) != "none")
    )
    registered = {name: of for name, of in process.registered.items() if of.event_fork}
    born = Process(child, space, dict(process.regions), registered, merges=process.merges)
    world.processes[child] = born
    if process.name in world.mergeable:
        world.mergeable.append(child)


def needs_copy(area: VmArea) -> bool:
    """vma_needs_copy(): something was written, or the child has to keep what is write-protected."""
    return area.anon_vma is not None or (area.vma.uffd_wp and area.vma.uffd.event_fork)


def inherited(area: VmArea) -> Inherited:
    """What a child gets of a VMA."""
    if VmFlag.DONTCOPY in area.flags:
        return "none"
    return "wiped" if VmFlag.WIPEONFORK in area.flags else "same"


def copy_range(call: Call, start: int, end: int, copy: bool, child: Inherited = "same") -> None:
    """The child's view of a range, hole or not."""
    if start < end:
        call.send(start, end, ForkEvent(0, call.world.facts, copy, child))


def child_area(world: World, area: VmArea) -> VmArea:
    """anon_vma_fork(): an anon_vma of the child's own, in a chain with the parent's."""
    vma = area.vma._replace(locked=False)
    if not vma.uffd.event_fork:
        vma = vma.unregistered()
    flags = area.flags if vma.shared else area.flags & ~VmFlag.RESERVED
    area = area._replace(flags=Lock.NONE.flags_of(flags))
    if area.anon_vma is None or inherited(area) == "wiped":
        return area._replace(vma=vma, anon_vma=None, cloned=False)
    return area._replace(vma=vma, anon_vma=world.new_anon_vma(), cloned=True)


def exit_process(world: World, tally: Tally, process: Process) -> None:
    """The process unmaps everything and is reaped."""
    if world.batch is not None:
        world.batch.zap()
    drains = [leave(world, tally, process, shared) for shared in process.shared_regions()]
    if world.batch is not None:
        (world.batch.drain if any(drains) else world.batch.zap)()
    del world.processes[process.name]
    if process.name in world.mergeable:
        world.mergeable.remove(process.name)
