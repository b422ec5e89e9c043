"""What would make a long replay shorter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from swaptrace.terminal.output import complain

if TYPE_CHECKING:
    from threading import Timer

    from swaptrace.scenario.schema import Scenario, Step

LONG: Final = 10.0
"""Seconds after which it is worth a word."""

HINT: Final = (
    "Hint: numba replays long accesses some hundred times as fast: pip install 'swaptrace-mm[fast]'"
)


@contextmanager
def hinting(scenarios: Iterable[Scenario] = ()) -> Iterator[Callable[[Iterable[Scenario]], None]]:
    """Say once on standard error what is missing, where that is so and the work takes long.

    What it gives is to be called with scenarios that are met later.
    """
    timers: list[Timer] = []

    def meet(scenarios: Iterable[Scenario]) -> None:
        from importlib.util import find_spec  # here: `--help` imports every command

        if timers or find_spec("numba") is not None or not any(map(_page_by_page, scenarios)):
            return
        from threading import Timer

        timers.append(Timer(LONG, complain, (HINT,)))
        timers[0].daemon = True
        timers[0].start()

    try:
        meet(scenarios)
        yield meet
    finally:
        for timer in timers:
            timer.cancel()


def _page_by_page(scenario: Scenario) -> bool:
    """Whether pages are replayed one by one, which is what numba compiles."""
    return scenario.machine.memory is not None or _has_sequence(scenario.steps)


def _has_sequence(steps: Iterable[Step]) -> bool:
    # Imported here: `--help` imports every command.
    from swaptrace.scenario.schema import AccessPatternStep, MeasureStep, RepeatStep, TraceStep

    return any(
        _has_sequence(step.steps)
        if isinstance(step, MeasureStep | RepeatStep)
        else isinstance(step, AccessPatternStep | TraceStep)
        for step in steps
    )
