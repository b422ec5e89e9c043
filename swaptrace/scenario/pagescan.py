"""The steps that ask the kernel which pages are of a kind (PAGEMAP_SCAN, mincore()), and what is
claimed of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from swaptrace.scenario.base import BaseStep, ByteRange

CATEGORIES: Final[Mapping[str, int]] = {
    f"PAGE_IS_{name}": 1 << bit
    for bit, name in enumerate(
        ("WPALLOWED", "WRITTEN", "FILE", "PRESENT", "SWAPPED", "PFNZERO", "HUGE", "SOFT_DIRTY")
    )
}
"""What a page is (include/uapi/linux/fs.h)."""

LETTERS: Final = "AWFPSZHD"
"""One for each, in their order."""

WPALLOWED, WRITTEN, FILE, PRESENT, SWAPPED, PFNZERO, HUGE, SOFT_DIRTY = CATEGORIES.values()

FLAGS: Final[Mapping[str, int]] = {"PM_SCAN_WP_MATCHING": 1, "PM_SCAN_CHECK_WPASYNC": 2}
WP_MATCHING, CHECK_WPASYNC = FLAGS.values()

NOT_FOUND: Final = "-"
NO_CATEGORY: Final = "."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PagemapScanStep(BaseStep):
    """PAGEMAP_SCAN of a range, whose answer a `check` may compare with what is expected.

    The masks and `flags` are as the ioctl has them: `category`, `anyof`, `inverted`, and `returned`
    for the return mask. `vec` is that there is a buffer, with room for `vec_len` regions (None: as
    many as there are pages); `max_pages` is how many pages are found at most (0: all).
    """

    op = "pagemap_scan"
    region: str
    span: ByteRange
    category: int = 0
    anyof: int = 0
    inverted: int = 0
    returned: int = 0
    flags: int = 0
    max_pages: int = 0
    vec: bool = True
    vec_len: int | None = None

    @property
    def masks(self) -> int:
        """Every category that is asked for, or about."""
        return self.category | self.anyof | self.inverted | self.returned


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MincoreStep(BaseStep):
    """mincore() of a range: which pages are in memory. `vec` is that the buffer is there."""

    op = "mincore"
    region: str
    span: ByteRange
    vec: bool = True


class Scanned(NamedTuple):
    """What a scan has found: how many regions it returned, where it ended, in bytes from the start
    of its range, and the pages of the range as a code: how many, then their categories.

    Of mincore() the regions are what is in memory, all `PRESENT`.
    """

    regions: int
    walk_end: int
    pages: str

    def __str__(self) -> str:
        return f"regions {self.regions}, walk_end {self.walk_end}, pages {self.pages}"


class ScanClaim(NamedTuple):
    """What a `check` says of the last scan of its process; None where it says nothing."""

    regions: int | None = None
    walk_end: int | None = None
    pages: str | None = None

    def __str__(self) -> str:
        return ", ".join(f"{k} {v}" for k, v in self._asdict().items() if v is not None)

    def of(self, scanned: Scanned | None) -> ScanClaim | None:
        """The same that was found; None where nothing was."""
        if scanned is None:
            return None
        said = self._asdict().items()
        return ScanClaim(**{k: getattr(scanned, k) for k, v in said if v is not None})


def letters(categories: int) -> str:
    """The categories of pages that were found."""
    found = "".join(letter for bit, letter in enumerate(LETTERS) if categories >> bit & 1)
    return found or NO_CATEGORY
