"""`--plot`: counts along long steps, or by steps or windows, drawn by matplotlib (extra `plot`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any, Final, NamedTuple

from swaptrace.errors import SwaptraceError
from swaptrace.report.checkpoints import LongStep, long_steps
from swaptrace.result.changes import counters_in, used, windows_of
from swaptrace.result.result import Counters, Result, ScenarioResult

SHOWN: Final = ("majflt", "minflt", "pswpin", "pswpout", "zswpin", "zswpout")
"""The counters that get a panel although all policies agree, where they are not 0 throughout."""

PANELS: Final = 6
"""How many counters have one at most."""

COLUMNS: Final = 3
"""How many of them stand side by side."""

TICKS: Final = 20
"""How many steps are named below a panel at most."""

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


def pictured(draw: Callable[[], Any], kind: str) -> bytes:
    """What `draw` makes, a figure, as `svg` or `png`: the same picture from the same counts."""
    import matplotlib

    # A matplotlibrc in the current directory can have TeX run; nothing of it is taken.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        figure, picture = draw(), BytesIO()
        metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(picture, format=kind, dpi=120, metadata=metadata)
    return picture.getvalue()


def whole_ticks(panel: Any) -> None:
    """Counts are whole numbers, and so is what stands beside them."""
    from matplotlib.ticker import MaxNLocator

    panel.yaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))


class PlotStrip(NamedTuple):
    """A part of a picture: a panel for each of `counters`, of which `draw` makes one."""

    title: str
    counters: Sequence[str]
    draw: Callable[[Any, str], None]


def drawn(result: Result, kind: str) -> bytes:
    """A picture as `svg` or `png`: of every long step panels of curves, of a scenario without one
    panels of bars, by its steps where the result has them, else by its windows."""
    strips = [strip for scenario in result.scenarios for strip in _strips(scenario)]

    def draw() -> Any:
        from matplotlib.figure import Figure

        columns = min(COLUMNS, max(len(strip.counters) for strip in strips))
        rows = [-(-len(strip.counters) // columns) for strip in strips]
        size = 4.5 * columns, 3.2 * sum(rows) + 0.3 * len(strips)
        figure = Figure(figsize=size, layout="constrained")
        parts = figure.subfigures(len(strips), 1, squeeze=False, height_ratios=rows)
        for (part,), strip, high in zip(parts, strips, rows, strict=True):
            _draw(part, strip, high, columns)
        return figure

    return pictured(draw, kind)


def _draw(part: Any, strip: PlotStrip, rows: int, columns: int) -> None:
    """The panels of a part of the picture, below its title."""
    part.suptitle(strip.title)
    panels = part.subplots(rows, columns, squeeze=False).flat
    for number, panel in enumerate(panels):
        if number >= len(strip.counters):
            panel.set_axis_off()
            continue
        strip.draw(panel, strip.counters[number])
        panel.set_title(strip.counters[number])
        panel.set_ylim(bottom=0)
        whole_ticks(panel)
    panels[0].legend()


def _strips(scenario: ScenarioResult) -> Iterator[PlotStrip]:
    long = long_steps(scenario)
    for step in long:
        yield _curves(scenario.name, step)
    if not long:
        yield _bars(scenario)


def chosen(series: Sequence[Sequence[Mapping[str, int]]]) -> list[str]:
    """The counters that get a panel, those first in which two policies differ somewhere; `series`
    has for each policy what it has counted at each place."""
    seen = used(counters for each in series for counters in each)

    def column(counter: str, each: Sequence[Mapping[str, int]]) -> list[int]:
        return [counters.get(counter, 0) for counters in each]

    differ = [
        counter for counter in seen if len({tuple(column(counter, each)) for each in series}) > 1
    ]
    alike = [c for c in SHOWN if c in seen and any(any(column(c, each)) for each in series)]
    wanted = dict.fromkeys([*differ, *alike])
    return list(wanted)[:PANELS] or ["majflt"]


def _curves(name: str, step: LongStep) -> PlotStrip:
    def draw(panel: Any, counter: str) -> None:
        for number, (policy, points) in enumerate(step.points.items()):
            x = [0, *(point.accesses for point in points)]
            y = [0, *(point.counters.get(counter, 0) for point in points)]
            panel.plot(x, y, STYLES[number % len(STYLES)], label=policy)
        panel.set_xlabel("accesses")

    counters = chosen([[each.counters for each in points] for points in step.points.values()])
    return PlotStrip(f"{name}, {step.title}", counters, draw)


def _bars(scenario: ScenarioResult) -> PlotStrip:
    policies = list(scenario.policies)
    places, what = _places(scenario)

    def draw(panel: Any, counter: str) -> None:
        width = 0.8 / len(policies)
        for number, policy in enumerate(policies):
            x = [place - 0.4 + width * (number + 0.5) for place in range(len(places))]
            y = [counts[number].get(counter, 0) for counts in places.values()]
            panel.bar(x, y, width, label=policy)
        every = -(-len(places) // TICKS)
        panel.set_xticks(range(0, len(places), every), [*places][::every], rotation=30, ha="right")
        panel.set_xlabel(what)

    series = [[counts[number] for counts in places.values()] for number in range(len(policies))]
    return PlotStrip(scenario.name, chosen(series), draw)


def _places(scenario: ScenarioResult) -> tuple[dict[str, list[Counters]], str]:
    """What each policy counts at each place that has a bar, and what these are."""
    results = list(scenario.policies.values())
    if all(each.steps for each in results):
        paths = dict.fromkeys(step.step for each in results for step in each.steps or ())
        steps = [{step.step: step.counters for step in each.steps or ()} for each in results]
        return {path: [each.get(path, {}) for each in steps] for path in paths}, "step"
    windows = windows_of(results)
    return {label: [counters_in(each, label) for each in results] for label in windows}, "window"
