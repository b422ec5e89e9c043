"""Does the model count what kernels did with large folios and a memory limit?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.effort import some
from tests.kernel.foliogenerations import difference, observations

ALL = list(observations("mglru"))
CLASSIC = list(observations("classic"))


@pytest.mark.parametrize("observation", some(ALL, 1), ids=lambda o: o["scenario"])
def test_all_counters_and_page_maps_agree(observation: dict[str, Any], tmp_path: Path) -> None:
    """After each step: accesses, and advice on parts of folios?"""
    assert difference(observation, tmp_path) == ""


@pytest.mark.parametrize("observation", some(CLASSIC, 3), ids=lambda o: o["scenario"])
def test_lists_agree_where_parts_of_folios_are_given_up(
    observation: dict[str, Any], tmp_path: Path
) -> None:
    """Does reclaim split the same folios, at the same time, and are the same pages young then?"""
    assert difference(observation, tmp_path) == ""


def test_a_count_that_is_off_by_one_is_noticed(tmp_path: Path) -> None:
    """Could the comparison fail?"""
    steps = [dict(step) for step in ALL[0]["steps"]]
    steps[2]["counters"] = {**steps[2]["counters"], "pgscan": steps[2]["counters"]["pgscan"] + 1}
    assert difference({**ALL[0], "steps": steps}, tmp_path).startswith("step 2: the kernel counts")
