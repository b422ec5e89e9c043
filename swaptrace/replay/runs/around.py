"""Which pages a read fault of a file maps, besides its own (do_fault_around() of mm/memory.c)."""

from __future__ import annotations

from swaptrace.mm.column import ENTRY_BYTES

FAULT_AROUND_BYTES = 64 * 1024
"""fault_around_bytes, as it is unless debugfs says otherwise."""


def fault_around(base: int, page: int, low: int, high: int, page_size: int) -> range:
    """The pages within the VMA, `low` to `high`, and the page table, from an aligned page or the
    first of the VMA on. All are counted from the region's first, whose address is `base`."""
    pages, table = max(1, FAULT_AROUND_BYTES // page_size), page_size // ENTRY_BYTES
    address = base + page
    start = max(page - address % pages, low)
    return range(start, min(start + pages, page - address % table + table, high))
