"""Expectations and checks of a policy that does not exist: an error, since nobody would look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from swaptrace.errors import InputErrors, Problem, ScenarioError, did_you_mean, quote
from swaptrace.mm.policy import Policy
from swaptrace.scenario.schema import Scenario
from swaptrace.scenario.source import MAX_REPORTED

OPTION = "--policies"


def check_all(scenarios: Sequence[Scenario], given: Sequence[Policy]) -> None:
    """Raise `InputErrors` where a scenario expects or checks something of a policy that does not
    exist and that is not among those given."""
    wrong = [error for each in scenarios if (error := unknown(each, given)) is not None]
    if wrong:
        raise InputErrors(wrong)


def unknown(
    scenario: Scenario, given: Sequence[Policy], option: str = OPTION
) -> ScenarioError | None:
    """The error of one scenario, if there is one; `option` is how policies are given."""
    problems = list(_problems(scenario, given, option))
    return ScenarioError(problems) if problems else None


def _problems(scenario: Scenario, given: Sequence[Policy], option: str) -> Iterator[Problem]:
    from swaptrace.mm.policy import ALIASES
    from swaptrace.policies import SERIES, available

    known = {policy.name for policy in given} | set(ALIASES) | set(SERIES)
    if all(named.name in known for named in scenario.named):
        return
    known |= set(available())
    unknown = {each.name: each for each in reversed(scenario.named) if each.name not in known}
    for name, line, column, where in islice(reversed(unknown.values()), MAX_REPORTED):
        hint = f"{did_you_mean(name, known)} (one of your own is given by {option})"
        text = scenario.text[line - 1] if line <= len(scenario.text) else ""
        yield Problem(
            scenario.file, line, column, f"{where}: no policy {quote(name)}; {hint}", text
        )
    if len(unknown) > MAX_REPORTED:
        rest = len(unknown) - MAX_REPORTED
        yield Problem(scenario.file, line, column, f"{where}: … and {rest} policies more")
