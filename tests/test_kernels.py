"""Does the table of kernels say which rules a version has, and does everything follow it?"""

from __future__ import annotations

from pathlib import Path

import pytest

from swaptrace import policies
from swaptrace.kernels import (
    KERNELS,
    NEWEST,
    OLDEST,
    RANGES,
    Rule,
    follows,
    modelled,
    policy_of,
    version,
)
from swaptrace.replay.engine import replay
from swaptrace.scenario.hardware import KERNEL_DEFAULTS
from swaptrace.scenario.loader import load_text


def test_every_rule_begins_with_a_kernel_that_is_modelled() -> None:
    """Is there, for each rule, a kernel without it and one with it?"""
    assert (version(KERNELS[0]), version(KERNELS[-1])) == (OLDEST, NEWEST)
    for rule in Rule:
        having = [follows(kernel, rule) for kernel in KERNELS]
        assert having[0] == (OLDEST in rule.value.stable)
        assert having[-1]
        assert not all(having)
        first, *others = (version(k) for k, has in zip(KERNELS, having, strict=True) if has)
        assert min({first, *others} - {*rule.value.stable}) == rule.since
        assert all(OLDEST <= stable < rule.since for stable in rule.value.stable)


def test_the_rules_stand_in_the_order_of_their_versions() -> None:
    """Can the table be read from top to bottom as a history?"""
    sinces = [rule.since for rule in Rule]
    assert sinces == sorted(sinces)


@pytest.mark.parametrize(
    ("running", "kernel", "policy"),
    [
        ((5, 19), "6.1", "prepatch"),
        ((6, 1), "6.1", "prepatch"),
        ((6, 2), "6.2", "prepatch"),
        ((6, 4), "6.4", "prepatch"),
        ((6, 10), "6.10", "prepatch"),
        ((6, 11), "6.11", "merged"),
        ((6, 18), "6.18", "merged"),
        ((7, 3), "7.3", "merged"),
        ((8, 0), "7.3", "merged"),
    ],
)
def test_a_running_kernel_has_a_model_and_a_policy(
    running: tuple[int, int], kernel: str, policy: str
) -> None:
    """Does the latest model that is not newer stand for a kernel, under the policy that it has?"""
    assert (modelled(running), policy_of(kernel)) == (kernel, policy)


@pytest.mark.parametrize(
    ("kernel", "implied"),
    [
        ("6.1", (False, False, False)),
        ("6.2", (False, False, False)),
        ("6.3", (False, False, True)),
        ("6.6", (True, False, True)),
        ("6.11", (True, False, True)),
        ("6.12", (True, True, True)),
        ("7.3", (True, True, True)),
    ],
)
def test_a_kernel_implies_the_features_of_its_rules(
    kernel: str, implied: tuple[bool, bool, bool]
) -> None:
    """Are per_vma_lock, zeromap and write_upgrade those of the version, in between as well?"""
    found = KERNEL_DEFAULTS[kernel]
    assert (found["per_vma_lock"], found["zeromap"], found["write_upgrade"]) == implied


def test_the_ranges_that_an_error_names_are_those_that_are_taken() -> None:
    """Does "6.1 to 6.19" stand for all of them, and for nothing else?"""
    named = []
    for part in RANGES.split(", "):
        first, _, last = part.partition(" to ")
        (major, low), (_, high) = version(first), version(last or first)
        named += [f"{major}.{minor}" for minor in range(low, high + 1)]
    assert tuple(named) == KERNELS


CLEAN = """\
machine: {kernel: "%s"}
steps:
- {mmap: b, size: 16KiB}
- {write: b}
- {madvise: b, advice: PAGEOUT}
- {read: b}
- {mprotect: b, prot: r}
- {mprotect: b, prot: rw}
- {write: b}
- {uffd_writeprotect: b}
- {uffd_writeprotect: b, wp: false}
- {write: b}
"""


@pytest.mark.parametrize(
    ("kernel", "faults"), [("6.1", (4, 4)), ("6.2", (0, 4)), ("6.3", (0, 0)), ("6.12", (0, 0))]
)
def test_each_kernel_has_its_half_of_a_rule(kernel: str, faults: tuple[int, int]) -> None:
    """Does 6.2 upgrade clean pages by mprotect() and not yet by userfaultfd?"""
    result = replay(load_text(CLEAN % kernel), policies.find("prepatch"), steps=True)
    assert result.steps is not None
    minor = [step.counters.get("minflt", 0) for step in result.steps]
    assert (minor[6], minor[9]) == faults


def test_every_version_up_to_the_newest_is_modelled() -> None:
    """Is none left out between the oldest and the last of each major version?"""
    assert KERNELS[:3] == ("6.1", "6.2", "6.3")
    assert len(KERNELS) == 19 + 4


MODEL = Path(__file__).parents[1] / "docs" / "model.md"
MARKS = "<!-- kernels -->\n", "<!-- /kernels -->\n"


def test_the_documentation_has_the_same_table(request: pytest.FixtureRequest) -> None:
    """Is the table of docs/model.md made of the rules? `pytest --promote` makes it again."""
    text = MODEL.read_text()
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    made = before + MARKS[0] + table() + MARKS[1] + after
    if request.config.getoption("--promote"):
        MODEL.write_text(made)
    assert MODEL.read_text() == made


def table() -> str:
    """The rules as Markdown."""
    rows = [
        f"| {rule.since[0]}.{rule.since[1]} | {rule.value.effect} | {rule.value.commit} |"
        for rule in Rule
    ]
    return "\n".join(["| since | rule | commit |", "|---|---|---|", *rows, ""])
