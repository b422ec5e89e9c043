"""Does a loop end early only where nothing that follows can tell two moments apart?

What the key of a world forgot would be a wrong count in a `repeat`, and few scenarios show it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest

from swaptrace import policies
from swaptrace.mm.column import Vma
from swaptrace.mm.uffd import Uffd
from swaptrace.replay.engine import replay, world_of
from swaptrace.replay.execution import execute
from swaptrace.replay.processes import Lock, Process, SharedRegion, ShmemObject
from swaptrace.replay.runs.walk import Walk
from swaptrace.replay.space import ReadAhead, VmArea
from swaptrace.replay.table import Table
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import SwapDevice, World
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.pagescan import Scanned
from swaptrace.vmflags import VmFlag

STEPS = b"""steps:
- {mmap: a, size: 64KiB}
- {mmap: b, size: 64KiB, shared: true}
- {mmap: f, size: 64KiB, file: f}
- {write: a}
- {write: b}
- {fork: child}
- {madvise: a, length: 16KiB, advice: PAGEOUT}
"""

Change = Callable[[World], object]


def made() -> World:
    """A world with something in each of its parts."""
    scenario = load_text(STEPS, "world")
    world = world_of(scenario.machine, Table(policies.find("merged")))
    for step in scenario.steps:
        assert execute(world, Tally(), step) is None
    return world


def main(world: World) -> Process:
    """The first process."""
    return world.processes["main"]


def of_main(**other: object) -> Change:
    """Something else about the process."""

    def change(world: World) -> None:
        for name, value in other.items():
            setattr(main(world), name, value)

    return change


def of_region(name: str, **other: object) -> Change:
    """Something else about a region."""

    def change(world: World) -> None:
        for key, value in other.items():
            setattr(main(world).regions[name], key, value)

    return change


def of_area(**other: object) -> Change:
    """Another VMA."""

    def change(world: World) -> None:
        space = main(world).space
        before = space.areas[0]
        space.areas[0] = before._replace(**other)  # type: ignore[arg-type]
        assert space.areas[0] != before

    return change


def other_pages(world: World) -> None:
    """The pages of a region are as others are."""
    region = main(world).regions["a"].region
    region.change(Walk(5, 1), lambda number: number - 1)


def other_file(world: World) -> None:
    """The pages of a file that nothing maps are as others are."""
    world.files["f"].pages.change(Walk(5, 1), lambda number: number - 1)


WORLD: dict[str, Change | None] = {
    "processes": lambda world: world.processes.pop("child"),
    "device": lambda world: setattr(world.device, "used", world.device.used + 1),
    "mergeable": lambda world: world.mergeable.append("child"),
    "shares": lambda world: setattr(world, "shares", True),
    "files": lambda world: world.files.update(
        g=ShmemObject(-2, "g", 1, type(world.files["f"].pages)(1, 0))
    ),
    # The machine, the policy and the scenario, which are always the same.
    **dict.fromkeys(("machine", "table", "facts", "keeps_bytes")),
    # Which have keys of their own.
    **dict.fromkeys(("arena", "batch", "batched")),
    # Whether a VMA grows says its flag.
    "grows": None,
    # How others are numbered.
    **dict.fromkeys(("_anon_vmas", "_areas")),
}

DEVICE: dict[str, Change | None] = {"used": WORLD["device"], "total": None, "full_from": None}

PROCESS: dict[str, Change | None] = {
    "name": lambda world: world.processes.update(other=world.processes.pop("child")),
    "space": lambda world: main(world).space.areas.pop(),
    "regions": lambda world: main(world).regions.pop("a"),
    "registered": of_main(registered={"a": Uffd(missing=True)}),
    "future": of_main(future=Lock.NOW),
    "scanned": of_main(scanned=Scanned(1, 4096, "1")),
    "merges": of_main(merges=True),
    "checksums": of_main(checksums={5: 17}),
}

REGION: dict[str, Change | None] = {
    "name": lambda world: main(world).regions.update(c=main(world).regions.pop("a")),
    "base": of_region("a", base=7),
    "region": other_pages,
    "members": of_region("a", members=["main"]),
    "of": of_region("f", of=None),
    "first": of_region("f", first=1),
}

FILE: dict[str, Change | None] = {
    "inode": lambda world: setattr(world.files["f"], "inode", -9),
    "pages": other_file,
    "members": lambda world: world.files["f"].members.clear(),
    # A file has one size as long as it is known by its name; which regions map it these say.
    **dict.fromkeys(("name", "size", "views")),
}

AREA: dict[str, Change | None] = {
    "start": of_area(start=1),
    "end": of_area(end=10**6),
    "vma": of_area(vma=Vma(locked=True)),
    "account": of_area(account=False),
    "anon_vma": of_area(anon_vma=None),
    "cloned": of_area(cloned=True),
    "readahead": of_area(readahead=ReadAhead(last=3)),
    "flags": of_area(flags=VmFlag.NORESERVE),
    "inode": of_area(inode=5),
    "moved": of_area(moved=4),
}

CHANGES = {
    f"{of} {name}": change
    for of, table in (
        ("world", WORLD),
        ("device", DEVICE),
        ("process", PROCESS),
        ("region", REGION),
        ("file", FILE),
        ("VMA", AREA),
    )
    for name, change in table.items()
    if change is not None
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_the_replay_goes_by_is_part_of_the_key(name: str) -> None:
    """Are two moments that differ in this alone two?"""
    world = made()
    before = world.state_key()
    assert made().state_key() == before
    CHANGES[name](world)
    assert world.state_key() != before


def test_nothing_is_kept_that_is_not_asked_about() -> None:
    """Does a new attribute have to be decided upon here?"""
    assert {*vars(made())} == {*WORLD}
    for of, table in ((SwapDevice, DEVICE), (Process, PROCESS), (SharedRegion, REGION)):
        assert {field.name for field in fields(of)} == {*table}
    assert {field.name for field in fields(ShmemObject)} == {*FILE}
    assert {*VmArea._fields} == {*AREA}


LOOP = b"""steps:
- {mmap: a, size: 16KiB}
- {madvise: a, advice: MERGEABLE}
- {memset: a, value: 7}
- {ksm_scan: true}
- {mmap: b, size: 16KiB}
- {munmap: b}
- repeat: 40
  steps:
  - {mmap: b, size: 16KiB}
  - {memset: b, value: 7}
  - {ksm_scan: true}
  - {write: b}
  - {munmap: b}
  - {memory_merge: true}
"""


def test_new_memory_is_mergeable_from_the_second_iteration_on() -> None:
    """Does a loop go on that has changed nothing but what later mappings get?"""
    scenario = load_text(LOOP, "loop", {"machine.kernel": "6.18"})
    found = replay(scenario, policies.find("merged"))
    assert found.total["wp_copy"] == 39 * 4
