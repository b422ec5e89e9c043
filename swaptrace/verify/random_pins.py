"""Random pins."""

from __future__ import annotations

from random import Random
from typing import Final

from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.remap import MremapStep
from swaptrace.scenario.schema import MmapStep, PinMode, PinStep, Step

MODES: Final[tuple[PinMode, ...]] = ("longterm", "longterm", "get")
"""Those that every kernel can take."""


def pin_step(random: Random, region: str, process: str, span: ByteRange) -> PinStep:
    """A pin of a range."""
    return PinStep(line=1, process=process, region=region, span=span, mode=random.choice(MODES))


def needs_unpinned(step: Step, region: str, process: str) -> bool:
    """Whether a step is one that no region can have while its process pins it."""
    if not isinstance(step, MremapStep | MmapStep):
        return False
    return (step.region, step.process) == (region, process)
