"""How far a swap-in reads ahead (mm/swap_state.c)."""

from __future__ import annotations

from typing import NamedTuple

from swaptrace.errors import PolicyError
from swaptrace.mm.policy import Policy, ask

ORDER_CEILING = 5
"""No window is larger than 1 << 5 pages, whatever page-cluster says (SWAP_RA_ORDER_CEILING)."""


ROOT = "swap_vma_ra_win"
"""What a policy that decides about windows itself calls its function."""


class ReadFault(NamedTuple):
    """A fault that reads, and what vma->swap_readahead_info says of those before.

    Addresses are in pages: `address` that of the fault, `last` that of the one before, `low` and
    `high` the bounds of the VMA. `window` was the size of the last one, `hits` is how many pages of
    it were found. `page_cluster` is the sysctl, `table_pages` how many pages a page table covers,
    `page_size` in bytes.
    """

    address: int
    last: int
    window: int
    hits: int
    low: int
    high: int
    page_cluster: int
    table_pages: int
    page_size: int

    @property
    def max_window(self) -> int:
        """The largest window."""
        return 1 << min(self.page_cluster, ORDER_CEILING)

    @property
    def table(self) -> range:
        """The pages that the same page table covers: no window leaves them."""
        start = self.address - self.address % self.table_pages
        return range(start, start + self.table_pages)


class Window(NamedTuple):
    """`size` is what swap_vma_ra_win() returns, 1 for a fault that reads its own page alone;
    `start` and `end` are the pages that are read otherwise. The others are the new state."""

    size: int
    start: int
    end: int
    last: int
    window: int
    hits: int


def swap_vma_ra_win(policy: Policy, fault: ReadFault) -> Window:
    """The window of a fault. Raises `PolicyError` for one that the policy must not give."""
    own = policy.functions.get(ROOT)
    if own is not None:
        found: Window = own(fault)
        return found
    address, last = fault.address, fault.last
    known = (address, last, fault.hits, fault.window, fault.max_window)
    size = ask(policy, "readahead_window", int, *known)
    if size < 1:
        raise PolicyError(f"policy {policy.name!r}: readahead_window() returned {size}")
    if address == last + 1:
        left = address
    elif last == address + 1:
        left = address - size + 1
    else:
        left = address - (size - 1) // 2
    start = max(left, fault.low, fault.table.start)
    return Window(size, start, min(left + size, fault.high, fault.table.stop), address, size, 0)
