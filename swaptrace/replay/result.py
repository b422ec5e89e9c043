"""What a replay found, as frozen values, and its JSON form `swaptrace.result/1`.

Counters that are zero are left out everywhere, so that two results are equal
exactly when their JSON texts are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Counters = Mapping[str, int]

WARNINGS = frozenset({"spurious_soft_dirty"})
"""Kinds in `Violation` that are no broken promise, only worth a look."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """The counters of one executed leaf step.

    `step` is the path of indices (`4.0`, in a repetition `3[2].0`). Where iterations of
    a `repeat` were not replayed one by one because they leave the state that they found,
    one entry stands for all of them: its path names the first and the last (`3[5-99].0`),
    `counters` are those of one iteration and `times` is how many there are.
    """

    step: str
    line: int
    process: str
    op: str
    counters: Counters
    times: int = 1


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: the step where it first shows, the first page, and how many pages."""

    kind: str
    step: str
    line: int
    process: str
    region: str
    page: int
    pages: int

    @property
    def is_warning(self) -> bool:
        return self.kind in WARNINGS


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """One scenario under one policy.

    `windows` is in order of first appearance; `steps` is empty unless asked for;
    `pages` maps process to region to the run-length code of its page map at the end
    (None unless asked for).
    """

    total: Counters
    windows: Mapping[str, Counters]
    violations: tuple[Violation, ...] = ()
    steps: tuple[StepResult, ...] | None = None
    pages: Mapping[str, Mapping[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    window: str
    policy: str
    counter: str
    expected: int
    actual: int

    @property
    def ok(self) -> bool:
        return self.expected == self.actual


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """One scenario under every policy that was asked for, in that order."""

    name: str
    file: str
    machine: Mapping[str, object]
    policies: Mapping[str, PolicyResult]
    expectations: tuple[Expectation, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    version: str
    scenarios: tuple[ScenarioResult, ...]
