"""swaptrace: replay page-fault scenarios through a model of Linux's swap-in path.

`load`, `run`, `compare`, `explain`, `explore` and `diff` do what the commands of these names do,
and return values instead of printing them; `swaptrace.api` documents them,
`swaptrace.returned` what they return.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["compare", "diff", "explain", "explore", "load", "run"]

if TYPE_CHECKING:
    from swaptrace.api import compare, diff, explain, explore, load, run


def __getattr__(name: str) -> Any:
    """Import the interface when it is first used: the command line starts without it."""
    if name not in __all__:
        raise AttributeError(f"module 'swaptrace' has no attribute {name!r}")
    from swaptrace import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
