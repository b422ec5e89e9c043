"""The arrays by node that an arena keeps under a memory limit, or where slots have positions.

See `swaptrace.reclaim.memory`.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np

from swaptrace.reclaim import memory

Nodes: TypeAlias = dict[str, "np.ndarray[Any, Any]"]

NODE_KINDS: Final = {
    "flags": np.uint8,
    "next": np.int32,
    "prev": np.int32,
    "shadow": np.uint32,
}

SLOT: Final = "slot"
"""The name of what is kept of slots alone, where they have positions."""


def empty_nodes(count: int, generations: bool, placed: bool) -> Nodes:
    """So many nodes, the heads of the lists among them, and every list empty.

    `generations` is that their flags are those of the multi-generational LRU as well, `placed`
    that slots have positions.
    """
    nodes: Nodes = {name: np.zeros(count, kind) for name, kind in NODE_KINDS.items()}
    nodes[SLOT] = np.zeros(count if placed else 0, np.int64)
    if generations:
        nodes["flags"] = np.zeros(count, np.uint32)
    heads = np.arange(min(memory.HEADS, count))
    nodes["next"][: len(heads)] = nodes["prev"][: len(heads)] = heads
    return nodes


def extended(nodes: Nodes, more: int) -> Nodes:
    """With so many more at the end."""
    return {
        name: np.append(array, np.zeros(more if len(array) else 0, array.dtype))
        for name, array in nodes.items()
    }


class Layout:
    """Where pages have their nodes: the first one's first, and how many each has."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.base = memory.HEADS + width

    def moved(self, numbers: Any, to: Layout) -> Any:
        """The numbers of nodes in another layout; the heads keep theirs, and -1 is none."""
        page, place = np.divmod(numbers.astype(np.int64) - self.base, self.width)
        return np.where(numbers < memory.HEADS, numbers, to.base + page * to.width + place)

    def spread(self, nodes: Nodes, to: Layout) -> Nodes:
        """The same lists with more places a page."""
        pages = (len(nodes["flags"]) - self.base) // self.width
        generations = nodes["flags"].dtype == np.uint32
        wide = empty_nodes(to.base + pages * to.width, generations, len(nodes[SLOT]) > 0)
        for name, array in nodes.items():
            if not len(array):
                continue
            values = self.moved(array, to) if name in ("next", "prev") else array
            wide[name][: memory.HEADS] = values[: memory.HEADS]
            places = wide[name][to.base :].reshape(-1, to.width)
            places[:, : self.width] = values[self.base :].reshape(-1, self.width)
        return wide
