"""Does an operation do to a page what its step does in a replay?"""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.exploration.alphabet import OPERATIONS
from swaptrace.replay.engine import replay
from swaptrace.scenario.hardware import Machine, Swap
from tests.effort import examples
from tests.explore.sequences import ALL, Follower, graph, scenario_of, states_of
from tests.replay.naive import naive_replay

MACHINES = st.builds(
    Machine,
    kernel=st.sampled_from(["6.12", "7.3"]),
    soft_dirty=st.booleans(),
    hw_dirty=st.booleans(),
    mkwrite_dirties=st.booleans(),
    swap=st.builds(
        Swap, backend=st.sampled_from(["zram", "zswap", "disk"]), page_cluster=st.just(0)
    ),
)


@settings(max_examples=examples(150))
@given(
    name=st.sampled_from(["prepatch", "rfc", "simple", "final"]),
    machine=MACHINES,
    processes=st.integers(1, 3),
    draws=st.lists(st.integers(0, 10_000), min_size=1, max_size=14),
)
def test_a_sequence_counts_what_its_scenario_counts(
    name: str, machine: Machine, processes: int, draws: list[int]
) -> None:
    """Counters of each step, violations and page maps: by the engine and page by page?"""
    policy = policies.find(name)
    fields = {key: getattr(machine, key) for key in ("soft_dirty", "hw_dirty", "mkwrite_dirties")}
    follower = Follower(graph(policy, processes, swap=machine.swap, **fields))
    taken, counted, broken = [], [], Counter[str]()
    for draw in draws:
        choices = follower.choices()
        step, counters, violations = follower.take(draw % len(choices))
        taken.append(step)
        counted.append(counters)
        broken.update(violations)
        if "lost_write" in violations or "cow_leak" in violations:
            break
    scenario = scenario_of(tuple(taken), machine)
    result = replay(scenario, policy, steps=True, pages=True)
    assert result.steps is not None
    assert [dict(step.counters) for step in result.steps[1:]] == counted
    assert Counter(violation.kind for violation in result.violations) == broken
    assert result.pages == follower.page_maps()
    assert naive_replay(scenario, policy) == result


def test_every_operation_does_something_somewhere() -> None:
    """Is no letter of the alphabet dead, on a kernel that has them all?"""
    found = graph(policies.find("final"), processes=2, ops=ALL, kernel="7.3")
    seen = {ALL[edge.operation] for state in states_of(found, 400) for edge in found.edges(state)}
    assert seen == set(OPERATIONS)
