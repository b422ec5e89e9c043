"""The classes by which the style sheet colours states: short, since a page has thousands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from swaptrace.result.history import StateKind

CLASSES: Final[Mapping[StateKind, str]] = {
    StateKind.HOLE: "H",
    StateKind.NONE: "N",
    StateKind.ZERO_PAGE: "Z",
    StateKind.DIRTY: "D",
    StateKind.CLEAN: "C",
    StateKind.READ_ONLY_DIRTY: "RD",
    StateKind.READ_ONLY_CLEAN: "RC",
    StateKind.EXCLUSIVE: "E",
    StateKind.SHARED: "S",
    StateKind.CACHED: "K",
}

SHADES: Final = 3
"""So many shades tell states of one kind apart; further ones look like the last."""


def classes(kind: StateKind, shade: int) -> str:
    """Those of an element in the colour of a kind, in its full colour (0) or a shade of it."""
    return f"{CLASSES[kind]} s{min(shade, SHADES)}" if shade else CLASSES[kind]
