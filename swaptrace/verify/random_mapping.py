"""Random steps that make, replace and move mappings, and ranges that are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Final

from swaptrace.mm.column import ENTRY_BYTES
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.remap import MremapStep, RemapFlag
from swaptrace.scenario.schema import MapFlag, MmapStep, MunmapStep, Prot, Step, SystemCall
from swaptrace.scenario.thp import Thp
from swaptrace.scenario.values import LENGTH

MAPPED: Final[tuple[Prot, ...]] = ("rw",) * 16 + ("r", "r", "w", "rwx")


def map_flags(random: Random, populates: bool) -> tuple[MapFlag, ...]:
    """Mostly none, and never that of a mapping over another; with large folios none that populates,
    which programs cannot do."""
    if random.random() < 0.8:
        return ()
    names: tuple[MapFlag, ...] = ("MAP_NORESERVE",)
    if populates:
        names = ("MAP_POPULATE", "MAP_LOCKED", *names)
    return tuple(name for name in names if random.random() < 0.4)


def file_size(random: Random, size: int) -> int | None:
    """Mostly that of the mapping, `size`; else one that ends before it, or behind."""
    chance, end = random.random(), random.randint(1, size)
    return None if chance < 0.6 else end if chance < 0.9 else size + end


def with_file(random: Random, step: MmapStep, files: dict[str, int], page_size: int) -> MmapStep:
    """The mapping of a new file, or of one of `files`, which have these sizes."""
    if files and random.random() < 0.7:
        name = random.choice(list(files))
        first = random.choice((0, 0, random.randint(0, files[name] // page_size)))
        return replace(step, file=name, file_offset=first * page_size)
    name = f"f{len(files)}"
    size = file_size(random, step.size)
    files[name] = size or step.size
    return replace(step, file=name, file_size=size)


def of_kind(
    random: Random, step: MmapStep, file: bool, files: dict[str, int], page_size: int
) -> MmapStep:
    """The mapping of a file, or one of anonymous memory."""
    if file:
        return with_file(random, step, files, page_size)
    return step if step.shared else growing(random, step)


def growing(random: Random, step: MmapStep) -> MmapStep:
    """Now and then a mapping that grows down, to where something is unmapped."""
    if random.random() < 0.9:
        return step
    return replace(step, flags=(*step.flags, "MAP_GROWSDOWN"))


def holes(random: Random, steps: list[Step], page_size: int) -> Iterator[Step]:
    """Below mappings that grow down, in their regions."""
    for step in steps:
        if isinstance(step, MmapStep) and "MAP_GROWSDOWN" in step.flags:
            length = random.randint(1, step.size // page_size) * page_size
            span = ByteRange(0, length)
            yield MunmapStep(line=1, process=step.process, region=step.region, span=span)


def mmap_over(
    random: Random, process: str, region: str, span: ByteRange, populates: bool
) -> MmapStep:
    """A mapping in the place of a part of a region."""
    return MmapStep(
        line=1,
        process=process,
        region=region,
        size=span.length,
        offset=span.offset,
        prot=random.choice(MAPPED),
        flags=("MAP_FIXED", *map_flags(random, populates)),
    )


def mremap(random: Random, process: str, region: str, size: int, page_size: int) -> MremapStep:
    """Another size, or another place (of which only that it is one is said), or both; or the pages
    in a region of another name, which is not said either."""
    chance = random.random()
    if chance > 0.9:
        flags: tuple[RemapFlag, ...] = ("MREMAP_MAYMOVE", "MREMAP_DONTUNMAP")
        return MremapStep(
            line=1, process=process, region=region, size=size, name=region, flags=flags
        )
    if chance < 0.6:
        size = max(1, size // page_size + random.choice((-3, -1, 2, 5, 20))) * page_size
    flags = ("MREMAP_MAYMOVE",)
    if chance > 0.5:
        flags = (*flags, "MREMAP_FIXED")
    to = 0 if chance > 0.5 else None
    return MremapStep(line=1, process=process, region=region, size=size, to=to, flags=flags)


def elsewhere(random: Random, number: int, page_size: int, thp: tuple[Thp, ...]) -> int:
    """Where nothing else is: often at the beginning of a page table; else anywhere in one, or, with
    large folios, by a multiple of their size."""
    chance, page = random.random(), random.randrange(page_size // ENTRY_BYTES)
    if chance < 0.5:
        page = 0
    elif thp and chance < 0.75:
        size = LENGTH(random.choice(thp).size) // page_size
        page -= page % size
    return (number << 36) + page * page_size


def out_of_order(random: Random, step: Step, page_size: int) -> Step:
    """The system call on another range, which may be one that it refuses."""
    if not isinstance(step, SystemCall):
        return step
    start, length = step.span.offset, step.span.length
    ranges = (
        ByteRange(start + 100, length),
        ByteRange(start, 0),
        ByteRange(start, length + 3 * page_size),
        ByteRange(start, -length),
    )
    return replace(step, span=random.choice(ranges), errno="EINVAL")
