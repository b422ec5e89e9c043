"""Processes and their regions.

A `Family` is a region with all processes that share it since a fork: one array of columns,
in which process number i of `members` is mapping number i.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from swaptrace.replay.runs.region import Region
from swaptrace.replay.space import AddressSpace


@dataclass(slots=True)
class Family:
    """A region: its name, its first page's address (in pages), its pages, who shares it."""

    name: str
    base: int
    region: Region
    members: list[str]

    @property
    def end(self) -> int:
        """One past the last page's address."""
        return self.base + self.region.pages


@dataclass(slots=True)
class Process:
    """`regions` by name; `families` are all that it is a member of. `registered` names those
    that its userfaultfd has been registered for, which a child's has not."""

    name: str
    space: AddressSpace
    regions: dict[str, Family] = field(default_factory=dict)
    registered: set[str] = field(default_factory=set)

    def families(self) -> list[Family]:
        """Each region that the process shares in, once, in order of mapping."""
        return list(self.regions.values())
