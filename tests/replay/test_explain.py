"""Does an explanation add up to what was counted, and say what happened?"""

from __future__ import annotations

import json
from collections import Counter
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.advice import Advice
from swaptrace.replay.engine import Replay, replay
from swaptrace.replay.explain import explain
from swaptrace.result.explanation import ExplainedStep
from swaptrace.scenario.hardware import Swap
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import ForkStep, Scenario
from tests.effort import examples
from tests.replay.building import (
    PAGE,
    MiB,
    access,
    advise,
    memset,
    microbenchmark,
    mmap,
    pageout,
    scenario,
)
from tests.replay.strategies import scenarios


@settings(max_examples=examples(150))
@given(scenarios(), st.sampled_from(policies.SERIES))
def test_the_transitions_of_a_step_add_up_to_its_counters(of: Scenario, policy: str) -> None:
    """Is every count accounted for by pages times what each counted?"""
    with mock.patch.object(Replay, "check_errno"):
        explanation = explain(of, policies.find(policy))
        executed = replay(of, policies.find(policy), steps=True).steps
    assert executed is not None
    by_path = {step.step: step for step in executed}
    for step in explanation.steps:
        total: Counter[str] = Counter()
        for transition in step.transitions:
            for name, count in transition.counters.items():
                total[name] += count * transition.pages
        assert total == Counter(step.counters)
        assert by_path[step.step].counters == step.counters


def test_half_a_million_pages_are_one_transition() -> None:
    """Is the microbenchmark's step told as one transition, with the functions that decided?"""
    of = scenario(*microbenchmark(2 * MiB))
    (transition,) = explain(of, policies.find("prepatch")).steps[-1].transitions
    assert transition.pages == 512
    assert transition.event == "main reads, then writes it back"
    assert transition.before == ("in swap exclusive soft-dirty; VMA rw",)
    assert transition.after == ("writable dirty soft-dirty, folio exclusive; VMA rw",)
    assert transition.counters == {"majflt": 1, "minflt": 1, "pswpin": 1, "wp_reuse": 1}
    assert transition.path == ("do_swap_page", "do_wp_page", "wp_page_reuse")


def test_read_ahead_is_told_apart_from_the_fault() -> None:
    """Does a pass on zswap say which pages were read for a neighbour, and which were hit?"""
    of = scenario(
        *(mmap(64 * PAGE), memset(64 * PAGE), pageout(64 * PAGE), access("read", 64 * PAGE)),
        swap=Swap(backend="zswap"),
    )
    transitions = explain(of, policies.find("final")).steps[-1].transitions
    events = {t.event: t.pages for t in transitions if "neighbour" in t.event}
    assert events == {"read ahead for a neighbour's fault by main": 55}
    hit = next(t for t in transitions if "swap_ra_hit" in t.counters)
    assert hit.pages == 55
    assert "cached, read ahead" in hit.before[0]


def test_each_process_is_named_and_so_is_what_was_broken() -> None:
    """Does the loss by MADV_FREE show on the page of the process that suffers it?"""
    of = scenario(
        *(mmap(PAGE), memset(PAGE), pageout(PAGE), access("read", PAGE)),
        *(ForkStep(line=5, child="child"), advise(Advice.FREE, PAGE, process="child")),
        *(access("write", PAGE, process="child"), pageout(PAGE), access("read", PAGE)),
    )
    steps = explain(of, policies.find("final")).steps
    (forked,) = steps[4].transitions
    assert [view.split(":")[0] for view in forked.after] == ["main", "child"]
    (read,) = steps[-1].transitions
    assert read.violations == ("lost_write (main)",)


def test_the_json_form_is_the_explanation() -> None:
    """Can a program read it?"""
    explanation = explain(scenario(*microbenchmark(2 * MiB)), policies.find("final"))
    document = json.loads(explanation.to_json())
    assert document["schema"] == "swaptrace.explain/1"
    assert document["policy"] == "final"
    assert document["steps"][3]["transitions"][0]["path"] == ["do_swap_page"]


LIMITED = """\
machine: {memory: 128KiB, swap: {backend: disk}}
steps:
- mmap: buf
  size: 160KiB
- write: buf
- read: buf
"""


def kinds(explained: ExplainedStep) -> list[str]:
    """What happened, without which process."""
    return [transition.event for transition in explained.transitions]


def test_causes_come_before_effects() -> None:
    """Does the fault come before what it reads ahead, that before its hits, and reclaim after the
    fault that wants memory?"""
    text = "machine: {swap: {backend: disk}}\nsteps:\n- mmap: buf\n  size: 1MiB\n- write: buf\n"
    out = "- madvise: buf\n  advice: PAGEOUT\n- read: buf\n"
    found = explain(load_text(text + out + out, "ahead.yaml"), policies.find("final"))
    paths = [transition.path for transition in found.steps[-1].transitions]
    assert paths[0][:2] == ("do_swap_page", "swapin_readahead")
    assert paths[1] == ("swap_vma_readahead",)
    assert all("swapin_walk_pmd_entry" not in path for path in paths)
    assert kinds(found.steps[-1])[2:] == ["main reads"] * (len(paths) - 2)
    limited = explain(load_text(LIMITED, "limited.yaml"), policies.find("final"))
    assert kinds(limited.steps[1])[:2] == ["main writes", "reclaimed, as it was not used"]
    first = kinds(limited.steps[2])[0]
    assert first == "main reads"
