"""What a debugger writes, and pages that move to other page frames."""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from tests.replay.blocks import page_by_page


def replayed(steps: str, machine: str = "kernel: 6.18") -> PolicyResult:
    """The steps under the kernel's own policy; every check must hold."""
    scenario = load_text(f"machine: {{{machine}}}\nsteps:\n{steps}", "test.yaml")
    found = replay(scenario, policies.find("merged"))
    assert [check for check in found.checks if not check.ok] == []
    return found


def in_large_folios(steps: str, size: str = "16KiB") -> PolicyResult:
    """The same with large folios, which comes to the same page by page."""
    machine = f"kernel: 6.18, thp: {size}"
    found = replayed(steps, machine)
    with page_by_page():
        assert replayed(steps, machine).total == found.total
    return found


@pytest.mark.parametrize("prot", ["r", "none"])
def test_a_debugger_writes_where_the_process_may_not(prot: str) -> None:
    """Has the page the data then, and does a write by the process still end in SIGSEGV?"""
    found = replayed(
        f"- {{mmap: a, size: 8KiB, prot: {prot}}}\n- {{poke: a, value: 1, length: 4KiB}}\n"
        "- {write: a}\n- check: {pages: {a: '1PX,1-'}, data: {a: '1:0x01,1:zero'}}\n"
    )
    assert (found.total["sigsegv"], found.total["minflt"]) == (1, 1)


def test_a_second_write_by_a_debugger_takes_no_fault() -> None:
    """Is an exclusive page of a read-only mapping written as it is (can_follow_write_pte())?"""
    steps = "- {mmap: a, size: 4KiB, prot: r}\n- {poke: a, value: 1}\n- {poke: a, value: 2}\n"
    found = replayed(steps + "- check: {data: {a: 2}, violations: []}\n")
    assert found.total["minflt"] == 1


def test_a_debugger_leaves_a_child_its_data() -> None:
    """Is a page that is shared after a fork copied?"""
    replayed(
        "- {mmap: a, size: 4KiB}\n- {write: a, value: 1}\n- fork: child\n- {poke: a, value: 2}\n"
        "- check: {data: {a: 2}, violations: []}\n- check: {data: {a: 1}}\n  process: child\n"
    )


def test_a_forced_write_is_soft_dirty() -> None:
    """Does a write by a debugger show after clear_refs?"""
    replayed(
        "- {mmap: a, size: 4KiB}\n- {write: a, value: 1}\n- {mprotect: a, prot: r}\n"
        "- {clear_refs: soft_dirty}\n- check: {pages: {a: 1PXd}}\n- {poke: a, value: 2}\n"
        "- check: {pages: {a: 1PXD}, violations: []}\n"
    )


def test_a_debugger_does_not_wait_for_a_userfaultfd() -> None:
    """Is a write to a protected page refused?"""
    replayed(
        "- {mmap: a, size: 4KiB}\n- {write: a}\n- {uffd_writeprotect: a}\n"
        "- {poke: a, value: 2, errno: EIO}\n- check: {data: {a: unchanged}, violations: []}\n"
    )


def test_shared_memory_and_holes_are_refused() -> None:
    """Is what cannot be copied not written, and what comes before a hole?"""
    replayed("- {mmap: a, size: 4KiB, shared: true, prot: r}\n- {poke: a, value: 2, errno: EIO}\n")
    replayed(
        "- {mmap: a, size: 8KiB}\n- {munmap: a, offset: 4KiB, length: 4KiB}\n"
        "- {poke: a, value: 2, errno: EIO}\n- check: {data: {a: '1:2,1:-'}}\n"
    )


def test_migration_leaves_page_tables_as_they_are() -> None:
    """Do write protection, soft-dirty and uffd-wp stay, with no fault more?"""
    found = replayed(
        "- {mmap: a, size: 12KiB}\n- {write: a, value: 1}\n- {clear_refs: soft_dirty}\n"
        "- {write: a, length: 4KiB, value: 1}\n- {uffd_writeprotect: a, offset: 8KiB}\n"
        "- {migrate: a}\n- check: {pages: {a: '1PXD,1PX,1PXU'}, data: {a: 1}, violations: []}\n"
        "- {read_write: a, length: 4KiB}\n"
    )
    assert found.total["minflt"] == 4


def test_migration_needs_something_mapped() -> None:
    """Does it pass over a hole, and fail with EFAULT where there is nothing else?"""
    head = "- {mmap: a, size: 8KiB}\n- {munmap: a, length: 4KiB}\n"
    replayed(f"{head}- {{migrate: a}}\n- {{munmap: a}}\n- {{migrate: a, errno: EFAULT}}\n")


@pytest.mark.parametrize(
    ("size", "before", "counted"),
    [
        ("16KiB", "", {"mthp_split": 1}),
        ("16KiB", "- {mprotect: a, prot: r, length: 8KiB}\n", {"mthp_split": 1}),
        ("2MiB", "", {"mthp_swpout": 1}),
    ],
)
def test_a_large_folio_that_was_migrated_is_split_before_it_goes_to_swap(
    size: str, before: str, counted: dict[str, int]
) -> None:
    """Is it queued to be split, because its PTEs went one by one, unless a PMD entry maps it?"""
    found = in_large_folios(
        f"- {{mmap: a, size: {size}}}\n- {{write: a}}\n{before}- {{migrate: a}}\n"
        "- measure: out\n  steps:\n  - {madvise: a, advice: PAGEOUT}\n",
        size,
    )
    assert {k: v for k, v in found.windows["out"].items() if k.startswith("mthp_")} == counted


@pytest.mark.parametrize(
    ("before", "counted"),
    [
        ("{migrate: a, offset: 32KiB, length: 4KiB}", {"mthp_split": 1}),
        ("{fork: b}; {migrate: a}; {exit: b}", {"mthp_swpout": 1}),
    ],
)
def test_migration_takes_large_folios_whole_unless_they_are_shared(
    before: str, counted: dict[str, int]
) -> None:
    """Does a folio move of which one page is asked for, so that reclaim splits it, and one that a
    child maps as well not? (6.18.44 shows both.)"""
    found = in_large_folios(
        "- {mmap: a, size: 64KiB}\n- {write: a}\n"
        + "".join(f"- {step}\n" for step in before.split("; "))
        + "- measure: out\n  steps:\n  - {madvise: a, advice: PAGEOUT}\n",
        "64KiB",
    )
    assert {k: v for k, v in found.windows["out"].items() if k.startswith("mthp_")} == counted


def test_a_large_folio_that_is_migrated_again_is_split() -> None:
    """Is one that is queued split first, its pages of zeroes let go?"""
    found = in_large_folios(
        "- {mmap: a, size: 32KiB}\n- {memset: a, value: 0, length: 16KiB}\n"
        "- {memset: a, value: 3, offset: 16KiB}\n- {migrate: a}\n- {migrate: a}\n"
        "- check: {pages: {a: '4P,4PX'}}\n"
    )
    assert found.total["mthp_split"] == 2


@pytest.mark.parametrize(
    ("kernel", "majflt", "split"), [("6.12", 1, 1), ("6.17", 1, 0), ("6.18", 16, 1)]
)
def test_the_pages_of_a_folio_that_was_split_lie_in_order_in_swap_before_6_15(
    kernel: str, majflt: int, split: int
) -> None:
    """Does one fault bring all back where their slots ascend as they do, or it was not split?"""
    found = replayed(
        "- {mmap: a, size: 64KiB}\n- {write: a}\n- {migrate: a}\n"
        "- {madvise: a, advice: PAGEOUT}\n- {read: a}\n",
        f"kernel: {kernel}, thp: 64KiB",
    )
    assert (found.total["majflt"], found.total.get("mthp_split", 0)) == (majflt, split)


@pytest.mark.parametrize(
    ("step", "machine", "why"),
    [
        ("{poke: a, value: 1}", "memory: 1MiB", "poke is not modelled under a memory limit"),
        ("{migrate: a}", "kernel: 6.1", "migrate is modelled as since Linux 6.12"),
        (
            "{migrate: a}",
            "kernel: 6.18, memory: 1MiB",
            "migrate is not modelled under a memory limit",
        ),
    ],
)
def test_what_is_not_modelled_is_an_error(step: str, machine: str, why: str) -> None:
    """Does the error say which combination is not?"""
    with pytest.raises(ScenarioError, match=why):
        replayed(f"- {{mmap: a, size: 8KiB}}\n- {step}\n", machine)
