"""`sweep --plot`: counters over one axis of a grid, a line for each policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from swaptrace.errors import SwaptraceError
from swaptrace.report.plot import STYLES, pictured, whole_ticks
from swaptrace.result.changes import TOTAL
from swaptrace.result.swept import MISS_RATIO, Swept, SweptAxis, SweptCell

MOST_PANELS: Final = 60

MOST_TICKS: Final = 4

SIZES: Final = ("", "KiB", "MiB", "GiB", "TiB")

LABELS: Final[Mapping[str, str]] = {MISS_RATIO: "miss ratio"}


class WantedCurves(NamedTuple):
    """What is drawn: which counters of which window, over which axis ("": the first of numbers)."""

    counters: tuple[str, ...]
    window: str = TOTAL
    over: str = ""


def curves(swept: Swept, wanted: WantedCurves, kind: str) -> bytes:
    """A picture as `svg` or `png`: a row for each counter, a panel for each combination of the
    other axes' values. Raises `SwaptraceError` where it would have too many panels."""
    axis = axis_drawn(swept.axes, wanted.over)
    rest = [each for each in swept.axes if each is not axis]
    groups = grouped(swept, rest)
    if len(groups) * len(wanted.counters) > MOST_PANELS:
        raise SwaptraceError(
            f"--plot: {len(groups) * len(wanted.counters)} panels are more than anybody looks at "
            f"(at most {MOST_PANELS}); choose fewer values of {', '.join(a.key for a in rest)}"
        )

    def draw() -> Any:
        from matplotlib.figure import Figure

        size = (4.8 * len(groups), 3.4 * len(wanted.counters) + 0.4)
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(title(swept, wanted))
        grid = figure.subplots(len(wanted.counters), len(groups), squeeze=False, sharey="row")
        for panels, counter in zip(grid, wanted.counters, strict=True):
            for panel, (name, cells) in zip(panels, groups.items(), strict=True):
                draw_panel(panel, swept, axis, cells, counter, wanted.window)
                panel.set_title(name)
            panels[0].set_ylabel(LABELS.get(counter, counter))
            # The panels of a row have one scale, which all of them have to be drawn for first.
            panels[0].set_ylim(bottom=0)
        grid[0][0].legend()
        return figure

    return pictured(draw, kind)


def title(swept: Swept, wanted: WantedCurves) -> str:
    """What the picture is called."""
    return swept.name if wanted.window == TOTAL else f"{swept.name}, window {wanted.window}"


def axis_drawn(axes: Sequence[SweptAxis], over: str) -> SweptAxis:
    """The axis that the picture goes along."""
    if over:
        return next(axis for axis in axes if axis.key == over)
    return next((axis for axis in axes if axis.is_number), axes[0])


def grouped(swept: Swept, rest: Sequence[SweptAxis]) -> dict[str, list[SweptCell]]:
    """The cells of each panel, by the values of the other axes."""
    at = [swept.axes.index(axis) for axis in rest]
    groups: dict[str, list[SweptCell]] = {}
    for cell in swept.cells:
        values = (f"{axis.name}={cell.values[n]}" for axis, n in zip(rest, at, strict=True))
        groups.setdefault(", ".join(values), []).append(cell)
    return groups


def draw_panel(
    panel: Any,
    swept: Swept,
    axis: SweptAxis,
    cells: Sequence[SweptCell],
    counter: str,
    window: str,
) -> None:
    """One panel; what was killed leaves a gap."""
    at = swept.axes.index(axis)
    for number, policy in enumerate(swept.policies):
        own = [cell for cell in cells if cell.policy == policy]
        if axis.is_number:
            own.sort(key=lambda cell: cell.number(axis.key))
            x: list[Any] = [place(axis, cell, at) for cell in own]
        else:
            x = [cell.values[at] for cell in own]
        values = [cell.value(counter, window) for cell in own]
        y = [float("nan") if value is None else value for value in values]
        style = STYLES[number % len(STYLES)] if axis.is_number else ""
        panel.plot(x, y, style, marker="o", markersize=4, label=policy)
    if axis.ratios:
        panel.set_xscale("log", base=2)
    if axis.shares:
        panel.xaxis.set_major_formatter(lambda value, _at: f"{value:g}%")
    elif axis.is_size:
        sized(panel, axis, [cell.number(axis.key) for cell in cells])
    panel.set_xlabel(axis.name + (", share of the working set" if axis.shares else ""))
    if counter != MISS_RATIO:
        whole_ticks(panel)


def sized(panel: Any, axis: SweptAxis, sizes: Sequence[int]) -> None:
    """Ticks at multiples of a power of two, few enough to be read."""
    from matplotlib.ticker import MultipleLocator

    panel.xaxis.set_major_formatter(lambda value, _at: size_text(value))
    if not axis.ratios:
        panel.xaxis.set_major_locator(MultipleLocator(tick_step(min(sizes), max(sizes))))


def tick_step(least: int, most: int) -> int:
    """How far ticks are apart between two sizes, or around one."""
    step = 1
    while (most - least or most) > MOST_TICKS * step:
        step *= 2
    return step


def place(axis: SweptAxis, cell: SweptCell, at: int) -> float:
    """Where a cell lies on an axis of numbers: at its share, or at its number."""
    return float(cell.values[at].rstrip("%")) if axis.shares else float(cell.number(axis.key))


def size_text(value: float) -> str:
    """A size as a tick shows it."""
    unit = 0
    while value >= 1024 and unit < len(SIZES) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.4g}{SIZES[unit]}"
