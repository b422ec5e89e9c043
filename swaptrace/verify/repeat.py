"""The runs of a scenario that differed in the first: what repeated, and what did not.

The counters of /proc/vmstat and of the sizes of large folios are those of the whole machine, where
others may swap and fault as well. They can only add to them. So what two runs have in common is a
difference; what others may have added is one only if three runs have it in common, and others were
not seen to swap in all of them. It is none if two whole runs agree. All else is not decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final

from swaptrace.counters import MTHP, VMSTAT
from swaptrace.result.verdict import Difference, ShownSide, Status, Verdict

Codes = Mapping[str, Mapping[str, str]]

RUNS: Final = 8
"""How often a scenario is run at most."""

AGREEING: Final = 2
"""So many whole runs that agree outweigh those to which others may have added."""


def outcome(runs: Sequence[Verdict]) -> Verdict | None:
    """What the runs come to, of which the first differed; a failure of the last stays one. None
    where another run is to decide."""
    first, last = runs[0], runs[-1]
    assert first.status is Status.DIFFERS
    if last.status is Status.FAILED:
        return last
    if last.status not in (Status.AGREES, Status.DIFFERS):
        return unsteady(first, last)
    differing = [run for run in runs if run.status is Status.DIFFERS]
    agreeing = [run for run in runs if run.status is Status.AGREES]
    found = _difference(differing)
    if found is not None:
        return found
    own = [run for run in differing if not _by_others(_of(run))]
    if not own and len(agreeing) == AGREEING:
        return agreeing[-1]
    if len(runs) == RUNS or (own and agreeing):
        return unsteady(own[0] if own else first, agreeing[-1] if agreeing else last)
    return None


def _difference(differing: Sequence[Verdict]) -> Verdict | None:
    """What enough of the runs have in common."""
    for two in combinations(differing, 2):
        common = _common(two)
        if common is not None and not _by_others(common):
            return replace(two[-1], first_difference=common)
    for three in combinations(differing, 3):
        common = _common(three)
        if common is not None and not all(run.elsewhere for run in three):
            return replace(three[-1], first_difference=common)
    return None


def _common(differing: Sequence[Verdict]) -> Difference | None:
    """What all of them have of the same step; None if nothing."""
    common: Difference | None = _of(differing[0])
    for other in differing[1:]:
        common = None if common is None else repeated(common, _of(other))
    return common


def _of(run: Verdict) -> Difference:
    assert run.first_difference is not None
    return run.first_difference


def unsteady(first: Verdict, second: Verdict) -> Verdict:
    """The first run differed in something that the second did not show."""
    reason = f"differed at step {_of(first).step}, but {_when_repeated(second)}"
    if _by_others(_of(first)):
        reason += "; only counters of the whole machine did, which others change as well"
    return replace(first, status=Status.UNSTEADY, reason=reason, repetition=second)


def _by_others(of: Difference) -> bool:
    """Whether it is such that another process that swaps could have made all of it."""
    if of.model.errno != of.kernel.errno or of.model.scan != of.kernel.scan or _places(of):
        return False
    added = (_counts(of, name) for name in of.model.counters)
    return set(of.model.counters) <= {*VMSTAT, *MTHP} and all(less < more for less, more in added)


def _when_repeated(second: Verdict) -> str:
    match second.status:
        case Status.AGREES:
            return "agreed when it was repeated"
        case Status.DIFFERS | Status.UNSTEADY:
            return "not clearly in the same way when it was repeated"
        case Status.SKIPPED | Status.FAILED | Status.NOT_RUN:
            return f"was {second.status} when it was repeated: {second.reason}"


def repeated(first: Difference, second: Difference) -> Difference | None:
    """What both have of the same step, with the same values on both sides; None if nothing."""
    if first.step != second.step:
        return None
    errno = (first.model.errno, first.kernel.errno) == (second.model.errno, second.kernel.errno)
    counters = {
        name
        for name in first.model.counters.keys() & second.model.counters.keys()
        if _counts(first, name) == _counts(second, name)
    }
    maps = {
        place
        for place in _places(first) & _places(second)
        if _maps(first, place) == _maps(second, place)
    }
    scan = (first.model.scan, first.kernel.scan) == (second.model.scan, second.kernel.scan)
    sides = (_part(side, errno, counters, maps, scan) for side in (second.model, second.kernel))
    model, kernel = sides
    return None if model == kernel else replace(second, model=model, kernel=kernel)


def _counts(of: Difference, name: str) -> tuple[int, int]:
    return of.model.counters[name], of.kernel.counters[name]


def _places(of: Difference) -> set[tuple[str, str]]:
    """The processes and regions whose page maps differ."""
    return {
        (process, region)
        for side in (of.model, of.kernel)
        for process, regions in side.pages.items()
        for region in regions
    }


def _maps(of: Difference, place: tuple[str, str]) -> tuple[str | None, str | None]:
    process, region = place
    model, kernel = (side.pages.get(process, {}).get(region) for side in (of.model, of.kernel))
    return model, kernel


def _part(
    side: ShownSide, errno: bool, counters: set[str], maps: set[tuple[str, str]], scan: bool
) -> ShownSide:
    """As much of a side as repeated."""
    kept = {name: count for name, count in side.counters.items() if name in counters}
    pages: Codes = {
        process: {region: code for region, code in regions.items() if (process, region) in maps}
        for process, regions in side.pages.items()
    }
    pages = {process: regions for process, regions in pages.items() if regions}
    return ShownSide(side.errno if errno else None, kept, pages, side.scan if scan else "")
