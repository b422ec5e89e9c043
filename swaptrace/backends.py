"""Swap back ends: the facts about a device that a page's fate depends on, and no others.

The parser, the JSON Schema, the model and the documentation take them from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Backend(NamedTuple):
    """A swap device, with or without zswap in front of it.

    `synchronous_io` is SWP_SYNCHRONOUS_IO: I/O is done when the call returns, so that a
    swap-in of a slot with one reference bypasses the swap cache, and a page that was written
    out is gone at once; without it the page stays in the swap cache when its writeback is
    over. `compressed` that stores go to zswap, which is as synchronous and is counted apart.
    `load_erases` that a load into the swap cache takes the stored copy away and leaves the folio
    dirty, the only copy.
    """

    synchronous_io: bool = False
    compressed: bool = False
    load_erases: bool = False


class BackendInfo(NamedTuple):
    """What a back end is to a page, and what the documentation says of it."""

    traits: Backend
    meaning: str


KNOWN: Final[Mapping[str, BackendInfo]] = MappingProxyType(
    {
        "zram": BackendInfo(Backend(synchronous_io=True), "zram"),
        "zswap": BackendInfo(
            Backend(compressed=True, load_erases=True), "zswap in front of a disk"
        ),
        "disk": BackendInfo(Backend(), "disk, an SSD"),
        "none": BackendInfo(Backend(synchronous_io=True), "none, a machine without swap"),
    }
)
"""By the names of the scenario format: one table, a line a back end. zswap is that of 6.5 and
later, with exclusive loads (b9c91c43412f, the only way since c2e2ba770200, 6.9); 6.1 keeps the
copy. Without swap there is no I/O to wait for."""

NO_SWAP: Final = "none"
"""The back end that has no slots."""

BACKENDS: Final[Mapping[str, Backend]] = MappingProxyType(
    {name: known.traits for name, known in KNOWN.items()}
)

WORDS: Final = "; ".join(known.meaning for known in KNOWN.values())
"""All of them in a sentence."""
