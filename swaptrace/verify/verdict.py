"""What a comparison with a kernel comes to, as frozen values, and as `swaptrace.verify/1`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

SCHEMA: Final = "swaptrace.verify/1"

Status = Literal["agrees", "differs", "skipped"]


@dataclass(frozen=True)
class Side:
    """What the model or the kernel shows after a step, as far as the two differ there.

    `pages` are by process and region.
    """

    errno: str | None
    counters: Mapping[str, int]
    pages: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Difference:
    """The first executed step after which model and kernel differ."""

    step: str
    line: int
    process: str
    op: str
    model: Side
    kernel: Side

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
                }
                for name, side in (("model", self.model), ("kernel", self.kernel))
            },
        }


@dataclass(frozen=True)
class Verdict:
    """One scenario on one kernel; `policy` is None if it came to nothing before one was chosen.

    `reason` says why it was skipped, or why a scenario that differs has no first difference.
    """

    name: str
    file: str
    policy: str | None
    status: Status
    reason: str | None = None
    first_difference: Difference | None = None

    def to_mapping(self) -> dict[str, Any]:
        """For JSON; what is None is left out."""
        found: dict[str, Any] = {
            "name": self.name,
            "file": self.file,
            "policy": self.policy,
            "status": self.status,
            "reason": self.reason,
        }
        if self.first_difference is not None:
            found["first_difference"] = self.first_difference.to_mapping()
        return {key: value for key, value in found.items() if value is not None}


@dataclass(frozen=True)
class Run:
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


def to_json(runs: Sequence[Run]) -> str:
    """One kernel as a document of its own, several in a list under `kernels`."""
    mappings = [run.to_mapping() for run in runs]
    found = mappings[0] if len(mappings) == 1 else {"kernels": mappings}
    return json.dumps({"schema": SCHEMA, **found}, indent=2, sort_keys=True) + "\n"
