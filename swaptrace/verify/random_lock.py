"""Random steps that lock memory."""

from __future__ import annotations

from random import Random
from typing import Final, get_args

from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.schema import (
    LockAllFlag,
    LockFlag,
    MlockallStep,
    MlockStep,
    MunlockallStep,
    MunlockStep,
    Step,
)

UNKNOWN: Final = 0.05
"""How often a flag is given that there is not."""


def lock_step(random: Random, region: str, process: str, span: ByteRange) -> Step:
    """A range is locked or unlocked, or all of the process."""
    chance = random.random()
    if chance < 0.15:
        return lock_all(random, process)
    if chance < 0.5:
        names: tuple[LockFlag, ...] = ("MLOCK_ONFAULT",) if chance < 0.25 else ()
        flags = (*names, *unknown(random))
        return MlockStep(line=1, process=process, region=region, span=span, flags=flags)
    return MunlockStep(line=1, process=process, region=region, span=span)


def lock_all(random: Random, process: str) -> Step:
    """All of a process, or nothing of it."""
    if random.random() < 0.4:
        return MunlockallStep(line=1, process=process)
    names: tuple[LockAllFlag, ...] = get_args(LockAllFlag)
    flags = (*(name for name in names if random.random() < 0.5), *unknown(random))
    return MlockallStep(line=1, process=process, flags=flags)


def unknown(random: Random) -> tuple[str, ...]:
    """Mostly nothing."""
    return ("0x100",) if random.random() < UNKNOWN else ()
