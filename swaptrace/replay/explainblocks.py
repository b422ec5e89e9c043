"""What happened to pages of large folios, in words."""

from __future__ import annotations

from swaptrace.advice import Advice
from swaptrace.counters import COUNTERS
from swaptrace.mm.blockevent import (
    BlockEvent,
    Collapse,
    Isolate,
    PageView,
    Shrink,
    SplitFolios,
    SplitPage,
    SplitPmd,
)
from swaptrace.mm.blockvalue import Runs
from swaptrace.mm.event import Unmap
from swaptrace.replay.tally import RegionChange
from swaptrace.replay.wording import column_words, event_words
from swaptrace.result.explanation import Transition


def region_transition(of: RegionChange, times: int, child: str, sized: bool = True) -> Transition:
    """What happened so often; `child` is the name of the process that a fork makes, `sized` is to
    say of how many pages folios are."""
    change, names = of.change, [*of.members, child]
    after_names = list(names)
    if isinstance(change.event, Unmap) and change.event.gone:
        del after_names[change.event.process]
    return Transition(
        pages=change.pages * times,
        region=of.region,
        event=block_event_words(change.event, names),
        before=views(change.before, names, sized),
        after=views(change.after, after_names, sized),
        counters={COUNTERS[at]: count for at, count in change.counts},
        path=change.path,
        violations=tuple(f"{kind} ({names[p]})" for kind, p in change.violations),
        at_once=change.pages,
        reasons=change.reasons,
    )


def views(of: Runs[PageView], names: list[str], sized: bool) -> tuple[str, ...]:
    """Pages side by side; how many they are where they are not all alike."""
    alike: list[tuple[int, tuple[str, ...]]] = []
    for pages, view in of:
        words = column_words(view.column, names, view.sizes if sized else ())
        if alike and alike[-1][1] == words:
            pages += alike.pop()[0]
        alike.append((pages, words))
    if len(alike) == 1:
        return alike[0][1]
    return tuple(
        f"{pages} page{'' if pages == 1 else 's'}: {view}" for pages, each in alike for view in each
    )


def block_event_words(event: BlockEvent, names: list[str]) -> str:
    """What happened to the pages."""
    who = names[event.process]
    match event:
        case Isolate(cold=True):
            return f"{who}: {Advice.COLD}"
        case Isolate() | Shrink():
            return f"{who}: {Advice.PAGEOUT}"
        case Collapse():
            return f"{who}: {Advice.COLLAPSE}"
        case SplitFolios():
            return "reclaim: folios of which parts are unmapped are split"
        case SplitPage():
            return f"ksmd: {who}'s folio has equal pages, and is split"
        case SplitPmd():
            return f"{who}: a VMA ends within what one entry maps"
        case _:
            return event_words(event, names)
