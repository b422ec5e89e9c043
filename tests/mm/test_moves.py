"""Which faults push new folios to the LRU lists, to count the references to their own?"""

from __future__ import annotations

import pytest

from swaptrace.mm.event import Access, Pageout
from swaptrace.mm.moves import moves
from swaptrace.mm.transition import transition
from swaptrace.policies import find
from swaptrace.replay.world import static_facts
from swaptrace.scenario.hardware import Machine
from tests.mm.walks import UNTOUCHED

MERGED = find("merged")


@pytest.mark.parametrize(
    ("kernel", "read", "drains"),
    [
        ("6.12", False, False),  # past the swap cache
        ("7.2", False, True),
        ("7.2", True, False),  # the fault of a read; the write finds the page
        ("7.3", False, False),
        ("7.3", True, False),
    ],
)
def test_a_swap_in_drains_for_a_write_alone(kernel: str, read: bool, drains: bool) -> None:
    """Through the swap cache, where the kernel asks for references; not if a write follows?"""
    facts = static_facts(Machine(kernel=kernel))
    column = UNTOUCHED
    for event in (Access(0, facts, read=False, store="fresh"), Pageout(0, facts)):
        column = transition(MERGED, column, event).column
    assert moves(MERGED, column, Access(0, facts, read, "fresh")).drains == drains
