"""Where regions lie: addresses in bytes, the choice where a scenario makes none."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final, TypeAlias

Range: TypeAlias = tuple[int, int]
"""Where one begins, and one past its end."""

ADDRESS_LIMIT: Final = 1 << 47
"""One past the last byte of the user address space (x86-64, four-level page tables)."""

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


def without(parts: tuple[Range, ...], start: int, end: int) -> tuple[Range, ...]:
    """What is left of ranges, ascending and disjoint, when one is taken out."""
    first = bisect_right(parts, start, key=lambda part: part[1])
    last = bisect_left(parts, end, key=lambda part: part[0])
    touched = parts[first:last]
    left = [(low, start) for low, _ in touched[:1] if low < start]
    right = [(end, high) for _, high in touched[-1:] if high > end]
    return (*parts[:first], *left, *right, *parts[last:])


def joined(parts: Iterable[Range]) -> tuple[Range, ...]:
    """Ranges in order, those that touch or overlap made one."""
    found: list[Range] = []
    for start, end in sorted(parts):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return tuple(found)
