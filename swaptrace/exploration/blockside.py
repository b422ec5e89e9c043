"""What a block of pages can become under one policy, where memory comes in large folios.

An operation is a step, which a replay takes from a state that it is put into. States are equal if
the same follows. Of the swap device only that matters where the next slot for one page lies to
those that the block has (`exploration.blockplaces`): slots for whole folios are always new ones in
a row.
"""

from __future__ import annotations

from copy import copy
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

import yaml

from swaptrace.errors import SwaptraceError
from swaptrace.exploration.alphabet import BLOCK_PAGES, PAGE_BYTES, REGION, step_of
from swaptrace.exploration.blockplaces import Placed, placed
from swaptrace.exploration.graph import Limits, ShownEffect
from swaptrace.mm.policy import Policy
from swaptrace.mm.steady import Steady
from swaptrace.mm.uffd import Uffd
from swaptrace.replay.engine import world_of
from swaptrace.replay.execution import execute
from swaptrace.replay.folios.memory import Folios
from swaptrace.replay.folios.slotmap import SlotMap
from swaptrace.replay.folios.stretches import single
from swaptrace.replay.pagemap import page_runs
from swaptrace.replay.processes import Process
from swaptrace.replay.space import AddressSpace, VmArea
from swaptrace.replay.table import Table
from swaptrace.replay.tally import Tally
from swaptrace.scenario.claims import page_code
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario, Step

NAMES: Final = ("main", "child", "child2")
"""The processes of a state, in the order in which they came."""

MAPPED: Final = {"mmap": REGION, "size": BLOCK_PAGES * PAGE_BYTES}

Key: TypeAlias = tuple[object, ...]


class ProcessState(NamedTuple):
    """A process: its VMAs, and the regions for which it has used a userfaultfd."""

    areas: tuple[VmArea, ...]
    registered: tuple[tuple[str, Uffd], ...]


class BlockState(NamedTuple):
    """A block, by the number of its value and the rows of its slots, the swap device, and the
    processes that share it."""

    block: int
    rows: tuple[int, ...]
    slots: SlotMap
    processes: tuple[ProcessState, ...]


class BlockMove(NamedTuple):
    """What an operation leads to, the key of that state, and what it shows."""

    state: BlockState
    key: Key
    effect: ShownEffect


class BlockSide:
    """The states under one policy, on one machine with large folios that is modelled."""

    def __init__(self, policy: Policy, machine: Machine, limits: Limits) -> None:
        self.limits = limits
        locks = any(each.partition("@")[0] == "mlock" for each in limits.operations)
        self.world = world_of(machine, Table(Steady(policy)), locks=locks)
        arena = self.world.arena
        assert isinstance(arena, Folios)
        self.regions = arena.regions
        execute(self.world, Tally(), scenario_of(MAPPED).steps[0])
        (self.shared,) = self.world.shared_regions()
        (self.tables,) = self.regions.tables.values()
        self.members = self.shared.members
        self.placed: dict[tuple[object, ...], Placed] = {}

    def put(self, state: BlockState) -> None:
        """Put the replay into a state."""
        self.members[:] = NAMES[: len(state.processes)]
        self.world.processes = {
            name: Process(name, AddressSpace(areas), {REGION: self.shared}, dict(registered))
            for name, (areas, registered) in zip(NAMES, state.processes, strict=False)
        }
        self.tables.stretches[:] = [single((state.block,), state.rows)]
        self.regions.slots = copied(state.slots)

    def state(self) -> BlockState:
        """The state that the replay is in."""
        (stretch,) = self.tables.stretches
        (block,) = stretch.blocks
        each = self.world.processes.values()
        processes = [
            ProcessState(tuple(p.space.areas), tuple(sorted(p.registered.items()))) for p in each
        ]
        return BlockState(block, stretch.rows, self.regions.slots, tuple(processes))

    def move(self, state: BlockState, letter: str, number: int) -> BlockMove | None:
        """Let a process do something; None where it is not tried, or the kernel refuses it."""
        count = len(state.processes)
        if (letter == "fork" and count == self.limits.processes) or (letter, count) == ("exit", 1):
            return None
        self.put(state)
        tally = Tally()
        if execute(self.world, tally, compiled(letter, number, count)) is not None:
            return None
        after = self.state()
        seen = [kind.value for (kind, *_), at in tally.sightings.items() for _ in range(at.pages)]
        effect = ShownEffect(tuple(tally.counts), tuple(sorted(seen)))
        return BlockMove(after, self.key(after), effect)

    def key(self, state: BlockState) -> Key:
        """Equal for two states that the same follows, as long as slots are handed out in order."""
        anon_vmas: dict[int, int] = {}
        processes = [
            (AddressSpace(areas).key(anon_vmas), registered)
            for areas, registered in state.processes
        ]
        return *self.places(state), tuple(processes)

    def places(self, state: BlockState) -> tuple[Placed, int]:
        """The block, and where in a row the next slot for one page is."""
        effects, cluster = self.regions.effects, state.slots.size // self.regions.effects.size
        row, at = divmod(following(state.slots), effects.size)
        where = state.rows.index(row) if row in state.rows else None
        near = tuple(each // cluster == row // cluster for each in state.rows)
        known = state.block, near, where, at
        if known not in self.placed:
            value = effects.blocks[state.block]
            self.placed[known] = placed(value, near, effects.size, where, at)
        return self.placed[known], at

    def flags(self, state: BlockState) -> tuple[str, ...]:
        """The page map of each process."""
        self.put(state)
        return tuple(page_code(page_runs(self.world, REGION, name)) for name in self.members)


def copied(slots: SlotMap) -> SlotMap:
    """A device of its own, for pages that never fill a cluster."""
    other = copy(slots)
    of = {cluster: copy(cluster) for cluster in slots.partial.values()}
    other.partial = {number: of[cluster] for number, cluster in slots.partial.items()}
    other.next, other.stock = [*slots.next], [*slots.stock]
    for name in ("nonfull", "frag"):
        lists = [{of[cluster]: None for cluster in each} for each in getattr(slots, name)]
        setattr(other, name, lists)
        for each in lists:
            for cluster in each:
                cluster.where = each
    other.free = copy(slots.free)
    other.free.sequences = slots.free.sequences.copy()
    return other


def following(slots: SlotMap) -> int:
    """Where the next slot for one page will be."""
    if slots.stock:
        return slots.stock[0].start
    at = slots.next[0]
    if at is not None:
        number, inside = divmod(at, slots.size)
        cluster = slots.partial.get(number)
        if cluster is not None and cluster.order == 0:
            found = slots.room(cluster.used, 1, inside)
            if found is not None:
                return number * slots.size + found
    new = copied(slots).allocate(0)
    if new is None:
        raise SwaptraceError("internal error: a block has filled the swap device")
    return new


@cache
def compiled(letter: str, number: int, count: int) -> Step:
    """The step of an operation, where there are so many processes."""
    forks = [{"fork": name} for name in NAMES[1:count]]
    child = NAMES[count] if letter == "fork" else ""
    return scenario_of(MAPPED, *forks, step_of(letter, NAMES[number], child)).steps[-1]


def scenario_of(*steps: dict[str, Any]) -> Scenario:
    """The scenario of some steps."""
    text = yaml.safe_dump({"steps": [*steps]}, sort_keys=False)
    return load_text(text.encode(), REGION)
