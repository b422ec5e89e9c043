"""Does every reader refuse what is wrong by an error of swaptrace's own, in time and memory?

The same targets at length: `python -m tests.fuzz`.
"""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.effort import examples, exhaustive
from tests.fuzz import targets
from tests.fuzz.__main__ import keeping
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TooMuch, all_targets, examine

TARGETS = all_targets()


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> None:
    """To go through what other tests keep is no work of an input's."""
    gc.collect()
    gc.freeze()


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_takes_or_refuses_whatever_it_is_given(name: str) -> None:
    """Also what is nearly right?"""
    target = TARGETS[name]
    seeds = target.seeds
    for seed in seeds:
        examine(target.read, seed)

    @settings(
        max_examples=examples(25),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated(seeds))
    def holds(data: bytes) -> None:
        examine(target.read, data)

    holds()


@exhaustive
def test_a_fault_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is a foreign exception a fault, and what takes too long, or too much after what took more?"""

    def foreign(data: bytes) -> object:
        return data[99]

    with pytest.raises(IndexError):
        examine(foreign, b"")

    def endless(_data: bytes) -> object:
        while True:
            pass

    monkeypatch.setattr(targets, "SECONDS", 0.05)
    with pytest.raises(TooMuch, match="takes more than"):
        examine(endless, b"")
    monkeypatch.setattr(targets, "SECONDS", 20)

    def greedy(count: int) -> list[bytes]:
        return [bytes([1]) * (32 << 20) for _ in range(count)]

    greedy(20)
    examine(lambda _: greedy(10), b"")
    monkeypatch.setattr(targets, "MEMORY", 200 << 20)
    with pytest.raises(TooMuch, match=r"takes \d+ MiB"):
        examine(lambda _: greedy(10), b"")


def test_an_input_that_a_reader_fails_on_is_kept(tmp_path: Path) -> None:
    """In the file that is said, and nothing where all is well?"""
    kept = tmp_path / "reader-fault"
    with keeping(kept, b"well"):
        pass
    assert not kept.exists()
    with pytest.raises(IndexError), keeping(kept, b"bad"):
        raise IndexError
    assert kept.read_bytes() == b"bad"
