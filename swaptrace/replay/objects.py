"""Shmem objects that several regions map: their columns have a mapping for each (mm/shmem.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from swaptrace.mm.canonical import canonical
from swaptrace.mm.checks import content
from swaptrace.mm.column import HOLE, Column, Mapping, Shmem, Vma
from swaptrace.mm.event import Event
from swaptrace.replay.processes import ObjectView, Process, SharedRegion, ShmemObject
from swaptrace.replay.runs.region import Region, RegionPart
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.world import World
from swaptrace.scenario.schema import MmapStep


def add_object_region(world: World, process: Process, step: MmapStep, base: int, vma: Vma) -> None:
    """The pages of a new mapping of an object, which is new as well unless it is a known file."""
    of = None if step.file is None else world.files.get(step.file)
    first, pages = world.pages(step.file_offset), world.pages(step.size)
    if of is None:
        of = new_object(world, step, base)
    process.regions[step.region] = view_of(
        world, of, ObjectView(process.name, step.region, first), pages
    )
    process.regions[step.region].base = base
    attach(world, of, first, pages, lambda column: mapped(column, vma))


def new_object(world: World, step: MmapStep, base: int) -> ShmemObject:
    """Shared anonymous memory, or a file, which is known from then on."""
    size = step.file_size
    pages = world.pages(step.file_offset + step.size if size is None else size)
    hole = world.table.intern(Column((), shmem=Shmem()))
    if step.file is None:
        return ShmemObject(base, None, pages, Region(pages, hole))
    of = ShmemObject(-1 - len(world.files), step.file, pages, Region(pages, hole))
    world.files[step.file] = of
    return of


def view_of(world: World, of: ShmemObject, view: ObjectView, pages: int) -> SharedRegion:
    """A region of so many pages of an object, which is seen by the last of its mappings."""
    extend(world, of, view.first + pages)
    of.add(view)
    window = RegionPart(of.pages, view.first, pages)
    return SharedRegion(view.region, 0, window, of.members, of, view.first)


def extend(world: World, of: ShmemObject, pages: int) -> None:
    """The object's columns reach so far: beyond its end there is nothing to map."""
    if pages > of.pages.pages:
        beyond = Column((HOLE,) * len(of.members))
        of.pages.resize(pages, world.table.intern(beyond))


def attach(
    world: World, of: ShmemObject, first: int, pages: int, new: Callable[[Column], Mapping]
) -> None:
    """Another mapping of each of these pages, and of the others a hole."""

    def hole(column: Column) -> Column:
        return column._replace(maps=(*column.maps, HOLE))

    def add(column: Column) -> Column:
        return canonical((*column.maps, new(column)), *column[1:])

    end = of.pages.pages
    reshape(world, of.pages, Walk(0, first), hole)
    reshape(world, of.pages, Walk(first, pages), add)
    reshape(world, of.pages, Walk(first + pages, end - first - pages), hole)


def mapped(column: Column, vma: Vma) -> Mapping:
    """A mapping of a page that is not in its page table yet, and what a load must give."""
    return Mapping(vma, data=content(column, Mapping(vma)) or 0)


def resized(world: World, process: Process, shared: SharedRegion, pages: int) -> SharedRegion:
    """The region of an object with so many pages: of this process alone, whoever else maps it."""
    assert shared.of is not None
    extend(world, shared.of, shared.first + pages)
    part = RegionPart(shared.of.pages, shared.first, pages)
    new = process.regions[shared.name] = replace(shared, region=part)
    return new


def map_rest(world: World, process: Process, shared: SharedRegion, pages: int, vma: Vma) -> None:
    """The pages of a region that grew, behind so many: not in the page table yet."""
    member = shared.member(process.name)
    walk = Walk(pages, shared.region.pages - pages)
    reshape(
        world, shared.region, walk, lambda column: put_mapping(column, member, mapped(column, vma))
    )


def split_off(
    world: World, process: Process, shared: SharedRegion, name: str, left: Vma
) -> SharedRegion:
    """Another region has what is in the page table of this one, which is left without
    (MREMAP_DONTUNMAP), and of the VMA `left`."""
    of, pages, member = shared.of, shared.region.pages, shared.member(process.name)
    assert of is not None
    new = process.regions[name] = view_of(
        world, of, ObjectView(process.name, name, shared.first), pages
    )
    attach(world, of, shared.first, pages, lambda column: column.maps[member])

    def empty(column: Column) -> Column:
        return put_mapping(column, member, mapped(column, left))

    reshape(world, shared.region, Walk(0, pages), empty)
    return new


def put_mapping(column: Column, member: int, new: Mapping) -> Column:
    """The column with another mapping."""
    maps = (*column.maps[:member], new, *column.maps[member + 1 :])
    return canonical(maps, *column[1:])


def reshape(world: World, region: Region, walk: Walk, change: Callable[[Column], Column]) -> None:
    """Give each page the column that `change` makes of its own."""
    table = world.table
    region.change(walk, lambda number: table.intern(change(table.columns[number])))


def send_outside(world: World, shared: SharedRegion, event: Event) -> None:
    """The event happens to what the region does not map of its object, where it counts nothing."""
    if shared.of is None:
        return
    pages, end = shared.of.pages, shared.first + shared.region.pages
    for walk in (Walk(0, shared.first), Walk(end, pages.pages - end)):
        pages.change(walk, lambda number: world.table.row(event, number).new)
