"""Memory of huge pages (hugetlbfs): which accesses fault, and how many huge pages there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from swaptrace.errors import NotModelled
from swaptrace.mm.column import Column, Pte, Vma
from swaptrace.mm.event import Access, HugetlbFault
from swaptrace.replay.pagemap import column_runs, pages_of
from swaptrace.replay.processes import Process, SharedRegion
from swaptrace.replay.runs.visit import send
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.space import AddressSpace, VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario.schema import HUGE_PAGE, MadviseStep, MmapStep, Step
from swaptrace.vmflags import VmFlag

PAGES: Final = HUGE_PAGE >> 12
"""How many pages a huge page is; they have 4 KiB."""

KNOWN: Final = frozenset(
    {
        *("mmap", "munmap", "read", "write", "read_write", "memset", "fork", "exit", "check"),
        *("uffd_register", "uffd_writeprotect", "uffd_unregister", "pagemap_scan"),
    }
)
"""The operations that are modelled of huge pages."""

ONLY: Final = "asynchronous write-protection (WP_ASYNC), without EVENT_FORK"


def check_step(world: World, step: Step) -> None:
    """Raise `NotModelled` for what is not modelled where the per-CPU batch is kept, or of huge
    pages."""
    if world.batch is not None:
        world.batch.check(step)
    if step.op in KNOWN or not world.machine.hugepages:
        return
    region = getattr(step, "region", None)
    name = step.target if isinstance(step, MadviseStep) and step.target else step.process
    processes = world.processes.values() if step.op == "ksm_scan" else [world.processes[name]]
    for process in processes:
        regions = process.shared_regions() if region is None else [process.regions[region]]
        if any(has_huge_pages(process, shared) for shared in regions):
            call = str(step.given) if isinstance(step, MadviseStep) else step.op
            raise NotModelled(f"{call} of huge pages (MAP_HUGETLB) is not modelled")


def has_huge_pages(process: Process, shared: SharedRegion) -> bool:
    """Whether the process maps any in a region."""
    return any(a.vma.hugetlb for a in process.space.within(shared.base, shared.end))


def check_userfault(areas: list[VmArea], wanted: Vma) -> None:
    """Raise `NotModelled` for a registration that is not modelled of huge pages."""
    known = wanted.wp_async and not (wanted.uffd.missing or wanted.uffd.event_fork)
    if any(area.vma.hugetlb for area in areas) and not known:
        raise NotModelled(f"of userfaultfd, huge pages are modelled only with {ONLY}")


def splits(space: AddressSpace, start: int, end: int) -> bool:
    """Whether a range begins or ends within a huge page (hugetlb_vm_op_split())."""
    return any(
        area.vma.hugetlb and area.start < edge < area.end and edge % PAGES
        for area in space.within(start, end)
        for edge in (start, end)
    )


def access_huge(
    world: World,
    tally: Tally,
    process: Process,
    shared: SharedRegion,
    walk: Walk,
    event: Access,
) -> bool:
    """Accesses within one VMA: before pages of a huge page are touched, it is faulted in. False if
    a SIGSEGV ended the step."""
    first = shared.base + walk.bounds[0]
    area = next(iter(process.space.within(first, first + 1)), None)
    if area is None:
        send(world, tally, shared, walk.ordered().part(0, 1), event)
        return False
    for whole, part in by_huge_page(walk):
        wanted = [False] * event.read + [True] * (event.store is not None)
        for write in wanted:
            if area.vma.allows(write):
                fault_in(world, tally, process, shared, whole, write)
        allowed = all(area.vma.allows(write) for write in wanted)
        send(world, tally, shared, part if allowed else part.part(0, 1), event)
        if not allowed:
            return False
    return True


def by_huge_page(walk: Walk) -> Iterator[tuple[Walk, Walk]]:
    """The walk cut where it enters another huge page, and that one whole."""
    ordered = walk.ordered()
    from swaptrace.replay.runs.arrays import stretches

    for number, start, end in stretches(ordered.pages() // PAGES):
        yield Walk(number * PAGES, PAGES), ordered.part(start, end - start)


def fault_in(
    world: World, tally: Tally, process: Process, shared: SharedRegion, whole: Walk, write: bool
) -> None:
    """hugetlb_fault() of one huge page, if its entry does not permit the access.

    Raises `NotModelled` where no huge page is free for it.
    """
    member = shared.member(process.name)
    _, column = next(pages_of(world, shared, Walk(whole.first, 1)))
    pte = column.maps[member].pte
    if isinstance(pte, Pte) and (pte.write or not write):
        return
    area = next(iter(process.space.within(shared.base + whole.first, shared.base + whole.end)))
    reserved = VmFlag.RESERVED in area.flags and not isinstance(pte, Pte)
    if allocates(column, member, write) and not reserved and available(world) < 1:
        raise NotModelled(
            "no huge page is free here that is not reserved; a SIGBUS, or that a child loses its "
            "page, is not modelled"
        )
    event = HugetlbFault(member, world.facts, write, head=True)
    send(world, tally, shared, Walk(whole.first, 1), event)
    send(world, tally, shared, Walk(whole.first + 1, PAGES - 1), event._replace(head=False))
    if not area.vma.shared and area.anon_vma is None:
        process.space.put(area, area._replace(anon_vma=world.new_anon_vma()))


def allocates(column: Column, member: int, write: bool) -> bool:
    """Whether the fault needs a huge page from the pool (alloc_hugetlb_folio())."""
    mapping = column.maps[member]
    if mapping.vma is not None and mapping.vma.shared:
        return column.shmem is not None and column.shmem.folio is None
    pte = mapping.pte
    return not isinstance(pte, Pte) or (write and column.mapcount(pte.folio) > 1)


def reserve(world: World, step: MmapStep) -> bool:
    """hugetlb_reserve_pages(): whether the mapping has huge pages for all its range, or wants no
    reservation."""
    return "MAP_NORESERVE" in step.flags or available(world) * HUGE_PAGE >= step.size


def available(world: World) -> int:
    """How many huge pages are neither in use nor reserved (free_huge_pages, resv_huge_pages)."""
    taken = sum(taken_by(world, shared) for shared in world.shared_regions())
    return world.machine.hugepages - taken // PAGES


def taken_by(world: World, shared: SharedRegion) -> int:
    """How many pages the huge pages of a region have, those that are reserved for it as well."""
    if shared.of is not None:
        return 0
    areas = [
        (member, area)
        for member, name in enumerate(shared.members)
        for area in world.processes[name].space.within(shared.base, shared.end)
        if area.vma.hugetlb
    ]
    owners = [(member, area) for member, area in areas if VmFlag.RESERVED in area.flags]
    taken, at = 0, shared.base
    for pages, column in column_runs(world, shared) if areas else ():
        taken += pages * len(column.folios)
        if column.shmem is not None:
            taken += pages * bool(owners and column.shmem.folio is None)
        for member, area in owners if column.shmem is None else ():
            if not isinstance(column.maps[member].pte, Pte):
                taken += max(0, min(at + pages, area.end) - max(at, area.start))
        at += pages
    return taken
