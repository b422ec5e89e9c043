"""Delivering an event to the userfaultfd (fs/userfaultfd.c; mm/userfaultfd.c since 7.3)."""

from __future__ import annotations

from swaptrace.counters import Counter
from swaptrace.mm.mprotect import uffd_wp_range
from swaptrace.mm.page import Page


def handle_userfault(page: Page, p: int) -> None:
    """One event; the handler un-protects the page that faulted and wakes the writer."""
    page.enter("handle_userfault")
    rwp = page.vma(p).uffd_rwp
    page.count(Counter.UFFD_RWP if rwp else Counter.UFFD_WP)
    uffd_wp_range(page, p, False, rwp)
