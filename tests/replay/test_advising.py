"""Does advice that is a flag of the VMA split it, and say what a child gets?"""

from __future__ import annotations

import pytest

from swaptrace import policies
from swaptrace.advice import Advice, Effect
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import Replay, replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text

START = """steps:
- {mmap: a, size: 16KiB}
- {memset: a, value: 1}
"""


def run(steps: str, machine: str = "") -> PolicyResult:
    scenario = load_text(f"{machine}{START}{steps}", "a")
    return replay(scenario, policies.find("merged"), steps=True, pages=True)


def vmas(steps: str) -> list[tuple[int, int]]:
    """Where the VMAs of the first process begin and end, in pages from the first."""
    scenario = load_text(START + steps, "a")
    run = Replay(scenario, policies.find("merged"))
    run.steps(scenario.steps, "", None, run.record)
    areas = run.world.processes["main"].space.areas
    return [(area.start - areas[0].start, area.end - areas[0].start) for area in areas]


SETTING = [
    each
    for each in Advice
    if each.effect is Effect.FLAGS and each.value.sets
    if each not in (Advice.HUGEPAGE, Advice.NOHUGEPAGE)  # nothing takes both back
]
TAKEN_BACK = {
    Advice.RANDOM: Advice.NORMAL,
    Advice.SEQUENTIAL: Advice.NORMAL,
    Advice.DONTFORK: Advice.DOFORK,
    Advice.DONTDUMP: Advice.DODUMP,
    Advice.WIPEONFORK: Advice.KEEPONFORK,
    Advice.MERGEABLE: Advice.UNMERGEABLE,
}


@pytest.mark.parametrize("advice", SETTING, ids=str)
def test_a_flag_splits_a_vma_and_its_opposite_merges_it(advice: Advice) -> None:
    """Are there three VMAs while the middle has a flag, and one after it was taken back?"""
    given = f"- {{madvise: a, advice: {advice}, offset: 4KiB, length: 8KiB}}\n"
    assert vmas(given) == [(0, 1), (1, 3), (3, 4)]
    assert vmas(given + f"- {{madvise: a, advice: {TAKEN_BACK[advice]}}}\n") == [(0, 4)]
    rest = f"- {{madvise: a, advice: {advice}}}\n"
    assert vmas(given + rest) == [(0, 4)]


def test_advice_on_large_folios_splits_until_all_have_the_same() -> None:
    """Are there two flags, of which each takes the other back?"""
    part = "- {madvise: a, advice: HUGEPAGE, length: 8KiB}\n"
    assert vmas(part) == [(0, 2), (2, 4)]
    assert vmas(part + "- {madvise: a, advice: NOHUGEPAGE}\n") == [(0, 4)]
    assert vmas(part + "- {madvise: a, advice: NOHUGEPAGE, offset: 8KiB}\n") == [(0, 2), (2, 4)]


def test_a_flag_is_set_up_to_the_end_though_there_is_a_hole() -> None:
    """Is ENOMEM said in the end, as of other advice?"""
    hole = "- {munmap: a, offset: 4KiB, length: 4KiB}\n"
    advised = "- {madvise: a, advice: DONTDUMP, length: 12KiB, errno: ENOMEM}\n"
    assert vmas(hole + advised) == [(0, 1), (2, 3), (3, 4)]


def test_a_child_has_a_hole_where_it_is_not_to_inherit() -> None:
    """Does an access of the child to MADV_DONTFORK's part end in SIGSEGV, and only there?"""
    result = run(
        """
- {madvise: a, advice: DONTFORK, offset: 4KiB, length: 4KiB}
- fork: child
- {read: a, length: 4KiB, process: child}
- {read: a, offset: 4KiB, process: child}
"""
    )
    assert result.pages is not None
    assert result.pages["child"] == {"a": "1PD,1-,2PD"}
    assert result.total["sigsegv"] == 1
    assert result.violations == ()


def test_a_child_reads_zeroes_where_all_is_wiped() -> None:
    """Has the child the VMA with nothing in it, and the parent still its data, alone?"""
    result = run(
        """
- {madvise: a, advice: WIPEONFORK, length: 8KiB}
- fork: child
- {read: a, length: 4KiB, process: child}
- {fork: grandchild, process: child}
- {write: a, length: 8KiB, process: grandchild}
- {read: a}
- {write: a, length: 8KiB}
"""
    )
    assert result.pages is not None
    assert result.pages["child"]["a"] == "1PD,1D,2PD"
    assert result.violations == ()
    assert [step.counters.get("minflt", 0) for step in result.steps or ()][4:] == [1, 0, 2, 0, 0]


def test_dontneed_locked_takes_what_is_locked() -> None:
    """Does it zap where MADV_DONTNEED is refused, and act as that elsewhere?"""
    result = run(
        """
- {madvise: a, advice: DONTNEED_LOCKED, length: 4KiB}
- mlock: a
- {madvise: a, advice: DONTNEED, errno: EINVAL}
- {madvise: a, advice: DONTNEED_LOCKED, length: 8KiB}
"""
    )
    assert result.pages == {"main": {"a": "2D,2PDX"}}


def test_recency_is_not_modelled_under_a_limit() -> None:
    """Is it said, rather than left out?"""
    with pytest.raises(ScenarioError, match="MADV_RANDOM under a memory limit is not modelled"):
        run("- {madvise: a, advice: RANDOM}\n", "machine: {memory: 1MiB}\n")
