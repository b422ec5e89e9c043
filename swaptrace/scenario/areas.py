"""What the processes of a scenario have mapped, as the loader follows it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from swaptrace.frozen import FrozenValue
from swaptrace.scenario.addresses import first_fit, joined
from swaptrace.scenario.remap import MremapStep
from swaptrace.scenario.schema import MmapStep
from swaptrace.scenario.values import human


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DeclaredRegion(FrozenValue):
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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DeclaredFile(FrozenValue):
    """A file, of hugetlbfs or of tmpfs, and in which line it is first mapped."""

    huge: bool
    size: int
    line: int

    @staticmethod
    def of(step: MmapStep) -> DeclaredFile:
        """The file that a mapping makes if it is the first."""
        size = step.file_offset + step.size if step.file_size is None else step.file_size
        return DeclaredFile(step.huge, size, step.line)

    def refusal(self, step: MmapStep) -> str:
        """What is wrong with a mapping of the file, if anything."""
        if self.line != step.line and (self.huge or step.huge):
            hint = "a file of hugetlbfs has one mapping, which children inherit"
            return f"is mapped already (line {self.line}); {hint}"
        if step.file_size not in (None, self.size):
            return f"has {human(self.size)} already (line {self.line}); leave the size out"
        return ""


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
