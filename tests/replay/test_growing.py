"""Do mappings with MAP_GROWSDOWN grow to where an access comes, as far as they may?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.errors import ScenarioError
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.remote import PokeStep
from swaptrace.scenario.schema import MmapStep, MunmapStep, RepeatStep, Scenario, Step
from tests.effort import examples
from tests.replay.strategies import PAGE, scenarios
from tests.replay.test_naive import agree
from tests.replay.test_shared import counted, ran, without_readahead

STACK = "- {mmap: a, size: 64KiB, flags: MAP_GROWSDOWN}\n- {munmap: a, length: 60KiB}\n"


def test_an_access_below_a_mapping_extends_it() -> None:
    """Is the one page there then, and the mapping down to it?"""
    result = ran(
        f"{STACK}- {{write: a, offset: 32KiB, length: 4KiB}}\n"
        "- check: {vmas: {a: '8-,8'}, pages: {a: '8-,1PDX,7D'}}\n"
    )
    assert counted(result)[1] == {"minflt": 1, "zero_fill": 1}


@pytest.mark.parametrize(
    ("how", "bounds", "faults"),
    [
        ("read: a, order: backward", "16", 16),
        ("write: a, order: random, seed: 5", "16", 16),
        ("memset: a, value: 1, offset: 16KiB", "4-,12", 12),
        ("access: a, count: 40, pattern: sequential, write_share: 1", "16", 16),
        ("read: a, offset: 8KiB, stride: 9000", "2-,14", 7),
    ],
)
def test_in_any_order(how: str, bounds: str, faults: int) -> None:
    """Does it come to the lowest page that is touched, with a fault for each that is?"""
    result = ran(f"{STACK}- {{{how}}}\n- check: {{vmas: {{a: '{bounds}'}}}}\n")
    assert counted(result)[1]["minflt"] == faults


def test_what_is_forbidden_extends_the_mapping_and_fails() -> None:
    """Is the protection looked at afterwards, and the rest of the step left out?"""
    result = ran(
        f"{STACK}- {{mprotect: a, prot: r, offset: 60KiB}}\n- {{write: a}}\n"
        "- check: {vmas: {a: 16}, pages: {a: 16D}}\n"
    )
    assert counted(result)[1] == {"sigsegv": 1}


LOW = "- {mmap: low, size: 16KiB, at: 0x10000000%s}\n"
HIGH = (
    "- {mmap: a, size: 2MiB, at: 0x10005000, flags: MAP_GROWSDOWN}\n"
    "- {munmap: a, length: 1532KiB}\n"
)


@pytest.mark.parametrize("flags", [", prot: none", ", flags: MAP_GROWSDOWN"])
def test_a_gap_is_left_above_what_can_be_accessed(flags: str) -> None:
    """Are that 256 pages, unless what is below has no protection or grows down as well?"""
    near = "- {write: a, offset: 1016KiB, length: 4KiB}\n"
    assert counted(ran(LOW % "" + HIGH + near))[0] == {"sigsegv": 1}
    assert counted(ran(LOW % flags + HIGH + near))[0]["minflt"] == 1
    assert counted(ran(LOW % "" + HIGH + near.replace("1016", "1020")))[0]["minflt"] == 1


def test_it_grows_to_eight_mebibytes() -> None:
    """Is a VMA larger than RLIMIT_STACK none that an access makes?"""
    steps = "- {mmap: a, size: 12MiB, flags: MAP_GROWSDOWN}\n- {munmap: a, length: 11MiB}\n"
    assert counted(ran(f"{steps}- {{write: a, offset: 4MiB, length: 4KiB}}\n"))[0]["minflt"] == 1
    below = f"{steps}- {{write: a, offset: 4092KiB, length: 4KiB}}\n"
    assert counted(ran(f"{below}- check: {{vmas: {{a: '2816-,256'}}}}\n"))[1] == {"sigsegv": 1}


def test_locked_memory_grows_up_to_its_limit() -> None:
    """Do pages come one by one, and count as locked down to the one that is touched?"""
    locked = f"{STACK}- {{mlock: a, offset: 60KiB}}\n"
    within = "- {write: a, offset: 48KiB, length: 4KiB}\n"
    assert counted(ran(locked + within, "kernel: 6.18, memlock: 16KiB"))[0]["minflt"] == 1
    assert counted(ran(locked + within, "kernel: 6.18, memlock: 12KiB"))[0] == {"sigsegv": 1}


def test_nothing_else_extends_a_mapping() -> None:
    """Do system calls see the hole, as does an access that a mapping above does not grow to?"""
    ran(
        f"{STACK}- {{madvise: a, advice: POPULATE_WRITE, errno: ENOMEM}}\n"
        "- {mlock: a, errno: ENOMEM}\n- check: {vmas: {a: '15-,1'}}\n"
    )
    far = "- {mmap: low, size: 16KiB, at: 0x10000000}\n- {munmap: low, offset: 8KiB}\n"
    high = "- {mmap: a, size: 16KiB, at: 0x20000000, flags: MAP_GROWSDOWN}\n"
    assert counted(ran(f"{far}{high}- {{read: low}}\n"))[0] == {
        "minflt": 2,
        "sigsegv": 1,
        "zero_page": 2,
    }


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (STACK + "- {poke: a, value: 1}\n", "with 'poke' that is not modelled"),
        (STACK + "- {pin: a}\n", "with 'pin' that is not modelled"),
        (
            STACK + "- {uffd_register: a, mode: missing, offset: 60KiB}\n- {read: a}\n",
            "a userfaultfd waits for missing pages",
        ),
        (
            LOW % ", prot: none" + "- {munmap: low, offset: 8KiB}\n"
            "- {mmap: a, size: 16KiB, at: 0x10200000, flags: MAP_GROWSDOWN}\n"
            "- {read: low, offset: 8KiB}\n",
            "into region low, of a mapping that begins in another",
        ),
    ],
)
def test_what_is_not_modelled_is_said(steps: str, said: str) -> None:
    """Is it an error, in these words?"""
    with pytest.raises(ScenarioError, match=said):
        ran(steps)


@st.composite
def growing(draw: st.DrawFn) -> Scenario:
    """A random scenario on a mapping that grows down, of which the lower part is unmapped."""
    made = draw(scenarios())
    first, *rest = made.steps
    assert isinstance(first, MmapStep)
    hole = ByteRange(0, PAGE * draw(st.integers(1, first.size // PAGE)))
    rest.insert(draw(st.integers(0, 1)), MunmapStep(line=1, region="r", span=hole))

    def without_poke(step: Step) -> Step:
        if isinstance(step, RepeatStep):
            return replace(step, steps=tuple(map(without_poke, step.steps)))
        return replace(hole_again, process=step.process) if isinstance(step, PokeStep) else step

    hole_again = MunmapStep(line=1, region="r", span=hole)
    steps = (replace(first, flags=("MAP_GROWSDOWN",)), *map(without_poke, rest))
    return without_readahead(replace(made, steps=steps))


@settings(max_examples=examples(200))
@given(growing(), st.sampled_from(["prepatch", "final", "merged"]))
def test_replay_by_runs_equals_page_by_page(scenario: Scenario, policy: str) -> None:
    """Do both replays agree on counters, promises and page maps?"""
    agree(scenario, policy)
