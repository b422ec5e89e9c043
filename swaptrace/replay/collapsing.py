"""MADV_COLLAPSE, 2 MiB after 2 MiB (mm/khugepaged.c, madvise_collapse())."""

from __future__ import annotations

from collections.abc import Iterable

from swaptrace.advice import Advice
from swaptrace.errors import NotModelled
from swaptrace.features import Feature, has_model
from swaptrace.kernels import Rule
from swaptrace.mm.column import ENTRY_BYTES
from swaptrace.mm.khugepaged import KhugepagedScan
from swaptrace.replay.call import Call, Errno
from swaptrace.replay.space import VmArea
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.schema import MadviseStep, Nesting, Step
from swaptrace.vmflags import VmFlag


def madvise_collapse(call: Call, area: VmArea, start: int, end: int) -> Errno:
    """A part of one VMA: the error is that of the last 2 MiB that could not be collapsed."""
    from swaptrace.replay.folios.memory import Folios  # which other machines do without

    arena = call.world.arena
    if not isinstance(arena, Folios):
        raise NotModelled(
            "MADV_COLLAPSE is modelled where large folios are, without a memory limit; give "
            "machine.thp, as {2MiB: madvise}"
        )
    check_stored(call.world.machine)
    size = call.world.machine.page_size // ENTRY_BYTES
    if not possible(area, size):
        return "EINVAL"
    first, last = -(-start // size) * size, end // size * size
    if first > last and not call.world.follows(Rule.COLLAPSES_NOTHING):
        return "EINVAL"
    errno: Errno = None
    for shared, walk, member in call.pieces(first, last):
        for scanned in arena.collapse(call.tally, shared, walk, member):
            check_errno(call, scanned)
            errno = scanned.errno or errno
            if scanned.ends:
                return errno
    return errno


def check_stored(machine: Machine) -> None:
    """Raise where zswap does not store what MADV_COLLAPSE makes."""
    if machine.swap.backend == "zswap" and not has_model(machine.kernel, Feature.LARGE_IN_ZSWAP):
        raise NotModelled(Feature.LARGE_IN_ZSWAP.condition)


def check_errno(call: Call, scanned: KhugepagedScan) -> None:
    """Raise where it is not known what is returned."""
    forbidden = scanned is KhugepagedScan.EXCEED_NONE_PTE
    if forbidden and not has_model(call.world.machine.kernel, Feature.COLLAPSE_ERRNO):
        raise NotModelled(Feature.COLLAPSE_ERRNO.condition)


def collapses(steps: Iterable[Step]) -> bool:
    """Whether a scenario has MADV_COLLAPSE."""
    return any(
        collapses(step.steps)
        if isinstance(step, Nesting)
        else isinstance(step, MadviseStep) and step.advice is Advice.COLLAPSE
        for step in steps
    )


def possible(area: VmArea, size: int) -> bool:
    """collapse_possible(): the VMA has an anon_vma, and room for 2 MiB; sysfs does not matter."""
    room = area.end // size * size - size >= area.start
    return room and area.anon_vma is not None and VmFlag.NOHUGEPAGE not in area.flags
