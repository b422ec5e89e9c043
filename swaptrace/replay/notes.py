"""What is worth a word about a step, though it is no counter and breaks no promise."""

from __future__ import annotations

from collections.abc import Sequence

from swaptrace.advice import Advice
from swaptrace.mm.column import Column, Pte, mappers
from swaptrace.mm.event import Pageout
from swaptrace.replay.tally import Tally


def left_mapped(tally: Tally, columns: Sequence[Column]) -> str:
    """What MADV_PAGEOUT left alone because several processes map it; "" if nothing.

    madvise_cold_or_pageout_pte_range() passes over a folio whose map count is not one.
    """
    present = left = 0
    for taken, pages in tally.taken.items():
        if isinstance(taken.event, Pageout):
            count = map_count(columns[taken.column], taken.event.process)
            present += pages * (count > 0)
            left += pages * (count > 1)
    if not left:
        return ""
    return f"{Advice.PAGEOUT} left {left:,} of {present:,} pages: mapped by several processes"


def map_count(column: Column, process: int) -> int:
    """How many PTEs map the folio that a process has mapped; 0 if it has none of its own."""
    pte = column.maps[process].pte
    if not isinstance(pte, Pte) or pte.is_zero_page:
        return 0
    return len(mappers(column.maps, pte.folio))
