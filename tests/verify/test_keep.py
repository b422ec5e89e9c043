"""Is what a program sets of the whole machine put back, however it ends?"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import NamedTuple, get_args

import pytest

from swaptrace.scenario.thp import ThpSize
from swaptrace.verify.emit import emit_c
from swaptrace.verify.journal import journal
from swaptrace.verify.thp import enabled, selected
from tests.effort import some
from tests.processes import alive, begin, children, completed, until
from tests.verify.programs import scenario
from tests.verify.test_emit import COMPILERS, needs_compiler

KSM = Path("/sys/kernel/mm/ksm")


class Case(NamedTuple):
    """A scenario, the files that its program sets, and what it does after set_machine()."""

    scenario: str
    files: list[Path]
    sets: str


CASES = {
    "sizes": Case(
        "machine: {kernel: '6.18', thp: {64KiB: always}, swap: zram}",
        [enabled(size) for size in get_args(ThpSize)],
        "",
    ),
    "ksm": Case(
        "machine: {kernel: '6.18'}",
        [KSM / name for name in ("run", "use_zero_pages", "pages_to_scan", "sleep_millisecs")],
        """\
\tset_ksm(KSM "pages_to_scan", 4242);
\tset_ksm(KSM "use_zero_pages", 1);
\tset_ksm(KSM "run", 1);
""",
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """Nobody else changes its files meanwhile; afterwards they are as before, whatever happened."""
    found = CASES[request.param]
    if not all(os.access(path, os.W_OK) for path in found.files):
        pytest.skip("not the settings of this machine, or not ours to set")
    with journal():
        before = [selected(path.read_text()) for path in found.files]
        yield found
        for path, word in zip(found.files, before, strict=True):
            path.write_text(word)


def compiled(case: Case, end: str, path: Path) -> Path:
    """A program that sets what the scenario wants, says so, and goes on with `end`."""
    steps = "steps:\n- {mmap: buf, size: 2MiB}\n- {ksm_scan: true}\n"
    text = emit_c(scenario(f"{case.scenario}\n{steps}"))
    text = text.replace("int main(int count UNUSED", "static UNUSED int emitted(int count UNUSED")
    path.with_suffix(".c").write_text(f"""{text}
int main(void)
{{
\tpage_size = sysconf(_SC_PAGESIZE);
\tset_machine();
{case.sets}\tprintf("set\\n");
\tfflush(stdout);
\t{end};
}}
""")
    flags = ["-std=c11", "-O1", "-pthread"]
    completed([COMPILERS[0], *flags, path.with_suffix(".c"), "-o", path], check=True)
    return path


def found(case: Case) -> list[str]:
    return [path.read_text() for path in case.files]


@needs_compiler
@pytest.mark.parametrize("number", some([signal.SIGKILL, signal.SIGINT], 1))
def test_a_program_that_is_killed_puts_back_what_it_set(
    case: Case, tmp_path: Path, number: int
) -> None:
    """And not even SIGKILL, or a signal to its whole group, leaves anything?"""
    before = found(case)
    process = begin([compiled(case, "pause()", tmp_path / "waits")], stdout=PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"set\n"
    assert found(case) != before
    os.killpg(process.pid, number)
    process.wait()
    until(lambda: found(case) == before)


@needs_compiler
def test_the_next_program_waits_for_what_one_that_was_killed_has_set(
    case: Case, tmp_path: Path
) -> None:
    """Does it not take that for what there was?"""
    before = found(case)
    first = compiled(case, "raise(SIGKILL)", tmp_path / "first")
    second = compiled(case, "put_back()", tmp_path / "second")
    begin([first]).wait()
    completed([second], check=True)
    assert found(case) == before


@needs_compiler
def test_nothing_is_set_before_the_one_that_puts_it_back_is_out_of_reach(
    case: Case, tmp_path: Path
) -> None:
    """Has it left the process group that a shell would interrupt, though it comes late?"""
    before = found(case)
    path = tmp_path / "waits"
    compiled(case, "kill(0, SIGKILL)", path)
    text = path.with_suffix(".c").read_text()
    late = text.replace("\tsetsid();\n", "\tusleep(200000);\n\tsetsid();\n")
    assert late != text
    path.with_suffix(".c").write_text(late)
    completed([COMPILERS[0], "-std=c11", "-pthread", f"{path}.c", "-o", path], check=True)
    assert begin([path]).wait() == -signal.SIGKILL
    until(lambda: found(case) == before)


def may_be_huge(pid: int) -> bool:
    """Whether a process has given MADV_HUGEPAGE to some of its memory."""
    flags = re.findall(r"^VmFlags:(.*)", Path(f"/proc/{pid}/smaps").read_text(), re.MULTILINE)
    return any("hg" in each.split() for each in flags)


@needs_compiler
@pytest.mark.parametrize("case", ["sizes"], indirect=True)
def test_khugepaged_comes_first_to_a_process_that_ends_with_the_program(
    case: Case, tmp_path: Path
) -> None:
    """Is it there before a scenario begins, even if what ends the program is SIGKILL?"""
    process = begin([compiled(case, "pause()", tmp_path / "waits")], stdout=PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"set\n"
    (decoy,) = filter(may_be_huge, children(process.pid))
    process.kill()
    process.wait()
    until(lambda: not alive(decoy))
