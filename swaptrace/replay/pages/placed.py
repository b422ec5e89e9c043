"""Whether the positions of swap slots can matter."""

from __future__ import annotations

from swaptrace.advice import Effect
from swaptrace.backends import BACKENDS
from swaptrace.kernels import Rule, follows
from swaptrace.replay.pages.touched import TouchedMemory
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.schema import ForkStep, MadviseStep, Nesting, Scenario, Step


def is_placed(scenario: Scenario, machine: Machine) -> bool:
    """Whether the allocator can come to take slots back that only the swap cache holds.

    It does from 6.12 on, where more than half of the device is in use: no page has more than one
    slot for each process that maps it. On a synchronous device only a fork or MADV_WILLNEED brings
    pages into the swap cache that stay there.
    """
    if machine.swap_max is not None or not machine.swap.size:
        return False
    if not follows(machine.kernel, Rule.RECLAIMS_CACHED_SLOTS):
        return False
    if BACKENDS[machine.swap.backend].synchronous_io and not keeps_cached(scenario.steps):
        return False
    return 2 * TouchedMemory(machine.page_size).run(scenario.steps) > machine.swap.size


def keeps_cached(steps: tuple[Step, ...]) -> bool:
    """Whether a step can leave a page in the swap cache of a synchronous device."""
    return any(
        keeps_cached(step.steps)
        if isinstance(step, Nesting)
        else isinstance(step, ForkStep)
        or (isinstance(step, MadviseStep) and step.advice.effect is Effect.SWAP_IN)
        for step in steps
    )
