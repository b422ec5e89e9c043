"""Where regions lie: addresses in bytes, the choice where a scenario makes none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

REGION_ALIGNMENT: Final = 2 << 20
"""Where the scenario does not say, a region begins at a multiple of this."""


def first_fit(taken: Iterable[tuple[int, int]], size: int, gap: int) -> int:
    """The lowest aligned address for a new region with `gap` free bytes on either side.

    `taken` are the regions that there are, as address and end. The gap keeps regions from
    being one VMA; mapping and unmapping over and over does not creep upwards.
    """
    base = REGION_ALIGNMENT
    for start, end in sorted(taken):
        if base + size + gap <= start:
            break
        if base < end + gap:
            base = -(-(end + gap) // REGION_ALIGNMENT) * REGION_ALIGNMENT
    return base
