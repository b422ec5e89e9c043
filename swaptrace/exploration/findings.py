"""What an exploration found, as the value that every format is made from."""

from __future__ import annotations

from collections.abc import Sequence

from swaptrace.exploration.explorer import Exploration
from swaptrace.exploration.witness import Witness, short, short_steps
from swaptrace.replay.result import machine_mapping
from swaptrace.report.explored import Explored, Line


def explored(
    exploration: Exploration, shown: Sequence[Witness], files: Sequence[str] | None = None
) -> Explored:
    """The report of an exploration; `files` are those that its sequences were written to."""
    lines = tuple(
        Line(
            each.title,
            each.difference.kind,
            each.difference.flag,
            each.values,
            short(each.difference.steps),
            short_steps(each.difference.steps),
            each.steps,
            files[number] if files else None,
            each.cited,
        )
        for number, each in enumerate(shown)
    )
    return Explored(
        exploration.names,
        machine_mapping(exploration.request.machine),
        exploration.complete,
        exploration.states,
        exploration.proof,
        lines,
    )
