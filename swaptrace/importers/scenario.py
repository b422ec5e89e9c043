"""The files that an import makes: NAME.yaml and the traces beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from swaptrace.errors import SwaptraceError, printable
from swaptrace.importers.accesses import PAGE_SIZE
from swaptrace.importers.recorder import Recorder
from swaptrace.importers.steps import Composer, Region, Step, distinct, regions
from swaptrace.scenario.source import MAX_BYTES
from swaptrace.traces.chunk import Chunk
from swaptrace.traces.writer import TraceWriter

UNITS: Final = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)


class Target(NamedTuple):
    """Where the files go and what they are called; `description` is the scenario's."""

    directory: Path
    name: str
    description: str
    force: bool = False

    def scenario(self) -> Path:
        return self.directory / f"{self.name}.yaml"

    def traces(self) -> list[Path]:
        """The traces of that name that are there."""
        numbered = re.compile(rf"{re.escape(self.name)}(-\d+)?\.npz")
        if not self.directory.is_dir():
            return []
        return sorted(path for path in self.directory.iterdir() if numbered.fullmatch(path.name))

    def check(self) -> None:
        """Find out before the work whether its result can be written. Raises `SwaptraceError`."""
        where = printable(str(self.directory))
        if self.directory.exists() and not self.directory.is_dir():
            raise SwaptraceError(f"-o {where}: is no directory; name one for the files")
        parent = self.directory if self.directory.is_dir() else self.directory.resolve().parent
        if not parent.is_dir():
            raise SwaptraceError(f"-o {where}: there is no directory {printable(str(parent))}")
        if not os.access(parent, os.W_OK):
            raise SwaptraceError(f"-o {where}: no permission to write there")
        there = [path for path in (self.scenario(), *self.traces()) if path.exists()]
        if there and not self.force:
            raise SwaptraceError(
                f"{printable(str(there[0]))} is there already; "
                "--force replaces it, --name chooses another name"
            )


class Written(NamedTuple):
    """What came of an import."""

    scenario: Path
    accesses: int
    pages: int
    regions: int
    steps: int


def write(recorder: Recorder, target: Target, workplace: Path) -> Written:
    """Make the files in `workplace`, a directory beside them, and move them to their place."""
    pages = distinct(recorder)
    found = regions(recorder, pages)
    if not found:
        raise SwaptraceError(nothing(recorder))
    composer = Composer(recorder, found, pages)
    steps = list(with_traces(composer, found, target.name, workplace))
    text = yaml(target, found, steps)
    if len(text.encode()) > MAX_BYTES:
        raise SwaptraceError(
            f"{len(steps)} steps are more than a scenario can have: too many calls change "
            "mappings; without strace's log they are left out"
        )
    (workplace / target.scenario().name).write_text(text, encoding="utf-8")
    place(workplace, target)
    between = sum(step.op != "trace" for step in steps)
    return Written(target.scenario(), recorder.count, len(pages), len(found), between)


def nothing(recorder: Recorder) -> str:
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
    composer: Composer, found: Sequence[Region], name: str, workplace: Path
) -> Iterator[Step]:
    """The steps, with one for each stretch of accesses between two others; its trace is written."""
    names = [region.name for region in found]
    parts = composer.parts()
    part = next(parts, None)
    files: list[str] = []
    steps: list[Step] = []
    while part is not None:
        if isinstance(part, Step):
            steps.append(part)
            part = next(parts, None)
            continue
        files.append(f"{name}-{len(files) + 1}.npz")
        steps.append(Step("trace", files[-1]))
        with TraceWriter(str(workplace / files[-1]), names) as writer:
            while isinstance(part, Chunk):
                writer.write(part)
                part = next(parts, None)
    if len(files) == 1:
        (workplace / files[0]).rename(workplace / f"{name}.npz")
        steps = [Step("trace", f"{name}.npz") if step.op == "trace" else step for step in steps]
    yield from steps


def yaml(target: Target, found: Sequence[Region], steps: Sequence[Step]) -> str:
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


def place(workplace: Path, target: Target) -> None:
    """Move the files to their place, the scenario last; it is whole when it is there."""
    old = target.traces()
    made = sorted(path for path in workplace.iterdir() if path.suffix == ".npz")
    for path in made:
        os.replace(path, target.directory / path.name)
    os.replace(workplace / target.scenario().name, target.scenario())
    for path in old:
        if path.name not in {each.name for each in made}:
            path.unlink()


@contextmanager
def workplace_of(target: Target) -> Iterator[Path]:
    """A directory for the files in the making, beside their place; it is removed at the end.

    So is the target's, if it was made for them and nothing came of it.
    """
    path = target.directory / f".{target.name[:40]}.{os.getpid()}.tmp"
    made = not target.directory.exists()
    try:
        try:
            target.directory.mkdir(exist_ok=True)
            path.mkdir()
        except OSError as error:
            where = printable(str(target.directory))
            raise SwaptraceError(f"-o {where}: {error.strerror}") from error
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if made:
            with suppress(OSError):  # it is not empty: the files are there
                target.directory.rmdir()
