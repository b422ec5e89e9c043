"""Is memory locked, and faulted in, as mm/mlock.c has it?"""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text


def run(steps: str) -> PolicyResult:
    return replay(
        load_text(f"steps:\n{steps}", "a"), policies.find("merged"), steps=True, pages=True
    )


def faults(steps: str) -> list[int]:
    """The minor faults of each step."""
    found = run(steps).steps
    assert found is not None
    return [step.counters.get("minflt", 0) for step in found]


def test_mlock2_on_fault_locks_without_a_fault() -> None:
    """Does nothing come at once, and is what comes later locked (mlock2-tests, lock_onfault)?"""
    counted = faults("""
- {mmap: a, size: 16KiB}
- {mlock: a, flags: [MLOCK_ONFAULT]}
- {write: a, length: 8KiB}
- {madvise: a, advice: PAGEOUT, errno: EINVAL}
""")
    assert counted == [0, 0, 2, 0]


def test_on_fault_and_not_are_two_kinds_of_vma() -> None:
    """Does mlock of a part that was locked on fault populate that part, and split the VMA?"""
    counted = faults("""
- {mmap: a, size: 16KiB}
- {mlock: a, flags: MLOCK_ONFAULT}
- {mlock: a, length: 4KiB}
- {mlock: a, flags: MLOCK_ONFAULT}
- {mlock: a}
""")
    assert counted == [0, 0, 1, 0, 3]


def test_mprotect_of_what_is_locked_on_fault_breaks_no_cow() -> None:
    """Is populate_vma_page_range() without work there?"""
    steps = """
- {{mmap: a, size: 16KiB, prot: r}}
- {{mlock: a, flags: [{}]}}
- {{mprotect: a, prot: rw}}
"""
    assert faults(steps.format("")) == [0, 4, 4]
    assert faults(steps.format("MLOCK_ONFAULT")) == [0, 0, 0]


def test_mlockall_locks_what_is_there_in_the_order_of_addresses() -> None:
    """Are all regions populated, those without access passed over, and the later ones left?"""
    counted = faults("""
- {mmap: b, size: 16KiB, at: 0x300000000}
- {mmap: a, size: 8KiB, at: 0x200000000, prot: none}
- {mlockall: [MCL_CURRENT]}
- {mmap: c, size: 8KiB}
- {madvise: b, advice: PAGEOUT, errno: EINVAL}
- {madvise: c, advice: PAGEOUT}
""")
    assert counted == [0, 0, 4, 0, 0, 0]


def test_mcl_future_is_of_new_regions_until_it_is_forgotten() -> None:
    """Is a new region populated, unless on fault, and not in a child or after another mlockall?

    What a fork shares is copied when it is locked.
    """
    counted = faults("""
- {mmap: a, size: 4KiB}
- {mlockall: [MCL_FUTURE]}
- {mmap: b, size: 8KiB}
- {mlockall: [MCL_FUTURE, MCL_ONFAULT]}
- {mmap: c, size: 8KiB}
- {madvise: c, advice: DONTNEED, errno: EINVAL}
- {fork: child}
- {mmap: d, size: 8KiB, process: child}
- {madvise: c, advice: DONTNEED, process: child}
- {mlockall: [MCL_CURRENT]}
- {mmap: d, size: 8KiB}
- {munlockall: true}
- {madvise: c, advice: DONTNEED}
""")
    assert counted == [0, 0, 2, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0]


@pytest.mark.parametrize("flags", ["[]", "[MCL_ONFAULT]"])
def test_mlockall_needs_to_know_what(flags: str) -> None:
    """Is EINVAL what mlockall() gives for flags without CURRENT and FUTURE, and to be stated?"""
    assert faults(f"- {{mlockall: {flags}, errno: EINVAL}}\n") == [0]
    with pytest.raises(ScenarioError, match="mlockall fails with EINVAL here"):
        run(f"- mlockall: {flags}\n")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("mlockall: [MCL_CURENT]", "'MCL_CURENT' is not a flag of mlockall(); did you mean"),
        ("mlockall: [MCL_CURRENT, CURRENT]", "'MCL_CURRENT' is given twice"),
        ("mlock: a\n  flags: ONFOLT", "did you mean 'MLOCK_ONFAULT'?"),
        ("munlockall: false", "can only be true"),
        ("munlocall: true", "did you mean 'munlockall'?"),
    ],
)
def test_what_is_wrong_is_said_once(step: str, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_text(f"steps:\n- {{mmap: a, size: 4KiB}}\n- {step}\n", "a")
    (problem,) = caught.value.problems
    assert said in problem.message


SWAPPED_IN_LOCKED = """
- {mmap: a, size: 64KiB}
- {write: a}
- {madvise: a, advice: PAGEOUT}
- {fork: child}
- {mlock: a, flags: MLOCK_ONFAULT, process: child}
- {read: a, process: child}
- {read: a}
"""
"""The child's locked VMA maps the pages first."""

AFTER = {
    "the swap cache keeps them": """
- {munlock: a, process: child}
- {exit: child}
- {madvise: a, advice: PAGEOUT}
""",
    "they can be given up": "- {madvise: a, advice: FREE}\n- {exit: child}\n"
    "- {madvise: a, advice: PAGEOUT}\n",
}
"""What shows that they are not mlocked."""


@pytest.mark.parametrize("what", AFTER)
def test_what_a_locked_vma_swaps_in_is_not_mlocked_since_6_11(what: str) -> None:
    """Is nothing written once more, as by 6.12.117 and 6.18.44?"""
    for kernel, written in (("6.10", 32), ("6.11", 16), ("6.12", 16), ("6.18", 16)):
        steps = SWAPPED_IN_LOCKED + AFTER[what]
        text = f"machine: {{kernel: '{kernel}'}}\nsteps:\n{steps}"
        found = replay(load_text(text, "a"), policies.find("merged"))
        assert (kernel, found.total["pswpout"]) == (kernel, written)


def test_a_page_that_is_mlocked_leaves_the_swap_cache_with_the_next_process() -> None:
    """Is it so once a call has found the page there, and not after munlock()?"""
    again = "- {munlock: a, process: child}\n- {mlock: a, flags: MLOCK_ONFAULT, process: child}\n"
    end = "- {read: a}\n- {exit: child}\n- {madvise: a, advice: PAGEOUT}\n"
    first = SWAPPED_IN_LOCKED.replace("- {read: a}\n", "")
    for between, written in (("", 16), (again, 32), (again + again[:31], 16)):
        assert run(first + between + end).total["pswpout"] == written


LARGE_SWAPPED_IN = """
- {mmap: a, size: 64KiB, at: '0x4000000'}
- {memset: a, value: 17}
- {madvise: a, advice: PAGEOUT}
- {mlock: a, flags: MLOCK_ONFAULT}
- {read: a}
- {fork: other}
- {fork: child}
"""
"""A locked VMA maps all of a large folio, which is not mlocked."""

LARGE_LOCKED_TWICE = """
- {mmap: a, size: 64KiB, at: '0x4000000'}
- {memset: a, value: 17}
- {mlock: a, flags: MLOCK_ONFAULT}
- {fork: other}
- {mlock: a, flags: MLOCK_ONFAULT, process: other}
- {fork: child}
"""
"""Two locked VMAs map all of it, so that it is mlocked twice."""

FREED = """
- {madvise: a, advice: FREE, process: child}
- {munmap: a}
- {munmap: a, process: other}
- {madvise: a, advice: PAGEOUT, process: child}
"""
"""It goes without being written only if it is not mlocked as it is freed."""


@pytest.mark.parametrize(
    ("steps", "written"),
    [
        (LARGE_SWAPPED_IN, 16),
        (LARGE_LOCKED_TWICE, 16),
        (LARGE_LOCKED_TWICE + "- {write: a, length: 4KiB}\n", 16),
        (LARGE_LOCKED_TWICE + "- {write: a, length: 8KiB}\n", 0),
    ],
)
def test_a_large_folio_is_mlocked_once_less_for_each_page_that_is_copied(
    steps: str, written: int
) -> None:
    """Can it be given up then, although a locked VMA may still map all of it?"""
    text = f"machine: {{kernel: '6.12', thp: 64KiB}}\nsteps:\n{steps}{FREED}"
    found = replay(load_text(text, "a"), policies.find("merged"))
    assert found.total.get("pswpout", 0) == written


def test_a_walk_that_locks_comes_to_folios_that_begin_later() -> None:
    """Are all of several folios of one page table mlocked, and given up, by one call each?"""
    steps = "[{mmap: a, size: 256KiB}, {write: a}, {mlock: a}, {munlock: a}, {madvise: a, "
    machine = {"machine.thp.64KiB": "always", "machine.thp.2MiB": "madvise"}
    scenario = load_text(f"steps: {steps}advice: PAGEOUT}}]", "a", machine)
    assert replay(scenario, policies.find("merged")).total["mthp_swpout"] == 4
