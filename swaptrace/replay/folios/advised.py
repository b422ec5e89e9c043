"""Advice under a memory limit where memory comes in large folios (mm/madvise.c)."""

from __future__ import annotations

from swaptrace.mm.block import Block
from swaptrace.mm.blockevent import Isolate
from swaptrace.mm.event import Free, Pageout, SwapIn
from swaptrace.replay.folios.lru import LruFolio
from swaptrace.replay.folios.pagewise import Near
from swaptrace.replay.folios.reclaiming import Reclaiming


class Advised(Reclaiming):
    """MADV_PAGEOUT, MADV_COLD, MADV_FREE and MADV_WILLNEED."""

    def advise(self, near: Near, event: Pageout | Free | SwapIn | Isolate, pages: range) -> None:
        """Let advice happen to pages of a block."""
        match event:
            case Pageout():
                self.pageout(near, Isolate(event.process, event.facts), pages)
            case Isolate():
                for folio in self.isolated(near, event, pages):
                    self.make_old(folio, event.process)
                    self.deactivate(folio)
            case Free():
                self.free(near, event, pages)
            case SwapIn():
                for i in pages:
                    self.happen(near, event, range(i, i + 1))
                    self.follow(near)

    def isolated(self, near: Near, event: Isolate, pages: range) -> list[LruFolio]:
        """madvise_cold_or_pageout_pte_range(): the folios that advice is taken for, unmarked."""
        found = self.happen(near, event, pages).isolated
        self.follow(near)
        folios = [self.known[id(near.block)][f] for f in found]
        for folio in folios:
            folio.referenced = False
            folio.workingset = folio.workingset or folio.active
        return folios

    def pageout(self, near: Near, event: Isolate, pages: range) -> None:
        """reclaim_pages(): the accessed bits do not matter, and nothing is counted as scanned."""
        folios = self.isolated(near, event, pages)
        back: list[LruFolio] = []
        for folio in folios:
            self.lru.remove(folio)
            folio.active = False
        for folio in folios:
            self.evict(folio, back, advised=True)
        for folio in back:
            self.add_lru(folio)

    def free(self, near: Near, event: Free, pages: range) -> None:
        """madvise_free_pte_range(), folio_mark_lazyfree()."""
        self.happen(near, event, pages)
        self.follow(near)
        for folio in self.lazyfree(near.block, pages):
            self.make_old(folio, event.process)
            self.lru.wait("lazyfree", folio)

    def deactivate(self, folio: LruFolio) -> None:
        """folio_deactivate()."""
        if folio.active:
            self.lru.wait("deactivate", folio)

    def lazyfree(self, block: Block, pages: range) -> list[LruFolio]:
        """The folios in a range that were given up, in its order."""
        folios = [f for f in self.known.get(id(block), {}).values() if f.pages.start in pages]
        lazy = [folio for folio in folios if block.folios[folio.number].lazyfree]
        return sorted(lazy, key=lambda folio: folio.pages.start)
