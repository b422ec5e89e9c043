"""Flags of a VMA that no fault depends on: they decide what merges, and what a system call does."""

from __future__ import annotations

from enum import Flag, auto


class VmFlag(Flag):
    """By the names of include/linux/mm.h."""

    LOCKONFAULT = auto()
    """Of a VMA that is locked: it is not populated."""

    RAND_READ = auto()
    SEQ_READ = auto()
    DONTCOPY = auto()
    """A child has a hole there."""

    WIPEONFORK = auto()
    """A child has the VMA, and nothing in it."""

    DONTDUMP = auto()
    MERGEABLE = auto()
    """ksmd looks for equal pages there."""

    HUGEPAGE = auto()
    """Large folios, where they are used on advice."""

    NOHUGEPAGE = auto()
    """No large folios."""
    EXEC = auto()
    NORESERVE = auto()
    """Of what may be written there, nothing is accounted (VM_ACCOUNT)."""
    GROWSDOWN = auto()
    """An access to a hole below makes it larger (expand_stack())."""
    RESERVED = auto()
    """Huge pages are reserved for what is not there yet (HPAGE_RESV_OWNER)."""


NO_FLAGS = VmFlag(0)


def together(*flags: VmFlag) -> VmFlag:
    """All of them; most mappings have none, and `|` of a Flag is slow."""
    some = NO_FLAGS
    for each in flags:
        if each is not NO_FLAGS:
            some |= each
    return some
