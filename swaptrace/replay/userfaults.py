"""System calls on a userfaultfd (fs/userfaultfd.c, mm/userfaultfd.c), as those of `syscalls`."""

from __future__ import annotations

from collections.abc import Callable

from swaptrace.errors import NotModelled
from swaptrace.features import Feature, has_model
from swaptrace.kernels import Rule
from swaptrace.mm.column import GUARD, Entry, Marker, Vma
from swaptrace.mm.event import Event, UffdCopy, UffdZeropage, Writeprotect
from swaptrace.mm.uffd import PLAIN, Uffd
from swaptrace.replay.access import anon_vma_prepare
from swaptrace.replay.call import Call, Errno, begin, is_aligned, set_vma
from swaptrace.replay.filemap import refuse
from swaptrace.replay.hugetlb import check_userfault, splits
from swaptrace.replay.pagemap import pages_of
from swaptrace.replay.processes import Process
from swaptrace.replay.space import VmArea
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.scenario import uffd
from swaptrace.scenario.base import ByteRange


def uffd_writeprotect(
    world: World, tally: Tally, process: Process, step: uffd.UffdWriteprotectStep
) -> Errno:
    """Register the whole region on first use, then UFFDIO_WRITEPROTECT or UFFDIO_RWPROTECT on the
    range."""
    rwp = step.mode == "rwp"
    if rwp and not world.follows(Rule.UFFD_RWP):
        return "EINVAL"
    call = begin(world, tally, process, step.region, step.span)
    if step.region not in process.registered:
        shared = process.regions[step.region]
        whole = call._replace(start=shared.base, end=shared.end)
        errno = register(whole, Vma(uffd_wp=not rwp, uffd_rwp=rwp))
        if errno:
            return errno
        process.registered[step.region] = PLAIN
    if not validate_range(world, step.span):
        return "EINVAL"
    return mwriteprotect_range(call, step.wp, rwp)


def uffd_register(
    world: World, tally: Tally, process: Process, step: uffd.UffdRegisterStep
) -> Errno:
    """UFFDIO_REGISTER with the userfaultfd that has these features."""
    call = begin(world, tally, process, step.region, step.span)
    wanted = wanted_of(step)
    check_modelled(world, wanted)
    if not step.mode or not validate_range(world, step.span):
        return "EINVAL"
    shared = process.regions[step.region]
    known = [a for a in call.space.within(shared.base, shared.end) if a.vma.uffd_armed]
    if any(area.vma.uffd_rwp for area in known):
        raise NotModelled("what is read-write protected (mode: rwp) cannot be registered anew")
    others = [area for area in known if area.vma.uffd.context != wanted.context]
    if others and not any(a.start < call.end and call.start < a.end for a in others):
        raise NotModelled(
            f"a region has one userfaultfd at a time; {step.region} is registered with other "
            "features, unregister it before"
        )
    errno = register(call, Vma(uffd_wp="wp" in step.mode, uffd=wanted))
    if errno is None:
        process.registered[step.region] = wanted.context
    return errno


def validate_range(world: World, span: ByteRange) -> bool:
    """Whether a range is one of whole pages, and not empty."""
    return bool(span.length) and is_aligned(world, span.offset) and is_aligned(world, span.length)


def wanted_of(step: uffd.UffdRegisterStep) -> Uffd:
    """The userfaultfd of a step: WP_ASYNC implies WP_UNPOPULATED (userfaultfd_api())."""
    wp_async = "UFFD_FEATURE_WP_ASYNC" in step.features
    return Uffd(
        missing="missing" in step.mode,
        unpopulated=wp_async or "UFFD_FEATURE_WP_UNPOPULATED" in step.features,
        wp_async=wp_async,
        event_fork="UFFD_FEATURE_EVENT_FORK" in step.features,
        fill=step.fill,
        hugetlbfs_shmem="UFFD_FEATURE_WP_HUGETLBFS_SHMEM" in step.features,
    )


def check_modelled(world: World, wanted: Uffd) -> None:
    """Raise `NotModelled` where it is not known what becomes of such a VMA."""
    if not has_model(world.machine.kernel, Feature.UFFD_REGISTER):
        raise NotModelled(Feature.UFFD_REGISTER.condition)
    if world.machine.memory is not None:
        raise NotModelled("uffd_register is not modelled under a memory limit")
    policy = world.table.policy
    if policy.functions and wanted._replace(event_fork=False) != PLAIN:
        raise NotModelled(
            f"policy {policy.name} has functions of its own, which are taken to meet no missing "
            "page, no marker and no asynchronous mode of a userfaultfd"
        )


def register(call: Call, wanted: Vma) -> Errno:
    """userfaultfd_register(), which wants a VMA and leaves out the holes between them; for
    read-write protection none that is inaccessible."""
    areas = call.space.within(call.start, call.end)
    check_objects(call.world, areas, wanted)
    if not areas or (wanted.uffd_rwp and not all(area.vma.accessible for area in areas)):
        return "EINVAL"
    if splits(call.space, call.start, call.end):
        return "EINVAL"
    context = wanted.uffd.context
    if any(area.vma.uffd_armed and area.vma.uffd.context != context for area in areas):
        return "EBUSY"
    if call.world.follows(Rule.UFFD_RWP) and any(drops(area.vma, wanted) for area in areas):
        return "EBUSY"

    def changed(vma: Vma) -> Vma:
        modes = vma.uffd_wp >= wanted.uffd_wp and vma.uffd.missing >= wanted.uffd.missing
        if vma.uffd_armed and modes and not wanted.uffd_rwp:
            return vma  # it is in these modes already, and may be in another
        return vma._replace(uffd_wp=wanted.uffd_wp, uffd_rwp=wanted.uffd_rwp, uffd=wanted.uffd)

    each_area(call, changed)
    return None


def drops(vma: Vma, wanted: Vma) -> bool:
    """Whether a mode is left out that the markers of page tables are of."""
    return (vma.uffd_wp and not wanted.uffd_wp) or (vma.uffd_rwp and not wanted.uffd_rwp)


def check_objects(world: World, areas: list[VmArea], wanted: Vma) -> None:
    """Raise `NotModelled` where it is not known what becomes of shared memory or of a file."""
    check_userfault(areas, wanted)
    if wanted.uffd.missing or wanted.uffd_rwp:
        refuse(areas, "userfaultfd for anything but write-protection")
    if not has_model(world.machine.kernel, Feature.UFFD_REGISTER):
        refuse(areas, "userfaultfd, before Linux {}.{},".format(*Feature.UFFD_REGISTER.since))


def each_area(call: Call, changed: Callable[[Vma], Vma]) -> None:
    """Other flags for what is mapped of the range."""
    for start, end, area in list(call.space.clipped(call.start, call.end)):
        now = next(iter(call.space.within(start, start + 1)))  # it may have merged
        if changed(area.vma) != area.vma:
            set_vma(call, now, start, end, changed(area.vma))


def uffd_unregister(
    world: World, tally: Tally, process: Process, step: uffd.UffdUnregisterStep
) -> Errno:
    """userfaultfd_unregister(): what is protected is so no more."""
    if not validate_range(world, step.span):
        return "EINVAL"
    call = begin(world, tally, process, step.region, step.span)
    pieces = list(call.space.clipped(call.start, call.end))
    if not pieces or splits(call.space, call.start, call.end):
        return "EINVAL"
    if any(area.vma.uffd_rwp for *_, area in pieces):
        raise NotModelled("what is read-write protected (mode: rwp) cannot be unregistered")
    for start, end, area in pieces:
        if area.vma.uffd_wp:
            call.send(start, end, Writeprotect(0, world.facts, wp=False))
    each_area(call, Vma.unregistered)
    process.registered.setdefault(step.region, PLAIN)
    return None


def mwriteprotect_range(call: Call, wp: bool, rwp: bool) -> Errno:
    """UFFDIO_WRITEPROTECT, which once took a range within a single VMA only, or mrwprotect_range():
    up to the first VMA that is not registered for it."""
    pieces = list(call.space.clipped(call.start, call.end))
    one_vma = len(pieces) == 1 and pieces[0][:2] == (call.start, call.end)
    spans = rwp or call.world.follows(Rule.UFFD_WP_SPANS_VMAS)
    if not pieces or not (one_vma or spans):
        return "ENOENT"
    for start, end, area in pieces:
        if not (area.vma.uffd_rwp if rwp else area.vma.uffd_wp):
            return "ENOENT"
        if splits(call.space, call.start, call.end):
            return "EINVAL"
        call.send(start, end, Writeprotect(0, call.world.facts, wp, rwp))
    return None


def uffd_copy(world: World, tally: Tally, process: Process, step: uffd.UffdCopyStep) -> Errno:
    """UFFDIO_COPY, which may stand in the place of a marker."""
    if not validate_range(world, step.span):
        return "EINVAL"
    call = begin(world, tally, process, step.region, step.span)
    event = UffdCopy(0, world.facts, step.value, step.wp)
    return mfill_atomic(call, event, may_copy_over)


def may_copy_over(pte: Entry) -> bool:
    """pte_none_mostly()."""
    if pte == GUARD:
        raise NotModelled("UFFDIO_COPY where there is a guard is not modelled")
    return pte is None or isinstance(pte, Marker)


def uffd_zeropage(
    world: World, tally: Tally, process: Process, step: uffd.UffdZeropageStep
) -> Errno:
    """UFFDIO_ZEROPAGE."""
    if not validate_range(world, step.span):
        return "EINVAL"
    call = begin(world, tally, process, step.region, step.span)
    return mfill_atomic(call, UffdZeropage(0, world.facts), lambda pte: pte is None)


def mfill_atomic(call: Call, event: Event, is_free: Callable[[Entry], bool]) -> Errno:
    """Within one VMA, page by page up to the first that there is: EEXIST, or EAGAIN if some pages
    came before it."""
    area = next(iter(call.space.within(call.start, call.start + 1)), None)
    if area is None:
        return "ENOENT"
    refuse([area], "UFFDIO_COPY or UFFDIO_ZEROPAGE")
    anon_vma_prepare(call.world, call.process, area)
    if area.end < call.end or not area.vma.uffd_armed:
        return "ENOENT"
    if isinstance(event, UffdCopy) and event.wp and not area.vma.uffd_wp:
        return "EINVAL"
    end = first_taken(call, is_free)
    if call.start < end:
        call.send(call.start, end, event)
    return None if end == call.end else "EEXIST" if end == call.start else "EAGAIN"


def first_taken(call: Call, is_free: Callable[[Entry], bool]) -> int:
    """The first page of the range that there is; its end if there is none."""
    for shared, walk, member in call.pieces(call.start, call.end):
        at = shared.base + walk.first
        for pages, column in pages_of(call.world, shared, walk):
            if not is_free(column.maps[member].pte):
                return at
            at += pages
    return call.end
