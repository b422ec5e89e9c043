"""How often random scenarios give each advice."""

from __future__ import annotations

from typing import Final

from swaptrace.advice import Advice, Effect


def weight(advice: Advice) -> int:
    """How often an advice is given, beside the others."""
    match advice.effect:
        case Effect.PAGEOUT:  # a kind of step of its own
            return 0
        case Effect.COLLAPSE:  # of large folios
            return 0
        case Effect.SWAP_IN:
            return 9
        case Effect.FREE:
            return 6
        case Effect.ZAP | Effect.COLD | Effect.POPULATE_READ | Effect.POPULATE_WRITE:
            return 3
        case Effect.GUARD_INSTALL:
            return 2
        case Effect.GUARD_REMOVE:
            return 3
        case Effect.FLAGS | Effect.UNMERGE | Effect.REMOVE:
            return 1


ADVICE: Final = tuple(each for each in Advice for _ in range(weight(each)))
"""Each as often as it is to be given."""

OF_OBJECTS: Final = tuple(
    each for each in ADVICE if each.effect not in (Effect.GUARD_INSTALL, Effect.GUARD_REMOVE)
)
"""The same for shared memory and files, whose guards (6.15) are not modelled."""
