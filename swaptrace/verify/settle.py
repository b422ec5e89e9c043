"""From steps without errnos to a scenario that a file can hold, and that loads again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from swaptrace.errors import NotModelled, ScenarioError
from swaptrace.replay.table import Table
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import MeasureStep, RepeatStep, Scenario, Step
from swaptrace.verify.compare import Beside
from swaptrace.verify.dump import to_yaml
from swaptrace.verify.leaves import leaves


def settled(scenario: Scenario, table: Table, overrides: Mapping[str, str]) -> Scenario | None:
    """The scenario with the errnos that the model gives, loaded from its own text.

    A `repeat` in which a call does not always give the same is written out. None where the
    steps make no valid scenario, or one that is not modelled.
    """
    try:
        # Loading first makes sure that the model can replay it: names, ranges.
        loaded = load_text(to_yaml(scenario), scenario.name, overrides)
        errnos = _errnos(loaded, table)
        steps = tuple(_with(loaded.steps, "", errnos))
        text = to_yaml(replace(scenario, machine=loaded.machine, steps=steps))
        return load_text(text, f"{scenario.name}.yaml", overrides)
    except (ScenarioError, NotModelled):
        return None


def _errnos(scenario: Scenario, table: Table) -> dict[str, str | None]:
    """The errno of each executed step by its path."""
    replay = Beside(scenario, table)
    found = {}
    for path, step in leaves(scenario.steps):
        replay.leaf(step, path, None, replay.record)
        found[path] = replay.errno
    return found


def _with(steps: tuple[Step, ...], prefix: str, errnos: Mapping[str, str | None]) -> Iterator[Step]:
    for index, step in enumerate(steps):
        path = f"{prefix}{index}"
        if isinstance(step, MeasureStep):
            yield replace(step, steps=tuple(_with(step.steps, f"{path}.", errnos)))
        elif isinstance(step, RepeatStep):
            passes = [
                tuple(_with(step.steps, f"{path}[{number}].", errnos))
                for number in range(step.count)
            ]
            if all(inner == passes[0] for inner in passes):
                yield replace(step, steps=passes[0])
            else:
                yield from (inner for each in passes for inner in each)
        else:
            yield replace(step, errno=errnos[path])
