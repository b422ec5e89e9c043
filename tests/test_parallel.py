"""Does `--jobs` leave alone what belongs to the program that it is used in?"""

from __future__ import annotations

import multiprocessing
import time
from threading import Timer

import pytest

from swaptrace.errors import PolicyError
from swaptrace.mm.policy import Policy
from swaptrace.replay.parallel import replaying
from swaptrace.terminal.processes import IMPORTING
from swaptrace.terminal.workers import workers
from tests.replay.building import MiB, microbenchmark, scenario


class Wrong(Policy):
    name = "wrong"

    def swapin_pte(self, fault: object) -> object:  # type: ignore[override]  # noqa: ARG002
        return 7


def test_only_its_own_workers_are_ended() -> None:
    """Does a child of the program live on where a replay fails, and is no worker left?"""
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True)
    child.start()
    some = scenario(*microbenchmark(MiB))
    try:
        with (
            pytest.raises(PolicyError),
            replaying([some] * 3, [Wrong()], {}, 2) as results,
        ):
            list(results)
        assert multiprocessing.active_children() == [child]
    finally:
        child.kill()
        child.join()


def test_no_worker_is_forked_while_a_thread_imports() -> None:
    """Does the first call wait for what would be half imported in the worker?"""
    seen: list[str] = []

    def over() -> None:
        seen.append("imported")
        IMPORTING.release()

    IMPORTING.acquire()
    Timer(0.2, over).start()
    with workers(1, lambda: list(seen)) as submit:
        assert submit(list.copy).result() == ["imported"]
