"""Is the emitted program C that compiles without a warning, and the same every time?"""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from swaptrace import bundled
from swaptrace.scenario.loader import load_file
from swaptrace.scenario.schema import Scenario
from swaptrace.verify.emit import emit_c, source
from tests.commandline import run
from tests.goldens import check_golden
from tests.verify.programs import FORKING, scenario

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
- {mprotect: other, prot: rw}
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
    return subprocess.run(command, capture_output=True, text=True).stderr


@needs_compiler
@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_bundled_scenario_compiles_without_a_warning(compiler: str, tmp_path: Path) -> None:
    paths = bundled.scenarios()

    def said(name: str) -> str:
        return warnings(compiler, emit_c(load_file(str(paths[name]))), tmp_path / f"{name}.c")

    with ThreadPoolExecutor(2) as pool:
        assert dict(zip(paths, pool.map(said, paths), strict=True)) == dict.fromkeys(paths, "")


@needs_compiler
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("text", [HOSTILE, EVERYTHING, FORKING], ids=["hostile", "all", "forks"])
def test_whatever_a_scenario_holds_compiles(compiler: str, text: str, tmp_path: Path) -> None:
    """Does no comment, name or step get in the way?"""
    assert warnings(compiler, emit_c(scenario(text)), tmp_path / "program.c") == ""


def specific(of: Scenario) -> str:
    """The program without the parts that are the same for all."""
    text = emit_c(of)
    for name in ("steps.h", "base.c", "memory.c", "access.c", "process.c", "controller.c"):
        assert source(name) in text
        text = text.replace(source(name), f"/* runtime/{name} */\n")
    assert text.endswith(source("main.c"))
    return text.replace(source("main.c"), "/* runtime/main.c */\n")


@pytest.mark.parametrize("name", ["read-then-write", "everything"])
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


@needs_compiler
@pytest.mark.parametrize(("count", "seed"), [(1, 0), (2, 7), (512, 1), (1000, 4294967295)])
def test_random_order_is_that_of_the_model(count: int, seed: int, tmp_path: Path) -> None:
    """Is the shuffle of the program the permutation that the replay uses?"""
    text = emit_c(scenario(EVERYTHING)).replace("int main(void)", "static UNUSED int emitted(void)")
    text += f"""
int main(void)
{{
\tshuffle({count}, {seed}U);
\tfor (int i = 0; i < {count}; i++)
\t\tprintf("%u ", shuffled[i]);
\treturn 0;
}}
"""
    path = tmp_path / "shuffle.c"
    path.write_text(text.replace("LONGEST_SHUFFLE 512", "LONGEST_SHUFFLE 1000"))
    binary = path.with_suffix("")
    subprocess.run([COMPILERS[0], "-O1", "-pthread", str(path), "-o", str(binary)], check=True)
    printed = subprocess.run([str(binary)], capture_output=True, text=True, check=True).stdout
    wanted = np.random.RandomState(seed).permutation(count)
    assert list(map(int, printed.split())) == wanted.tolist()
