"""How far a swap-in reads ahead (mm/swap_state.c)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from swaptrace.errors import PolicyError
from swaptrace.mm.policy import Policy, ask

ORDER_CEILING = 5
"""No window is larger than 1 << 5 pages, whatever page-cluster says (SWAP_RA_ORDER_CEILING)."""


ROOT = "swap_vma_ra_win"
"""What a policy that decides about windows itself calls its function: of a machine (the last three
of `ReadFault`) it gives `ReadWindows`."""


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
        return max_window(self.page_cluster)

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


class ReadWindows(Protocol):
    """What a policy decides about windows on one machine."""

    def window(
        self, address: int, last: int, window: int, hits: int, bounds: tuple[int, int], /
    ) -> Window:
        """That of a fault; the arguments are those of `ReadFault`, the bounds those of the VMA."""


def max_window(page_cluster: int) -> int:
    """The most pages that a fault reads."""
    return 1 << min(page_cluster, ORDER_CEILING)


def window_size(
    policy: Policy, address: int, last: int, hits: int, window: int, max_window: int
) -> int:
    """What a policy that does not decide about windows itself has swap_vma_ra_win() return.
    Raises `PolicyError` for what it must not."""
    size = ask(policy, "readahead_window", int, address, last, hits, window, max_window)
    if size < 1:
        raise PolicyError(f"policy {policy.name!r}: readahead_window() returned {size}")
    return size


def window_bounds(
    address: int, last: int, size: int, low: int, high: int, table_pages: int
) -> tuple[int, int]:
    """swap_vma_ra_win(): the first page of a window of more than one, and that behind the last."""
    if address == last + 1:
        left = address
    elif last == address + 1:
        left = address - size + 1
    else:
        left = address - (size - 1) // 2
    table = address - address % table_pages
    return max(left, low, table), min(left + size, high, table + table_pages)
