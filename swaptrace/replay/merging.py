"""KSM for a whole process (mm/ksm.c, kernel/sys.c)."""

from __future__ import annotations

from swaptrace.errors import NotModelled
from swaptrace.features import Feature, has_model
from swaptrace.kernels import Rule
from swaptrace.mm.event import Unmerge
from swaptrace.replay.call import Call, whole
from swaptrace.replay.processes import Process
from swaptrace.replay.space import VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.schema import MemoryMergeStep
from swaptrace.vmflags import NO_FLAGS, VmFlag


def memory_merge(world: World, tally: Tally, process: Process, step: MemoryMergeStep) -> None:
    """ksm_enable_merge_any() and ksm_disable_merge_any()."""
    if not has_model(world.machine.kernel, Feature.MEMORY_MERGE):
        raise NotModelled(Feature.MEMORY_MERGE.condition)
    if process.merges == step.on:
        return
    process.merges = step.on
    if step.on:
        ksm_enter(world, process)
        process.space.update(
            lambda area: area._replace(flags=area.flags | new_flags(process, area))
        )
    else:
        ksm_del_vmas(whole(world, tally, process))


def ksm_enter(world: World, process: Process) -> None:
    """__ksm_enter(): ksmd looks at the process after all others."""
    if process.name not in world.mergeable:
        world.mergeable.append(process.name)


def new_flags(process: Process, area: VmArea) -> VmFlag:
    """ksm_add_vma(): what a VMA of the process gets."""
    fits = not (area.vma.shared or area.vma.hugetlb)  # vma_ksm_compatible()
    return VmFlag.MERGEABLE if process.merges and fits else NO_FLAGS


def check_alone(process: Process, area: VmArea, merged: VmArea) -> None:
    """Raise where it depends on the kernel whether a new mapping merges with a neighbour."""
    if process.merges and (area.start, area.end) != (merged.start, merged.end):
        raise NotModelled("regions that touch are not modelled with memory_merge")


def ksm_del_vmas(call: Call) -> None:
    """Every page that was merged is the process's own again."""
    unshare = call.world.follows(Rule.UNSHARES_KSM)
    for start, end, area in list(call.space.clipped(call.start, call.end)):
        if VmFlag.MERGEABLE in area.flags:
            call.send(start, end, Unmerge(0, call.world.facts, unshare))
    call.space.update(lambda area: area._replace(flags=area.flags & ~VmFlag.MERGEABLE))
