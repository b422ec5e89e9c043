"""Are mappings made, replaced and merged as mm/mmap.c, mm/vma.c and mm/mlock.c have it?"""

from __future__ import annotations

from itertools import pairwise

import pytest

from swaptrace import policies
from swaptrace.mm.column import Vma
from swaptrace.replay.engine import Replay, replay
from swaptrace.replay.space import AddressSpace, VmArea
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from tests.replay.naive import naive_replay

NEXT = "- {mmap: a, size: 16KiB, at: 0x400000}\n"


def run(steps: str, machine: str = "") -> PolicyResult:
    text = f"machine: {{{machine}}}\nsteps:\n{steps}"
    scenario = load_text(text, "a")
    found = replay(scenario, policies.find("merged"), steps=True, pages=True)
    seen = naive_replay(scenario, policies.find("merged"))
    assert found.pages == seen.pages
    assert found.total == seen.total
    return found


def pages(steps: str) -> dict[str, str]:
    """The page maps of the first process."""
    found = run(steps).pages
    assert found is not None
    return dict(found["main"])


def bounds(steps: str, kernel: str = "6.12") -> list[tuple[int, int]]:
    """The VMAs of the first process, in pages from 0x400000 on."""
    scenario = load_text(f"machine: {{kernel: {kernel}}}\nsteps:\n{steps}", "a")
    under = Replay(scenario, policies.find("merged"))
    under.steps(scenario.steps, "", None, under.record)
    areas = under.world.processes["main"].space.areas
    assert all(low.end <= high.start for low, high in pairwise(areas))
    return [(area.start - 0x400, area.end - 0x400) for area in areas]


@pytest.mark.parametrize(
    ("flags", "prot", "expected"),
    [
        ("MAP_POPULATE", "rw", "4PDX"),
        ("MAP_POPULATE", "r", "4PD"),
        ("MAP_POPULATE", "none", "4D"),
        ("MAP_LOCKED", "w", "4PDX"),
        ("MAP_NORESERVE", "rwx", "4D"),
        ("[MAP_GROWSDOWN, MAP_POPULATE]", "rw", "4PDX"),
    ],
)
def test_flags_populate(flags: str, prot: str, expected: str) -> None:
    """Are pages faulted in for writing where that is permitted, else for reading?"""
    assert pages(f"- {{mmap: a, size: 16KiB, prot: {prot}, flags: {flags}}}") == {"a": expected}


def test_what_can_be_written_can_be_read() -> None:
    """Does x86 read a mapping of PROT_WRITE alone, but MADV_POPULATE_READ refuse it?"""
    steps = """
- {mmap: a, size: 16KiB, prot: w}
- {read: a, length: 4KiB}
- {madvise: a, advice: POPULATE_READ, errno: EINVAL}
- {madvise: a, advice: POPULATE_WRITE, offset: 8KiB}
"""
    assert pages(steps) == {"a": "1PD,1D,2PDX"}


def test_regions_that_touch_are_one_vma() -> None:
    """Do they merge if their flags are alike, and not if one differs that faults do not ask for?"""
    assert bounds(f"{NEXT}- {{mmap: b, size: 4KiB, at: 0x404000}}") == [(0, 5)]
    assert bounds(f"{NEXT}- {{mmap: b, size: 4KiB, at: 0x3ff000}}") == [(-1, 4)]
    for other in ("prot: rwx", "prot: r", "flags: MAP_NORESERVE", "flags: MAP_LOCKED"):
        steps = f"{NEXT}- {{mmap: b, size: 4KiB, at: 0x404000, {other}}}"
        assert bounds(steps) == [(0, 4), (4, 5)], other


def test_a_mapping_over_a_part_takes_its_place() -> None:
    """Are its pages new, whoever else has the region, and does it merge with what is around it?"""
    steps = f"""{NEXT}
- {{memset: a, value: 1}}
- fork: child
- {{mmap: a, size: 8KiB, offset: 4KiB, flags: MAP_FIXED}}
- check: {{pages: {{a: '1P,2-,1P'}}, data: {{a: '1:0x01,2:zero,1:0x01'}}}}
- check: {{pages: {{a: '1P,2PX,1P'}}, data: {{a: 0x01}}}}
  process: child
"""
    assert all(check.ok for check in run(steps).checks)
    assert bounds(steps) == [(0, 4)]
    over = "- {mmap: a, size: 4KiB, prot: r, flags: MAP_FIXED}"
    assert bounds(steps + over) == [(0, 1), (1, 4)]


def test_a_hole_can_be_filled() -> None:
    """May a part that was unmapped be mapped again, and used?"""
    steps = f"""{NEXT}
- {{munmap: a, offset: 8KiB}}
- {{mmap: a, offset: 12KiB, size: 4KiB, flags: MAP_FIXED}}
- {{write: a, offset: 12KiB}}
"""
    assert bounds(steps) == [(0, 2), (3, 4)]
    assert pages(steps) == {"a": "2D,1-,1PDX"}


def test_a_new_mapping_makes_its_neighbour_soft_dirty() -> None:
    """Is VM_SOFTDIRTY, which does not keep VMAs from merging, that of the new one for all of it?"""
    steps = f"{NEXT}- {{write: a}}\n- {{clear_refs: soft_dirty}}\n"
    assert pages(steps) == {"a": "4PX"}
    assert pages(f"{steps}- {{mmap: b, size: 4KiB, at: 0x404000}}") == {"a": "4PDX", "b": "1D"}


def test_read_ahead_goes_from_one_region_to_the_next() -> None:
    """Does a window end where the VMA does, and not where a region does?"""
    steps = """
- {mmap: a, size: 16KiB, at: 0x400000}
- {mmap: b, size: 16KiB, at: 0x404000}
- {memset: a, value: 1}
- {memset: b, value: 1}
- {madvise: a, advice: PAGEOUT}
- {madvise: b, advice: PAGEOUT}
- fork: child
- {read: a, offset: 12KiB}
- {read: b}
"""
    counted = run(steps).steps
    assert counted is not None
    assert counted[-2].counters["swap_ra"] > 3
    assert counted[-1].counters["swap_ra_hit"] > 0
    scenario = load_text(f"machine: {{memory: 1MiB}}\nsteps:\n{steps}")
    limited = replay(scenario, policies.find("merged"), steps=True).steps
    assert limited is not None
    for one, other in zip(counted, limited, strict=True):
        assert one.counters.get("majflt", 0) == other.counters.get("majflt", 0)


def test_what_is_refused() -> None:
    """Does every system call give the errno of its own for a range that is not in order?"""
    run(f"""{NEXT}
- {{munmap: a, offset: 100, errno: EINVAL}}
- {{munmap: a, length: 0, errno: EINVAL}}
- {{mprotect: a, prot: r, offset: 100, errno: EINVAL}}
- {{mprotect: a, prot: r, length: 1MiB, errno: ENOMEM}}
- {{madvise: a, advice: COLD, offset: 1, errno: EINVAL}}
- {{madvise: a, advice: COLD, offset: 1MiB, length: 4KiB, errno: ENOMEM}}
- {{mlock: a, length: 1MiB, errno: ENOMEM}}
- {{munlock: a, length: 1MiB, errno: ENOMEM}}
- {{uffd_writeprotect: a, length: 0, errno: EINVAL}}
- {{uffd_writeprotect: a, offset: 1, length: 4KiB, errno: EINVAL}}
- {{pin: a, length: 0, errno: EFAULT}}
- {{mmap: b, size: 0, errno: EINVAL}}
- {{mlock: a}}
- {{madvise: a, advice: COLD, errno: EINVAL}}
- {{mmap: a, offset: 1, size: 4KiB, flags: MAP_FIXED, errno: EINVAL}}
""")


def test_locked_memory_is_limited() -> None:
    """Does what is locked already count, once, and has each call an errno of its own?"""
    run(
        """
- {mmap: a, size: 64KiB}
- {mlock: a, errno: ENOMEM}
- {mlock: a, length: 32KiB}
- {mlock: a, offset: 28KiB, length: 4KiB}
- {mlock: a, offset: 28KiB, length: 8KiB, errno: ENOMEM}
- {mlockall: MCL_CURRENT, errno: ENOMEM}
- {mmap: b, size: 4KiB, flags: MAP_LOCKED, errno: EAGAIN}
- {munlock: a, length: 4KiB}
- {mmap: b, size: 4KiB, flags: MAP_LOCKED}
- {mlockall: MCL_FUTURE}
- {mmap: c, size: 4KiB, errno: EAGAIN}
- fork: child
- {mmap: c, size: 4KiB, process: child}
- {mlock: a, length: 32KiB, process: child}
""",
        "memlock: 32KiB",
    )
    nothing = "- {mmap: a, size: 4KiB}\n- {munlock: a}\n"
    for call in ("mlock: a", "mlockall: MCL_FUTURE", "mmap: b, size: 4KiB, flags: MAP_LOCKED"):
        run(f"{nothing}- {{{call}, errno: EPERM}}", "memlock: 0")


def test_an_empty_range_is_none() -> None:
    """Does no system call look at the VMA that it lies within?"""
    space = AddressSpace((VmArea(0, 8, Vma(locked=True), account=True),))
    assert not list(space.clipped(4, 4))
    assert not space.within(4, 4)


def test_a_mapping_that_grows_down_merges_only_with_its_like() -> None:
    """Is VM_GROWSDOWN a flag of the VMA?"""
    low, high = "mmap: a, size: 16KiB, at: 0x400000000", "mmap: b, size: 16KiB, at: 0x400004000"
    grows = "flags: MAP_GROWSDOWN"
    assert len(bounds(f"- {{{low}, {grows}}}\n- {{{high}}}\n")) == 2
    assert len(bounds(f"- {{{low}, {grows}}}\n- {{{high}, {grows}}}\n")) == 1


@pytest.mark.parametrize("how", ["shared: true", "file: f", "file: f, shared: true"])
def test_only_private_anonymous_memory_grows_down(how: str) -> None:
    """Does do_mmap() refuse objects?"""
    flags = "flags: MAP_GROWSDOWN, errno: EINVAL"
    assert pages(f"- {{mmap: a, size: 16KiB}}\n- {{mmap: b, size: 4KiB, {how}, {flags}}}") == {
        "a": "4D"
    }


@pytest.mark.parametrize(
    ("kernel", "merged", "twice"), [("6.18", "4-", "4-"), ("6.19", "2D,2-", "4D")]
)
def test_what_takes_in_a_soft_dirty_part_is_soft_dirty_since_6_19(
    kernel: str, merged: str, twice: str
) -> None:
    """Is it so as a whole (seen on 7.2.12 and 7.3.4), and was it, before, as the part that changed
    last (6.18.15)?"""
    new = (
        f"{NEXT}- {{clear_refs: soft_dirty}}\n"
        "- {mmap: a, size: 4KiB, offset: 4KiB, flags: [MAP_FIXED], prot: r}\n"
    )
    for steps, shown in (
        ("- {mprotect: a, length: 4KiB, prot: r}\n", merged),
        ("- {mprotect: a, length: 4KiB, prot: r}\n- {mprotect: a, offset: 8KiB, prot: r}\n", twice),
    ):
        found = run(new + steps, f"kernel: '{kernel}'").pages
        assert found is not None
        assert found["main"]["a"] == shown
