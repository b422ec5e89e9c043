"""Address spaces: which VMAs a process has, how they split and merge (mm/vma.c).

Addresses are page numbers here. A `VmArea` is a `vm_area_struct`; the part of it that a
page's fault depends on is its `Vma`, which every column of the area repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from swaptrace.mm.column import Vma
from swaptrace.vmflags import NO_FLAGS, VmFlag

NEW_VMA_HITS = 4
"""A new VMA starts as if read-ahead had been hit this often (GET_SWAP_RA_VAL)."""


class ReadAhead(NamedTuple):
    """vm_area_struct.swap_readahead_info: page of the last fault, window, hits since."""

    last: int = 0
    window: int = 0
    hits: int = NEW_VMA_HITS


class VmArea(NamedTuple):
    """One VMA, pages `start` to `end` (exclusive).

    `account` is VM_ACCOUNT; `anon_vma` numbers the anon_vma (None: nothing was ever written
    here); `cloned` is that its chain has more than one link, as after a fork; `flags` are the
    others that matter to merging; `inode` numbers the shmem object that is mapped (vm_file).
    """

    start: int
    end: int
    vma: Vma
    account: bool
    anon_vma: int | None = None
    cloned: bool = False
    readahead: ReadAhead = ReadAhead()
    flags: VmFlag = NO_FLAGS
    inode: int | None = None
    moved: int = 0
    """Pages by which it was moved since something was written there: its vm_pgoff stays."""

    @property
    def mergeable_flags(self) -> tuple[object, ...]:
        """vm_flags as is_mergeable_vma() compares them: without VM_SOFTDIRTY."""
        v = self.vma
        uffd = v.uffd_wp, v.uffd_rwp, v.uffd
        more = self.account, self.flags, self.inode, self.moved
        return (v.readable, v.writable, v.locked, uffd, *more)

    @property
    def backing(self) -> tuple[bool, int | None, int]:
        """What anon_vma_compatible() compares besides flags: VM_ACCOUNT, vm_file and vm_pgoff."""
        return self.account, self.inode, self.moved

    @property
    def singular(self) -> bool:
        """list_is_singular(&vma->anon_vma_chain), which an empty chain is not."""
        return self.anon_vma is not None and not self.cloned


class AddressSpace:
    """The VMAs of one process, ascending and disjoint."""

    __slots__ = ("areas",)

    def __init__(self, areas: tuple[VmArea, ...] = ()) -> None:
        self.areas = list(areas)

    def within(self, start: int, end: int) -> list[VmArea]:
        """The VMAs that have a page in the range, whole."""
        return [a for a in self.areas if a.start < end and start < a.end and start < end]

    def clipped(self, start: int, end: int) -> Iterator[tuple[int, int, VmArea]]:
        """(first page, one past the last, VMA) for each VMA in the range."""
        for area in self.within(start, end):
            yield max(start, area.start), min(end, area.end), area

    def first_from(self, start: int) -> VmArea | None:
        """The first VMA that ends after an address."""
        return next((a for a in self.areas if start < a.end), None)

    def around(self, area: VmArea) -> list[VmArea]:
        """The VMAs that touch one."""
        return [a for a in self.areas if area.start == a.end or a.start == area.end]

    def insert(self, area: VmArea, merges_unfaulted: bool) -> VmArea:
        """vma_merge_new_range(): a new VMA where nothing is mapped; what it has become."""
        index = sum(a.start < area.start for a in self.areas)
        left = self.areas[index - 1] if index else None
        right = self.areas[index] if index < len(self.areas) else None
        left, right = _mergeable(left, area, right, merges_unfaulted)
        merged = _merged(left, area, right)
        self.areas[index - (left is not None) : index + (right is not None)] = [merged]
        return merged

    def unmap(self, start: int, end: int) -> None:
        """munmap(): what lies in the range goes, what sticks out remains."""
        kept: list[VmArea] = []
        for area in self.areas:
            if area.end <= start or end <= area.start:
                kept.append(area)
                continue
            if area.start < start:
                kept.append(area._replace(end=start))
            if end < area.end:
                kept.append(area._replace(start=end))
        self.areas = kept

    def update(self, change: Callable[[VmArea], VmArea]) -> None:
        """Change every VMA in place, without a split or merge."""
        self.areas = [change(area) for area in self.areas]

    def put(self, old: VmArea, new: VmArea) -> None:
        """Change one VMA in place."""
        self.areas[self.areas.index(old)] = new

    def key(self, anon_vmas: dict[int, int]) -> tuple[VmArea, ...]:
        """The VMAs with their anon_vmas numbered in order of appearance."""
        return tuple(
            area
            if area.anon_vma is None
            else area._replace(anon_vma=anon_vmas.setdefault(area.anon_vma, len(anon_vmas)))
            for area in self.areas
        )

    def modify(
        self,
        area: VmArea,
        start: int,
        end: int,
        new: VmArea,
        merges_unfaulted: bool,
    ) -> VmArea:
        """vma_modify(): the flags of `new` for a part of one VMA, which merges with its neighbours
        where they are alike, and is split off where it is not. What the part has become.

        `merges_unfaulted`: a neighbour without an anon_vma takes over that of the part.
        """
        part = new._replace(start=start, end=end)
        index = self.areas.index(area)
        left = self.areas[index - 1] if index and start == area.start else None
        right = self.areas[index + 1] if index + 1 < len(self.areas) and end == area.end else None
        left, right = _mergeable(left, part, right, merges_unfaulted)
        merged = _merged(left, part, right)
        remains = [
            area._replace(end=start) if area.start < start else None,
            merged,
            area._replace(start=end) if end < area.end else None,
        ]
        low = index - (left is not None)
        high = index + 1 + (right is not None)
        self.areas[low:high] = [a for a in remains if a is not None]
        return merged


def _mergeable(
    left: VmArea | None, part: VmArea, right: VmArea | None, merges_unfaulted: bool
) -> tuple[VmArea | None, VmArea | None]:
    """The neighbours that a part merges with."""
    can_merge = _can_merge if merges_unfaulted else _could_merge
    if left is not None and not can_merge(left, part, left.end == part.start):
        left = None
    if right is not None and not can_merge(right, part, right.start == part.end):
        right = None
    if left and right and not _compatible(left, right):
        right = None
    return left, right


def is_mergeable(neighbour: VmArea, part: VmArea, adjacent: bool) -> bool:
    """is_mergeable_vma(); one of huge pages never is (VM_DONTEXPAND, a flag of VM_SPECIAL)."""
    return adjacent and not part.vma.hugetlb and neighbour.mergeable_flags == part.mergeable_flags


def _can_merge(neighbour: VmArea, part: VmArea, adjacent: bool) -> bool:
    """can_vma_merge_after(), can_vma_merge_before(), since 879bca0a2c4f: of two VMAs of which one
    has an anon_vma, that one must not be of a forked process."""
    if not is_mergeable(neighbour, part, adjacent):
        return False
    if neighbour.anon_vma is None and part.anon_vma is not None:
        return part.singular
    if part.anon_vma is None and neighbour.anon_vma is not None:
        return neighbour.singular
    return neighbour.anon_vma == part.anon_vma


def _could_merge(neighbour: VmArea, part: VmArea, adjacent: bool) -> bool:
    """The same before, when it was the neighbour that had to have one."""
    if not is_mergeable(neighbour, part, adjacent):
        return False
    if (neighbour.anon_vma is None or part.anon_vma is None) and neighbour.singular:
        return True
    return neighbour.anon_vma == part.anon_vma


def _compatible(left: VmArea, right: VmArea) -> bool:
    """are_anon_vmas_compatible()."""
    return None in (left.anon_vma, right.anon_vma) or left.anon_vma == right.anon_vma


def _merged(left: VmArea | None, part: VmArea, right: VmArea | None) -> VmArea:
    """vma_merge_existing_range(): the neighbour is extended over the part; its read-ahead state
    lives on, and it takes over an anon_vma if it has none."""
    base = left or right
    if base is None:
        return part
    donor = next((a for a in (base, right, part) if a is not None and a.anon_vma is not None), base)
    return base._replace(
        start=left.start if left else part.start,
        end=right.end if right else part.end,
        vma=part.vma,
        anon_vma=donor.anon_vma,
        cloned=donor.cloned,
    )


def find_mergeable_anon_vma(areas: list[VmArea], area: VmArea) -> int | None:
    """The anon_vma of a neighbour that differs in its access rights alone, the next one first."""
    index = areas.index(area)
    following = areas[index + 1] if index + 1 < len(areas) else None
    preceding = areas[index - 1] if index else None
    if following and following.start == area.end and _reusable(following, area):
        return following.anon_vma
    if preceding and preceding.end == area.start and _reusable(preceding, area):
        return preceding.anon_vma
    return None


def _reusable(neighbour: VmArea, area: VmArea) -> bool:
    """anon_vma_compatible() and reusable_anon_vma()."""
    a, b = neighbour.vma, area.vma
    alike = (a.locked, a.uffd_wp, a.uffd_rwp) == (b.locked, b.uffd_wp, b.uffd_rwp)
    alike = alike and a.uffd.missing == b.uffd.missing
    same = neighbour.backing == area.backing
    return alike and same and neighbour.singular
