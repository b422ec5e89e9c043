"""What the multi-generational LRU looks like at a moment, as /sys/kernel/debug/lru_gen shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from swaptrace.frozen import FrozenValue
from swaptrace.result.jsonfile import Node


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Generation(FrozenValue):
    """How many pages a generation has; the highest number is the youngest."""

    generation: int
    anon: int
    lazyfree: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Tier(FrozenValue):
    """What happened to the pages of a tier since the oldest generation became the oldest."""

    type: Literal["anon", "lazyfree"]
    tier: int
    refaulted: int
    evicted: int
    protected: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LruGen(FrozenValue):
    """The generations from the oldest to the youngest, and the tiers of which anything is known.

    Anonymous pages that were given up (MADV_FREE) are of a type of their own, which for the kernel
    is that of files.
    """

    generations: tuple[Generation, ...]
    tiers: tuple[Tier, ...]


TYPES: Final[tuple[Literal["anon", "lazyfree"], ...]] = ("anon", "lazyfree")
"""LRU_GEN_ANON and LRU_GEN_FILE, of anonymous pages."""


def read_lru_gen(node: Node) -> LruGen:
    """The generations and tiers of a node of JSON."""
    generations, tiers = node.key("generations").array(), node.key("tiers").array()
    return LruGen(tuple(map(_read_generation, generations)), tuple(map(_read_tier, tiers)))


def _read_generation(node: Node) -> Generation:
    return Generation(*(node.key(name).count() for name in ("generation", "anon", "lazyfree")))


def _read_tier(node: Node) -> Tier:
    counts = (node.key(name).count() for name in ("tier", "refaulted", "evicted", "protected"))
    return Tier(TYPES[node.key("type").text() != TYPES[0]], *counts)
