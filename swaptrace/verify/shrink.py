"""Making a scenario smaller that differs, so that it still does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.schema import (
    AccessPatternStep,
    AccessStep,
    MeasureStep,
    MmapStep,
    OnRange,
    RepeatStep,
    Scenario,
    Step,
)

Steps = tuple[Step, ...]


def smaller(scenario: Scenario) -> Iterator[Scenario]:
    """Every scenario that is one cut smaller, the largest cuts first.

    Not all of them are valid; errnos are as they were.
    """
    steps, page_size = scenario.steps, scenario.machine.page_size
    size = len(steps)
    while size > 1:
        size //= 2
        for start in reversed(range(0, len(steps), size)):
            kept = steps[:start] + steps[start + size :]
            if kept:
                yield replace(scenario, steps=kept)
    for index, step in enumerate(steps):
        for simpler in simpler_steps(step, page_size):
            yield replace(scenario, steps=(*steps[:index], *simpler, *steps[index + 1 :]))
    for region in dict.fromkeys(step.region for step in steps if isinstance(step, MmapStep)):
        yield from _smaller_region(scenario, region)
    plain = replace(scenario.machine, swap=Machine().swap)
    if scenario.machine != plain:
        yield replace(scenario, machine=plain)


def simpler_steps(step: Step, page_size: int) -> Iterator[Steps]:
    """What could stand for a step."""
    if isinstance(step, (RepeatStep, MeasureStep)):
        yield step.steps
        if isinstance(step, RepeatStep) and step.count > 2:
            yield (replace(step, count=2),)
        for index in range(len(step.steps)):
            inner = step.steps[:index] + step.steps[index + 1 :]
            if inner:
                yield (replace(step, steps=inner),)
            for simpler in simpler_steps(step.steps[index], page_size):
                kept = (*step.steps[:index], *simpler, *step.steps[index + 1 :])
                yield (replace(step, steps=kept),)
    elif isinstance(step, AccessStep):
        if step.order != "forward":
            yield (replace(step, order="forward", seed=0),)
        if step.stride != page_size:
            yield (replace(step, stride=page_size),)
        if step.op == "read_write":
            yield (replace(step, op="read"),)
            yield (replace(step, op="write"),)
    elif isinstance(step, AccessPatternStep):
        if step.count > 1:
            yield (replace(step, count=step.count // 2),)
        if step.pattern != "sequential":
            defaults = replace(step, exponent=1.0, hot_pages=0, hot_share=0.9)
            yield (replace(defaults, pattern="sequential"),)
        if 0 < step.write_share < 1:
            yield (replace(step, write_share=0.0),)
            yield (replace(step, write_share=1.0),)
    if step.process != "main" and step.op != "exit":
        yield (replace(step, process="main"),)


def with_span(step: OnRange, span: ByteRange) -> Step:
    """The step on another range."""
    return replace(step, span=span)


def _smaller_region(scenario: Scenario, region: str) -> Iterator[Scenario]:
    """A region of half the pages, or one less; ranges are cut to what is left of it, or made
    to be all of it."""
    page_size = scenario.machine.page_size
    largest = max(_size(step) for step in scenario.steps if _maps(step, region))
    pages = largest // page_size
    for kept in dict.fromkeys((pages // 2, pages - 1)):
        if kept:
            size = kept * page_size
            steps = tuple(_cut(step, region, size, page_size) for step in scenario.steps)
            yield replace(scenario, steps=steps)
    for index, step in enumerate(scenario.steps):
        whole = ByteRange(0, largest)
        if isinstance(step, OnRange) and step.region == region and step.span != whole:
            grown = with_span(step, whole)
            steps = (*scenario.steps[:index], grown, *scenario.steps[index + 1 :])
            yield replace(scenario, steps=steps)


def _maps(step: Step, region: str) -> bool:
    return isinstance(step, MmapStep) and step.region == region


def _size(step: Step) -> int:
    return step.size if isinstance(step, MmapStep) else 0


def _cut(step: Step, region: str, size: int, page_size: int) -> Step:
    """The step with the region's size and its ranges within that size."""
    if isinstance(step, (RepeatStep, MeasureStep)):
        inner = tuple(_cut(inner, region, size, page_size) for inner in step.steps)
        return replace(step, steps=inner)
    if isinstance(step, MmapStep) and step.region == region:
        return replace(step, size=min(step.size, size))
    if not isinstance(step, OnRange) or step.region != region:
        return step
    span = step.span
    offset = min(span.offset, size - page_size)
    length = min(span.length, size - offset)
    return with_span(step, ByteRange(offset, length))
