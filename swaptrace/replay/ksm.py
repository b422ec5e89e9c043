"""Same-page merging across regions and processes (mm/ksm.c)."""

from __future__ import annotations

from collections import Counter
from typing import Final

from swaptrace.errors import NotModelled
from swaptrace.features import Feature, has_model
from swaptrace.kernels import Rule
from swaptrace.mm.column import filled_with
from swaptrace.mm.event import Event, Merge, Unmerge
from swaptrace.replay.folios.memory import Folios
from swaptrace.replay.ksmitems import Item, Mapped, scanned
from swaptrace.replay.redblack import Tree
from swaptrace.replay.runs.visit import send
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.sharing import all_columns
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import World
from swaptrace.vmflags import VmFlag

MAX_PAGE_SHARING: Final = 256
"""/sys/kernel/mm/ksm/max_page_sharing: of more pages not all would share one."""

MAX_ITEMS: Final = 1 << 16
"""How many pages a scan looks at."""


def ksm_scan(world: World, tally: Tally, zero_pages: bool) -> None:
    """ksm_do_scan(): full scans until one changes nothing."""
    check_world(world)
    if world.batch is not None:
        check_unlocked(world)
        world.batch.drain()  # lru_add_drain_all()
    scan = KsmScan(world, tally, zero_pages)
    items = listed(world)
    scan.check(items)
    while scan.full(items):
        items = listed(world)


def check_world(world: World) -> None:
    """Raise where pages cannot be merged."""
    if world.machine.memory is not None:
        raise NotModelled("ksm_scan is not modelled under a memory limit (machine.memory)")
    if world.arena is not None and world.batch is not None:
        raise NotModelled(
            "ksm_scan is not modelled with large folios (machine.thp) where the batch is kept "
            "(machine.lru_batch)"
        )
    if world.arena is not None and not isinstance(world.arena, Folios):
        raise NotModelled(
            "ksm_scan is modelled only where swap is twice as large as the memory that is touched"
        )
    if world.table.policy.functions:
        raise NotModelled("ksm_scan is not modelled where functions of a whole tree run")


def check_unlocked(world: World) -> None:
    """ksmd fills the batch of mlock of its own CPU, which may be that of the processes or not."""
    spaces = (world.processes[name].space for name in world.mergeable)
    if any(a.vma.locked and VmFlag.MERGEABLE in a.flags for space in spaces for a in space.areas):
        raise NotModelled(
            "ksm_scan of locked memory is not modelled where the batch is kept "
            "(machine.lru_batch); lock it after the scan"
        )


def listed(world: World) -> list[Item]:
    """What a full scan comes to; a page that it takes away before is none."""
    items: list[Item] = []
    for item in scanned(world):
        items.append(item)
        if len(items) > MAX_ITEMS:
            raise NotModelled(f"ksm_scan of more than {MAX_ITEMS} pages is not modelled")
    return items


class KsmScan:
    """Scans one after the other, each of all processes and pages in order.

    A page that has changed since the last scan is only noted. Any other goes where an equal one is
    in the stable tree, or else becomes what it and an equal one of the unstable tree share.
    `stable` are the data of the former, `cached` those of KSM pages in the swap cache. With
    `zero_pages` (use_zero_pages) the zero page takes the place of pages of zeroes before that.
    """

    def __init__(self, world: World, tally: Tally, zero_pages: bool) -> None:
        self.world, self.tally, self.zero_pages = world, tally, zero_pages
        self.stable: set[int] = set()
        self.cached: set[int | None] = set()
        for _, column in all_columns(world):
            for folio in column.folios:
                content = filled_with(folio.data)
                if folio.ksm and folio.slot is not None:
                    self.cached.add(content)
                elif folio.ksm and content is not None:
                    self.stable.add(content)
        self.unstable = Tree[Item]()
        self.changed = False

    def check(self, items: list[Item]) -> None:
        """Raise where pages would not be merged as they are here."""
        equal: Counter[int] = Counter()
        for item in items:
            mapped = item.mapped(self.world)
            assert mapped is not None
            content = item.content(mapped.folio)
            if not mapped.folio.ksm and content in self.cached:
                raise NotModelled(
                    "ksm_scan of a page that equals a KSM page in the swap cache is not modelled"
                )
            if not self.gives_up(mapped, content):
                equal[content] += 1
            if equal[content] > MAX_PAGE_SHARING:
                raise NotModelled(
                    f"ksm_scan of more than {MAX_PAGE_SHARING} equal pages (max_page_sharing) is "
                    "not modelled"
                )
        if self.zero_pages and (
            0 in self.stable or not has_model(self.world.machine.kernel, Feature.ZERO_PAGES)
        ):
            raise NotModelled(
                f"{Feature.ZERO_PAGES.condition}, and where no pages of zeroes were merged without "
                "it"
            )

    def gives_up(self, mapped: Mapped, content: int) -> bool:
        """Whether a split leaves nothing to be merged."""
        kept = mapped.locked or mapped.folio.mlocked
        return self.world.facts.drops_zeroes and mapped.pages > 1 and content == 0 and not kept

    def full(self, items: list[Item]) -> bool:
        """A full scan; whether it has changed anything."""
        self.unstable, self.changed = Tree[Item](), False
        for name in self.world.mergeable:
            process = self.world.processes[name]
            found = {item.address for item in items if item.process == name}
            process.checksums = {at: c for at, c in process.checksums.items() if at in found}
        for item in items:
            mapped = item.mapped(self.world)
            if mapped is not None:
                self.cmp_and_merge_page(item, mapped)
        return self.changed

    def cmp_and_merge_page(self, item: Item, mapped: Mapped) -> None:
        """Merge one page, if there is an equal one."""
        checksums = self.world.processes[item.process].checksums
        if mapped.folio.ksm:
            self.forget_checksum(item)
            return
        content = item.content(mapped.folio)
        first = self.world.follows(Rule.KSM_CHECKSUM_FIRST)
        if checksums.get(item.address) != content and (first or content not in self.stable):
            checksums[item.address] = content
            self.changed = True
        elif self.zero_pages and content == 0 and self.merge(item, kept=False, zero=True):
            pass
        elif content in self.stable:
            self.merge(item, kept=False)
        else:
            self.search_unstable(item, mapped, content)

    def search_unstable(self, item: Item, mapped: Mapped, content: int) -> None:
        """unstable_tree_search_insert(), and what comes of it. A search ends at a page that has
        become the zero page meanwhile, wherever it would have led."""
        path = self.unstable.path(content)
        if any(node.value.mapped(self.world) is None for node in path):
            return
        if not path or path[-1].key != content:
            self.unstable.insert(content, item)
            return
        other = path[-1].value.mapped(self.world)
        assert other is not None
        if other.page != mapped.page:
            self.try_to_merge_two_pages(item, mapped, path[-1].value, other)

    def try_to_merge_two_pages(
        self, item: Item, mapped: Mapped, other: Item, other_mapped: Mapped
    ) -> None:
        """Two pages of one folio have one reference too many for it to be split: that comes once
        the merge has failed. If only the first one can become a KSM folio, it is undone."""
        if mapped.place == other_mapped.place:
            assert isinstance(self.world.arena, Folios)
            self.world.arena.split_page(self.tally, item.shared, item.page, item.member)
            self.changed = True
        elif not self.merge(item, kept=True):
            return
        elif not self.merge(other, kept=False):
            self.break_cow(item)
        else:
            content = item.content(mapped.folio)
            self.unstable.remove(content)
            self.stable.add(content)

    def break_cow(self, item: Item) -> None:
        """The process gets a page of its own again."""
        self.send(item, Unmerge(item.member, self.world.facts, unshare=True, by_ksmd=True))
        if item.is_ksm_elsewhere(self.world):
            raise NotModelled(
                "ksm_scan of pages of zeroes that another process has as well is not modelled "
                "where an equal one is in a large folio (machine.thp)"
            )

    def merge(self, item: Item, kept: bool, zero: bool = False) -> bool:
        """try_to_merge_one_page(): one page becomes the folio that is shared, or is replaced by it;
        whether it was there after its folio was split."""
        before = item.mapped(self.world)
        if kept and before is not None and before.folio.slot is not None:
            raise NotModelled(
                "ksm_scan of pages in the swap cache is not modelled: after they were read from "
                "swap, write them before"
            )
        self.send(item, Merge(item.member, self.world.facts, kept, zero))
        self.changed = True
        after = item.mapped(self.world)
        if zero:
            return item.is_ksm_zero(self.world)
        if after is None:
            return False
        self.world.shares = True
        self.forget_checksum(item)
        return True

    def forget_checksum(self, item: Item) -> None:
        """The item of a KSM page has something else in its place, or keeps it."""
        if self.world.follows(Rule.KSM_FORGETS_CHECKSUM):
            self.world.processes[item.process].checksums.pop(item.address, None)

    def send(self, item: Item, event: Event) -> None:
        """Let something happen to a page."""
        send(self.world, self.tally, item.shared, Walk(item.page, 1), event)
