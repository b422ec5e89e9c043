"""Verifying scenarios in a place: compile, let them run there, compare with the model."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from swaptrace import policies
from swaptrace.errors import SwaptraceError
from swaptrace.kernels import modelled, policy_of
from swaptrace.mm.policy import Policy
from swaptrace.replay.table import Table
from swaptrace.result.verdict import KernelRun, Status, Verdict
from swaptrace.scenario.schema import Scenario
from swaptrace.terminal.exitcodes import ExitCode, foremost
from swaptrace.verify.build import Compilation, Compiler
from swaptrace.verify.compare import Stop, verify_one
from swaptrace.verify.emit import emit_c
from swaptrace.verify.fitting import check_runnable
from swaptrace.verify.limiting import Unfit
from swaptrace.verify.observed import DamagedOutput, KernelFacts, NotBegun, Observed, parse
from swaptrace.verify.place import Ending, Job, JobOutcome, Place
from swaptrace.verify.records import check_traces
from swaptrace.verify.repeat import outcome
from swaptrace.verify.signals import deferred
from swaptrace.verify.thp import files

AUTO: Final = "auto"
"""The policy that the kernel has by its version."""

AHEAD: Final = 2
"""How many scenarios are compiled at a time, ahead of the one that runs."""

Begin = Callable[[str, str], None]
"""Told of the scenario and the place whose turn it is."""


class Judged(NamedTuple):
    """A scenario, what its run came to, and what was observed, if anything was. Of one that was
    repeated `steady` says whether all runs showed the same in every step."""

    scenario: Scenario
    verdict: Verdict
    observed: Observed | None = None
    steady: bool = True


class Building(NamedTuple):
    """A scenario that is being compiled."""

    scenario: Scenario
    compilation: Compilation


@dataclass
class Verifier:
    """How scenarios are verified; tables are kept from one to the next.

    `policy` is a name, or `auto`; `defines` and `builtin` are for one in C; `timeout` is for one
    scenario, in seconds.
    """

    compiler: Compiler
    directory: Path
    policy: str = AUTO
    timeout: float = 60.0
    begin: Begin = lambda _scenario, _place: None
    defines: tuple[str, ...] = ()
    builtin: tuple[str, ...] = ()
    tables: dict[str, Table] = field(default_factory=dict)
    built: int = 0

    def run(self, scenarios: Iterable[Scenario], place: Place) -> list[Judged]:
        """Every scenario on one kernel, in order.

        Raises `SwaptraceError` where nothing can be run or compiled at all.
        """
        return self.confirmed(list(self.each(scenarios, place)), place)

    def confirmed(self, judged: Sequence[Judged], place: Place) -> list[Judged]:
        """What differs is run again until it is decided whether that was a difference."""
        found = list(judged)
        runs = {at: [each] for at, each in enumerate(judged) if _differs(each)}
        while runs:
            scenarios = [several[0].scenario for several in runs.values()]
            repeated = list(self.each(scenarios, place))
            for several, again in zip(runs.values(), repeated, strict=True):
                several.append(again)
            for at, several in [*runs.items()]:
                verdict = outcome([each.verdict for each in several])
                if verdict is not None:
                    found[at] = _decided(several, verdict)
                    del runs[at]
        return found

    def each(self, scenarios: Iterable[Scenario], place: Place) -> Generator[Judged, None, None]:
        """Every scenario as soon as it has run, once."""
        pending: deque[tuple[Scenario, str | None]] = deque()
        with closing(place.run(self.jobs(scenarios, place, pending))) as outcomes:
            for outcome in outcomes:
                yield from _refused(pending)
                scenario, _ = pending.popleft()
                for left in (self.directory / outcome.name, self.directory / f"{outcome.name}.c"):
                    left.unlink(missing_ok=True)
                yield self.judge(scenario, outcome)
        yield from _refused(pending)

    def jobs(
        self,
        scenarios: Iterable[Scenario],
        place: Place,
        pending: deque[tuple[Scenario, str | None]],
    ) -> Iterator[Job]:
        """The scenarios, compiled a little before they are asked for; and `pending` says which
        these are, and which were left out and why."""
        building: deque[Building] = deque()
        try:
            for scenario in scenarios:
                reason = _refusal(scenario)
                pending.append((scenario, reason))
                if reason is None:
                    self.begin_building(building, scenario)
                if len(building) > AHEAD:
                    yield self.next_built(building, place)
            while building:
                yield self.next_built(building, place)
        finally:
            for each in building:
                each.compilation.end()

    def begin_building(self, building: deque[Building], scenario: Scenario) -> None:
        """Let a scenario be compiled, in a process beside this one."""
        self.built += 1
        name, text = f"scenario-{self.built}", emit_c(scenario)
        with deferred():
            building.append(Building(scenario, self.compiler.begin(text, self.directory, name)))

    def next_built(self, building: deque[Building], place: Place) -> Job:
        """The job whose turn it is."""
        scenario, compilation = building[0]
        self.begin(scenario.name, place.title)
        binary = compilation.result()
        building.popleft()
        machine, swap = scenario.machine, scenario.machine.swap
        unlimited = machine.memory is None and machine.swap_max is None
        limited = None if unlimited else machine.reclaim
        wanted = swap.backend, swap.size, swap.page_cluster
        return Job(binary.name, binary, *wanted, self.timeout, limited, files(scenario))

    def judge(self, scenario: Scenario, outcome: JobOutcome) -> Judged:
        """What an outcome comes to."""
        match outcome.ending:
            case Ending.SKIPPED:
                return Judged(scenario, _without(scenario, Status.SKIPPED, outcome.reason))
            case Ending.COMPLETED:
                return self.compare(scenario, outcome.stdout, None)
            case Ending.FAILED:
                stop = Stop(Status.FAILED, outcome.reason)
                return self.compare(scenario, outcome.stdout, stop)
            case Ending.NOT_RUN:
                stop = Stop(Status.NOT_RUN, outcome.reason)
                return self.compare(scenario, outcome.stdout, stop)

    def compare(self, scenario: Scenario, stdout: str, stop: Stop | None) -> Judged:
        """What a program has printed until it came to its end or was stopped."""
        if stop is not None and "\n" not in stdout:
            return Judged(scenario, _without(scenario, *stop))
        try:
            observed = parse(stdout)
            verdict = verify_one(scenario, self.table(observed.facts), observed, stop)
        except NotBegun as error:
            return Judged(scenario, _without(scenario, *(stop or Stop(Status.NOT_RUN, str(error)))))
        except DamagedOutput as error:
            return Judged(scenario, _without(scenario, *(stop or Stop(Status.FAILED, str(error)))))
        return Judged(scenario, verdict, observed)

    def table(self, facts: KernelFacts) -> Table:
        """That of the policy which the kernel is compared with."""
        return self.named(
            policy_of(modelled(facts.version)) if self.policy == AUTO else self.policy
        )

    def named(self, name: str) -> Table:
        """That of a policy."""
        if name not in self.tables:
            self.tables[name] = Table(policies.from_argument(name, self.defines, self.builtin))
        return self.tables[name]


def _refusal(scenario: Scenario) -> str | None:
    try:
        check_runnable(scenario)
        check_traces(scenario)
    except Unfit as unfit:
        return str(unfit)
    return None


def _refused(pending: deque[tuple[Scenario, str | None]]) -> Iterator[Judged]:
    """Those at the head that were left out."""
    while pending and (reason := pending[0][1]) is not None:
        scenario, _ = pending.popleft()
        yield Judged(scenario, _without(scenario, Status.SKIPPED, reason))


def _without(scenario: Scenario, status: Status, reason: str) -> Verdict:
    """The verdict on a scenario of which nothing was observed."""
    return Verdict(scenario.name, scenario.file, None, status, reason)


def _differs(judged: Judged) -> bool:
    return judged.verdict.status is Status.DIFFERS


def _decided(runs: Sequence[Judged], verdict: Verdict) -> Judged:
    """What several runs of a scenario come to."""
    observed = [each.observed for each in runs if each.observed is not None]
    alike = all(each.steps == observed[0].steps for each in observed)
    steady = alike and len(observed) == len(runs)
    return Judged(runs[-1].scenario, verdict, observed[-1] if observed else None, steady)


def summary(place: Place, judged: Sequence[Judged]) -> KernelRun:
    """The verdicts, and the kernel that the programs found."""
    kernels = (each.observed.facts.release for each in judged if each.observed is not None)
    return KernelRun(place.title, next(kernels, None), tuple(each.verdict for each in judged))


def exit_code(runs: Sequence[KernelRun]) -> ExitCode:
    """That of all verdicts together. A kernel that differs does so whatever else was not run."""
    codes = {verdict.status.exit_code for run in runs for verdict in run.verdicts}
    if ExitCode.FAILED in codes:
        return ExitCode.FAILED
    if codes > {ExitCode.SKIPPED}:
        codes.remove(ExitCode.SKIPPED)
    return foremost(codes)


def check_policy(
    name: str, defines: tuple[str, ...], builtin: tuple[str, ...] = ()
) -> list[Policy]:
    """The policy that is named, if one is.

    Raises `SwaptraceError` now, not after the first scenario has run.
    """
    if name == AUTO:
        return []
    policy = policies.from_argument(name, defines, builtin)
    if policy.pinned:
        wrong = "the model is that of the kernel that runs; leave @VERSION out"
        raise SwaptraceError(f"--policy {policy.name}: {wrong}")
    return [policy]
