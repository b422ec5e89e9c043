"""Does a machine without swap leave anonymous pages where they are?

Linux 6.18 and 6.12 agree on the first scenario, and 6.12 on the second.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario
from swaptrace.verify.dump import to_yaml
from swaptrace.verify.emit import emit_c
from tests.effort import examples
from tests.replay.strategies import scenarios
from tests.replay.test_limit import limited, replayed
from tests.replay.test_naive import agree

WITHOUT = """\
machine: {swap: none}
steps:
- {mmap: buf, size: 64KiB}
- {mmap: lazy, size: 64KiB}
- {mmap: object, size: 64KiB, shared: true}
- {write: buf, value: 1}
- {write: lazy, value: 1}
- {write: object, value: 1}
- {madvise: buf, advice: MADV_PAGEOUT}
- {madvise: object, advice: MADV_PAGEOUT}
- {madvise: lazy, advice: MADV_FREE}
- {write: lazy, length: 4KiB}
- {madvise: lazy, advice: MADV_PAGEOUT}
- measure: after
  steps:
  - {read: buf}
  - {read: lazy}
"""

LIMITED = """\
machine: {swap: none, memory: 128KiB}
steps:
- {mmap: buf, size: 64KiB}
- {mmap: lazy, size: 64KiB}
- {mmap: more, size: 64KiB}
- {write: lazy, value: 1}
- {write: buf, value: 1}
- {madvise: lazy, advice: MADV_FREE}
- {write: lazy, offset: 0, length: 4096}
- {madvise: buf, advice: MADV_PAGEOUT}
- {write: more, length: 32KiB}
- {read: buf}
- {read: lazy, length: 4096}
"""

SWAPPING = ("pswpin", "pswpout", "zswpin", "zswpout", "swpout_zero", "swpin_zero", "swap_ra")


def of_final(text: str, overrides: dict[str, str] | None = None) -> PolicyResult:
    """What the policy `final` gives."""
    scenario = load_text(text, "without", overrides or {})
    return replay(scenario, policies.find("final"), pages=True)


def without(scenario: Scenario) -> Scenario:
    """The scenario on a machine without swap."""
    swap = replace(scenario.machine.swap, backend="none", size=0)
    return replace(scenario, machine=replace(scenario.machine, swap=swap))


def test_pageout_leaves_what_needs_a_slot_and_discards_what_madv_free_left() -> None:
    """Do only pages go that were advised with MADV_FREE and not written since?"""
    result = of_final(WITHOUT)
    assert result.pages == {"main": {"buf": "16PDX", "lazy": "1PDX,15PD", "object": "16D"}}
    assert (result.windows["after"]["minflt"], result.total.get("majflt", 0)) == (15, 0)
    assert not any(result.total.get(name) for name in SWAPPING)


def test_an_override_takes_the_device_away_that_the_file_describes() -> None:
    """Is the size in the file without effect then?"""
    text = WITHOUT.replace("swap: none", "swap: {backend: disk, size: 4MiB}")
    assert of_final(text, {"machine.swap": "none"}) == of_final(WITHOUT)
    assert of_final(text) != of_final(WITHOUT)


def test_a_memory_limit_ends_where_only_swap_could_help() -> None:
    """Are pages after MADV_FREE reclaimed, and is a process killed when there are none left?"""
    total = of_final(LIMITED).total
    assert (total["minflt"], total["pgscan"], total["pgsteal"], total["pgactivate"]) == (
        40,
        17,
        15,
        17,
    )
    with pytest.raises(ScenarioError, match=r"kill a process here; give machine\.memory more\n"):
        of_final(LIMITED.replace("memory: 128KiB", "memory: 64KiB"))


@settings(max_examples=examples(20))
@given(scenarios(), st.sampled_from(policies.SERIES))
def test_both_replays_agree_without_swap(scenario: Scenario, policy: str) -> None:
    """Does the replay by runs count what the one page by page does, and nothing of swap?"""
    agree(without(scenario), policy)


@settings(max_examples=examples(20))
@given(scenarios(), st.sampled_from(["classic", "lru"]))
def test_an_arena_without_swap_counts_what_runs_count(scenario: Scenario, how: str) -> None:
    """Is a limit that is never reached the same machine?"""
    bare = without(scenario)
    free = replayed(bare, "final")
    held = replayed(limited(bare, 1 << 20, reclaim=how), "final")
    assert isinstance(free, PolicyResult)
    assert isinstance(held, PolicyResult)
    assert held.pages == free.pages


def test_documents_and_programs_say_that_there_is_none() -> None:
    """Is what `to_yaml` writes the same scenario, and does the program want no swap area?"""
    scenario = load_text(WITHOUT, "without")
    assert load_text(to_yaml(scenario), "without").machine == scenario.machine
    program = emit_c(scenario)
    assert "#define WITHOUT_SWAP 1" in program
    assert "It needs no swap area (page-cluster 3)" in program
