"""Mappings that are moved or resized (mm/mremap.c)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from swaptrace.errors import NotModelled
from swaptrace.kernels import Rule
from swaptrace.mm.column import ENTRY_BYTES, Column, Mapping, Vma
from swaptrace.mm.event import Move, SetVma
from swaptrace.replay.call import Call, Errno, is_aligned
from swaptrace.replay.locking import mlock_future_ok, mm_populate
from swaptrace.replay.mapping import check_alone_in_file, unmap
from swaptrace.replay.objects import map_rest, resized, split_off
from swaptrace.replay.processes import Lock, Process, SharedRegion
from swaptrace.replay.space import VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.remap import MremapStep
from swaptrace.vmflags import VmFlag

if TYPE_CHECKING:
    from swaptrace.replay.folios.memory import Folios


def mremap(world: World, tally: Tally, process: Process, step: MremapStep) -> Errno:
    """sys_mremap(): shrinks, grows where it is, or moves."""
    shared = process.regions[step.region]
    call = Call(world, tally, process, shared.base, shared.end)
    moves = "MREMAP_MAYMOVE" in step.flags
    pages, fixed = world.pages(step.size), step.to is not None
    resized = pages != shared.region.pages
    if not pages or (not moves and (fixed or step.keeps)) or (step.keeps and resized):
        return "EINVAL"
    area = next(iter(call.space.within(call.start, call.start + 1)), None)
    if area is None:
        return "EFAULT"
    if fixed and not may_go_to(world, shared, step.to or 0, pages):
        return "EINVAL"
    check_modelled(world, step, shared, area, resized)
    if pages < shared.region.pages:
        unmap(call._replace(start=call.start + pages))
        shared = resize(call, shared, pages)
        call, area = call._replace(end=call.start + pages), replace_end(call, area)
    if not fixed and not step.keeps and pages <= shared.region.pages:
        return None
    errno = vma_to_resize(call, area, pages)
    if errno:
        return errno
    added = pages - (call.end - call.start)
    if not fixed and not step.keeps and is_expandable(call, area, added):
        expand(call, shared, area, added)
        return None
    if not moves:
        return "ENOMEM"
    move_vma(call, shared, area, step, pages)
    return None


def may_go_to(world: World, shared: SharedRegion, to: int, pages: int) -> bool:
    """mremap_to(): a place of whole pages, which is not that where the region is."""
    base = to // world.machine.page_size
    return is_aligned(world, to) and (base + pages <= shared.base or shared.end <= base)


def check_modelled(
    world: World, step: MremapStep, shared: SharedRegion, area: VmArea, resized: bool
) -> None:
    """Raise `NotModelled` where it is not known what becomes of the pages."""
    why, folios = "", folios_of(world)
    if (world.arena is not None and folios is None) or world.batch is not None:
        why = "under a memory limit, where swap can fill (without machine.thp), or with lru_batch"
    elif (step.keeps or resized) and len(shared.members) > 1 and shared.of is None:
        why = "of a region that another process has as well, unless it only moves"
    elif area.vma.shmem != (shared.of is not None):
        why = "of a mapping over shared memory or a file"
    elif VmFlag.MERGEABLE in area.flags:
        why = "where KSM merges pages"
    elif step.keeps and (area.start, area.end) != (shared.base, shared.end):
        why = "with MREMAP_DONTUNMAP of a region that is not one VMA"
    elif area.end < shared.end and step.to and world.follows(Rule.MOVES_SEVERAL):
        why = "of several VMAs, which Linux 6.17 and later may move"
    if why:
        raise NotModelled(f"mremap is not modelled {why}")


def folios_of(world: World) -> Folios | None:
    """Where memory may come in large folios, what holds its pages."""
    if world.arena is None:
        return None
    from swaptrace.replay.folios.memory import Folios  # which other machines do without

    return world.arena if isinstance(world.arena, Folios) else None


def replace_end(call: Call, area: VmArea) -> VmArea:
    """The VMA after the end of the range was unmapped."""
    return next(iter(call.space.within(area.start, area.start + 1)))


def vma_to_resize(call: Call, area: VmArea, pages: int) -> Errno:
    """Whether the range lies within the one VMA, and may grow."""
    if call.end > area.end:
        return "EFAULT"
    added = pages - (call.end - call.start)
    if area.vma.locked and added and not mlock_future_ok(call.world, call.process, added):
        return "EAGAIN"
    return None


def is_expandable(call: Call, area: VmArea, added: int) -> bool:
    """vma_expandable(): whether the VMA ends with the range, and nothing lies behind it."""
    if area.end != call.end:
        return False
    if call.space.within(call.end, call.end + added):
        return False
    taken = (
        f for f in call.process.shared_regions() if f.base < call.end + added and call.end < f.end
    )
    if any(taken):
        raise NotModelled("mremap into a region that was unmapped is not modelled")
    return True


def expand(call: Call, shared: SharedRegion, area: VmArea, added: int) -> None:
    """vma_merge_extend(): the VMA grows, and may merge with what it reaches then."""
    end = call.end + added
    shared = resize(call, shared, shared.region.pages + added, area.vma)
    merged = call.map(area._replace(start=call.end, end=end))
    if folios_of(call.world) is not None and not shared.holds(merged):
        raise NotModelled("regions that touch are not modelled with large folios (machine.thp)")
    if shared.of is not None:
        check_alone_in_file(shared, merged)
    if area.vma.locked:
        mm_populate(call._replace(start=call.end, end=end))


def resize(call: Call, shared: SharedRegion, pages: int, vma: Vma | None = None) -> SharedRegion:
    """The region has fewer pages, or more, which are new and of a VMA."""
    old = shared.region.pages
    if shared.of is None:
        column = 0 if vma is None else call.world.table.intern(Column((Mapping(vma),)))
        shared.region.resize(pages, column)
        resize_folios(call, shared, old, column)
        return shared
    shared = resized(call.world, call.process, shared, pages)
    if vma is not None and pages > old:
        map_rest(call.world, call.process, shared, old, vma)
    return shared


def resize_folios(call: Call, shared: SharedRegion, old: int, column: int) -> None:
    """The same of memory in large folios, of which pages that were cut off may still be known."""
    folios, pages = folios_of(call.world), shared.region.pages
    if folios is None:
        return
    folios.check_room(call.process, shared)
    known = min(folios.resize(shared, column), pages)
    vma = call.world.table.columns[column].maps[0].vma if pages > old else None
    if vma is not None and old < known:
        event = SetVma(0, call.world.facts, vma)
        call.send(shared.base + old, shared.base + known, event)


def move_vma(call: Call, shared: SharedRegion, area: VmArea, step: MremapStep, pages: int) -> None:
    """move_vma(): a copy of the VMA, the page tables, and the old range unmapped, or left empty."""
    world, process = call.world, call.process
    base, old = world.place(process, pages, step.to), shared.region.pages
    kept, armed = shared.region.copy(), area.vma.uffd_armed
    vma = area.vma.unregistered()
    stays = area.anon_vma is None and shared.of is None
    shift = 0 if stays else area.moved + base - shared.base
    new = area._replace(start=base, end=base + pages, vma=vma, moved=shift)
    if call.space.around(new):
        raise NotModelled("mremap to where another mapping begins or ends is not modelled")
    folios, kept_tables = folios_of(world), move_page_tables(call, base, armed)
    if shared.of is not None:
        moved = move_object(call, shared, area, step, base)
    elif step.keeps:
        moved = process.regions[step.name or ""] = SharedRegion(
            step.name or "", base, shared.region, [process.name]
        )
        shared.region = kept
        leave_empty(call, shared, area, moved, kept_tables)
    else:
        call.space.unmap(call.start, call.end)
        process.registered.pop(step.region, None)
        moved = process.regions[step.region] = replace(shared, base=base)  # of others it stays
    if folios is not None:
        folios.check_room(process, moved)
        folios.rebase(moved, shared.base)
    moved = resize(call, moved, pages, vma)
    call.map(new)
    if vma.locked and pages > old:
        mm_populate(call._replace(start=base + old, end=base + pages))


def move_object(
    call: Call, shared: SharedRegion, area: VmArea, step: MremapStep, base: int
) -> SharedRegion:
    """The same of a region of an object, which others may map as well."""
    process = call.process
    if step.keeps:
        moved = split_off(call.world, process, shared, step.name or "", emptied(area).vma)
        call.space.put(area, emptied(area)._replace(moved=area.moved))
    else:
        call.space.unmap(call.start, call.end)
        process.registered.pop(step.region, None)
        moved = resized(call.world, process, shared, shared.region.pages)
    moved.base = base
    return moved


def emptied(area: VmArea) -> VmArea:
    """A VMA that MREMAP_DONTUNMAP leaves behind: unlocked, with nothing in it."""
    vma, flags = area.vma._replace(locked=False), Lock.NONE.flags_of(area.flags)
    return area._replace(vma=vma, flags=flags, anon_vma=None, cloned=False, moved=0)


def leave_empty(
    call: Call, shared: SharedRegion, area: VmArea, moved: SharedRegion, kept: list[range]
) -> None:
    """MREMAP_DONTUNMAP: the old VMA, with nothing in it but the page tables `kept`."""
    empty = emptied(area)
    column = call.world.table.intern(Column((Mapping(empty.vma),)))
    shared.region.resize(0, column)
    shared.region.resize(call.end - call.start, column)
    folios = folios_of(call.world)
    if folios is not None:
        folios.leave_empty(moved, shared, column, kept)
    call.space.put(area, empty)


def realigns(call: Call, base: int, size: int) -> bool:
    """try_realign_addr(): whether both begin in page tables that have nothing else before."""
    offset = call.start % size
    if offset == 0 or base % size != offset or not call.world.follows(Rule.REALIGNS_MOVES):
        return False
    return not any(call.space.within(start - offset, start) for start in (call.start, base))


class Extent(NamedTuple):
    """Neighbouring page tables, or the part of one, that move in the same way: `whole` both places
    begin with one and end with one, `upper` with one that maps a page of page tables."""

    start: int
    end: int
    whole: bool
    upper: bool


def extents(call: Call, base: int) -> Iterator[Extent]:
    """get_extent(), of those that are alike the largest possible."""
    size = call.world.machine.page_size // ENTRY_BYTES
    at = call.start - call.start % size if realigns(call, base, size) else call.start
    if (base - call.start) % size:
        yield Extent(call.start, call.end, whole=False, upper=False)
        return
    first, last = -(-at // size) * size, call.end // size * size
    if last <= first:
        yield Extent(call.start, call.end, whole=False, upper=False)
        return
    upper = size * size
    alike = (base - call.start) % upper == 0
    low, high = -(-first // upper) * upper, last // upper * upper
    if not alike or high <= low:
        low = high = last
    yield from (
        Extent(max(start, call.start), end, whole, high == end > low)
        for start, end, whole in (
            (at, first, False),
            (first, low, True),
            (low, high, True),
            (high, last, True),
            (last, call.end, False),
        )
        if start < end
    )


def move_page_tables(call: Call, base: int, armed: bool) -> list[range]:
    """Entry by entry; whole page tables where both places begin with one, which leaves soft-dirty
    bits as they are, unless a userfaultfd has to be looked at (uffd_supports_page_table_move()).
    Where the page tables stay."""
    clears = armed and call.world.follows(Rule.CLEARS_MOVED_WP)
    stay = []
    for start, end, whole, upper in extents(call, base):
        marks = armed or not whole
        event = Move(
            process=0,
            facts=call.world.facts,
            marks=marks,
            splits=not whole,
            upper=upper and not armed,
            unregisters=armed,
            clears=clears,
        )
        call.send(start, end, event)
        stay += [range(start, end)] if marks else []
    return stay
