"""Are large folios moved and resized as mm/mremap.c has it? Linux 6.18.44 gave these pages and
counts."""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from tests.replay.test_blocks import agree

FIXED = "flags: [MREMAP_MAYMOVE, MREMAP_FIXED]"
KEPT = "flags: [MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP]"
TOUCHED = "- {mmap: a, size: %s, at: 0x400000}\n- {write: a}\n"


def run(steps: str, thp: str = "64KiB") -> PolicyResult:
    scenario = load_text(f"machine: {{thp: {thp}, kernel: '6.18'}}\nsteps:\n{steps}", "a")
    agree(scenario, "merged")
    return replay(scenario, policies.find("merged"), steps=True, pages=True)


@pytest.mark.parametrize(
    ("to", "whole", "faults"), [(0x800000, 3, 3), (0x810000, 3, 3), (0x808000, 3, 48)]
)
def test_a_folio_goes_to_swap_whole_wherever_it_lies(to: int, whole: int, faults: int) -> None:
    """Does it come back whole only where its pages are aligned as its slots are?"""
    total = run(f"""{TOUCHED % "192KiB"}
- {{mremap: a, size: 192KiB, to: {to:#x}, {FIXED}}}
- {{madvise: a, advice: PAGEOUT}}
- {{read: a}}
""").total
    assert (total["mthp_swpout"], total["majflt"]) == (whole, faults)


def test_what_is_written_beside_moved_folios_is_aligned_anew() -> None:
    """Do new folios lie where they would without the old ones?"""
    total = run(f"""{TOUCHED % "128KiB"}
- {{mremap: a, size: 512KiB, to: 0x808000, {FIXED}}}
- {{write: a}}
- {{madvise: a, advice: PAGEOUT}}
""").total
    assert (total["mthp_fault_alloc"], total["mthp_swpout"], total["minflt"]) == (7, 7, 23)


def test_an_entry_of_2_mib_moves_as_one() -> None:
    """Is it marked as soft-dirty, which a page table that moves as one is not, and is there room
    for another such entry where it was?"""
    found = run(
        f"""{TOUCHED % "4MiB"}
- {{madvise: a, advice: PAGEOUT, offset: 2MiB}}
- {{clear_refs: soft_dirty}}
- {{mremap: a, size: 4MiB, to: 0x10000000, as: b, {KEPT}}}
- check: {{pages: {{b: '512PDX,512S', a: '1024-'}}}}
- {{write: a}}
- {{write: b, length: 2MiB}}
""",
        "2MiB",
    )
    assert (found.total["thp_fault_alloc"], found.total["minflt"]) == (4, 5)


def test_an_entry_of_2_mib_stays_one() -> None:
    """Do its pages look like its first one, of which a child has given up others?"""
    found = run(
        f"""{TOUCHED % "4MiB"}
- fork: child
- {{madvise: a, advice: DONTNEED, offset: 980KiB, length: 2916KiB, process: child}}
- {{mremap: a, size: 4MiB, to: 0x10000000, {FIXED}}}
""",
        "2MiB",
    )
    assert found.pages is not None
    assert found.pages["main"]["a"] == "512PD,512PDX"


def test_what_a_huge_entry_maps_is_moved_page_by_page_elsewhere() -> None:
    """Is a page table left where it was, so that a write there brings in one page?"""
    total = run(
        f"""
- {{mmap: a, size: 2MiB, at: 0x400000}}
- {{read: a}}
- {{mremap: a, size: 2MiB, to: 0x10001000, as: b, {KEPT}}}
- {{write: a, length: 4KiB}}
- {{read: b}}
""",
        "2MiB",
    ).total
    assert (total.get("thp_fault_alloc", 0), total["minflt"]) == (0, 2)


def test_a_folio_of_which_the_end_is_cut_off_is_split() -> None:
    """Is it mapped in part from then on, also once the region has grown again, or has a child?"""
    total = run(f"""{TOUCHED % "64KiB"}
- {{mremap: a, size: 24KiB}}
- fork: child
- exit: child
- {{mremap: a, size: 64KiB}}
- {{write: a, offset: 32KiB}}
- {{mremap: a, size: 64KiB, to: 0x801000, {FIXED}}}
- {{madvise: a, advice: PAGEOUT}}
""").total
    assert (total["mthp_split"], total["pswpout"]) == (1, 14)
    assert "mthp_swpout" not in total


def test_a_child_stays_where_the_folios_were() -> None:
    """Are they shared, at two addresses, until one process has them alone?"""
    found = run(f"""{TOUCHED % "128KiB"}
- fork: child
- {{mremap: a, size: 128KiB, to: 0x800000, {FIXED}}}
- {{madvise: a, advice: PAGEOUT}}
- check: {{pages: {{a: 32PD}}}}
- {{write: a, length: 64KiB, process: child}}
- exit: main
- {{madvise: a, advice: PAGEOUT, process: child}}
""")
    assert found.pages is not None
    assert found.pages["child"]["a"] == "32SD"


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        (f"- {{mremap: a, size: 64KiB, to: 0x9f8000, {FIXED}}}", "two page tables map it"),
        (f"- fork: c\n- {{mremap: a, size: 64KiB, to: 0x801000, {FIXED}}}", "a multiple of 2 MiB"),
        (
            f"- {{mmap: b, size: 4KiB}}\n- {{mremap: a, size: 64KiB, to: 0x210000, {FIXED}}}",
            "share",
        ),
    ],
)
def test_what_is_not_modelled_says_so(steps: str, why: str) -> None:
    """Is it an error, and no guess?"""
    with pytest.raises(ScenarioError, match=why):
        run(TOUCHED % "64KiB" + steps)
