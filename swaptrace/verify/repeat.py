"""Two runs of a scenario that differed in the first: what repeated, and what did not.

The counters of /proc/vmstat are those of the whole machine, where others may swap as well. So
only what differs twice in the same way is a difference, and no counter of the whole machine where
somebody else was seen to swap both times; all else is not decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from swaptrace.counters import MTHP, VMSTAT
from swaptrace.result.verdict import Difference, ShownSide, Status, Verdict

Codes = Mapping[str, Mapping[str, str]]


def confirmed(first: Verdict, second: Verdict) -> Verdict:
    """What both runs come to. The first one differed; a failure of the second stays one."""
    assert first.status is Status.DIFFERS
    assert first.first_difference is not None
    match second.status:
        case Status.DIFFERS:
            assert second.first_difference is not None
            common = repeated(first.first_difference, second.first_difference)
            disturbed = bool(first.elsewhere and second.elsewhere)
            if common is None or (disturbed and _by_others(common)):
                return unsteady(first, second)
            return replace(second, first_difference=common)
        case Status.FAILED:
            return second
        case Status.AGREES | Status.UNSTEADY | Status.SKIPPED | Status.NOT_RUN:
            return unsteady(first, second)


def unsteady(first: Verdict, second: Verdict) -> Verdict:
    """The first run differed in something that the second did not show."""
    assert first.first_difference is not None
    reason = f"differed at step {first.first_difference.step}, but {_when_repeated(second)}"
    if _by_others(first.first_difference):
        reason += "; only counters of the whole machine did, which others change as well"
    return replace(first, status=Status.UNSTEADY, reason=reason, repetition=second)


def _by_others(of: Difference) -> bool:
    """Whether it is such that another process that swaps could have made all of it."""
    errno = of.model.errno == of.kernel.errno
    return errno and not _places(of) and set(of.model.counters) <= {*VMSTAT, *MTHP}


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
    if not (counters or maps or (errno and second.model.errno != second.kernel.errno)):
        return None
    sides = (_part(side, errno, counters, maps) for side in (second.model, second.kernel))
    model, kernel = sides
    return replace(second, model=model, kernel=kernel)


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
    side: ShownSide, errno: bool, counters: set[str], maps: set[tuple[str, str]]
) -> ShownSide:
    """As much of a side as repeated."""
    kept = {name: count for name, count in side.counters.items() if name in counters}
    pages: Codes = {
        process: {region: code for region, code in regions.items() if (process, region) in maps}
        for process, regions in side.pages.items()
    }
    pages = {process: regions for process, regions in pages.items() if regions}
    return ShownSide(side.errno if errno else None, kept, pages)
