"""Flags of a VMA that no fault depends on: they decide what merges, and what a system call does."""

from __future__ import annotations

from enum import Flag, auto


class VmFlag(Flag):
    """By the names of include/linux/mm.h."""

    LOCKONFAULT = auto()
    """Of a VMA that is locked: it is not populated."""


NO_FLAGS = VmFlag(0)
