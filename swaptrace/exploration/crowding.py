"""A sequence that tells how full the per-CPU batch is, as the steps of a scenario: other pages are
written until it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from swaptrace.exploration.alphabet import step_of
from swaptrace.exploration.company import DRAIN, FILL, Company, split
from swaptrace.exploration.graph import START, Edge, Graph, PageState
from swaptrace.exploration.search import TakenOperation
from swaptrace.mm.event import MOST_ADDED

OTHERS: Final = "others"
AT: Final = 0x600000000000
"""Where their region is: it must not be one VMA with that of the page."""


class Crowd:
    """Follows a sequence; `count` folios are in the batch, `written` of other pages were added."""

    def __init__(self, graph: Graph, company: Company, page_size: int) -> None:
        self.graph, self.company, self.page_size = graph, company, page_size
        self.state: PageState = START
        self.names = ["main"]
        self.count = self.written = 0
        self.steps: list[dict[str, Any]] = []

    def take(self, taken: TakenOperation) -> None:
        """An operation, behind whatever other pages do."""
        name, left = split(taken.operation)
        if name == DRAIN:
            self.steps.append({"madvise": OTHERS, "advice": "MADV_WILLNEED", **self._by()})
            self.count = 0
        elif name == FILL:
            self._write(0)
        else:
            if left < MOST_ADDED:
                self._write(left)
            self.steps.append(step_of(name, taken.process, taken.child))
        edge = self._edge(taken)
        self.state, batch = edge.state, edge.effect.batch
        self.count = batch.added + (0 if batch.drained or batch.filled else self.count)
        self._name(taken)

    def _write(self, left: int) -> None:
        """As many pages as leave so many places."""
        pages = (self.company.capacity - left - self.count) % self.company.capacity
        if pages:
            start, size = self.written * self.page_size, pages * self.page_size
            step = {"write": OTHERS, "offset": start, "length": size, **self._by()}
            self.steps.append(step)
        self.written += pages
        self.count = (self.count + pages) % self.company.capacity

    def _by(self) -> dict[str, str]:
        """Whoever there is does it: main may have exited."""
        return {} if self.names[0] == "main" else {"process": self.names[0]}

    def _edge(self, taken: TakenOperation) -> Edge:
        number = self.graph.limits.operations.index(taken.operation)
        edges = self.graph.edges_of(self.state, self.names.index(taken.process))
        return next(edge for edge in edges if edge.operation == number)

    def _name(self, taken: TakenOperation) -> None:
        if taken.child:
            self.names.append(taken.child)
        elif taken.operation == "exit":
            self.names.remove(taken.process)


def crowded_steps(
    graph: Graph, sequence: Sequence[TakenOperation], page_size: int
) -> list[dict[str, Any]]:
    """The steps behind the `mmap` of the page, by what the policy of the graph puts into the
    batch."""
    assert graph.company is not None
    crowd = Crowd(graph, graph.company, page_size)
    for taken in sequence:
        crowd.take(taken)
    size = max(crowd.written, 1) * page_size
    return [{"mmap": OTHERS, "size": size, "at": AT}, *crowd.steps]
