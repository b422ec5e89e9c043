"""Locked memory (mm/mlock.c)."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import get_args

from swaptrace.replay.call import Call, Errno, begin, each_vma, populate, set_vma, whole
from swaptrace.replay.processes import Lock, Process
from swaptrace.replay.space import AddressSpace, VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.addresses import ADDRESS_LIMIT
from swaptrace.scenario.schema import (
    LockAllFlag,
    LockFlag,
    MeasureStep,
    MlockallStep,
    MlockStep,
    MmapStep,
    MunlockStep,
    RepeatStep,
    Step,
)
from swaptrace.vmflags import VmFlag


def locks(steps: Iterable[Step]) -> bool:
    """Whether a scenario locks memory."""
    return any(
        locks(step.steps)
        if isinstance(step, MeasureStep | RepeatStep)
        else isinstance(step, MlockStep | MlockallStep)
        or (isinstance(step, MmapStep) and "MAP_LOCKED" in step.flags)
        for step in steps
    )


def mlock(world: World, tally: Tally, process: Process, step: MlockStep) -> Errno:
    """mlock2(), do_mlock(): lock every VMA, then populate, unless there was a hole."""
    if not set(step.flags) <= set(get_args(LockFlag)):
        return "EINVAL"
    if not can_do_mlock(world):
        return "EPERM"
    if step.span.length < 0:
        return "EINVAL" if world.machine.memlock is None else "ENOMEM"
    call = begin(world, tally, process, step.region, step.span)
    locked = call.end - call.start + locked_vm(process.space)
    if locked > lock_limit(world):
        locked -= locked_vm(process.space, call.start, call.end)
    if locked > lock_limit(world):
        return "ENOMEM"
    lock = Lock.ON_FAULT if "MLOCK_ONFAULT" in step.flags else Lock.NOW
    return apply_vma_lock_flags(call, lock) or mm_populate(call)


def can_do_mlock(world: World) -> bool:
    """Whether anything may be locked at all."""
    return world.machine.memlock != 0


def lock_limit(world: World) -> float:
    """rlimit(RLIMIT_MEMLOCK), in pages."""
    memlock = world.machine.memlock
    return inf if memlock is None else memlock // world.machine.page_size


def mlock_future_ok(world: World, process: Process, pages: int) -> bool:
    """Whether so many pages more may be locked."""
    return pages + locked_vm(process.space) <= lock_limit(world)


def locked_vm(space: AddressSpace, start: int = 0, end: int = ADDRESS_LIMIT) -> int:
    """mm->locked_vm, or count_mm_mlocked_page_nr() of a range: the pages of locked VMAs."""
    return sum(high - low for low, high, area in space.clipped(start, end) if area.vma.locked)


def munlock(world: World, tally: Tally, process: Process, step: MunlockStep) -> Errno:
    """As mlock, without populating."""
    if step.span.length < 0:
        return "EINVAL"
    call = begin(world, tally, process, step.region, step.span)
    return apply_vma_lock_flags(call, Lock.NONE)


def apply_vma_lock_flags(call: Call, lock: Lock) -> Errno:
    """Of every VMA up to the first hole, which gives ENOMEM."""
    return each_vma(call, lambda c, a, lo, hi: mlock_fixup(c, a, lo, hi, lock))


def mlock_fixup(call: Call, area: VmArea, start: int, end: int, lock: Lock) -> None:
    """VM_LOCKED and VM_LOCKONFAULT of a part of a VMA, if they are not so already."""
    vma, flags = area.vma._replace(locked=lock.locks), lock.flags_of(area.flags)
    if (vma, flags) == (area.vma, area.flags):
        return
    walks = vma != area.vma  # mlock_vma_pages_range()
    if walks:
        call.lru_add_drain()
    set_vma(call, area, start, end, vma, flags)
    if walks:
        call.lru_add_drain()


def mm_populate(call: Call) -> Errno:
    """__mm_populate(): write faults where the VMA is writable, else read faults."""
    for start, end, area in list(call.space.clipped(call.start, call.end)):
        if not populate_vma_page_range(call, area, start, end):
            return "ENOMEM"  # what __mlock_posix_error_return() makes of EFAULT
    return None


def populate_vma_page_range(call: Call, area: VmArea, start: int, end: int) -> bool:
    """Fault in a part of a VMA, unless it is locked on fault; False if something is not
    accessible."""
    if VmFlag.LOCKONFAULT in area.flags:
        return True
    if not area.vma.accessible:
        return False
    return populate(call, start, end, write=area.vma.writable and not area.vma.shared)


def mlockall(world: World, tally: Tally, process: Process, step: MlockallStep) -> Errno:
    """mlockall(): flags for new mappings (mm->def_flags), and for all that there are.

    Those for new ones are forgotten by a call without MCL_FUTURE.
    """
    now, later = "MCL_CURRENT" in step.flags, "MCL_FUTURE" in step.flags
    if not (now or later) or not set(step.flags) <= set(get_args(LockAllFlag)):
        return "EINVAL"
    total_vm = sum(area.end - area.start for area in process.space.areas)
    if not can_do_mlock(world):
        return "EPERM"
    if now and total_vm > lock_limit(world):
        return "ENOMEM"
    lock = Lock.ON_FAULT if "MCL_ONFAULT" in step.flags else Lock.NOW
    process.future = lock if later else Lock.NONE
    if now:
        call = whole(world, tally, process)
        lock_all(call, lock)
        for start, end, area in list(call.space.clipped(call.start, call.end)):
            populate_vma_page_range(call, area, start, end)  # mm_populate() ignores errors
    return None


def munlockall(world: World, tally: Tally, process: Process) -> None:
    """munlockall(): nothing is locked, and nothing will be."""
    process.future = Lock.NONE
    lock_all(whole(world, tally, process), Lock.NONE)


def lock_all(call: Call, lock: Lock) -> None:
    """apply_mlockall_flags() for the VMAs that there are."""
    at = call.start
    while (area := call.space.first_from(at)) is not None:
        start = max(area.start, at)
        mlock_fixup(call, area, start, area.end, lock)
        at = area.end
