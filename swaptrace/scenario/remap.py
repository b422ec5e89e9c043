"""The step that moves or resizes a mapping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from swaptrace.scenario.base import BaseStep

RemapFlag = Literal["MREMAP_MAYMOVE", "MREMAP_FIXED", "MREMAP_DONTUNMAP"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MremapStep(BaseStep):
    """A region becomes `size` bytes large, at another address if need be or if it is told one.

    `to` is that address (MREMAP_FIXED); `name` what the pages are called that leave an empty
    mapping behind (MREMAP_DONTUNMAP).
    """

    op = "mremap"
    region: str
    size: int
    to: int | None = None
    name: str | None = None
    flags: tuple[RemapFlag, ...] = ()

    @property
    def keeps(self) -> bool:
        """Whether a mapping without pages stays behind."""
        return "MREMAP_DONTUNMAP" in self.flags
