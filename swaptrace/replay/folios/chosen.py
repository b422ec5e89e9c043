"""Which of them holds the pages of a world whose machine allows large folios."""

from __future__ import annotations

from swaptrace.replay.folios.evicting import Evicting
from swaptrace.replay.folios.limited import LimitedFolios
from swaptrace.replay.folios.memory import Folios
from swaptrace.replay.pages.protocol import SinglePages
from swaptrace.replay.world import World


def arena_of(world: World, collapses: bool) -> SinglePages:
    """What holds the pages; `collapses` as in `Folios`."""
    if world.machine.memory is None:
        return Folios(world, collapses)
    return Evicting(world) if world.machine.reclaim == "mglru" else LimitedFolios(world)
