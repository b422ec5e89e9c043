"""Do VMAs split and merge as mm/vma.c has it?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swaptrace.mm.column import Vma
from swaptrace.replay.space import AddressSpace, ReadAhead, VmArea, find_mergeable_anon_vma

RW, RO = Vma(), Vma(writable=False)


def area(start: int, end: int, vma: Vma = RW, **more: object) -> VmArea:
    return VmArea(start, end, vma, account=True)._replace(**more)  # type: ignore[arg-type]


def modified(
    areas: list[VmArea], index: int, start: int, end: int, vma: Vma, since_6_18: bool = False
) -> list[VmArea]:
    """The areas after new flags for a part of one."""
    space = AddressSpace(tuple(areas))
    space.modify(areas[index], start, end, areas[index]._replace(vma=vma), since_6_18)
    return space.areas


def test_a_part_in_the_middle_is_split_off() -> None:
    """Are there three VMAs afterwards, each with the read-ahead state of the one?"""
    state = ReadAhead(5, 4, 1)
    whole = area(0, 10, readahead=state)
    parts = modified([whole], 0, 3, 6, RO)
    assert [(a.start, a.end, a.vma) for a in parts] == [(0, 3, RW), (3, 6, RO), (6, 10, RW)]
    assert all(a.readahead == state for a in parts)


def test_alike_neighbours_merge_and_the_neighbours_state_lives_on() -> None:
    """Does a part that becomes like both sides make one VMA of three?"""
    left = area(0, 3, anon_vma=1, readahead=ReadAhead(1, 1, 1))
    right = area(6, 10, anon_vma=1, readahead=ReadAhead(2, 2, 2))
    merged = modified([left, area(3, 6, RO, anon_vma=1), right], 1, 3, 6, RW)
    assert merged == [left._replace(end=10)]


def test_different_anon_vmas_keep_alike_neighbours_apart() -> None:
    """Do VMAs stay apart whose pages belong to different anon_vmas?"""
    parts = modified([area(0, 3, anon_vma=1), area(3, 6, RO, anon_vma=2)], 1, 3, 6, RW)
    assert len(parts) == 2


def test_a_neighbour_without_anon_vma_does_not_take_in_one_with() -> None:
    """Is the asymmetry of is_mergeable_anon_vma() kept? An empty chain is not singular."""
    with_it, without = area(0, 3, anon_vma=1), area(3, 6, RO)
    assert len(modified([with_it, without], 1, 3, 6, RW)) == 1
    parts = modified([area(0, 3), area(3, 6, RO, anon_vma=1)], 1, 3, 6, RW)
    assert len(parts) == 2


def test_since_6_18_it_does_unless_a_fork_is_behind_it() -> None:
    """Is it the VMA that has an anon_vma whose chain must be singular (seen on 6.18)?"""
    faulted = area(3, 6, RO, anon_vma=1)
    (merged,) = modified([area(0, 3), faulted], 1, 3, 6, RW, since_6_18=True)
    assert (merged.start, merged.end, merged.anon_vma) == (0, 6, 1)
    (merged,) = modified([area(0, 3, anon_vma=1), area(3, 6, RO)], 1, 3, 6, RW, since_6_18=True)
    assert merged.anon_vma == 1
    cloned = faulted._replace(cloned=True)
    assert len(modified([area(0, 3), cloned], 1, 3, 6, RW, since_6_18=True)) == 2
    other = area(0, 3, anon_vma=2)
    assert len(modified([other, faulted], 1, 3, 6, RW, since_6_18=True)) == 2


def test_clones_merge_with_nothing_but_their_own_anon_vma() -> None:
    """After a fork, does list_is_singular() prevent the merge with a VMA without anon_vma?"""
    cloned = area(0, 3, anon_vma=1, cloned=True)
    assert len(modified([cloned, area(3, 6, RO)], 1, 3, 6, RW)) == 2


def test_an_anon_vma_is_shared_with_a_neighbour_of_other_rights() -> None:
    """Does find_mergeable_anon_vma() look at the next VMA first, and only at access rights?"""
    left, middle, right = area(0, 3, RO, anon_vma=1), area(3, 6), area(6, 9, RO, anon_vma=2)
    assert find_mergeable_anon_vma([left, middle, right], middle) == 2
    locked = right._replace(vma=RO._replace(locked=True))
    assert find_mergeable_anon_vma([left, middle, locked], middle) == 1
    assert find_mergeable_anon_vma([middle, right._replace(start=7)], middle) is None


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(1, 20), st.booleans()), max_size=12))
def test_splitting_and_merging_loses_no_page(changes: list[tuple[int, int, bool]]) -> None:
    """Whatever is changed, do the VMAs cover the same pages, in order, with the last flags?"""
    space, flags = AddressSpace((area(0, 20),)), [RW] * 20
    for start, length, writable in changes:
        at, end, vma = start, min(20, start + length), RW if writable else RO
        while at < end:
            hit = space.within(at, at + 1)[0]
            stop = min(hit.end, end)
            if hit.vma != vma:
                space.modify(hit, at, stop, hit._replace(vma=vma), merges_unfaulted=False)
            at = stop
        flags[start:end] = [vma] * (end - start)
    assert [a.vma for a in space.areas for _ in range(a.end - a.start)] == flags
    assert [end for _, end, _ in space.clipped(0, 20)][:-1] == [a.start for a in space.areas[1:]]
