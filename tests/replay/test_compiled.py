"""Is machine code that is kept for the next run that of the sources as they are?"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from swaptrace.reclaim import compiled
from tests.effort import exhaustive
from tests.processes import completed

PROGRAM = "import sys; from loop import answer; print(answer(), 'numba.np.linalg' in sys.modules)"
LOOP = """\
from compiled import compiled
from numbers_of_it import ANSWER

@compiled
def answer():
    return ANSWER
"""


@exhaustive
@pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")
def test_a_constant_of_another_file_that_changes_is_seen(tmp_path: Path) -> None:
    """Does a function whose own file is unchanged count with the new constant, and is numba made
    ready to compile only where it has to?"""
    shutil.copy(compiled.__file__, tmp_path / "compiled.py")
    (tmp_path / "loop.py").write_text(LOOP)
    environment = {**os.environ, "SWAPTRACE_INTERPRETED": ""}
    seen: list[str] = []
    for answer in (18, 14, 14):
        (tmp_path / "numbers_of_it.py").write_text(f"ANSWER = {answer}{' ' * (answer == 14)}\n")
        run = [sys.executable, "-B", "-c", PROGRAM]
        done = completed(run, cwd=tmp_path, env=environment, text=True, check=True)
        seen.append(done.stdout.strip())
    assert seen == ["18 True", "14 True", "14 False"]


class NumbasCache:
    """That of a release of numba which has nothing that is used of it."""

    def __init__(self, _function: object) -> None: ...


class Unreadable(NumbasCache):
    """One that cannot read what it has kept, nor keep more."""

    def _guard_against_spurious_io_errors(self) -> Any:
        return nullcontext()

    def _load_overload(self, *_: object) -> Any:
        raise EOFError

    def save_overload(self, *_: object) -> None:
        raise PermissionError


class Nowhere(NumbasCache):
    """One that finds no directory that can be written."""

    def __init__(self, _function: object) -> None:
        raise RuntimeError("no locator available")


@pytest.mark.parametrize("kind", [NumbasCache, Unreadable, Nowhere, None])
def test_what_numba_has_not_is_compiled_anew(
    kind: type | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is there nothing that was kept, and no error, whatever a release has of the cache?"""
    module = ModuleType("numba.core.caching")
    if kind is not None:
        module.FunctionCache = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "numba.core.caching", module)
    kept = compiled.KeptCode(test_what_numba_has_not_is_compiled_anew)
    assert kept.load_overload("types", "target") is None
    kept.save_overload("types", "code")


def test_an_option_that_numba_has_not_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is the function compiled all the same?"""
    module = ModuleType("numba")

    def njit(nogil: bool, error_model: str) -> Any:
        return lambda function: SimpleNamespace(function=function, options=(nogil, error_model))

    module.njit = njit  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "numba", module)
    monkeypatch.setattr(compiled, "COMPILED", True)
    made: Any = compiled.compiled(test_an_option_that_numba_has_not_is_left_out)
    assert made.options == (True, "numpy")


WITHOUT = """\
from numba.core.caching import Cache
for name in ("_load_overload", "_guard_against_spurious_io_errors", "save_overload"):
    delattr(Cache, name)
"""


@exhaustive
@pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")
def test_another_numba_counts_the_same(tmp_path: Path) -> None:
    """Does a function run that the installed numba compiles without a cache?"""
    shutil.copy(compiled.__file__, tmp_path / "compiled.py")
    (tmp_path / "loop.py").write_text(LOOP)
    (tmp_path / "numbers_of_it.py").write_text("ANSWER = 18\n")
    run = [sys.executable, "-B", "-c", WITHOUT + PROGRAM]
    environment = {**os.environ, "SWAPTRACE_INTERPRETED": ""}
    done = completed(run, cwd=tmp_path, env=environment, text=True, check=True)
    assert done.stdout.strip() == "18 True"
