"""Is nothing read that blocks or does not end, and is nothing half written or left behind?"""

from __future__ import annotations

import io
import os
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from swaptrace import policies
from swaptrace.errors import PolicyError, SwaptraceError
from swaptrace.terminal import atomic, files
from swaptrace.terminal.files import read_bytes, read_text
from tests.commandline import READ_WRITE, environment, run
from tests.processes import completed

SECONDS = 600
"""A reader that blocks is ended after so many."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rw.yaml").write_text(READ_WRITE)
    os.mkfifo(tmp_path / "fifo")
    return tmp_path


READERS = {
    "scenario": ["check", "{}"],
    "result": ["diff", "{}", "{}"],
    "baseline": ["run", "rw.yaml", "--baseline", "{}"],
    "baseline to be updated": ["run", "rw.yaml", "--baseline", "{}", "--update-baseline"],
    "log": ["import", "lackey", "{}", "-o", "out"],
    "log of strace": ["import", "lackey", "rw.yaml", "--strace", "{}", "-o", "out"],
    "policy": ["run", "rw.yaml", "--policies", "{}.py"],
    "policy in C": ["run", "rw.yaml", "--policies", "{}.c"],
    "source of a policy": ["policies", "{}.py"],
    "tree": ["run", "rw.yaml", "--policies", "kernel:{}"],
    "trace": ["run", "trace.yaml"],
}


@contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """Interrupt whatever blocks."""

    def late(*_: object) -> None:
        raise TimeoutError(f"this takes more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("what", READERS)
def test_a_fifo_is_refused_at_once(here: Path, what: str) -> None:
    """Does no reader wait for somebody to write?"""
    for name in ("fifo.py", "fifo.c", "fifo.npz"):
        os.mkfifo(here / name)
    (here / "trace.yaml").write_text("steps: [{mmap: a, size: 4KiB}, {trace: fifo.npz}]\n")
    words = [word.format("fifo") for word in READERS[what]]
    with ended_after(SECONDS):
        result = run(*words)
    assert result.exit_code == 2
    assert "fifo" in result.stderr
    assert "internal error" not in result.stderr


def test_a_device_and_what_is_too_large_are_refused(here: Path) -> None:
    """Is what does not end no input?"""
    with pytest.raises(SwaptraceError, match="it is a device, not a regular file"):
        read_bytes("/dev/zero", 9)
    (here / "large").write_bytes(bytes(11))
    with pytest.raises(SwaptraceError, match="large: too large"):
        read_bytes("large", 10)
    assert read_text("rw.yaml", 1 << 20) == READ_WRITE


def test_what_would_wait_for_others_is_told() -> None:
    """Also of a file that is regular by its mode, as /proc/kmsg?"""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with files._Unblocked(reading) as file, os.fdopen(writing, "wb"):
        with pytest.raises(BlockingIOError, match="a read of it would wait"):
            file.read(9)
        with pytest.raises(BlockingIOError, match="a read of it would wait"):
            io.BufferedReader(file).read(9)


def test_a_name_out_of_data_is_never_a_path(here: Path) -> None:
    """Does looking a policy up by its name load no file?"""
    (here / "evil.py").write_text("import pathlib; pathlib.Path('ran').touch()\n")
    (here / "evil.c").write_text("pte = pte_mkwrite(pte, vma);\n")
    for name in ("evil.py", "./evil.py", str(here / "evil.py"), "evil.c", "kernel:.", "../evil.py"):
        with pytest.raises(PolicyError, match="no policy"):
            policies.find(name)
    assert not (here / "ran").exists()


def test_no_module_of_the_current_directory_is_imported(here: Path) -> None:
    """Does `python -m swaptrace` run nothing that lies where it is started?"""
    for name in ("yaml", "click", "numpy", "rich", "difflib"):
        (here / f"{name}.py").write_text("import os; os.write(1, b'evil'); os._exit(0)\n")
    done = completed([sys.executable, "-m", "swaptrace", "check", "rw.yaml"], env=environment())
    assert done.stdout == b"rw.yaml: ok\n", done.stderr


def test_a_policy_file_runs_as_it_stands(here: Path) -> None:
    """Is nothing loaded that was compiled from another text, and nothing written beside it?"""
    text = "from swaptrace.mm.policy import Policy\nclass Mine(Policy):\n    title = '{}'\n"
    for title in ("one", "two"):
        (here / "mine.py").write_text(text.format(title) + "    origin = 'here'\n")
        os.utime(here / "mine.py", (1, 1))
        assert policies.from_argument("mine.py").title == title
    assert not (here / "__pycache__").exists()


# Writing.


def test_what_replaces_a_file_keeps_permissions_but_no_set_uid(here: Path) -> None:
    """Does a program's bit not pass to new content?"""
    (here / "out").write_text("old")
    os.chmod("out", 0o6750)
    assert run("run", "rw.yaml", "--output", "out").exit_code == 0
    assert stat.S_IMODE(os.stat("out").st_mode) == 0o750
    assert run("run", "rw.yaml", "--output", "new").exit_code == 0
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(os.stat("new").st_mode) == 0o666 & ~umask


def test_files_of_others_beside_the_output_stay(here: Path) -> None:
    """Does a stale temporary file neither block nor go?"""
    for pid in (1, os.getpid()):
        (here / f".out.{pid}.tmp").write_text("of somebody else")
    before = set(os.listdir())
    assert run("run", "rw.yaml", "--output", "out").exit_code == 0
    assert run("run", "rw.yaml", "--output", "out").exit_code == 0
    assert set(os.listdir()) == before | {"out"}
    assert run("run", "none.yaml", "--output", "out").exit_code == 2
    assert set(os.listdir()) == before | {"out"}


@pytest.mark.parametrize("nameless", [True, False])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    here: Path, monkeypatch: pytest.MonkeyPatch, nameless: bool
) -> None:
    """Also where the file system knows no files without a name?"""
    if not nameless:
        monkeypatch.setattr(atomic, "_without_name", lambda _: None)
    target = here / "out"
    target.write_text("old")
    before = set(os.listdir())
    with suppress(RuntimeError), atomic.making(target) as made:
        made.file.write(b"new")
        raise RuntimeError
    assert (target.read_text(), set(os.listdir())) == ("old", before)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", refuse)
        with pytest.raises(SwaptraceError, match="out: No space left"):
            atomic.replace_file(target, "new")
    assert (target.read_text(), set(os.listdir())) == ("old", before)
    atomic.replace_file(target, "new")
    assert (target.read_text(), set(os.listdir())) == ("new", before)


def test_killed_while_it_writes_it_leaves_nothing() -> None:
    """Is a file in the making gone with its process, by SIGKILL as well?"""
    before = set(os.listdir())
    code = (
        "import os, signal, pathlib\nfrom swaptrace.terminal import atomic\n"
        "with atomic.making(pathlib.Path('out')) as made:\n"
        "    made.file.write(b'half')\n    made.file.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = completed([sys.executable, "-c", code], env=environment())
    assert done.returncode == -signal.SIGKILL
    assert set(os.listdir()) == before


def test_a_loop_of_links_is_no_place(here: Path) -> None:
    """Is it told, for every output?"""
    os.symlink("loop", "loop")
    for words in (["run", "rw.yaml", "--output"], ["run", "rw.yaml", "--plot", "loop.svg"]):
        os.symlink("loop.svg", "loop.svg") if "--plot" in words else None
        result = run(*words, *([] if "--plot" in words else ["loop"]))
        assert result.exit_code == 2
        assert "Too many levels of symbolic links" in result.stderr
        assert "internal error" not in result.stderr
    assert run("import", "lackey", "rw.yaml", "-o", "loop").exit_code == 2
    assert (here / "loop").is_symlink()
