"""Events of a block besides those of a page, and what happened to its pages, to be told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from swaptrace.counters import ViolationKind
from swaptrace.mm.block import Block
from swaptrace.mm.blockcolumn import column_of, reached
from swaptrace.mm.blockpage import BlockPage
from swaptrace.mm.blockvalue import Runs, runs
from swaptrace.mm.canonical import canonical, numbering
from swaptrace.mm.column import Column
from swaptrace.mm.event import Event, Facts, Fork, Unmap
from swaptrace.mm.page import renumber


class Isolate(NamedTuple):
    """The first half of MADV_PAGEOUT, and all of MADV_COLD: large folios are taken, or split."""

    process: int
    facts: Facts
    cold: bool = False


class Shrink(NamedTuple):
    """The second half of MADV_PAGEOUT: the folios that were isolated are reclaimed; `held` as in
    `Reclaim`."""

    process: int
    facts: Facts
    folios: tuple[int, ...]
    held: bool = False


class SplitFolios(NamedTuple):
    """deferred_split_scan(): folios of which parts are unmapped are split where they are."""

    process: int
    facts: Facts
    folios: tuple[int, ...]


class SplitPmd(NamedTuple):
    """A VMA of the process ends within what the PMD entry maps."""

    process: int
    facts: Facts


class SplitPage(NamedTuple):
    """ksmd splits the folio of a page that equals another one of it."""

    process: int
    facts: Facts


class Collapse(NamedTuple):
    """MADV_COLLAPSE of all that the PMD entry maps."""

    process: int
    facts: Facts


BlockEvent: TypeAlias = Event | Isolate | Shrink | SplitFolios | SplitPmd | SplitPage | Collapse


class PageView(NamedTuple):
    """A page by itself, and of how many pages its folios are."""

    column: Column
    sizes: tuple[int, ...]


class BlockChange(NamedTuple):
    """An event, and how the pages that it changed, or came to, were before and are now.

    `counts` names counters by position, `path` the kernel functions that decided, `reasons` why a
    size of folio was not used.
    """

    kind: type[BlockEvent]
    event: BlockEvent
    before: Runs[PageView]
    after: Runs[PageView]
    counts: tuple[tuple[int, int], ...]
    path: tuple[str, ...]
    reasons: tuple[str, ...]
    violations: tuple[tuple[ViolationKind, int], ...]

    @property
    def pages(self) -> int:
        """How many pages they are."""
        return sum(pages for pages, _ in self.before)


class Teller:
    """Who takes down what happens to the pages of a block. `altered` are the pages that may be
    otherwise than when they were last looked at."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.altered: set[int] = set()
        self.views = [view(block, i) for i in range(len(block.maps))]

    def tell(
        self,
        changes: list[BlockChange],
        page: BlockPage,
        event: BlockEvent,
        touched: Iterable[int],
        violations: list[tuple[ViolationKind, int, int]],
    ) -> None:
        """Take down an event of a page, or of all, which is over."""
        whole = isinstance(event, Isolate | Shrink | SplitPmd)
        pages = {*touched, *([] if whole else [page.i])}
        spared = {i for f in page.spared for i in self.block.folios[f].pages}
        gone = event.process if isinstance(event, Unmap) and event.gone else None
        if gone is None:
            beside = [] if isinstance(event, Fork) else self.beside(pages)
            pages = {
                i for i in (*pages, *beside) if i in self.altered or (i == page.i and not whole)
            }
            self.altered -= pages
        now = {i: view(self.block, i, gone) for i in sorted(pages)}
        now |= {i: view(self.block, i) for i in sorted(spared - pages)}
        changed = [
            i
            for i in sorted(now)
            if now[i] != self.views[i] or i in spared or (i == page.i and not whole)
        ]
        counts = tuple((at, count) for at, count in enumerate(page.counts) if count)
        if changed or counts:
            before, after = (runs(of[i] for i in changed) for of in (self.views, now))
            path, reasons = (tuple(dict.fromkeys(each)) for each in (page.path, page.reasons))
            broken = tuple((kind, p) for kind, p, _ in violations)
            changes.append(
                BlockChange(type(event), event, before, after, counts, path, reasons, broken)
            )
        for i in changed:
            self.views[i] = now[i]

    def beside(self, pages: set[int]) -> set[int]:
        """The pages of folios that such pages have a part in, if any of them may be otherwise."""
        if self.altered <= pages:
            return set()
        near = set(pages)
        for folio in self.block.folios.values():
            if not near.isdisjoint(folio.pages):
                near.update(folio.pages)
        return near


def view(block: Block, i: int, gone: int | None = None) -> PageView:
    """A page by itself; without a process that has gone."""
    column = column_of(block, i)
    if gone is not None:
        maps, pins = column.maps[:gone] + column.maps[gone + 1 :], list(column.pins)
        renumber(pins, gone)
        column = column._replace(maps=maps, pins=tuple(pins))
    folios, _ = reached(block, i)
    numbers, _ = numbering(column.maps, column.folios, column.pins)
    sizes = tuple(block.folios[folios[old]].nr_pages for old in numbers)
    return PageView(canonical(*column), sizes)
