"""On the kernel that runs here, with a zram device of our own: does the model agree, is a wrong
policy caught, and does nothing remain, however the program ends?"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from swaptrace import bundled
from swaptrace.counters import MTHP
from swaptrace.scenario.loader import load_text
from swaptrace.verify.build import find_compiler
from swaptrace.verify.fitting import check_runnable
from swaptrace.verify.host import PAGE_CLUSTER, host
from swaptrace.verify.journal import journal
from swaptrace.verify.run import Verifier
from swaptrace.verify.signals import ENDING
from swaptrace.verify.workdir import PREFIX, work_directory
from tests.commandline import SWAPTRACE, run, start
from tests.effort import ALL, exhaustive, part, some
from tests.kernel.observed import observations, overrides, scenario_texts
from tests.processes import PATIENCE, TELLS_IMPORTS, begin, until, until_it_can_catch_one
from tests.verify.machine import Watched, a_page_that_comes_and_goes
from tests.verify.programs import ANYWHERE, READ_WRITE, on_this_kernel, scenario

pytestmark = on_this_kernel

KILLED_AT_RENAME = """\
import os, signal, sys
number = int(sys.argv[1])
count = 0
def killed(call):
    def replacement(*arguments, **options):
        global count
        count += 1
        if 2 * count - 1 == number:
            os.kill(os.getpid(), signal.SIGKILL)
        call(*arguments, **options)
        if 2 * count == number:
            os.kill(os.getpid(), signal.SIGKILL)
    return replacement
os.replace, os.rename, os.link = killed(os.replace), killed(os.rename), killed(os.link)
from swaptrace.cli import main
main(sys.argv[2:], prog_name="swaptrace")
"""
"""The command line, killed before (odd) or after (even) a rename of that number."""

SIZE = 256 << 20

CANNOT_RUN = {
    "mkwrite-dirties": "disk",
    "read-then-pageout": "disk",
    "one-tebibyte": "4TiB",
    "software-dirty-bit": "hw_dirty",
    "half-the-memory": "its limit takes a memory cgroup",
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
- {mmap: file, size: 64KiB, file: {name: f, size: 20KiB}}
- {access: file, pattern: uniform, count: 50, write_share: 0.1}
"""
"""Patterns and traces, one of which ends behind its region, and one pattern behind a file."""

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


@exhaustive
def test_every_bundled_scenario_agrees_or_cannot_run_here() -> None:
    """Is none skipped for another reason than that its machine is not this one?"""
    folder = bundled.directory()
    assert folder is not None
    for name, found in verified(*part(sorted(folder.glob("*.yaml")), 4)).items():
        if found["status"] == "skipped":
            expected = CANNOT_RUN.get(name, "soft-dirty" if "soft-dirty" in name else None)
            assert expected is not None
            assert expected in found["reason"]
        else:
            assert found["status"] == "agrees", found


@exhaustive
def test_what_other_kernels_were_seen_to_do_this_one_does_as_the_model_says() -> None:
    """Do the observed scenarios that are written by hand agree here, some of them?"""
    texts = scenario_texts()
    names = sorted({o.scenario for o in observations() if o.scenario.startswith("b")})[::5]
    loaded = [scenario(texts[name], name) for name in part(names, 4)]
    for each in loaded:
        check_runnable(each)
    with work_directory() as directory, host(SIZE) as place:
        judged = Verifier(find_compiler(directory), directory).run(loaded, place)
    assert len(judged) > 3
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
    """Do all agree, but for counts of large folios by others, which no process can tell apart?"""
    count = 12 if ALL else 1
    found = verified("--random", str(count), "--seed", "3", "--out", tmp_path)
    assert len(found) == count
    for each in found.values():
        if each["status"] == "unsteady":
            differed = each["first_difference"]["kernel"]
            assert [*differed] == ["counters"]
            assert {*differed["counters"]} <= {*MTHP}
        else:
            assert each["status"] == "agrees", each


def test_accesses_by_patterns_and_traces_agree(tmp_path: Path) -> None:
    """Does the program touch and write what the replay does?"""
    (tmp_path / "both.csv").write_text(BOTH)
    (tmp_path / "plain.csv").write_text("page,write\n3,1\n0,0\n")
    (tmp_path / "workload.yaml").write_text(WORKLOAD)
    assert verified(tmp_path / "workload.yaml")["workload"]["status"] == "agrees"


TAKEN = """\
steps:
- {mmap: buf, size: 64KiB, at: 0x700000000000}
- {write: buf}
"""
"""In a program at the address 0, where the kernel lets nobody map anything."""


@exhaustive
def test_regions_lie_where_those_of_a_process_do(tmp_path: Path) -> None:
    """Can a scenario have any address and any size, or is said why not?"""
    (tmp_path / "anywhere.yaml").write_text(ANYWHERE)
    (tmp_path / "taken.yaml").write_text(TAKEN)
    found = verified(tmp_path)
    assert found["anywhere"]["status"] == "agrees", found["anywhere"]
    assert found["taken"]["status"] == "skipped"
    assert found["taken"]["reason"].startswith("region buf cannot lie at 0 in the program: ")


@exhaustive
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


@exhaustive
def test_page_cluster_is_set_for_the_run_and_put_back(tmp_path: Path) -> None:
    before = PAGE_CLUSTER.read_text()
    (tmp_path / "rw.yaml").write_text(READ_WRITE)
    found = verified(tmp_path / "rw.yaml", "--set", "machine.swap.page_cluster=1")
    assert found["read-write"]["status"] == "agrees"
    assert PAGE_CLUSTER.read_text() == before


# Others who swap.


@exhaustive
def test_what_others_swap_is_not_taken_for_a_difference(tmp_path: Path) -> None:
    """Is a scenario unsteady whose counts somebody else disturbs, and is that said?"""
    (tmp_path / "busy.yaml").write_text(SLOW.replace("5000", "300").replace("16MiB", "256MiB"))
    begin(a_page_that_comes_and_goes())
    result = run("verify", "--setup-zram", "256M", tmp_path / "busy.yaml")
    assert "unsteady: busy: differed at step " in result.stdout
    assert "something else swapped meanwhile: between the steps the kernel" in result.stdout
    assert "only counters of the whole machine" in result.stdout
    assert result.exit_code == 3


# Killed at any moment.


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scenario that takes a while, and a directory for temporary files of the test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "slow.yaml").write_text(SLOW)
    return tmp_path / "slow.yaml"


def watched(path: Path, *arguments: str | Path, program: Sequence[str] = SWAPTRACE) -> Watched:
    """A run of the scenario in a file."""
    words = ("--set", "machine.swap.page_cluster=2", path, *arguments)
    return Watched(path.parent, *words, program=program)


MOMENTS = [number * 0.05 for number in range(24)]
"""Seconds after the start: before there is swap, while it is made, in the middle of the run."""

NUMBERED = [(number, MOMENTS[at % len(MOMENTS)]) for at, number in enumerate(sorted(ENDING))]


@pytest.mark.parametrize(("number", "moment"), some(NUMBERED, 1))
def test_no_signal_that_ends_it_leaves_anything(slow: Path, number: int, moment: float) -> None:
    """Whenever it comes: may it be any that a process can catch?"""
    interrupts = number == signal.SIGINT
    process = watched(slow, program=TELLS_IMPORTS if interrupts else SWAPTRACE)
    if interrupts:
        until_it_can_catch_one(process.process)
    time.sleep(moment)
    process.process.send_signal(number)
    assert process.end()[0] in (128 + number, -number)
    assert process.left() == {}


@pytest.mark.parametrize("number", some([signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], 1))
def test_a_signal_while_the_program_runs_leaves_nothing(slow: Path, number: int) -> None:
    """And not even one more, that comes while the first one is heeded?"""
    process = watched(slow)
    process.wait_for_programs()
    process.process.send_signal(number)
    process.process.send_signal(signal.SIGHUP)
    assert process.end()[0] in (128 + number, 128 + signal.SIGHUP)
    assert process.left() == {}


@pytest.mark.parametrize("number", some(range(10), 1))
def test_a_worker_that_is_killed_is_told_and_leaves_nothing(slow: Path, number: int) -> None:
    """Whichever of the scenario's processes it is, and whoever swaps: has the scenario failed?"""
    process = watched(slow)
    process.wait_for_programs()
    time.sleep(number * 0.02)
    found = process.wait_for_programs()
    os.kill(found[number % len(found)], signal.SIGKILL)
    code, out, _ = process.end()
    assert code == 1
    assert re.search(
        "failed: slow: (the program was killed by SIGKILL|a process died|.*pagemap)", out
    )
    assert process.left() == {}


@exhaustive
@pytest.mark.parametrize("moment", some([0.3, 0.5, 0.7, 1.0], 1))
def test_what_a_killed_run_leaves_is_removed_by_the_next(slow: Path, moment: float) -> None:
    """Can the program undo what another could not, and only that?"""
    process = watched(slow)
    time.sleep(moment)
    process.process.kill()
    process.end()
    assert_undone_by_the_next(process, slow)


def assert_undone_by_the_next(process: Watched, path: Path) -> None:
    """Run another one, which agrees and leaves nothing of either."""
    until(lambda: not process.programs())
    path.write_text(READ_WRITE.replace("swap: zram", "swap: {size: 16MiB}"))
    following = watched(path)
    following.uuids |= process.uuids
    following.cluster = process.cluster  # the one that ended may have changed it
    assert ": 1 agree" in following.end()[1]
    assert following.left() == {}


@exhaustive
@pytest.mark.parametrize("number", some(range(1, 15), 1))
def test_killed_at_a_rename_it_leaves_what_was_there(slow: Path, number: int) -> None:
    """Killed before or after each rename of a run: is every file as it was or as it should be, and
    the machine put in order by the next run?"""
    out, seen = slow.parent / "out.json", slow.parent / "seen.jsonl"
    slow.write_text(READ_WRITE.replace("swap: zram", "swap: {size: 16MiB}"))
    out.write_text("before")
    seen.write_text("")
    process = Watched(
        slow.parent,
        *("--set", "machine.swap.page_cluster=2", slow),
        *("--format", "json", "--output", out, "--record", seen),
        program=[sys.executable, "-c", KILLED_AT_RENAME, str(number)],
    )
    code, _, _ = process.end()
    assert code in (0, -signal.SIGKILL)
    assert out.read_text() == "before" or json.loads(out.read_text())["scenarios"]
    assert seen.read_text() == "" or len(seen.read_text().splitlines()) == 1
    beside = {path.name for path in slow.parent.iterdir() if not path.name.startswith(PREFIX)}
    assert beside <= {"out.json", "seen.jsonl", "slow.yaml"} or code != 0
    assert_undone_by_the_next(process, slow)


@exhaustive
def test_a_run_that_takes_too_long_was_not_run_to_its_end(slow: Path) -> None:
    """Is it neither a difference nor agreement, and is the option named that would help?"""
    process = watched(slow, "--timeout", "0.05")
    code, out, _ = process.end()
    assert code == 2
    assert "not run: slow: it did not end within 0.05 seconds (--timeout)" in out
    assert process.left() == {}


def test_nothing_is_set_up_for_a_wrong_input(slow: Path) -> None:
    """Does it end even while another has swap of its own?"""
    slow.write_text("steps: []\n")
    with journal():  # what others set up would be taken for its own
        process = watched(slow)
        assert process.end()[0] == 2
    assert process.left() == {}
    assert process.uuids <= {""}


@exhaustive
def test_a_scenario_on_another_back_end_is_skipped_with_the_reason() -> None:
    """And is the exit code that of kselftest where nothing could be verified?"""
    result = run("verify", "--setup-zram", "16M", "read-then-pageout", "mkwrite-dirties")
    assert result.exit_code == 4
    assert result.stdout.count("it wants swap on disk, and --setup-zram makes zram") == 2


@exhaustive
def test_who_waits_for_the_lock_says_so_once_and_for_whom(tmp_path: Path) -> None:
    """Also where many scenarios are run one after the other?"""
    with journal():
        process = start("verify", "--setup-zram", "256M", "--random", "3", "--out", tmp_path)
        assert process.stderr is not None
        line = process.stderr.readline().decode()
    assert f"Another swaptrace (process {os.getpid()}) has its own swap on this machine" in line
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, b"")
    assert b": 3 agree" in out
