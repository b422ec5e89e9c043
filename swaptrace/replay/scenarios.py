"""What the commands do, apart from reading the command line and printing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from swaptrace import __version__
from swaptrace.errors import SwaptraceError, did_you_mean, printable, quote
from swaptrace.mm.policy import Policy
from swaptrace.result.result import (
    Expectation,
    PolicyResult,
    Result,
    ScenarioResult,
    machine_mapping,
)
from swaptrace.scenario.schema import Scenario

if TYPE_CHECKING:
    from swaptrace.replay.engine import Historian, Replay
    from swaptrace.result.explanation import Explanation


class Wanted(NamedTuple):
    """What a replay is asked for besides its counters, as the keywords of `engine.replay`."""

    steps: bool = False
    pages: bool = False
    checkpoints: int = 0
    history: Callable[[Replay], Historian] | None = None


Begin = Callable[[str, str], None]
"""Told of the scenario and the policy whose replay begins."""

Along = Callable[[Scenario], Callable[[int], None]]
"""What is told, while a scenario is replayed, of each so many accesses of long sequences."""


def replay_all(
    scenarios: Sequence[Scenario],
    policies: Sequence[Policy],
    *,
    steps: bool,
    pages: bool,
    checkpoints: int = 0,
    history: bool = False,
    begin: Begin,
    along: Along | None = None,
    jobs: int = 1,
) -> Result:
    """Each scenario under each policy, in the order given, in `jobs` processes at a time.

    `along` is asked where there is one process. Raises `SwaptraceError` for scenarios that expect
    something of a policy that does not exist.
    """
    from swaptrace.replay.expecting import check_all

    check_all(scenarios, policies)
    wanted = Wanted(steps, pages, checkpoints, _historian() if history else None)
    with _replaying(scenarios, policies, wanted, jobs, along) as counted:
        return Result(
            __version__,
            tuple(
                _replay_one(scenario, policies, counted, begin, history) for scenario in scenarios
            ),
        )


def _historian() -> Callable[[Replay], Historian]:
    """Who takes down a replay; one without pictures does not need it."""
    from swaptrace.replay import telling

    return telling.StepHistorian


@contextmanager
def _replaying(
    scenarios: Sequence[Scenario],
    policies: Sequence[Policy],
    wanted: Wanted,
    jobs: int,
    along: Along | None,
) -> Iterator[Iterator[PolicyResult]]:
    """The result of each scenario under each policy, the policies of a scenario together."""
    if jobs > 1:
        from swaptrace.replay.parallel import replaying

        with replaying(scenarios, policies, wanted._asdict(), jobs) as counted:
            yield counted
        return
    from swaptrace.replay.engine import replay
    from swaptrace.replay.table import Table

    tables = [Table(policy) for policy in policies]
    yield (
        replay(scenario, table, progress=along and along(scenario), **wanted._asdict())
        for scenario in scenarios
        for table in tables
    )


def accesses_of(scenario: Scenario) -> int:
    """How many accesses long sequences make, which is how long a replay takes."""
    from swaptrace.replay.pages.sequence import accesses_in

    return accesses_in(scenario.steps, scenario)


def without_checkpoints(result: Result) -> Result:
    """The result as it would be had none been asked for."""
    return replace(
        result,
        scenarios=tuple(
            replace(
                scenario,
                policies={
                    name: replace(policy, checkpoints=None)
                    for name, policy in scenario.policies.items()
                },
            )
            for scenario in result.scenarios
        ),
    )


def _replay_one(
    scenario: Scenario,
    policies: Sequence[Policy],
    counted: Iterator[PolicyResult],
    begin: Begin,
    history: bool,
) -> ScenarioResult:
    results: dict[str, PolicyResult] = {}
    for policy in policies:
        begin(scenario.name, policy.name)
        results[policy.name] = next(counted)
    return ScenarioResult(
        name=scenario.name,
        file=scenario.file,
        machine=machine_mapping(scenario.machine),
        policies=results,
        expectations=tuple(expectations(scenario, results)),
        source=scenario.text if history else (),
    )


def explain_one(scenarios: Sequence[Scenario], policy: Policy, step: str | None) -> Explanation:
    """Why one scenario counts what it counts; `step` restricts it to one step."""
    from swaptrace.replay.explain import explain

    if len(scenarios) != 1:
        names = ", ".join(printable(scenario.name) for scenario in scenarios)
        raise SwaptraceError(f"explain takes one scenario; there are {len(scenarios)}: {names}")
    explanation = explain(scenarios[0], policy)
    if step is None:
        return explanation
    found = tuple(each for each in explanation.steps if is_within(each.step, step))
    if not found:
        hint = did_you_mean(step, [each.step for each in explanation.steps])
        raise SwaptraceError(f"no step {quote(step)} was replayed; {hint}")
    return explanation._replace(steps=found)


def is_within(path: str, step: str) -> bool:
    """Whether a step is that of a path, or within it: a window, or a `repeat` or one iteration."""
    return path == step or path.startswith((f"{step}.", f"{step}["))


def expectations(scenario: Scenario, results: Mapping[str, PolicyResult]) -> Iterator[Expectation]:
    """What the scenario expects of the policies that were replayed, and what they counted."""
    from swaptrace.mm.policy import ALIASES
    from swaptrace.result.changes import all_in

    for expected in scenario.expect:
        policy = ALIASES.get(expected.policy, expected.policy)
        if policy in results:
            actual = all_in(results[policy], expected.window).get(expected.counter, 0)
            yield Expectation(expected.window, policy, expected.counter, expected.value, actual)
