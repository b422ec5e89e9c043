"""Large folios: pages in blocks, the swap device, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.errors import SwaptraceError
from swaptrace.replay import engine
from swaptrace.replay.engine import Replay
from swaptrace.replay.folios.slotmap import SlotMap
from swaptrace.scenario.hardware import Swap
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import AccessPattern, Repeat, Scenario, Step
from swaptrace.scenario.thp import Thp
from tests.effort import examples
from tests.replay.strategies import scenarios
from tests.replay.test_naive import expand

ROOMY = 1 << 32

MICRO = """\
steps:
- {mmap: buf, size: 2MiB}
- {memset: buf, value: 17}
- {madvise: buf, advice: PAGEOUT}
- {read_write: buf}
"""


def micro(*steps: str, **machine: str) -> Scenario:
    """The microbenchmark with further steps, on such a machine of 6.18."""
    text = MICRO + "".join(f"- {step}\n" for step in steps)
    overrides = {f"machine.{key}": value for key, value in machine.items()}
    return load_text(text.encode(), "micro", {"machine.kernel": "6.18", **overrides})


def without_patterns(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """All but the patterns of accesses, which are not replayed with large folios."""
    inner = (
        replace(step, steps=without_patterns(step.steps)) if isinstance(step, Repeat) else step
        for step in steps
    )
    return tuple(step for step in inner if not isinstance(step, AccessPattern))


@settings(max_examples=examples(100))
@given(scenarios(), st.sampled_from(["6.16", "6.18", "7.3"]), st.sampled_from(policies.SERIES))
def test_blocks_without_large_folios_are_pages_by_themselves(
    scenario: Scenario, kernel: str, policy: str
) -> None:
    """Where no memory may have large folios, do blocks give what columns give?"""
    swap = Swap(scenario.machine.swap.backend, ROOMY, scenario.machine.swap.page_cluster)
    machine = replace(scenario.machine, kernel=kernel, swap=swap)
    plain = replace(scenario, machine=machine, steps=without_patterns(scenario.steps))
    blocks = replace(plain, machine=replace(machine, thp=(Thp("64KiB", "madvise"),)))
    with mock.patch.object(Replay, "check_errno"):
        found, other = (
            engine.replay(each, policies.find(policy), steps=True, pages=True)
            for each in (blocks, plain)
        )
    assert found.total == other.total
    assert found.pages == other.pages
    assert {(v.kind, v.line, v.process, v.region, v.page) for v in found.violations} == {
        (v.kind, v.line, v.process, v.region, v.page) for v in other.violations
    }
    assert expand(found.steps) == expand(other.steps)


@pytest.mark.parametrize(
    ("thp", "policy", "minflt", "majflt"),
    [
        ("16KiB", "prepatch", 128 + 512, 128),
        ("64KiB", "prepatch", 32 + 512, 32),
        ("64KiB", "final", 32, 32),
        ("1MiB", "final", 2, 2),
    ],
)
def test_the_microbenchmark(thp: str, policy: str, minflt: int, majflt: int) -> None:
    """Does a fault map a whole folio, in and back from swap?"""
    total = engine.replay(micro(thp=thp), policies.find(policy)).total
    assert (total["minflt"], total["majflt"], total["pswpin"]) == (minflt, majflt, 512)
    assert total["mthp_swpin"] == total["mthp_swpout"] == total["mthp_fault_alloc"] == majflt


def test_a_repeat_is_jumped_over_where_its_state_recurs() -> None:
    """Does a body that leaves all as it was come to the counts of all of its iterations?"""
    body = "repeat: 1000\n  steps: [{madvise: buf, advice: PAGEOUT}, {read: buf}]"
    total = engine.replay(micro(body, thp="64KiB"), policies.find("final")).total
    assert total["mthp_swpin"] == 32 * 1001


@pytest.mark.parametrize(
    ("machine", "what"),
    [
        ({"thp": "2MiB"}, "of 2MiB"),
        ({"thp": "64KiB", "kernel": "6.12"}, "before Linux 6.15"),
        ({"thp": "64KiB", "memory": "1MiB"}, "under a memory limit"),
        ({"thp": "64KiB", "page_size": "16KiB", "swap.size": "64MiB"}, "pages of another size"),
        ({"thp.64KiB": "inherit"}, "with 'inherit'"),
    ],
)
def test_what_is_not_modelled_is_an_error(machine: dict[str, str], what: str) -> None:
    """Is there no count of what nothing was held against?"""
    with pytest.raises(SwaptraceError, match=what):
        engine.replay(micro(**machine), policies.find("final"))


def test_accesses_and_too_many_pages_are_errors() -> None:
    """The same of patterns, and of what takes too long page by page."""
    with pytest.raises(SwaptraceError, match="access is not modelled with large folios"):
        engine.replay(micro("{access: buf, count: 10}", thp="64KiB"), policies.find("final"))
    with pytest.raises(SwaptraceError, match="at most 262144 can be"):
        engine.replay(micro("{mmap: more, size: 1GiB}", thp="64KiB"), policies.find("final"))


def test_slots_are_found_in_a_row_and_aligned() -> None:
    """Does each order have clusters of its own, and does a device fill to its last slot?"""
    slots = SlotMap(1100, 512, nonfull_first=True)
    first, single, second = slots.allocate(4), slots.allocate(0), slots.allocate(4)
    assert (first, single, second) == (512, 1, 528)
    for position in range(512, 528):
        slots.release(position)
    assert slots.allocate(4) == 544  # on from where the last were found
    found = [slots.allocate(0) for _ in range(1100 - 33)]
    assert len({*found, None}) == 1100 - 33 + 1
    assert slots.used == 1100
    assert slots.allocate(0) is None
