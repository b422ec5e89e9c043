"""`swaptrace watch`: run or compare again whenever an input changes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from swaptrace.cli.options import (
    DEFAULT_POLICIES,
    PoliciesOption,
    complete_policies,
    complete_scenario,
    define_option,
    set_option,
)
from swaptrace.errors import InputErrors, SwaptraceError, printable
from swaptrace.terminal.files import path_of
from swaptrace.terminal.output import complain
from swaptrace.terminal.processes import dying_with_this

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

SOONEST: Final = 1000
"""Milliseconds after which it looks by itself, whatever it was told."""

IN_TREE: Final = ("Makefile", "mm/*.[ch]", "include/linux/*.h")
"""What a policy can take of a kernel's tree."""

CLEARED: Final = "\x1b[H\x1b[2J\x1b[3J"


@click.command()
@click.argument("scenario", nargs=-1, required=True, shell_complete=complete_scenario)
@click.option(
    "policies",
    cls=PoliciesOption,
    metavar="A,B,...",
    shell_complete=complete_policies,
    default=DEFAULT_POLICIES,
    show_default=True,
    help="Policies, as of `swaptrace run`.",
)
@define_option
@set_option
@click.option("--compare", is_flag=True, help="Show what `swaptrace compare` shows.")
def watch(scenario: tuple[str, ...], **options: Any) -> None:
    """Run scenarios again whenever an input changes.

    Inputs are scenarios, traces, policy files with what is beside them, and kernel
    trees and patches. A change ends the run that is under way.

    \b
    swaptrace watch my.yaml --policies final,my.py
    swaptrace watch my.yaml --policies old,kernel:../linux --compare
    """
    try:
        import watchfiles
    except ImportError as error:
        raise SwaptraceError(
            "watch needs watchfiles, which is not installed: pip install 'swaptrace-mm[watch]'"
        ) from error
    if "-" in scenario:
        raise SwaptraceError("-: standard input cannot be watched; name a file")
    found = stamps(scenario, options)
    places = sorted({str(path.parent) for path in found} | _directories(scenario))
    running = _begun(scenario, options)
    try:
        for _ in watchfiles.watch(
            *places,
            watch_filter=None,
            recursive=False,
            yield_on_timeout=True,
            rust_timeout=SOONEST,
            raise_interrupt=True,
        ):
            now = stamps(scenario, options)
            if now != found:
                found = now
                _ended(running)
                running = _begun(scenario, options)
    finally:
        _ended(running)


def stamps(names: Sequence[str], options: Mapping[str, Any]) -> dict[Path, tuple[int, ...] | None]:
    """Every file that a run depends on, and which it is as of when; None: it is not there now."""
    files = dict.fromkeys([*_of_scenarios(names), *_of_policies(options["policies"])])
    return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> tuple[int, ...] | None:
    from swaptrace.terminal.files import identity

    try:
        return tuple(identity(path))
    except OSError:
        return None


def _directories(names: Sequence[str]) -> set[str]:
    return {name for name in names if path_of(name).is_dir()}


def _of_scenarios(names: Sequence[str]) -> Iterator[Path]:
    """The scenarios' files and those of their traces. Raises `InputErrors` for what is nothing."""
    from swaptrace import inputs

    sources, errors = inputs.find_all(names)
    for source in sources:
        if source.path is None:
            continue
        yield path_of(source.path)
        try:
            loaded = source.load({}, None)
        except (SwaptraceError, OSError):
            continue  # the run says what is wrong
        yield from (path_of(loaded.trace_path(path)) for path in loaded.traces)
    if errors and not sources:
        raise InputErrors(errors)


def _of_policies(text: str) -> Iterator[Path]:
    """The files of policies."""
    for item in text.split(","):
        label, _, rest = item.strip().partition("=")
        name = os.path.expanduser(rest or label)
        if name.startswith("kernel:"):
            yield from _of_tree(name)
        elif name.endswith(".c"):
            yield path_of(name)
        elif name.endswith(".py"):
            yield path_of(name)
            yield from sorted(path_of(name).parent.glob("*.py"))


def _of_tree(name: str) -> Iterator[Path]:
    from swaptrace.ktree.spec import spec_of

    spec = spec_of(name)
    for patch in map(path_of, spec.patches):
        yield from sorted(patch.iterdir()) if patch.is_dir() else [patch]
    if not spec.revision and path_of(spec.path).is_file():
        yield path_of(spec.path)
    elif not spec.revision:
        yield from (path for pattern in IN_TREE for path in sorted(spec.root.glob(pattern)))


def _begun(names: Sequence[str], options: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    """A run of its own, to which policies are as new as their files."""
    words = ["compare" if options["compare"] else "run", *names, "-p", options["policies"]]
    for define in options["defines"]:
        words += ["--define", define]
    for key, value in options["overrides"].items():
        words += ["--set", f"{key}={value}"]
    if sys.stdout.isatty():
        sys.stdout.write(CLEARED)
        sys.stdout.flush()
    complain(f"watching: {printable(' '.join(words))}")
    import subprocess  # here, as `--help` imports every command

    command = [sys.executable, "-P", "-m", "swaptrace", *words]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=dying_with_this())


def _ended(running: subprocess.Popen[bytes]) -> None:
    """End a run that has not ended."""
    running.kill()
    running.wait()
