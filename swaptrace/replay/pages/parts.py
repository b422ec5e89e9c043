"""What the functions of an arena that have files of their own use of it."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from swaptrace.reclaim.memory import Memory
from swaptrace.replay.pages.flat import FlatTable, Integers
from swaptrace.replay.pages.nodes import Nodes
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.table import TransitionRow
from swaptrace.replay.world import World


class Parts(Protocol):
    """See `Arena`."""

    world: World
    shared_regions: list[SharedRegion]
    column: np.ndarray[Any, Any]
    table: FlatTable
    v: Integers
    nodes: Nodes
    swap: np.ndarray[Any, Any]

    def memory(self) -> Memory:
        """Everything as the inner loop takes it."""

    def fill(self) -> None:
        """Look up the transition that `v` asks for."""

    def happen(self, page: int, number: int) -> int:
        """One event of one page; what `loop.happen` says of it."""

    def row(self, page: int, number: int) -> TransitionRow:
        """The transition that an event of a page would be, as things are."""

    def locate(self, page: int) -> SharedRegion:
        """The region that a page belongs to."""
