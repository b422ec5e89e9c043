"""Holding the model against what kernels counted under a memory limit.

python -m tests.kernel.limits    every observation; says which do not agree, and how many do
"""

from __future__ import annotations

import json
import lzma
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from swaptrace import policies
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.hardware import Machine, Reclaim, Swap
from swaptrace.scenario.schema import AccessStep, MmapStep, Scenario, TraceStep
from swaptrace.traces.chunk import Chunk
from swaptrace.traces.writer import TraceWriter

FOLDER = Path(__file__).parent / "reclaim"
COUNTED = ("minflt", "majflt", "pswpin", "pswpout")
PAGE = 4096


@dataclass(frozen=True, eq=False)
class Observation:
    """One workload under one limit and policy: the checkpoints and the page map at the end."""

    file: str
    facts: dict[str, Any]

    @property
    def name(self) -> str:
        f = self.facts
        return f"{self.file}: {f['workload']} in {f['limit_pages']} of {f['pages']}, {f['policy']}"

    @property
    def reclaim(self) -> Reclaim:
        """The LRU of the kernel."""
        found: Reclaim = self.facts.get("reclaim", "classic")
        return found

    @property
    def checkpoints(self) -> list[dict[str, int]]:
        found: list[dict[str, int]] = self.facts["checkpoints"]
        return found


def observations() -> Iterator[Observation]:
    """All there are."""
    for path in sorted(FOLDER.glob("*.jsonl.xz")):
        for line in lzma.decompress(path.read_bytes()).splitlines():
            yield Observation(path.name.removesuffix(".jsonl.xz"), json.loads(line))


@cache
def workload(name: str) -> np.ndarray[Any, Any]:
    """The sequence of accesses: the page, and bit 31 for a write."""
    return np.frombuffer(lzma.decompress((FOLDER / f"{name}.u32.xz").read_bytes()), "<u4")


def write_trace(name: str, folder: Path) -> str:
    """The workload as a trace file."""
    path, accesses = folder / f"{name}.npz", workload(name)
    if not path.exists():
        with TraceWriter(str(path)) as writer:
            writer.write(Chunk(accesses & np.uint32(0x7FFFFFFF), accesses >> np.uint32(31) != 0))
    return str(path)


def scenario_of(observation: Observation, folder: Path) -> Scenario:
    """What the kernel was given to do: write every page once, then the sequence."""
    facts = observation.facts
    size = facts["pages"] * PAGE
    machine = Machine(
        soft_dirty=False,
        swap=Swap(backend=facts["backend"], page_cluster=facts["page_cluster"]),
        memory=(facts["limit_pages"] - facts["overhead_pages"]) * PAGE,
        reclaim=observation.reclaim,
        stat_flush=facts["settings"]["stat_flush"],
        lru_drain=facts["settings"]["lru_drain"],
    )
    steps = (
        MmapStep(line=1, region="r", size=size),
        AccessStep(line=2, op="write", region="r", span=ByteRange(0, size), stride=PAGE),
        TraceStep(line=3, path=write_trace(facts["workload"], folder), region="r"),
    )
    return Scenario(facts["workload"], "", machine, steps)


def counted(result: PolicyResult, populated: int = 1) -> list[dict[str, int]]:
    """The counters after the populating pass, which is step `populated`, and after each part of the
    sequence."""
    assert result.steps is not None
    assert result.checkpoints is not None
    before = result.steps[populated].counters
    points = [
        (0, dict.fromkeys(COUNTED, 0)),
        *((p.accesses, p.counters) for p in result.checkpoints),
    ]
    return [
        {"at": at, **{name: before.get(name, 0) + since.get(name, 0) for name in COUNTED}}
        for at, since in points
    ]


def difference(observation: Observation, folder: Path) -> str:
    """In what the model differs from the kernel; empty if in nothing."""
    policy = policies.find(observation.facts["policy"])
    parts = len(observation.checkpoints) - 1
    scenario = scenario_of(observation, folder)
    result = replay(scenario, policy, steps=True, pages=True, checkpoints=parts)
    for expected, actual in zip(observation.checkpoints, counted(result), strict=True):
        if expected != actual:
            return f"the kernel counts {expected}, the model {actual}"
    assert result.pages is not None
    found = result.pages["main"]["r"].replace("X", "")
    expected_map = observation.facts["page_map"]
    return "" if found == expected_map else f"the page map is {expected_map}, not {found}"


def main() -> int:
    """Compare all; 1 if any differs."""
    wrong = agreeing = 0
    with tempfile.TemporaryDirectory() as folder:
        for observation in observations():
            found = difference(observation, Path(folder))
            if found:
                print(f"{observation.name}: {found}")
            wrong += bool(found)
            agreeing += not found
    print(f"{agreeing} agree, {wrong} differ")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
