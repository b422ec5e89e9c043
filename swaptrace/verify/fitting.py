"""Whether a scenario can be compared with a kernel, and which machine the model then is.

The model must be that of the kernel that ran, not the one that the scenario imagines. What
the scenario only has by default is replaced; what it says on purpose must be so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from swaptrace.backends import NO_SWAP
from swaptrace.kernels import Version, implied, modelled
from swaptrace.replay.modelled import unmodelled
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.schema import AccessPatternStep, MmapStep, Scenario
from swaptrace.scenario.thp import large_folios
from swaptrace.scenario.values import human
from swaptrace.verify.leaves import executed, written
from swaptrace.verify.limiting import Unfit, check_limit, check_lru
from swaptrace.verify.needs import TOO_EARLY, needs, too_early
from swaptrace.verify.observed import KernelFacts

MAX_EXECUTED: Final = 20_000
"""How many steps are executed and compared at most."""

MAX_ACCESSES: Final = 10_000_000
"""How many accesses a pattern may have: a kernel takes seconds for them."""

MAX_DATA_PAGES: Final = 1 << 16
"""How many pages a region may have of which data are checked: writes are noted for each."""

MAX_HUGE_PAGES: Final = 256
"""How many huge pages are taken from the rest of the machine for a scenario."""

TURN: Final = (1 << 47) - (1 << 44)
"""Regions lie by 2^44 higher in an emitted program than in the scenario, and those from here on at
the beginning of the address space (`moved` in runtime/map.c)."""

X86: Final = {"hw_dirty": True, "mkwrite_dirties": False}
"""What an x86 does; of other architectures the scenario's word is taken."""

SPLITTING: Final[dict[Version, int]] = {(6, 12): 117, (6, 18): 44}
"""The first stable release of a kernel that is known to have `Rule.SPLITS_LAZYFREE`."""


def check_runnable(scenario: Scenario) -> None:
    """Raise `Unfit` for what no kernel can run as an emitted program."""
    if scenario.machine.lru_batch:
        raise Unfit("it keeps the per-CPU batch (machine.lru_batch), which others fill as well")
    steps = executed(scenario.steps)
    if steps > MAX_EXECUTED:
        raise Unfit(f"it executes {steps} steps; at most {MAX_EXECUTED} are compared")
    accesses = max(
        (s.count for s in written(scenario.steps) if isinstance(s, AccessPatternStep)), default=0
    )
    if accesses > MAX_ACCESSES:
        raise Unfit(f"it has {accesses} accesses in a step; at most {MAX_ACCESSES} are compared")
    if needs(scenario).data_pages > MAX_DATA_PAGES:
        raise Unfit(f"it checks data, in a region of more than {MAX_DATA_PAGES} pages")
    if needs(scenario).scanned > MAX_DATA_PAGES:
        raise Unfit(f"it scans more than {MAX_DATA_PAGES} pages at once")
    if needs(scenario).huge_pages and scenario.machine.hugepages > MAX_HUGE_PAGES:
        raise Unfit(f"it has more than {MAX_HUGE_PAGES} huge pages (machine.hugepages)")
    early = too_early(scenario)
    if early is not None:
        raise Unfit(f"line {early.line}: {TOO_EARLY}")
    check_limit(scenario)
    for step in written(scenario.steps):
        if (
            isinstance(step, MmapStep)
            and step.at is not None
            and step.at < TURN < step.at + step.size
        ):
            raise Unfit(
                f"region {step.region} lies on both sides of {TURN:#x}: in the program what "
                "begins there comes first in the address space, and what ends there last"
            )


def features_of(machine: Machine, facts: KernelFacts) -> dict[str, Any]:
    """The features of a scenario's machine on the kernel that ran."""
    features: dict[str, Any] = dict(implied(modelled(facts.version)))
    features["per_vma_lock"] = features["per_vma_lock"] and facts.smp
    if facts.arch == "x86_64":
        features |= X86
    if large_folios(machine.thp):
        features["zswap_never_enabled"] = facts.zswap_never_enabled
        features["discards_pmd"] = discards_pmd(facts.kernel)
    return features


def discards_pmd(release: str) -> bool:
    """`Machine.discards_pmd` of a kernel, given all numbers of its version: without SPLITTING."""
    major, minor, patch = (*map(int, release.split(".")), 0, 0)[:3]
    first = SPLITTING.get((major, minor))
    return first is None or patch < first


def machine_for(scenario: Scenario, facts: KernelFacts) -> Machine:
    """The scenario's machine as it is on this kernel. Raises `Unfit` where it cannot be that."""
    machine = scenario.machine
    features = features_of(machine, facts)
    defaults = {name: getattr(Machine(), name) for name in features} | implied(machine.kernel)
    for name, value in features.items():
        wanted = getattr(machine, name)
        if wanted not in (defaults[name], value):
            raise Unfit(f"it wants {name}: {_word(wanted)}, which this kernel does not have")
    if facts.soft_dirty and not machine.soft_dirty:
        raise Unfit("it wants a kernel without soft-dirty bits")
    if facts.page_cluster != machine.swap.page_cluster:
        raise Unfit(
            f"it wants page-cluster {machine.swap.page_cluster}, this kernel's is set to "
            f"{facts.page_cluster}"
        )
    check_swap(scenario, facts)
    kernel = modelled(facts.version)
    there = replace(machine, kernel=kernel, soft_dirty=facts.soft_dirty, **features)
    check_lru(there, facts)
    found = unmodelled(there)
    if found is not None:
        raise Unfit(str(found))
    return there


def _word(value: bool) -> str:
    return str(value).lower()


def check_swap(scenario: Scenario, facts: KernelFacts) -> None:
    """The swap area must be the scenario's, or so large that the difference cannot be seen.

    It can be seen from half of the slots in use on (vm_swap_full).
    """
    wanted = scenario.machine.swap.size
    if scenario.machine.swap.backend == NO_SWAP:
        if facts.swap:
            raise Unfit("it wants a machine without swap, and a swap area is active")
        return
    if [(area.size, area.used) for area in facts.swap] == [(wanted, 0)]:
        return
    most = needs(scenario).memory
    used = sum(area.used for area in facts.swap)
    size = sum(area.size for area in facts.swap)
    if 2 * (used + most) >= size or 2 * most >= wanted:
        sizes = " and ".join(
            f"{human(area.size)}, {human(area.used)} in use" for area in facts.swap
        )
        raise Unfit(
            f"it may use half of its swap area, so it needs one of {human(wanted)} that is "
            f"empty and the only one; there is {sizes}"
        )
