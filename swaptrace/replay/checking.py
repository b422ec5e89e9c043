"""What a `check` step finds: its claims beside the pages and the promises as they are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from swaptrace.counters import VIOLATIONS
from swaptrace.mm.checks import content, lost
from swaptrace.mm.column import Column, Mapping, byte_of
from swaptrace.mm.policy import Policy, is_called
from swaptrace.replay.pagemap import column_runs, page_runs
from swaptrace.replay.world import World
from swaptrace.result.result import Checked, ClaimKind
from swaptrace.scenario.claims import (
    UNCHANGED,
    UNMAPPED,
    Data,
    DataRun,
    PageMap,
    data_code,
    merged_data,
    without_soft_dirty,
)
from swaptrace.scenario.schema import CheckStep, KsmScanStep, Nesting, Step

OTHER: Final = "other"
"""Data that are not zero, and of which the scenario does not say the byte."""


def checks_in(steps: Iterable[Step]) -> Iterator[CheckStep]:
    """Every `check` step, once, in the order of the file."""
    for step in steps:
        if isinstance(step, Nesting):
            yield from checks_in(step.steps)
        elif isinstance(step, CheckStep):
            yield step


def asks_for_violations(steps: Iterable[Step]) -> bool:
    """Whether a step asks which promises have been broken."""
    return any(check.claims.violations is not None for check in checks_in(steps))


def asks_for_bytes(steps: Iterable[Step]) -> bool:
    """Whether a step asks what the data of pages are."""
    return any(
        asks_for_bytes(step.steps)
        if isinstance(step, Nesting)
        else isinstance(step, KsmScanStep)
        or (isinstance(step, CheckStep) and bool(step.claims.data))
        for step in steps
    )


def claims_of(step: CheckStep) -> Iterator[tuple[ClaimKind, int, str, str]]:
    """Each claim of a step, as `Checked.claim` says which it is."""
    claims = step.claims
    regions: list[tuple[ClaimKind, str]] = [("pages", region) for region, _ in claims.pages]
    regions += [("data", region) for region, _ in claims.data]
    regions += [("vmas", region) for region, _ in claims.vmas]
    for kind, region in regions:
        yield kind, step.line, step.process, region
    if claims.violations is not None:
        yield "violations", step.line, step.process, ""
    if claims.scan is not None:
        yield "scan", step.line, step.process, ""


def is_made_of(step: CheckStep, policy: Policy) -> bool:
    """Whether the step is to be checked under a policy."""
    names = step.claims.policies
    return not names or any(is_called(policy, name) for name in names)


def found(world: World, step: CheckStep, path: str, broken: Collection[str]) -> Iterator[Checked]:
    """Each claim of a step and what there is; `broken` are the kinds of violations so far."""
    place = path, step.line, step.process
    for region, claimed in step.claims.pages:
        runs = page_runs(world, region, step.process)
        if not claimed.soft_dirty:
            runs = without_soft_dirty(runs)
        there = PageMap(runs, claimed.soft_dirty)
        yield Checked("pages", *place, region, str(claimed), str(there), there == claimed)
    for region, data in step.claims.data:
        ok, code = data_found(world, region, step.process, data)
        yield Checked("data", *place, region, str(data), code, ok)
    for region, bounds in step.claims.vmas:
        code = vmas_found(world, region, step.process)
        yield Checked("vmas", *place, region, str(bounds), code, code == str(bounds))
    if step.claims.violations is not None:
        expected, seen = _listed(step.claims.violations), _listed(broken)
        yield Checked("violations", *place, "", expected, seen, seen == expected)
    if step.claims.scan is not None:
        scan = step.claims.scan
        was = scan.of(world.processes[step.process].scanned)
        yield Checked("scan", *place, "", str(scan), str(was or "none"), was == scan)


def vmas_found(world: World, region: str, process: str) -> str:
    """The VMAs of a region, as `Bounds` has them."""
    shared, space = world.processes[process].regions[region], world.processes[process].space
    parts, at = [], shared.base
    for start, end, area in space.clipped(shared.base, shared.end):
        parts += [f"{start - at}-"] if at < start else []
        before = "+" if area.start < start else ""
        parts.append(f"{before}{end - start}{'+' if end < area.end else ''}")
        at = end
    parts += [f"{shared.end - at}-"] if at < shared.end else []
    return ",".join(parts)


def _listed(kinds: Collection[str]) -> str:
    """Violations in the order of their listing."""
    return ", ".join(kind for kind in VIOLATIONS if kind in kinds) or "none"


def data_found(world: World, region: str, process: str, claimed: Data) -> tuple[bool, str]:
    """Whether the data of a region are those, and what they are."""
    shared = world.processes[process].regions[region]
    member, runs = shared.member(process), column_runs(world, shared)
    beside = [
        (pages, value, data_of(column, column.maps[member], value))
        for pages, value, column in _beside(claimed.over(shared.region.pages), runs)
    ]
    ok = all(value == found for _, value, found in beside)
    there = merged_data(DataRun(pages, found) for pages, _, found in beside)
    return ok, data_code(there)


def data_of(column: Column, mapping: Mapping, claimed: int | str) -> int | str:
    """A page's data, in the words of the claim if they are that."""
    if mapping.vma is None:
        return UNMAPPED
    if claimed == UNCHANGED and not lost(column, mapping):
        return UNCHANGED
    token = content(column, mapping)
    byte = None if token is None else byte_of(token)
    return OTHER if byte is None else byte


def _beside(
    claimed: Iterable[DataRun], runs: Iterable[tuple[int, Column]]
) -> Iterator[tuple[int, int | str, Column]]:
    """How many pages, what is claimed of them, and their column, where both are the same."""
    said = iter(claimed)
    run = next(said)
    for pages, column in runs:
        rest = pages
        while rest:
            if not run.pages:
                run = next(said)
            both = min(run.pages, rest)
            yield both, run.value, column
            rest -= both
            run = DataRun(run.pages - both, run.value)
