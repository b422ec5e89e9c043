"""`--plot`: the counts of long steps along the way, drawn by matplotlib (the extra `plot`)."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final

from swaptrace.errors import SwaptraceError
from swaptrace.report.checkpoints import LongStep, long_steps
from swaptrace.result.result import Result

SHOWN: Final = ("majflt", "minflt", "pswpin", "pswpout", "zswpin", "zswpout")
"""The counters that get a panel each, where they are not 0 throughout."""

STYLES: Final = ("-", "--", "-.", ":")
"""Policies often lie on top of each other: a dashed line lets the one below show."""


SETTINGS: Final[Any] = {
    "svg.hashsalt": "swaptrace",
    "svg.fonttype": "none",
    "text.usetex": False,
    "text.parse_math": False,
}
"""Names of a scenario are text: neither TeX nor mathematics."""


def check_library() -> None:
    """Find out before the work whether it can be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise SwaptraceError(
            "--plot draws with matplotlib, which is not installed; install the extra 'plot'"
        ) from error


def drawn(result: Result, kind: str) -> bytes:
    """A picture of every long step, as `svg` or `png`: a row each, a panel for each counter.

    Raises `SwaptraceError` where there is none.
    """
    rows = [(scenario.name, step) for scenario in result.scenarios for step in long_steps(scenario)]
    if not rows:
        raise SwaptraceError("--plot: there is no access or trace step to draw")
    import matplotlib
    from matplotlib.figure import Figure

    columns = max(len(counters_of(step)) for _, step in rows)
    # The same picture from the same counts, so that it can be kept and compared.
    # A matplotlibrc in the current directory can have TeX run; nothing of it is taken.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        figure = Figure(figsize=(4.5 * columns, 3.2 * len(rows)), layout="constrained")
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for panels, (name, step) in zip(grid, rows, strict=True):
            draw_step(panels, f"{name}, {step.title}", step)
        picture = BytesIO()
        metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(picture, format=kind, dpi=120, metadata=metadata)
    return picture.getvalue()


def counters_of(step: LongStep) -> list[str]:
    """What is drawn of a step."""
    return [counter for counter in SHOWN if counter in step.counters] or ["majflt"]


def draw_step(panels: Sequence[Any], title: str, step: LongStep) -> None:
    """The panels of one step; those that it does not need are blank."""
    counters = counters_of(step)
    for panel in panels[len(counters) :]:
        panel.set_axis_off()
    for panel, counter in zip(panels, counters, strict=False):
        for number, (policy, points) in enumerate(step.points.items()):
            x = [0, *(point.accesses for point in points)]
            y = [0, *(point.counters.get(counter, 0) for point in points)]
            panel.plot(x, y, STYLES[number % len(STYLES)], label=policy)
        panel.set_title(counter)
        panel.set_xlabel("accesses")
        panel.set_ylim(bottom=0)
    panels[0].set_ylabel(title)
    panels[0].legend()
