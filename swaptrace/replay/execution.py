"""Which function is the system call, or the accesses, of a step."""

from __future__ import annotations

from swaptrace.replay import (
    forcing,
    ksm,
    locking,
    mapping,
    merging,
    pinning,
    remapping,
    scanning,
    syscalls,
    userfaults,
)
from swaptrace.replay.access import access
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
    AccessPatternStep,
    AccessStep,
    CheckStep,
    ClearRefsStep,
    ExitStep,
    ForkStep,
    KsmScanStep,
    MadviseStep,
    MeasureStep,
    MemoryMergeStep,
    MemsetStep,
    MlockallStep,
    MlockStep,
    MmapStep,
    MprotectStep,
    MunlockallStep,
    MunlockStep,
    MunmapStep,
    OnLocks,
    PinStep,
    RepeatStep,
    Step,
    TraceStep,
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


def execute(world: World, tally: Tally, step: Step) -> Errno:
    """Let the step happen to the world; the errno that the kernel gives."""
    process = world.processes[step.process]
    match step:
        case AccessStep() | MemsetStep():
            (access_growing if world.grows else access)(world, tally, process, step)
        case MmapStep():
            return mapping.mmap(world, tally, process, step)
        case MadviseStep():
            return syscalls.madvise(world, tally, process, step)
        case MremapStep():
            return remapping.mremap(world, tally, process, step)
        case MunmapStep():
            return syscalls.munmap(world, tally, process, step)
        case MprotectStep():
            return syscalls.mprotect(world, tally, process, step)
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
        case ForkStep():
            syscalls.fork(world, tally, process, step.child)
        case ExitStep():
            syscalls.exit_process(world, tally, process)
        case ClearRefsStep():
            syscalls.clear_refs(world, tally, process)
        case MemoryMergeStep():
            merging.memory_merge(world, tally, process, step)
        case KsmScanStep():
            ksm.ksm_scan(world, tally, step.zero_pages)
        case MlockStep() | MunlockStep() | MlockallStep() | MunlockallStep():
            return change_locks(world, tally, process, step)
        case AccessPatternStep() | TraceStep() | CheckStep() | MeasureStep() | RepeatStep():
            raise AssertionError(f"{step.op} has a method of its own")
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
