"""Random access patterns."""

from __future__ import annotations

from random import Random

from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.schema import AccessPatternStep, Pattern


def pattern_step(
    random: Random, region: str, process: str, span: ByteRange, pages: int, writes: bool
) -> AccessPatternStep:
    """Accesses to a range of so many pages; without `writes` reads alone."""
    kinds: list[Pattern] = ["sequential", "uniform", "zipf"]
    if pages > 1:
        kinds.append("hot")
    pattern = random.choice(kinds)
    return AccessPatternStep(
        line=1,
        process=process,
        region=region,
        span=span,
        count=random.randint(1, 2 * pages),
        pattern=pattern,
        exponent=random.choice((0.5, 1.0, 1.2)) if pattern == "zipf" else 1.0,
        hot_pages=random.randint(1, pages - 1) if pattern == "hot" else 0,
        hot_share=random.choice((0.5, 0.9)) if pattern == "hot" else 0.9,
        write_share=random.choice((0, 0.3, 1)) if writes else 0,
        seed=random.randrange(100),
    )
