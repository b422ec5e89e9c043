"""The executed steps of a scenario, one by one, with their paths."""

from __future__ import annotations

from collections.abc import Iterator

from swaptrace.scenario.schema import MeasureStep, RepeatStep, Step


def leaves(steps: tuple[Step, ...], prefix: str = "") -> Iterator[tuple[str, Step]]:
    """Every leaf step as often as it is executed, in order; paths are those of `--steps`."""
    for index, step in enumerate(steps):
        path = f"{prefix}{index}"
        if isinstance(step, MeasureStep):
            yield from leaves(step.steps, f"{path}.")
        elif isinstance(step, RepeatStep):
            for iteration in range(step.count):
                yield from leaves(step.steps, f"{path}[{iteration}].")
        else:
            yield path, step


def executed(steps: tuple[Step, ...]) -> int:
    """How many leaf steps are executed, without executing them."""
    total = 0
    for step in steps:
        if isinstance(step, MeasureStep):
            total += executed(step.steps)
        elif isinstance(step, RepeatStep):
            total += step.count * executed(step.steps)
        else:
            total += 1
    return total


def written(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Every leaf step once, as it stands in the file."""
    for step in steps:
        if isinstance(step, (MeasureStep, RepeatStep)):
            yield from written(step.steps)
        else:
            yield step
