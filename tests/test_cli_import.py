"""Does `import` make the scenario that a log means?"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import numpy as np
import pytest

from swaptrace.traces.files import open_trace
from tests.commandline import run
from tests.importers.logs import LACKEY, lines

PERF = lines(
    [
        "               a 25347 25850.334792: page-faults:     7f1000000038",
        "     my prog: x 25347 25850.334793: cpu/mem-loads,ldlat=30/P:     7f1000001a80",
        "          python  4712 25851.000123: cpu/mem-stores/P:     7f1000001a88",
        "",
    ]
)

VIEW = lines(
    [
        "Output format:",
        "<--record#-> <--instr#->: <---tid---> <record details>",
        "------------------------------------------------------------",
        "           1           0:     4711 <marker: version 6>",
        "           7           1:     4711 ifetch       3 byte(s) @ 0x00007f1000000100 48 89 e7"
        " mov    %rsp, %rdi",
        "           8           2:     4711 write        8 byte(s) @ 0x00007f1000000ffc by PC"
        " 0x00007f1000000100",
        "           9           2:     4711 read         8 byte(s) @ 0x00007f1000003ff0 by PC"
        " 0x00007f1000000100",
        "          10           3:     4711 pref-r-L1    1 byte(s) @ 0x00007f1000009000 by PC"
        " 0x00007f1000000100",
        "          11           3:     4711 write       512 byte(s) @ 0x00007f1000004f00 by PC"
        " 0x00007f1000000100",
        "View tool results:",
        "              2 : total instructions",
    ]
)

FORMATS = {
    "lackey": (LACKEY, [(0, True), (1, True), (0, False), (0, False), (0, True)]),
    "perf": (PERF, [(0, True), (1, False), (1, True)]),
    "drmemtrace": (VIEW, [(0, True), (1, True), (3, False), (4, True), (5, True)]),
    "csv": (b"address,write\n0x10000,1\n65540,0\n0X12fff,1\n", [(0, True), (2, True)]),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.log").write_bytes(LACKEY)
    return tmp_path


def traces(scenario: str) -> list[str]:
    """The traces that a scenario names, each called after its content."""
    named = re.findall(r"^- trace: (.*)$", Path(scenario).read_text(), re.MULTILINE)
    for name in named:
        content = (Path(scenario).parent / name).read_bytes()
        assert name == f"{Path(scenario).stem}-{hashlib.sha256(content).hexdigest()[:16]}.npz"
    return named


def pages(scenario: str) -> list[tuple[int, bool]]:
    """The pages of the only trace of a scenario, and whether they are written."""
    (trace,) = traces(scenario)
    chunks = list(open_trace(str(Path(scenario).parent / trace)).chunks(1 << 16))
    page = np.concatenate([chunk.page for chunk in chunks])
    write = np.concatenate([chunk.write for chunk in chunks])
    return list(zip(page.tolist(), write.tolist(), strict=True))


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_log_of_each_format_becomes_a_scenario(here: Path, fmt: str) -> None:
    """Are the accesses there, in their order, and does the scenario replay?"""
    text, expected = FORMATS[fmt]
    (here / "a.txt").write_bytes(text)
    result = run("import", fmt, "a.txt", "-o", "out")
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    assert sorted(os.listdir("out")) == [*traces("out/a.yaml"), "a.yaml"]
    assert pages("out/a.yaml") == expected
    assert run("check", "out").exit_code == 0
    assert run("run", "out/a.yaml", "--policies", "final").exit_code == 0


def test_what_the_scenario_and_the_summary_say(here: Path) -> None:
    """Sizes, addresses, names and what was left out?"""
    result = run("import", "lackey", "some.log", "-o", "out")
    assert (here / "out" / "some.yaml").read_text() == (
        'name: some\ndescription: "Imported from lackey\'s log some.log."\nsteps:\n'
        "- mmap: anon-1\n  size: 4KiB\n  at: 0x4a2b000\n"
        "- mmap: anon-2\n  size: 8KiB\n  at: 0x1fff000000\n"
        f"- trace: {traces('out/some.yaml')[0]}\n"
    )
    assert result.stderr == (
        "out/some.yaml: 5 accesses to 3 pages in 2 regions, 0 steps between them\n"
        "merged: 1 to the page that was accessed just before\n"
        "left out: 1 line\n"
        "no call tells the mappings: all pages are taken for anonymous memory, and a region begins "
        "where 1 MiB before it was not accessed\n"
    )


def test_pages_of_a_csv_are_numbers_in_one_region(here: Path) -> None:
    """Does page 0 stay page 0?"""
    (here / "a.csv").write_text("page,write\n7,0\n0,1\n0,1\n3,1\n")
    assert run("import", "csv", "a.csv", "-o", ".").exit_code == 0
    assert pages("a.yaml") == [(7, False), (0, True), (3, True)]
    assert "size: 32KiB" in (here / "a.yaml").read_text()
    every = run("import", "csv", "a.csv", "-o", ".", "--force", "--every-access")
    assert "merged" not in every.stderr
    assert len(pages("a.yaml")) == 4


def test_files_that_are_there_stay_until_force(here: Path) -> None:
    """Is nothing replaced by chance, and nothing of the old import kept with --force?"""
    for name in ("some-2.npz", "some-1-0123456789abcdef.npz", "other.npz"):
        (here / name).write_bytes(b"of another")
    others = set(os.listdir())
    (here / "some-0123456789abcdef.npz").write_bytes(b"what a killed import left")
    (here / "some.npz").write_bytes(b"old")
    (here / "some.yaml").write_text("steps:\n- trace: some.npz\n- trace: other.npz\n")
    refused = run("import", "lackey", "some.log", "-o", ".")
    assert refused.exit_code == 2
    assert "some.yaml is there already; --force replaces it, --name" in refused.stderr
    assert run("import", "lackey", "some.log", "-o", ".", "--force").exit_code == 0
    assert set(os.listdir()) == {*others, "some.yaml", *traces("some.yaml")}
    assert run("import", "lackey", "some.log", "-o", ".", "--name", "b").exit_code == 0


def test_calls_decide_what_is_anonymous(here: Path) -> None:
    """Are files' pages left out, freed pages freed, and calls without effect dropped?"""
    rw = "PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0"
    (here / "both.log").write_bytes(
        lines(
            [
                f"7 mmap(0x4000000, 32768, {rw}) = 0x4000000",
                "7 mmap(0x5000000, 4096, PROT_READ, MAP_PRIVATE, 3, 0) = 0x5000000",
                "7 mprotect(0x4004000, 4096, PROT_NONE) = 0",
                " S 04000000,8",
                " S 04007000,8",
                " L 05000000,8",
                " L 06000000,8",
                "7 madvise(0x4000000, 32768, MADV_NOHUGEPAGE) = 0",
                "7 madvise(0x4000000, 32768, MADV_HUGEPAGE) = 0",
                "7 mlock(0x4001000, 4096) = 0",
                "7 munmap(0x4000000, 16384) = 0",
                f"7 mmap(0x4000000, 4096, {rw}) = 0x4000000",
                "7 mprotect(0x4007000, 4096, PROT_READ) = 0",
                " S 04000000,8",
                "7 munmap(0x4000000, 32768) = 0",
            ]
        )
    )
    result = run("import", "lackey", "both.log", "-o", ".")
    first, second = traces("both.yaml")
    steps = (here / "both.yaml").read_text().partition(f"- trace: {first}\n")[2]
    assert steps == (
        "- mlock: anon-1\n  offset: 4KiB\n  length: 4KiB\n"
        "- munlock: anon-1\n  offset: 4KiB\n  length: 4KiB\n"
        "- madvise: anon-1\n  advice: MADV_DONTNEED\n  offset: 0\n  length: 16KiB\n"
        "- mprotect: anon-1\n  prot: r\n  offset: 28KiB\n  length: 4KiB\n"
        f"- trace: {second}\n"
        "- munmap: anon-1\n  offset: 0\n  length: 4KiB\n"
        "- munmap: anon-1\n  offset: 16KiB\n  length: 16KiB\n"
    )
    assert (
        "left out: 1 access to mappings of files, 1 access to no mapping that strace shows, "
        "1 call of madvise with MADV_HUGEPAGE\n"
    ) in result.stderr
    assert run("run", "both.yaml", "--policies", "final").exit_code == 0


def test_pages_that_mremap_moves_keep_what_they_hold(here: Path) -> None:
    """Are they the same pages at their new address, and others at the old one?"""
    rw = "PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0"
    (here / "moved.log").write_bytes(
        lines(
            [
                f"7 mmap(NULL, 8192, {rw}) = 0x4000000",
                " S 04000000,8",
                "7 mremap(0x4000000, 8192, 16384, MREMAP_MAYMOVE) = 0x5000000",
                " L 05000000,8",
                " S 05003000,8",
                f"7 mmap(NULL, 4096, {rw}) = 0x4000000",
                " S 04000000,8",
                "7 mremap(0x5000000, 16384, 4096, MREMAP_MAYMOVE) = 0x5000000",
                " L 05000000,8",
            ]
        )
    )
    assert run("import", "lackey", "moved.log", "-o", ".").exit_code == 0
    chunks = [chunk for name in traces("moved.yaml") for chunk in open_trace(name).chunks(99)]
    found = [
        (region, page, write)
        for chunk in chunks
        if chunk.region is not None
        for region, page, write in zip(chunk.region, chunk.page, chunk.write, strict=True)
    ]
    assert found == [
        (0, 0, True),
        (0, 0, False),
        (1, 1, True),
        (2, 0, True),
        (0, 0, False),
    ]
    counted = run("run", "moved.yaml", "--policies", "final", "--format", "csv").stdout
    assert "total,minflt,3\n" in counted


def test_what_no_scenario_can_map_is_left_out(here: Path) -> None:
    """Is a mapping below 64 KiB, or of an impossible length, no region, but counted?"""
    rw = "PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0"
    calls = [
        f"7 mmap(0x1000, 4096, {rw}) = 0x1000",
        f"7 mmap(NULL, 0, {rw}) = 0x5000000",
        f"7 mmap(0xf000, 18446744073709551615, {rw}) = 0xf000",
        f"7 mmap(0xf000, 8192, {rw}) = 0xf000",
    ]
    touched = [" S 00001000,8", " S 0000f000,8", " S 00010000,8", " S 7fffffffffff,1"]
    (here / "low.log").write_bytes(lines([*calls, *touched]))
    result = run("import", "lackey", "low.log", "-o", "out")
    assert result.exit_code == 0, result.stderr
    assert "left out: 2 accesses to addresses below 64 KiB or behind" in result.stderr
    assert run("run", "out", "--policies", "final").exit_code == 0


@pytest.mark.parametrize(
    "name", ["null", "true", "1e3", "~", "a: b", "- x", "#", "'", '"', "ä€", "*"]
)
def test_any_other_name_will_do(name: str) -> None:
    """Is it quoted where YAML would take it for something else?"""
    assert run("import", "lackey", "some.log", "-o", "out", "--name", name).exit_code == 0
    result = run("run", f"out/{name}.yaml", "--policies", "final", "--format", "csv")
    assert result.exit_code == 0, result.stderr


def test_the_heap_of_a_static_program_is_known(here: Path) -> None:
    """Is memory that only brk() made anonymous, where nothing places the calls?"""
    (here / "log").write_bytes(b" L 04034e40,8\n S 04055000,8\n")
    (here / "calls").write_bytes(b"brk(NULL) = 0x4034000\nbrk(0x4056000) = 0x4056000\n")
    assert run("import", "lackey", "log", "--strace", "calls", "-o", "out").exit_code == 0
    assert "size: 136KiB\n  at: 0x4034000\n" in (here / "out" / "log.yaml").read_text()


def test_a_mark_with_an_odd_number_is_no_mark(here: Path) -> None:
    """Is a line of valgrind that nobody can read left out?"""
    for value in ("00123", "089", "9" * 4400):
        (here / "log").write_text(
            f"SYSCALL[1,1]( 1) sys_munmap ( {value} ) --> Success(0x0)\n L 04034e40,8\n"
        )
        assert run("import", "lackey", "log", "-o", "out", "--force").exit_code == 0
