"""Is the C of a tree interpreted on large folios, and is it told what is wrong with it?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from click.testing import Result
from hypothesis import given, settings

from swaptrace.errors import SwaptraceError
from swaptrace.policies import find, from_argument
from swaptrace.replay.engine import Replay, replay
from swaptrace.replay.table import Table
from swaptrace.scenario.hardware import KERNEL_DEFAULTS
from swaptrace.scenario.schema import Scenario
from tests.commandline import run
from tests.effort import ALL, examples, exhaustive
from tests.ktree.test_real import tree
from tests.ktree.wholes import SMALL, Write, edited
from tests.ktree.wholes import written as written  # a fixture
from tests.replay.test_blocks import with_large_folios

LARGE = ("--set", "machine.thp=16KiB", "--processes", "1")
OPS = "write@all,write@0,read@1,pageout@all,dontneed@1,clear_refs"


def told_apart(place: Path, *words: str, ops: str = OPS) -> Result:
    """An exploration beside the policy of 6.12."""
    return run("explore", "--policies", f"merged,kernel:{place}", *LARGE, "--ops", ops, *words)


def test_a_tree_is_proved_equal_on_large_folios() -> None:
    """Does the proof name the functions that decide about large folios?"""
    done = told_apart(SMALL / "large", ops=OPS if ALL else "write@all,pageout@all,read@1")
    assert done.exit_code == 0, done.output
    assert "nothing tells them apart\nproof by enumeration" in done.stdout
    assert "do_swap_page(), alloc_swap_folio(), thp_swap_suitable_orders(), can_" in done.stdout


SINGLE = ("		if (can_swapin_thp(", "		if (order == 0 && can_swapin_thp(")
NOT_ALIKE = ("swap_pte_batch(ptep, nr, first) != nr)", "swap_pte_batch(ptep, 1, first) != 1)")


@exhaustive
def test_what_size_is_swapped_in_tells_trees_apart(written: Write) -> None:
    """Is the shortest sequence found where the C swaps in single pages?"""
    done = told_apart(written("large", edited("large", SINGLE)))
    assert done.exit_code == 1, done.output
    assert "majflt" in done.stdout
    assert "write@all, pageout@all, read@1" in done.stdout


WRONG = {
    "references": (
        ("	folio_ref_add(folio, nr - 1);\n	vmf->orig_pte", "	vmf->orig_pte"),
        "references to a folio are left or dropped twice",
    ),
    "another page": (
        ("pte_advance_pfn(pte, idx)", "pte_advance_pfn(pte, 0)"),
        "the PTE of the fault is made of another page than is there",
    ),
    "some of the slots": (
        ("	swap_free_nr(entry, nr);", "	swap_free(entry);"),
        "the reference to the swap slot is not dropped",
    ),
    "not alike": (NOT_ALIKE, "slots are read that do not hold the pages of the folio in order"),
    "some of the mappings": (
        ("rmap_ptes(folio, page, nr, vma", "rmap_ptes(folio, page, 1, vma"),
        "rmap is told of another page than is mapped",
    ),
}
"""An edit, and what is said of it."""


@pytest.mark.parametrize("what", sorted(WRONG))
def test_c_that_is_wrong_about_large_folios_is_an_error(what: str, written: Write) -> None:
    """Is it said in which function, and nothing counted?"""
    edit, message = WRONG[what]
    done = told_apart(written("large", edited("large", edit)))
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("after", "machine.kernel=7.3", "a kernel tree, but under one of Linux 6.12"),
        ("large", "machine.swap=disk", "a kernel tree, but on zram without a memory limit"),
    ],
)
def test_what_is_not_modelled_under_a_tree_is_an_error(
    name: str, setting: str, message: str
) -> None:
    """Other versions and devices: is it said what would be right?"""
    words = ("--policies", f"kernel:{SMALL / name}", *LARGE, "--set", setting)
    done = run("explore", *words, "--ops", "read")
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


def agree(scenario: Scenario, table: Table) -> None:
    """Whether a tree counts what the built-in model does, on a machine of 6.12 with zram."""
    implied: dict[str, Any] = {**KERNEL_DEFAULTS["6.12"], "memory": None, "lru_batch": False}
    swap = replace(scenario.machine.swap, backend="zram")
    machine = replace(scenario.machine, kernel="6.12", swap=swap, **implied)
    scenario = replace(scenario, machine=machine)
    with mock.patch.object(Replay, "check_errno"):
        try:
            known = replay(scenario, find("merged"), steps=True, pages=True)
        except SwaptraceError:
            return
        assert replay(scenario, table, steps=True, pages=True) == known


@exhaustive
def test_what_only_the_swap_cache_has_may_have_been_mapped_or_not() -> None:
    """Where that is not known, does the C come to the same for both?"""
    ops = "write@all,pageout@all,fork,read@1,willneed@all,dontneed@1"
    words = ("--policies", f"merged,kernel:{SMALL / 'large'}", *LARGE[:2], "--ops", ops)
    done = run("explore", *words, "--max-states", "200")
    assert done.exit_code == 3, done.output
    assert "not decided: no difference found" in done.stdout


OF_SMALL = Table(from_argument(f"kernel:{SMALL / 'large'}"))


@settings(max_examples=examples(150))
@given(with_large_folios(40, 14))
def test_a_tree_counts_what_the_model_does(scenario: Scenario) -> None:
    """In any scenario with large folios, counters, page maps and violations?"""
    agree(scenario, OF_SMALL)


def test_the_source_of_6_12_counts_what_the_model_does() -> None:
    """The same of the kernel's own mm/memory.c, and is it proved equal on a block?"""
    place = tree("6.12")
    done = told_apart(place, ops="write@all,write@0,read@1,pageout")
    assert done.exit_code == 0, done.output
    table = Table(from_argument(f"kernel:{place}"))

    @settings(max_examples=examples(300))
    @given(with_large_folios(40, 14))
    def each(scenario: Scenario) -> None:
        agree(scenario, table)

    each()
