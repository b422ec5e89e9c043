"""The files that an import makes: NAME.yaml and the traces beside it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from swaptrace.errors import ScenarioError, SwaptraceError, printable
from swaptrace.importers.accesses import PAGE_SIZE
from swaptrace.importers.recorder import AccessRecorder
from swaptrace.importers.steps import ComposedStep, ModelRegion, StepComposer, distinct, regions
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.source import MAX_BYTES
from swaptrace.terminal.atomic import replace_file
from swaptrace.terminal.files import read_at_most, reason
from swaptrace.traces.chunk import Chunk
from swaptrace.traces.writer import DIGITS, TraceWriter

UNITS: Final = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
TRACE: Final = re.compile(r"^- trace: \"?([^/\n\"]+\.npz)\"?$", re.MULTILINE)
"""A step of a scenario that an import made."""


class Target(NamedTuple):
    """Where the files go and what they are called; `description` is the scenario's."""

    directory: Path
    name: str
    description: str
    force: bool = False

    def scenario(self) -> Path:
        return self.directory / f"{self.name}.yaml"

    def trace(self) -> Path:
        """What a trace is called, but for the digits of its content behind the stem."""
        return self.directory / f"{self.name}.npz"

    def check(self) -> None:
        """Find out before the work whether its result can be written. Raises `SwaptraceError`."""
        try:
            against = self._reason_against()
        except OSError as error:
            against = reason(error)
        if against:
            raise SwaptraceError(f"-o {printable(str(self.directory))}: {against}")
        if self.scenario().exists() and not self.force:
            raise SwaptraceError(
                f"{printable(str(self.scenario()))} is there already; "
                "--force replaces it, --name chooses another name"
            )

    def _reason_against(self) -> str | None:
        for path in (self.directory, self.scenario()):
            with suppress(FileNotFoundError, NotADirectoryError):
                os.stat(path)  # of a loop of links or a name that is too long all else says nothing
        if self.directory.exists() and not self.directory.is_dir():
            return "is no directory; name one for the files"
        parent = Path(os.path.realpath(self.directory))
        parent = parent if parent.is_dir() else parent.parent
        if not parent.is_dir():
            return f"there is no directory {printable(str(parent))}"
        return None if os.access(parent, os.W_OK) else "no permission to write there"

    def replaced(self) -> list[Path]:
        """The traces that nothing needs once another scenario has taken the place of this one:
        those that it names, and those of its name that an import left which was killed."""
        if not self.force:
            return []
        own = re.compile(rf"{re.escape(self.name)}-[0-9a-f]{{{DIGITS}}}\.npz")
        named = {match for match in TRACE.findall(self._old_text()) if match.startswith(self.name)}
        return sorted(
            path
            for path in self.directory.iterdir()
            if own.fullmatch(path.name) or path.name in named
        )

    def _old_text(self) -> str:
        try:
            return read_at_most(self.scenario(), MAX_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""


class Written(NamedTuple):
    """What came of an import."""

    scenario: Path
    accesses: int
    pages: int
    regions: int
    steps: int


def write(recorder: AccessRecorder, target: Target) -> Written:
    """Publish the files in one step.

    Traces are named by their content, so that none takes the place of one that an older scenario
    names; the scenario, which names them, gets its place last, and what was the older one's goes
    afterwards. Whenever this ends, the scenario that is there has its own traces.
    Raises `SwaptraceError`.
    """
    pages = distinct(recorder)
    found = regions(recorder, pages)
    if not found:
        raise SwaptraceError(nothing(recorder))
    composer = StepComposer(recorder, found, pages)
    made: list[Path] = []
    try:
        steps = list(with_traces(composer, found, target, made))
        text = yaml(target, found, steps)
        check(text, len(steps), target)
        replaced = target.replaced()
        replace_file(target.scenario(), text)
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise
    needed = {step.argument for step in steps if step.op == "trace"}
    for path in replaced:
        if path.name not in needed:
            path.unlink(missing_ok=True)
    between = sum(step.op != "trace" for step in steps)
    return Written(target.scenario(), recorder.count, len(pages), len(found), between)


def check(text: str, steps: int, target: Target) -> None:
    """Raise `SwaptraceError` for a scenario that would not be one."""
    if len(text.encode()) > MAX_BYTES:
        raise SwaptraceError(
            f"{steps} steps are more than a scenario can have: too many calls change "
            "mappings; without strace's log they are left out"
        )
    try:
        load_text(text, str(target.scenario()))
    except ScenarioError as error:
        raise SwaptraceError(
            f"what the log says is no scenario, so that none was written:\n{error}"
        ) from None


def nothing(recorder: AccessRecorder) -> str:
    """Why there is nothing to replay."""
    if not recorder.seen:
        return "there is no access in it"
    what = ", ".join(f"{many:,} {where}" for where, many in recorder.left.accesses.items())
    if recorder.guessed:
        return f"no access is to memory that a program can have: {what}"
    return (
        f"no access is to anonymous memory: {what}. Were the log and strace's made by one run, "
        "`strace ... valgrind ...`?"
    )


def with_traces(
    composer: StepComposer, found: Sequence[ModelRegion], target: Target, made: list[Path]
) -> Iterator[ComposedStep]:
    """The steps, with one for each stretch of accesses between two others; its trace is written,
    and noted in `made` if it is new."""
    names = [region.name for region in found]
    parts = composer.parts()
    part = next(parts, None)
    while part is not None:
        if isinstance(part, ComposedStep):
            yield part
            part = next(parts, None)
            continue
        with TraceWriter(str(target.trace()), names, content_named=True) as writer:
            while isinstance(part, Chunk):
                writer.write(part)
                part = next(parts, None)
        if writer.is_new:
            made.append(writer.path)
        yield ComposedStep("trace", writer.path.name)


def yaml(target: Target, found: Sequence[ModelRegion], steps: Sequence[ComposedStep]) -> str:
    """The scenario's text."""
    lines = [
        f"name: {scalar(target.name)}",
        f"description: {scalar(target.description)}",
        "steps:",
    ]
    for region in found:
        size = human((region.end - region.start) * PAGE_SIZE)
        lines += [f"- mmap: {region.name}", f"  size: {size}"]
        lines += [f"  at: {region.start * PAGE_SIZE:#x}"]
    for step in steps:
        lines.append(f"- {step.op}: {scalar(step.argument)}")
        lines += (
            f"  {key}: {human(value) if isinstance(value, int) else value}"
            for key, value in step.keys.items()
        )
    return "\n".join(lines) + "\n"


def scalar(text: str) -> str:
    """Text as YAML has it, in quotes unless it is a plain name."""
    return text if PLAIN.fullmatch(text) else json.dumps(printable(text), ensure_ascii=False)


def human(size: int) -> str:
    """Bytes, in the largest unit that they are a multiple of."""
    for unit, factor in UNITS:
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


@contextmanager
def directory_of(target: Target) -> Iterator[Path]:
    """The directory for the files; it is made if need be, and goes again if nothing came of it."""
    made = not target.directory.exists()
    try:
        try:
            target.directory.mkdir(exist_ok=True)
        except OSError as error:
            where = printable(str(target.directory))
            raise SwaptraceError(f"-o {where}: {reason(error)}") from error
        yield target.directory
    finally:
        if made:
            with suppress(OSError):  # it is not empty: the files are there
                target.directory.rmdir()
