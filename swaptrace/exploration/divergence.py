"""Where in their C two policies part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from swaptrace.mm.policy import Policy
from swaptrace.replay.citing import RecordingPolicy, in_words
from swaptrace.replay.engine import replay
from swaptrace.replay.table import Table
from swaptrace.scenario.schema import Scenario


def first_divergence(policies: Sequence[Policy], scenario: Scenario) -> tuple[str, ...]:
    """The lines at the first decision of a replay that two policies take differently.

    Of two in C, of each the first line that the other has not, or with another outcome; of one
    beside Python, every condition that it came by. Nothing if none is in C.
    """
    if len(policies) == 2 and all(hasattr(policy, "executed") for policy in policies):
        return tuple(_executed(policies, scenario))
    if len(policies) != 2 or not any(hasattr(policy, "cite") for policy in policies):
        return ()
    one, other = policies
    asked = RecordingPolicy(one)
    replay(scenario, Table(asked))
    for method, arguments in asked.calls:
        if getattr(one, method)(*arguments) != getattr(other, method)(*arguments):
            return tuple(_cited(policies, method, arguments))
    return ()


def _executed(policies: Sequence[Policy], scenario: Scenario) -> Iterator[str]:
    """Of two trees, the first lines that are executed under one alone, or with another outcome."""
    traces = [_trace(policy, scenario) for policy in policies]
    yield from _first_apart(traces)


def _trace(policy: Any, scenario: Scenario) -> list[Any]:
    lines: list[Any] = policy.executed(lambda: replay(scenario, Table(policy)))
    return lines


def _first_apart(traces: Sequence[Sequence[Any]]) -> Iterator[str]:
    for lines in zip_longest(*traces):
        if len({line and (line.text, line.taken) for line in lines}) == 2:
            yield from (in_words(line) for line in lines if line is not None)
            return


def _cited(policies: Sequence[Policy], method: str, arguments: tuple[Any, ...]) -> Iterator[str]:
    traces = [policy.cite(method, *arguments) for policy in policies if hasattr(policy, "cite")]
    if not all(traces) or len(traces) < 2:
        conditions = (line for trace in traces for line in trace if line.taken is not None)
        yield from map(in_words, conditions)
        return
    yield from _first_apart(traces)
