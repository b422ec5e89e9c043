"""Same-page merging across regions and processes (mm/ksm.c).

A KSM folio is found by its data: each column has its own, which says whether pages elsewhere map
it, too. That is brought up to date after each step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from swaptrace.errors import NotModelled
from swaptrace.features import Feature, has_model
from swaptrace.mm.canonical import canonical
from swaptrace.mm.column import (
    Column,
    Folio,
    Pte,
    filled_with,
)
from swaptrace.mm.event import Merge
from swaptrace.replay.processes import SharedRegion
from swaptrace.replay.runs.visit import send
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.vmflags import VmFlag

MAX_PAGE_SHARING: Final = 256
"""/sys/kernel/mm/ksm/max_page_sharing: of more pages not all would share one."""


class Item(NamedTuple):
    """A page of a process that ksmd looks at (ksm_rmap_item)."""

    shared: SharedRegion
    page: int
    member: int

    def column(self, world: World) -> Column:
        """Its column as it is now."""
        return world.table.columns[self.shared.region.column_at(self.page)]

    def folio(self, world: World) -> tuple[int, Folio]:
        """What the process maps, and its number."""
        column = self.column(world)
        pte = column.maps[self.member].pte
        assert isinstance(pte, Pte)
        return pte.folio, column.folios[pte.folio]

    def content(self, world: World) -> int:
        """The byte that the page is filled with."""
        found = filled_with(self.folio(world)[1].data)
        if found is None:
            raise NotModelled(
                f"ksm_scan: not all bytes of page {self.page} of {self.shared.name} are known; "
                "write pages that may be merged by memset, whole"
            )
        return found

    def is_same(self, other: Item, world: World) -> bool:
        """Whether both map the same folio, as after a fork."""
        return self.place == other.place and self.folio(world)[0] == other.folio(world)[0]

    @property
    def place(self) -> tuple[int, int]:
        """The same for all mappings of one column."""
        of = self.shared if self.shared.of is None else self.shared.of
        return id(of), self.shared.first + self.page


def ksm_scan(world: World, tally: Tally, zero_pages: bool) -> None:
    """ksm_do_scan(): full scans until one merges nothing, each of all processes and pages in order.

    In the first one ksmd only takes checksums, unless an equal page has been merged before. Later
    a page goes where an equal one is in the stable tree, or else becomes what it and an equal one
    of the unstable tree share. With `zero_pages` (use_zero_pages) the zero page takes the place of
    pages of zeroes before that (try_to_merge_with_zero_page()).
    """
    if world.arena is not None:
        raise NotModelled(
            "ksm_scan is modelled only without a memory limit and large folios, and where swap is "
            "twice as large as the memory that is touched"
        )
    if world.table.policy.functions:
        raise NotModelled("ksm_scan is not modelled where functions of a whole tree run")
    if world.batch is not None:
        check_unlocked(world)
        world.batch.drain()  # lru_add_drain_all()
    items = list(scanned(world))
    stable = stable_tree(world, items)
    if zero_pages:
        items = list(merge_zeroes(world, tally, items, 0 in stable))
    merged = True
    while merged:
        merged = False
        unstable: dict[int, Item] = {}
        for item in items:
            if item.folio(world)[1].ksm:
                continue
            content = item.content(world)
            equal = unstable.setdefault(content, item)
            if content in stable:
                merge(world, tally, item, kept=False)
            elif equal.is_same(item, world):
                continue
            else:
                merge(world, tally, item, kept=True)
                merge(world, tally, equal, kept=False)
                stable.add(content)
            merged = world.shares = True


def check_unlocked(world: World) -> None:
    """ksmd fills the batch of mlock of its own CPU, which may be that of the processes or not."""
    spaces = (world.processes[name].space for name in world.mergeable)
    if any(a.vma.locked and VmFlag.MERGEABLE in a.flags for space in spaces for a in space.areas):
        raise NotModelled(
            "ksm_scan of locked memory is not modelled where the batch is kept "
            "(machine.lru_batch); lock it after the scan"
        )


def merge_zeroes(world: World, tally: Tally, items: list[Item], is_stable: bool) -> Iterator[Item]:
    """Pages of zeroes become the zero page; the other ones."""
    if is_stable or not has_model(world.machine.kernel, Feature.ZERO_PAGES):
        raise NotModelled(
            f"{Feature.ZERO_PAGES.condition}, and where no pages of zeroes were merged without it"
        )
    for item in items:
        if item.content(world):
            yield item
        else:
            event = Merge(item.member, world.facts, kept=False, zero=True)
            send(world, tally, item.shared, Walk(item.page, 1), event)


def scanned(world: World) -> Iterator[Item]:
    """What is present in VMAs with VM_MERGEABLE, processes in the order of ksm_enter()."""
    for name in world.mergeable:
        process = world.processes[name]
        for area in process.space.areas:
            if VmFlag.MERGEABLE not in area.flags:
                continue
            for shared in process.shared_regions():
                start, end = max(area.start, shared.base), min(area.end, shared.end)
                if start < end:
                    walk = Walk(start - shared.base, end - start)
                    yield from in_region(world, shared, walk, shared.member(name))


def in_region(world: World, shared: SharedRegion, walk: Walk, member: int) -> Iterator[Item]:
    """Those of one region: no zero page, nothing in swap or of the page cache."""
    for at, count, number in shared.region.segments(walk):
        column = world.table.columns[number]
        pte, shmem = column.maps[member].pte, column.shmem
        cached = None if shmem is None else shmem.folio
        if isinstance(pte, Pte) and not pte.is_zero_page and pte.folio != cached:
            if column.maps[member].protnone:
                raise NotModelled(
                    "ksm_scan of pages that only PROT_WRITE permits, write-protected by "
                    "userfaultfd, is not modelled before Linux 6.3"
                )
            if any(pin.folio == pte.folio for pin in column.pins):
                raise NotModelled("ksm_scan of pages that are pinned is not modelled")
            check_sharing(count)
            yield from (Item(shared, walk.first + at + each, member) for each in range(count))


def check_sharing(pages: int) -> None:
    """Equal pages in a row are enough to say that there are too many."""
    if pages > MAX_PAGE_SHARING:
        raise NotModelled(
            f"ksm_scan of more than {MAX_PAGE_SHARING} equal pages (max_page_sharing) is not "
            "modelled"
        )


def stable_tree(world: World, items: list[Item]) -> set[int]:
    """The data of all KSM folios that there are."""
    equal = Counter(item.content(world) for item in items)
    check_sharing(max(equal.values(), default=0))
    contents: set[int | None] = set()
    cached: set[int | None] = set()
    for _, column, _ in columns(world):
        for folio in column.folios:
            if folio.ksm:
                (contents if folio.slot is None else cached).add(filled_with(folio.data))
    if any(not f.ksm and filled_with(f.data) in cached for f in (i.folio(world)[1] for i in items)):
        raise NotModelled(
            "ksm_scan of a page that equals a KSM page in the swap cache is not modelled"
        )
    return {content for content in contents if content is not None}


def merge(world: World, tally: Tally, item: Item, kept: bool) -> None:
    """One page becomes the folio that is shared, or is replaced by it."""
    if kept and item.folio(world)[1].slot is not None:
        raise NotModelled(
            "ksm_scan of pages in the swap cache is not modelled: after they were read from "
            "swap, write them before"
        )
    event = Merge(item.member, world.facts, kept)
    send(world, tally, item.shared, Walk(item.page, 1), event)


def columns(world: World) -> Iterator[tuple[SharedRegion, Column, int]]:
    """Each column that pages have, and how many."""
    for shared in world.shared_regions():
        for _, pages, number in shared.region.runs():
            yield shared, world.table.columns[number], pages


def recount(world: World) -> None:
    """Which KSM folios are mapped elsewhere, after a step."""
    total: Counter[int | None] = Counter()
    for _, column, pages in columns(world):
        for number, folio in enumerate(column.folios):
            if folio.ksm:
                total[filled_with(folio.data)] += pages * mapped_here(column, number)
    for shared in world.shared_regions():
        numbers = shared.region.numbers()
        new = {each: counted(world, world.table.columns[each], total) for each in numbers}
        if any(to != number for number, to in new.items()):
            shared.region.replace(Walk(0, shared.region.pages), new)


def mapped_here(column: Column, folio: int) -> int:
    """How many PTEs of the column map the folio."""
    return column.mapcount(folio) - column.folios[folio].elsewhere


def counted(world: World, column: Column, total: Counter[int | None]) -> int:
    """The column with what is known of its KSM folios."""
    folios = [
        folio._replace(
            elsewhere=total[filled_with(folio.data)] > mapped_here(column, number)
            and folio.slot is None
        )
        if folio.ksm
        else folio
        for number, folio in enumerate(column.folios)
    ]
    return world.table.intern(canonical(column.maps, folios, *column[2:]))
