"""The `machine:` section and the overrides of the command line, merged into a `Machine`.

Every setting is known by its path below `machine`, as `swap.backend`. What the kernel
implies comes first, then the file, then the overrides, whichever of them names the kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Map
from dataclasses import fields, replace
from typing import Any, Final, cast, get_args

from swaptrace.backends import NO_SWAP
from swaptrace.errors import nearest, quote, shorten
from swaptrace.scenario.hardware import KERNEL_DEFAULTS, LIMITED, Machine, Swap
from swaptrace.scenario.nodes import MappingNode, Node, Scalar, a_kind, known_entries
from swaptrace.scenario.schema import Scenario
from swaptrace.scenario.source import Report, SourceMark, SourceText, blamed
from swaptrace.scenario.thp import OF_LARGE_FOLIOS, Thp, ThpKey, ThpSize
from swaptrace.scenario.values import (
    BACKEND,
    HUGE_PAGES,
    KERNEL,
    LENGTH,
    MAX_PAGE_CLUSTER,
    OFFSET,
    RECLAIM,
    THP_ENABLED,
    THP_INHERITED,
    THP_SIZE,
    Reader,
    boolean,
    human,
    integer,
    page_size,
    period,
    read,
)

READERS: Final[Map[str, Reader[Any]]] = {
    "kernel": KERNEL,
    "page_size": page_size,
    **{f.name: boolean for f in fields(Machine) if f.type == "bool"},
    "swap.backend": BACKEND,
    "swap.size": LENGTH,
    "swap.page_cluster": integer(0, MAX_PAGE_CLUSTER),
    "swap_max": LENGTH,
    "thp.enabled": THP_INHERITED,
    **{f"thp.{size}": THP_ENABLED for size in get_args(ThpSize)},
    "memlock": OFFSET,
    "hugepages": HUGE_PAGES,
    "memory": LENGTH,
    "reclaim": RECLAIM,
    "stat_flush": period,
    "lru_drain": period,
}
PERIODS: Final = tuple(path for path, reader in READERS.items() if reader is period)
KEYS: Final = tuple(f.name for f in fields(Machine))
SWAP_KEYS: Final = tuple(f.name for f in fields(Swap))
THP_KEYS: Final[tuple[str, ...]] = ("enabled", *get_args(ThpSize))
SECTIONS: Final[Map[str, tuple[str, ...]]] = {"swap": SWAP_KEYS, "thp": THP_KEYS}
"""The keys that are mappings themselves, or one value in short (`in_short`)."""
PREFIX: Final = "machine."


def read_machine(
    node: Node | None, overrides: Map[str, str], report: Report
) -> tuple[Machine, dict[str, SourceMark]]:
    """The machine, and where what of it is said; one whose page size was given wrong has pages of
    1 byte, which fit all."""
    settings = list(of_file(node, report)) if node is not None else []
    return settled({}, {}, [*settings, *of_overrides(overrides, report)], report)


def overridden(
    scenario: Scenario, overrides: Map[str, str], report: Report
) -> tuple[Machine, dict[str, SourceMark]]:
    """The machine that a scenario would have been given with further overrides, and where what of
    it is said. They must leave its page size alone, which steps depend on."""
    said = {path: setting_of(scenario.machine, path) for path in scenario.said}
    return settled(said, scenario.said, of_overrides(overrides, report), report)


def setting_of(machine: Machine, path: str) -> Any:
    """The value of a setting by its path."""
    whole: Any = machine
    if path.startswith("thp."):
        return dict(machine.thp)[cast("ThpKey", path[4:])]
    for name in path.split("."):
        whole = getattr(whole, name)
    return whole


def settled(
    said: Map[str, Any],
    where: Map[str, SourceMark],
    settings: Iterable[tuple[str, Node]],
    report: Report,
) -> tuple[Machine, dict[str, SourceMark]]:
    """The machine of what was said before, `where`, and of further settings, where it makes
    sense."""
    values: dict[str, Any] = dict(said)
    marks = dict(where)
    for path, setting in settings:
        otherwise = 1 if path == "page_size" else None
        value = read(report, setting, path, READERS[path], otherwise)
        if value is not None:
            values[path], marks[path] = value, setting.mark
    machine = build(values)
    if machine.swap.size % machine.page_size:
        text = f"{human(machine.swap.size)} is not a multiple of the page size"
        report.add(marks["swap.size"], f"swap.size: {text}, {human(machine.page_size)}")
    if machine.swap.backend == NO_SWAP:
        check_without_swap(machine, marks, report)
    if machine.memory is not None and machine.memory < machine.page_size:
        report.add(marks["memory"], "memory: not even one page fits into this limit")
    if machine.swap_max is not None:
        report_swap_max(machine, marks, report)
    if machine.unmodelled is not None:
        add(report, marks, machine.unmodelled.keys, str(machine.unmodelled))
    if machine.hugepages and machine.unfit_for_huge_pages:
        message = "are modelled only with a page_size of 4KiB and hw_dirty, and without memory"
        keys = ("hugepages", *machine.unfit_for_huge_pages)
        add(report, marks, keys, f"hugepages: huge pages {message}, thp and lru_batch")
    inheriting = [path for path in values if path[:4] == "thp." and values[path] == "inherit"]
    for path in [path for path in inheriting if "thp.enabled" not in values]:
        report.add(marks[path], f"{path}: say what is inherited; give 'thp.enabled' as well")
    if "thp.enabled" in marks and not inheriting:
        report.add(marks["thp.enabled"], "thp.enabled: means nothing where no size is 'inherit'")
    for path in [path for path in OF_LARGE_FOLIOS if path in marks and not machine.thp]:
        report.add(marks[path], f"{path}: means nothing without large folios; give 'thp' as well")
    if machine.memory is None:
        for path in [path for path in LIMITED if path in marks]:
            report.add(marks[path], f"{path}: means nothing without a limit; give 'memory' as well")
    return machine, marks


def check_without_swap(machine: Machine, marks: Map[str, SourceMark], report: Report) -> None:
    """What has no meaning without swap, or no model. An override to `none` leaves the size that the
    file gives its device without effect."""
    size, backend = marks.get("swap.size"), marks.get("swap.backend")
    overridden = backend is not None and backend.source.order < 0
    if size is not None and (size.source.order < 0 or not overridden):
        report.add(size, "swap.size: means nothing without swap (swap.backend: none)")
    what = "thp" if machine.thp else "reclaim: mglru" if machine.reclaim == "mglru" else ""
    if what:
        message = f"swap.backend: 'none' is not modelled with {what}; leave out one of them"
        add(report, marks, ("swap.backend", what.partition(":")[0]), message)


def add(report: Report, marks: Map[str, SourceMark], keys: Iterable[str], message: str) -> None:
    """Note a problem of several settings, of which at least one is said."""
    mark = blamed(keys, marks)
    assert mark is not None
    report.add(mark, message)


def report_swap_max(machine: Machine, marks: Map[str, SourceMark], report: Report) -> None:
    """What a limit on swap is not modelled with. A device twice as large is never the one that is
    full, nor more than half full."""
    most = machine.swap_max or 0
    others = (("thp", machine.thp), ("lru_batch", machine.lru_batch))
    what = next((key for key, value in others if value), "")
    if machine.swap.backend == NO_SWAP:
        message = "swap_max: means nothing without swap (swap.backend: none)"
        add(report, marks, ("swap_max", "swap.backend"), message)
    elif what:
        message = f"swap_max: is not modelled with {what}; leave out one of them"
        add(report, marks, ("swap_max", what), message)
    elif most % machine.page_size:
        text = f"{human(most)} is not a multiple of the page size, {human(machine.page_size)}"
        add(report, marks, ("swap_max", "page_size"), f"swap_max: {text}")
    elif machine.swap.size < 2 * most:
        text = f"at least twice as large, and it has {human(machine.swap.size)}"
        message = f"swap_max: {human(most)} is modelled with a swap.size {text}"
        add(report, marks, ("swap_max", "swap.size"), message)


def build(values: Map[str, Any]) -> Machine:
    """What is given over what the kernel implies over the defaults."""
    kernel = values.get("kernel", Machine().kernel)
    swap = {path[5:]: value for path, value in values.items() if path.startswith("swap.")}
    if swap.get("backend") == NO_SWAP:
        swap["size"] = 0
    thp = tuple(
        Thp(cast("ThpKey", key), values[f"thp.{key}"]) for key in THP_KEYS if f"thp.{key}" in values
    )
    rest = {path: value for path, value in values.items() if "." not in path}
    return Machine(**{**KERNEL_DEFAULTS[kernel], **rest}, swap=replace(Swap(), **swap), thp=thp)


def of_file(node: Node, report: Report) -> Iterator[tuple[str, Node]]:
    """The settings of the file by their paths."""
    if not isinstance(node, MappingNode):
        report.add(node.mark, f"machine is a mapping, as `kernel: '6.12'`, not {a_kind(node)}")
        return
    for key, entry in known_entries(node, KEYS, "machine", report).items():
        if key not in SECTIONS:
            yield key, entry.node
        elif isinstance(entry.node, MappingNode):
            known = known_entries(entry.node, SECTIONS[key], key, report)
            yield from ((f"{key}.{name}", inner.node) for name, inner in known.items())
        else:
            yield from in_short(key, entry.node, report)


def in_short(section: str, node: Node, report: Report) -> Iterator[tuple[str, Node]]:
    """A section as one value: of `swap` the back end, of `thp` the one size that is always used."""
    if section == "swap":
        yield "swap.backend", node
        return
    size = read(report, node, section, THP_SIZE, None)
    if size is not None:
        yield f"thp.{size}", Scalar(node.mark, "always")


def of_overrides(overrides: Map[str, str], report: Report) -> Iterator[tuple[str, Node]]:
    """The settings of the command line; the caret of a problem points into the override."""
    valid = (*READERS, *SECTIONS)
    for order, (key, value) in enumerate(overrides.items(), start=-len(overrides)):
        given = f"{key}={value}"
        source = SourceText(f"--set {shorten(given)}", (given,), order)
        path = key.removeprefix(PREFIX)
        if path in valid and key != path:
            node = Scalar(SourceMark(source, 1, len(key) + 2), value)
            yield from in_short(path, node, report) if path in SECTIONS else [(path, node)]
            continue
        near = nearest(path, valid)
        hint = f"did you mean '{PREFIX}{near}'?"
        if near is None:
            sections = sorted(known for known in valid if not known.startswith("thp."))
            hint = f"valid: {', '.join(PREFIX + known for known in sections)}"
        report.add(SourceMark(source, 1, 1), f"unknown key {quote(key)}; {hint}")
