"""`run --baseline`: the file of values that a run is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from swaptrace.errors import SwaptraceError, printable
from swaptrace.report.diff import summary
from swaptrace.report.reports import Against
from swaptrace.result.differences import difference
from swaptrace.result.jsonfile import MAX_BYTES
from swaptrace.result.snapshot import Snapshot, baseline_text, of_result, read_baseline, value_lines
from swaptrace.terminal.atomic import check_writable, replace_file
from swaptrace.terminal.files import read_text
from swaptrace.terminal.output import complain

if TYPE_CHECKING:
    from swaptrace.result.result import Result


def read(path: Path, updating: bool) -> Snapshot:
    """The values of a baseline file, or none if it is about to be made.

    Raises `SwaptraceError`; a file that is something else is not written over either.
    """
    if updating:
        check_writable(path, "--baseline")
        if not path.exists():
            return Snapshot(str(path), {}, {})
    elif not path.exists():
        hint = "make it with --update-baseline"
        raise SwaptraceError(f"--baseline {printable(str(path))}: no such file; {hint}")
    return read_baseline(read_text(path, MAX_BYTES), str(path))


def beside(before: Snapshot, result: Result) -> Against:
    """What a run counts differently from its baseline."""
    from difflib import unified_diff

    now = of_result(result, "this run")
    unified = unified_diff(
        value_lines(before), value_lines(now), before.source, now.source, n=0, lineterm=""
    )
    return Against(difference(before, now), tuple(unified))


def write(path: Path, result: Result, against: Against) -> None:
    """Write the new values, and say to standard error what has changed."""
    replace_file(path, baseline_text(of_result(result, str(path))))
    changed = f"; {summary(against.diff).plain}" if against.diff.old.scenarios else ""
    complain(f"baseline {path}: written{changed}")
