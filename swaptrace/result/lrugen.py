"""What the multi-generational LRU looks like at a moment, as /sys/kernel/debug/lru_gen shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Generation:
    """How many pages a generation has; the highest number is the youngest."""

    generation: int
    anon: int
    lazyfree: int


@dataclass(frozen=True, slots=True)
class Tier:
    """What happened to the pages of a tier since the oldest generation became the oldest."""

    type: Literal["anon", "lazyfree"]
    tier: int
    refaulted: int
    evicted: int
    protected: int


@dataclass(frozen=True, slots=True)
class LruGen:
    """The generations from the oldest to the youngest, and the tiers of which anything is known.

    Anonymous pages that were given up (MADV_FREE) are of a type of their own, which for the kernel
    is that of files.
    """

    generations: tuple[Generation, ...]
    tiers: tuple[Tier, ...]


TYPES: Final[tuple[Literal["anon", "lazyfree"], ...]] = ("anon", "lazyfree")
"""LRU_GEN_ANON and LRU_GEN_FILE, of anonymous pages."""
