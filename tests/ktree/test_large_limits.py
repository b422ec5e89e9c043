"""Does the C of a tree count under a memory limit with large folios what the model does, and is it
told what it does to another page than that of the fault?"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swaptrace.errors import PolicyError, ScenarioError
from swaptrace.policies import find, from_argument
from swaptrace.replay.engine import replay
from swaptrace.replay.table import Table
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario
from tests.effort import examples, some
from tests.ktree.test_large import of, of_small
from tests.ktree.test_real import tree
from tests.ktree.wholes import SMALL, Write, edited
from tests.ktree.wholes import written as written  # a fixture
from tests.replay.test_folio_limit import some_steps


def limited(random: Random, kernel: str) -> Scenario:
    """Steps on memory that has not room for all of a region, with and without MADV_HUGEPAGE."""
    pages = random.choice([40, 64, 100])
    begin, *rest = some_steps(random, pages)
    advised = ["{madvise: a, advice: HUGEPAGE}"] * random.randint(0, 1)
    locked = ["{mlock: a, length: 16KiB}"] * random.randint(0, 1)
    machine = {
        "kernel": kernel,
        "thp": random.choice(["16KiB", "64KiB"]),
        "memory": f"{pages * 4 * random.choice([2, 3]) // 4}KiB",
        "reclaim": random.choice(["classic", "mglru"]) if kernel == "6.12" else "classic",
        "stat_flush": random.choice(["never", "1", "7"]),
        "lru_drain": random.choice(["never", "1", "8"]),
        "swap.page_cluster": random.choice(["0", "3"]),
    }
    said = {f"machine.{key}": value for key, value in machine.items()}
    steps = [begin, *advised, *locked, *rest, "{clear_refs: soft_dirty}", "{write: a}"]
    return load_text(f"steps: [{', '.join(steps)}]", "limited", said)


def result(scenario: Scenario, table: Table) -> PolicyResult | str:
    """What is counted, or what is wrong."""
    try:
        return replay(scenario, table, steps=True, pages=True)
    except ScenarioError as error:
        return str(error)


def agree(random: Random, table: Table, kernel: str) -> None:
    """A tree counts what the built-in model of its kernel does."""
    scenario = limited(random, kernel)
    assert result(scenario, table) == result(scenario, Table(find("merged")))


@pytest.mark.parametrize("name", ["large", "large-after"])
@settings(max_examples=examples(40))
@given(st.integers(0, 1 << 32))
@example(43028)  # reclaim splits a folio, and has isolated the page in the place of one of it
def test_a_small_tree_counts_what_the_model_does(name: str, seed: int) -> None:
    """Charges that reclaim, or are refused, included?"""
    agree(Random(seed), of_small(name), of(name))


@pytest.mark.parametrize("kernel", some(["7.2", "6.12", "7.3"], 1))
def test_the_source_of_a_kernel_counts_what_the_model_does(kernel: str) -> None:
    """The same of the kernel's own mm/memory.c."""
    table = Table(from_argument(f"kernel:{tree(kernel)}"))

    @settings(max_examples=examples(60))
    @given(st.integers(0, 1 << 32))
    def each(seed: int) -> None:
        agree(Random(seed), table, kernel)

    each()


def test_c_that_charges_nothing_is_an_error(written: Write) -> None:
    """Is it said of a folio that it maps, with a limit or without?"""
    charges = "if (!mem_cgroup_swapin_charge_folio(folio, vma->vm_mm, gfp, entry))"
    place = written("large", edited("large", (charges, "if (folio)")))
    steps = "[{mmap: a, size: 64KiB}, {write: a}, {madvise: a, advice: PAGEOUT}, {read: a}]"
    scenario = load_text(f"steps: {steps}", "a.yaml", {"machine.thp": "64KiB"})
    with pytest.raises(PolicyError, match=r"in do_swap_page\(\): a folio is mapped that was not"):
        replay(scenario, from_argument(f"kernel:{place}"))


IN_PARTS = """
- {mmap: a, size: 16KiB}
- {write: a}
- {madvise: a, advice: PAGEOUT}
- {fork: child}
- {read: a, process: child}
- {madvise: a, advice: DONTNEED, length: 4KiB}
- {write: a, offset: 4KiB, length: 4KiB}
"""
WHOLE = """
- {mmap: a, size: 16KiB}
- {write: a}
- {clear_refs: soft_dirty}
- {madvise: a, advice: PAGEOUT}
- {write: a, offset: 4KiB, length: 4KiB}
"""
OF_FIRST = (
    "mk_pte(page, vma->vm_page_prot);\n	if",
    "folio_mk_pte(folio, vma->vm_page_prot);\n	if",
)
NOT_MOVED = ("pte_advance_pfn(pte, idx)", "pte")


@pytest.mark.parametrize(
    ("name", "edit", "steps"),
    [
        ("large", NOT_MOVED, WHOLE),
        ("large-after", NOT_MOVED, WHOLE),
        ("large-after", OF_FIRST, IN_PARTS),
    ],
)
def test_c_that_takes_the_first_page_for_another_is_an_error(
    name: str, edit: tuple[str, str], steps: str, written: Write
) -> None:
    """Is it said of what hands do_wp_page() the PTE of the first page, or maps that, where the
    fault was on the second?"""
    place = written(name, edited(name, edit))
    over = {"machine.thp": "16KiB", "machine.kernel": of(name)}
    scenario = load_text(f"steps:{steps}", "a.yaml", over)
    replay(scenario, from_argument(f"kernel:{SMALL / name}"))
    with pytest.raises(PolicyError, match="another page"):
        replay(scenario, from_argument(f"kernel:{place}"))
