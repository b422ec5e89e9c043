"""Which pages a step visits, in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from swaptrace.errors import TooManyPages

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Pages: TypeAlias = "npt.NDArray[np.int64]"

MAX_LISTED: Final = 1 << 26
"""How many pages are listed one by one at most: half a gigabyte of page numbers."""


class Walk(NamedTuple):
    """The pages `first`, `first + stride`, … (`count` of them), unless `scattered` lists them.

    `backward` visits the last one first; `seed` shuffles the order; `scattered` is in
    visiting order and distinct.
    """

    first: int
    count: int  # type: ignore[assignment]
    stride: int = 1
    backward: bool = False
    seed: int | None = None
    scattered: Pages | None = None

    @property
    def contiguous(self) -> bool:
        return self.scattered is None and (self.stride == 1 or self.count <= 1)

    @property
    def regular(self) -> bool:
        """Whether its pages are in order, upward or downward, one stride apart."""
        return self.scattered is None and self.seed is None

    @property
    def end(self) -> int:
        """One past the last page, of a walk that is not scattered."""
        return self.first + (self.count - 1) * self.stride + 1 if self.count else self.first

    @property
    def bounds(self) -> tuple[int, int]:
        """The lowest page, and one past the highest."""
        if self.scattered is None or not self.count:
            return self.first, self.end
        return int(self.scattered.min()), int(self.scattered.max()) + 1

    def pages(self) -> Pages:
        """Every page, in visiting order. Raises `SwaptraceError` where there are too many."""
        if self.scattered is not None:
            return self.scattered
        check_listable(self.count)
        import numpy as np  # takes longer to import than a small replay takes

        pages = self.first + self.stride * np.arange(self.count, dtype=np.int64)
        if self.seed is not None:
            from swaptrace.traces.generator import order

            return pages[order(self.seed, self.count)]
        return pages[::-1] if self.backward else pages

    def ordered(self) -> Walk:
        """The same walk in a form whose parts can be taken."""
        return self if self.seed is None else listed(self.pages())

    def part(self, skip: int, count: int) -> Walk:
        """`count` pages of the walk, after its first `skip`."""
        if self.seed is not None:
            return self.ordered().part(skip, count)
        if self.scattered is not None:
            return listed(self.scattered[skip : skip + count])
        before = self.count - skip - count if self.backward else skip
        return Walk(self.first + before * self.stride, count, self.stride, self.backward)


def listed(pages: Pages) -> Walk:
    """A walk over these pages in this order."""
    return Walk(0, len(pages), scattered=pages)


def check_listable(pages: int) -> None:
    """What has to be listed page by page is refused where memory would not do."""
    if pages > MAX_LISTED:
        raise TooManyPages(
            f"{pages} pages would have to be listed one by one, for their stride or order, for a "
            f"pattern of accesses or a trace, or under a memory limit; at most {MAX_LISTED} can be"
        )
