"""Which calls that are passed over a fault comes to, while something runs.

A kernel that leaves without a folio_unlock() comes to the same in the model: that the call is not
executed is all that tells it from one that does not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from mmap import mmap
from typing import Any, Final

from swaptrace.ktree.faults.compiled import Probe
from swaptrace.ktree.faults.fault import Fault

ROOM: Final = 1 << 17
"""Faults that are kept. Of more, some are forgotten, and not compared."""

MOST: Final = 255

KEY: Final = 8
"""Bytes by which a fault is known again."""


class PassedCalls:
    """How often one tree's faults come to each of the calls, also in processes that are forked
    meanwhile."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = {name: KEY + number for number, name in enumerate(names)}
        self.size = KEY + len(self.names)
        self.kept = mmap(-1, ROOM * self.size)
        self.now = bytearray(self.size)

    def probe(self, name: str) -> Probe:
        """Notes a call."""
        at = self.names[name]

        def note(value: Any) -> Any:
            self.now[at] = min(MOST, self.now[at] + 1)
            return value

        return note

    def begin(self, fault: Fault, name: str) -> int:
        """A function is called for a fault, which the number that is returned stands for."""
        self.now = bytearray(self.size)
        return hash(f"{name} {fault.kind} {fault.state()}")

    def end(self, fault: Fault, begun: int) -> None:
        """It has returned."""
        key = hash((begun, str(fault.state()))) & ((1 << 8 * KEY) - 1)
        self.now[:KEY] = key.to_bytes(KEY, "little")
        at = key % ROOM * self.size
        self.kept[at : at + self.size] = bytes(self.now)

    def otherwise(self, other: PassedCalls) -> Iterator[str]:
        """The calls that another tree's faults do not come to as often, from and to one state."""
        for name, at in self.names.items():
            if any(one[at] != two[at] for one, two in self._pairs(other)):
                yield name

    def _pairs(self, other: PassedCalls) -> Iterator[tuple[bytes, bytes]]:
        for at in range(0, ROOM * self.size, self.size):
            one, two = (each.kept[at : at + self.size] for each in (self, other))
            if one != two and one[:KEY] == two[:KEY]:
                yield one, two
