"""The events that few scenarios have, and the kernel function that each is about."""

from __future__ import annotations

from swaptrace.mm.event import (
    HugetlbFault,
    Merge,
    Migrate,
    Move,
    Populate,
    RareEvent,
    Unmerge,
    Unpin,
)
from swaptrace.mm.gup import populate, unpin
from swaptrace.mm.hugetlb import hugetlb_access
from swaptrace.mm.ksm import break_ksm, merge_one_page
from swaptrace.mm.migrate import migrate
from swaptrace.mm.mremap import move_pte
from swaptrace.mm.page import Page


def perform_rare(page: Page, event: RareEvent) -> None:
    """Hand the event to the kernel function that it is about."""
    p = event.process
    match event:
        case Populate():
            populate(page, p, event)
        case Unpin():
            unpin(page, p)
        case Migrate():
            migrate(page, p)
        case HugetlbFault():
            hugetlb_access(page, p, event)
        case Move():
            move_pte(page, p, event)
        case Merge():
            merge_one_page(page, p, event.kept, event.zero)
        case Unmerge():
            break_ksm(page, p, event.unshare, event.by_ksmd)
