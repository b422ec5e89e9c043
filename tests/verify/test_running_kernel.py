"""On the kernel that runs here, with a zram device of our own: does the model agree, is a wrong
policy caught, and does nothing remain, however the program ends?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from swaptrace import bundled
from swaptrace.scenario.loader import load_text
from swaptrace.verify import swap
from swaptrace.verify.build import find_compiler
from swaptrace.verify.fitting import check_runnable
from swaptrace.verify.host import PAGE_CLUSTER, host
from swaptrace.verify.journal import DIRECTORY, journal
from swaptrace.verify.run import Verifier
from swaptrace.verify.workdir import PREFIX, work_directory
from tests.commandline import run, start
from tests.kernel.observed import observations, overrides, scenario_texts
from tests.verify.programs import READ_WRITE, on_this_kernel, scenario

pytestmark = on_this_kernel

SIZE = 256 << 20

CANNOT_RUN = {
    "mkwrite-dirties": "disk",
    "read-then-pageout": "disk",
    "one-tebibyte": "4TiB",
    "software-dirty-bit": "hw_dirty",
    "half-the-memory": "memory limit",
}
"""Bundled scenarios that no x86 with zram alone can run, and a word of the reason."""

MINE = """\
from swaptrace.mm.policy import Policy


class Mine(Policy):
    title = "as before the patch"
    origin = "a test"
"""

SLOW = """\
machine: {swap: {size: 16MiB}}
steps:
- {mmap: buf, size: 2MiB}
- {write: buf}
- {fork: child}
- repeat: 5000
  steps:
  - {madvise: buf, advice: PAGEOUT}
  - {read_write: buf, process: child}
"""
"""Runs for longer than any test."""


WORKLOAD = """\
machine: {swap: {size: 64MiB}}
steps:
- {mmap: heap, size: 1MiB}
- {mmap: stack, size: 16KiB}
- {access: heap, pattern: zipf, count: 900, write_share: 0.3, seed: 7}
- {madvise: heap, advice: PAGEOUT}
- {access: heap, pattern: hot, hot_pages: 64, hot_share: 0.8, count: 400, write_share: 0.5}
- {madvise: heap, advice: PAGEOUT}
- {access: heap, pattern: sequential, count: 100, offset: 100KiB}
- {trace: both.csv}
- {access: heap, pattern: uniform, count: 500, write_share: 1}
- {trace: plain.csv, region: stack}
"""
"""Patterns and traces, one of which ends behind its region."""

BOTH = "page,write,region\n3,1,heap\n0,0,stack\n4294967295,1,heap\n"


@pytest.fixture(autouse=True)
def alone() -> None:
    """Wait until nobody else has swap of their own set up."""
    with journal():
        pass


def verified(*arguments: str | Path) -> dict[str, dict[str, Any]]:
    """The scenarios of the JSON by name."""
    result = run("verify", "--setup-zram", "256M", "--format", "json", *arguments)
    assert "Error" not in result.stderr
    return {found["name"]: found for found in json.loads(result.stdout)["scenarios"]}


def test_every_bundled_scenario_agrees_or_cannot_run_here() -> None:
    """Is none skipped for another reason than that its machine is not this one?"""
    folder = bundled.directory()
    assert folder is not None
    for name, found in verified(folder).items():
        if found["status"] == "skipped":
            expected = CANNOT_RUN.get(name, "soft-dirty" if "soft-dirty" in name else None)
            assert expected is not None
            assert expected in found["reason"]
        else:
            assert found["status"] == "agrees", found


def test_what_other_kernels_were_seen_to_do_this_one_does_as_the_model_says() -> None:
    """Do the observed scenarios that are written by hand agree here, one in five of them?"""
    texts = scenario_texts()
    names = sorted({o.scenario for o in observations() if o.scenario.startswith("b")})[::5]
    loaded = [scenario(texts[name], name) for name in names]
    for each in loaded:
        check_runnable(each)
    with work_directory() as directory, host(SIZE) as place:
        judged = Verifier(find_compiler(directory), directory).run(loaded, place)
    assert len(judged) > 15
    assert [j.verdict for j in judged if j.verdict.status == "differs"] == []
    assert sum(j.verdict.status == "agrees" for j in judged) > len(judged) * 2 // 3


def test_a_wrong_policy_is_caught_at_the_step_that_shows_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "rw.yaml").write_text(READ_WRITE)
    found = verified(tmp_path / "rw.yaml", "--policy", tmp_path / "mine.py")["read-write"]
    assert (found["status"], found["policy"]) == ("differs", "mine")
    difference = found["first_difference"]
    assert (difference["step"], difference["op"], difference["line"]) == ("3.0", "read_write", 9)
    assert difference["model"] == {"counters": {"minflt": 4}}
    assert difference["kernel"] == {"counters": {"minflt": 0}}


def test_random_scenarios_agree(tmp_path: Path) -> None:
    found = verified("--random", "12", "--seed", "3", "--out", tmp_path)
    assert {each["status"] for each in found.values()} == {"agrees"}
    assert len(found) == 12


def test_accesses_by_patterns_and_traces_agree(tmp_path: Path) -> None:
    """Does the program touch and write what the replay does?"""
    (tmp_path / "both.csv").write_text(BOTH)
    (tmp_path / "plain.csv").write_text("page,write\n3,1\n0,0\n")
    (tmp_path / "workload.yaml").write_text(WORKLOAD)
    assert verified(tmp_path / "workload.yaml")["workload"]["status"] == "agrees"


def test_what_was_recorded_is_what_the_model_says(tmp_path: Path) -> None:
    """Is a recorded observation one line, with the scenario's text and every step?"""
    (tmp_path / "rw.yaml").write_text(READ_WRITE)
    for _ in range(2):
        verified(tmp_path / "rw.yaml", "--record", tmp_path / "seen.jsonl")
    first, second = (tmp_path / "seen.jsonl").read_text().splitlines()
    assert first == second
    found = json.loads(first)
    assert found["policies"] == ["merged"]
    assert load_text(found["yaml"], "rw", dict(overrides("machine", found["machine"]))).steps
    assert [step["counters"] for step in found["steps"]] == [
        {},
        {"minflt": 4},
        {"pswpout": 4},
        {"majflt": 4, "pswpin": 4},
    ]


def test_page_cluster_is_set_for_the_run_and_put_back(tmp_path: Path) -> None:
    before = PAGE_CLUSTER.read_text()
    (tmp_path / "rw.yaml").write_text(READ_WRITE)
    found = verified(tmp_path / "rw.yaml", "--set", "machine.swap.page_cluster=1")
    assert found["read-write"]["status"] == "agrees"
    assert PAGE_CLUSTER.read_text() == before


# Killed at any moment.


class Traces:
    """What there is on the machine that a run could leave behind."""

    def __init__(self) -> None:
        self.swaps = [area.device for area in swap.active()]
        self.zram = sorted(path.name for path in Path("/sys/block").glob("zram*"))
        self.cluster = PAGE_CLUSTER.read_text()
        self.directories = sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))
        self.journal = (DIRECTORY / "journal.json").exists()
        self.programs = sorted(programs())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Traces) and vars(self) == vars(other)

    def __repr__(self) -> str:
        return str(vars(self))


def programs() -> list[int]:
    """The processes that run an emitted program of this test."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            executable = os.readlink(process / "exe")
        except OSError:
            continue
        if executable.startswith(f"{tempfile.gettempdir()}/{PREFIX}"):
            found.append(int(process.name))
    return found


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scenario that takes a while, and a directory for temporary files of the test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "slow.yaml").write_text(SLOW)
    return tmp_path / "slow.yaml"


def begin(path: Path) -> subprocess.Popen[bytes]:
    return start("verify", "--setup-zram", "16M", "--set", "machine.swap.page_cluster=2", path)


def wait_for_programs(process: subprocess.Popen[bytes]) -> list[int]:
    while process.poll() is None:
        if found := programs():
            return found
        time.sleep(0.01)
    return []


MOMENTS = [0.05, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.1]
"""Seconds after the start: before there is swap, while it is made, in the middle of the run."""


@pytest.mark.parametrize("moment", MOMENTS)
def test_terminated_at_any_moment_it_leaves_nothing(slow: Path, moment: float) -> None:
    before = Traces()
    process = begin(slow)
    time.sleep(moment)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode in (128 + signal.SIGTERM, -signal.SIGTERM)
    assert Traces() == before


@pytest.mark.parametrize("moment", [number * 0.02 for number in range(10)])
def test_a_worker_that_is_killed_is_told_and_leaves_nothing(slow: Path, moment: float) -> None:
    """Whichever of the scenario's processes it is, has the scenario not agreed?"""
    before = Traces()
    process = begin(slow)
    wait_for_programs(process)
    time.sleep(moment)
    found = wait_for_programs(process)  # not one that has ended since: to kill it does nothing
    os.kill(found[int(moment * 100) % len(found)], signal.SIGKILL)
    stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert (
        b"killed by SIGKILL" in stdout
        or b"a process died in step" in stdout
        or b"pagemap" in stdout
    )
    assert Traces() == before


@pytest.mark.parametrize("moment", [0.3, 0.5, 0.7, 1.0])
def test_what_a_killed_run_leaves_is_removed_by_the_next(slow: Path, moment: float) -> None:
    """Can the program undo what another could not, and only that?"""
    before = Traces()
    process = begin(slow)
    time.sleep(moment)
    process.kill()
    process.communicate(timeout=30)
    slow.write_text(READ_WRITE.replace("swap: zram", "swap: {size: 16MiB}"))
    assert b": 1 agree" in begin(slow).communicate(timeout=30)[0]
    assert Traces() == before


def test_a_run_that_takes_too_long_has_not_agreed(slow: Path) -> None:
    before = Traces()
    result = run("verify", "--setup-zram", "16M", "--timeout", "0.05", slow)
    assert result.exit_code == 1
    assert "it did not end within 0.05 seconds" in result.stdout
    assert Traces() == before


def test_nothing_is_set_up_for_a_wrong_input(slow: Path) -> None:
    before = Traces()
    slow.write_text("steps: []\n")
    assert run("verify", "--setup-zram", "16M", slow).exit_code == 2
    assert Traces() == before


def test_a_scenario_on_another_back_end_is_skipped_with_the_reason() -> None:
    """And is the exit code that of kselftest where nothing could be verified?"""
    result = run("verify", "--setup-zram", "16M", "read-then-pageout", "mkwrite-dirties")
    assert result.exit_code == 4
    assert result.stdout.count("it wants swap on disk, and --setup-zram makes zram") == 2
