"""The traces of a scenario as tables of C, for a program that is one file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from swaptrace.errors import printable, quote
from swaptrace.scenario.schema import Scenario, TraceStep
from swaptrace.traces.chunk import CHUNK, Chunk
from swaptrace.traces.columns import TraceError, shown
from swaptrace.traces.files import TraceFile, open_trace
from swaptrace.verify.emit_steps import CNames
from swaptrace.verify.leaves import written
from swaptrace.verify.limiting import Unfit
from swaptrace.verify.needs import MOST_RECORDS, needs

PER_LINE: Final = 6

Key = tuple[str, str | None, str]
"""What makes two steps replay the same table: the file, the region and the process."""


def key(step: TraceStep) -> Key:
    return step.path, step.region, step.process


class TraceTables:
    """One table for each different `trace` step: `trace_0`, `trace_1`, …

    Raises `TraceError` where a trace cannot be read, and `Unfit` where it cannot be a table.
    """

    def __init__(self, scenario: Scenario, regions: CNames) -> None:
        self.regions = regions
        self.mapped = needs(scenario).regions
        self.definitions: list[str] = []
        self.calls: dict[Key, str] = {}
        for step in written(scenario.steps):
            if isinstance(step, TraceStep) and key(step) not in self.calls:
                path, known = scenario.trace_path(step.path), scenario.traces.get(step.path)
                self.add(step, open_trace(path, known))

    def add(self, step: TraceStep, trace: TraceFile) -> None:
        """Define the table of a step."""
        name = f"trace_{len(self.definitions)}"
        records = list(self.records(step, trace))
        lines = [
            "\t" + " ".join(f"{record}," for record in records[start : start + PER_LINE])
            for start in range(0, len(records), PER_LINE)
        ] or ["\t{0},"]
        comment = f"/* {len(records)} accesses: a page, its region, whether it is written */"
        head = f"static const struct record {name}[] = {{\t{comment}"
        self.definitions.append("\n".join([head, *lines, "};"]))
        self.calls[key(step)] = f"replay_trace({name}, {len(records)})"

    def records(self, step: TraceStep, trace: TraceFile) -> Iterator[str]:
        """Each access as C."""
        done = 0
        for chunk in trace.chunks(CHUNK):
            done += len(chunk.page)
            if done > MOST_RECORDS:
                raise Unfit(
                    f"{printable(step.path)} has more than {MOST_RECORDS} accesses, the most that "
                    "a program can hold"
                )
            self.check_names(step, trace)
            names = [self.region(name, step) for name in trace.regions] or [self.only(step)]
            yield from of_chunk(chunk, names)

    def check_names(self, step: TraceStep, trace: TraceFile) -> None:
        """A step of a program is executed by one process, and a region is named once."""
        if trace.regions and step.region is not None:
            raise TraceError(f"{shown(trace.path)} names its regions itself; leave 'region' out")
        others = [name for name in trace.processes if name != step.process]
        if others:
            raise Unfit(
                f"{printable(step.path)} has accesses by process {quote(others[0])} in a step of "
                f"process {quote(step.process)}; in a program a step has one process"
            )

    def only(self, step: TraceStep) -> str:
        """The region of a trace that does not say."""
        if step.region is not None:
            return self.region(step.region, step)
        if len(self.mapped) != 1:
            raise Unfit(f"{printable(step.path)} does not say its region; give the step a 'region'")
        return self.regions[self.mapped[0]]

    def region(self, name: str, step: TraceStep) -> str:
        """What a region of the trace is called in C."""
        if name not in self.mapped:
            raise Unfit(f"{printable(step.path)} has a region {quote(name)}, which is never mapped")
        return self.regions[name]


def of_chunk(chunk: Chunk, regions: list[str]) -> Iterator[str]:
    """The accesses of a chunk as C; its numbers mean these regions."""
    pages, writes = chunk.page.tolist(), chunk.write.tolist()
    numbers = [0] * len(pages) if chunk.region is None else chunk.region.tolist()
    for page, number, write in zip(pages, numbers, writes, strict=True):
        yield f"{{{page}, {regions[number]}, {int(write)}}}"


def check_traces(scenario: Scenario) -> None:
    """Raise `Unfit` or `TraceError` for a trace that no program can hold."""
    TraceTables(scenario, CNames("R_", needs(scenario).regions))
