"""Are traces part of the emitted program, and is it said where they cannot be?"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario
from swaptrace.traces.chunk import Chunk
from swaptrace.traces.columns import TraceError
from swaptrace.traces.writer import TraceWriter
from swaptrace.verify.dump import to_yaml
from swaptrace.verify.emit import emit_c
from swaptrace.verify.fitting import check_runnable
from swaptrace.verify.limiting import Unfit
from swaptrace.verify.needs import MOST_RECORDS
from swaptrace.verify.records import check_traces
from tests.commandline import run
from tests.verify.test_emit import COMPILERS, needs_compiler, warnings

BOTH = "page,write,region\n3,1,heap\n0,0,stack\n4294967295,1,heap\n"
PLAIN = "page,write\n3,1\n0,0\n"


def traced(directory: Path, *steps: str, stack: bool = True) -> Scenario:
    """Two regions, or one, and these steps."""
    (directory / "both.csv").write_text(BOTH)
    (directory / "plain.csv").write_text(PLAIN)
    mapped = "- {mmap: heap, size: 64KiB}\n" + "- {mmap: stack, size: 16KiB}\n" * stack
    text = f"steps:\n{mapped}" + "".join(f"- {{{step}}}\n" for step in steps)
    return load_text(text, str(directory / "s.yaml"))


def test_each_trace_is_a_table(tmp_path: Path) -> None:
    """Once for each file and region, however often it is replayed?"""
    found = emit_c(
        traced(
            tmp_path,
            "trace: both.csv",
            "trace: plain.csv, region: stack",
            "trace: both.csv",
            "trace: plain.csv, region: heap",
        )
    )
    tables = re.findall(r"struct record (\w+)\[\] = \{.*\n((?:\t.*\n)+)\};", found)
    assert dict(tables) == {
        "trace_0": "\t{3, R_heap, 1}, {0, R_stack, 0}, {4294967295, R_heap, 1},\n",
        "trace_1": "\t{3, R_stack, 1}, {0, R_stack, 0},\n",
        "trace_2": "\t{3, R_heap, 1}, {0, R_heap, 0},\n",
    }
    calls = re.findall(r"replay_trace\((trace_\d), (\d)\);", found)
    assert calls == [("trace_0", "3"), ("trace_1", "2"), ("trace_0", "3"), ("trace_2", "2")]


@needs_compiler
def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    """An empty one as well?"""
    with TraceWriter(str(tmp_path / "none.npz")):
        pass
    found = traced(tmp_path, "trace: both.csv", "trace: none.npz, region: heap")
    assert warnings(COMPILERS[0], emit_c(found), tmp_path / "s.c") == ""


def long(path: Path) -> None:
    count = MOST_RECORDS + 1
    with TraceWriter(str(path)) as writer:
        writer.write(Chunk(np.zeros(count, np.uint32), np.zeros(count, np.bool_)))


@pytest.mark.parametrize(
    ("text", "step", "error", "message"),
    [
        (PLAIN, "trace: t.csv", Unfit, "does not say its region; give the step a 'region'"),
        ("page,write,region\n1,0,x\n", "trace: t.csv", Unfit, "region 'x', which is never mapped"),
        (
            "page,write,process\n1,0,child\n",
            "trace: t.csv, region: heap",
            Unfit,
            "accesses by process 'child' in a step of process 'main'",
        ),
        (BOTH, "trace: t.csv, region: heap", TraceError, "names its regions itself; leave"),
        (PLAIN + "x,0\n", "trace: t.csv, region: heap", TraceError, "record 3 (line 4)"),
        ("", "trace: long.npz, region: heap", Unfit, "long.npz has more than 100000 accesses"),
    ],
)
def test_what_cannot_be_a_table_is_told(
    text: str, step: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(text)
    long(tmp_path / "long.npz")
    found = traced(tmp_path, step)
    for judge in (emit_c, check_traces):
        with pytest.raises(error, match=re.escape(message)):
            judge(found)
    (tmp_path / "s.yaml").write_text("\n".join(found.text))
    result = run("emit-c", tmp_path / "s.yaml")
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_lone_region_need_not_be_named(tmp_path: Path) -> None:
    assert "{3, R_heap, 1}" in emit_c(traced(tmp_path, "trace: plain.csv", stack=False))


def test_what_cannot_be_compared_is_told() -> None:
    steps = "steps:\n- {mmap: heap, size: 64KiB}\n- {access: heap, count: 10000001}\n"
    with pytest.raises(Unfit, match="10000001 accesses in a step; at most 10000000"):
        check_runnable(load_text(steps))


def test_a_limit_is_that_of_a_cgroup() -> None:
    """Does the program's comment say how to run it?"""
    text = emit_c(load_text("machine: {memory: 3MiB}\nsteps:\n- {mmap: heap, size: 64KiB}\n"))
    assert " * Its memory limit is 3MiB, for which it takes an empty memory cgroup:\n" in text
    assert "#define LIMIT (3 * MiB)\n" in text


@pytest.mark.parametrize("machine", ["", "memory: 1MiB", "memory: 1MiB, stat_flush: 7"])
def test_the_text_of_a_scenario_with_a_trace_loads_as_the_same(
    machine: str, tmp_path: Path
) -> None:
    found = traced(tmp_path, "trace: both.csv", "trace: plain.csv, region: stack")
    limited = load_text(f"machine: {{{machine}}}\nsteps:\n- {{mmap: a, size: 4KiB}}\n").machine
    found = replace(found, machine=limited)
    again = load_text(to_yaml(found), found.file)
    assert (again.machine, len(again.steps)) == (limited, 4)
    assert to_yaml(again).split("steps:")[1] == to_yaml(found).split("steps:")[1]
