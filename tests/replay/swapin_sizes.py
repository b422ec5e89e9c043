"""How much to swap in at a time: fewer faults, or more to read?

    python -m tests.replay.swapin_sizes

makes the table of docs/large-folios.md anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from swaptrace.mm.column import Vma
from swaptrace.policies.merged import Merged
from swaptrace.replay.engine import replay
from swaptrace.scenario.loader import load_text

PAGE: Final = Path(__file__).parents[2] / "docs" / "large-folios.md"
TABLE: Final = re.compile(r"(?<=<!-- swap-in sizes -->\n).*?(?=<!-- /swap-in sizes -->)", re.DOTALL)
HEAD: Final = """| workload | 4 KiB | 16 KiB | 64 KiB |
|---|--:|--:|--:|
"""

WORKLOADS: Final = {
    "zipf": "{access: buf, pattern: zipf, count: 8192, write_share: 0.3, seed: 1}",
    "uniform": "{access: buf, pattern: uniform, count: 8192, write_share: 0.3, seed: 1}",
    "sequential": "{access: buf, pattern: sequential, count: 8192, write_share: 0.3, seed: 1}",
    "every 16th page": "{repeat: 128, steps: [{read_write: buf, stride: 64KiB}]}",
}
"""8,192 accesses each to a buffer of 1,024 pages."""

ORDERS: Final = (0, 2, 4)

SCENARIO: Final = """
machine:
  kernel: '6.18'
  memory: 2MiB
  stat_flush: 64
  lru_drain: 8
  thp: {{16KiB: always, 64KiB: always}}
steps:
- {{mmap: buf, size: 4MiB}}
- {{madvise: buf, advice: HUGEPAGE}}
- {{memset: buf, value: 1}}
- measure: work
  steps: [{work}]
"""


class UpTo(Merged):
    """Swaps in no more at a time than folios of an order have."""

    name = "up-to"

    def __init__(self, order: int) -> None:
        self.order = order

    def swapin_order(self, vma: Vma, orders: tuple[int, ...]) -> int:  # noqa: ARG002
        return max((order for order in orders if order <= self.order), default=0)


class Line(NamedTuple):
    """One workload in memory for half of it: for each size the major faults and the pages read."""

    workload: str
    counts: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        cells = [f"{majflt:,} / {read:,}" for majflt, read in self.counts]
        return f"| {' | '.join([self.workload, *cells])} |\n"


def line(workload: str) -> Line:
    """What the model counts."""
    text = SCENARIO.format(work=WORKLOADS[workload])
    scenario = load_text(text.encode(), workload)
    found = [replay(scenario, UpTo(order)).windows["work"] for order in ORDERS]
    return Line(workload, tuple((each["majflt"], each["pswpin"]) for each in found))


def lines() -> Iterator[Line]:
    """All of them."""
    return map(line, WORKLOADS)


def table(rows: Iterable[Line]) -> str:
    """As it stands on the page."""
    return HEAD + "".join(map(str, rows))


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: table(lines()), PAGE.read_text()))
