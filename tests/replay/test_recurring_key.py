"""What two moments under a memory limit with large folios must have in common to be one.

A part that `recurring_key` forgot would end a loop too early, and few scenarios would show it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest

from swaptrace import policies
from swaptrace.mm.column import SwapPte
from swaptrace.replay.engine import world_of
from swaptrace.replay.execution import execute
from swaptrace.replay.folios.limited import LimitedFolios
from swaptrace.replay.folios.lru import List, Lists, LruFolio, Shadow
from swaptrace.replay.table import Table
from swaptrace.replay.tally import Tally
from swaptrace.scenario.loader import load_text

STEPS = """
- {mmap: a, size: 256KiB}
- {mmap: single, size: 16KiB}
- {madvise: single, advice: NOHUGEPAGE}
- {write: a, length: 224KiB}
- {read: a, stride: 20KiB}
- {mlock: a, offset: 192KiB, length: 32KiB}
- {madvise: a, offset: 96KiB, length: 16KiB, advice: PAGEOUT}
- {madvise: a, offset: 132KiB, length: 4KiB, advice: DONTNEED}
- {madvise: a, offset: 180KiB, length: 4KiB, advice: DONTNEED}
- {write: single}
"""


def made() -> LimitedFolios:
    """A memory with something in each of its parts."""
    machine = {"kernel": "6.18", "thp": "16KiB", "memory": "160KiB", "stat_flush": "7"}
    settings = {f"machine.{key}": value for key, value in machine.items()}
    scenario = load_text(f"steps:{STEPS}".encode(), "parts", settings)
    world = world_of(scenario.machine, Table(policies.find("merged")))
    for step in scenario.steps:
        assert execute(world, Tally(), step) is None
    memory = world.arena
    assert isinstance(memory, LimitedFolios)
    return memory


def flip(folio: LruFolio, flag: str) -> None:
    """Another value of a flag."""
    setattr(folio, flag, not getattr(folio, flag))


def first(memory: LimitedFolios) -> LruFolio:
    """The first folio on the inactive list."""
    return next(iter(memory.lru.lists["anon", False]))


def turn(folios: List) -> None:
    """The same folios in another order."""
    assert len(folios) > 1
    folios.move_to_end(next(iter(folios)))


def age(memory: LimitedFolios, by: int) -> None:
    """A folio was evicted at another time."""
    slot = min(memory.shadows)
    was = memory.shadows[slot]
    assert was.age is not None
    memory.shadows[slot] = Shadow(was.age + by, was.workingset)


def worked(memory: LimitedFolios) -> None:
    """A folio that was evicted belonged to the working set, or not."""
    slot = min(memory.shadows)
    was = memory.shadows[slot]
    memory.shadows[slot] = Shadow(was.age, not was.workingset)


def young(memory: LimitedFolios) -> None:
    """A PTE is not young any more."""
    next(ptes for ptes in memory.young.values() if ptes).pop()


def untouched(memory: LimitedFolios) -> None:
    """A folio is dirty, or is not."""
    block = first(memory).block
    folio = block.folios[first(memory).number]
    folio.dirty = not folio.dirty


def elsewhere(memory: LimitedFolios) -> None:
    """What a block has in swap lies in another cluster."""
    block = next(block for those in memory.blocks.values() for block in those if block.slots)
    size = memory.slots.size
    block.slots = {slot + size: held for slot, held in block.slots.items()}
    for i, mappings in enumerate(block.maps):
        block.maps[i] = [
            each._replace(pte=each.pte._replace(slot=each.pte.slot + size))
            if isinstance(each.pte, SwapPte)
            else each
            for each in mappings
        ]


Change = Callable[[LimitedFolios], object]

FLAGS: dict[str, Change | None] = {
    "referenced": lambda memory: flip(first(memory), "referenced"),
    "active": lambda memory: flip(first(memory), "active"),
    "workingset": lambda memory: flip(first(memory), "workingset"),
    "lazyfree": lambda memory: flip(first(memory), "lazyfree"),
    # Which folio it is, and on which list: the key has the lists.
    **dict.fromkeys(("shared", "block", "number", "pages", "place")),
    # Of the multi-generational LRU, which has loops replayed whole.
    **dict.fromkeys(("gen", "refs")),
}

LISTS: dict[str, Change | None] = {
    "lists": lambda memory: turn(memory.lru.lists["anon", False]),
    "flushed": lambda memory: memory.lru.flushed.update({("anon", True): 1000}),
    "batch": lambda memory: memory.lru.batch.reverse(),
    "waiting": lambda memory: memory.lru.waiting["lazyfree"].append(first(memory)),
    "unevictable": lambda memory: turn(memory.lru.unevictable),
    "activated": lambda memory: setattr(memory.lru, "activated", memory.lru.activated + 1),
    "activated_flushed": lambda memory: setattr(memory, "snapshot", memory.snapshot + 1),
    "cost": lambda memory: memory.lru.cost.update({"anon": 1000}),
    "age": lambda memory: setattr(memory.lru, "age", memory.lru.age + 1),
    # The sizes of the lists follow from them; the counts are those of this step.
    **dict.fromkeys(("page_size", "size", "counts")),
}

MEMORY: dict[str, Change | None] = {
    "clock": lambda memory: setattr(memory, "clock", memory.clock + 1),
    "deferred": lambda memory: setattr(memory, "deferred", memory.deferred + 1),
    "snapshot": lambda memory: setattr(memory, "snapshot", memory.snapshot + 1),
    "shadows": lambda memory: memory.shadows.pop(min(memory.shadows)),
    "split_queue": lambda memory: memory.split_queue.reverse(),
    "young": young,
    "blocks": untouched,
    "slots": lambda memory: memory.slots.allocate(0),
    # The machine, which is always the same, and what has a line of its own.
    **dict.fromkeys(("world", "allowed", "table_pages", "largest", "lru", "known", "used")),
    # Of the event that is under way; a difference is taken of `refused`.
    **dict.fromkeys(("fresh", "busy", "swappable", "before", "was_mapped", "tally", "refused")),
}

SHADOWS: dict[str, Change | None] = {
    "age": lambda memory: age(memory, 1),
    "workingset": worked,
    "refs": None,  # Of the multi-generational LRU.
}

ROWS: dict[str, Change | None] = {"of swap entries": elsewhere}

CHANGES = {
    f"{of} {name}": change
    for of, table in (
        ("folio", FLAGS),
        ("list", LISTS),
        ("memory", MEMORY),
        ("shadow", SHADOWS),
        ("row", ROWS),
    )
    for name, change in table.items()
    if change is not None
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_the_replay_goes_by_is_part_of_the_key(name: str) -> None:
    """Are two moments that differ in this alone two?"""
    memory = made()
    before = memory.key()
    assert made().key() == before
    CHANGES[name](memory)
    assert memory.key() != before


def test_nothing_is_kept_that_is_not_asked_about() -> None:
    """Does a new attribute have to be decided upon here?"""
    memory = made()
    kept = {
        name for of in type(memory).__mro__ for name, value in vars(of).items() if simple(value)
    }
    assert {name for name in kept | {*vars(memory)} if not name.startswith("__")} == {*MEMORY}
    assert {*vars(Lists(4096))} == {*LISTS}
    assert {field.name for field in fields(LruFolio)} == {*FLAGS}
    assert {field.name for field in fields(Shadow)} == {*SHADOWS}


def simple(value: object) -> bool:
    """Whether a class attribute is state to begin with."""
    return isinstance(value, int | bool)
