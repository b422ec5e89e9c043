"""The formats of `run`, `compare` and `diff`, apart from tables on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from swaptrace.report.diff import diff_json
from swaptrace.report.reports import Differed, Report
from swaptrace.result.result import to_json


def render(fmt: str, report: Report) -> str:
    """The report in a format that does not depend on the terminal."""
    return FORMATS[fmt](report)


def _json(report: Report) -> str:
    if isinstance(report, Differed):
        return diff_json(report.diff, report.everything)
    return to_json(report.result)


def _markdown(report: Report) -> str:
    from swaptrace.report.markdown import markdown

    return markdown(report)


def _text(report: Report) -> str:
    from swaptrace.report.text import plain

    return plain(report)


def _csv(report: Report) -> str:
    from swaptrace.report.csv import comma_separated

    return comma_separated(report)


def _github_benchmark(report: Report) -> str:
    from swaptrace.report.benchmark import github_benchmark

    return github_benchmark(report)


def _ktap(report: Report) -> str:
    from swaptrace.report.ktap import ktap

    return ktap(report)


def _junit(report: Report) -> str:
    from swaptrace.report.junit import junit

    return junit(report)


FORMATS: Final[Mapping[str, Callable[[Report], str]]] = {
    "json": _json,
    "markdown": _markdown,
    "text": _text,
    "csv": _csv,
    "github-benchmark": _github_benchmark,
    "ktap": _ktap,
    "junit": _junit,
}
