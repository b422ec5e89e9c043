"""Is the C of a tree told what is pinned, and does it count with pins what the model does?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace.policies import find, from_argument
from swaptrace.replay.engine import replay
from swaptrace.replay.table import Table
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import PinMode, Scenario
from tests.effort import examples, some
from tests.ktree.test_large import agree, of, of_small, that_swap
from tests.ktree.test_real import tree
from tests.ktree.wholes import SMALL, Write, edited, explored
from tests.ktree.wholes import written as written  # a fixture
from tests.replay.strategies import scenarios
from tests.replay.test_pins_large import MODES, with_pins

WRITES: Final[tuple[PinMode, ...]] = ("longterm", "get")
"""Those for which no fault has FAULT_FLAG_UNSHARE, of which the small trees know nothing."""


@st.composite
def pinned(draw: st.DrawFn, modes: Sequence[PinMode] = MODES) -> Scenario:
    """Scenarios of which pages are in swap, and pinned."""
    return draw(with_pins(draw(that_swap()), modes))


@pytest.mark.parametrize("name", ["large", "large-after"])
@settings(max_examples=examples(60))
@given(pinned(WRITES))
def test_a_small_tree_counts_what_the_model_does(name: str, scenario: Scenario) -> None:
    """With large folios, some of them pinned?"""
    agree(scenario, of_small(name), of(name))


@pytest.mark.parametrize("kernel", some(["7.3", "6.12", "7.2"], 1))
def test_the_source_of_a_kernel_counts_what_the_model_does(kernel: str) -> None:
    """The same of the kernel's own mm/memory.c, also of single pages, and where pins unshare."""
    table = Table(from_argument(f"kernel:{tree(kernel)}"))

    @settings(max_examples=examples(150))
    @given(st.one_of(pinned(), scenarios().flatmap(with_pins)))
    def each(scenario: Scenario) -> None:
        agree(scenario, table, kernel)

    each()


REFERENCE = """
steps:
- {mmap: r, size: 16KiB}
- {write: r}
- {fork: child}
- {exit: child}
- {pin: r, length: 4KiB, mode: get}
- {measure: again, steps: [{write: r}]}
"""


@pytest.mark.parametrize(("large", "copied"), [("", 1), ("16KiB", 4)])
def test_a_reference_counts_for_the_c(large: str, copied: int) -> None:
    """Is what is pinned copied by a write, and all of a folio of which one page is?"""
    machine = {"machine.kernel": "7.3", **({"machine.thp": large} if large else {})}
    scenario = load_text(REFERENCE.encode(), "reference", machine)
    found = replay(scenario, of_small("large-after"))
    assert found.windows["again"]["wp_copy"] == copied


REUSED = "	if (!folio_test_anon(folio) || !wp_can_reuse_anon_folio(folio, vma))\n"
ASKED = REUSED.replace("!wp_can", "!folio_maybe_dma_pinned(folio) && !wp_can")
SHARED_FIRST = """
steps:
- {mmap: r, size: 16KiB}
- {write: r}
- {fork: child}
- {exit: child}
- {write: r, offset: 4KiB, length: 4KiB}
- {pin: r, offset: 4KiB, length: 4KiB}
- {measure: again, steps: [{write: r}]}
"""


@pytest.mark.parametrize(("edit", "reused"), [((REUSED, REUSED), 0), ((REUSED, ASKED), 3)])
def test_c_that_asks_whether_a_folio_is_pinned_is_told(
    edit: tuple[str, str], reused: int, written: Write
) -> None:
    """By folio_maybe_dma_pinned(), of one page that others share a large folio with?"""
    place = written("large-after", edited("large-after", edit))
    over = {"machine.kernel": "7.3", "machine.thp": "16KiB"}
    scenario = load_text(SHARED_FIRST.encode(), "shared", over)
    found = replay(scenario, from_argument(f"kernel:{place}"))
    assert found.windows["again"].get("wp_reuse", 0) == reused


def test_what_is_done_with_pinned_pages_alone_is_not_proved(written: Write) -> None:
    """As no operation of an exploration pins, are two trees that differ in that not decided?"""
    place = written("after", edited("after", (REUSED, ASKED)))
    done = explored(SMALL / "after", place, "7.3")
    assert done.exit_code == 3, done.output
    assert "folio_maybe_dma_pinned(folio) never true" in done.stdout


UNSHARED = "reuse:\n	wp_page_reuse(vmf);\n"
UNSHARES = UNSHARED.replace(
    ":\n",
    ":\n	if (vmf->flags & FAULT_FLAG_UNSHARE) {\n"
    "		pte_unmap_unlock(vmf->pte, vmf->ptl);\n		return 0;\n	}\n",
)
TO_READ = """
steps:
- {mmap: r, size: 8KiB}
- {write: r}
- {fork: child}
- {munmap: r, process: child, length: 4KiB}
- {pin: r, mode: longterm_read}
- {check: {pages: {r: '2PDX'}}}
- {measure: again, steps: [{write: r}]}
"""


def test_a_pin_to_read_unshares_as_the_c_says(written: Write) -> None:
    """With FAULT_FLAG_UNSHARE, so that one page is reused, one copied, and neither is writable?"""
    place = written("after", edited("after", (UNSHARED, UNSHARES)))
    scenario = load_text(TO_READ.encode(), "to read", {"machine.kernel": "7.3"})
    found = replay(scenario, from_argument(f"kernel:{place}"))
    known = replay(scenario, find("merged"))
    assert (found.total, found.checks) == (known.total, known.checks)
    assert all(check.ok for check in found.checks)
    assert (found.total["wp_copy"], found.windows["again"]["wp_reuse"]) == (1, 2)
