"""What the processes of a scenario have mapped, as the loader follows it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from swaptrace.scenario.addresses import first_fit, joined
from swaptrace.scenario.remap import MremapStep


@dataclass(frozen=True, slots=True)
class DeclaredRegion:
    """A region of one process: its size (0: unknown), what of it is still mapped, and its
    address. One that the kernel chose makes no difference to what is right later."""

    size: int
    mapped: tuple[tuple[int, int], ...]
    at: int | None
    base: int = field(compare=False)
    line: int = field(compare=False)

    @property
    def end(self) -> int:
        return self.base + self.size


@dataclass(slots=True)
class DeclaredProcess:
    """A living process. `line` is where it was forked; `pinned` in which line a region was."""

    line: int = field(compare=False)
    regions: dict[str, DeclaredRegion] = field(default_factory=dict)
    pinned: dict[str, int] = field(default_factory=dict)

    def fork(self, line: int) -> DeclaredProcess:
        return DeclaredProcess(line, dict(self.regions))


def moved_to(
    process: DeclaredProcess, step: MremapStep, area: DeclaredRegion, page_size: int
) -> DeclaredRegion:
    """Where the region lies then, and what of it is mapped."""
    end = max(area.size, step.size)
    grown = joined((*area.mapped, (area.size, end))) if step.size > area.size else area.mapped
    mapped = tuple((low, min(high, step.size)) for low, high in grown if low < step.size)
    now = replace(area, size=step.size, line=step.line, mapped=mapped)
    if step.to is not None:
        return replace(now, at=step.to, base=step.to)
    if not step.keeps and (step.size <= area.size or is_free(process, step, area)):
        return now
    taken = ((other.base, other.end) for other in process.regions.values())
    base = first_fit(taken, step.size, page_size)
    return replace(now, at=None, base=base)


def is_free(process: DeclaredProcess, step: MremapStep, area: DeclaredRegion) -> bool:
    """Whether no other region lies where the region would grow."""
    others = (other for name, other in process.regions.items() if name != step.region)
    end = area.base + step.size
    return not any(area.end < other.end and other.base < end for other in others)
