"""New mappings, and what is in their place before (mm/mmap.c)."""

from __future__ import annotations

from typing import Final

from swaptrace.errors import NotModelled
from swaptrace.mm.column import Vma
from swaptrace.mm.event import SetVma, Unmap
from swaptrace.replay.call import Call, Errno, begin, is_aligned
from swaptrace.replay.filemap import check_modelled, evict_last
from swaptrace.replay.hugetlb import has_huge_pages, reserve
from swaptrace.replay.locking import can_do_mlock, mlock_future_ok, mm_populate
from swaptrace.replay.merging import check_alone, new_flags
from swaptrace.replay.objects import add_object_region, send_outside
from swaptrace.replay.processes import Lock, Process, SharedRegion
from swaptrace.replay.runs.visit import send
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.space import VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.schema import MmapStep, Prot
from swaptrace.scenario.thp import large_folios
from swaptrace.vmflags import NO_FLAGS, VmFlag, together


def with_prot(vma: Vma, prot: Prot) -> Vma:
    """A VMA of another protection."""
    return Vma("r" in prot, "w" in prot, *vma[2:])


def executable(prot: Prot) -> VmFlag:
    """VM_EXEC, which no fault here depends on."""
    return VmFlag.EXEC if "x" in prot else NO_FLAGS


def grown(world: World, step: MmapStep) -> VmFlag:
    """VM_GROWSDOWN of a mapping that has it, which the world knows from then on."""
    if "MAP_GROWSDOWN" not in step.flags:
        return NO_FLAGS
    world.grows = True
    return VmFlag.GROWSDOWN


NORESERVE: Final = {False: NO_FLAGS, True: VmFlag.NORESERVE}


def mmap(world: World, tally: Tally, process: Process, step: MmapStep) -> Errno:
    """do_mmap(): a mapping, in the place of what is there (MAP_FIXED)."""
    if not step.size or not is_aligned(world, step.offset | (step.at or 0) | step.file_offset):
        return "EINVAL"
    lock = process.future
    if "MAP_LOCKED" in step.flags:
        lock = lock if lock.locks else Lock.NOW
        if not can_do_mlock(world):
            return "EPERM"
    pages = world.pages(step.size)
    if lock.locks and not mlock_future_ok(world, process, pages):
        return "EAGAIN"
    if "MAP_GROWSDOWN" in step.flags and (step.shared or step.file is not None):
        return "EINVAL"
    huge, noreserve = step.huge, "MAP_NORESERVE" in step.flags
    flags = together(executable(step.prot), NORESERVE[noreserve], grown(world, step))
    flags = lock.flags_of(flags)
    vma = Vma("r" in step.prot, "w" in step.prot, lock.locks)
    if step.shared or step.file is not None or huge:
        check_modelled(world, step)
        shmem = step.shared or step.file is not None
        vma = vma._replace(shmem=shmem, shared=step.shared, hugetlb=huge)
    if huge and (lock.locks or (noreserve and not world.machine.hugepages)):
        raise NotModelled("huge pages that are locked, or of an empty pool, are not modelled")
    if huge and not reserve(world, step):
        return "ENOMEM"
    if huge and not noreserve:
        flags |= VmFlag.RESERVED
    account = vma.writable and not (noreserve or step.shared or huge)
    call = placed(world, tally, process, step, vma)
    area = VmArea(call.start, call.end, vma, account, flags=flags)
    if vma.shmem or vma.hugetlb:
        area = with_file(area, process.regions[step.region])
    if process.merges:
        area = area._replace(flags=together(flags, new_flags(process, area)))
    merged = call.map(area)
    check_alone(process, area, merged)
    alone = process.regions[step.region].holds(merged)
    if vma.shmem:
        check_alone_in_file(process.regions[step.region], merged)
    if not alone and (large_folios(world.machine.thp) or world.batch is not None):
        why = "with large folios (machine.thp), or where the batch is kept (machine.lru_batch)"
        raise NotModelled(f"regions that touch are not modelled {why}")
    if lock.locks or "MAP_POPULATE" in step.flags:
        mm_populate(call)  # whose errors are ignored
    return None


def with_file(area: VmArea, shared: SharedRegion) -> VmArea:
    """The VMA with its vm_file and vm_pgoff, if it is of an object."""
    if shared.of is not None and area.vma.shmem:
        return area._replace(inode=shared.of.inode, moved=shared.base - shared.first)
    return area._replace(inode=area.start if area.vma.hugetlb else None)


def check_alone_in_file(shared: SharedRegion, merged: VmArea) -> None:
    """Raise `NotModelled` where a VMA of a file goes on in another region."""
    if not shared.holds(merged):
        raise NotModelled(
            f"region {shared.name} goes on in the file as the one that it touches does, which is "
            "not modelled; leave a page between them"
        )


def placed(world: World, tally: Tally, process: Process, step: MmapStep, vma: Vma) -> Call:
    """The range of the new mapping, whose pages are of its VMA."""
    if step.region in process.regions and "MAP_FIXED" in step.flags:
        if has_huge_pages(process, process.regions[step.region]):
            raise NotModelled("a mapping over a part of huge pages is not modelled")
        call = begin(world, tally, process, step.region, step.span)
        unmap(call)
        call.send(call.start, call.end, SetVma(0, world.facts, vma))
        return call
    if step.region in process.regions:  # unmapped before, and now the name is used again
        process.registered.pop(step.region, None)
        leave(world, tally, process, process.regions[step.region])
        del process.regions[step.region]
    pages = world.pages(step.size)
    base = world.place(process, pages, step.at)
    if vma.shmem and not vma.hugetlb:
        add_object_region(world, process, step, base, vma)
    else:
        world.add_region(process, step.region, pages, base, vma)
    return Call(world, tally, process, base, base + pages)


def unmap(call: Call) -> None:
    """do_vmi_munmap(): a hole."""
    batch = call.world.batch
    if batch is not None:
        batch.zap()
    drains = False
    for shared, _, _ in list(call.pieces(call.start, call.end)):
        drains |= evict_last(call.world, call.tally, call.process, shared, call.start, call.end)
    call.send(call.start, call.end, Unmap(0, call.world.facts, gone=False))
    if batch is not None:
        (batch.drain if drains else batch.zap)()
    call.space.unmap(call.start, call.end)


def leave(world: World, tally: Tally, process: Process, shared: SharedRegion) -> bool:
    """The process is no longer one of those that share the region; whether the per-CPU batches are
    drained once it has left all."""
    drains = evict_last(world, tally, process, shared, shared.base, shared.end)
    event = Unmap(shared.member(process.name), world.facts, gone=True)
    send(world, tally, shared, Walk(0, shared.region.pages), event)
    send_outside(world, shared, event)
    shared.part(process.name)
    process.space.unmap(shared.base, shared.end)
    return drains
