"""Verifying scenarios in a place: compile, let them run there, compare with the model."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

from swaptrace import policies
from swaptrace.exitcodes import ExitCode
from swaptrace.kernels import modelled, policy_of
from swaptrace.mm.policy import Policy
from swaptrace.replay.table import Table
from swaptrace.scenario.schema import Scenario
from swaptrace.verify.build import Compiler
from swaptrace.verify.compare import verify_one
from swaptrace.verify.emit import emit_c
from swaptrace.verify.fitting import Unfit, check_runnable
from swaptrace.verify.observed import Facts, Observed, parse
from swaptrace.verify.place import Job, Outcome, Place
from swaptrace.verify.records import check_traces
from swaptrace.verify.verdict import Run, Verdict

AUTO: Final = "auto"
"""The policy that the kernel has by its version."""

AHEAD: Final = 2
"""How many scenarios are compiled at a time, ahead of the one that runs."""

Begin = Callable[[str, str], None]
"""Told of the scenario and the place whose turn it is."""


class Judged(NamedTuple):
    """A scenario, what its run came to, and what was observed, if anything was."""

    scenario: Scenario
    verdict: Verdict
    observed: Observed | None = None


@dataclass
class Verifier:
    """How scenarios are verified; tables are kept from one to the next.

    `policy` is a name, or `auto`; `defines` are for one in C; `timeout` is for one scenario, in
    seconds.
    """

    compiler: Compiler
    directory: Path
    policy: str = AUTO
    timeout: float = 60.0
    begin: Begin = lambda _scenario, _place: None
    defines: tuple[str, ...] = ()
    tables: dict[str, Table] = field(default_factory=dict)
    built: int = 0

    def run(self, scenarios: Iterable[Scenario], place: Place) -> list[Judged]:
        """Every scenario on one kernel, in order.

        The counters of /proc/vmstat are those of the whole machine, where others may swap as
        well. So what differs is run again, and counts only if it differs again; what does not
        agrees, and its reason says that it did so only when it was repeated.

        Raises `SwaptraceError` where nothing can be run or compiled at all.
        """
        judged = list(self.each(scenarios, place))
        again = [i for i, each in enumerate(judged) if each.verdict.first_difference is not None]
        if again:
            repeated = list(self.each([judged[i].scenario for i in again], place))
            for i, second in zip(again, repeated, strict=True):
                judged[i] = _confirmed(judged[i], second)
        return judged

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
        with ThreadPoolExecutor(AHEAD) as pool:
            building: deque[tuple[Scenario, Future[Job]]] = deque()
            for scenario in scenarios:
                reason = _refusal(scenario)
                pending.append((scenario, reason))
                if reason is None:
                    self.built += 1
                    job = pool.submit(self.job, scenario, f"scenario-{self.built}")
                    building.append((scenario, job))
                if len(building) > AHEAD:
                    yield self.next_built(building, place)
            while building:
                yield self.next_built(building, place)

    def next_built(self, building: deque[tuple[Scenario, Future[Job]]], place: Place) -> Job:
        """The job whose turn it is."""
        scenario, job = building.popleft()
        self.begin(scenario.name, place.title)
        return job.result()

    def job(self, scenario: Scenario, name: str) -> Job:
        """Compile a scenario."""
        binary = self.compiler.build(emit_c(scenario), self.directory, name)
        swap = scenario.machine.swap
        return Job(name, binary, swap.backend, swap.size, swap.page_cluster, self.timeout)

    def judge(self, scenario: Scenario, outcome: Outcome) -> Judged:
        """What an outcome comes to."""
        if outcome.skipped is not None:
            return Judged(scenario, _skipped(scenario, outcome.skipped))
        if outcome.failed is not None and "\n" not in outcome.stdout:
            verdict = Verdict(scenario.name, scenario.file, None, "differs", outcome.failed)
            return Judged(scenario, verdict)
        observed = parse(outcome.stdout)
        if outcome.failed is not None:
            observed = replace(observed, failed=outcome.failed)
        verdict = verify_one(scenario, self.table(observed.facts), observed)
        return Judged(scenario, verdict, observed)

    def table(self, facts: Facts) -> Table:
        """That of the policy which the kernel is held against."""
        return self.named(
            policy_of(modelled(facts.version)) if self.policy == AUTO else self.policy
        )

    def named(self, name: str) -> Table:
        """That of a policy."""
        if name not in self.tables:
            self.tables[name] = Table(policies.from_argument(name, self.defines))
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
        yield Judged(scenario, _skipped(scenario, reason))


def _skipped(scenario: Scenario, reason: str) -> Verdict:
    return Verdict(scenario.name, scenario.file, None, "skipped", reason)


def _confirmed(first: Judged, second: Judged) -> Judged:
    """The second run decides; where it agrees, it says what the first one showed."""
    difference = first.verdict.first_difference
    if second.verdict.status != "agrees" or difference is None:
        return second
    reason = f"differed at step {difference.step} at first, but not when it was repeated"
    return second._replace(verdict=replace(second.verdict, reason=reason))


def summary(place: Place, judged: Sequence[Judged]) -> Run:
    """The verdicts, and the kernel that the programs found."""
    kernels = (each.observed.facts.release for each in judged if each.observed is not None)
    return Run(place.title, next(kernels, None), tuple(each.verdict for each in judged))


def exit_code(runs: Sequence[Run]) -> ExitCode:
    """0: none differs; 1: one does; 4, as in kselftest: all were skipped."""
    statuses = {verdict.status for run in runs for verdict in run.verdicts}
    if "differs" in statuses:
        return ExitCode.FAILED
    return ExitCode.SKIPPED if statuses == {"skipped"} else ExitCode.OK


def check_policy(name: str, defines: tuple[str, ...]) -> list[Policy]:
    """The policy that is named, if one is.

    Raises `SwaptraceError` now, not after the first scenario has run.
    """
    return [] if name == AUTO else [policies.from_argument(name, defines)]
