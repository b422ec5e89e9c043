"""Is what is there always whole, whenever a command is killed?

Every command that writes files is killed before each call that gives a file a name or takes one
away, and at random; what is found then is what was there before or what was to be written.
How often at random is 2, or 20 with SWAPTRACE_TEST_ALL, unless `SWAPTRACE_TEST_FAULTS` says it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swaptrace.cli import main
from tests.commandline import READ_WRITE, environment, run
from tests.effort import ALL, exhaustive, some
from tests.importers.logs import lines
from tests.processes import PATIENCE, TELLS_IMPORTS, begin, until_it_can_catch_one

ROUNDS = int(os.environ.get("SWAPTRACE_TEST_FAULTS", "20" if ALL else "2"))
NAMING = ("link", "replace", "rename", "unlink", "remove", "rmdir", "mkdir", "symlink")
RW = "PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0"


def log(pages: int) -> bytes:
    """A log with a call in the middle, so that there are two traces."""
    begin = f"7 mmap(0x4000000, {4096 * 64}, {RW}) = 0x4000000"
    touched = [f" S {0x4000000 + 4096 * page:08x},8" for page in range(pages)]
    return lines([begin, *touched, "7 munmap(0x4000000, 8192) = 0", " L 04003000,8"])


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rw.yaml").write_text(READ_WRITE)
    (tmp_path / "old.log").write_bytes(log(5))
    (tmp_path / "new.log").write_bytes(log(9))
    (tmp_path / "out").mkdir()
    return tmp_path


def killed(command: list[str], at: int) -> bool:
    """Run a command in a process that is killed before the call number `at`; whether it was."""
    pid = os.fork()
    if pid == 0:
        try:
            _child(command, at)
        finally:
            os._exit(3)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


def _child(command: list[str], at: int) -> None:
    for descriptor in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    done = [0]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def killing(*args: Any, **kwargs: Any) -> Any:
            if done[0] == at:
                os.kill(os.getpid(), signal.SIGKILL)
            done[0] += 1
            return call(*args, **kwargs)

        return killing

    for name in NAMING:
        setattr(os, name, counted(getattr(os, name)))
    try:
        main(command, prog_name="swaptrace")
    except SystemExit as end:
        os._exit(int(end.code or 0))


def each_point(command: list[str], prepare: Callable[[], object]) -> Iterator[int]:
    """Every point at which the command can be killed, after it was killed there."""
    for at in range(100):
        prepare()
        if not killed(command, at):
            assert at > 0, "nothing was named at all"
            return
        yield at
    pytest.fail("this ends nowhere")


def counts(scenario: str) -> str:
    result = run("run", scenario, "--policies", "final", "--format", "csv")
    assert result.exit_code == 0, result.stderr
    return result.stdout


IMPORT = ["import", "lackey", "new.log", "-o", "out", "--name", "a", "--force"]


def old_import() -> None:
    shutil.rmtree("out")
    assert run("import", "lackey", "old.log", "-o", "out", "--name", "a").exit_code == 0


@exhaustive
def test_an_import_that_is_killed_leaves_one_that_is_whole() -> None:
    """Does the scenario that is there always have its own traces, and is all as new afterwards?"""
    old_import()
    old = counts("out/a.yaml")
    assert run(*IMPORT).exit_code == 0
    new, whole = counts("out/a.yaml"), sorted(os.listdir("out"))
    assert old != new
    found = []
    for _ in each_point(IMPORT, old_import):
        found.append(counts("out/a.yaml"))
        assert found[-1] in (old, new)
        assert run(*IMPORT).exit_code == 0
        left = [name for name in os.listdir("out") if not name.startswith(".")]
        assert (counts("out/a.yaml"), sorted(left)) == (new, whole)
    assert set(found) == {old, new}, "it was killed before and after its turning point"


def test_a_first_import_that_is_killed_leaves_no_scenario_without_its_traces() -> None:
    """Is there either none or a whole one?"""

    def nothing() -> None:
        shutil.rmtree("out", ignore_errors=True)

    nothing()
    assert run(*IMPORT).exit_code == 0
    new = counts("out/a.yaml")
    for _ in each_point(IMPORT, nothing):
        assert not Path("out/a.yaml").exists() or counts("out/a.yaml") == new


@pytest.mark.skipif(not (shutil.which("valgrind") and shutil.which("strace")), reason="no valgrind")
@pytest.mark.skipif("SWAPTRACE_TEST_FAULTS" not in os.environ, reason="takes a minute")
def test_a_record_that_is_killed_leaves_what_was_there() -> None:
    """Does it publish as an import does?"""
    old_import()
    old = counts("out/a.yaml")
    command = ["record", "-o", "out", "--name", "a", "--force", "true"]
    for _ in each_point(command, old_import):
        found = counts("out/a.yaml")
        assert found == old or "Recorded from" in Path("out/a.yaml").read_text()


OUTPUTS = {
    "output": (["run", "rw.yaml", "--output", "out/f"], "out/f"),
    "baseline": (["run", "rw.yaml", "--baseline", "out/f", "--update-baseline"], "out/f"),
    "program": (["emit-c", "rw.yaml", "--output", "out/f"], "out/f"),
}


@pytest.mark.parametrize("what", some(OUTPUTS, 2))
@pytest.mark.parametrize("is_new", [False, True])
def test_an_output_is_there_as_a_whole_or_as_it_was(what: str, is_new: bool) -> None:
    """For every command that writes one file?"""
    command, file = OUTPUTS[what]
    assert run(*command).exit_code == 0
    new = Path(file).read_bytes()
    (Path("rw.yaml")).write_text(READ_WRITE.replace("16KiB", "32KiB").partition("expect:")[0])
    assert run(*command).exit_code == 0
    old = Path(file).read_bytes()
    (Path("rw.yaml")).write_text(READ_WRITE)

    def before() -> None:
        shutil.rmtree("out")
        os.mkdir("out")
        if not is_new:
            Path(file).write_bytes(old)

    for _ in each_point(command, before):
        if is_new:
            assert os.listdir("out") == []
        else:
            assert Path(file).read_bytes() == old
    assert Path(file).read_bytes() == new


@pytest.mark.parametrize("which", some([signal.SIGKILL, signal.SIGTERM, signal.SIGINT], 1))
def test_killed_at_random_it_leaves_old_or_new(which: signal.Signals) -> None:
    """At any moment of its life, from its very start?"""
    old_import()
    old = counts("out/a.yaml")
    assert run(*IMPORT).exit_code == 0
    new = counts("out/a.yaml")
    chance = random.Random(which)
    for _ in range(ROUNDS):
        old_import()
        process = begin(
            [*TELLS_IMPORTS, *IMPORT], stderr=subprocess.PIPE, env=environment(), text=True
        )
        if which == signal.SIGINT:
            until_it_can_catch_one(process)
        try:
            process.wait(chance.uniform(0, 0.8))
        except subprocess.TimeoutExpired:
            process.send_signal(which)
        _, said = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in said
        assert counts("out/a.yaml") in (old, new)
        assert not [name for name in os.listdir("out") if name.startswith(".")]
