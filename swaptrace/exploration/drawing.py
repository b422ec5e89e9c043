"""The states of a page as a graph, for Graphviz."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Final, NamedTuple, TypeVar

from swaptrace.counters import POSITION, Counter
from swaptrace.errors import SwaptraceError
from swaptrace.exploration.graph import START, Graph, PageState, ShownEffect
from swaptrace.mm.column import Column, Mapping, Pte, SwapPte
from swaptrace.report.dot import quoted
from swaptrace.terminal.processes import dying_with_this

T = TypeVar("T")

LEGIBLE: Final = 64
"""States of a picture that one can still read, on a sheet of paper or a screen. With some thousand,
`dot` takes minutes and gigabytes."""


FAULTS: Final = (Counter.MINFLT, Counter.MAJFLT)


class Drawing(NamedTuple):
    """A graph in Graphviz DOT, and how many states it has."""

    dot: str
    states: int


def draw(graph: Graph) -> Drawing:
    """Every state of one page under one policy."""

    def edges(state: PageState) -> Iterator[tuple[str, ShownEffect, PageState, PageState]]:
        for edge in graph.edges(state):
            yield graph.limits.operations[edge.operation], edge.effect, edge.state, edge.state

    return drawing_of("page", (START, START), edges, lambda state: label(state.column))


def drawing_of(
    name: str,
    start: tuple[T, Hashable],
    edges: Callable[[T], Iterable[tuple[str, ShownEffect, T, Hashable]]],
    label: Callable[[T], str],
) -> Drawing:
    """Every state that is reached from the `start`, each with a key: `edges` are operations, what
    they show and where they lead. Operations that lead from one state to the same other are one
    arrow."""
    lines = [f"digraph {name} {{", "  node [shape=box];"]
    nodes, states = {start[1]: 0}, [start[0]]
    for node, state in enumerate(states):
        arrows: dict[int, list[str]] = {}
        for operation, effect, reached, key in edges(state):
            target = nodes.setdefault(key, len(nodes))
            if target == len(states):
                states.append(reached)
            arrows.setdefault(target, []).append(labelled(operation, effect))
        lines.append(f"  {node} [label={quoted(label(state))}];")
        for target, names in arrows.items():
            lines.append(f"  {node} -> {target} [label={quoted(', '.join(names))}];")
    return Drawing("\n".join([*lines, "}"]) + "\n", len(states))


def labelled(operation: str, effect: ShownEffect) -> str:
    """An operation, and the faults that it takes."""
    counts = effect.counts
    faults = [f"{counts[POSITION[each]]} {each}" for each in FAULTS if counts[POSITION[each]]]
    return f"{operation} ({', '.join(faults)})" if faults else operation


def picture(drawing: Drawing) -> str:
    """The graph as SVG, drawn by Graphviz's `dot`, which does not outlive this call or process.

    Raises `SwaptraceError` where it is missing, fails, or would draw more than anybody can read.
    """
    if drawing.states > LEGIBLE:
        raise SwaptraceError(
            f"--format svg draws at most {LEGIBLE} states, and this graph has {drawing.states:,}: "
            "choose fewer operations, as in --ops read,write,pageout, or use --format dot"
        )
    try:
        process = subprocess.Popen(
            ["dot", "-Tsvg"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=dying_with_this(),
        )
    except OSError:
        message = "--format svg needs the program `dot`: install Graphviz, or use --format dot"
        raise SwaptraceError(message) from None
    try:
        drawn, said = process.communicate(drawing.dot.encode())
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        why = said.decode(errors="replace").strip() or f"exit code {process.returncode}"
        raise SwaptraceError(f"dot could not draw the graph: {why}")
    return drawn.decode()


def label(column: Column) -> str:
    """A state in a few words, a line for the entry, one for the folio and one for the VMA."""
    (mapping,) = column.maps
    return "\n".join(filter(None, [entry(mapping), folio(column), vma(mapping)]))


def entry(mapping: Mapping) -> str:
    """The page-table entry."""
    pte = mapping.pte
    if pte is None:
        return "nothing"
    if not isinstance(pte, Pte):
        words = ["swapped", *["exclusive"] * (isinstance(pte, SwapPte) and pte.exclusive)]
    elif pte.is_zero_page:
        words = ["zero page"]
    else:
        words = ["writable" if pte.write else "read-only", "dirty" if pte.dirty else "clean"]
    words += ["soft-dirty"] * pte.soft_dirty
    return " ".join([*words, *["uffd-wp"] * pte.uffd_wp])


def folio(column: Column) -> str:
    """The folio, mapped or in the swap cache, and the slot."""
    words = []
    for each in column.folios:
        words += ["folio dirty" if each.dirty else "folio clean"]
        words += ["in swap cache"] * (each.slot is not None) + ["lazyfree"] * each.lazyfree
        words += ["exclusive"] * each.anon_exclusive + ["never mapped"] * each.fresh
        words += [f"mlocked ({each.mlock_count})"] * each.mlocked
        if each.slot is not None:
            stored = column.slots[each.slot].data
            words += ["slot empty" if stored is None else "slot stale"] * (stored != each.data)
    return ", ".join(words)


def vma(mapping: Mapping) -> str:
    """What is not as in a fresh VMA."""
    flags = mapping.vma
    assert flags is not None
    words = ["VM_WRITE off"] * (not flags.writable) + ["locked"] * flags.locked
    words += ["uffd"] * flags.uffd_wp + ["uffd-rwp"] * flags.uffd_rwp
    words += ["tracked"] * flags.soft_dirty_enabled
    state = ["written"] * mapping.written + ["armed"] * mapping.armed
    return ", ".join([*words, *state, *["freed"] * mapping.freed])
