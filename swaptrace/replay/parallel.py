"""`--jobs`: replays in several processes, whose results come in the order of one.

Each process keeps the transitions that it has worked out, by policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, NamedTuple

from swaptrace.mm.policy import Policy
from swaptrace.replay.engine import replay
from swaptrace.replay.table import Table
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.schema import Scenario
from swaptrace.terminal.workers import killed, workers


class Replays(NamedTuple):
    """All that there is to replay, in order, and the keywords of `engine.replay`."""

    pairs: Sequence[tuple[Scenario, Table]]
    wanted: Mapping[str, Any]


def _one(replays: Replays, number: int) -> PolicyResult:
    return replay(*replays.pairs[number], **replays.wanted)


@contextmanager
def replaying(
    scenarios: Sequence[Scenario], policies: Sequence[Policy], wanted: Mapping[str, Any], jobs: int
) -> Iterator[Iterator[PolicyResult]]:
    """The result of each scenario under each policy, the policies of a scenario together.

    `wanted` are the keywords of `engine.replay`. The first replay in that order that fails raises
    what it raised. However it ends, no worker is left.
    """
    tables = [Table(policy) for policy in policies]
    pairs = [(scenario, table) for scenario in scenarios for table in tables]
    replays = Replays(pairs, wanted)
    with workers(max(1, min(jobs, len(pairs))), lambda: replays) as submit:
        yield _results([submit(_one, number) for number in range(len(pairs))])


def _results(futures: Sequence[Future[PolicyResult]]) -> Iterator[PolicyResult]:
    with killed():
        yield from (future.result() for future in futures)
