"""Verifying scenarios in a place: compile, let them run there, compare with the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from swaptrace import policies
from swaptrace.replay.table import Table
from swaptrace.scenario.schema import Scenario
from swaptrace.verify.build import Compiler
from swaptrace.verify.compare import verify_one
from swaptrace.verify.emit import emit_c
from swaptrace.verify.fitting import Unfit, check_runnable, policy_of
from swaptrace.verify.observed import Facts, Observed, parse
from swaptrace.verify.place import Job, Outcome, Place
from swaptrace.verify.verdict import Run, Verdict

AUTO: Final = "auto"
"""The policy that the kernel has by its version."""

TIMEOUT: Final = 60.0
"""Seconds for one scenario, unless the user says otherwise."""

Begin = Callable[[str, str], None]
"""Told of the scenario and the place whose turn it is."""

Watch = Callable[[Scenario, Verdict, Observed], None]
"""Told of each scenario that ran, with what the kernel showed."""


@dataclass
class Verifier:
    """How scenarios are verified; tables are kept from one to the next."""

    compiler: Compiler
    directory: Path
    policy: str = AUTO
    timeout: float = TIMEOUT
    tables: dict[str, Table] = field(default_factory=dict)

    def run(
        self,
        scenarios: Sequence[Scenario],
        place: Place,
        begin: Begin = lambda _scenario, _place: None,
        watch: Watch = lambda _scenario, _verdict, _observed: None,
    ) -> Run:
        """Every scenario on one kernel, in order.

        Raises `SwaptraceError` where nothing can be run or compiled at all.
        """
        refused = {i: reason for i, s in enumerate(scenarios) if (reason := _refusal(s))}
        wanted = [i for i in range(len(scenarios)) if i not in refused]
        outcomes = iter(place.run(self.jobs(scenarios, wanted, place, begin)) if wanted else ())
        kernel = None
        verdicts: list[Verdict] = []
        for index, scenario in enumerate(scenarios):
            if index in refused:
                verdicts.append(_skipped(scenario, refused[index]))
                continue
            outcome = next(outcomes)
            verdict, observed = self.judge(scenario, outcome)
            verdicts.append(verdict)
            if observed is not None:
                kernel = observed.facts.release
                watch(scenario, verdict, observed)
        for _ in outcomes:  # let the place put everything back
            raise AssertionError("more outcomes than jobs")
        return Run(place.title, kernel, tuple(verdicts))

    def jobs(
        self, scenarios: Sequence[Scenario], wanted: Sequence[int], place: Place, begin: Begin
    ) -> Iterator[Job]:
        """The compiled scenarios, each when it is asked for."""
        for index in wanted:
            scenario = scenarios[index]
            begin(scenario.name, place.title)
            name = f"scenario-{index}"
            binary = self.compiler.build(emit_c(scenario), self.directory, name)
            swap = scenario.machine.swap
            yield Job(name, binary, swap.backend, swap.size, swap.page_cluster, self.timeout)

    def judge(self, scenario: Scenario, outcome: Outcome) -> tuple[Verdict, Observed | None]:
        """What an outcome comes to, and what was observed, if anything was."""
        if outcome.skipped is not None:
            return _skipped(scenario, outcome.skipped), None
        if outcome.failed is not None and "\n" not in outcome.stdout:
            verdict = Verdict(scenario.name, scenario.file, None, "differs", outcome.failed)
            return verdict, None
        observed = parse(outcome.stdout)
        if outcome.failed is not None:
            observed = replace(observed, failed=outcome.failed)
        return verify_one(scenario, self.table(observed.facts), observed), observed

    def table(self, facts: Facts) -> Table:
        """That of the policy which the kernel is held against."""
        name = policy_of(facts) if self.policy == AUTO else self.policy
        if name not in self.tables:
            self.tables[name] = Table(policies.find(name))
        return self.tables[name]


def _refusal(scenario: Scenario) -> str | None:
    try:
        check_runnable(scenario)
    except Unfit as unfit:
        return str(unfit)
    return None


def _skipped(scenario: Scenario, reason: str) -> Verdict:
    return Verdict(scenario.name, scenario.file, None, "skipped", reason)


def exit_code(runs: Sequence[Run]) -> int:
    """0: none differs; 1: one does; 4, as in kselftest: all were skipped."""
    statuses = {verdict.status for run in runs for verdict in run.verdicts}
    if "differs" in statuses:
        return 1
    return 4 if statuses == {"skipped"} else 0


def check_policy(name: str) -> None:
    """Raise `SwaptraceError` now, not after the first scenario has run."""
    if name != AUTO:
        policies.find(name)

