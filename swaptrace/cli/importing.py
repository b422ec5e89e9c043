"""What `import` and `record` share: their options, and what they say at the end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from swaptrace.errors import printable, quote, shorten
from swaptrace.terminal.files import path_of
from swaptrace.terminal.output import complain

if TYPE_CHECKING:
    from pathlib import Path

    from swaptrace.importers.convert import ConvertedLog
    from swaptrace.importers.recorder import AccessRecorder
    from swaptrace.importers.scenario import Target, Written

Command = TypeVar("Command", bound=Callable[..., Any])

APPROXIMATE = (
    "warning: nothing says where strace's calls lie between the accesses; they were placed as late "
    "as the first access to a mapping made after them. Give valgrind --trace-syscalls=yes, or use "
    "swaptrace record"
)

REPLACED = (
    "warning: the program replaced itself by another one, which was not recorded; if it is a "
    "wrapper, record the program that it starts"
)

SHOWN = 8
"""Programs that are named where a program started many, and system calls that were left out."""


def _directory(_ctx: click.Context, _param: click.Parameter, path: str) -> Path:
    if not path:
        raise click.BadParameter("a directory has a name; for the current one give .")
    return path_of(path)


def target_options(command: Command) -> Command:
    """Where the files go."""
    options = (
        click.option(
            "-o",
            "--output",
            "directory",
            metavar="DIR",
            required=True,
            type=click.Path(),
            callback=_directory,
            help="Where to write the scenario and its trace.",
        ),
        click.option(
            "--name",
            metavar="NAME",
            callback=_name,
            help="Name the files and the scenario.  [default: as LOG or COMMAND]",
        ),
        click.option("--force", is_flag=True, help="Replace existing files."),
        click.option(
            "--every-access",
            is_flag=True,
            help="Also keep repeated accesses to the same page.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _name(_ctx: click.Context, _param: click.Parameter, name: str | None) -> str | None:
    if name is not None and (not name or "/" in name or name.startswith(".")):
        raise click.BadParameter("a file's name without a directory, which begins with no dot")
    if name is not None and not name.isprintable():
        raise click.BadParameter(f"{quote(name)} has characters that no terminal shows")
    return name


def name_after(path: str) -> str:
    """A name for the files, after the log or the command."""
    if path == "-":
        return "trace"
    stem = path_of(path).name
    for suffix in (".gz", ".xz", ".log", ".txt", ".csv", ".out"):
        stem = stem.removesuffix(suffix)
    return re.sub(r"[^\w.-]", "_", stem, flags=re.ASCII).lstrip(".") or "trace"


def finish(recorder: AccessRecorder, target: Target, counted: ConvertedLog) -> None:
    """Make the files, and say on standard error what is in them and what is not."""
    from swaptrace.importers.scenario import write

    written = write(recorder, target)
    if not counted.exact:
        complain(APPROXIMATE)
    if counted.replaced:
        complain(REPLACED)
    if counted.children:
        complain(not_recorded(counted.children))
    complain(summary(recorder, written, counted))


def not_recorded(children: tuple[str, ...]) -> str:
    """What is said of the processes that a program started."""
    counted = Counter(name or "a copy of itself" for name in children)
    names = [shorten(name) if n == 1 else f"{shorten(name)} ({n:,})" for name, n in counted.items()]
    which = ", ".join(names if len(names) <= SHOWN else [*names[:SHOWN], "…"])
    return (
        f"warning: {many(len(children), 'process', 'processes')} that the program started "
        f"{'was' if len(children) == 1 else 'were'} not recorded: {printable(which)}; "
        "to record one, give its command to swaptrace record"
    )


def summary(recorder: AccessRecorder, written: Written, counted: ConvertedLog) -> str:
    """Some lines of text."""
    lines = [
        f"{written.scenario}: {many(written.accesses, 'access', 'accesses')} to "
        f"{many(written.pages, 'page')} in {many(written.regions, 'region')}, "
        f"{many(written.steps, 'step')} between them"
    ]
    dropped = recorder.seen - written.accesses - recorder.left.accesses.total()
    if dropped:
        lines.append(f"merged: {dropped:,} to the page that was accessed just before")
    calls = recorder.left.calls
    others = calls.total() - sum(n for _, n in calls.most_common(SHOWN))
    left = [
        *(f"{many(n, 'access', 'accesses')} {what}" for what, n in recorder.left.accesses.items()),
        *(f"{many(n, 'call')} of {shorten(what)}" for what, n in calls.most_common(SHOWN)),
        *([f"{many(others, 'call')} of others"] if others else []),
        *([many(counted.skipped, "line")] if counted.skipped else []),
    ]
    if left:
        lines.append(f"left out: {', '.join(left)}")
    if recorder.guessed:
        lines.append(
            "no call tells the mappings: all pages are taken for anonymous memory, and a region "
            "begins where 1 MiB before it was not accessed"
        )
    return "\n".join(lines)


def many(number: int, one: str, more: str = "") -> str:
    """A number of things."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"
