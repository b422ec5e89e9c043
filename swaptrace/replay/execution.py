"""Which function is the system call, or the accesses, of a step."""

from __future__ import annotations

from swaptrace.replay import mapping, syscalls
from swaptrace.replay.access import access
from swaptrace.replay.call import Errno
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.schema import (
    AccessPatternStep,
    AccessStep,
    CheckStep,
    ClearRefsStep,
    ExitStep,
    ForkStep,
    MadviseStep,
    MeasureStep,
    MemsetStep,
    MmapStep,
    MprotectStep,
    MunmapStep,
    RepeatStep,
    Step,
    TraceStep,
)


def execute(world: World, tally: Tally, step: Step) -> Errno:
    """Let the step happen to the world; the errno that the kernel gives."""
    process = world.processes[step.process]
    match step:
        case AccessStep() | MemsetStep() if not world.grows:
            access(world, tally, process, step)
        case MmapStep():
            return mapping.mmap(world, tally, process, step)
        case MadviseStep():
            return syscalls.madvise(world, tally, process, step)
        case MunmapStep():
            return syscalls.munmap(world, tally, process, step)
        case MprotectStep():
            return syscalls.mprotect(world, tally, process, step)
        case ForkStep():
            syscalls.fork(world, tally, process, step.child)
        case ExitStep():
            syscalls.exit_process(world, tally, process)
        case ClearRefsStep():
            syscalls.clear_refs(world, tally, process)
        case AccessPatternStep() | TraceStep() | CheckStep() | MeasureStep() | RepeatStep():
            raise AssertionError(f"{step.op} has a method of its own")
        case _:
            # Imported with the first of them: a command that replays a small scenario spends most
            # of its time on imports.
            from swaptrace.replay.rare import execute_rare

            return execute_rare(world, tally, process, step)
    return None
