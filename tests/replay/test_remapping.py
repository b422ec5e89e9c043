"""Are mappings moved and resized as mm/mremap.c has it?"""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import replay, world_of
from swaptrace.replay.execution import execute
from swaptrace.replay.table import Table
from swaptrace.replay.tally import Tally
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from tests.replay.naive import naive_replay

SWAPPED = """
- {mmap: a, size: 64KiB, at: 0x400000}
- {memset: a, value: 1}
- {madvise: a, advice: PAGEOUT, length: 32KiB}
"""
MOVE = "flags: [MREMAP_MAYMOVE, MREMAP_FIXED]"


def run(steps: str, machine: str = "") -> PolicyResult:
    scenario = load_text(f"machine: {{{machine}}}\nsteps:\n{steps}", "a")
    found = replay(scenario, policies.find("merged"), steps=True, pages=True)
    seen = naive_replay(scenario, policies.find("merged"))
    assert found.pages == seen.pages
    assert found.total == seen.total
    assert [check for check in found.checks if not check.ok] == []
    return found


def test_swap_entries_move_along() -> None:
    """Are what is swapped out and what is present at the new place, soft-dirty, with their data?"""
    run(f"""{SWAPPED}
- {{clear_refs: soft_dirty}}
- check: {{pages: {{a: '8Sd,8PXd'}}}}
- {{mremap: a, size: 64KiB, to: 0x801000, {MOVE}}}
- check: {{pages: {{a: '8SD,8PXD'}}, data: {{a: 0x01}}, violations: []}}
- {{read: a}}
- check: {{pages: {{a: 16PXD}}, data: {{a: 0x01}}, violations: []}}
""")


@pytest.mark.parametrize(
    ("at", "to", "kernel", "marked"),
    [
        (0x400000, 0xC00000, "6.12", "512Pd,512Pd,1PD"),
        (0x401000, 0xC01000, "6.12", "511Pd,512Pd,2PD"),
        (0x401000, 0xC01000, "6.6", "511PD,512Pd,2PD"),
        (0x400000, 0xC01000, "6.12", "1025PD"),
    ],
)
def test_a_whole_page_table_keeps_its_bits(at: int, to: int, kernel: str, marked: str) -> None:
    """Is it moved as one where both places begin alike (move_normal_pmd, try_realign_addr)?"""
    run(
        f"""
- {{mmap: a, size: 4100KiB, at: {at:#x}}}
- {{read: a}}
- {{clear_refs: soft_dirty}}
- {{mremap: a, size: 4100KiB, to: {to:#x}, {MOVE}}}
- check: {{pages: {{a: '{marked}'}}}}
""",
        f"kernel: '{kernel}'",
    )


def test_it_grows_where_it_is_if_it_can() -> None:
    """Does it else move, if it may, and is a locked one populated?"""
    run(f"""{SWAPPED}
- {{mremap: a, size: 128KiB}}
- {{mmap: b, size: 4KiB, at: 0x420000, prot: r}}
- {{mremap: a, size: 132KiB, errno: ENOMEM}}
- {{mremap: a, size: 132KiB, flags: MREMAP_MAYMOVE}}
- check: {{pages: {{a: '8S,8PX,17-'}}}}
- {{mremap: a, size: 24KiB}}
- check: {{pages: {{a: 6S}}}}
- {{mlock: a}}
- {{mremap: a, size: 32KiB}}
- check: {{pages: {{a: 8PX}}}}
""")


def test_dontunmap_leaves_an_empty_mapping() -> None:
    """Have the pages another name, and is the old mapping new, and unlocked?"""
    run(f"""{SWAPPED}
- {{mlock: a}}
- {{mremap: a, size: 64KiB, as: b, flags: [MREMAP_MAYMOVE, MREMAP_DONTUNMAP]}}
- check: {{pages: {{a: 16-, b: 16PX}}, data: {{a: zero, b: 0x01}}}}
- {{madvise: b, advice: PAGEOUT, errno: EINVAL}}
- {{write: a}}
- {{madvise: a, advice: PAGEOUT}}
- check: {{pages: {{a: 16S}}}}
""")


def test_the_protection_of_a_userfaultfd_does_not_move() -> None:
    """Is the new mapping not registered, and its pages not protected, but before 6.12? 6.1 has it
    from its stable releases."""
    steps = f"""{SWAPPED}
- {{uffd_writeprotect: a}}
- {{mremap: a, size: 64KiB, to: 0x801000, {MOVE}}}
- check: {{pages: {{a: '%s'}}}}
- {{write: a}}
"""
    assert "uffd_wp" not in run(steps % "8S,8PX").total
    assert "uffd_wp" not in run(steps % "8S,8PX", "kernel: '6.1'").total
    assert "uffd_wp" not in run(steps % "8SU,8PXU", "kernel: '6.2'").total


def test_a_region_that_a_child_shares_moves_in_one_process() -> None:
    """Are the pages still shared, at two addresses, and reused once the child is gone?"""
    found = run(f"""{SWAPPED}
- fork: child
- {{mremap: a, size: 64KiB, to: 0x801000, {MOVE}}}
- {{write: a, offset: 32KiB, length: 16KiB, value: 2}}
- check: {{data: {{a: '8:0x01,4:0x02,4:0x01'}}, pages: {{a: '8SD,4PXD,4PD'}}}}
- check: {{data: {{a: 0x01}}, pages: {{a: '8SD,4PXD,4PD'}}}}
  process: child
- fork: second
- {{mremap: a, size: 64KiB, to: 0xa00000, {MOVE}, process: child}}
- {{access: a, count: 100, write_share: 0.3, process: child}}
- {{madvise: a, advice: PAGEOUT}}
- {{access: a, count: 100, pattern: zipf, write_share: 0.3}}
- {{read: a, process: second}}
- exit: child
- exit: second
- {{write: a}}
- {{mremap: a, size: 128KiB, flags: MREMAP_MAYMOVE}}
- {{write: a}}
- check: {{pages: {{a: 32PXD}}}}
""")
    assert found.violations == ()


def test_shared_memory_that_stays_behind_stays_registered() -> None:
    """Does each page that MREMAP_DONTUNMAP leaves take a fault of its own, as where a userfaultfd
    write-protects? Linux 6.18.44 counts 16."""
    found = run("""
- {mmap: a, size: 64KiB, shared: true}
- {write: a}
- {uffd_register: a, mode: wp, features: WP_ASYNC}
- {mremap: a, size: 64KiB, as: b, flags: [MREMAP_MAYMOVE, MREMAP_DONTUNMAP]}
- measure: left
  steps: [{read: a}]
""")
    assert found.windows["left"]["minflt"] == 16


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("before", ["mlock: a", "uffd_register: a, mode: wp"])
def test_the_pages_of_a_region_are_of_its_vma(before: str, shared: bool) -> None:
    """Also of what MREMAP_DONTUNMAP leaves behind, which is not locked, and what moves, which is
    not registered?"""
    scenario = load_text(
        f"""
steps:
- {{mmap: a, size: 64KiB, shared: {str(shared).lower()}}}
- {{write: a}}
- {{{before}}}
- {{mremap: a, size: 64KiB, as: b, flags: [MREMAP_MAYMOVE, MREMAP_DONTUNMAP]}}
""",
        "a",
    )
    world = world_of(scenario.machine, Table(policies.find("merged")))
    for step in scenario.steps:
        assert execute(world, Tally(), step) is None
    process = world.processes["main"]
    for region in process.regions.values():
        member = region.member("main")
        vmas = {world.table.columns[number].maps[member].vma for number in region.region.numbers()}
        assert vmas == {area.vma for area in process.space.within(region.base, region.end)}


def test_what_is_refused() -> None:
    """Has each mistake the errno that the kernel gives?"""
    run(
        f"""{SWAPPED}
- {{mremap: a, size: 0, errno: EINVAL}}
- {{mremap: a, size: 64KiB, to: 0x800000, flags: MREMAP_FIXED, errno: EINVAL}}
- {{mremap: a, size: 64KiB, to: 0x800001, {MOVE}, errno: EINVAL}}
- {{mremap: a, size: 64KiB, to: 0x408000, {MOVE}, errno: EINVAL}}
- {{mremap: a, size: 4KiB, as: b, flags: [MREMAP_MAYMOVE, MREMAP_DONTUNMAP], errno: EINVAL}}
- {{mlock: a, length: 4KiB}}
- {{mremap: a, size: 128KiB, flags: MREMAP_MAYMOVE, errno: EFAULT}}
- {{munlock: a}}
- {{mlock: a}}
- {{mremap: a, size: 128KiB, flags: MREMAP_MAYMOVE, errno: EAGAIN}}
- {{munmap: a}}
- {{mremap: a, size: 64KiB, errno: EFAULT}}
""",
        "memlock: 64KiB",
    )


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("{mremap: a, size: 64KiB, flags: [MREMAP_MAYMOVE, FIXED]}", "needs .to.,"),
        ("{mremap: a, size: 64KiB, to: 0x800000}", "without MREMAP_FIXED"),
        ("{mremap: a, size: 64KiB, as: b}", "without MREMAP_DONTUNMAP"),
        (f"{{mremap: a, size: 64KiB, to: 0x400000, {MOVE}}}", "overlaps region 'a'"),
        ("{mremap: a, size: 64KiB, flags: [MAYMOV]}", "did you mean 'MREMAP_MAYMOVE'"),
        ("{mremap: c, size: 64KiB}", "has no region 'c'"),
        ("{mremap: a, size: 4KiB, flags: [MAYMOVE, DONTUNMAP], as: a}", "there is a region 'a'"),
    ],
)
def test_a_mistake_is_told_once(step: str, why: str) -> None:
    """Is there one message, the right one?"""
    with pytest.raises(ScenarioError, match=why) as error:
        load_text(f"steps:{SWAPPED}- {step}\n")
    assert len(error.value.problems) == 1


@pytest.mark.parametrize(
    ("steps", "machine", "why"),
    [
        ("- fork: child\n- {mremap: a, size: 4KiB}", "", "another process"),
        (
            "- fork: child\n- {mremap: a, size: 64KiB, flags: [MAYMOVE, DONTUNMAP], as: b}",
            "",
            "another process",
        ),
        ("- {mremap: a, size: 4KiB}", "memory: 1MiB", "under a memory limit"),
    ],
)
def test_what_is_not_modelled_says_so(steps: str, machine: str, why: str) -> None:
    """Is it an error, and no guess?"""
    scenario = load_text(f"machine: {{{machine}}}\nsteps:{SWAPPED}{steps}\n")
    with pytest.raises(ScenarioError, match=why):
        replay(scenario, policies.find("merged"))
