"""How iterations of a `repeat` that are all alike are told: as one that stands for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from swaptrace.result.result import Checkpoint, StepResult

Entry = TypeVar("Entry", StepResult, Checkpoint)


def folded(first: int, stride: int, times: int) -> str:
    """The name of iterations `first`, `first + stride`, … (`times` of them)."""
    last = first + stride * (times - 1)
    if times == 1:
        return f"[{first}]"
    return f"[{first}-{last}]" if stride == 1 else f"[{first}-{last}:{stride}]"


def fold(entries: Sequence[Entry] | None, path: str, name: str, times: int) -> list[Entry]:
    """What one iteration has left, standing for `times` of them."""
    return [
        replace(
            e, step=path + name + e.step[e.step.index("]", len(path)) + 1 :], times=e.times * times
        )
        for e in entries or ()
    ]
