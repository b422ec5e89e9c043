"""Processes and their regions.

A `SharedRegion` is a region with all processes that share it since a fork: one array of columns,
in which process number i of `members` is mapping number i. Regions of one shmem object share that
of the object, and a process is a member once for each.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple

from swaptrace.mm.uffd import Uffd
from swaptrace.replay.runs.region import Region
from swaptrace.replay.space import AddressSpace, VmArea
from swaptrace.scenario.pagescan import Scanned
from swaptrace.vmflags import NO_FLAGS, VmFlag


class ObjectView(NamedTuple):
    """A region of a process that maps an object from its page `first` on."""

    process: str
    region: str
    first: int


@dataclass(slots=True, eq=False)
class ShmemObject:
    """Shared anonymous memory (no `name`), or a file of tmpfs of `size` pages: its pages, those
    beyond its end that are mapped as well, and who maps it. View number i is mapping number i of
    its columns, and `members` are their processes."""

    inode: int
    name: str | None
    size: int
    pages: Region
    views: list[ObjectView] = field(default_factory=list)
    members: list[str] = field(default_factory=list)

    def add(self, view: ObjectView) -> None:
        """Another one, last in line."""
        self.views.append(view)
        self.members.append(view.process)


@dataclass(slots=True)
class SharedRegion:
    """A region: its name, its first page's address (in pages), its pages, who shares it; `of` is
    the object that it maps, from its page `first` on."""

    name: str
    base: int
    region: Region
    members: list[str]
    of: ShmemObject | None = None
    first: int = 0

    @property
    def end(self) -> int:
        """One past the last page's address."""
        return self.base + self.region.pages

    @property
    def whole(self) -> SharedRegion:
        """The region as if all of its object were mapped."""
        if self.of is None:
            return self
        return replace(self, base=self.base - self.first, region=self.of.pages, first=0)

    def member(self, process: str) -> int:
        """Which mapping of the columns is that of a process."""
        if self.of is None:
            return self.members.index(process)
        return self.of.views.index(ObjectView(process, self.name, self.first))

    def seen_at(self, member: int, page: int) -> tuple[str, str, int]:
        """What mapping number `member` calls a page of this region: process, region and page."""
        if self.of is None:
            return self.members[member], self.name, page
        view = self.of.views[member]
        return view.process, view.region, self.first + page - view.first

    @property
    def labels(self) -> tuple[str, ...]:
        """What the mappings of a column are called: by process, and by region where one has several
        of the object."""
        if self.of is None or len(set(self.members)) == len(self.members):
            return tuple(self.members)
        return tuple(f"{view.process} ({view.region})" for view in self.of.views)

    def join(self, process: str) -> None:
        """A process is the last of those that share the region."""
        if self.of is None:
            self.members.append(process)
        else:
            self.of.add(ObjectView(process, self.name, self.first))

    def part(self, process: str) -> None:
        """A process no longer shares it."""
        member = self.member(process)
        del self.members[member]
        if self.of is not None:
            del self.of.views[member]

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
    """`regions` by name; `shared_regions` are all that it is a member of. `registered` are those
    for which it has used a userfaultfd, and which one; a child inherits those with EVENT_FORK.
    `future` is how its new mappings are locked (mm->def_flags), which a child's are not; `scanned`
    what its last scan of page maps has found; `merges` that new mappings are MADV_MERGEABLE
    (MMF_VM_MERGE_ANY); `checksums` are the bytes of pages, by their address, as ksmd saw them last
    (ksm_rmap_item.oldchecksum)."""

    name: str
    space: AddressSpace
    regions: dict[str, SharedRegion] = field(default_factory=dict)
    registered: dict[str, Uffd] = field(default_factory=dict)
    future: Lock = Lock.NONE
    scanned: Scanned | None = None
    merges: bool = False
    checksums: dict[int, int] = field(default_factory=dict)

    def shared_regions(self) -> list[SharedRegion]:
        """Each region that the process shares in, once, in order of mapping."""
        return list(self.regions.values())

    def shared_at(self, page: int) -> SharedRegion:
        """The region of a page that is mapped."""
        return next(f for f in self.regions.values() if f.base <= page < f.end)
