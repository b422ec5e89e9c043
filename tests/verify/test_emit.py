"""Is the emitted program C that compiles without a warning, and the same every time?"""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from swaptrace import bundled
from swaptrace.scenario.loader import load_file
from swaptrace.scenario.schema import AccessPatternStep, Scenario
from swaptrace.traces.generator import order
from swaptrace.traces.patterns import accesses
from swaptrace.verify.emit import emit_c, source
from tests.commandline import run
from tests.effort import exhaustive, part, some
from tests.goldens import check_golden
from tests.processes import completed
from tests.verify.programs import FORKING, LIMITED, scenario

STRICT = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread")
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]

needs_compiler = pytest.mark.skipif(not COMPILERS, reason="there is neither gcc nor clang")

HOSTILE = """\
name: "evil */ int main; /* ??/"
description: "*/ // ??/"
steps:
- {mmap: a-b, size: 4KiB}   # */ #error
- {mmap: a.b, size: 4KiB, at: 0x10000000000}
- {mmap: a_b, size: 8KiB, prot: none}
- {fork: int}
- {exit: int}
"""

EVERYTHING = """\
machine: {swap: {backend: disk, page_cluster: 0}}
steps:
- {mmap: buf, size: 3MiB}
- {mmap: other, size: 4KiB, prot: r}
- {mmap: file, size: 64KiB, shared: true, file: {name: f, size: 20KiB}}
- repeat: 2
  steps:
  - {memset: buf, value: 0, length: 5000}
  - measure: inner
    steps:
    - repeat: 3
      steps:
      - {write: buf, stride: 6KiB, order: random, seed: 9, value: 3}
      - {read: buf, order: backward, offset: 100, stride: 512}
  - {read_write: buf, offset: 1MiB, length: 1MiB}
- {clear_refs: soft_dirty}
- {uffd_writeprotect: buf, length: 8KiB, wp: false}
- {uffd_writeprotect: buf, mode: rwp, errno: EINVAL}
- {mprotect: other, prot: rw}
- {access: buf, pattern: hot, hot_pages: 100, count: 1000, write_share: 0.25}
- {access: buf, process: main, pattern: zipf, count: 500, exponent: 0.8, offset: 1MiB, seed: 3}
- {mlock: other}
- {munlock: other}
- {madvise: buf, advice: MADV_POPULATE_WRITE}
- {fork: child}
- {munmap: buf, process: child, length: 4KiB}
- {exit: child}
"""


def warnings(compiler: str, text: str, path: Path) -> str:
    """What a compiler says of a program."""
    path.write_text(text)
    command = [compiler, *STRICT, "-c", str(path), "-o", str(path.with_suffix(".o"))]
    return str(completed(command, text=True).stderr)


@exhaustive
@needs_compiler
@pytest.mark.parametrize("compiler", some(COMPILERS, 1))
def test_every_bundled_scenario_compiles_without_a_warning(compiler: str, tmp_path: Path) -> None:
    names = part(bundled.scenarios(), 5, first=COMPILERS.index(compiler))
    paths = {name: bundled.scenarios()[name] for name in names}

    def said(name: str) -> str:
        return warnings(compiler, emit_c(load_file(str(paths[name]))), tmp_path / f"{name}.c")

    with ThreadPoolExecutor(2) as pool:
        assert dict(zip(paths, pool.map(said, paths), strict=True)) == dict.fromkeys(paths, "")


@needs_compiler
@pytest.mark.parametrize("compiler", some(COMPILERS, 1))
@pytest.mark.parametrize(
    "text",
    [HOSTILE, EVERYTHING, FORKING, LIMITED],
    ids=["hostile", "all", "forks", "limited"],
)
def test_whatever_a_scenario_holds_compiles(compiler: str, text: str, tmp_path: Path) -> None:
    """Does no comment, name or step get in the way?"""
    assert warnings(compiler, emit_c(scenario(text)), tmp_path / "program.c") == ""


def specific(of: Scenario) -> str:
    """The program without the parts that are the same for all."""
    text = emit_c(of)
    for name in (
        "steps.h",
        "base.c",
        "memory.c",
        "thp.c",
        "limit.c",
        "random.c",
        "access.c",
        "process.c",
        "controller.c",
    ):
        assert source(name) in text
        text = text.replace(source(name), f"/* runtime/{name} */\n")
    assert text.endswith(source("main.c"))
    return text.replace(source("main.c"), "/* runtime/main.c */\n")


@pytest.mark.parametrize("name", ["read-then-write", "everything", "half-the-memory"])
def test_the_program_of_a_scenario(request: pytest.FixtureRequest, name: str) -> None:
    """Is it readable, and the same every time?"""
    if name == "everything":
        found = scenario(EVERYTHING, name)
    else:
        found = load_file(str(bundled.scenarios()[name]))
    assert emit_c(found) == emit_c(found)
    check_golden(request, f"verify/{name}.c", specific(found))


def test_the_command_prints_the_program(tmp_path: Path) -> None:
    text = emit_c(load_file(str(bundled.scenarios()["uffd-wp"])))
    assert run("emit-c", "uffd-wp").stdout == text
    assert run("emit-c", "uffd-wp", "--output", tmp_path / "x.c").exit_code == 0
    assert (tmp_path / "x.c").read_text() == text
    assert "#define WAITS_FOR_IO 1" in run("emit-c", "uffd-wp", "--set", "machine.swap=disk").stdout


def test_the_command_takes_one_scenario() -> None:
    result = run("emit-c", bundled.directory() or "")
    assert result.exit_code == 2
    assert "emit-c takes one scenario; there are 2" in result.stderr


def printed(text: str, main: str, tmp_path: Path) -> list[int]:
    """What an emitted program prints with another main()."""
    text = text.replace("int main(int count UNUSED", "static UNUSED int emitted(int count UNUSED")
    path = tmp_path / "program.c"
    path.write_text(f"{text}\nint main(void)\n{{\n{main}\treturn 0;\n}}\n")
    binary = path.with_suffix("")
    flags = ["-std=c11", "-O1", "-ffp-contract=off", "-pthread"]
    completed([COMPILERS[0], *flags, str(path), "-o", str(binary)], check=True)
    done = completed([binary], text=True, check=True)
    return list(map(int, done.stdout.split()))


@needs_compiler
@pytest.mark.parametrize(("count", "seed"), some([(1, 0), (2, 7), (512, 1), (1000, 4294967295)], 1))
def test_random_order_is_that_of_the_model(count: int, seed: int, tmp_path: Path) -> None:
    """Is the shuffle of the program the order that the replay uses?"""
    text = emit_c(scenario(EVERYTHING)).replace("LONGEST_SHUFFLE 768", "LONGEST_SHUFFLE 1000")
    main = f"""
\tshuffle({count}, {seed}U);
\tfor (int i = 0; i < {count}; i++)
\t\tprintf("%u ", shuffled[i]);
"""
    assert printed(text, main, tmp_path) == order(seed, count).tolist()


PATTERNS = [
    "pattern: sequential, count: 700",
    "pattern: uniform, count: 300, write_share: 0.3, seed: 4294967295",
    "pattern: zipf, count: 2000",
    "pattern: zipf, count: 500, exponent: 0, write_share: 1",
    "pattern: zipf, count: 500, exponent: 0.8, write_share: 0.1, seed: 3",
    "pattern: zipf, count: 500, exponent: 10, seed: 3",
    "pattern: hot, count: 900, hot_pages: 1, write_share: 0.5",
    "pattern: hot, count: 900, hot_pages: 599, hot_share: 0, seed: 2",
    "pattern: hot, count: 900, hot_pages: 120, hot_share: 1, seed: 2",
]

FROM = "offset: 5000, length: 2454001"
"""From within a page into another: 600 pages are touched."""


def patterns_text() -> str:
    steps = "".join(f"- {{access: buf, {pattern}, {FROM}}}\n" for pattern in PATTERNS)
    return f"steps:\n- {{mmap: buf, size: 4MiB}}\n{steps}"


@needs_compiler
def test_patterns_are_those_of_the_model(tmp_path: Path) -> None:
    """Does the program touch the very pages, and write what is to be written, bit for bit?"""
    loaded = scenario(patterns_text())
    steps = [step for step in loaded.steps if isinstance(step, AccessPatternStep)]
    text = emit_c(loaded)
    assert warnings(COMPILERS[0], text, tmp_path / "whole.c") == ""
    calls = re.findall(r"access_pages\(R_buf, 5000, 2454001,\s+(\(struct pattern\)\{.*\})\);", text)
    assert len(calls) == len(steps) == len(PATTERNS)
    main = "".join(
        f"""
\t{{
\t\tstruct pattern of = {call};

\t\tprepare(&of, 600);
\t\tfor (uint64_t i = 0; i < of.count; i++) {{
\t\t\tuint64_t drawn = draw(of.seed, ACCESS_STREAM, i);

\t\t\tprintf("%zu %d ", chosen(&of, drawn, i, 600), (drawn & 0xffffffffU) < of.writes_below);
\t\t}}
\t}}
"""
        for call in calls
    )
    wanted = [
        number
        for step in steps
        for chunk in accesses(step, 600)
        for pair in zip(chunk.page.tolist(), chunk.write.tolist(), strict=True)
        for number in pair
    ]
    assert printed(text, main, tmp_path) == wanted
