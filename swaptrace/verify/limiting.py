"""Which scenarios with a memory limit a kernel can be compared with.

What a kernel keeps for the processes of a cgroup is charged beside their pages. A program has all
of it before its first page, and the limit is that much higher; so nothing may change it later.
"""

from __future__ import annotations

from typing import Final

from swaptrace.backends import BACKENDS
from swaptrace.errors import SwaptraceError
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.schema import ForkStep, MmapStep, MunmapStep, RepeatStep, Scenario
from swaptrace.verify.leaves import written
from swaptrace.verify.needs import needs
from swaptrace.verify.observed import KernelFacts

SWAPPINESS: Final = 60
"""That of the model, and of a kernel where nobody says (vm_swappiness)."""

ALL_OF_MGLRU: Final = 7
"""LRU_GEN_CORE, LRU_GEN_MM_WALK and LRU_GEN_NONLEAF_YOUNG, as in lru_gen/enabled."""

OLDEST: Final = (6, 12)
NEWEST: Final = (7, 2)
"""The kernels whose classic lists are those of the model. 6.12, 6.16, 6.18 and 7.2 were seen to be;
6.1, which has smaller batches, and 7.3 were seen not to be."""

LRU_GEN: Final = "/sys/kernel/mm/lru_gen/enabled"


class Unfit(SwaptraceError):
    """A scenario that a kernel cannot be compared with; the text is the reason."""


def check_limit(scenario: Scenario) -> None:
    """Raise `Unfit` for a memory limit under which no program can be compared."""
    machine = scenario.machine
    if machine.memory is None:
        return
    if machine.reclaim == "lru":
        raise Unfit("it wants reclaim: lru, which no kernel has")
    if not BACKENDS[machine.swap.backend].synchronous_io:
        raise Unfit(
            f"it has a memory limit, under which a kernel's counts with swap on "
            f"{machine.swap.backend} depend on time; only zram is compared"
        )
    if needs(scenario).data_pages:
        raise Unfit("it checks data, which reads pages, and under its memory limit evicts others")
    check_kernel_memory(scenario)


def check_kernel_memory(scenario: Scenario) -> None:
    """Raise `Unfit` where page tables come or go after the first page."""
    begun = False
    for step in written(scenario.steps):
        if isinstance(step, ForkStep | MunmapStep) or (begun and isinstance(step, MmapStep)):
            raise Unfit(
                f"line {step.line}: {step.op} changes what the kernel itself needs of the memory "
                "limit; a scenario with one is compared where all mmap come first, and no fork "
                "or munmap comes"
            )
        begun = begun or not isinstance(step, MmapStep)
    if any(isinstance(step, RepeatStep) and _maps(step) for step in scenario.steps):
        raise Unfit("it repeats an mmap, and under a memory limit all of them must come first")


def _maps(step: RepeatStep) -> bool:
    return any(isinstance(inner, MmapStep) for inner in written(step.steps))


def check_lru(machine: Machine, facts: KernelFacts) -> None:
    """Raise `Unfit` where the kernel that ran reclaims in another way than the machine."""
    if machine.memory is None:
        return
    runs = "mglru" if facts.lru_gen else "classic"
    if machine.reclaim != runs:
        raise Unfit(f"it wants reclaim: {machine.reclaim}, and this kernel runs {runs} ({LRU_GEN})")
    if machine.unmodelled is not None:
        raise Unfit(str(machine.unmodelled))
    if not OLDEST <= facts.version <= NEWEST:
        raise Unfit(f"how Linux {facts.kernel} reclaims is not modelled; from 6.12 to 7.2 it is")
    if runs == "mglru" and facts.lru_gen != ALL_OF_MGLRU:
        raise Unfit(
            f"it wants all of the multi-generational LRU, {ALL_OF_MGLRU:#06x}, and this kernel has "
            f"{facts.lru_gen:#06x} on ({LRU_GEN})"
        )
    if facts.swappiness != SWAPPINESS:
        raise Unfit(f"the model has vm.swappiness {SWAPPINESS}, this kernel {facts.swappiness}")
