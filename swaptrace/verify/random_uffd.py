"""Random steps on a userfaultfd, for `verify --random`."""

from __future__ import annotations

from random import Random
from typing import Final

from swaptrace.scenario.base import Span
from swaptrace.scenario.uffd import (
    OnUffd,
    RegisterMode,
    UffdCopy,
    UffdFeature,
    UffdRegister,
    UffdUnregister,
    UffdZeropage,
)

Features = tuple[UffdFeature, ...]

FEATURES: Final[tuple[Features, ...]] = (
    (),
    ("WP_UNPOPULATED",),
    ("WP_ASYNC",),
    ("WP_ASYNC",),
    ("EVENT_FORK",),
    ("WP_UNPOPULATED", "EVENT_FORK"),
    ("WP_ASYNC", "EVENT_FORK"),
)
MODES: Final[tuple[tuple[RegisterMode, ...], ...]] = (
    ("wp",),
    ("wp",),
    ("missing",),
    ("missing", "wp"),
)


def uffd_step(
    random: Random, features: Features, region: str, process: str, span: Span, registered: Span
) -> OnUffd:
    """One on a range; a registration is of another one."""
    chance = random.random()
    if chance < 0.45:
        mode = random.choice(MODES)
        return UffdRegister(
            line=1,
            process=process,
            region=region,
            span=registered,
            mode=mode,
            features=features,
            fill=random.choice((0, 0, 17)) if "missing" in mode else 0,
        )
    if chance < 0.6:
        return UffdUnregister(line=1, process=process, region=region, span=span)
    if chance < 0.85:
        value, wp = random.choice((0, 17)), random.random() < 0.3
        return UffdCopy(line=1, process=process, region=region, span=span, value=value, wp=wp)
    return UffdZeropage(line=1, process=process, region=region, span=span)
