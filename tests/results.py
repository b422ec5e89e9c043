"""Results for the tests: the one of the documentation, and hypothesis strategies for any."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from swaptrace.counters import ALL_COUNTERS, VIOLATIONS
from swaptrace.result.result import (
    Expectation,
    PolicyResult,
    Result,
    ScenarioResult,
    StepResult,
    Violation,
    machine_mapping,
)
from swaptrace.scenario.hardware import Machine, MiB, Swap

EXAMPLE = Result(
    version="0.1.0",
    scenarios=(
        ScenarioResult(
            name="read-then-write",
            file="scenarios/read-then-write.yaml",
            machine=machine_mapping(Machine()),
            policies={
                "prepatch": PolicyResult(
                    total={"minflt": 1024, "majflt": 512, "pswpin": 512, "pswpout": 512},
                    windows={"read_write_data": {"minflt": 512, "majflt": 512}},
                    steps=(
                        StepResult("0", 5, "main", "mmap", {}),
                        StepResult("1[0-3].0", 7, "main", "write", {"minflt": 512}, times=4),
                    ),
                    pages={"main": {"buf": "512PDX"}},
                    violations=(
                        Violation("lost_soft_dirty", "4.0", 12, "main", "buf", 0, 512),
                        Violation("spurious_soft_dirty", "4.0", 12, "main", "buf", 7, 1),
                    ),
                )
            },
            expectations=(
                Expectation("read_write_data", "prepatch", "minflt", 512, 512),
                Expectation("total", "prepatch", "majflt", 511, 512),
            ),
        ),
    ),
)

_NOTHING_MEASURED = ScenarioResult(
    name="[bold]no markup[/bold] :smile:",
    file="a\x1b[31mb.yaml",
    machine=machine_mapping(Machine()),
    policies={
        "prepatch": PolicyResult(total={"minflt": 1234567}, windows={}),
        "final": PolicyResult(total={"minflt": 1234567}, windows={}),
    },
)

COMPARED = Result(
    version="0.1.0",
    scenarios=(
        ScenarioResult(
            name="read-then-write",
            file="scenarios/read-then-write.yaml",
            machine=machine_mapping(Machine()),
            policies={
                "prepatch": PolicyResult(
                    total={"minflt": 1536, "majflt": 512, "pswpin": 512, "wp_reuse": 512},
                    windows={"read_write_data": {"minflt": 512, "majflt": 512, "pswpin": 512}},
                ),
                "rfc": PolicyResult(
                    total={"minflt": 1024, "majflt": 512, "pswpin": 512, "spurious_dirty": 512},
                    windows={"read_write_data": {"majflt": 512, "pswpin": 512}},
                    violations=(Violation("lost_soft_dirty", "4.0", 12, "main", "buf", 0, 512),),
                ),
                "final": PolicyResult(
                    total={"minflt": 1024, "majflt": 516, "pswpin": 512},
                    windows={"read_write_data": {"majflt": 512, "pswpin": 512}},
                    violations=(Violation("spurious_soft_dirty", "4.0", 12, "main", "buf", 7, 1),),
                ),
            },
            expectations=(
                Expectation("read_write_data", "prepatch", "minflt", 512, 512),
                Expectation("total", "final", "majflt", 512, 516),
            ),
        ),
        _NOTHING_MEASURED,
    ),
)

names = st.text(st.characters(exclude_characters="…"), min_size=1, max_size=8)
counts = st.integers(min_value=1, max_value=2**53)
lines = st.integers(min_value=1, max_value=9999)
counters = st.dictionaries(st.sampled_from(ALL_COUNTERS), counts)
machines = st.builds(
    Machine,
    soft_dirty=st.booleans(),
    swap=st.builds(
        Swap, backend=st.sampled_from(["zram", "zswap", "disk"]), size=st.integers(1, 1024 * MiB)
    ),
)
violations = st.builds(
    Violation, st.sampled_from(VIOLATIONS), names, lines, names, names, st.integers(0, 99), counts
)
steps = st.builds(
    StepResult, names, lines, names, st.just("read"), counters, times=st.integers(1, 3)
)
policy_results = st.builds(
    PolicyResult,
    total=counters,
    windows=st.dictionaries(names, counters, max_size=3),
    violations=st.lists(violations, max_size=3).map(tuple),
    steps=st.none() | st.lists(steps, max_size=3).map(tuple),
    pages=st.none() | st.dictionaries(names, st.dictionaries(names, names, max_size=2), max_size=2),
)
scenario_results = st.builds(
    ScenarioResult,
    name=names,
    file=names,
    machine=machines.map(machine_mapping),
    policies=st.dictionaries(names, policy_results, min_size=1, max_size=4),
    expectations=st.lists(
        st.builds(Expectation, names, names, st.sampled_from(ALL_COUNTERS), counts, counts),
        max_size=3,
    ).map(tuple),
)


def _expecting_what_ran(scenario: ScenarioResult) -> ScenarioResult:
    """Expectations are only checked of policies that are there."""
    policy = next(iter(scenario.policies))
    expectations = tuple(replace(each, policy=policy) for each in scenario.expectations)
    return replace(scenario, expectations=expectations)


results = st.builds(
    Result,
    version=names,
    scenarios=st.lists(scenario_results.map(_expecting_what_ran), max_size=2).map(tuple),
)
