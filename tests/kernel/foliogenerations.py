"""Holding the model against what kernels showed with large folios under a memory limit.

Each observation is what `swaptrace verify --record` writes, with the accesses of its traces: the
page, and bit 31 for a write.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from swaptrace import policies
from swaptrace.counters import ReclaimCounter
from swaptrace.replay.table import Table
from swaptrace.scenario.loader import load_text
from swaptrace.traces.chunk import Chunk
from swaptrace.traces.writer import TraceWriter
from swaptrace.verify.compare import Beside
from swaptrace.verify.leaves import leaves
from tests.kernel.observed import OF_FOLIOS, overrides

FOLDER = Path(__file__).parent / "foliolimits"
COUNTED = frozenset(
    {"minflt", "majflt", "pswpin", "pswpout"}
    | {str(counter) for counter in ReclaimCounter}
    | {name for name in OF_FOLIOS if not name.startswith("mthp_swpin")}  # since 6.13
)


def observations(name: str) -> Iterator[dict[str, Any]]:
    """All of one file: `mglru`, `classic`."""
    for line in lzma.decompress((FOLDER / f"{name}.jsonl.xz").read_bytes()).splitlines():
        yield json.loads(line)


def difference(observation: dict[str, Any], folder: Path) -> str:
    """The first step in which the model differs from the kernel; empty if in none."""
    for name, accesses in observation["traces"].items():
        words = np.asarray(accesses, np.uint32)
        with TraceWriter(str(folder / name)) as writer:
            writer.write(Chunk(words & np.uint32(0x7FFFFFFF), words >> np.uint32(31) != 0))
    machine = dict(overrides("machine", observation.get("machine", {})))
    scenario = load_text(observation["yaml"], str(folder / observation["scenario"]), machine)
    beside = Beside(scenario, Table(policies.find("merged")))
    executed = zip(leaves(scenario.steps), observation["steps"], strict=True)
    for (path, step), seen in executed:
        shown = beside.show(path, step, COUNTED)
        counted = {name: n for name, n in seen["counters"].items() if name in COUNTED}
        if dict(shown.counters) != counted:
            return f"step {path}: the kernel counts {counted}, the model {dict(shown.counters)}"
        if "pages" in seen and shown.pages != seen["pages"]:
            return f"step {path}: the page map is {seen['pages']}, not {shown.pages}"
    return ""
