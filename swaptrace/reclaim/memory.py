"""The state of memory as arrays, and what their numbers mean.

Pages are numbered through all regions. Page `p` has `width` places for folios and as many for
swap slots and processes: node `base_of(p) + k` is folio `k` of its column, slot `k`, and the
accessed bit of process `k`, which are different things that share a number. The first nodes are
the heads of the lists, and then come `width` spare ones.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from swaptrace.reclaim.compiled import compiled


class Array(Protocol):
    """A numpy array for compiled code, a memoryview of one for interpreted code (which reads and
    writes single elements several times as fast)."""

    def __getitem__(self, at: int, /) -> int: ...

    def __setitem__(self, at: int, value: int, /) -> None: ...

    def __len__(self) -> int: ...


# Flags of a node.
YOUNG: Final = 1
"""The accessed bit of the PTE of process `k`."""
REFERENCED: Final = 2
ACTIVE: Final = 4
WORKINGSET: Final = 8
FILE: Final = 16
"""Lazily freed (MADV_FREE): the folio counts among the file pages."""
WHERE: Final = 96
BATCHED: Final = 32
"""On no list yet: in the per-CPU batch lru_add, or in that of mlock."""
LISTED: Final = 64
UNEVICTABLE: Final = 96
MLOCKED: Final = 1 << 7
"""PG_mlocked, which some folios in locked VMAs miss: those that were swapped in there."""
FOLIO: Final = REFERENCED | ACTIVE | WORKINGSET | FILE | WHERE | MLOCKED
"""What belongs to the folio of a node, not to the PTE."""

# More flags, of the multi-generational LRU.
VMA_START: Final = 1 << 17
"""The page is the first of its VMA in process `k`."""
PMD_YOUNG: Final = 1 << 8
"""Of the first page under a PMD entry of process `k`: the accessed bit of that entry."""
PMD_LISTED: Final = 1 << 9
"""The same: the Bloom filters (2) know the entry."""
RAN: Final = 1 << 11
"""The same: the process has run since its page tables were walked last, and used this page."""
GEN_SHIFT: Final = 12
GEN: Final = 7 << GEN_SHIFT
"""The generation and 1; 0: on no list."""
REFS_SHIFT: Final = 15
REFS: Final = 3 << REFS_SHIFT
"""LRU_REFS_MASK"""
GENERATION_FLAGS: Final = REFERENCED | WORKINGSET | REFS
"""What says the tier of a folio (LRU_REFS_MASK and LRU_REFS_FLAGS)."""
ACTIVATING: Final = 1 << 18
"""The folio waits in lru_activate, which is then not searched for others (only here is there room
for the flag)."""
OF_FOLIO: Final = FOLIO | GEN | REFS | ACTIVATING
"""FOLIO, of the multi-generational LRU."""
OF_PROCESS: Final = YOUNG | VMA_START | PMD_YOUNG | PMD_LISTED | PMD_LISTED << 1 | RAN
"""What belongs to process `k`."""

# The LRU lists, in the kernel's order.
INACTIVE_ANON: Final = 0
ACTIVE_ANON: Final = 1
INACTIVE_FILE: Final = 2
ACTIVE_FILE: Final = 3
LISTS: Final = 4

# Those of the multi-generational LRU: generation * 2 + type.
ANON: Final = 0
TYPES: Final = 2
MIN_NR_GENS: Final = 2
MAX_NR_GENS: Final = 4
MAX_NR_TIERS: Final = 4
HEADS: Final = 8
"""How many nodes are heads of lists, in use or not."""

# Where the scalars are.
USED: Final = 0
"""Pages charged."""
CAPACITY: Final = 1
SIZE: Final = 2
"""Folios on each list (4)."""
FLUSHED: Final = 6
"""The same as the statistics said at the last flush (4)."""
ACTIVATED: Final = 10
"""WORKINGSET_ACTIVATE_ANON."""
ACTIVATED_FLUSHED: Final = 11
ACTIVATED_SNAPSHOT: Final = 12
"""lruvec->refaults[], as snapshot_refaults() left it."""
ANON_COST: Final = 13
FILE_COST: Final = 14
AGE: Final = 15
"""nonresident_age."""
HELD: Final = 17
"""How many folios are isolated."""
CLOCK: Final = 18
"""Accesses so far."""
STAT_FLUSH: Final = 19
LRU_DRAIN: Final = 20
"""So many accesses lie between two; 0: never."""
SLOTS_USED: Final = 21
SLOTS: Final = 22
EXACT: Final = 23
"""1: an exact LRU instead of the kernel's lists."""
TRACKED: Final = 24
"""0: there is no limit, and nothing is kept of the lists."""
WIDTH: Final = 25
COLUMNS: Final = 26
"""How many columns a row of the tables holds."""
BASE: Final = 27
"""The first page's first node: behind the heads of the lists and the spare nodes."""
ASKED: Final = 28
"""The event and the column (2) whose transition is not in the tables."""
PGSCAN: Final = 30
PGSTEAL: Final = 31
PGACTIVATE: Final = 32
PGDEACTIVATE: Final = 33
REFAULTS: Final = 34
PINNED: Final = 35
"""The page of the fault under way, or -1: its folio is locked."""
SHARED_REGIONS: Final = 36
"""How many regions there are."""
SCAN: Final = 37
"""How many folios of each list are still to be scanned (4)."""
TARGET: Final = 41
"""How many there were to be (4)."""
READAHEAD: Final = 45
"""1: whoever asks the swap cache is handed back, for read-ahead."""
CELLS: Final = 46
"""How many transitions there is room for: of each region in `TAKEN` and `FIRST_PAGE`."""
ALL_MARKED: Final = 47
"""1: every PMD entry has PMD_YOUNG and RAN, and accesses need not set them."""
LOOKED_AT: Final = 48
"""After so many accesses it is looked whether that is so."""
FULL_FROM: Final = 49
"""With so many slots in use swap counts as full."""

# Where the tables begin. Of a transition, at event * COLUMNS + column:
NEW_COLUMN: Final = 110
DOES: Final = 111
"""Bits, below."""
ALLOCATES: Final = 112
"""How many folios."""
SLOTS_DELTA: Final = 113
"""By how many more slots are in use."""
WAY: Final = 114
"""The way in which folios move; 0: they stay."""
# The same, for each region:
TAKEN: Final = 115
"""By how many pages."""
FIRST_PAGE: Final = 116
"""The lowest that showed a violation."""
# Of a way for folios to move, at way * WIDTH:
FOLIO_TO: Final = 117
SLOT_TO: Final = 118
"""The new number; -1: gone, or none."""
STORED: Final = 119
"""The slot that reclaim has left a folio's data in, or -1."""
FRESH: Final = 120
"""Where a new folio is, or DEAD or ABSENT; at way * 2."""
READ_FROM: Final = 121
"""The slot that the first of them was read from, or -1; at way."""
# Of a column, at column * WIDTH:
MAPPED: Final = 122
"""The processes that map a folio, as bits."""
FOLIO_OF: Final = 123
"""The folio that a process maps, or -1."""
# Of a column:
FOLIO_COUNT: Final = 124
LOCKED_FOLIOS: Final = 125
LAZY_FOLIOS: Final = 126
"""Which ones, as bits."""
# Of an event. They come in pairs, the odd one for when the swap device is full:
MEMBER: Final = 127
"""The process."""
TOUCHES: Final = 128
"""1: an access, 2: one by the kernel on its behalf."""
SCARCE: Final = 129
"""1: full means that no slot is free, 0: that more than half are in use."""
# Of a folio's number:
EVICTS: Final = 130
ACTIVATES: Final = 131
# Of a region:
STARTS: Final = 132
"""Its first page."""

PAGES_SHIFT: Final = 133
"""A gibibyte has 1 << this pages (30 - PAGE_SHIFT)."""
MOMENT: Final = 134
"""How many transitions have been met, with those of a fault under way that are still to come."""
# Of a transition, for each region:
ORDER: Final = 135
"""The moment at which it was first taken, while it is."""

# The multi-generational LRU (struct lru_gen_folio).
MGLRU: Final = 198
"""1: it takes the place of the active and inactive lists."""
MAX_SEQ: Final = 199
MIN_SEQ: Final = 200
"""Of each type (2)."""
GEN_PAGES: Final = 202
"""nr_pages: folios by the generation in their flags, at generation * 2 + type (8)."""
FILTERS: Final = 210
"""Whether each Bloom filter is there (2)."""
AVG_REFAULTED: Final = 212
"""At type * 4 + tier (8), as are all of these."""
AVG_TOTAL: Final = 220
TIER_REFAULTED: Final = 228
TIER_EVICTED: Final = 236
TIER_PROTECTED: Final = 244
IN_FAULT: Final = 252
"""lru_gen_in_fault(): new folios are for a fault."""
CURRENT: Final = 253
"""The number of the process that runs."""
SINCE_WALK: Final = 254
"""How many folios were written to swap since its page tables were walked."""
WALKED: Final = 255
"""Processes from this number on are new since the last iteration over all of them."""
PROCESSES: Final = 256
"""How many there have been."""
PTRS_PER_PTE: Final = 257
RECLAIMED: Final = 258
"""sc->nr_reclaimed."""
RESTORED: Final = 259
# Where tables begin, by region * WIDTH:
PROCESS_OF: Final = 260
"""The number of process `k`, or -1."""
# By region:
ADDRESS: Final = 261
"""The address of its first page, in pages."""
REGION_END: Final = 262
"""One past its last page."""
# By column, as bits:
IN_SWAP_CACHE: Final = 263
"""Which folios have a slot."""
WALKABLE: Final = 264
"""Which processes have a VMA here that a walk does not pass over (should_skip_vma)."""
# By a folio's number:
UNMAPS: Final = 265
"""The event that reclaim comes to it while someone holds a reference."""
HELD_ENTRIES: Final = 266
"""The nodes that are isolated (64), or DEAD."""
# By region:
SPLIT: Final = 330
"""1: for some process it is not one VMA."""
ADDED: Final = 331
"""Of a way: the number of the slot that is allocated, or -1."""
FREES: Final = 332
"""Of a slot's number: the event that takes it back from the swap cache."""
ONLY_CACHED: Final = 333
"""Of a column: the slots that only the swap cache holds, as bits."""
SWITCHED: Final = 334
"""After so many folios written to swap the process that reclaims was switched from and to again."""
MLOCKED_FOLIOS: Final = 335
"""Of a column: those that are mlocked, as bits."""
BATCHES: Final = 336
"""Of each per-CPU batch (5): how many entries it has, and the nodes in it (31), DEAD or ABSENT."""
SCALARS: Final = 496

BATCH_SIZE: Final = 31
"""PAGEVEC_SIZE"""
BATCH_ROOM: Final = BATCH_SIZE + 1
# The batches, in the order in which lru_add_drain() drains them.
LRU_ADD: Final = 0
LRU_DEACTIVATE: Final = 1
LRU_LAZYFREE: Final = 2
LRU_ACTIVATE: Final = 3
MLOCK: Final = 4
BATCH_KINDS: Final = 5
CLUSTER: Final = 32
"""SWAP_CLUSTER_MAX"""
MIN_LRU_BATCH: Final = 64
"""BITS_PER_LONG"""
RESCHEDULED: Final = 64
"""How many that are. On a real machine it is up to its speed and the timer tick."""
MAX_LRU_BATCH: Final = 64 * MIN_LRU_BATCH
DEAD: Final = -1
"""An entry of a batch whose folio has been freed; the batch holds its last reference."""
ABSENT: Final = -2
"""No such folio, or one whose last reference another batch holds."""
ROOT_AGE: Final = 1
"""The age in a shadow entry of a folio that was evicted on advice (MADV_PAGEOUT)."""
FIRST_AGE: Final = 2
AGE_MASK: Final = (1 << 31) - 1

# What a transition does, as bits.
KNOWN: Final = 1
PLAIN: Final = 2
"""Nothing changes and nothing is counted: a hit."""
CACHED: Final = 4
"""The event asks the swap cache, which read-ahead looks at."""
ENDS: Final = 8
DRAINS: Final = 16
WRITES: Final = 32
"""swap_writepage() is called."""
BREAKS: Final = 64
"""A promise is broken."""
FAULTS: Final = 128
"""A fault is taken, which leaves the PTE young."""
LOCKS: Final = 256
"""The folio that the process maps is locked once more (mlock_pte_range(), mlock_vma_folio())."""


class Memory(NamedTuple):
    """Everything that the inner loop works on.

    `v` are the scalars above, `t` the tables. By page: `column`. By node: `flags`, `next` and
    `prev` (rings through the head of each list), `shadow` (of a slot: the age at eviction and the
    workingset mark) and `slot` (the position of a slot, 0: none). `swap` is the swap device
    (`slots`). Compiled functions hand every array on by value, so there are few.
    """

    v: Array
    t: Array
    column: Array
    flags: Array
    next: Array
    prev: Array
    shadow: Array
    slot: Array
    swap: Array


@compiled
def base_of(m: Memory, page: int) -> int:
    """The first node of a page."""
    return m.v[BASE] + page * m.v[WIDTH]


@compiled
def page_of(m: Memory, node: int) -> int:
    """The page that a node belongs to."""
    width = m.v[WIDTH]
    return node - m.v[BASE] if width == 1 else (node - m.v[BASE]) // width  # division is slow


def viewed(array: np.ndarray[Any, Any], interpreted: bool) -> Array:
    """An array in the form that the inner loop takes."""
    flat: Any = np.ascontiguousarray(array).reshape(-1)
    shown: Array = memoryview(flat) if interpreted else flat
    return shown
