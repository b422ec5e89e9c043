"""What each command reports, as a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from rich.console import RenderableType

from swaptrace.report.compare import all_equal, compare_report
from swaptrace.report.diff import diff_report
from swaptrace.report.explain import explain_report
from swaptrace.report.explore import explore_report
from swaptrace.report.glossary import beneath
from swaptrace.report.html.bars import BarChart, Pair, bar_chart
from swaptrace.report.html.blocks import HtmlBlock, blocks
from swaptrace.report.html.kernelmaps import FirstDifference, first_differences
from swaptrace.report.html.rendering import render
from swaptrace.report.html.scenes import Scene, scene
from swaptrace.report.reports import (
    SHOWN,
    CompareReport,
    DiffReport,
    Report,
    RunReport,
    beside_baseline,
)
from swaptrace.report.run import run_report
from swaptrace.report.verify import verify_report
from swaptrace.result.differences import Diff
from swaptrace.result.explanation import Explanation
from swaptrace.result.explored import Explored, ExploredLine
from swaptrace.result.result import Result, ScenarioResult
from swaptrace.result.verdict import KernelRun

SHOWN_OPEN = 3
"""Up to so many scenarios are open when the page is; of `compare`, those that differ."""


class DocumentItem(NamedTuple):
    """A part of the page: a scenario, or a sequence that was found.

    `tone` is good, warn, bad or nothing; `verdict` says it in words. What is `notable` comes first
    and is what remains when the reader asks for that alone.
    """

    key: str
    title: str
    note: str
    tone: str
    verdict: str
    notable: bool
    blocks: tuple[HtmlBlock, ...]
    scene: Scene | None = None


def page(report: Report) -> str:
    """The page of `run`, `compare` or `diff`."""
    above = [
        HtmlBlock("line", str(each), "bad") for each in report.findings if each.kind not in SHOWN
    ]
    match report:
        case RunReport(result, against=against):
            below = list(blocks(beside_baseline(against))) if against else []
            return _scenarios("run", report, result, above, below)
        case CompareReport(result):
            return _scenarios("compare", report, result, above, [])
        case DiffReport(diff, everything=everything):
            title = f"{diff.old.source} and {diff.new.source}"
            shown = blocks(diff_report(diff, everything), titled=False)
            changes = bar_chart("Changes as bars", _names(diff), _pairs(diff))
            return _page("diff", title, (*above, *shown), (), changes=changes)


def explanation_page(explanation: Explanation, result: Result) -> str:
    """The page of `explain`; `result` is of the same scenario and policy, with its history."""
    (scenario,) = result.scenarios
    shown = blocks(explain_report(explanation), titled=False)
    first = explanation.steps[0].step if explanation.steps else ""
    drawn = scene(scenario)
    if drawn is not None:
        at = next((i for i, step in enumerate(drawn.steps) if step.path == first), drawn.start)
        drawn = drawn._replace(start=at)
    item = DocumentItem(
        "s1", scenario.name, scenario.file, "", explanation.policy, False, shown, drawn
    )
    return _page("explain", f"{scenario.name} under {explanation.policy}", (), [item])


def exploration_page(explored: Explored) -> str:
    """The page of `explore`: what was found and, of each kind, a sequence that shows it."""
    items = [_sequence(f"s{number}", line) for number, line in enumerate(explored.lines, 1)]
    shown = blocks(explore_report(explored), titled=False)
    return _page("explore", " and ".join(explored.policies), shown, items)


def _sequence(key: str, line: ExploredLine) -> DocumentItem:
    values = ", ".join(f"{name} {value}" for name, value in line.values.items())
    said = [HtmlBlock("line", line.sequence)]
    if line.file is not None:
        said.append(
            HtmlBlock("lines", f"swaptrace run {line.file} --policies {','.join(line.values)}")
        )
    drawn = None if line.replayed is None else scene(line.replayed)
    return DocumentItem(key, line.title, line.file or "", "bad", values, True, tuple(said), drawn)


def verification_page(runs: Sequence[KernelRun], only_notable: bool) -> str:
    """The page of `verify`."""
    title = ", ".join(run.kernel or run.place for run in runs)
    shown = blocks(verify_report(runs, only_notable=only_notable))
    return _page("verify", title, shown, (), differences=tuple(first_differences(runs)))


def _names(diff: Diff) -> tuple[str, str]:
    return diff.old.source, diff.new.source


def _pairs(diff: Diff) -> Iterator[Pair]:
    for row in diff.changed:
        place = f"{row.scenario}, {row.policy}, {row.change.window}"
        yield Pair(row.change.counter, place, row.change.old, row.change.new)


def _scenarios(
    command: str,
    report: RunReport | CompareReport,
    result: Result,
    above: Iterable[HtmlBlock],
    below: Iterable[HtmlBlock],
) -> str:
    """The scenarios; of `compare` those that differ come first."""
    found = [
        _scenario(f"s{number}", scenario, report)
        for number, scenario in enumerate(result.scenarios, 1)
    ]
    if isinstance(report, CompareReport):
        found.sort(key=lambda item: not item.notable)
    glossary = blocks(beneath(result)) if report.verbose else ()
    summary = list(_summary(found, report))
    title = result.scenarios[0].name if len(found) == 1 else f"{len(found)} scenarios"
    policies = dict.fromkeys(name for each in result.scenarios for name in each.policies)
    under = " under " if isinstance(report, RunReport) else " compared: "
    return _page(
        command,
        f"{title}{under}{', '.join(policies)}",
        (*summary, *above),
        found,
        (*below, *glossary),
    )


def _summary(
    found: Sequence[DocumentItem], report: RunReport | CompareReport
) -> Iterator[HtmlBlock]:
    if isinstance(report, CompareReport):
        differ = sum(item.notable for item in found)
        yield HtmlBlock(
            "line", f"{differ} of {len(found)} differ between policies or break a promise"
        )
    failed = sum(item.tone == "bad" for item in found)
    if failed:
        yield HtmlBlock("line", f"{failed} of {len(found)} with violations or failures", "bad")


def _scenario(
    key: str, scenario: ScenarioResult, report: RunReport | CompareReport
) -> DocumentItem:
    alone = replace(report.result, scenarios=(scenario,))
    shown: RenderableType = run_report(alone)
    equal = all_equal(scenario)
    if isinstance(report, CompareReport):
        shown = compare_report(alone)
    broken = [v for policy in scenario.policies.values() for v in policy.violations]
    failed = [each for each in report.findings if each.scenario == scenario.name]
    words = []
    kinds = dict.fromkeys(each.kind for each in broken)
    if kinds:
        words.append(", ".join(kinds))
    if failed:
        words.append("fails")
    if isinstance(report, CompareReport):
        words.append("equal" if equal else "differs")
    bad = bool(failed) or any(not each.is_warning for each in broken)
    tone = "bad" if bad else "warn" if broken else "good" if scenario.expectations else ""
    notable = bad or bool(broken) or (isinstance(report, CompareReport) and not equal)
    verdict = "; ".join(words) or ("as expected" if scenario.expectations else "")
    drawn = scene(scenario)
    found = blocks(shown, titled=False)
    return DocumentItem(key, scenario.name, scenario.file, tone, verdict, notable, found, drawn)


def _page(
    command: str,
    title: str,
    above: Iterable[HtmlBlock],
    items: Sequence[DocumentItem],
    below: Iterable[HtmlBlock] = (),
    *,
    changes: BarChart | None = None,
    differences: Sequence[FirstDifference] = (),
) -> str:
    drawn = [item.scene for item in items if item.scene is not None]
    pictured = chain((s.drawings for s in drawn), (each.drawings for each in differences))
    drawings = dict.fromkeys(chain.from_iterable(pictured))
    return render(
        "page.html",
        drawings={drawing: number for number, drawing in enumerate(drawings, 1)},
        command=command,
        title=title,
        above=tuple(above),
        changes=changes,
        differences=differences,
        items=items,
        below=tuple(below),
        opened=len(items) <= SHOWN_OPEN or command == "explore",
        folded=len(items) > 1 and command == "compare",
    )
