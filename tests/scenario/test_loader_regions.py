"""Do names, addresses and repeats mean what they mean on a kernel?"""

from __future__ import annotations

import pytest

from swaptrace.errors import ScenarioError
from swaptrace.policies import find
from swaptrace.replay.engine import Replay, replay
from swaptrace.scenario.hardware import KiB, MiB
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import AccessStep, RepeatStep
from tests.scenario.test_loader import steps


def test_names_can_be_used_again() -> None:
    """May a region that is unmapped be mapped again, and a process that exited be forked?"""
    found = steps(
        """\
- {mmap: a, size: 8KiB}
- {munmap: a, length: 4KiB}
- {munmap: a, offset: 4KiB}
- read: a
- munmap: a
- {mmap: a, size: 4KiB}
- fork: c
- {munmap: a, process: c}
- {mmap: a, size: 16KiB, process: c}
- {read: a, process: c}
- read: a
- {exit: c}
- {fork: c}
- {read: a, process: c}
- exit: main
- {fork: main, process: c}
- read: a
"""
    )
    sizes = [step.span.length for step in found if isinstance(step, AccessStep)]
    assert sizes == [8 * KiB, 16 * KiB, 4 * KiB, 4 * KiB, 4 * KiB]


def test_a_region_keeps_its_addresses() -> None:
    """May a region be put where its own name was before, or a page beside another?"""
    assert steps(
        """\
- {mmap: a, size: 4KiB, at: 0x400000}
- {mmap: b, size: 4KiB, at: 0x402000}
- {mmap: c, size: 4KiB, at: 0x3fe000}
- munmap: a
- {mmap: a, size: 4KiB, at: 0x400000}
- {mmap: low, size: 4KiB, at: 64KiB}
- {mmap: high, size: 4KiB, at: 0x7ffffffff000}
""".replace("64KiB", "0x10000")
    )


BASE = "- {mmap: a, size: 16KiB, at: 0x400000}\n"


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("{mmap: a, size: 4KiB}", "still mapped"),
        ("{mmap: a, size: 4KiB, offset: 4KiB}", "only a mapping over a part of a region"),
        ("{mmap: a, size: 8KiB, offset: 12KiB, flags: MAP_FIXED}", "has 16KiB, and this ends"),
        ("{mmap: a, size: 4KiB, at: 0x400000, flags: MAP_FIXED}", "has an address"),
        ("{mmap: b, size: 4KiB, flags: MAP_FIXED}", "needs an address"),
        ("{mmap: b, size: 4KiB, at: 0x401000, flags: MAP_FIXED}", "overlaps"),
        ("{mmap: b, size: 4KiB, flags: MAP_POPULAT}", "did you mean 'MAP_POPULATE'"),
        ("{mmap: b, size: 4KiB, prot: xr}", "did you mean"),
        ("{munmap: a, offset: 100}", "if that is meant, say `errno: EINVAL`"),
        ("{munmap: a, length: 0}", "too small"),
        ("{munmap: a, length: 2GiB, errno: EINVAL}", "at most 1"),
    ],
)
def test_a_mapping_over_another_says_so(step: str, why: str) -> None:
    """Is what is wrong with a mapping, or a range, said in one message?"""
    with pytest.raises(ScenarioError, match=why) as error:
        steps(f"{BASE}- {step}\n")
    assert len(error.value.problems) == 1


def test_regions_may_touch() -> None:
    """May a region begin where another ends?"""
    for at in ("0x404000", "0x3ff000"):
        steps(f"{BASE}- {{mmap: b, size: 4KiB, at: {at}}}\n")


def test_the_kernel_chooses_as_in_the_replay() -> None:
    """Do the loader and the replay agree where a region goes that says nothing?"""
    text = """\
steps:
- {mmap: a, size: 2MiB}
- {mmap: b, size: 4KiB}
- munmap: a
- {mmap: a, size: 1MiB}
- {mmap: c, size: 3MiB}
"""
    run = Replay(load_text(text), find("final"))
    run.steps(run.scenario.steps, "", None, run.record)
    regions = run.world.processes["main"].regions
    assert {name: shared.base * 4 // 1024 for name, shared in regions.items()} == {
        "b": 6,
        "a": 2,
        "c": 8,
    }
    for place, fits in ((5 * MiB, None), (4 * MiB, None), (9 * MiB, "overlaps")):
        taken = f"{text}- {{mmap: d, size: 1MiB, at: {place}}}\n"
        if fits is None:
            load_text(taken)
        else:
            with pytest.raises(ScenarioError, match=f"at: .* {fits} region"):
                load_text(taken)


def test_mapping_two_regions_in_turn_does_not_creep_upwards() -> None:
    """Does a billion times munmap and mmap of two regions come back to where it was?"""
    text = """\
steps:
- {mmap: a, size: 2MiB}
- {mmap: b, size: 2MiB}
- repeat: 1000000000
  steps:
  - munmap: a
  - {mmap: a, size: 2MiB}
  - {write: a}
  - munmap: b
  - {mmap: b, size: 2MiB}
"""
    assert replay(load_text(text), find("final")).total["minflt"] == 512 * 10**9


@pytest.mark.parametrize(
    "body",
    [
        "- fork: c\n- {read: a, process: c}\n- exit: c\n",
        "- {mmap: b, size: 4KiB}\n- munmap: b\n",
        "- munmap: a\n- {mmap: a, size: 8KiB}\n",
        "- munmap: a\n- {mmap: b, size: 4KiB}\n- munmap: b\n- {mmap: a, size: 8KiB}\n",
        "- {munmap: a, length: 4KiB}\n- read: a\n",
        "- munmap: a\n- read: a\n",
        "- {fork: c}\n- {munmap: a, process: c}\n- {mmap: a, size: 4KiB, process: c}\n- exit: c\n",
    ],
)
def test_a_body_that_can_be_repeated(body: str) -> None:
    """Is a body accepted that leaves the names so that it can run again?"""
    lines = "".join(f"  {line}\n" for line in body.splitlines())
    found = steps(f"- {{mmap: a, size: 8KiB}}\n- repeat: 1000000000000000000\n  steps:\n{lines}")
    assert isinstance(found[1], RepeatStep)
    assert len(found[1].steps) == len(body.splitlines())


@pytest.mark.parametrize(("count", "last"), [(2, "z"), (3, "y"), (1000001, "y"), (1000000, "z")])
def test_what_follows_a_repeat_sees_its_last_pass(count: int, last: str) -> None:
    """Two processes take turns; is it known whose turn it is after so many passes?"""
    text = f"""\
- fork: a
- {{mmap: y, size: 4KiB, process: a}}
- fork: b
- {{mmap: z, size: 4KiB, process: b}}
- repeat: {count}
  steps:
  - {{fork: t, process: b}}
  - exit: b
  - {{fork: b, process: a}}
  - exit: a
  - {{fork: a, process: t}}
  - exit: t
- {{read: {last}, process: b}}
"""
    assert steps(text)


def test_nesting_up_to_the_limit() -> None:
    """Do sixteen levels load, in time that does not double with each?"""
    text = "- {mmap: a, size: 8KiB}\n"
    for level in range(16):
        text += f"{'  ' * level}- repeat: 1000\n{'  ' * level}  steps:\n"
    body = ["{munmap: a, length: 4KiB}", "{munmap: a}", "{mmap: a, size: 8KiB}"]
    text += "".join(f"{'  ' * 16}- {line}\n" for line in body)
    assert steps(text)
