"""Does the model count what a kernel did with large folios, generations and a memory limit?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.effort import some
from tests.kernel.foliogenerations import difference, observations

ALL = list(observations())


@pytest.mark.parametrize("observation", some(ALL, 1), ids=lambda o: o["scenario"])
def test_all_counters_and_page_maps_agree(observation: dict[str, Any], tmp_path: Path) -> None:
    """After each step: accesses, and advice on parts of folios?"""
    assert difference(observation, tmp_path) == ""


def test_a_count_that_is_off_by_one_is_noticed(tmp_path: Path) -> None:
    """Could the comparison fail?"""
    steps = [dict(step) for step in ALL[0]["steps"]]
    steps[2]["counters"] = {**steps[2]["counters"], "pgscan": steps[2]["counters"]["pgscan"] + 1}
    assert difference({**ALL[0], "steps": steps}, tmp_path).startswith("step 2: the kernel counts")
