"""Does the table of kernels say which rules a version has, and does everything follow it?"""

from __future__ import annotations

from pathlib import Path

import pytest

from swaptrace.kernels import (
    HALVES,
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
from swaptrace.scenario.hardware import KERNEL_DEFAULTS


def test_every_rule_begins_with_a_kernel_that_is_modelled() -> None:
    """Is there, for each rule, a kernel without it and one with it?"""
    assert (version(KERNELS[0]), version(KERNELS[-1])) == (OLDEST, NEWEST)
    for rule in Rule:
        having = [follows(kernel, rule) for kernel in KERNELS]
        assert not having[0]
        assert having[-1]
        assert rule.since == version(KERNELS[having.index(True)])


def test_the_rules_stand_in_the_order_of_their_versions() -> None:
    """Can the table be read from top to bottom as a history?"""
    sinces = [rule.since for rule in Rule]
    assert sinces == sorted(sinces)


@pytest.mark.parametrize(
    ("running", "kernel", "policy"),
    [
        ((5, 19), "6.1", "prepatch"),
        ((6, 1), "6.1", "prepatch"),
        ((6, 2), "6.1", "prepatch"),
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
    """Does "6.3 to 6.19" stand for all of them, and for nothing else?"""
    named = []
    for part in RANGES.split(", "):
        first, _, last = part.partition(" to ")
        (major, low), (_, high) = version(first), version(last or first)
        named += [f"{major}.{minor}" for minor in range(low, high + 1)]
    assert tuple(named) == KERNELS


def test_half_a_rule_is_no_kernel() -> None:
    """Is 6.2, which has one half of a rule, left out?"""
    assert not {f"{major}.{minor}" for major, minor in HALVES} & set(KERNELS)


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
