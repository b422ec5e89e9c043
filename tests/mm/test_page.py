"""Is what a page notes of an event typed, and are explanations nothing but that?"""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings

from swaptrace import policies
from swaptrace.counters import COUNTERS, Counter
from swaptrace.mm.column import Column, Mapping, Vma
from swaptrace.mm.event import Facts
from swaptrace.mm.moves import moves
from swaptrace.mm.page import Page
from swaptrace.mm.transition import transition
from tests.effort import examples
from tests.mm.walks import histories

FINAL = policies.find("final")


@settings(max_examples=examples(60))
@given(histories(FINAL))
def test_explanations_decide_nothing(history: Any) -> None:
    """Do columns, counts, promises and the moves of folios stay the same without them?"""
    before = Column((Mapping(Vma()),))
    for event, outcome in history:
        told = moves(FINAL, before, event)
        with mock.patch.object(Page, "enter"):
            assert transition(FINAL, before, event) == outcome._replace(path=())
            assert moves(FINAL, before, event) == told
        before = outcome.column


def test_a_misspelt_counter_is_an_error() -> None:
    """Is what does not exist refused where it is counted, not dropped?"""
    page = Page(Column((Mapping(Vma()),)), FINAL, Facts())
    page.count(Counter.MAJFLT, 2)
    assert dict(zip(COUNTERS, page.counts, strict=True)).pop("majflt") == 2
    misspelt: Any = "majfault"
    with pytest.raises(KeyError):
        page.count(misspelt)
