"""What an exploration found, as the value that every format is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from swaptrace.counters import WARNINGS
from swaptrace.result.result import ScenarioResult
from swaptrace.terminal.exitcodes import ExitCode


class ExploredLine(NamedTuple):
    """A kind of difference, what each policy shows, and the shortest sequence; of policies in C
    the lines where they part. `replayed` is the sequence as a scenario, with its history, where
    that was asked for."""

    title: str
    kind: str
    flag: str
    values: Mapping[str, int | str]
    sequence: str
    operations: tuple[str, ...]
    steps: Sequence[Mapping[str, object]]
    file: str | None
    cited: tuple[str, ...] = ()
    replayed: ScenarioResult | None = None


class Explored(NamedTuple):
    """The whole report. `proof` says how it is known that there is nothing else.

    `machine` is what all policies run on; `kernels` are theirs where they are not one and the same.
    """

    policies: tuple[str, ...]
    machine: Mapping[str, object]
    complete: bool
    states: int
    proof: str
    lines: tuple[ExploredLine, ...]
    kernels: Mapping[str, str]

    @property
    def failures(self) -> tuple[ExploredLine, ...]:
        """What makes exit code 1: differences, or of one policy the violations but not warnings."""
        if len(self.policies) == 2:
            return self.lines
        return tuple(line for line in self.lines if line.kind not in WARNINGS)

    @property
    def exit_code(self) -> ExitCode:
        """Failures are failures, however far the search went; without any, it must have come to
        its end."""
        if self.failures:
            return ExitCode.FAILED
        return ExitCode.OK if self.complete else ExitCode.UNDECIDED
