"""What a VMA is registered for with a userfaultfd (include/linux/userfaultfd_k.h)."""

from __future__ import annotations

from typing import Final, NamedTuple


class Uffd(NamedTuple):
    """The userfaultfd of a VMA (vm_userfaultfd_ctx), beside VM_UFFD_WP.

    `missing` is VM_UFFD_MISSING; `unpopulated`, `wp_async` and `event_fork` are the features
    WP_UNPOPULATED, which WP_ASYNC implies, WP_ASYNC and EVENT_FORK; `hugetlbfs_shmem` is
    WP_HUGETLBFS_SHMEM, which only tells that the kernel protects these; `fill` is the byte of the
    pages that its handler gives.
    """

    missing: bool = False
    unpopulated: bool = False
    wp_async: bool = False
    event_fork: bool = False
    fill: int = 0
    hugetlbfs_shmem: bool = False

    @property
    def context(self) -> Uffd:
        """Which userfaultfd of the process it is: there is one for each way to use one."""
        return self._replace(missing=False)


PLAIN: Final = Uffd()
"""No features and no missing pages; also that of a VMA which is not registered."""
