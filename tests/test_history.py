"""Is docs/history.md what the kernels count? `pytest --promote` makes it again."""

from __future__ import annotations

import pytest

from swaptrace.kernels import Rule
from swaptrace.scenario.loader import load_text
from tests.commandline import ROOT
from tests.effort import exhaustive
from tests.history import counted, page, rows, without

PAGE = ROOT / "docs" / "history.md"


@exhaustive
def test_the_page_is_what_the_kernels_count(request: pytest.FixtureRequest) -> None:
    """Is every number of the page still right, has each a cause, and is none missing?"""
    made = page()
    if request.config.getoption("--promote"):
        PAGE.write_text(made)
    assert PAGE.read_text() == made
    assert "****" not in made


FORKED = """\
machine: {swap: {backend: disk, page_cluster: 0}}
steps:
- {mmap: page, size: 4KiB}
- {write: page}
- {madvise: page, advice: MADV_PAGEOUT}
- {fork: child}
- {write: page}
- {write: page, process: child}
"""


def test_a_rule_that_is_withheld_is_the_one_that_counts() -> None:
    """Of three that are of 7.0, is the cause the place where the swap cache is let go?"""
    scenario = load_text(FORKED)
    old, new = counted(scenario, "6.19"), counted(scenario, "7.0")
    assert old != new
    assert without(Rule.MAPS_BEFORE_FREEING, scenario, "7.0") == old
    assert without(Rule.SYNC_THROUGH_CACHE, scenario, "7.0") == new
    assert {row.rules for row in rows(scenario) if row.counter == "wp_reuse"} == {
        (Rule.MAPS_BEFORE_FREEING,)
    }
