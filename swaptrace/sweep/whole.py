"""From the axes of a grid to its machines, and from their outcomes to the grid."""

from __future__ import annotations

from collections.abc import Sequence

from swaptrace import __version__
from swaptrace.mm.policy import Policy
from swaptrace.result.result import machine_mapping
from swaptrace.result.swept import Swept, SweptAxis, SweptCell
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.schema import Scenario
from swaptrace.sweep.axes import Axis, Share
from swaptrace.sweep.grid import Load, Measure, Point, points, unlimited
from swaptrace.sweep.running import Done


def machines_of(axes: Sequence[Axis], load: Load, measure: Measure) -> list[Point]:
    """Every machine of the grid, with the scenario on it; raises as `points`."""
    return points(axes, load, _remembered(measure))


def _remembered(measure: Measure) -> Measure:
    """The same, asked once for each machine that differs in more than its limit."""
    known: dict[Machine, int] = {}

    def ask(scenario: Scenario) -> int:
        machine = unlimited(scenario).machine
        if machine not in known:
            known[machine] = measure(scenario)
        return known[machine]

    return ask


def swept_of(
    axes: Sequence[Axis], policies: Sequence[Policy], machines: Sequence[Point], done: Done
) -> Swept:
    """The grid, of the outcomes of its cells."""
    outcomes = iter(done.outcomes)
    cells = [
        SweptCell(
            point.values,
            machine_mapping(point.scenario.machine),
            policy.name,
            next(outcomes),
            point.working_set,
        )
        for point in machines
        for policy in policies
    ]
    shown = [
        SweptAxis(
            axis.key,
            tuple(map(str, axis.values)),
            axis.is_number,
            axis.is_size,
            all(isinstance(value, Share) for value in axis.values),
            axis.ratios,
        )
        for axis in axes
    ]
    first, names = machines[0].scenario, tuple(policy.name for policy in policies)
    return Swept(__version__, first.name, first.file, tuple(shown), names, tuple(cells))
