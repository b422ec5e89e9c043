"""What an exploration found, as the value that every format is made from."""

from __future__ import annotations

from collections.abc import Sequence

from swaptrace.exploration.explorer import Exploration, Request
from swaptrace.exploration.witness import Witness, short, short_steps
from swaptrace.result.explored import Explored, ExploredLine
from swaptrace.result.result import machine_mapping


def explored(
    exploration: Exploration, shown: Sequence[Witness], files: Sequence[str] | None = None
) -> Explored:
    """The report of an exploration; `files` are those that its sequences were written to."""
    lines = tuple(
        ExploredLine(
            each.title,
            each.difference.kind,
            each.difference.flag,
            each.values,
            short(each.difference.steps),
            short_steps(each.difference.steps),
            each.steps,
            files[number] if files else None,
            each.cited,
            each.replayed,
        )
        for number, each in enumerate(shown)
    )
    request = exploration.request
    each = zip(request.policies, request.own, strict=False)
    kernels = {policy.name: on.kernel for policy, on in each}
    return Explored(
        exploration.names,
        _machine(exploration.request),
        exploration.complete,
        exploration.states,
        exploration.proof,
        lines,
        kernels if len(set(kernels.values())) > 1 else {},
    )


def _machine(request: Request) -> dict[str, object]:
    """The settings that the machines of all policies have in common."""
    machines = [machine_mapping(each) for each in request.machines]
    first, *others = machines
    return {key: value for key, value in first.items() if all(o[key] == value for o in others)}
