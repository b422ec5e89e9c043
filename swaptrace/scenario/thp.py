"""The sizes of large folios that a machine allows."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final, Literal, NamedTuple

ThpSize = Literal["16KiB", "32KiB", "64KiB", "128KiB", "256KiB", "512KiB", "1MiB", "2MiB"]
ThpEnabled = Literal["always", "madvise", "inherit", "never"]
ThpInherited = Literal["always", "madvise", "never"]
ThpKey = Literal["enabled"] | ThpSize


OF_LARGE_FOLIOS: Final = ("zswap_never_enabled", "discards_pmd")
"""The keys of a machine that mean something only where there are large folios."""


class Thp(NamedTuple):
    """hugepages-SIZE/enabled of /sys/kernel/mm/transparent_hugepage for one size, or `enabled`
    itself, which is what `inherit` stands for."""

    size: ThpKey
    enabled: ThpEnabled


class Enabled(NamedTuple):
    """Where folios of a size are used."""

    size: ThpSize
    enabled: ThpInherited


def sizes(settings: Iterable[Thp]) -> tuple[Enabled, ...]:
    """The sizes, smallest first, and where each is used once all is inherited."""
    given = dict(settings)
    inherited = given.get("enabled", "never")
    found = ((size, inherited if how == "inherit" else how) for size, how in given.items())
    return tuple(Enabled(s, h) for s, h in found if s != "enabled" and h != "inherit")


@cache
def large_folios(settings: tuple[Thp, ...]) -> bool:
    """Whether there can be any on a machine."""
    return any(each.enabled != "never" for each in sizes(settings))
