"""Model and kernel side by side, step by step."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from swaptrace.counters import MTHP
from swaptrace.errors import NotModelled, ScenarioError
from swaptrace.kernels import implied
from swaptrace.replay.engine import Replay
from swaptrace.replay.pagemap import page_maps
from swaptrace.replay.table import Table
from swaptrace.replay.tally import Tally
from swaptrace.result.verdict import Difference, ShownSide, Status, Verdict
from swaptrace.scenario.pagescan import MincoreStep, PagemapScanStep
from swaptrace.scenario.remap import MremapStep
from swaptrace.scenario.schema import MmapStep, Scenario, Step
from swaptrace.scenario.source import SourceMark, SourceText
from swaptrace.scenario.thp import large_folios
from swaptrace.verify.fitting import machine_for
from swaptrace.verify.leaves import executed, leaves
from swaptrace.verify.limiting import Unfit
from swaptrace.verify.observed import DamagedOutput, Observed, ObservedStep, PageMaps

NEVER: Final = 1 << 62
"""Folios that no reclaim writes."""


class Beside(Replay):
    """A replay whose errnos are compared with the kernel's, not with what the scenario says; like
    in the program that is compared, a process that reclaims is never switched from (mglru), and
    when a step begins nothing is charged in advance."""

    def __init__(self, scenario: Scenario, table: Table) -> None:
        super().__init__(scenario, table, observe=self.seen)
        if self.world.arena is not None:
            self.world.arena.switch_after(NEVER)
        self.errno: str | None = None
        self.tally = Tally()

    def check_errno(self, step: Step, errno: str | None) -> None:
        if isinstance(step, MmapStep | MremapStep):  # later steps are of what is there then
            super().check_errno(step, errno)
        self.errno = errno

    def seen(self, path: str, step: Step, tally: Tally) -> None:  # noqa: ARG002
        self.tally = tally

    def show(self, path: str, step: Step, counted: frozenset[str]) -> ObservedStep:
        """Replay one leaf step; what a kernel that counts this much shows of it."""
        self.errno = None  # of a step that is no system call
        if self.world.arena is not None:
            self.world.arena.drain_stock()
        self.leaf(step, path, None, self.record)
        counters = {name: n for name, n in self.tally.counters().items() if name in counted}
        asked = isinstance(step, PagemapScanStep | MincoreStep)
        scanned = asked and self.world.processes[step.process].scanned
        scan = str(scanned) if scanned else ""
        return ObservedStep(path, self.errno, counters, page_maps(self.world), scan=scan)


class Stop(NamedTuple):
    """Why a program did not end by itself: it failed, or it was not run to its end."""

    status: Literal[Status.FAILED, Status.NOT_RUN]
    reason: str


def verify_one(
    scenario: Scenario, table: Table, observed: Observed, stop: Stop | None = None
) -> Verdict:
    """Whether the kernel did in every step what the model does under the policy of the table."""
    verdict = Verdict(
        scenario.name,
        scenario.file,
        table.policy.name,
        Status.AGREES,
        elsewhere=observed.elsewhere,
    )
    if observed.failed is not None:
        stop = Stop(Status.FAILED, observed.failed)
    try:
        machine = machine_for(scenario, observed.facts)
        # Whatever kernel a policy is of, the model is that of the kernel that ran.
        here = SourceMark(SourceText(scenario.file, scenario.text), 1, 1)
        said = dict.fromkeys(("kernel", *implied(machine.kernel)), here) | dict(scenario.said)
        there = replace(scenario, machine=machine, said=said)
    except (Unfit, NotModelled) as unfit:
        if stop is not None and stop.status is Status.FAILED:
            return replace(verdict, status=stop.status, reason=stop.reason)
        return replace(verdict, status=Status.SKIPPED, reason=str(unfit))
    try:
        difference = first_difference(there, table, observed)
    except ScenarioError as error:  # what is not modelled on this machine
        return replace(verdict, status=Status.SKIPPED, reason=error.problems[0].message)
    status, reason = _outcome(there, observed, stop, difference)
    return replace(verdict, status=status, reason=reason, first_difference=difference)


def _outcome(
    scenario: Scenario, observed: Observed, stop: Stop | None, difference: Difference | None
) -> tuple[Status, str | None]:
    """The status and its reason: a failure goes before a difference, that before a stop."""
    reason = observed.skipped if stop is None else stop.reason
    if stop is not None and stop.status is Status.FAILED:
        return stop.status, reason
    if difference is not None:
        return Status.DIFFERS, reason
    if stop is not None:
        return stop.status, reason
    if observed.skipped is not None:
        return Status.SKIPPED, reason
    wanted = executed(scenario.steps)
    if len(observed.steps) != wanted:
        return Status.FAILED, f"the program ended after {len(observed.steps)} of {wanted} steps"
    return Status.AGREES, None


def first_difference(scenario: Scenario, table: Table, observed: Observed) -> Difference | None:
    """The first step, of those that the kernel executed, after which the two differ."""
    replay = Beside(scenario, table)
    left_out = () if large_folios(scenario.machine.thp) else MTHP
    counted = observed.facts.counted.difference(left_out)
    for (path, step), shown in zip(leaves(scenario.steps), observed.steps, strict=False):
        if shown.step != path:
            raise DamagedOutput(f"the program's output is damaged: step {shown.step} for {path}")
        kernel = _without(shown, left_out)
        model = replay.show(path, step, counted)
        if model != kernel:
            sides = _side(model, kernel), _side(kernel, model)
            return Difference(path, step.line, step.process, step.op, *sides)
    return None


def _without(shown: ObservedStep, left_out: Container[str]) -> ObservedStep:
    """Without what is counted for the whole machine and no concern of the scenario's."""
    counters = {name: value for name, value in shown.counters.items() if name not in left_out}
    return replace(shown, counters=counters)


def _side(this: ObservedStep, other: ObservedStep) -> ShownSide:
    """What differs from the other, as it is on this side."""
    names = [*this.counters, *(name for name in other.counters if name not in this.counters)]
    counters = {
        name: this.counters.get(name, 0)
        for name in sorted(names)
        if this.counters.get(name, 0) != other.counters.get(name, 0)
    }
    scan = this.scan if this.scan != other.scan else ""
    return ShownSide(this.errno, counters, _maps(this.pages, other.pages), scan)


def _maps(this: PageMaps, other: PageMaps) -> Mapping[str, Mapping[str, str]]:
    differing = {
        process: {
            region: code
            for region, code in regions.items()
            if other.get(process, {}).get(region) != code
        }
        for process, regions in this.items()
    }
    return {process: regions for process, regions in differing.items() if regions}
