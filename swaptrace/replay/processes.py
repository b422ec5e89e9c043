"""Processes and their regions.

A `SharedRegion` is a region with all processes that share it since a fork: one array of columns,
in which process number i of `members` is mapping number i.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from swaptrace.mm.uffd import Uffd
from swaptrace.replay.runs.region import Region
from swaptrace.replay.space import AddressSpace, VmArea
from swaptrace.scenario.pagescan import Scanned
from swaptrace.vmflags import NO_FLAGS, VmFlag


@dataclass(slots=True)
class SharedRegion:
    """A region: its name, its first page's address (in pages), its pages, who shares it."""

    name: str
    base: int
    region: Region
    members: list[str]

    @property
    def end(self) -> int:
        """One past the last page's address."""
        return self.base + self.region.pages

    def holds(self, area: VmArea) -> bool:
        """Whether a VMA lies within the region, and not in several that touch."""
        return self.base <= area.start and area.end <= self.end


class Lock(Enum):
    """How memory is locked: not at all, with its pages faulted in, or as they come."""

    NONE = "unlocked"
    NOW = "locked"
    ON_FAULT = "locked on fault"

    @property
    def locks(self) -> bool:
        """VM_LOCKED."""
        return self is not Lock.NONE

    def flags_of(self, flags: VmFlag) -> VmFlag:
        """The flags of a VMA that is locked so."""
        if self is Lock.ON_FAULT:
            return flags | VmFlag.LOCKONFAULT
        return flags if flags is NO_FLAGS else flags & ~VmFlag.LOCKONFAULT


@dataclass(slots=True)
class Process:
    """`regions` by name; `families` are all that it is a member of. `registered` are those for
    which it has used a userfaultfd, and which one; a child inherits those with EVENT_FORK. `future`
    is how its new mappings are locked (mm->def_flags), which a child's are not; `scanned` what its
    last scan of page maps has found; `merges` that new mappings are MADV_MERGEABLE
    (MMF_VM_MERGE_ANY)."""

    name: str
    space: AddressSpace
    regions: dict[str, SharedRegion] = field(default_factory=dict)
    registered: dict[str, Uffd] = field(default_factory=dict)
    future: Lock = Lock.NONE
    scanned: Scanned | None = None
    merges: bool = False

    def families(self) -> list[SharedRegion]:
        """Each region that the process shares in, once, in order of mapping."""
        return list(self.regions.values())

    def family_at(self, page: int) -> SharedRegion:
        """The region of a page that is mapped."""
        return next(f for f in self.regions.values() if f.base <= page < f.end)
