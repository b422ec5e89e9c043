"""Scenarios without YAML, for tests."""

from __future__ import annotations

from typing import Any

from swaptrace.advice import Advice
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.hardware import Machine, Swap
from swaptrace.scenario.schema import AccessStep, MadviseStep, MemsetStep, MmapStep, Scenario, Step

PAGE = 4096
MiB = 1 << 20
GiB = 1 << 30
TiB = 1 << 40


def scenario(*steps: Step, size: int | None = None, **machine: Any) -> Scenario:
    """A scenario on the default machine, or one that differs as said; `size` of the swap."""
    swap = machine.pop("swap", Swap(size=size or 256 * MiB))
    return Scenario("test", "", Machine(swap=swap, **machine), steps)


def mmap(size: int, region: str = "r", **more: Any) -> MmapStep:
    return MmapStep(line=1, region=region, size=size, **more)


def memset(
    size: int, value: int = 1, region: str = "r", offset: int = 0, **more: Any
) -> MemsetStep:
    return MemsetStep(line=2, region=region, value=value, span=ByteRange(offset, size), **more)


def pageout(size: int, region: str = "r", offset: int = 0, **more: Any) -> MadviseStep:
    return advise(Advice.PAGEOUT, size, region, offset, **more)


def advise(advice: Any, size: int, region: str = "r", offset: int = 0, **more: Any) -> MadviseStep:
    return MadviseStep(line=3, region=region, advice=advice, span=ByteRange(offset, size), **more)


def access(op: Any, size: int, region: str = "r", offset: int = 0, **more: Any) -> AccessStep:
    more.setdefault("stride", PAGE)
    return AccessStep(line=4, op=op, region=region, span=ByteRange(offset, size), **more)


def microbenchmark(size: int) -> tuple[Step, ...]:
    """The loop of the patch discussion over a buffer of `size` bytes."""
    return (mmap(size), memset(size), pageout(size), access("read_write", size))
