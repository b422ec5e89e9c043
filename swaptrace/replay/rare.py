"""The steps that few scenarios have, and the function that each is."""

from __future__ import annotations

from swaptrace.replay import (
    forcing,
    ksm,
    locking,
    merging,
    pinning,
    remapping,
    scanning,
    userfaults,
)
from swaptrace.replay.call import Errno
from swaptrace.replay.growing import access_growing
from swaptrace.replay.incore import mincore
from swaptrace.replay.processes import Process
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.pagescan import MincoreStep, PagemapScanStep
from swaptrace.scenario.remap import MremapStep
from swaptrace.scenario.remote import MigrateStep, PokeStep
from swaptrace.scenario.schema import (
    AccessStep,
    KsmScanStep,
    MemoryMergeStep,
    MemsetStep,
    MlockallStep,
    MlockStep,
    MunlockallStep,
    MunlockStep,
    OnLocks,
    PinStep,
    RareStep,
    UnpinStep,
)
from swaptrace.scenario.uffd import (
    OnUffd,
    UffdCopyStep,
    UffdRegisterStep,
    UffdUnregisterStep,
    UffdWriteprotectStep,
    UffdZeropageStep,
)


def execute_rare(
    world: World, tally: Tally, process: Process, step: RareStep | AccessStep | MemsetStep
) -> Errno:
    """Let the step of a process happen to the world, accesses where a mapping may grow too; the
    errno that the kernel gives."""
    match step:
        case AccessStep() | MemsetStep():
            access_growing(world, tally, process, step)
        case MremapStep():
            return remapping.mremap(world, tally, process, step)
        case PagemapScanStep():
            return scanning.pagemap_scan(world, tally, process, step)
        case PokeStep():
            return forcing.poke(world, tally, process, step)
        case MigrateStep():
            return forcing.migrate(world, tally, process, step)
        case MincoreStep():
            return mincore(world, tally, process, step)
        case PinStep():
            return pinning.pin(world, tally, process, step)
        case UnpinStep():
            pinning.unpin(world, tally, process, step)
        case MemoryMergeStep():
            merging.memory_merge(world, tally, process, step)
        case KsmScanStep():
            ksm.ksm_scan(world, tally, step.zero_pages)
        case MlockStep() | MunlockStep() | MlockallStep() | MunlockallStep():
            return change_locks(world, tally, process, step)
        case _:
            return call_uffd(world, tally, process, step)
    return None


def change_locks(world: World, tally: Tally, process: Process, step: OnLocks) -> Errno:
    """The system calls that lock and unlock."""
    match step:
        case MlockStep():
            return locking.mlock(world, tally, process, step)
        case MunlockStep():
            return locking.munlock(world, tally, process, step)
        case MlockallStep():
            return locking.mlockall(world, tally, process, step)
        case MunlockallStep():
            locking.munlockall(world, tally, process)
            return None


def call_uffd(world: World, tally: Tally, process: Process, step: OnUffd) -> Errno:
    """The ioctls of a userfaultfd."""
    match step:
        case UffdWriteprotectStep():
            return userfaults.uffd_writeprotect(world, tally, process, step)
        case UffdRegisterStep():
            return userfaults.uffd_register(world, tally, process, step)
        case UffdUnregisterStep():
            return userfaults.uffd_unregister(world, tally, process, step)
        case UffdCopyStep():
            return userfaults.uffd_copy(world, tally, process, step)
        case UffdZeropageStep():
            return userfaults.uffd_zeropage(world, tally, process, step)
