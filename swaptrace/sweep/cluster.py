"""The engine that computes cells on several machines, by dask.distributed (the extra `cluster`).

A worker needs this swaptrace and, at the same path, the scenario's traces; both are checked there,
by their digests. The policies are sent to it. A cell of a worker that dies is computed by another.
"""

from __future__ import annotations

import logging
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any, Final, NamedTuple

from swaptrace.errors import SwaptraceError, printable
from swaptrace.mm.policy import Policy
from swaptrace.replay.table import Table
from swaptrace.scenario.schema import Scenario
from swaptrace.sweep import identity
from swaptrace.sweep.outcome import outcome_of
from swaptrace.sweep.running import Computed, Engine, GridCell, as_text, measured

CONNECTING: Final = 10
"""Seconds in which a scheduler has to answer."""

_ONE: Final = Lock()
"""A worker may have several threads; tables are for one."""


class Task(NamedTuple):
    """A cell as it is sent: `program` and `traces` are digests, `policy` is pickled."""

    program: str
    scenario: Scenario
    traces: Mapping[str, str]
    policy: bytes


def check_library() -> None:
    """Find out before the work whether there is a client. Raises `SwaptraceError`."""
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise SwaptraceError(
            "--engine dask needs dask.distributed, which is not installed: "
            "pip install 'swaptrace-mm[cluster]'"
        ) from error


def replayed(task: Task) -> str:
    """On a worker: the outcome of a cell as text. Raises `SwaptraceError`."""
    if task.program != identity.of_program():
        raise SwaptraceError(
            "a worker has another swaptrace than this; install the same everywhere"
        )
    for path, digest in task.traces.items():
        _check_trace(task.scenario.trace_path(path), digest)
    with _ONE:
        return as_text(outcome_of(task.scenario, _table(task.policy)))


@lru_cache(maxsize=16)
def _table(policy: bytes) -> Table:
    return Table(pickle.loads(policy))


@lru_cache(maxsize=64)
def _check_trace(path: str, digest: str) -> None:
    try:
        found = identity.of_file(path)
    except OSError as error:
        why = error.strerror or str(error)
        raise SwaptraceError(f"a worker cannot read {printable(path)}: {why}") from None
    if found != digest:
        raise SwaptraceError(f"a worker has another {printable(path)} than this machine")


def cluster(address: str) -> Engine:
    """The engine; working sets are measured in this process."""
    return Engine(partial(measured, ()), partial(clustered, address=address))


@contextmanager
def clustered(cells: Sequence[GridCell], address: str) -> Iterator[Computed]:
    """What computes cells. Raises `SwaptraceError` where no scheduler answers at the address."""
    dask: Any = import_module("distributed")  # of its functions only some have types

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = dask.Client(address, timeout=CONNECTING)
    except (OSError, ValueError, TypeError) as error:
        why = str(error) or "no answer"
        raise SwaptraceError(
            f"--scheduler {printable(address)}: cannot be reached: {why}"
        ) from None
    futures: list[Any] = []
    try:
        tasks = _tasks(cells)
        # A cell is a function of its inputs: a digest of them is the task's name.
        futures = [
            client.submit(replayed, task, key=f"swaptrace-{cell.digest}")
            for task, cell in zip(tasks, cells, strict=True)
        ]
        numbers = {future.key: number for number, future in enumerate(futures)}
        yield ((numbers[each.key], _result(each.result)) for each in dask.as_completed(futures))
    finally:
        client.cancel(futures)
        client.close()


def _tasks(cells: Sequence[GridCell]) -> list[Task]:
    """What is sent for each cell."""
    program = identity.of_program()
    policies = {id(cell.policy): _pickled(cell.policy) for cell in cells}
    traces = identity.of_traces(cells[0].scenario)
    return [
        Task(program, _placed(cell.scenario), traces, policies[id(cell.policy)]) for cell in cells
    ]


def _placed(scenario: Scenario) -> Scenario:
    """The scenario wherever it is replayed: its traces have the same paths there, but are other
    files."""
    return replace(scenario, file=str(Path(scenario.file).absolute()), traces={})


def _pickled(policy: Policy) -> bytes:
    """The policy with the code of the file that it is from, which no worker can import."""
    import cloudpickle

    own = type(policy).__module__
    files = [
        module
        for name, module in list(sys.modules.items())
        if own.startswith("_swaptrace_policy_") and (name == own or name.startswith(f"{own}."))
    ]
    for module in files:
        cloudpickle.register_pickle_by_value(module)
    try:
        pickled: bytes = cloudpickle.dumps(policy)
    finally:
        for module in files:
            cloudpickle.unregister_pickle_by_value(module)
    return pickled


def _result(result: Callable[[], str]) -> str:
    """The text that a worker sent, or what went wrong as an error of this program."""
    from distributed import CancelledError, KilledWorker

    try:
        return result()
    except SwaptraceError:
        raise
    except KilledWorker:
        message = "one cell killed several workers, perhaps for want of memory; give them more"
        raise SwaptraceError(f"--scheduler: {message}") from None
    except CancelledError:
        raise SwaptraceError("--scheduler: the scheduler has gone, or dropped the cells") from None
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise SwaptraceError(f"--scheduler: a worker failed: {printable(what)}") from error
