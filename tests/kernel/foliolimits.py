"""Holding the model against what a kernel counted with large folios under a memory limit.

python -m tests.kernel.foliolimits    every observation: what is the same in all runs of the kernel
must be exact; of the rest it says whether the end lies within their spread
"""

from __future__ import annotations

import json
import lzma
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swaptrace import policies
from swaptrace.advice import Advice
from swaptrace.replay.engine import replay
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.hardware import Machine, Swap
from swaptrace.scenario.schema import AccessStep, MadviseStep, MmapStep, Scenario, TraceStep
from swaptrace.scenario.thp import Thp
from tests.kernel.limits import COUNTED, PAGE, counted, write_trace

FILE = Path(__file__).parent / "foliolimits" / "zram-64.jsonl.xz"

Points = list[dict[str, int]]


@dataclass(frozen=True, eq=False)
class Observation:
    """One workload under one limit, and what each run of the kernel counted at checkpoints."""

    facts: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.facts['workload']} in {self.facts['limit_pages']}"

    @property
    def runs(self) -> list[Points]:
        found: list[Points] = self.facts["runs"]
        return found


def observations() -> Iterator[Observation]:
    """All there are."""
    for line in lzma.decompress(FILE.read_bytes()).splitlines():
        yield Observation(json.loads(line))


def scenario_of(observation: Observation, folder: Path) -> Scenario:
    """What the kernel was given to do: write every page once, then the sequence."""
    facts = observation.facts
    size = facts["pages"] * PAGE
    machine = Machine(
        soft_dirty=False,
        swap=Swap(backend=facts["backend"], page_cluster=facts["page_cluster"]),
        thp=(Thp("64KiB", "always"),),
        memory=(facts["limit_pages"] - facts["overhead_pages"]) * PAGE,
        stat_flush=facts["settings"]["stat_flush"],
        lru_drain=facts["settings"]["lru_drain"],
    )
    advised = MadviseStep(line=2, region="r", advice=Advice.HUGEPAGE, span=ByteRange(0, size))
    steps = (
        MmapStep(line=1, region="r", size=size),
        AccessStep(line=3, op="write", region="r", span=ByteRange(0, size), stride=PAGE),
        TraceStep(line=4, path=write_trace(facts["workload"], folder), region="r"),
    )
    return Scenario(facts["workload"], "", machine, (steps[0], advised, *steps[1:]))


def model(observation: Observation, folder: Path) -> Points:
    """What the model counts at the checkpoints."""
    policy = policies.find(observation.facts["policy"])
    parts = len(observation.runs[0]) - 1
    scenario = scenario_of(observation, folder)
    return counted(replay(scenario, policy, steps=True, checkpoints=parts), populated=2)


def inexact(observation: Observation, found: Points) -> Points:
    """The checkpoints that are the same in all runs of the kernel, and not in the model."""
    first, *others = observation.runs
    same = [point for at, point in enumerate(first) if all(run[at] == point for run in others)]
    return [point for point in same if point not in found]


def outside(observation: Observation, found: Points) -> str:
    """Which counters of the last checkpoint do not lie between those of the kernel's runs."""
    ends = [run[-1] for run in observation.runs]
    said = []
    for name in COUNTED:
        low, high = min(end[name] for end in ends), max(end[name] for end in ends)
        if not low <= found[-1][name] <= high:
            said.append(f"{name} {found[-1][name]}, not {low} to {high}")
    return "; ".join(said)


def main() -> int:
    """Compare all; 1 if what is the same in all runs is not so here."""
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for observation in observations():
            found = model(observation, Path(folder))
            off = inexact(observation, found)
            wrong += bool(off)
            print(f"{observation.name}: {len(off)} inexact; {outside(observation, found) or 'ok'}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
