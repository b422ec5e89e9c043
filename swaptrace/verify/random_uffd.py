"""Random steps on a userfaultfd, and scans of page maps, for `verify --random`."""

from __future__ import annotations

from random import Random
from typing import Final

from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.pagescan import CATEGORIES, FLAGS, WRITTEN, PagemapScanStep
from swaptrace.scenario.uffd import (
    OnUffd,
    RegisterMode,
    UffdCopyStep,
    UffdFeature,
    UffdRegisterStep,
    UffdUnregisterStep,
    UffdZeropageStep,
)

Features = tuple[UffdFeature, ...]

UNPOPULATED: Final[UffdFeature] = "UFFD_FEATURE_WP_UNPOPULATED"
ASYNC: Final[UffdFeature] = "UFFD_FEATURE_WP_ASYNC"
FORK: Final[UffdFeature] = "UFFD_FEATURE_EVENT_FORK"
OBJECTS: Final[UffdFeature] = "UFFD_FEATURE_WP_HUGETLBFS_SHMEM"
FEATURES: Final[tuple[Features, ...]] = (
    *((), (UNPOPULATED,), (ASYNC,), (ASYNC, OBJECTS), (FORK,)),
    *((UNPOPULATED, FORK), (ASYNC, FORK)),
)
MODES: Final[tuple[tuple[RegisterMode, ...], ...]] = (
    ("wp",),
    ("wp",),
    ("missing",),
    ("missing", "wp"),
)


def uffd_step(
    random: Random,
    features: Features,
    region: str,
    process: str,
    span: ByteRange,
    registered: ByteRange,
    is_object: bool = False,
) -> OnUffd:
    """One on a range; a registration is of another one. Of an object no page is asked for."""
    chance = random.random() * (0.6 if is_object else 1)
    if chance < 0.45:
        mode: tuple[RegisterMode, ...] = ("wp",) if is_object else random.choice(MODES)
        return UffdRegisterStep(
            line=1,
            process=process,
            region=region,
            span=registered,
            mode=mode,
            features=features,
            fill=random.choice((0, 0, 17)) if "missing" in mode else 0,
        )
    if chance < 0.6:
        return UffdUnregisterStep(line=1, process=process, region=region, span=span)
    if chance < 0.85:
        value, wp = random.choice((0, 17)), random.random() < 0.3
        return UffdCopyStep(line=1, process=process, region=region, span=span, value=value, wp=wp)
    return UffdZeropageStep(line=1, process=process, region=region, span=span)


def scan_step(random: Random, region: str, process: str, span: ByteRange) -> PagemapScanStep:
    """A scan of a range: half of them for what was written, the others with any masks."""
    category, anyof, inverted, returned = WRITTEN, 0, 0, WRITTEN
    if random.random() < 0.5:
        category, anyof, inverted, returned = (
            mask(random, 0.15),
            mask(random, 0.3),
            mask(random, 0.15),
            mask(random, 0.6),
        )
    vec = random.random() < 0.85
    return PagemapScanStep(
        line=1,
        process=process,
        region=region,
        span=span,
        category=category,
        anyof=anyof,
        inverted=inverted,
        returned=returned,
        flags=random.choice((0, 0, *FLAGS.values(), *[sum(FLAGS.values())] * 3)),
        max_pages=random.choice((0, 0, 1, 3, 10)),
        vec=vec,
        vec_len=random.choice((None, None, 1, 2, 7)) if vec else None,
    )


def mask(random: Random, share: float) -> int:
    """Each category with this probability."""
    return sum(bit for bit in CATEGORIES.values() if random.random() < share)
