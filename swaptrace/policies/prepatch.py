"""What Linux did up to 6.10: the defaults of every decision point.

On a write fault a reusable page is mapped writable (if the VMA allows) and dirty, and the
fault is done. On a read fault nothing of the kind happens, so that the first write to a page
that was read back in takes another, minor, fault in do_wp_page(): the cost that the series
set out to save.
"""

from __future__ import annotations

from swaptrace.mm.policy import Policy


class Prepatch(Policy):
    title = "Only a write fault makes the PTE writable"
    origin = "Linux up to 6.10"
