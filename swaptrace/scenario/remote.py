"""Steps by which the kernel changes memory without an access of the process."""

from __future__ import annotations

from dataclasses import dataclass

from swaptrace.scenario.base import BaseStep, ByteRange


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PokeStep(BaseStep):
    """Write every byte of a range through /proc/PID/mem, as a debugger does (FOLL_FORCE): in
    private memory also where the process may not write."""

    op = "poke"
    region: str
    value: int
    span: ByteRange


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MigrateStep(BaseStep):
    """Move the pages of a range to other page frames: mbind() with MPOL_MF_MOVE."""

    op = "migrate"
    region: str
    span: ByteRange
