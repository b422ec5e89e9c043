"""What a comparison with kernels comes to, as tables and as KTAP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from swaptrace.report.ktap import Test, written
from swaptrace.report.layout import Cell, FirstFit, Indented, TextTable, words
from swaptrace.result.verdict import Difference, KernelRun, Status, Verdict

MAX_SHOWN: Final = 400
"""How much of a page map a report shows at most; JSON has all of it."""


NOT_REACHED: Final = "-"
"""Where one kernel differed before the scenario's turn came."""

Row = tuple[Verdict | None, ...]
"""A scenario on each kernel."""


def style(status: Status) -> str:
    """What a status looks like on a terminal."""
    match status:
        case Status.AGREES:
            return "green"
        case Status.DIFFERS | Status.FAILED:
            return "bold red"
        case Status.UNSTEADY | Status.SKIPPED | Status.NOT_RUN:
            return "yellow"


def verify_report(runs: Sequence[KernelRun], *, only_notable: bool = False) -> RenderableType:
    """A row for each scenario and a column for each kernel; below it every reason and difference.

    `only_notable` leaves out the rows of scenarios that agree everywhere.
    """
    return Group(*_report(runs, only_notable))


def _report(runs: Sequence[KernelRun], only_notable: bool) -> Iterator[RenderableType]:
    rows = list(zip_longest(*(run.verdicts for run in runs)))
    if only_notable:
        rows = [row for row in rows if any(map(_notable, row))]
    if rows:
        yield FirstFit(lambda: [_table(runs, rows)], lambda: _each(runs, rows))
        yield ""
    for index, head in enumerate(_heads(runs)):
        for row in rows:
            yield from _explained(row[index], head if len(runs) > 1 else None)
    for run in runs:
        yield _summary(run)


def _notable(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.status is not Status.AGREES


def _table(runs: Sequence[KernelRun], rows: Sequence[Row]) -> TextTable:
    header = ["scenario", *_heads(runs)]
    return TextTable(header, len(header), map(_row, rows))


def _row(verdicts: Row) -> list[str | Cell]:
    cells = (Cell(v.status.value, style(v.status)) if v else NOT_REACHED for v in verdicts)
    return [_scenario(verdicts), *cells]


def _scenario(row: Row) -> str:
    """Its name."""
    return next(verdict.name for verdict in row if verdict is not None)


def _each(runs: Sequence[KernelRun], rows: Sequence[Row]) -> Iterator[RenderableType]:
    """The same where the table is too wide."""
    heads = _heads(runs)
    for row in rows:
        yield words(_scenario(row), "bold")
        for head, verdict in zip(heads, row, strict=True):
            if verdict is not None:
                yield Indented(words(f"{head}: {verdict.status}", style(verdict.status)))


def _heads(runs: Sequence[KernelRun]) -> list[str]:
    """What columns are called: of several kernels by release, which is short, if all differ."""
    releases = [run.kernel for run in runs if run.kernel is not None]
    if len(runs) > 1 and len(set(releases)) == len(runs):
        return releases
    return [_title(run) for run in runs]


def _title(run: KernelRun) -> str:
    return run.place if run.kernel is None else f"{run.place}, {run.kernel}"


def _explained(verdict: Verdict | None, kernel: str | None) -> Iterator[RenderableType]:
    """Why a scenario does not agree, or what differs; the kernel is named if there are several."""
    if verdict is None or not _notable(verdict):
        return
    where = "" if kernel is None else f" on {kernel}"
    reason = "".join(f": {text}" for text in _reasons(verdict))
    yield words(f"{verdict.status}: {verdict.name}{where}{reason}", style(verdict.status))
    if verdict.same_as is not None:
        return
    if verdict.elsewhere and verdict.first_difference is not None:
        yield words(f"  {_elsewhere(verdict)}")
    if verdict.first_difference is not None:
        yield from _difference("first", verdict.first_difference, verdict.policy)
    again = verdict.repetition
    if again is not None and again.first_difference is not None:
        yield from _difference("when repeated, first", again.first_difference, again.policy)


def _reasons(verdict: Verdict) -> Iterator[str]:
    if verdict.reason is not None:
        yield verdict.reason
    if verdict.same_as is not None:
        yield f"in the same way as {verdict.same_as}"


def _elsewhere(verdict: Verdict) -> str:
    """Who else swapped, as far as that is known."""
    counts = ", ".join(f"{name} {count}" for name, count in verdict.elsewhere.items())
    return f"something else swapped meanwhile: between the steps the kernel counted {counts}"


def _difference(when: str, d: Difference, policy: str | None) -> Iterator[RenderableType]:
    yield words(f"  {when} at step {d.step}, line {d.line}: {d.op} by {d.process}, under {policy}")
    short = [(name, cut(model), cut(kernel)) for name, model, kernel in differing(d)]
    yield TextTable(["", "model", "kernel"], 3, short, indent=2)
    yield ""


def cut(text: str) -> str:
    """What a report shows of a long text."""
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def differing(difference: Difference) -> Iterator[tuple[str, str, str]]:
    """Everything that differs: its name, what the model says of it and what the kernel."""
    model, kernel = difference.model, difference.kernel
    if model.errno != kernel.errno:
        yield "errno", model.errno or "none", kernel.errno or "none"
    for counter, count in model.counters.items():
        yield counter, str(count), str(kernel.counters[counter])
    maps = dict.fromkeys([*_codes(model.pages), *_codes(kernel.pages)])
    for process, region in maps:
        name = f"pages of {process}, {region}"
        yield name, _code(model.pages, process, region), _code(kernel.pages, process, region)
    if model.scan or kernel.scan:
        yield "scan", model.scan or "none", kernel.scan or "none"


def _codes(pages: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    return ((process, region) for process, regions in pages.items() for region in regions)


def _code(pages: Mapping[str, Mapping[str, str]], process: str, region: str) -> str:
    return pages.get(process, {}).get(region, "not mapped")


VERBS: Final[Mapping[Status, str]] = {
    Status.AGREES: "agree",
    Status.DIFFERS: "differ",
    Status.FAILED: "failed",
    Status.UNSTEADY: "unsteady",
    Status.SKIPPED: "skipped",
    Status.NOT_RUN: "not run",
}
"""How a summary says it, in its order."""

ALWAYS: Final = {Status.AGREES, Status.DIFFERS, Status.SKIPPED}
"""What a summary says even of none."""


def _summary(run: KernelRun) -> Text:
    counts = Counter(verdict.status for verdict in run.verdicts)
    policies = dict.fromkeys(v.policy for v in run.verdicts if v.policy is not None)
    under = f" under {', '.join(policies)}" if policies else ""
    said = [f"{counts[s]} {verb}" for s, verb in VERBS.items() if counts[s] or s in ALWAYS]
    worst = next((s for s in WORST_FIRST if counts[s]), Status.AGREES)
    return words(f"{_title(run)}{under}: {', '.join(said)}", style(worst))


WORST_FIRST: Final = (Status.DIFFERS, Status.FAILED, Status.NOT_RUN, Status.UNSTEADY)
"""What gives a summary its colour; what was skipped does not."""


def ktap(runs: Sequence[KernelRun]) -> str:
    """A test for each scenario; several kernels are tests with subtests."""
    if len(runs) == 1:
        return written(_tests(runs[0]))
    return written([_kernel(run) for run in runs])


def _kernel(run: KernelRun) -> Test:
    passes = all(_passes(verdict.status) for verdict in run.verdicts)
    return Test(_title(run), passes, subtests=_tests(run))


def _tests(run: KernelRun) -> list[Test]:
    return [
        Test(v.name, _passes(v.status), _directive(v), tuple(_diagnostics(v))) for v in run.verdicts
    ]


def _passes(status: Status) -> bool:
    """Whether KTAP calls it `ok`, as it does what is skipped."""
    match status:
        case Status.AGREES | Status.SKIPPED:
            return True
        case Status.DIFFERS | Status.FAILED | Status.UNSTEADY | Status.NOT_RUN:
            return False


def _directive(verdict: Verdict) -> str:
    """The two of KTAP that say that nothing was tested."""
    match verdict.status:
        case Status.SKIPPED:
            return f"SKIP {verdict.reason or ''}"
        case Status.NOT_RUN:
            return f"ERROR {verdict.reason or ''}"
        case Status.AGREES | Status.DIFFERS | Status.FAILED | Status.UNSTEADY:
            return ""


def _diagnostics(verdict: Verdict) -> Iterator[str]:
    """Its status, and all that is known of it."""
    if _passes(verdict.status):
        return
    yield ": ".join([verdict.name, verdict.status, *_reasons(verdict)])
    if verdict.elsewhere and verdict.first_difference is not None:
        yield f"{verdict.name}: {_elsewhere(verdict)}"
    yield from _compared(verdict.name, "first", verdict.first_difference)
    if verdict.repetition is not None:
        again = verdict.repetition.first_difference
        yield from _compared(verdict.name, "when repeated, first", again)


def _compared(name: str, when: str, d: Difference | None) -> Iterator[str]:
    if d is not None:
        yield f"{name}: {when} at step {d.step}, line {d.line}: {d.op} by {d.process}"
        for what, model, kernel in differing(d):
            yield f"{what}: model {cut(model)}, kernel {cut(kernel)}"
