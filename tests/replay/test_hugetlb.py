"""Are huge pages of hugetlbfs faulted, shared, reserved and scanned as on a kernel?"""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from tests.effort import some
from tests.replay.naive import naive_replay

PRIVATE = "- {mmap: a, size: 4MiB, flags: MAP_HUGETLB}\n"
SHARED = "- {mmap: s, size: 4MiB, flags: MAP_HUGETLB, shared: true}\n"
ASYNC = "- {uffd_register: %s, mode: wp, features: [WP_ASYNC, WP_HUGETLBFS_SHMEM]}\n"


def ran(steps: str, hugepages: int = 4) -> PolicyResult:
    """What steps come to under both replays; all checks hold, and no promise is broken."""
    text = f"machine: {{kernel: 6.18, hugepages: {hugepages}}}\nsteps:\n{steps}"
    found = replay(load_text(text), policies.find("merged"), pages=True, steps=True)
    slow = naive_replay(load_text(text), policies.find("merged"))
    assert (found.total, found.pages) == (slow.total, slow.pages)
    assert [check for check in found.checks if not check.ok] == []
    assert found.violations == slow.violations == ()
    return found


def test_a_huge_page_takes_one_fault() -> None:
    """Is it there after a read, a copy of its own, and does a write take one fault more?"""
    found = ran(PRIVATE + "- {read: a, length: 4KiB}\n- check: {pages: {a: '512PDX,512D'}}\n"
                "- {write: a, offset: 1MiB, length: 2MiB, value: 3}\n- read: a\n"
                "- check: {pages: {a: 1024PDX}}\n"
                "- check: {data: {a: '256:zero,512:0x03,256:zero'}}\n")  # fmt: skip
    assert found.total == {"minflt": 3, "zero_fill": 2, "wp_reuse": 1}


def test_a_forked_process_copies_what_it_writes() -> None:
    """Does each write in parent and child see its own data, with one copy for both?"""
    found = ran(
        PRIVATE + "- {memset: a, value: 1}\n- fork: c\n"
        "- {check: {pages: {a: 1024PD}}, process: c}\n"
        "- {memset: a, value: 2, process: c}\n- {check: {data: {a: 0x02}}, process: c}\n"
        "- {read_write: a}\n- check: {data: {a: 0x01}, pages: {a: 1024PDX}}\n"
    )
    assert found.total == {"minflt": 6, "zero_fill": 2, "wp_copy": 2, "wp_reuse": 2}


def test_shared_huge_pages_are_the_files() -> None:
    """Does a child find what its parent wrote, with a fault of its own for each?"""
    found = ran(
        SHARED + "- {memset: s, value: 1}\n- fork: c\n- {check: {pages: {s: 1024D}}, process: c}\n"
        "- {read: s, process: c}\n- {memset: s, value: 2, process: c}\n- read: s\n"
        "- check: {data: {s: 0x02}, pages: {s: 1024PD}}\n"
    )
    assert found.total == {"minflt": 4}


@pytest.mark.parametrize(
    ("steps", "fits"),
    some(
        [
            ("", 2),
            ("- {mmap: b, size: 2MiB, flags: [MAP_HUGETLB, MAP_NORESERVE]}\n", 2),
            ("- {mmap: b, size: 2MiB, flags: [MAP_HUGETLB, MAP_NORESERVE]}\n- {read: b}\n", 1),
            ("- {write: a}\n", 2),
            ("- {write: a}\n- fork: c\n- {write: a, process: c}\n", 0),
            ("- {write: a}\n- fork: c\n- {write: a, process: c}\n- exit: c\n", 2),
            ("- {write: a, length: 4KiB}\n- {munmap: a, length: 2MiB}\n", 3),
            ("- {munmap: a}\n", 4),
            ("- {munmap: a}\n" + SHARED, 2),
            ("- {munmap: a}\n" + SHARED + "- {write: s}\n- {munmap: s, length: 2MiB}\n", 2),
            ("- {munmap: a}\n" + SHARED + "- fork: c\n- exit: c\n- {munmap: s}\n", 4),
        ],
        2,
    ),
)
def test_a_mapping_reserves_its_huge_pages(steps: str, fits: int) -> None:
    """Of a pool of four and a mapping of two, how many may another one have?"""
    size = f"{2 * fits or 2}MiB"
    if fits:
        ran(f"{PRIVATE}{steps}- {{mmap: z, size: {size}, flags: MAP_HUGETLB}}\n")
    more = f"{2 * fits + 2}MiB"
    ran(f"{PRIVATE}{steps}- {{mmap: z, size: {more}, flags: MAP_HUGETLB, errno: ENOMEM}}\n")


@pytest.mark.parametrize(("mapped", "kind"), [(PRIVATE, "a"), (SHARED, "s")])
def test_an_asynchronous_write_is_found_by_huge_pages(mapped: str, kind: str) -> None:
    """Does a marker, and a read, keep all of it protected, and a write of a byte show all of it?"""
    file = "F" if kind == "s" else ""
    ran(
        f"{mapped}{ASYNC % kind}- uffd_writeprotect: {kind}\n"
        f"- check: {{pages: {{{kind}: 1024DU}}}}\n"
        f"- {{read: {kind}, length: 1}}\n- {{write: {kind}, offset: 3MiB, length: 1}}\n"
        f"- check: {{pages: {{{kind}: '512PDXU,512PDX'}}}}\n"
        f"- {{pagemap_scan: {kind}, return: [WRITTEN, FILE, PRESENT, HUGE]}}\n"
        f"- check: {{scan: {{pages: '512{file}PH,512W{file}PH'}}}}\n"
        f"- {{pagemap_scan: {kind}, category: WRITTEN, wp: true, vec: false}}\n"
        f"- {{pagemap_scan: {kind}, category: WRITTEN}}\n- check: {{scan: {{regions: 0}}}}\n"
        f"- {{uffd_unregister: {kind}}}\n- {{write: {kind}}}\n"
        f"- check: {{pages: {{{kind}: 1024PDX}}}}\n"
    )


@pytest.mark.parametrize(
    ("step", "errno"),
    [
        ("munmap: a, offset: 1MiB, length: 1MiB", "EINVAL"),
        ("uffd_writeprotect: a, length: 4KiB", "EINVAL"),
        ("uffd_unregister: a, length: 4KiB", "EINVAL"),
        ("uffd_register: a, mode: wp, features: WP_ASYNC, length: 1MiB", "EINVAL"),
    ],
)
def test_a_huge_page_is_not_split(step: str, errno: str) -> None:
    registered = "- {uffd_register: a, mode: wp, features: WP_ASYNC}\n"
    ran(f"{PRIVATE}{registered}- {{{step}, errno: {errno}}}\n")


def test_an_access_that_is_forbidden_is_one_sigsegv() -> None:
    """Does it end the step, and leave the reads before it?"""
    found = ran("- {mmap: a, size: 4MiB, prot: r, flags: MAP_HUGETLB}\n- read_write: a\n")
    assert found.total == {"minflt": 1, "zero_fill": 1, "sigsegv": 1}


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        (PRIVATE + "- {madvise: a, advice: PAGEOUT}\n", "MADV_PAGEOUT of huge pages"),
        (PRIVATE + "- clear_refs: soft_dirty\n", "clear_refs of huge pages"),
        (PRIVATE + "- {access: a, count: 3}\n", "access of huge pages"),
        (PRIVATE + "- uffd_writeprotect: a\n", "only with asynchronous write-protection"),
        (PRIVATE + "- {uffd_register: a, mode: missing}\n", "only with asynchronous"),
        (PRIVATE + "- {pagemap_scan: a, return: HUGE}\n", "depends on page tables"),
        (
            PRIVATE + ASYNC % "a" + "- write: a\n"
            "- {pagemap_scan: a, length: 4KiB, category: WRITTEN, wp: true}\n",
            "protects a part of a huge page",
        ),
        (PRIVATE + "- write: a\n- fork: c\n- fork: d\n- {write: a, process: c}\n- "
         "{write: a, process: d}\n", "no huge page is free"),
        ("- {mmap: a, size: 1MiB, flags: MAP_HUGETLB}\n", "not a multiple of a huge page"),
        ("- {mmap: a, size: 2MiB, at: 0x10001000, flags: MAP_HUGETLB}\n", "is not a multiple"),
        ("- {mmap: a, size: 2MiB, flags: [MAP_HUGETLB, MAP_POPULATE]}\n", "with MAP_POPULATE"),
        ("- {mmap: a, size: 2MiB, flags: MAP_HUGETLB, file: f}\n", "only where it is shared"),
        ("- mlockall: MCL_FUTURE\n" + PRIVATE, "that are locked"),
        (PRIVATE + "- {mmap: a, size: 4KiB, flags: MAP_FIXED}\n", "over a part of huge pages"),
    ],
)  # fmt: skip
def test_what_is_not_modelled_is_said(steps: str, why: str) -> None:
    with pytest.raises(ScenarioError, match=why):
        ran(steps)


@pytest.mark.parametrize(
    "other", ["memory: 8MiB", "thp: 2MiB", "page_size: 16KiB", "hw_dirty: false", "lru_batch: true"]
)
def test_a_machine_has_huge_pages_or_something_else(other: str) -> None:
    with pytest.raises(ScenarioError, match="hugepages: huge pages are modelled only"):
        load_text(f"machine: {{hugepages: 1, {other}}}\nsteps:\n- {{mmap: a, size: 2MiB}}\n")


def test_an_access_to_a_hole_is_one_sigsegv() -> None:
    """Where a part of the huge pages is unmapped, from its first page on?"""
    found = ran(PRIVATE + "- {munmap: a, length: 2MiB}\n- {write: a, order: backward}\n")
    assert found.total == {"minflt": 1, "zero_fill": 1, "sigsegv": 1}
