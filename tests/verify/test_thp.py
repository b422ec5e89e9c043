"""Are the sizes of large folios set that a scenario wants, and put back whatever happens?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from swaptrace.scenario.thp import ThpSize
from swaptrace.verify import zram
from swaptrace.verify.emit import emit_c
from swaptrace.verify.host import Host
from swaptrace.verify.journal import Journal, journal
from swaptrace.verify.place import Ending, Job
from swaptrace.verify.thp import advises_regions, enabled, selected, settings
from swaptrace.verify.zram import OwnSwap
from tests.effort import some
from tests.verify.programs import on_this_kernel, scenario
from tests.verify.test_emit import COMPILERS, needs_compiler, printed, warnings

FILES = [enabled(size) for size in get_args(ThpSize)]

has_sizes = pytest.mark.skipif(
    os.geteuid() != 0 or not enabled("64KiB").exists(), reason="no sizes that may be set"
)

MICRO = """\
machine: {kernel: '6.18', thp: {64KiB: always, 16KiB: madvise}, swap: zram}
steps:
- {mmap: buf, size: 2MiB}
- {memset: buf, value: 17}
- {madvise: buf, advice: PAGEOUT}
- {read_write: buf}
"""


def test_regions_are_advised_so_that_nobody_else_gets_large_folios() -> None:
    """Is `always` set as `madvise`, `madvise` as `never`, and every other size off?"""
    found = settings(scenario(MICRO))
    assert found.keys() == set(get_args(ThpSize))
    assert {size: word for size, word in found.items() if word != "never"} == {"64KiB": "madvise"}
    assert settings(scenario("steps:\n- {mmap: buf, size: 2MiB}\n")) == {}


def test_sizes_are_as_said_where_an_advice_would_come_too_late() -> None:
    """Is a region populated with large folios where the kernel does that as it is mapped?"""
    assert advises_regions(scenario(MICRO))
    limited = scenario(MICRO)
    limited = replace(limited, machine=replace(limited.machine, memory=1 << 20))
    assert not advises_regions(limited)
    found = scenario(f"{MICRO}- {{mlockall: [MCL_FUTURE]}}\n")
    assert not advises_regions(found)
    assert {s: w for s, w in settings(found).items() if w != "never"} == {
        "64KiB": "always",
        "16KiB": "madvise",
    }


def test_a_setting_is_the_word_in_brackets() -> None:
    assert selected("always inherit [madvise] never\n") == "madvise"
    assert selected("3\n") == "3"


def test_sizes_that_are_not_there_skip_a_job_without_swap_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is the machine of others left as it is?"""
    file = tmp_path / "enabled"
    file.write_text("always [inherit] madvise never\n")
    monkeypatch.setattr("swaptrace.verify.host.existing_backend", lambda: "zram")
    job = Job("job", Path("/bin/true"), "zram", 1 << 20, 3, 10, settings={file: "never"})
    (outcome,) = Host().run([job])
    assert outcome.ending is Ending.SKIPPED
    assert outcome.reason == (
        f"it wants {file} set to never, and it is inherit; --setup-zram sets it (root)"
    )
    (outcome,) = Host().run([job._replace(settings={file: "inherit"})])
    assert outcome.ending is Ending.COMPLETED


def test_a_size_is_put_back_to_the_word_that_was_selected(tmp_path: Path) -> None:
    """Though the file lists the others as well?"""
    file = tmp_path / "enabled"
    file.write_text("always [inherit] madvise never\n")
    notes = Journal(tmp_path / "journal.json")
    OwnSwap(notes).set(file, "madvise")
    assert file.read_text() == "madvise"
    file.write_text("always inherit [madvise] never\n")
    zram.undo(notes)
    assert file.read_text() == "inherit"


@needs_compiler
@pytest.mark.parametrize("compiler", some(COMPILERS, 1))
def test_the_program_compiles_without_a_warning(compiler: str, tmp_path: Path) -> None:
    assert warnings(compiler, emit_c(scenario(MICRO)), tmp_path / "program.c") == ""


@pytest.fixture
def sizes() -> Iterator[list[str]]:
    """What is set, while nobody else changes it; afterwards it is again, whatever happened."""
    with journal():
        before = [file.read_text() for file in FILES]
        yield before
        for file, text in zip(FILES, before, strict=True):
            file.write_text(selected(text))


SETS = """\
	page_size = sysconf(_SC_PAGESIZE);
	set_machine();
	read_enabled(2, text);
	printf("%d\\n", !strcmp(text, "madvise"));
"""
"""64KiB is the third size."""


@has_sizes
@needs_compiler
def test_a_program_of_its_own_puts_back_what_it_set(sizes: list[str], tmp_path: Path) -> None:
    """When it ends by itself?"""
    assert printed(emit_c(scenario(MICRO)), f"{SETS}\tput_back();\n", tmp_path) == [1]
    assert [file.read_text() for file in FILES] == sizes


@on_this_kernel
@has_sizes
def test_a_scenario_with_large_folios_agrees_here(tmp_path: Path) -> None:
    """Whether or not this machine brings them back whole, and is every size put back?"""
    from tests.verify.test_running_kernel import verified

    with journal():
        before = [file.read_text() for file in FILES]
    (tmp_path / "micro.yaml").write_text(MICRO)
    found = verified(tmp_path / "micro.yaml")["micro"]
    assert found["status"] in ("agrees", "unsteady"), found
    with journal():
        assert [file.read_text() for file in FILES] == before
