"""Is what real programs did what comes of their logs? valgrind and strace run here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from swaptrace.importers.strace import Calls
from swaptrace.scenario.loader import load_file
from swaptrace.scenario.schema import (
    MadviseStep,
    MmapStep,
    MprotectStep,
    MunmapStep,
    Scenario,
    Step,
    TraceStep,
)
from swaptrace.traces.files import open_trace
from tests.commandline import finished, run, start
from tests.effort import exhaustive
from tests.importers.logs import blocks_of, compiled, naive, needs_compiler, needs_tools
from tests.processes import alive, completed, descendants, until

pytestmark = [needs_tools, needs_compiler]

PAGES = 24
PROGRAM = f"""\
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
enum {{ PAGES = {PAGES}, SIZE = 4096 }};
int main(int argc, char **argv)
{{
    /* With a hole on either side, it hangs together with nothing else. */
    char *hole = mmap(0, (PAGES + 2) * SIZE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    volatile char *p = hole + SIZE;
    mmap(hole + SIZE, PAGES * SIZE, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    for (int i = 0; i < PAGES; i++)
        p[i * SIZE] = 1;
    for (int i = 0; i < PAGES; i += 3)
        (void)p[i * SIZE];
    madvise((char *)p, 8 * SIZE, MADV_DONTNEED);
    (void)p[0];
    p[SIZE + 4000] = 1;
    mprotect((char *)p + 4 * SIZE, 8 * SIZE, PROT_READ);
    (void)p[5 * SIZE];
    *(volatile int *)(p + 20 * SIZE - 2) = 7;
    munmap((char *)p, PAGES * SIZE);
    dprintf(1, "%p", (void *)p);
    return argc > 1 ? 3 : 0;
}}
"""
DONE = [
    *((page, True) for page in range(PAGES)),
    *((page, False) for page in range(0, PAGES, 3)),
    "madvise 0 8",
    (0, False),
    (1, True),
    "mprotect 4 8",
    (5, False),
    (19, True),
    (20, True),
    "munmap 0 24",
]
"""What the program does to its mapping."""


class Imported(NamedTuple):
    """A scenario, and where it is."""

    scenario: Scenario
    directory: Path

    def region(self, address: int) -> MmapStep:
        """The mapping that an address lies in."""
        maps = [step for step in self.scenario.steps if isinstance(step, MmapStep)]
        return next(each for each in maps if each.at and each.at <= address < each.at + each.size)

    def done(self, region: str) -> list[object]:
        """What is done to a region: accesses, and the pages of calls."""
        found: list[object] = []
        for step in self.scenario.steps:
            if isinstance(step, TraceStep):
                found += accesses(self.directory / step.path, region)
            elif (call := shown(step, region)) is not None:
                found.append(call)
        return found


def shown(step: Step, region: str) -> str | None:
    """A call on a region, with its first page and how many there are."""
    if isinstance(step, MadviseStep | MprotectStep | MunmapStep) and step.region == region:
        return f"{step.op} {step.span.offset // 4096} {step.span.length // 4096}"
    return None


def only(directory: Path, name: str) -> Path:
    """The only trace of an import."""
    (trace,) = directory.glob(f"{name}-*.npz")
    return trace


def accesses(path: Path, region: str) -> list[tuple[int, bool]]:
    """Those of a trace to one region."""
    trace = open_trace(str(path))
    number = trace.regions.index(region)
    found: list[tuple[int, bool]] = []
    for chunk in trace.chunks(1 << 16):
        assert chunk.region is not None
        here = chunk.region == number
        found += zip(chunk.page[here].tolist(), chunk.write[here].tolist(), strict=True)
    return found


def read(directory: Path, name: str) -> Imported:
    return Imported(load_file(str(directory / f"{name}.yaml")), directory)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(PROGRAM, tmp_path_factory.mktemp("program"))


def recorded(directory: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """`swaptrace record`, in a process of its own as its command writes to the standard output."""
    words = [sys.executable, "-m", "swaptrace", "record", "-o", str(directory), *map(str, command)]
    return completed(words, text=True)


def test_what_a_program_did_is_what_is_recorded(program: Path, tmp_path: Path) -> None:
    """Access by access, call by call, with nothing else in between?"""
    result = recorded(tmp_path / "out", program)
    assert (result.returncode, result.stderr[:13]) == (0, f"{tmp_path}"[:13])
    address = int(result.stdout, 16)
    imported = read(tmp_path / "out", "program")
    region = imported.region(address)
    assert (region.at, region.size) == (address, PAGES * 4096)
    assert imported.done(region.region) == DONE
    assert run("check", tmp_path / "out").exit_code == 0
    assert "accesses to mappings of files" in result.stderr


@exhaustive
def test_a_recorded_scenario_replays(program: Path, tmp_path: Path) -> None:
    """Are the faults of the mapping those that the kernel would count?"""
    assert recorded(tmp_path, "--name", "once", program, "x").returncode == 3, "that of the program"
    imported = read(tmp_path, "once")
    assert imported.scenario.description.endswith("/program x")
    result = run("run", tmp_path / "once.yaml", "--policies", "final", "--format", "csv")
    assert result.exit_code == 0
    counted = {row.split(",")[3]: int(row.split(",")[4]) for row in result.stdout.split()[1:]}
    written = {
        (step.region, page)
        for step in imported.scenario.steps
        if isinstance(step, MmapStep)
        for page, _ in (each for each in imported.done(step.region) if isinstance(each, tuple))
    }
    assert counted["minflt"] >= len(written) + 2, "pages 0 and 1 fault again after MADV_DONTNEED"
    assert "sigsegv" not in counted


@pytest.fixture(scope="module")
def logs(program: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Logs of the same program by hand: lackey's with and without system calls, and strace's."""
    directory = tmp_path_factory.mktemp("logs")
    paths = {
        name: directory / name for name in ("marked", "strace", "plain", "plain.strace", "out")
    }
    for log, strace, options in (
        ("marked", "strace", ["--trace-syscalls=yes"]),
        ("plain", "plain.strace", []),
    ):
        tracing = ["strace", "-f", "-ttt", "-T", "--seccomp-bpf", "-e", "trace=%memory"]
        lackey = ["valgrind", "--tool=lackey", "--trace-mem=yes", f"--log-file={paths[log]}"]
        command = [*tracing, "-o", str(paths[strace]), *lackey, *options, str(program)]
        done = completed(command, check=True)
        paths[f"{log} address"] = Path(done.stdout.decode())
    return paths


@exhaustive
def test_two_logs_of_one_run_are_put_together_by_marks(
    logs: dict[str, Path], tmp_path: Path
) -> None:
    """With --trace-syscalls=yes, is every call in its place?"""
    result = run("import", "lackey", logs["marked"], "--strace", logs["strace"], "-o", tmp_path)
    assert (result.exit_code, "warning" in result.stderr) == (0, False), result.stderr
    imported = read(tmp_path, "marked")
    assert imported.done(imported.region(int(logs["marked address"].name, 16)).region) == DONE


def test_without_marks_the_accesses_are_right_and_the_places_are_said_not_to_be(
    logs: dict[str, Path], tmp_path: Path
) -> None:
    """Is a guess told as one, and what can be known right?"""
    result = run(
        "import", "lackey", logs["plain"], "--strace", logs["plain.strace"], "-o", tmp_path
    )
    assert result.exit_code == 0
    assert "warning: nothing says where strace's calls lie" in result.stderr
    imported = read(tmp_path, "plain")
    done = imported.done(imported.region(int(logs["plain address"].name, 16)).region)
    assert [each for each in done if isinstance(each, tuple)] == [
        each for each in DONE if isinstance(each, tuple)
    ]


def test_without_strace_every_page_is_taken(logs: dict[str, Path], tmp_path: Path) -> None:
    """Are all accesses of a real log there, read line by line, and sorted into regions?"""
    result = run("import", "lackey", logs["plain"], "-o", tmp_path, "--every-access")
    assert result.exit_code == 0
    assert "all pages are taken for anonymous memory" in result.stderr
    expected, _ = naive(logs["plain"].read_bytes())
    imported = read(tmp_path, "plain")
    bases = {
        step.region: step.at // 4096
        for step in imported.scenario.steps
        if isinstance(step, MmapStep) and step.at
    }
    trace = open_trace(str(only(tmp_path, "plain")))
    start = np.array([bases[name] for name in trace.regions])
    found: list[tuple[int, bool]] = []
    for chunk in trace.chunks(1 << 16):
        assert chunk.region is not None
        pages = chunk.page.astype(np.int64) + start[chunk.region]
        found += zip(pages.tolist(), chunk.write.tolist(), strict=True)
    assert found == expected


def test_strace_sees_what_valgrind_says_of_the_program(logs: dict[str, Path]) -> None:
    """Is every mapping of the program's own among the calls?"""
    reader = Calls()
    made = set()
    for line in logs["strace"].read_bytes().splitlines():
        made |= {call.value for call in reader.line(line) if call.name == "mmap"}
    marks = [line for line in logs["marked"].read_text().splitlines() if ") sys_mmap (" in line]
    assert len(marks) > 5
    assert {int(line.partition("Success(")[2].partition(")")[0], 16) for line in marks} <= made


THREADS = """\
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
static char *p;
static void *work(void *n)
{
    for (long i = 0; i < 8; i++)
        p[(i * 2 + (long)n) * 4096] = 1;
    return 0;
}
int main(void)
{
    pthread_t t[2];
    p = mmap(0, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (long i = 0; i < 2; i++)
        pthread_create(&t[i], 0, work, (void *)i);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], 0);
    if (fork() == 0) {
        munmap(p, 16 * 4096);
        _exit(0);
    }
    wait(0);
    p[0] = 2;
    dprintf(1, "%p", (void *)p);
    char *more = mremap(p, 16 * 4096, 4096 * 4096, MREMAP_MAYMOVE);
    more[3 * 4096] = 3;
    more[4095 * 4096] = 4;
    return 0;
}
"""


@exhaustive
def test_threads_are_recorded_and_children_are_not(tmp_path: Path) -> None:
    """Is the mapping still there after a child unmaps its own, and after it grew?"""
    program = compiled(THREADS, tmp_path, "threads")
    result = recorded(tmp_path / "out", program)
    assert result.returncode == 0, result.stderr
    imported = read(tmp_path / "out", "threads")
    region = imported.region(int(result.stdout, 16))
    base = (int(result.stdout, 16) - (region.at or 0)) // 4096
    done = imported.done(region.region)
    assert not [each for each in done if isinstance(each, str) and each.startswith("munmap")]
    own = [each for each in done if isinstance(each, tuple)]
    assert {(base + page, True) for page in range(16)} <= set(own)
    assert (
        "warning: 1 process that the program started was not recorded: a copy of itself"
        in result.stderr
    )
    assert own.count((base + 3, True)) == 2, "moved or not, page 3 is what it was"


def test_what_a_shell_started_is_said_not_to_be_recorded(tmp_path: Path) -> None:
    """How many processes, and which programs?"""
    lines = "sort -u /dev/null; sort /dev/null | cat; (:; :); exit 0"
    result = recorded(tmp_path / "out", "sh", "-c", lines)
    assert result.returncode == 0
    assert (
        "warning: 4 processes that the program started were not recorded: sort (2), cat, "
        "a copy of itself; to record one, give its command to swaptrace record\n"
    ) in result.stderr


@exhaustive
def test_a_wrapper_is_told(tmp_path: Path) -> None:
    """Does a script that becomes another program not pass for that program?"""
    script = tmp_path / "wrapper"
    script.write_text("#!/bin/sh\nexec true\n")
    script.chmod(0o755)
    result = recorded(tmp_path / "out", script)
    assert result.returncode == 0
    assert "warning: the program replaced itself by another one" in result.stderr


@exhaustive
def test_a_real_program_is_replayed_under_a_limit(tmp_path: Path) -> None:
    """Recorded, and under two policies with half its memory: does it swap, and only then?"""
    numbers = [index * 7919 % 10007 for index in range(700)]
    (tmp_path / "numbers").write_text("".join(f"{number} {'x' * 1000}\n" for number in numbers))
    result = recorded(tmp_path, "sort", "-n", "-S", "1M", "--parallel=1", tmp_path / "numbers")
    assert result.returncode == 0, result.stderr
    assert [int(line.split()[0]) for line in result.stdout.splitlines()] == sorted(numbers)
    pages = int(result.stderr.partition(" accesses to ")[2].split()[0])
    half = f"machine.memory={pages // 2 * 4}KiB"
    for options, swaps in (((), False), (("--set", half), True)):
        shown = run(
            *("run", tmp_path / "sort.yaml", "--policies", "old,new", "--format", "csv"), *options
        )
        assert shown.exit_code == 0, shown.output
        rows = [row.split(",") for row in shown.stdout.split()[1:]]
        majflt = {row[1]: int(row[4]) for row in rows if row[3] == "majflt"}
        assert set(majflt) == {"prepatch", "final"}
        assert all((count > 0) is swaps for count in majflt.values())


def test_what_interrupts_a_recording_leaves_nothing(tmp_path: Path) -> None:
    """After SIGINT: no file, no directory, no process, and the exit code of a shell?"""
    process = start("record", "-o", str(tmp_path / "out"), "sleep", "50")
    until(lambda: running(process.pid, "sleep"), process)
    under = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    assert finished(process)[0] == 130
    assert not (tmp_path / "out").exists()
    assert not any(map(alive, under))


def running(pid: int, name: str) -> bool:
    """Whether a descendant runs that was started with the name among its words."""
    for each in descendants(pid):
        try:
            words = Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(name) in words and b"lackey" in b" ".join(words):
            return True
    return False


def test_a_log_through_a_pipe_is_imported(logs: dict[str, Path], tmp_path: Path) -> None:
    """Does `-` read what a file would give?"""
    whole = run("import", "lackey", logs["plain"], "-o", tmp_path / "a", "--name", "log")
    data = logs["plain"].read_bytes()
    piped = run("import", "lackey", "-", "-o", tmp_path / "b", "--name", "log", stdin=data)
    assert (whole.exit_code, piped.exit_code) == (0, 0)
    one, other = only(tmp_path / "a", "log"), only(tmp_path / "b", "log")
    assert accesses(one, "anon-1") == accesses(other, "anon-1") != []
    assert one.name == other.name
    assert sum(1 for _ in blocks_of(data)) > 1


@exhaustive
def test_no_options_of_valgrind_lie_where_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is a .valgrindrc of the directory, as of an archive from a stranger, not read?"""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".valgrindrc").write_text("--no-such-option=yes\n")
    done = run("record", "-o", "it", "true")
    assert done.exit_code == 0, done.stderr
