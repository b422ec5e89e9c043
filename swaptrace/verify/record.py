"""What a kernel showed as an observation, in the form of `tests/kernel/observations`.

One JSON object a line: `scenario` (its name), `yaml` (its text), `kernel`, `machine` (that of the
model, every key), `policies` (the one that the kernel has), and `steps`, one for each executed
leaf step: `counters` that are not zero, `errno` where there was one, and `pages` where they are
not those after the step before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from swaptrace.output import replace_file
from swaptrace.scenario.schema import Scenario
from swaptrace.verify.dump import to_yaml
from swaptrace.verify.fitting import machine_for
from swaptrace.verify.observed import Observed, PageMaps
from swaptrace.verify.verdict import Verdict


class Recorder:
    """Collects observations; only of scenarios that ran to their end."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, scenario: Scenario, verdict: Verdict, observed: Observed) -> None:
        """Keep what the kernel showed, whether the model agrees or not."""
        if verdict.status == "skipped" or observed.failed is not None:
            return
        assert verdict.policy is not None
        self.lines.append(observation(scenario, verdict.policy, observed))

    def append_to(self, path: Path) -> None:
        """Add the observations to a file, which is replaced as a whole."""
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        replace_file(path, before + "".join(self.lines))


def observation(scenario: Scenario, policy: str, observed: Observed) -> str:
    """One line."""
    machine = machine_for(scenario, observed.facts)
    found: dict[str, Any] = {
        "scenario": scenario.name,
        "yaml": to_yaml(replace(scenario, machine=machine)),
        "kernel": observed.facts.kernel,
        "machine": asdict(machine),
        "policies": [policy],
        "steps": list(_steps(observed)),
    }
    return json.dumps(found, separators=(",", ":")) + "\n"


def _steps(observed: Observed) -> Iterator[Mapping[str, Any]]:
    before: PageMaps = {}
    for step in observed.steps:
        found: dict[str, Any] = {"counters": dict(step.counters)}
        if step.errno is not None:
            found["errno"] = step.errno
        if step.pages != before:
            found["pages"] = before = step.pages
        yield found
