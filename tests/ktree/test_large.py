"""Is the C of a tree interpreted on large folios, and is it told what is wrong with it?"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.advice import Advice
from swaptrace.bundled import scenarios
from swaptrace.errors import SwaptraceError
from swaptrace.policies import find, from_argument
from swaptrace.replay.engine import Replay, replay
from swaptrace.replay.table import Table
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.hardware import KERNEL_DEFAULTS
from swaptrace.scenario.loader import load_file, load_text
from swaptrace.scenario.schema import AccessStep, MadviseStep, MmapStep, Scenario, Step
from swaptrace.scenario.thp import large_folios
from tests.commandline import run
from tests.effort import ALL, examples, exhaustive, part, some
from tests.kernel.observed import FOLIOS, observations
from tests.ktree.test_real import tree
from tests.ktree.wholes import SMALL, Write, edited, text_of
from tests.ktree.wholes import written as written  # a fixture
from tests.replay.strategies import page_accesses, spans
from tests.replay.test_blocks import with_large_folios
from tests.replay.test_naive import expand

LARGE = ("--set", "machine.thp=16KiB", "--processes", "1")
OPS = "write@all,write@0,read@1,pageout@all,dontneed@1,clear_refs"


WITHIN = {
    "large": "do_swap_page(), alloc_swap_folio(), thp_swap_suitable_orders(), can_",
    "large-after": "do_swap_page(), thp_swapin_suitable_orders(), thp_swap_suitable_orders(), can_",
}
"""What is interpreted of each small tree."""


def told_apart(
    place: Path, *words: str, kernel: str = "6.12", ops: str = OPS, swap: str = "zram"
) -> Result:
    """An exploration beside the policy of a kernel."""
    machine = ("--set", f"machine.kernel={kernel}", "--set", f"machine.swap={swap}")
    on = (*machine, *LARGE, "--ops", ops)
    return run("explore", "--policies", f"merged,kernel:{place}", *on, *words)


def of(name: str) -> str:
    return "7.3" if name == "large-after" else "6.12"


@pytest.mark.parametrize(
    ("name", "swap"),
    some(
        [
            ("large", "zram"),
            ("large", "disk"),
            *product(["large-after"], ["zram", "zswap", "disk"]),
        ],
        2,
    ),
)
def test_a_tree_is_proved_equal_on_large_folios(name: str, swap: str) -> None:
    """Does the proof name the functions that decide about large folios?"""
    ops = OPS if ALL and swap == "zram" else FEW
    done = told_apart(SMALL / name, kernel=of(name), ops=ops, swap=swap)
    assert done.exit_code == 0, done.output
    assert "nothing tells them apart\nproof by enumeration" in done.stdout
    assert WITHIN[name] in done.stdout


NOT_ALIKE = ("swap_pte_batch(ptep, nr, first) != nr)", "swap_pte_batch(ptep, 1, first) != 1)")
ENTRIES_ALONE = (
    "!pte_same(ptep_get(ptep), expected)",
    "pte_none(ptep_get(ptep)) || pte_present(ptep_get(ptep)) ||\n"
    "softleaf_from_pte(ptep_get(ptep)).val != softleaf_from_pte(expected).val",
)
"""Entries in order whose bits need not be the same."""

SMALL_ONES = (
    "		orders = thp_vma_allowable_orders(",
    "		orders = BIT(0) & thp_vma_allowable_orders(",
)
SHARED = (
    "	if (test_bit(FOLIO_MM_IDS_SHARED_BITNUM, &folio->_mm_ids))\n		return false;\n",
    "",
)

FEW = "write@all,read@1,pageout@all"

OTHERS = {
    "single pages": (
        *("large", SMALL_ONES, OPS if ALL else FEW),
        *("1", "write@all, pageout@all, read@1"),
    ),
    "single pages since": (
        *("large-after", (SMALL_ONES[0][1:], SMALL_ONES[1][1:])),
        *(FEW, "1", "write@all, pageout@all, read@1"),
    ),
    "soft-dirty bits": (
        *("large-after", ENTRIES_ALONE),
        *("write@all,write@1,pageout@all,clear_refs,read@0", "1", "clear_refs, write@1, pageout"),
    ),
    "exclusive bits": (
        *("large-after", ENTRIES_ALONE),
        *(
            "write@all,write@1,pageout@all,fork,read@0",
            "2",
            "write@1 by child, pageout@all by child, read@0 by child",
        ),
    ),
    "shared folios": (
        *("large-after", SHARED),
        *("write@all,fork,write@1", "2", "write@all, fork child, write@all"),
    ),
}
"""A tree, what its C does otherwise, operations, processes, and the sequence."""


@pytest.mark.parametrize("what", some(OTHERS, 1))
def test_trees_that_do_otherwise_are_told_apart(what: str, written: Write) -> None:
    """Is the shortest sequence found?"""
    name, edit, ops, processes, sequence = OTHERS[what]
    words = ("--processes", processes)
    most = ("--max-states", "1500")
    done = told_apart(written(name, edited(name, edit)), *words, *most, kernel=of(name), ops=ops)
    assert done.exit_code == 1, done.output
    assert sequence in done.stdout


REFERENCES = ("	folio_ref_add(folio, nr - 1);\n	vmf->orig_pte", "	vmf->orig_pte")
ANOTHER = ("pte_advance_pfn(pte, idx)", "pte_advance_pfn(pte, 0)")
ADDRESS = ("new_anon_rmap(folio, vma, addr, rmap", "new_anon_rmap(folio, vma, vmf->address, rmap")

WRONG = {
    "references": ("large", REFERENCES, "references to a folio are left or dropped twice"),
    "references since": ("large-after", REFERENCES, "references to a folio are left or dropped"),
    "another page": ("large", ANOTHER, "the PTE of the fault is made of another page than is"),
    "another page since": ("large-after", ANOTHER, "the PTE of the fault is made of another page"),
    "some of the slots": (
        *("large", ("	swap_free_nr(entry, nr);", "	swap_free(entry);")),
        "the reference to the swap slot is not dropped",
    ),
    "some of the slots since": (
        *("large-after", ("put_swap(folio, NULL)", "put_swap(folio, page)")),
        "the reference to the swap slot is not dropped",
    ),
    "not alike": ("large", NOT_ALIKE, "slots are read that do not hold the pages of the folio in"),
    "some of the mappings": (
        *("large", ("rmap_ptes(folio, page, nr, vma", "rmap_ptes(folio, page, 1, vma")),
        "rmap is told of another page than is mapped",
    ),
    "address": ("large-after", ADDRESS, "a new folio is put at an address that it was not made"),
    "deleted from the cache": (
        *(
            "large-after",
            (
                "	exclusive = pte_swp_ex",
                "	if (folio_test_large(folio))\n"
                "\t\tswap_cache_del_folio(folio);\n"
                "	exclusive = pte_swp_ex",
            ),
        ),
        "the folio is in no swap cache",
    ),
}
"""A tree, an edit, and what is said of it."""


@pytest.mark.parametrize("what", some(sorted(WRONG), 3))
def test_c_that_is_wrong_about_large_folios_is_an_error(what: str, written: Write) -> None:
    """Is it said in which function, and nothing counted?"""
    name, edit, message = WRONG[what]
    done = told_apart(written(name, edited(name, edit)), kernel=of(name))
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


def test_a_kernel_that_was_never_compared_is_an_error(written: Write) -> None:
    """Is it said which trees are interpreted on large folios?"""
    place = written("large-after", text_of("large-after"))
    (place / "Makefile").write_text("VERSION = 7\nPATCHLEVEL = 1\n")
    done = told_apart(place, kernel="7.1", ops="read")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "that is a kernel tree (" in done.stderr
    assert "of --policies); give one of Linux 6.12, 7.2 or 7.3" in done.stderr


def test_zswap_that_stores_no_large_folios_is_an_error() -> None:
    """Is it said since when it does?"""
    done = told_apart(SMALL / "large", swap="zswap", ops="read")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "with zswap before Linux 6.13, which does not store them" in done.stderr


def test_c_that_nobody_knows_is_an_error_at_its_place(written: Write) -> None:
    """Function, file, line, and a caret: also of what is read for large folios alone?"""
    edit = (
        "	pte = pte_offset_map_lock(vma",
        "	frobnicate(vmf);\n	pte = pte_offset_map_lock(vma",
    )
    place = written("large-after", edited("large-after", edit))
    done = told_apart(place, kernel="7.3", ops="write@all,read@1,pageout@all")
    assert (done.exit_code, done.stdout) == (2, "")
    line = 1 + text_of("large-after")[: text_of("large-after").index(edit[0])].count("\n")
    told = f"{place}/mm/memory.c:{line}:2: in thp_swapin_suitable_orders(): there is no function"
    assert f"{told} 'frobnicate'" in done.stderr
    assert "frobnicate(vmf);\n     ^" in done.stderr


@st.composite
def that_swap(draw: st.DrawFn) -> Scenario:
    """Scenarios of which pages are in swap, in the swap cache, and mapped before all else."""
    scenario = draw(with_large_folios(40, 12))
    first, *others = scenario.steps
    assert isinstance(first, MmapStep)
    pages = first.size // 4096
    begin: list[Step] = [AccessStep(line=1, op="write", region="r", span=whole(pages), stride=4096)]
    for _ in range(draw(st.integers(1, 4))):
        span = draw(st.one_of(st.just(whole(pages)), spans(pages)))
        begin.append(MadviseStep(line=1, region="r", advice=Advice.PAGEOUT, span=span))
        begin.append(draw(page_accesses(draw(spans(pages)), "main")))
    backend = draw(st.sampled_from(["zram", "zswap", "disk", "disk"]))
    swap = replace(scenario.machine.swap, backend=backend, size=1 << 30)
    steps = (replace(first, prot="rw"), *begin, *others)
    return replace(scenario, machine=replace(scenario.machine, swap=swap), steps=steps)


def whole(pages: int) -> ByteRange:
    """All of a region."""
    return ByteRange(0, pages * 4096)


def agree(scenario: Scenario, table: Table, kernel: str) -> bool:
    """A tree counts what the built-in model does, on a machine of its kernel. False where that is
    an error."""
    implied: dict[str, Any] = {**KERNEL_DEFAULTS[kernel], "memory": None, "lru_batch": False}
    machine = replace(scenario.machine, kernel=kernel, **implied)
    scenario = replace(scenario, machine=machine)
    with mock.patch.object(Replay, "check_errno"):
        try:
            known = replay(scenario, find("merged"), steps=True, pages=True)
        except SwaptraceError:
            return False
        found = replay(scenario, table, steps=True, pages=True)
    assert found.total == known.total
    assert found.pages == known.pages
    assert found.violations == known.violations
    assert expand(found.steps) == expand(known.steps)
    return True


@exhaustive
def test_what_only_the_swap_cache_has_may_have_been_mapped_or_not() -> None:
    """Where that is not known, does the C come to the same for both?"""
    ops = "write@all,pageout@all,fork,read@1,willneed@all,dontneed@1"
    words = ("--policies", f"merged,kernel:{SMALL / 'large'}", *LARGE[:2], "--ops", ops)
    done = run("explore", *words, "--max-states", "200")
    assert done.exit_code == 3, done.output
    assert "not decided: no difference found" in done.stdout


@cache
def of_small(name: str) -> Table:
    """A small tree's policy, and what is known of it."""
    return Table(from_argument(f"kernel:{SMALL / name}"))


LOCKED = """
steps:
- {mmap: r, size: 4KiB}
- {write: r}
- {madvise: r, advice: MADV_PAGEOUT}
- {read: r}
- {madvise: r, advice: MADV_PAGEOUT}
- {fork: child}
- {mlock: r}
- {mlock: r, process: child}
"""


@pytest.mark.parametrize("name", sorted(WITHIN))
def test_a_page_mapped_by_a_locked_vma_is_mlocked(name: str) -> None:
    """Has it the reference of mlock's batch, so that a write does not reuse it?"""
    scenario = load_text(LOCKED.encode(), "locked", {"machine.thp": "16KiB"})
    assert agree(scenario, of_small(name), of(name))


READ_AHEAD = """
steps:
- {mmap: r, size: 8KiB}
- {write: r}
- {madvise: r, advice: MADV_PAGEOUT}
- {read: r, offset: 0, length: 4KiB}
- {fork: child}
- {exit: main}
- {mlock: r, process: child}
"""


def test_a_page_that_nobody_has_mapped_is_not_mlocked_by_rmap() -> None:
    """Is what read-ahead brought in, and a locked VMA maps first, reused by a write?"""
    over = {"machine.thp": "16KiB", "machine.swap": "zswap"}
    scenario = load_text(READ_AHEAD.encode(), "read-ahead", over)
    assert agree(scenario, of_small("large-after"), "7.3")


THIRD = """
steps:
- {mmap: r, size: 16KiB}
- {write: r}
- {fork: child}
- {fork: third}
- {exit: child}
- {madvise: r, advice: MADV_DONTNEED}
- {fork: fourth, process: third}
- {write: r, length: 4KiB, process: third}
- {exit: third}
- {write: r, process: fourth}
"""


def test_a_tree_knows_two_processes_of_a_large_folio() -> None:
    """Does FOLIO_MM_IDS_SHARED_BITNUM say that a folio that a third one maps may be shared?"""
    scenario = load_text(THIRD.encode(), "third", {"machine.thp": "16KiB"})
    assert agree(scenario, of_small("large-after"), "7.3")


@pytest.mark.parametrize("name", some(sorted(WITHIN), 2))
@settings(max_examples=examples(150))
@given(that_swap())
def test_a_tree_counts_what_the_model_does(name: str, scenario: Scenario) -> None:
    """With large folios on any device, counters, page maps and violations?"""
    agree(scenario, of_small(name), of(name))


@pytest.mark.parametrize("kernel", some(["7.3", "7.2", "6.12"], 2))
def test_the_source_of_a_kernel_counts_what_the_model_does(kernel: str) -> None:
    """The same of the kernel's own mm/memory.c, and is it proved equal on a block?"""
    place = tree(kernel)
    for swap in ("zram", "disk", *(["zswap"] if kernel != "6.12" else [])):
        ops = "write@all,write@0,read@1,pageout@all"
        done = told_apart(place, kernel=kernel, ops=ops, swap=swap)
        assert done.exit_code == 0, done.output
    table = Table(from_argument(f"kernel:{place}"))

    @settings(max_examples=examples(300))
    @given(that_swap())
    def each(scenario: Scenario) -> None:
        agree(scenario, table, kernel)

    each()


@pytest.mark.parametrize("kernel", some(["7.3", "7.2", "6.12"], 2))
def test_the_source_of_a_kernel_counts_so_in_known_scenarios(kernel: str) -> None:
    """In the bundled ones and those that kernels were given, swapping to disk and zswap?"""
    table = Table(from_argument(f"kernel:{tree(kernel)}"))
    given_to = [o.load() for o in observations(FOLIOS) if o.backend != "zram"]
    bundled = [load_file(str(path)) for path in scenarios().values()]
    large = [each for each in bundled if large_folios(each.machine.thp)]
    for backend in ("disk", "zswap"):
        counted = 0
        for each in part([*large, *given_to], 9):
            swap = replace(each.machine.swap, backend=backend)
            on = replace(each, machine=replace(each.machine, swap=swap))
            counted += agree(on, table, kernel)
        assert counted > 20 or (kernel, backend) == ("6.12", "zswap")
