"""Does every error say where what causes it stands?

Of a machine that is not modelled, alone or under a policy, that is the setting, in the file or on
the command line; of a step on such a machine the step.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import swaptrace
from swaptrace.errors import Problem, ScenarioError, SwaptraceError
from swaptrace.exploration.explorer import machine_of
from swaptrace.mm.policy import Policy
from swaptrace.policies import find
from swaptrace.policies.merged import Merged
from swaptrace.replay.engine import Replay, replay
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario
from swaptrace.sweep.axes import axes_of
from swaptrace.sweep.grid import points
from swaptrace.verify.emit import emit_c
from tests.effort import examples


class OfTree(Merged):
    """Stands for a kernel tree."""

    name = "kernel:linux"
    functions = MappingProxyType({"do_swap_page": print})


class OfLargeTree(OfTree):
    """Stands for one that knows large folios."""

    takes_large = True


def on(machine: str, steps: str = "[{mmap: buf, size: 64KiB}]", **overrides: str) -> Scenario:
    """A scenario; overrides are by the last part of their keys."""
    said = {f"machine.{key.replace('__', '.')}": value for key, value in overrides.items()}
    return load_text(f"machine:\n  {machine}\nsteps: {steps}\n", "a.yaml", said)


def problem(scenario: Scenario, policy: Policy) -> Problem:
    """The one thing that is wrong."""
    with pytest.raises(ScenarioError) as found:
        replay(scenario, policy)
    (only,) = found.value.problems
    return only


@pytest.mark.parametrize(
    ("machine", "line", "column", "message"),
    [
        (
            "thp: 64KiB\n  kernel: '6.1'",
            3,
            11,
            "before Linux 6.8; give 'kernel: 6.8' or",
        ),
        (
            "thp: 64KiB\n  memory: 1MiB\n  kernel: '6.11'",
            4,
            11,
            "limit before Linux 6.12; give 'kernel: 6.12' or",
        ),
        (
            "kernel: '6.12'\n  thp: 64KiB\n  swap: zswap",
            2,
            11,
            "zswap before Linux 6.13, which",
        ),
        ("thp: 64KiB\n  page_size: 16KiB", 3, 14, "another size than 4KiB; leave 'page_size' out"),
        ("thp: 64KiB\n  memory: 1MiB\n  reclaim: lru", 4, 12, "with 'reclaim: lru'; give 'reclaim"),
        ("thp: 64KiB\n  memory: 1MiB\n  swap: disk", 4, 9, "limit on disk; give 'swap: zram'"),
        (
            "thp: {64KiB: always, 2MiB: always}\n  memory: 1MiB",
            2,
            30,
            "2MiB; give sizes up to",
        ),
        ("kernel: '6.18'\n  lru_batch: true", 2, 11, "as in Linux 6.1, 6.12, 7.2, 7.3, not as in"),
        ("lru_batch: true\n  memory: 1MiB", 2, 14, "not modelled under a memory limit; leave out"),
    ],
)
def test_a_machine_that_is_not_modelled_is_an_error_at_its_setting(
    machine: str, line: int, column: int, message: str
) -> None:
    """With what would be right?"""
    found = problem(on(machine), find("merged"))
    assert (found.file, found.line, found.column) == ("a.yaml", line, column)
    assert message in found.message
    assert found.text == on(machine).text[line - 1]


def test_a_batch_where_swap_fills_is_an_error_at_its_setting() -> None:
    """Where slots would have positions?"""
    steps = "[{mmap: b, size: 1MiB}, {write: b}]"
    found = problem(
        on("lru_batch: true\n  swap: {backend: disk, size: 1MiB}", steps), find("merged")
    )
    assert (found.line, found.column) == (2, 14)
    assert "where the swap device fills before Linux 6.15; give it twice" in found.message


def test_what_the_command_line_sets_is_named_as_that() -> None:
    """Is the position within `--set`, even where the file says the rest?"""
    found = problem(on("kernel: '6.1'", thp="64KiB"), find("merged"))
    assert str(found).startswith("--set machine.thp=64KiB:1:13: large folios")
    found = problem(on("thp: 64KiB", kernel="6.1"), find("merged"))
    assert str(found).startswith("--set machine.kernel=6.1:1:16: large folios")
    with pytest.raises(ScenarioError) as refused:
        on("kernel: '6.18'\n  swap_max: 1MiB", kernel="6.12")
    assert str(refused.value).startswith("--set machine.kernel=6.12:1:16: swap_max is modelled")


def test_what_a_sweep_sets_is_named_as_that() -> None:
    """Is the position within `--over`, in a replay as well?"""
    axes = axes_of(["machine.kernel=6.12,6.1"], {})
    base = "machine: {thp: 64KiB}\nsteps: [{mmap: buf, size: 64KiB}]\n"
    found = points(axes, lambda more: load_text(base, "a.yaml", more), lambda _scenario: 0)
    (_, second) = found
    assert str(problem(second.scenario, find("merged"))).startswith(
        "--over machine.kernel=6.1:1:16"
    )


@pytest.mark.parametrize(
    ("machine", "policy", "line", "message"),
    [
        (
            "thp: 64KiB",
            "merged@6.7",
            2,
            "; Linux 6.7 is that of policy 'merged@6.7' (--",
        ),
        ("memory: 1MiB\n  reclaim: mglru", "merged@7.3", 3, "'merged@7.3' (--policies)"),
        ("lru_batch: true", "merged@6.18", 2, "'merged@6.18' (--policies)"),
    ],
)
def test_a_kernel_that_the_policy_brought_is_said(
    machine: str, policy: str, line: int, message: str
) -> None:
    """At the setting that does not go with it?"""
    found = problem(on(machine), find(policy))
    assert (found.file, found.line) == ("a.yaml", line)
    assert message in found.message


@pytest.mark.parametrize(
    ("policy", "machine", "message"),
    [
        (OfTree(), "thp: 64KiB", "tree ('kernel:linux' of --policies); give one of Linux 6.12"),
        (
            OfLargeTree(),
            "kernel: '6.11'\n  thp: 64KiB",
            "of --policies); give 'kernel: 6.12' or",
        ),
    ],
)
def test_a_tree_that_does_not_go_with_the_machine_is_named(
    policy: Policy, machine: str, message: str
) -> None:
    """At the setting?"""
    found = problem(on(machine), policy)
    assert (found.line, found.text) == (2, on(machine).text[1])
    assert message in found.message


@pytest.mark.parametrize("setting", ["memory", "swap_max", "swap", "thp", "swap__page_cluster"])
def test_what_cannot_be_explored_is_an_error_at_its_setting(setting: str) -> None:
    """Of the command line?"""
    values = {"memory": "1MiB", "swap_max": "1MiB", "swap": "none", "thp": "2MiB"}
    key, value = f"machine.{setting.replace('__', '.')}", values.get(setting, "3")
    with pytest.raises(ScenarioError) as found:
        machine_of({"machine.kernel": "6.18", key: value}, find("merged"))
    assert str(found.value).startswith(f"--set {key}={value}:1:{len(key) + 2}: {key} must ")


def test_a_machine_that_no_text_says_is_an_error_at_the_beginning() -> None:
    """As where it was made in Python?"""
    scenario = on("kernel: '6.12'")
    machine = replace(on("thp: 64KiB").machine, page_size=16384)
    found = problem(replace(scenario, machine=machine), find("merged"))
    assert (found.file, found.line, found.column, found.text) == ("a.yaml", 1, 1, "machine:")


def test_a_mapping_that_no_program_can_prepare_is_an_error_at_its_step() -> None:
    """Of `emit-c`?"""
    steps = "[{mmap: a, size: 4KiB}, {mmap: b, size: 4KiB, flags: MAP_POPULATE}]"
    with pytest.raises(ScenarioError, match=r"^a\.yaml:3:33: a program cannot map with MAP_POP"):
        emit_c(on("memory: 1MiB", steps))


MACHINES = st.fixed_dictionaries(
    {"swap": st.sampled_from(["zram", "zswap", "disk", "none"])},
    optional={
        "kernel": st.sampled_from(["'6.1'", "'6.9'", "'6.12'", "'6.18'", "'7.3'"]),
        "thp": st.sampled_from(["16KiB", "{2MiB: always}"]),
        "memory": st.sampled_from(["64KiB", "1MiB"]),
        "reclaim": st.sampled_from(["classic", "mglru", "lru"]),
        "lru_batch": st.just("true"),
        "page_size": st.just("16KiB"),
        "hugepages": st.just("4"),
        "swap_max": st.just("64KiB"),
        "memlock": st.just("64KiB"),
    },
)

STEPS = (
    *("{mmap: s, size: 64KiB, shared: true}", "{mmap: f, size: 64KiB, file: t}"),
    *("{mmap: h, size: 2MiB, flags: MAP_HUGETLB}", "{mmap: n, size: 64KiB, at: 0x7f0000010000}"),
    *("{mmap: g, size: 64KiB, flags: MAP_GROWSDOWN}", "{fork: child}", "{pin: b}", "{migrate: b}"),
    *("{madvise: b, advice: MADV_COLLAPSE}", "{madvise: b, advice: MADV_GUARD_INSTALL}"),
    *("{madvise: b, advice: MADV_RANDOM}", "{madvise: b, advice: MADV_COLD}"),
    *("{madvise: b, advice: MADV_FREE}", "{madvise: b, advice: MADV_PAGEOUT, target: main}"),
    *("{uffd_register: b, mode: [missing, wp]}", "{uffd_writeprotect: b}", "{poke: b, value: 1}"),
    *("{uffd_writeprotect: b, mode: rwp}", "{ksm_scan: true}", "{memory_merge: true}"),
    *("{mremap: b, size: 128KiB, flags: MREMAP_MAYMOVE}", "{mlock: b}", "{clear_refs: soft_dirty}"),
    *("{access: b, count: 40}", "{pagemap_scan: b, category: WRITTEN}", "{mincore: b}"),
)


@settings(max_examples=examples(60))
@given(
    MACHINES,
    st.lists(st.sampled_from(STEPS), max_size=3),
    st.sampled_from(["merged", "merged@6.10", "merged@7.3", OfTree(), OfLargeTree()]),
)
def test_no_error_is_without_a_position(
    machine: dict[str, str], steps: list[str], policy: Policy | str
) -> None:
    """Whatever the machine, the steps and the policy?"""
    entries = "".join(f"  {key}: {value}\n" for key, value in machine.items())
    begun = ("{mmap: b, size: 64KiB, at: 0x7f0000000000}", "{memset: b, value: 1}")
    text = f"machine:\n{entries}steps:\n" + "".join(f"- {step}\n" for step in (*begun, *steps))
    found = find(policy) if isinstance(policy, str) else policy
    try:
        scenario = load_text(text, "a.yaml")
        replay(scenario, found) if isinstance(policy, str) else Replay(scenario, found)
    except ScenarioError as error:
        for each in error.problems:
            assert each.file == "a.yaml"
            assert each.text == text.split("\n")[each.line - 1] != ""


PLACED = {
    *("NotModelled", "OutOfMemory", "TooManyPages"),  # Replay.leaf gives them the step's position
    *("ScenarioError", "InputErrors", "TraceError"),  # have one
    *("PolicyError", "UnsteadyPolicy"),  # about the policy, which has a name
    *("AssertionError", "NotImplementedError", "TypeError", "ValueError"),  # no input causes them
}


@pytest.mark.parametrize("package", ["mm", "replay", "reclaim"])
def test_a_replay_raises_only_errors_that_get_a_position(package: str) -> None:
    """None that Replay.leaf lets through as it is?"""
    raised: set[str] = set()
    for path in (Path(swaptrace.__file__).parent / package).rglob("*.py"):
        if path.name == "scenarios.py":  # what the commands do
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                raised.add(ast.unparse(node.exc.func))
    assert SwaptraceError.__name__ not in raised
    assert {name for name in raised if name[0].isupper()} <= PLACED
