"""Does the model count under a memory limit what kernels counted?"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.effort import exhaustive, some
from tests.kernel.limits import Observation, difference, observations
from tests.processes import completed

ROOT = Path(__file__).parents[2]
ALL = list(observations())


@exhaustive
@pytest.mark.skipif(find_spec("numba") is None, reason="needs the extra 'fast'")
def test_the_compiled_loop_reproduces_every_observation() -> None:
    """Do all counters at every checkpoint and all page maps agree?"""
    environment = {k: v for k, v in os.environ.items() if k != "SWAPTRACE_INTERPRETED"}
    command = [sys.executable, "-m", "tests.kernel.limits"]
    done = completed(command, cwd=ROOT, env=environment, text=True)
    assert done.stdout == f"{len(ALL)} agree, 0 differ\n"
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "observation",
    some([o for o in ALL if o.facts["workload"].startswith("zipf10")][:3], 1),
    ids=lambda o: o.name,
)
def test_the_interpreted_loop_reproduces_an_observation(
    observation: Observation, tmp_path: Path
) -> None:
    """The same without numba, of a workload that is mostly hits."""
    assert difference(observation, tmp_path) == ""


@exhaustive
def test_what_is_compared_can_differ(tmp_path: Path) -> None:
    """Is a count that is off by one noticed?"""
    first, last = ALL[0].checkpoints[0], ALL[0].checkpoints[-1]
    facts = {**ALL[0].facts, "checkpoints": [first, {**last, "pswpout": last["pswpout"] + 1}]}
    assert "the kernel counts" in difference(Observation("made up", facts), tmp_path)
