"""What a kernel showed as an observation, in the form of `tests/kernel/observations`.

One JSON object a line: `scenario` (its name), `yaml` (its text), `kernel`, `machine` (that of the
model, every key), `policies` (the one that the kernel has), and `steps`, one for each executed
leaf step: `counters` that are not zero, `errno` where there was one, and `pages` where they are
not those after the step before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from swaptrace.result.result import machine_mapping
from swaptrace.result.verdict import Status
from swaptrace.scenario.schema import Scenario
from swaptrace.terminal.atomic import replace_file
from swaptrace.terminal.files import read_text
from swaptrace.verify.dump import to_yaml
from swaptrace.verify.fitting import machine_for
from swaptrace.verify.observed import Observed, PageMaps
from swaptrace.verify.run import Judged

MAX_BYTES: Final = 256 << 20
"""How long a file of observations may be."""


def append(path: Path, judged: Iterable[Judged]) -> None:
    """Add to a file what a kernel showed of every scenario that agrees or differs. What it showed
    only once is no observation. The file is replaced as a whole."""
    before = read_text(path, MAX_BYTES) if path.exists() else ""
    replace_file(path, before + "".join(observations(judged)))


def observations(judged: Iterable[Judged]) -> Iterator[str]:
    """A line for each scenario that ran to its end and showed the same if it was repeated."""
    for scenario, verdict, observed, steady in judged:
        if observed is None or not steady or verdict.policy is None or verdict.reason is not None:
            continue
        match verdict.status:
            case Status.AGREES | Status.DIFFERS:
                yield observation(scenario, verdict.policy, observed)
            case Status.FAILED | Status.UNSTEADY | Status.SKIPPED | Status.NOT_RUN:
                continue


def observation(scenario: Scenario, policy: str, observed: Observed) -> str:
    """One line."""
    machine = machine_for(scenario, observed.facts)
    found: dict[str, Any] = {
        "scenario": scenario.name,
        "yaml": "\n".join(scenario.text) or to_yaml(scenario),
        "kernel": observed.facts.kernel,
        "machine": machine_mapping(machine),
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
