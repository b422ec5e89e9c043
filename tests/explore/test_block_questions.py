"""Is a policy asked of large folios what it is asked in a proof by equal decisions?"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from swaptrace.exploration.blocksearch import BlockSearch
from swaptrace.exploration.blockside import BlockSide
from swaptrace.exploration.decisions import questions
from swaptrace.exploration.explorer import limits_on, operations
from swaptrace.exploration.graph import Limits
from swaptrace.exploration.search import SearchBounds
from swaptrace.replay.engine import replay
from swaptrace.replay.world import static_facts
from swaptrace.scenario.hardware import Machine, Swap
from swaptrace.scenario.loader import load_text
from tests.effort import some
from tests.explore.test_decisions import LARGE, Curious, unknown

ON_BLOCKS = ("read@0,write,pageout,fork,exit", "write@0,write@all,pageout@all,mlock,clear_refs")


@pytest.mark.parametrize("ops", some(ON_BLOCKS, 1))
@pytest.mark.parametrize(
    ("kernel", "backend"),
    some([("6.10", "disk"), *product(("7.3", "7.2", "6.18", "6.12"), ("disk", "zram"))], 1),
)
def test_every_question_about_a_block_is_among_those_of_the_proof(
    kernel: str, backend: Any, ops: str
) -> None:
    """The same of large folios, which of a block of pages are mapped?"""
    machine = Machine(kernel=kernel, swap=Swap(backend, page_cluster=0), thp=LARGE)
    policy, limits = Curious(), limits_on(machine, Limits(operations(ops), 2))
    side = BlockSide(policy, machine, limits)
    BlockSearch([side], limits, SearchBounds(states=150)).run(lambda _states: None)
    assert any("nr_pages=4" in question for question in policy.asked)
    assert not unknown(policy, questions(2, static_facts(machine), block=True))


UNMAPPED_AT_FIRST = """
steps:
- {mmap: r, size: 16KiB}
- {write: r}
- {madvise: r, advice: MADV_PAGEOUT}
- {fork: child}
- {madvise: r, length: 4KiB, advice: MADV_DONTNEED}
- {mlock: r, length: 4KiB}
- {write: r, process: child}
- {write: r}
"""

MAPPED_TWICE = """
steps:
- {mmap: r, size: 16KiB}
- {write: r}
- {madvise: r, advice: MADV_PAGEOUT}
- {fork: child}
- {read: r}
- {read: r, process: child}
"""


ONE_PAGE = (
    "mapcount=0, ref_count=5, swapcache=True, swap_count=0, mlocked=False, pins=0, nr_pages=1"
)


@pytest.mark.parametrize(
    ("kernel", "steps", "asked"),
    [
        ("7.2", MAPPED_TWICE, "mapcount=8"),
        ("7.3", MAPPED_TWICE, "mapcount=8"),
        ("6.10", UNMAPPED_AT_FIRST, ONE_PAGE),
    ],
)
def test_what_a_folio_of_two_processes_is_asked_about(kernel: str, steps: str, asked: str) -> None:
    """Are its references among those of the proof, when the second has mapped all, and where it is
    asked about as one page is?"""
    over = {"machine.kernel": kernel, "machine.thp": "16KiB", "machine.swap": "disk"}
    scenario = load_text(steps.encode(), "twice", over)
    policy = Curious()
    replay(scenario, policy)
    assert any(asked in question for question in policy.asked)
    assert not unknown(policy, questions(2, static_facts(scenario.machine), block=True))
