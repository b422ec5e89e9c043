"""Counts along the way: what `--checkpoints` shows of each long step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from itertools import pairwise
from typing import Final, NamedTuple

from rich.console import RenderableType

from swaptrace.report.layout import FirstFit, TextTable, spaced, words
from swaptrace.result.changes import used
from swaptrace.result.result import Checkpoint, ScenarioResult

BLOCKS: Final = "▁▂▃▄▅▆▇█"


class LongStep(NamedTuple):
    """An `access` or `trace` step that was executed, with its checkpoints by policy; `times` over
    where iterations of a `repeat` stand for each other."""

    step: str
    line: int
    op: str
    points: Mapping[str, Sequence[Checkpoint]]
    times: int

    @property
    def title(self) -> str:
        times = f", {self.times} times" if self.times > 1 else ""
        return f"{self.step}: {self.op} of line {self.line}{times}"

    @property
    def counters(self) -> list[str]:
        """Those that are not 0 everywhere."""
        return list(used(point.counters for points in self.points.values() for point in points))


def long_steps(scenario: ScenarioResult) -> list[LongStep]:
    """In the order of execution."""
    found: dict[str, dict[str, list[Checkpoint]]] = {}
    for policy, result in scenario.policies.items():
        for point in result.checkpoints or ():
            found.setdefault(point.step, {}).setdefault(policy, []).append(point)
    steps = []
    for step, points in found.items():
        first = next(iter(points.values()))[0]
        steps.append(LongStep(step, first.line, first.op, points, first.times))
    return steps


def increments(points: Sequence[Checkpoint], counter: str) -> list[int]:
    """What each part counts by itself."""
    counts = [0, *(point.counters.get(counter, 0) for point in points)]
    return [after - before for before, after in pairwise(counts)]


def sparkline(values: Sequence[int]) -> str:
    """A block for each value, as high as it is beside the largest; nothing at all is the lowest."""
    most = max(values, default=0) or 1
    return "".join(BLOCKS[-(-value * (len(BLOCKS) - 1) // most)] for value in values)


def checkpoint_report(scenario: ScenarioResult) -> Iterator[RenderableType]:
    """Of each long step the counts so far at each checkpoint, and how they came about."""
    for step in long_steps(scenario):
        yield ""
        yield words(step.title, "bold")
        yield counts_so_far(step)
        yield ""
        yield TextTable(["policy", "counter", "in each part"], 3, courses(step))
        yield from of_generations(step)


def counts_so_far(step: LongStep) -> FirstFit:
    """A row for each policy and checkpoint; or a little table for each."""
    counters = step.counters
    points = [(policy, point) for policy, of in step.points.items() for point in of]
    rows = [
        [policy, str(point.accesses), *(str(point.counters.get(c, 0)) for c in counters)]
        for policy, point in points
    ]
    return FirstFit(
        lambda: [TextTable(["policy", "accesses", *counters], 1, rows)],
        lambda: spaced(
            [
                words(f"{policy}, after {point.accesses}"),
                TextTable((), 1, ([c, str(point.counters.get(c, 0))] for c in counters), indent=2),
            ]
            for policy, point in points
        ),
    )


def of_generations(step: LongStep) -> Iterator[RenderableType]:
    """The generations at each checkpoint, and the tiers, where the LRU has them."""
    points = [
        ([policy, str(point.accesses)], point.lru_gen)
        for policy, of in step.points.items()
        for point in of
        if point.lru_gen is not None
    ]
    for names, rows in (
        (
            ["generation", "anon", "lazyfree"],
            [[*at, *map(str, astuple(each))] for at, lru in points for each in lru.generations],
        ),
        (
            ["type", "tier", "refaulted", "evicted", "protected"],
            [[*at, *map(str, astuple(each))] for at, lru in points for each in lru.tiers],
        ),
    ):
        if rows:
            yield ""
            yield TextTable(["policy", "accesses", *names], 1, rows)


def courses(step: LongStep) -> Iterator[list[str]]:
    """A sparkline for each policy and counter."""
    for policy, points in step.points.items():
        for counter in step.counters:
            yield [policy, counter, sparkline(increments(points, counter))]
