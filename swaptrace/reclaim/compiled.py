"""The decorator of the inner loop: compiled where numba is installed, plain Python elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from types import CellType, FunctionType
from typing import Any, Final, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

COMPILED: Final = find_spec("numba") is not None and not os.environ.get("SWAPTRACE_INTERPRETED")
"""Whether the inner loop is machine code. The environment variable is for comparing the two."""


def compiled(function: F) -> F:
    """numba.njit(), the machine code kept for the next run. Without numba, nothing."""
    if not COMPILED:
        return function
    import numba

    compile_it: Any = numba.njit
    options = {"nogil": True, "error_model": "numpy"}
    try:
        # Nothing is allocated: without reference counts the arrays need no care.
        jitted: Any = compile_it(**options, _nrt=False)(function)
    except Exception:  # a release without that option
        jitted = compile_it(**options)(function)
    jitted._cache = KeptCode(function)
    made: F = jitted
    return made


class KeptCode:
    """Where numba looks for machine code, and puts it (`cache=True`).

    numba would look for the place of each function as soon as it is defined, although most are
    called only by others; and get ready to compile before it looks whether it has to. That took
    longer than a replay of a million accesses. It is done by what no release promises to have: with
    one that has it not, or that cannot read what is there, the function is compiled anew.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    @cached_property
    def place(self) -> Any:
        """numba's own cache of the function; None if it has none, as where nothing can be kept."""
        try:
            from numba.core.caching import FunctionCache

            make: Any = FunctionCache
            return make(of_these_sources(self.function))
        except Exception:
            return None

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The function for arguments of these types, or None."""
        try:
            with self.place._guard_against_spurious_io_errors():
                return self.place._load_overload(signature, target)
        except Exception:
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep what was compiled for arguments of these types, if that can be."""
        with suppress(Exception):
            self.place.save_overload(signature, result)


def of_these_sources(function: Any) -> FunctionType:
    """The function with a digest of the whole package in its closure, where numba looks for what
    the machine code that it keeps depends on.

    By itself it compares the file that the function is in, but not those of the functions and
    constants that the machine code has taken in.
    """
    code = function.__code__.replace(co_freevars=("sources",))
    made = FunctionType(code, function.__globals__, function.__name__, None, (CellType(sources()),))
    made.__module__, made.__qualname__ = function.__module__, function.__qualname__
    made.__doc__, made.__annotations__ = function.__doc__, function.__annotations__
    return made


@cache
def sources() -> str:
    """A digest of every file that is compiled."""
    from hashlib import blake2b

    texts = (path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return blake2b(b"\0".join(texts), digest_size=16).hexdigest()
