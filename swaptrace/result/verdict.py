"""What a comparison with a kernel comes to, as frozen values, and as `swaptrace.verify/2`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from swaptrace.terminal.exitcodes import ExitCode

SCHEMA: Final = "swaptrace.verify/2"


class Status(StrEnum):
    """What a scenario comes to on a kernel, in the word that every format has for it."""

    AGREES = "agrees"
    """It ran to its end, every step was compared, and all are equal: at once, or in two whole runs
    if others may have added to what a run before counted for the whole machine."""

    DIFFERS = "differs"
    """A step differs, and did so again when the scenario was repeated; in three runs, if others may
    have made the difference."""

    FAILED = "failed"
    """The program was killed or broke off, or the kernel panicked under it."""

    UNSTEADY = "unsteady"
    """A step differed, and did not do so when the scenario was repeated; or the model says that
    what it counts there depends on time."""

    SKIPPED = "skipped"
    """This kernel, or its swap, is none that the scenario is for."""

    NOT_RUN = "not run"
    """It could not be started, or did not come to its end in time; no step differed until then."""

    @property
    def exit_code(self) -> ExitCode:
        """What it means for the command."""
        match self:
            case Status.AGREES:
                return ExitCode.OK
            case Status.DIFFERS | Status.FAILED:
                return ExitCode.FAILED
            case Status.UNSTEADY:
                return ExitCode.UNDECIDED
            case Status.SKIPPED:
                return ExitCode.SKIPPED
            case Status.NOT_RUN:
                return ExitCode.WRONG


@dataclass(frozen=True)
class ShownSide:
    """What the model or the kernel shows after a step, as far as the two differ there.

    `pages` are by process and region.
    """

    errno: str | None
    counters: Mapping[str, int]
    pages: Mapping[str, Mapping[str, str]]
    scan: str = ""


@dataclass(frozen=True)
class Difference:
    """The first executed step after which model and kernel differ."""

    step: str
    line: int
    process: str
    op: str
    model: ShownSide
    kernel: ShownSide

    def to_mapping(self) -> dict[str, Any]:
        """For JSON. Of each side only what differs is there."""
        errno = self.model.errno != self.kernel.errno
        return {
            "step": self.step,
            "line": self.line,
            "process": self.process,
            "op": self.op,
            **{
                name: {
                    **({"errno": side.errno} if errno else {}),
                    **({"counters": dict(side.counters)} if side.counters else {}),
                    **({"pages": side.pages} if side.pages else {}),
                    **({"scan": side.scan} if side.scan else {}),
                }
                for name, side in (("model", self.model), ("kernel", self.kernel))
            },
        }


@dataclass(frozen=True)
class Verdict:
    """One scenario on one kernel; `policy` is None if it came to nothing before one was chosen.

    `reason` says why a scenario is what its status says, where no difference does.
    `first_difference` of one that was killed or out of time is that of the steps until then.
    `repetition` is what became of an unsteady one when it was repeated. `elsewhere` is what
    /proc/vmstat counted between the steps, where the program does nothing: what somebody else
    swapped. `same_as` names a random scenario before this one that differs in the same way.
    """

    name: str
    file: str
    policy: str | None
    status: Status
    reason: str | None = None
    first_difference: Difference | None = None
    repetition: Verdict | None = None
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    same_as: str | None = None

    def to_mapping(self) -> dict[str, Any]:
        """For JSON; what is None or empty is left out."""
        return {"name": self.name, "file": self.file, **self._outcome()}

    def _outcome(self) -> dict[str, Any]:
        """All but which scenario it is."""
        difference, repetition = self.first_difference, self.repetition
        found = {
            "policy": self.policy,
            "status": self.status.value,
            "reason": self.reason,
            "first_difference": None if difference is None else difference.to_mapping(),
            "repetition": None if repetition is None else repetition._outcome(),
            "elsewhere": dict(self.elsewhere) or None,
            "same_as": self.same_as,
        }
        return {key: value for key, value in found.items() if value is not None}


@dataclass(frozen=True)
class KernelRun:
    """All scenarios on one kernel: `place` is what reports call it; `kernel` its release (None
    where nothing ran that could say it)."""

    place: str
    kernel: str | None
    verdicts: tuple[Verdict, ...]

    def to_mapping(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "place": self.place,
            "kernel": self.kernel,
            "scenarios": [verdict.to_mapping() for verdict in self.verdicts],
        }


def to_json(runs: Sequence[KernelRun]) -> str:
    """One kernel as a document of its own, several in a list under `kernels`."""
    mappings = [run.to_mapping() for run in runs]
    found = mappings[0] if len(mappings) == 1 else {"kernels": mappings}
    return json.dumps({"schema": SCHEMA, **found}, indent=2, sort_keys=True) + "\n"
