"""A scenario under a grid of machines and policies, as frozen values, and as JSON.

`swaptrace.sweep/1` is the whole grid; an outcome by itself is also what the files of cells hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from swaptrace.frozen import FrozenValue
from swaptrace.result.changes import TOTAL, counters_in
from swaptrace.result.jsonfile import Node
from swaptrace.result.result import PolicyResult, policy_json, read_counters, read_policy

SCHEMA: Final = "swaptrace.sweep/1"

ACCESSES: Final = "accesses"
MISSES: Final = "misses"
MISS_RATIO: Final = "miss_ratio"
DERIVED: Final = (ACCESSES, MISSES, MISS_RATIO)
"""What is known of `access` and `trace` steps besides counters."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CellCounts(FrozenValue):
    """What was counted, and by window (the total is one) how many accesses `access` and `trace`
    steps have made, and how many of them found no page.

    A window of which that is not known, since a step ended at a forbidden access, has neither.
    """

    result: PolicyResult
    accesses: Mapping[str, int]
    misses: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Killed(FrozenValue):
    """The kernel would have killed a process: the step's line, and why."""

    line: int
    message: str


Outcome = CellCounts | Killed


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SweptAxis(FrozenValue):
    """A setting of the machine and its values, as they were given.

    `is_number` is that they lie on a line, `is_size` that they are bytes, `shares` that they are
    shares of the working set, `ratios` that they lie at equal ratios.
    """

    key: str
    values: tuple[str, ...]
    is_number: bool
    is_size: bool
    shares: bool
    ratios: bool

    @property
    def name(self) -> str:
        """The key without what all keys begin with."""
        return self.key.removeprefix("machine.")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SweptCell(FrozenValue):
    """One machine under one policy: the value of each axis, and what came of it.

    `working_set` is in bytes; None where no axis needs it.
    """

    values: tuple[str, ...]
    machine: Mapping[str, Any]
    policy: str
    outcome: Outcome
    working_set: int | None = None

    def number(self, key: str) -> int:
        """What a setting that is a number is on this machine, in bytes if it is a size."""
        value: Any = self.machine
        for name in key.removeprefix("machine.").split("."):
            value = value[name]
        return int(value)

    def value(self, counter: str, window: str = TOTAL) -> int | float | None:
        """A counter, or one of `DERIVED`; None where it is not known."""
        if isinstance(self.outcome, Killed):
            return None
        if counter not in DERIVED:
            return counters_in(self.outcome.result, window).get(counter, 0)
        accesses = self.outcome.accesses.get(window)
        if not accesses:
            return None
        misses = self.outcome.misses.get(window, 0)
        return {ACCESSES: accesses, MISSES: misses, MISS_RATIO: misses / accesses}[counter]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Swept(FrozenValue):
    """The whole grid: the last axis fastest, the policies of a machine together."""

    version: str
    name: str
    file: str
    axes: tuple[SweptAxis, ...]
    policies: tuple[str, ...]
    cells: tuple[SweptCell, ...]

    @property
    def windows(self) -> tuple[str, ...]:
        """The labels of all windows, and the total."""
        counted = (cell.outcome for cell in self.cells if isinstance(cell.outcome, CellCounts))
        labels = dict.fromkeys(label for each in counted for label in each.result.windows)
        return (*(label for label in labels if label != TOTAL), TOTAL)

    def known(self, counter: str, window: str) -> bool:
        """Whether a cell has a value of it."""
        return any(cell.value(counter, window) is not None for cell in self.cells)


def to_json(swept: Swept) -> str:
    """The grid as `swaptrace.sweep/1`: keys sorted, plain ASCII, a newline at the end."""
    document = {
        "schema": SCHEMA,
        "version": swept.version,
        "name": swept.name,
        "file": swept.file,
        "axes": [{"key": axis.key, "values": list(axis.values)} for axis in swept.axes],
        "policies": list(swept.policies),
        "cells": [_cell_json(swept.axes, cell) for cell in swept.cells],
    }
    return json.dumps(document, sort_keys=True, indent=2) + "\n"


def _cell_json(axes: Sequence[SweptAxis], cell: SweptCell) -> dict[str, object]:
    document: dict[str, object] = {
        "settings": {axis.key: text for axis, text in zip(axes, cell.values, strict=True)},
        "machine": cell.machine,
        "policy": cell.policy,
        **outcome_json(cell.outcome),
    }
    if cell.working_set is not None:
        document["working_set"] = cell.working_set
    return document


def outcome_json(outcome: Outcome) -> dict[str, object]:
    """As results of grids, and the files of cells, have it."""
    match outcome:
        case Killed(line, message):
            return {"killed": {"line": line, "message": message}}
        case CellCounts(result, accesses, misses):
            return {
                "counted": policy_json(result),
                "accesses": dict(accesses),
                "misses": dict(misses),
            }


def read_outcome(node: Node) -> Outcome:
    """What `outcome_json` wrote. Raises `SwaptraceError`."""
    killed = node.fields().get("killed")
    if killed is not None:
        return Killed(killed.key("line").count(1), killed.key("message").text())
    return CellCounts(
        read_policy(node.key("counted")),
        read_counters(node.key("accesses")),
        read_counters(node.key("misses")),
    )
