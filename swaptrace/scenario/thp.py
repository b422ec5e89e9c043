"""The sizes of large folios that a machine allows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

ThpSize = Literal["16KiB", "32KiB", "64KiB", "128KiB", "256KiB", "512KiB", "1MiB", "2MiB"]
ThpEnabled = Literal["always", "madvise", "inherit", "never"]


class Thp(NamedTuple):
    """hugepages-SIZE/enabled of /sys/kernel/mm/transparent_hugepage, for one size."""

    size: ThpSize
    enabled: ThpEnabled


def large_folios(sizes: Iterable[Thp]) -> bool:
    """Whether there can be any on a machine."""
    return any(each.enabled != "never" for each in sizes)
