"""Replaying a scenario under one policy: steps become events, counts are added up.

result = replay(scenario, policy, steps=True, pages=True)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from swaptrace.errors import (
    NotModelled,
    OutOfMemory,
    Problem,
    ScenarioError,
    SwaptraceError,
    TooManyPages,
)
from swaptrace.mm.policy import Policy
from swaptrace.replay import checking
from swaptrace.replay.collapsing import collapses
from swaptrace.replay.execution import execute
from swaptrace.replay.filemap import check_claims
from swaptrace.replay.folding import fold, folded
from swaptrace.replay.growing import check_holes
from swaptrace.replay.hugetlb import check_step
from swaptrace.replay.locking import locks
from swaptrace.replay.modelled import check_machine
from swaptrace.replay.notes import left_mapped
from swaptrace.replay.pagemap import page_maps
from swaptrace.replay.pages.placed import is_placed
from swaptrace.replay.table import Table
from swaptrace.replay.tally import Record, Tally
from swaptrace.replay.world import World
from swaptrace.result.result import Checkpoint, Note, PolicyResult, StepResult, Violation
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.schema import (
    AccessPatternStep,
    CheckStep,
    MadviseStep,
    ManyAccesses,
    MeasureStep,
    RepeatStep,
    Scenario,
    Step,
)
from swaptrace.scenario.thp import large_folios

if TYPE_CHECKING:
    from swaptrace.result.history import History


class Historian(Protocol):
    """Takes down a replay."""

    def history(self) -> History:
        """All that has been taken down."""
        ...


Observer: TypeAlias = Callable[[str, Step, Tally], None]
Progress: TypeAlias = Callable[[int], None]


def replay(
    scenario: Scenario,
    policy: Policy | Table,
    *,
    steps: bool = False,
    pages: bool = False,
    checkpoints: int = 0,
    history: Callable[[Replay], Historian] | None = None,
    progress: Progress | None = None,
) -> PolicyResult:
    """What the scenario counts under the policy.

    Where several scenarios are replayed under one policy, a `Table` of it in its place spares the
    transitions that are known already. `steps` and `pages` ask for the executed steps and
    for the page maps at the end, `checkpoints` for the counters after so many equal parts of each
    `access` and `trace` step. `history` makes of a replay that is about to begin who takes down how
    the address space looks after each step (`telling.Historian`). `progress` is called now and then
    with the number of accesses that `access` and `trace` steps made since. Raises `ScenarioError`
    where a system call does not return what its step says, and for what is not modelled, and
    `PolicyError`.
    """
    run = Replay(scenario, policy, steps, checkpoints=checkpoints)
    run.progress = progress or run.progress
    historian = None if history is None else history(run)
    run.steps(scenario.steps, "", None, run.record)
    result = run.result(pages)
    return result if historian is None else replace(result, history=historian.history())


class Replay:
    """One replay under way. `world` and `record` may be looked at between the steps.

    `observe`, if given, is called after each leaf step with its path, the step and its tally;
    `look` is after how many parts of a long step something is told of the accesses, and what.
    """

    def __init__(
        self,
        scenario: Scenario,
        policy: Policy | Table,
        steps: bool = False,
        observe: Observer | None = None,
        checkpoints: int = 0,
    ) -> None:
        self.scenario = scenario
        self.observe = observe
        table = policy if isinstance(policy, Table) else Table(policy)
        own = table.policy
        self.undecided = own.undecided
        machine = scenario.machine_under(own.kernel, own.pinned)
        placed = is_placed(scenario, machine)
        check_machine(scenario, machine, own, placed)
        collapsing = bool(machine.thp) and collapses(scenario.steps)
        self.world = world_of(machine, table, placed, collapsing, locks(scenario.steps))
        self.world.keeps_bytes = checking.asks_for_bytes(scenario.steps)
        self.broken: set[str] = set()
        self.parts = checkpoints
        self.progress: Progress = lambda _accesses: None
        self.look: tuple[int, Progress] = 0, self.progress
        self.record = Record(steps=[] if steps else None, checkpoints=[] if checkpoints else None)

    def result(self, pages: bool = False) -> PolicyResult:
        """All that has been counted so far."""
        record = self.record
        return PolicyResult(
            total=record.total,
            windows=record.windows,
            violations=tuple(record.violations.values()),
            steps=None if record.steps is None else tuple(record.steps),
            pages=page_maps(self.world) if pages else None,
            checkpoints=None if record.checkpoints is None else tuple(record.checkpoints),
            checks=tuple(checked for _, checked in sorted(record.checks.items())),
            notes=tuple(Note(line, text) for line, text in record.notes.items()),
            undecided=self.undecided,
        )

    def steps(
        self, steps: tuple[Step, ...], prefix: str, window: str | None, record: Record
    ) -> None:
        """Replay steps in order; `prefix` is the path of the step that they are within."""
        for index, step in enumerate(steps):
            path = f"{prefix}{index}"
            if isinstance(step, MeasureStep):
                record.windows.setdefault(step.label, {})
                self.steps(step.steps, f"{path}.", step.label, record)
            elif isinstance(step, RepeatStep):
                self.repeat(step, path, window, record)
            else:
                self.leaf(step, path, window, record)

    def repeat(self, step: RepeatStep, path: str, window: str | None, record: Record) -> None:
        """Once an iteration ends in a state that was there before, the rest is multiplied."""
        ended: dict[bytes, int] = {self.state(): 0}
        iterations: list[Record] = []
        while len(iterations) < step.count:
            iteration = record.fresh()
            self.steps(step.steps, f"{path}[{len(iterations)}].", window, iteration)
            record.merge(iteration)
            if record.steps is not None:
                record.steps += iteration.steps or []
            if record.checkpoints is not None:
                record.checkpoints += iteration.checkpoints or []
            iterations.append(iteration)
            seen = ended.setdefault(self.state(), len(iterations))
            if seen < len(iterations):
                self.multiply(step, path, window, record, iterations, seen)
                return

    def multiply(
        self,
        step: RepeatStep,
        path: str,
        window: str | None,
        record: Record,
        iterations: list[Record],
        seen: int,
    ) -> None:
        """The iterations from `seen` on repeat for ever; add the whole cycles that remain, then
        replay what is left of one."""
        done = len(iterations)
        cycle = iterations[seen:]
        times, left = divmod(step.count - done, len(cycle))
        if times:
            for position, iteration in enumerate(cycle):
                record.merge(iteration, times)
                name = folded(done + position, len(cycle), times)
                if record.steps is not None:
                    record.steps += fold(iteration.steps, path, name, times)
                if record.checkpoints is not None:
                    record.checkpoints += fold(iteration.checkpoints, path, name, times)
        for index in range(step.count - left, step.count):
            self.steps(step.steps, f"{path}[{index}].", window, record)

    def state(self) -> bytes:
        """A digest that is equal for equal states of the world."""
        from hashlib import blake2b  # few scenarios need it, and it is slow to import

        key = self.world.state_key()
        if checking.asks_for_violations(self.scenario.steps):
            key = (*key, tuple(sorted(self.broken)))
        return blake2b(repr(key).encode(), digest_size=16).digest()

    def leaf(self, step: Step, path: str, window: str | None, record: Record) -> None:
        """Execute one step and note what it counted."""
        tally = Tally()
        try:
            check_step(self.world, step)
            if isinstance(step, CheckStep):
                check_claims(self.world, step)
            if self.world.grows:
                check_holes(self.world, step)
        except NotModelled as error:
            raise self.problem(step, str(error)) from error
        if self.world.arena is not None:
            self.world.arena.switched_to(step.process)
        if isinstance(step, ManyAccesses):
            self.sequence(step, path, tally, record)
        elif isinstance(step, CheckStep):
            self.check(step, path, record)
        else:
            try:
                errno = execute(self.world, tally, step)
            except (NotModelled, OutOfMemory, TooManyPages) as error:
                raise self.problem(step, str(error)) from error
            self.check_errno(step, errno)
        if self.world.shares:
            from swaptrace.replay.sharing import recount  # few scenarios need it

            recount(self.world)
        if self.observe is not None:
            self.observe(path, step, tally)
        if isinstance(step, MadviseStep) and (note := left_mapped(tally, self.world.table.columns)):
            record.add_note(step.line, note)
        counters = tally.counters()
        record.add(counters, window)
        if record.steps is not None:
            record.steps.append(StepResult(path, step.line, step.process, step.op, counters))
        for (kind, process, region), seen in tally.sightings.items():
            place = path, step.line, process, region
            violation = Violation(kind.value, *place, seen.page, seen.pages)
            record.add_violation(violation, step.column)
            self.broken.add(kind.value)

    def check(self, step: CheckStep, path: str, record: Record) -> None:
        """Hold a step's claims against what there is, if they are made of this policy."""
        if checking.is_made_of(step, self.world.table.policy):
            for checked in checking.found(self.world, step, path, self.broken):
                record.add_check(checked, step.column)

    def sequence(self, step: ManyAccesses, path: str, tally: Tally, record: Record) -> None:
        """Replay a long sequence of accesses, with checkpoints if they are wanted."""
        # What a sequence needs takes longer to import than a small replay takes.
        from swaptrace.replay.pages import sequence

        def checkpoint(accesses: int) -> None:
            arena, place = self.world.arena, (path, step.line, step.process, step.op)
            lru_gen = None if arena is None else arena.lru_gen()
            point = Checkpoint(*place, accesses, tally.counters(), lru_gen=lru_gen)
            if record.checkpoints is not None:
                record.checkpoints.append(point)

        process = self.world.processes[step.process]
        stops = (self.parts, checkpoint), self.look
        try:
            if isinstance(step, AccessPatternStep):
                along = sequence.along(step.count, stops, self.progress)
                sequence.replay_pattern(self.world, tally, process, step, along)
            else:
                trace = sequence.trace_of(step, self.scenario)
                count = sequence.length(trace) if self.parts or self.look[0] else 0
                along = sequence.along(count, stops, self.progress)
                sequence.replay_trace(self.world, tally, process, step, trace, along)
        except SwaptraceError as error:
            raise self.problem(step, str(error)) from error

    def check_errno(self, step: Step, errno: str | None) -> None:
        """A step must say which errno its system call gives."""
        if errno == step.errno:
            return
        call = step.given if isinstance(step, MadviseStep) else step.op
        if errno is None:
            message = f"{call} succeeds here; leave `errno: {step.errno}` out"
        elif step.errno is None:
            message = f"{call} fails with {errno} here; if that is meant, say `errno: {errno}`"
        else:
            message = f"{call} fails with {errno} here, not with {step.errno}"
        raise self.problem(step, message)

    def problem(self, step: Step, message: str) -> ScenarioError:
        """The error that a step goes wrong when it is replayed."""
        text = self.scenario.text
        line = text[step.line - 1] if step.line <= len(text) else ""
        return ScenarioError([Problem(self.scenario.file, step.line, step.column, message, line)])


def world_of(
    machine: Machine,
    table: Table,
    placed: bool = False,
    collapsing: bool = False,
    locks: bool = False,
) -> World:
    """A world with one process and no memory mapped, on a machine that is modelled; `placed` is
    that slots have positions, `collapsing` that there is MADV_COLLAPSE, `locks` that memory may be
    locked."""
    world = World(machine, table, locks)
    if machine.lru_batch and large_folios(machine.thp):
        from swaptrace.replay.folios.kept import KeptFolios

        world.arena = kept = KeptFolios(world)
        world.batch = kept.batches
    elif large_folios(machine.thp):
        from swaptrace.replay.folios.chosen import arena_of

        world.arena = arena_of(world, collapsing)
    elif machine.memory is not None or (placed and not machine.lru_batch):
        # What it needs takes longer to import than a small replay takes.
        from swaptrace.replay.pages.arena import Arena

        world.arena = Arena(world, placed)
    elif machine.lru_batch:
        from swaptrace.replay.runs.batch import batch_of

        world.batch = world.batched = batch_of(world, placed)
    return world
