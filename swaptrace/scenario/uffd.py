"""The steps that use a userfaultfd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from swaptrace.scenario.base import BaseStep, Span

UffdMode = Literal["wp", "rwp"]
RegisterMode = Literal["missing", "wp"]
UffdFeature = Literal[
    "UFFD_FEATURE_WP_UNPOPULATED", "UFFD_FEATURE_WP_ASYNC", "UFFD_FEATURE_EVENT_FORK"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class UffdWriteprotect(BaseStep):
    """UFFDIO_WRITEPROTECT, or UFFDIO_RWPROTECT; the first use registers the whole region for it."""

    op = "uffd_writeprotect"
    region: str
    span: Span
    wp: bool = True
    mode: UffdMode = "wp"


@dataclass(frozen=True, slots=True, kw_only=True)
class UffdRegister(BaseStep):
    """Register a range with a userfaultfd that has these features.

    `fill` is the byte of the pages with which its handler answers for missing ones.
    """

    op = "uffd_register"
    region: str
    span: Span
    mode: tuple[RegisterMode, ...]
    features: tuple[UffdFeature, ...] = ()
    fill: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UffdUnregister(BaseStep):
    """UFFDIO_UNREGISTER, which takes write-protection away as well."""

    op = "uffd_unregister"
    region: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class UffdCopy(BaseStep):
    """UFFDIO_COPY of pages full of a byte to where there are none."""

    op = "uffd_copy"
    region: str
    span: Span
    value: int = 0
    wp: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UffdZeropage(BaseStep):
    """UFFDIO_ZEROPAGE: map the shared zero page where there is none."""

    op = "uffd_zeropage"
    region: str
    span: Span


OnUffd: TypeAlias = UffdRegister | UffdUnregister | UffdWriteprotect | UffdCopy | UffdZeropage
"""All of them."""
