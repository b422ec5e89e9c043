"""What is modelled only of kernels from some version on."""

from __future__ import annotations

from enum import Enum

from swaptrace.kernels import Version, version


class Feature(Enum):
    """It and the first version: that which was compared, but of `LARGE_FOLIOS` that which was read.
    The kernel itself may have it for longer."""

    MEMORY_MERGE = (6, 12), "memory_merge"  # the call is of 6.4 (d7597f59d1d3)
    PAGEMAP_SCAN = (6, 12), "pagemap_scan"  # the call is of 6.7
    MIGRATE = (6, 12), "migrate"  # before, migration could make a page soft-dirty
    UFFD_REGISTER = (6, 12), "uffd_register"  # some features are as old as userfaultfd
    ZERO_PAGES = (6, 12), "zero_pages"  # before 6.6 KSM does not know its zero pages again
    LARGE_FOLIOS = (6, 8), "large folios"
    LARGE_LIMITED = (6, 12), "large folios under a memory limit"
    COLLAPSE_ERRNO = (6, 12), "the errno of a MADV_COLLAPSE that a userfaultfd forbids"
    LARGE_IN_ZSWAP = (6, 13), "large folios in zswap"  # before, they are not stored there

    def __init__(self, since: Version, title: str) -> None:
        self.since = since
        self.title = title

    @property
    def condition(self) -> str:
        """The same, to be read in an error."""
        return "{} is modelled as since Linux {}.{}".format(self.title, *self.since)


def has_model(kernel: str, feature: Feature) -> bool:
    """Whether what a kernel does with it is modelled."""
    return version(kernel) >= feature.since
