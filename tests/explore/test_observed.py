"""Does a real kernel show what the explorer predicts for a page?

Every observed scenario that is made of the explorer's operations on all of one region is followed
through the explorer's graph, under each policy that was observed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from swaptrace import policies
from swaptrace.exploration.graph import Graph, Limits
from swaptrace.mm.column import ZERO
from swaptrace.replay.pagemap import flags_of
from swaptrace.scenario.schema import (
    AccessStep,
    ClearRefsStep,
    ExitStep,
    ForkStep,
    MadviseStep,
    MemsetStep,
    MlockStep,
    MmapStep,
    MprotectStep,
    MunlockStep,
    Scenario,
    Step,
)
from swaptrace.scenario.uffd import UffdWriteprotectStep
from swaptrace.verify.observed import COUNTED
from tests.effort import ALL as EVERYTHING
from tests.effort import exhaustive, part
from tests.explore.sequences import ALL, Follower
from tests.kernel.observed import Observation, observations

PROCESSES = 3

SIMPLE = {
    "mlock": MlockStep,
    "munlock": MunlockStep,
    "clear_refs": ClearRefsStep,
    "exit": ExitStep,
    "fork": ForkStep,
}


def operations(step: Step, size: int, page_size: int) -> list[str] | None:
    """The explorer's operations for a step on the whole region, one after the other; None if it is
    something else."""
    span = getattr(step, "span", None)
    if span is not None and (span.offset, span.length) != (0, size):
        return None
    match step:
        case AccessStep() if step.stride != page_size:
            return None
        case AccessStep(op="read_write"):
            return ["read", "write"]
        case AccessStep(op="write", value=0) | MemsetStep(value=0):
            return None
        case AccessStep():
            return [step.op]
        case MemsetStep():
            return ["write"]
        case MadviseStep():
            name = step.advice.name.lower()
            return [name] if name in ALL else None
        case MprotectStep(prot="r" | "rw"):
            return [f"mprotect_{step.prot}"]
        case UffdWriteprotectStep():
            return ["uffd_wp" if step.wp else "uffd_unwp"]
        case _:
            pass
    return next(([name] for name, kind in SIMPLE.items() if isinstance(step, kind)), None)


def as_operations(scenario: Scenario) -> list[list[str]] | None:
    """Those of each step but the first, which maps the only region; None if one has none."""
    first, *rest = scenario.steps
    if not isinstance(first, MmapStep) or first.prot != "rw":
        return None
    page_size = scenario.machine.page_size
    found = [operations(step, first.size, page_size) for step in rest]
    if any(each is None for each in found):
        return None
    return [each for each in found if each is not None]


def predicted(observation: Observation) -> bool:
    """Whether nothing couples its pages: no swap that fills up, and no read-ahead, which zram does
    for shared pages alone."""
    on = observation.machine
    windows = observation.backend != "zram" and on["swap"].get("page_cluster") != 0
    if on.get("kernel", "6.12") != "6.12" or windows:
        return False  # as most are: they need not be loaded
    scenario = observation.load()
    sizes = sum(step.size for step in scenario.steps if isinstance(step, MmapStep))
    if scenario.machine.swap.size < 4 * PROCESSES * sizes:
        return False
    shared = any(isinstance(step, ForkStep) for step in scenario.steps)
    alone = scenario.machine.swap.backend == "zram" and not shared
    if not alone and scenario.machine.swap.page_cluster:
        return False
    return scenario.machine.kernel == "6.12" and as_operations(scenario) is not None


@cache
def chosen() -> list[Observation]:
    return [each for each in part(observations(), 3) if predicted(each)]


@cache
def graph(policy: str, backend: str, per_vma_lock: bool) -> Graph:
    """The graph for an observation's machine, without the read-ahead that it does not do."""
    machine = next(
        each.load().machine
        for each in chosen()
        if (each.backend, each.load().machine.per_vma_lock) == (backend, per_vma_lock)
    )
    return Graph(policies.find(policy), machine, Limits(ALL, PROCESSES))


class Page(Follower):
    """A page that takes operations by name, with the names of the scenario's processes."""

    def do(self, name: str, process: str, child: str) -> dict[str, int] | None:
        """What an operation counts; None if the explorer would not try it."""
        choices = self.choices()
        if (name, process) not in choices:
            return None
        counters = self.take(choices.index((name, process)))[1]
        if name == "fork":
            self.names[self.names.index(f"c{self.born}")] = child
        return counters


def follow(observation: Observation, policy: str) -> Iterator[tuple[object, object]]:
    """What was predicted and what was seen after each step, as long as every letter is tried."""
    scenario = observation.load()
    machine = scenario.machine
    first = scenario.steps[0]
    assert isinstance(first, MmapStep)
    pages = first.size // machine.page_size
    page = Page(graph(policy, machine.swap.backend, machine.per_vma_lock))
    letters = as_operations(scenario) or []
    shown = observation.steps[0].get("pages")
    for step, names, seen in zip(scenario.steps[1:], letters, observation.steps[1:], strict=True):
        if names == ["read", "write"] and zeroes(page, step.process):
            return
        counters: dict[str, int] = {}
        for name in names:
            child = step.child if isinstance(step, ForkStep) else ""
            counted = page.do(name, step.process, child) or {}
            for counter, count in counted.items():
                counters[counter] = counters.get(counter, 0) + count
            if counted.get("sigsegv"):
                return
        shown = seen.get("pages", shown)
        state = page.state.column
        maps = {
            name: {first.region: f"{pages}{flags_of(state, number, machine.soft_dirty)}"}
            for number, name in enumerate(page.names)
        }
        each = {name: n * pages for name, n in counters.items() if name in COUNTED and n}
        yield (each, maps), (seen.get("counters", {}), shown)


def zeroes(page: Page, process: str) -> bool:
    """Whether writing back what was read would leave a page of zeroes."""
    number = page.names.index(process)
    return page.state.column.maps[number].data == ZERO


@exhaustive
def test_there_are_enough_of_them() -> None:
    """Do they cover more than a handful of scenarios, shared pages and each back end?"""
    assert len({each.scenario for each in chosen()}) > 40
    assert {each.backend for each in chosen()} == {"zram", "zswap", "disk"}
    assert any(isinstance(step, ForkStep) for each in chosen() for step in each.load().steps)


@pytest.mark.parametrize("policy", policies.SERIES)
def test_the_kernel_shows_what_is_predicted(policy: str) -> None:
    """Are the counters and the page maps those of one page, times the pages?"""
    compared = 0
    under = [each for each in chosen() if policy in each.policies]
    for observation in part(under, 5, first=policies.SERIES.index(policy)):
        for prediction, seen in follow(observation, policy):
            assert prediction == seen, observation
            compared += 1
    assert compared > (200 if EVERYTHING else 60)
