"""Does a step over a range count what two steps over its halves count?"""

from __future__ import annotations

from unittest import mock

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.advice import Effect
from swaptrace.replay.engine import Replay
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.schema import AccessStep, MadviseStep, MemsetStep, MmapStep, Scenario
from tests.effort import examples, exhaustive
from tests.replay.strategies import ADVICE, PAGE, scenarios

SPLITTABLE = st.one_of(
    st.builds(
        lambda op: (
            lambda span, process: AccessStep(
                line=1, op=op, region="r", span=span, stride=PAGE, process=process
            )
        ),
        st.sampled_from(["read", "write", "read_write"]),
    ),
    st.builds(
        lambda advice: (
            lambda span, process: MadviseStep(
                line=1, advice=advice, region="r", span=span, process=process
            )
        ),
        st.sampled_from([each for each in ADVICE if each.effect is not Effect.FLAGS]),
    ),
    st.just(
        lambda span, process: MemsetStep(line=1, region="r", span=span, value=3, process=process)
    ),
)
"""Makers of steps that leave the VMAs as they are."""


@exhaustive
@settings(max_examples=examples(300))
@given(st.data(), scenarios(), SPLITTABLE, st.sampled_from(policies.SERIES))
def test_splitting_a_range_in_two_steps_changes_no_count(
    data: st.DataObject, history: Scenario, make: object, policy: str
) -> None:
    """After any history, are counters and page maps the same, if nothing ends the step early?"""
    assert callable(make)
    first = history.steps[0]
    assert isinstance(first, MmapStep)
    cut = data.draw(st.integers(0, first.size // PAGE)) * PAGE
    whole, halves = Replay(history, policies.find(policy)), Replay(history, policies.find(policy))
    errnos: list[str | None] = []
    with mock.patch.object(Replay, "check_errno", lambda _self, _step, errno: errnos.append(errno)):
        for run in (whole, halves):
            run.steps(history.steps, "", None, run.record)
        alive = sorted(whole.world.processes)
        assume(alive)
        process = data.draw(st.sampled_from(alive))
        errnos.clear()
        forbidden = whole.record.total.get("sigsegv")
        spans = [ByteRange(0, cut), ByteRange(cut, first.size - cut)]
        parts = tuple(make(span, process) for span in spans if span.length)
        whole.steps((make(ByteRange(0, first.size), process),), "", None, whole.record)
        halves.steps(parts, "", None, halves.record)
    assume(not any(errnos))
    assume(whole.record.total.get("sigsegv") == forbidden)
    assert whole.record.total == halves.record.total
    assert whole.result(pages=True).pages == halves.result(pages=True).pages
