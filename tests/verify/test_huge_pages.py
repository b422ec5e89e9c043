"""Does `verify` give a scenario its huge pages, and put back how many there were?"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from swaptrace import policies
from swaptrace.errors import ScenarioError
from swaptrace.replay.engine import replay
from swaptrace.scenario.loader import load_text
from swaptrace.verify import thp, zram
from swaptrace.verify.build import Compiler
from swaptrace.verify.dump import to_yaml
from swaptrace.verify.emit import emit_c
from swaptrace.verify.fitting import check_runnable
from swaptrace.verify.fuzz import Fuzzer
from swaptrace.verify.host import Host
from swaptrace.verify.journal import Journal, journal
from swaptrace.verify.limiting import Unfit
from swaptrace.verify.needs import needs
from swaptrace.verify.place import Job
from swaptrace.verify.qemu import planned
from swaptrace.verify.random_hugetlb import HugePageMaker
from swaptrace.verify.run import Verifier
from swaptrace.verify.thp import HUGE_PAGES, files
from swaptrace.verify.zram import OwnSwap
from tests.effort import ALL, some
from tests.replay.naive import naive_replay
from tests.verify.programs import FACTS, on_this_kernel, scenario
from tests.verify.test_emit import COMPILERS, needs_compiler, warnings

MAPPED = """\
machine: {kernel: '6.18', hugepages: 3}
steps:
- {mmap: a, size: 4MiB, flags: MAP_HUGETLB}
- {mmap: b, size: 2MiB, flags: MAP_HUGETLB, shared: true, file: f}
- {mmap: c, size: 2MiB, flags: MAP_HUGETLB, errno: ENOMEM}
- {write: a}
- fork: child
- {read_write: b, process: child}
"""

has_huge_pages = pytest.mark.skipif(
    os.geteuid() != 0 or not HUGE_PAGES.exists(), reason="no huge pages that may be set"
)


def test_a_job_wants_its_huge_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the scenario maps some, and else is it left alone how many there are?"""
    monkeypatch.setattr(thp, "HUGE_PAGES", tmp_path)
    assert files(scenario(MAPPED)) == {tmp_path: "3"}
    other = "machine: {hugepages: 3}\nsteps:\n- {mmap: a, size: 4KiB}\n"
    assert files(scenario(other)) == {}
    assert "#define HUGE_PAGES 3\n" in emit_c(scenario(MAPPED))
    assert "#define HUGE_PAGES -1\n" in emit_c(scenario(other))


def test_a_machine_is_not_emptied_for_huge_pages() -> None:
    """Is it said before any is set that there would be too many?"""
    check_runnable(scenario(MAPPED))
    with pytest.raises(Unfit, match="more than 256 huge pages"):
        check_runnable(scenario(MAPPED.replace("hugepages: 3", "hugepages: 257")))


def test_fewer_than_were_wanted_are_put_back_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the kernel had no room for all of them, is the number again what it was?"""
    file = tmp_path / "nr_hugepages"
    file.write_text("1\n")
    write = Path.write_text

    def fewer(path: Path, text: str) -> int:
        return write(path, "5\n" if (path, text) == (file, "9") else text)

    monkeypatch.setattr(Path, "write_text", fewer)
    notes = Journal(tmp_path / "journal.json")
    OwnSwap(notes).set(file, "9")
    assert file.read_text() == "5\n"
    zram.undo(notes)
    assert file.read_text() == "1"


def test_a_guest_sets_them_before_the_job() -> None:
    job = Job("job", Path("/bin/true"), "zram", 4096, 3, 1, settings={HUGE_PAGES: "3"})
    assert planned(job) == "huge 3\njob zram 4096 3 1000 -\n"
    assert planned(job._replace(settings={})) == "job zram 4096 3 1000 -\n"


@needs_compiler
@pytest.mark.parametrize("compiler", some(COMPILERS, 1))
def test_the_program_compiles_without_a_warning(compiler: str, tmp_path: Path) -> None:
    assert warnings(compiler, emit_c(scenario(MAPPED)), tmp_path / "program.c") == ""


def test_random_scenarios_of_huge_pages_replay_alike() -> None:
    """Are those that are modelled the same page by page, and do they load from their own text?"""
    done = 0
    for index in range(150 if ALL else 25):
        made = HugePageMaker(Random(index), uffd=True).scenario("huge")
        try:
            found = replay(load_text(to_yaml(made)), policies.find("merged"), pages=True)
        except ScenarioError:
            continue
        slow = naive_replay(load_text(to_yaml(made)), policies.find("merged"))
        assert (found.total, found.pages) == (slow.total, slow.pages)
        assert found.violations == slow.violations == ()
        done += 1
    assert done > (5 if ALL else 2)


def test_random_scenarios_have_huge_pages_where_they_can_be_set(tmp_path: Path) -> None:
    """Now and then, with swap of the run's own, which root alone makes, and never without?"""
    mapped = 0
    for index in range(60):
        random = Fuzzer(imagined(tmp_path), Host(), 1, tmp_path, {})
        assert random.of_huge_pages(index, FACTS) is None
        own = OwnSwap(Journal(tmp_path / "journal.json"))
        made = replace(random, place=Host(own, 1 << 20)).of_huge_pages(index, FACTS)
        mapped += made is not None and needs(made).huge_pages
    assert mapped > 0


def imagined(directory: Path) -> Verifier:
    return Verifier(Compiler(("none",), static=True), directory)


@on_this_kernel
@has_huge_pages
def test_a_scenario_with_huge_pages_agrees_here(tmp_path: Path) -> None:
    """And is the number of huge pages put back?"""
    from tests.verify.test_running_kernel import verified

    with journal():
        before = HUGE_PAGES.read_text()
    (tmp_path / "huge.yaml").write_text(MAPPED)
    found = verified(tmp_path / "huge.yaml")["huge"]
    assert found["status"] in ("agrees", "unsteady"), found
    with journal():
        assert HUGE_PAGES.read_text() == before
