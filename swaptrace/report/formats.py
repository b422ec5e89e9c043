"""The formats of `run`, `compare` and `diff`, apart from tables on a terminal: one list.

What makes a format is imported when it is asked for; the command line takes the names from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from swaptrace.report.reports import Report

FORMATS: Final[Mapping[str, str]] = {
    "json": "json",
    "markdown": "markdown",
    "text": "plain",
    "html": "page",
    "csv": "comma_separated",
    "github-benchmark": "github_benchmark",
    "ktap": "ktap",
    "junit": "junit",
}
"""The function that makes each, in the module of this package that is called as the format is."""


def render(fmt: str, report: Report) -> str:
    """The report in a format that does not depend on the terminal."""
    module = import_module(f"swaptrace.report.{fmt.replace('-', '_')}")
    make: Callable[[Report], str] = getattr(module, FORMATS[fmt])
    return make(report)
