"""What two differences have in common that come of one cause."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from swaptrace.result.verdict import Difference

RUN: Final = re.compile(r"(\d+)([^,]+)")
UNMAPPED: Final = ""

Flags = tuple[str, str]
"""Of a page: those that the model shows and those that the kernel shows."""


class Cause(NamedTuple):
    """How a step differs, whatever its sizes: the operation, both errnos, which counters are
    higher or lower on the kernel, and which flags of a page stand for which."""

    op: str
    errnos: tuple[str | None, str | None]
    counters: frozenset[tuple[str, bool]]
    pages: frozenset[Flags]


def cause_of(of: Difference) -> Cause:
    """That of a difference."""
    model, kernel = of.model, of.kernel
    counters = {(name, kernel.counters[name] > count) for name, count in model.counters.items()}
    pages = {
        flags
        for process in model.pages.keys() | kernel.pages.keys()
        for region in model.pages.get(process, {}).keys() | kernel.pages.get(process, {}).keys()
        for flags in differing(
            model.pages.get(process, {}).get(region, UNMAPPED),
            kernel.pages.get(process, {}).get(region, UNMAPPED),
        )
    }
    errnos = model.errno, kernel.errno
    return Cause(of.op, errnos, frozenset(counters), frozenset(pages))


def differing(model: str, kernel: str) -> Iterator[Flags]:
    """The flags of pages that differ in two page maps of a region, in their run-length code."""
    ours, theirs = list(_runs(model)), list(_runs(kernel))
    while ours and theirs:
        (count, flags), (other, those) = ours[-1], theirs[-1]
        if flags != those:
            yield flags, those
        pages = min(count, other)
        for runs, left, kept in ((ours, count - pages, flags), (theirs, other - pages, those)):
            runs.pop()
            if left:
                runs.append((left, kept))
    yield from ((flags, UNMAPPED) for _, flags in ours)
    yield from ((UNMAPPED, flags) for _, flags in theirs)


def _runs(code: str) -> Iterator[tuple[int, str]]:
    """The runs, the last one first."""
    return ((int(count), flags) for count, flags in reversed(RUN.findall(code)))
