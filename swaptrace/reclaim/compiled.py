"""The decorator of the inner loop: compiled where numba is installed, plain Python elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
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
    # Nothing is allocated: without reference counts the arrays need no care.
    jitted: F = compile_it(cache=True, nogil=True, error_model="numpy", _nrt=False)(function)
    return jitted
