"""What a world asks of the replays that visit pages one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from swaptrace.mm.column import Column
from swaptrace.mm.event import Event
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.tally import Tally
from swaptrace.scenario.schema import Step

if TYPE_CHECKING:
    from swaptrace.result.lrugen import LruGen


class KeptBatch(Protocol):
    """The per-CPU batches of folios, kept from one fault to the next."""

    def key(self) -> tuple[object, ...]:
        """Equal for two moments after which the same happens."""

    @property
    def left(self) -> int:
        """How many more folios fill it, as far as one event can tell."""

    @property
    def mlock_left(self) -> int:
        """The same of that of mlock."""

    def check(self, step: Step) -> None:
        """Raise `NotModelled` for a step that more than this batch is about."""

    def drain(self) -> None:
        """lru_add_drain()"""

    def zap(self) -> None:
        """What a system call that unmaps pages begins and ends with."""


class BatchedPages(Protocol):
    """Small pages that are visited one by one, since their folios fill such batches."""

    def send(self, tally: Tally, shared: SharedRegion, walk: Walk, event: Event) -> None:
        """Let an event happen to the pages of a walk, in order."""

    def read(self, tally: Tally, walk: Walk, task: Any) -> None:
        """The same of faults that may read ahead (`runs.readahead.Pass`)."""


class SinglePages(Protocol):
    """All pages of a world, where their order matters."""

    def place(self, shared: SharedRegion, pages: int, column: int) -> None:
        """Room for a new region, all of one column."""

    def send(self, tally: Tally, shared: SharedRegion, walk: Walk, event: Event) -> bool:
        """Let an event happen to the pages of a walk, in order; False if one ended the step."""

    def adjust_trans_huge(self, tally: Tally, process: Process, address: int) -> None:
        """A VMA now ends at an address, in pages, within what was one VMA."""

    def lru_add_drain(self, tally: Tally) -> None:
        """What a system call does that is to find all folios on their lists."""

    def cold(self, tally: Tally, shared: SharedRegion, walk: Walk, process: int) -> None:
        """MADV_COLD"""

    def key(self) -> tuple[object, ...]:
        """Equal for two moments after which the same happens."""

    def switched_to(self, name: str) -> None:
        """A process is about to run."""

    def switch_after(self, folios: int) -> None:
        """When the process that reclaims is switched from and to again (mglru)."""

    def drain_stock(self) -> None:
        """Nothing is charged in advance any more."""

    def columns(self, shared: SharedRegion) -> Iterator[tuple[int, Column]] | None:
        """The pages of a region, those alike together, where the region's columns do not say it."""

    def huge(self, shared: SharedRegion, member: int) -> Iterator[tuple[int, bool]]:
        """How many pages each block of a region has, and whether a PMD entry maps them."""

    def lru_gen(self) -> LruGen | None:
        """Generations and tiers, where the LRU has any."""
