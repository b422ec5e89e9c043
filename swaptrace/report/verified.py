"""What a comparison with kernels comes to, as tables and as KTAP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from swaptrace.errors import printable
from swaptrace.report.layout import Cell, FirstFit, Indented, Table, words
from swaptrace.verify.verdict import Difference, Run, Verdict

STYLES: Final = {"agrees": "green", "differs": "bold red", "skipped": "yellow"}

MAX_SHOWN: Final = 400
"""How much of a page map a report shows at most; JSON has all of it."""


def verify_report(runs: Sequence[Run], *, only_notable: bool = False) -> RenderableType:
    """A row for each scenario and a column for each kernel; below it every reason and difference.

    `only_notable` leaves out the rows of scenarios that agree everywhere.
    """
    return Group(*_report(runs, only_notable))


def _report(runs: Sequence[Run], only_notable: bool) -> Iterator[RenderableType]:
    rows = [row for row in zip(*(run.verdicts for run in runs), strict=True) if row]
    if only_notable:
        rows = [row for row in rows if any(_notable(verdict) for verdict in row)]
    if rows:
        yield FirstFit(lambda: [_table(runs, rows)], lambda: _each(runs, rows))
        yield ""
    for index, head in enumerate(_heads(runs)):
        for row in rows:
            yield from _explained(row[index], head if len(runs) > 1 else None)
    for run in runs:
        yield _summary(run)


def _notable(verdict: Verdict) -> bool:
    return verdict.status != "agrees" or verdict.reason is not None


def _table(runs: Sequence[Run], rows: Sequence[tuple[Verdict, ...]]) -> Table:
    header = ["scenario", *_heads(runs)]
    return Table(header, len(header), map(_row, rows))


def _row(verdicts: Sequence[Verdict]) -> list[str | Cell]:
    return [verdicts[0].name, *(Cell(v.status, STYLES[v.status]) for v in verdicts)]


def _each(runs: Sequence[Run], rows: Sequence[tuple[Verdict, ...]]) -> Iterator[RenderableType]:
    """The same where the table is too wide."""
    heads = _heads(runs)
    for row in rows:
        yield words(row[0].name, "bold")
        for head, verdict in zip(heads, row, strict=True):
            yield Indented(words(f"{head}: {verdict.status}", STYLES[verdict.status]))


def _heads(runs: Sequence[Run]) -> list[str]:
    """What columns are called: of several kernels by release, which is short, if all differ."""
    releases = [run.kernel for run in runs if run.kernel is not None]
    if len(runs) > 1 and len(set(releases)) == len(runs):
        return releases
    return [_title(run) for run in runs]


def _title(run: Run) -> str:
    return run.place if run.kernel is None else f"{run.place}, {run.kernel}"


def _explained(verdict: Verdict, kernel: str | None) -> Iterator[RenderableType]:
    """Why a scenario was skipped, or what differs; the kernel is named if there are several."""
    where = "" if kernel is None else f" on {kernel}"
    head = f"{verdict.status}: {verdict.name}{where}"
    if verdict.reason is not None:
        yield words(f"{head}: {verdict.reason}", STYLES[verdict.status])
    if verdict.first_difference is not None:
        if verdict.reason is None:
            yield words(head, STYLES[verdict.status])
        yield from _difference(verdict.first_difference, verdict.policy)


def _difference(difference: Difference, policy: str | None) -> Iterator[RenderableType]:
    d = difference
    yield words(f"  first at step {d.step}, line {d.line}: {d.op} by {d.process}, under {policy}")
    rows = list(differing(d))
    short = [(name, _cut(model), _cut(kernel)) for name, model, kernel in rows]
    yield Table(["", "model", "kernel"], 3, short, indent=2)
    yield ""


def _cut(text: str) -> str:
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


def _codes(pages: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    return ((process, region) for process, regions in pages.items() for region in regions)


def _code(pages: Mapping[str, Mapping[str, str]], process: str, region: str) -> str:
    return pages.get(process, {}).get(region, "not mapped")


def _summary(run: Run) -> Text:
    counts = Counter(verdict.status for verdict in run.verdicts)
    policies = dict.fromkeys(v.policy for v in run.verdicts if v.policy is not None)
    under = f" under {', '.join(policies)}" if policies else ""
    agree, differ, skip = counts["agrees"], counts["differs"], counts["skipped"]
    once = sum(v.status == "agrees" and v.reason is not None for v in run.verdicts)
    noise = f" ({once} only when repeated)" if once else ""
    text = f"{_title(run)}{under}: {agree} agree{noise}, {differ} differ, {skip} skipped"
    return words(text, STYLES["differs" if differ else "agrees"])


def ktap(runs: Sequence[Run]) -> str:
    """KTAP version 1 (Documentation/dev-tools/ktap.rst); several kernels are nested tests."""
    if len(runs) == 1:
        return "\n".join(_ktap_run(runs[0])) + "\n"
    lines = ["KTAP version 1", f"1..{len(runs)}"]
    for number, run in enumerate(runs, start=1):
        version, *rest = _ktap_run(run)
        inner = [version, f"# Subtest: {_name(_title(run))}", *rest]
        lines += [f"  {line}" for line in inner]
        failed = any(verdict.status == "differs" for verdict in run.verdicts)
        lines.append(f"{'not ok' if failed else 'ok'} {number} {_name(_title(run))}")
    return "\n".join(lines) + "\n"


def _ktap_run(run: Run) -> Iterator[str]:
    yield "KTAP version 1"
    yield f"1..{len(run.verdicts)}"
    for number, verdict in enumerate(run.verdicts, start=1):
        yield from (f"# {printable(line)}" for line in _diagnostics(verdict))
        result = "not ok" if verdict.status == "differs" else "ok"
        skip = f" # SKIP {printable(verdict.reason or '')}" if verdict.status == "skipped" else ""
        yield f"{result} {number} {_name(verdict.name)}{skip}"


def _diagnostics(verdict: Verdict) -> Iterator[str]:
    if verdict.status != "skipped" and verdict.reason is not None:
        yield f"{verdict.name}: {verdict.reason}"
    if verdict.first_difference is not None:
        d = verdict.first_difference
        yield f"{verdict.name}: first at step {d.step}, line {d.line}: {d.op} by {d.process}"
        for name, model, kernel in differing(d):
            yield f"{name}: model {_cut(model)}, kernel {_cut(kernel)}"


def _name(text: str) -> str:
    """A test's name has no `#`, which begins a directive."""
    return printable(text).replace("#", "_")
