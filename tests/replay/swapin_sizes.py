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
HEAD: Final = """| workload | memory | 4 KiB | 16 KiB | 64 KiB |
|---|--:|--:|--:|--:|
"""

WORKLOADS: Final = {
    "zipf": "{access: buf, pattern: zipf, count: 8192, write_share: 0.3, seed: 1}",
    "uniform": "{access: buf, pattern: uniform, count: 8192, write_share: 0.3, seed: 1}",
    "sequential": "{access: buf, pattern: sequential, count: 8192, write_share: 0.3, seed: 1}",
    "every 16th page": "{repeat: 128, steps: [{read_write: buf, stride: 64KiB}]}",
}
"""8,192 accesses each to a buffer of 1,024 pages."""

SHARES: Final = (25, 50, 75)
"""Per cent of the buffer that fit into memory."""

ORDERS: Final = (0, 2, 4)

SCENARIO: Final = """
machine:
  kernel: '6.18'
  memory: {memory}KiB
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
    """One workload in so much memory: for each size the major faults and the pages read."""

    workload: str
    share: int
    counts: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        cells = [f"{majflt:,} / {read:,}" for majflt, read in self.counts]
        return f"| {' | '.join([self.workload, f'{self.share} %', *cells])} |\n"


def line(workload: str, share: int) -> Line:
    """What the model counts."""
    text = SCENARIO.format(memory=4096 * share // 100, work=WORKLOADS[workload])
    scenario = load_text(text.encode(), workload)
    found = [replay(scenario, UpTo(order)).windows["work"] for order in ORDERS]
    return Line(workload, share, tuple((each["majflt"], each["pswpin"]) for each in found))


def lines() -> Iterator[Line]:
    """All of them."""
    return (line(workload, share) for workload in WORKLOADS for share in SHARES)


def table(rows: Iterable[Line]) -> str:
    """As it stands on the page."""
    return HEAD + "".join(map(str, rows))


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: table(lines()), PAGE.read_text()))
