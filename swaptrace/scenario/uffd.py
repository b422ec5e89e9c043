"""The steps that use a userfaultfd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from swaptrace.scenario.base import BaseStep, ByteRange

UffdMode = Literal["wp", "rwp"]
RegisterMode = Literal["missing", "wp"]
UffdFeature = Literal[
    "UFFD_FEATURE_WP_UNPOPULATED",
    "UFFD_FEATURE_WP_ASYNC",
    "UFFD_FEATURE_EVENT_FORK",
    "UFFD_FEATURE_WP_HUGETLBFS_SHMEM",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class UffdWriteprotectStep(BaseStep):
    """UFFDIO_WRITEPROTECT, or UFFDIO_RWPROTECT; the first use registers the whole region for it."""

    op = "uffd_writeprotect"
    region: str
    span: ByteRange
    wp: bool = True
    mode: UffdMode = "wp"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class UffdRegisterStep(BaseStep):
    """Register a range with a userfaultfd that has these features.

    `fill` is the byte of the pages with which its handler answers for missing ones.
    """

    op = "uffd_register"
    region: str
    span: ByteRange
    mode: tuple[RegisterMode, ...]
    features: tuple[UffdFeature, ...] = ()
    fill: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class UffdUnregisterStep(BaseStep):
    """UFFDIO_UNREGISTER, which takes write-protection away as well."""

    op = "uffd_unregister"
    region: str
    span: ByteRange


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class UffdCopyStep(BaseStep):
    """UFFDIO_COPY of pages full of a byte to where there are none."""

    op = "uffd_copy"
    region: str
    span: ByteRange
    value: int = 0
    wp: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class UffdZeropageStep(BaseStep):
    """UFFDIO_ZEROPAGE: map the shared zero page where there is none."""

    op = "uffd_zeropage"
    region: str
    span: ByteRange


OnUffd: TypeAlias = (
    UffdRegisterStep | UffdUnregisterStep | UffdWriteprotectStep | UffdCopyStep | UffdZeropageStep
)
"""All of them."""
