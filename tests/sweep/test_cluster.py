"""Do the workers of a scheduler give the same bytes, whatever becomes of them?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.commandline import ROOT, environment, finished, run, start
from tests.effort import exhaustive
from tests.processes import begin, until
from tests.sweep.test_sweep import COUNTING, WORK, computed

pytestmark = pytest.mark.skipif(
    find_spec("distributed") is None, reason="needs the extra 'cluster'"
)

GRID = ("--over", "machine.memory=25%..100%/4")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("work.yaml").write_text(WORK)
    Path("mine.py").write_text("from .helper import KIND\n" + COUNTING.replace("a test", "{KIND}"))
    Path("helper.py").write_text("KIND = 1\n")
    Path("t.csv").write_text("page,write\n0,1\n1,1\n2,1\n0,0\n1,1\n")
    Path("trace.yaml").write_text("steps:\n- mmap: a\n  size: 64KiB\n- trace: t.csv\n")


def daemon(*words: str) -> subprocess.Popen[bytes]:
    """A program of dask, on this machine alone."""
    command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
    local = {"PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
    with Path(f"{words[0]}.log").open("ab") as log:
        return begin(command, env=environment(local), stdout=log, stderr=log)


def scheduler() -> str:
    """The address of a scheduler in a process of its own."""
    process = daemon(
        "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"
    )
    log = Path("dask_scheduler.log")
    found = re.compile(r"tcp://127\.0\.0\.1:\d+")
    until(lambda: log.exists() and found.search(log.read_text()) is not None, process)
    match = found.search(log.read_text())
    assert match is not None
    return match[0]


def worker(address: str) -> subprocess.Popen[bytes]:
    """One that has one thread, and no process to start it again."""
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
    return daemon("dask_worker", address, *options)


def test_a_local_cluster_gives_the_same_bytes() -> None:
    """For policies by name, in Python with what is beside it, and a trace?"""
    with import_module("distributed").LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        dashboard_address=None,
        protocol="tcp",
        host="127.0.0.1",
    ) as cluster:
        dask = ("--engine", "dask", "--scheduler", cluster.scheduler_address)
        for name, over in (
            ("work.yaml", GRID),
            ("trace.yaml", ("--over", "machine.memory=8KiB,12KiB")),
        ):
            words = ("sweep", name, *over, "-p", "old,new,mine.py", "--format", "json")
            alone = run(*words, "--cells", f"{name}.alone", "--jobs", "1")
            together = run(*words, "--cells", f"{name}.dask", *dask)
            assert together.exit_code == 0, together.stderr
            assert together.stdout == alone.stdout
            assert computed(together.stderr) == computed(alone.stderr) > 0
            files = [sorted(Path(f"{name}.{kind}").iterdir()) for kind in ("alone", "dask")]
            alone_kept, dask_kept = ([file.read_bytes() for file in each] for each in files)
            assert alone_kept == dask_kept


@exhaustive
def test_a_worker_that_dies_costs_time_and_not_the_result() -> None:
    """A scheduler and two workers as processes of their own: is one killed at work replaced?"""
    address = scheduler()
    begun = COUNTING.replace("while ", "open(f'at-{os.getpid()}', 'w').close()\n        while ")
    assert begun != COUNTING
    Path("mine.py").write_text(begun)
    words = ("sweep", "work.yaml", *GRID, "-p", "old,mine.py", "--format", "json")
    # A policy is sent as code; where it waits is this directory, which is that of the workers.
    Path("wait").touch()
    workers = [worker(address), worker(address)]
    process = start(*words, "--cells", "dask", "--engine", "dask", "--scheduler", address)
    until(lambda: len([*Path().glob("at-*")]) == 2, process)
    workers[0].kill()
    Path("wait").unlink()
    code, out, err = finished(process)
    assert (code, computed(err)) == (0, 8)
    assert out == run(*words, "--cells", "alone").stdout


def test_a_changed_trace_is_no_result() -> None:
    """Is what a worker finds at the trace's path compared?"""
    from swaptrace.errors import SwaptraceError
    from swaptrace.policies import find
    from swaptrace.scenario.loader import load_file
    from swaptrace.sweep.cluster import _tasks, replayed
    from swaptrace.sweep.running import cells_of

    (cell,) = cells_of([load_file("trace.yaml")], [find("old")])
    (task,) = _tasks([cell])
    assert "counted" in replayed(task)
    other = task._replace(traces={"t.csv": "0" * 64})
    with pytest.raises(SwaptraceError, match=r"has another .*t\.csv than this machine"):
        replayed(other)
    with pytest.raises(SwaptraceError, match="another swaptrace"):
        replayed(task._replace(program="0"))
    os.rename("t.csv", "u.csv")
    with pytest.raises(SwaptraceError, match=r"cannot read .*t\.csv: No such file"):
        replayed(task._replace(traces={"t.csv": "1" * 64}))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--engine", "dask"), "--engine dask needs --scheduler ADDRESS"),
        (("--scheduler", "tcp://127.0.0.1:1"), "--scheduler needs --engine dask"),
        (("--engine", "dask", "--scheduler", "x", "--jobs", "2"), "--jobs is for --engine local"),
        (("--engine", "dask", "--scheduler", "tcp://127.0.0.1:1"), "cannot be reached"),
        (("--engine", "dask", "--scheduler", "nonsense://x"), "cannot be reached"),
        (("--engine", "spark"), "'spark' is not one of"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is it exit code 2 and a message that says what would be right?"""
    monkeypatch.setattr("swaptrace.sweep.cluster.CONNECTING", 0.5)
    result = run("sweep", "work.yaml", *GRID, *words)
    assert result.exit_code == 2
    assert message in result.stderr.replace("\n", " ")


def test_without_distributed_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it?"""
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = run("sweep", "work.yaml", *GRID, "--engine", "dask", "--scheduler", "tcp://h:1")
    assert "pip install 'swaptrace-mm[cluster]'" in result.stderr
