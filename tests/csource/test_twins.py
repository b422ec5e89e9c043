"""Does C decide as the policies of the series do?

`twins/NAME.c` says in C what `swaptrace/policies/NAME.py` says in Python, in words of its own.
"""

from __future__ import annotations

import json
import pickle
from itertools import islice
from pathlib import Path

import pytest

from swaptrace import inputs, policies
from swaptrace.csource.policy import CPolicy
from swaptrace.exploration.decisions import differing, questions
from swaptrace.mm.event import Facts
from swaptrace.mm.policy import Policy, ask
from swaptrace.replay.engine import replay
from swaptrace.replay.table import Table
from tests.commandline import run
from tests.effort import exhaustive, part

TWINS = Path(__file__).parent / "twins"


def twin(name: str) -> CPolicy:
    policy = policies.from_argument(str(TWINS / f"{name}.c"))
    assert isinstance(policy, CPolicy)
    return policy


def test_every_policy_has_a_twin() -> None:
    """Is there one for each of the series, and none besides?"""
    assert {path.stem for path in TWINS.glob("*.c")} == set(policies.SERIES)


@exhaustive
@pytest.mark.parametrize("name", part(policies.SERIES, 3))
def test_explore_proves_each_pair_equal(name: str) -> None:
    """Does it answer every question alike, and does the command line say so and exit with 0?"""
    pair = f"{name},{TWINS / name}.c"
    done = run("explore", "--policies", pair, "--processes", "1", "--format", "json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["policies"] == [name, f"{name}.c"]
    assert "equal decisions" in found["proof"]


def test_the_decisions_about_shared_folios_agree() -> None:
    """Are the two functions beside do_swap_page() right where processes share a folio as well?"""
    python, c = policies.find("prepatch"), twin("prepatch")
    asked = [each for each in questions(2, Facts()) if each.method != "swapin_pte"]
    for method, kind, arguments in asked:
        assert ask(c, method, kind, *arguments) == ask(python, method, kind, *arguments)
    assert len(asked) > 5_000


@pytest.mark.parametrize(
    ("name", "other"),
    [("prepatch", "rfc"), ("rfc", "rework"), ("final", "suggested"), ("simple", "final")],
)
def test_a_twin_of_another_does_not(name: str, other: str) -> None:
    """Can the comparison fail?"""
    assert differing(policies.find(name), twin(other), 1, Facts())[1] is not None


REPLAYED = ["prepatch", "rework", "merged"]


@pytest.mark.parametrize("name", REPLAYED)
def test_replays_agree(name: str) -> None:
    """Does every bundled scenario count the same under both, step by step?"""
    sources = part(inputs.all_bundled().values(), 3, first=REPLAYED.index(name))
    scenarios = inputs.load_all(sources, {}, None)
    python, c = Table(policies.find(name)), Table(twin(name))
    for scenario in scenarios:
        one = replay(scenario, python, steps=True, pages=True)
        assert replay(scenario, c, steps=True, pages=True) == one
    assert len(scenarios) > 3


def test_only_what_the_file_says_is_overridden() -> None:
    """Do the decisions stay those of every policy that the C does not take?"""
    overridden = {
        name: {
            point
            for point in ("swapin_pte", "should_free_swap", "can_reuse_anon", "readahead_window")
            if getattr(type(twin(name)), point) is not getattr(Policy, point)
        }
        for name in ("prepatch", "final")
    }
    assert overridden == {
        "prepatch": {"swapin_pte", "should_free_swap", "can_reuse_anon"},
        "final": {"swapin_pte"},
    }


def test_a_policy_in_c_can_be_sent_to_another_process() -> None:
    """Does it come back as it was, with its name, title, C and decisions?"""
    before = twin("prepatch")
    after = pickle.loads(pickle.dumps(before))
    assert (after.name, after.title, after.origin) == (before.name, before.title, before.origin)
    assert (after.blocks, after.defines) == (before.blocks, before.defines)
    for question in islice(questions(1, Facts()), 0, None, 500):
        asked = question.method, question.kind, *question.arguments
        assert ask(after, *asked) == ask(before, *asked)


def test_workers_count_the_same() -> None:
    """Is the output of --jobs the same, byte for byte?"""
    words = ("run", "read-then-write", "uffd-wp", "--policies", f"old,{TWINS / 'rfc.c'}")
    one, many = run(*words, "--format", "json"), run(*words, "--format", "json", "--jobs", "2")
    assert one.exit_code == 0, one.output
    assert one.output == many.output


def test_a_decision_cites_its_lines() -> None:
    """Are the lines named that were executed, in order, and whether each condition held?"""
    policy = twin("suggested")
    question = next(
        each
        for each in questions(1, Facts())
        if each.method == "swapin_pte"
        and each.arguments[0].exclusive
        and each.arguments[0].vma.writable
        and each.arguments[0].write
        and not each.arguments[0].vma.soft_dirty_enabled
    )
    cited = policy.cite("swapin_pte", *question.arguments)
    assert [(each.line, each.taken) for each in cited] == [
        (2, False),
        (4, False),
        (7, True),
        (8, None),
        (10, None),
        (11, True),
        (12, None),
        (14, True),
        (15, None),
        (16, None),
        (18, None),
    ]
    assert cited[2].text == "if (exclusive || (folio_ref_count(folio) == 1))"
    assert cited[-1].text == "pte = writable;"
    assert {each.file for each in cited} == {str(TWINS / "suggested.c")}
    assert policy.cite("can_reuse_anon", question.arguments[0].folio) == []
