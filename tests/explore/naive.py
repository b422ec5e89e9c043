"""The search written a second time: state by state, without views, keys and arrays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from swaptrace.counters import COUNTERS
from swaptrace.exploration.graph import START, Edge, Graph, PageState
from swaptrace.mm.canonical import canonical

States = tuple[PageState, ...]
"""The state under each policy; processes have the same numbers in all."""


def permuted(state: PageState, order: Sequence[int]) -> PageState:
    """The state in which process i is the one that was `order[i]`."""
    column, anon_vmas = state
    maps = [column.maps[i] for i in order]
    turned = canonical(maps, column.folios, column.slots)
    return PageState(turned, tuple(anon_vmas[i] for i in order))


def unregistered(state: PageState) -> PageState:
    """The state where a VMA without a protected PTE is not registered with a userfaultfd."""
    column = state.column
    maps = []
    for each in column.maps:
        assert each.vma is not None
        protected = each.pte is not None and each.pte.uffd_wp
        vma = each.vma if protected else each.vma._replace(uffd_wp=False)
        maps.append(each._replace(vma=vma))
    return state._replace(column=column._replace(maps=tuple(maps)))


class Naive:
    """What a search should find: `lengths` of the shortest sequences by kind and flag, and how many
    states and transitions, with states that differ in a registration alone as one if `merging`.
    Unless `symmetric`, states are two that differ in who is who.

    Where the graphs go on after a loss of data, so does this."""

    def __init__(
        self,
        graphs: Sequence[Graph],
        steps: int | None = None,
        merging: bool = False,
        symmetric: bool = True,
    ) -> None:
        self.graphs = graphs
        self.merging = merging
        self.symmetric = symmetric
        self.states = 0
        self.lengths: dict[tuple[str, str], int] = {}
        self.transitions = 0
        self.seen: set[States] = set()
        level = [(START,) * len(graphs)]
        self.know(level[0])
        self.depth = -1
        while level and self.depth != steps:
            self.depth += 1
            if self.depth != steps:
                level = [new for states in level for new in self.new_from(states)]

    def know(self, states: States) -> bool:
        """Whether the states are new, whoever is who."""
        if self.merging:
            states = tuple(map(unregistered, states))
        if states in self.seen:
            return False
        self.states += 1
        count = len(states[0].anon_vmas)
        for order in permutations(range(count)) if self.symmetric else [range(count)]:
            self.seen.add(tuple(permuted(state, order) for state in states))
        return True

    def new_from(self, states: States) -> list[States]:
        """The new states that one operation leads to."""
        moves = [
            {(edge.operation, edge.process): edge for edge in graph.edges(state)}
            for graph, state in zip(self.graphs, states, strict=True)
        ]
        new = []
        for taken in moves[0]:
            if all(taken in each for each in moves):
                edges = [each[taken] for each in moves]
                self.transitions += 1
                self.look(edges)
                reached = tuple(edge.state for edge in edges)
                if not self.ends(edges) and self.know(reached):
                    new.append(reached)
        return new

    def ends(self, edges: list[Edge]) -> bool:
        """Whether it is not told what follows, since somebody saw other data than its own."""
        after_loss = self.graphs[0].limits.after_loss
        return not after_loss and any(edge.effect.misread for edge in edges)

    def look(self, edges: list[Edge]) -> None:
        """Note what the policies show."""
        effects = [edge.effect for edge in edges]
        kinds = {kind for effect in effects for kind in effect.violations}
        if len(edges) == 1:
            for kind in kinds:
                self.note(kind, "")
            return
        for kind in kinds:
            if len({effect.violations.count(kind) for effect in effects}) > 1:
                self.note(kind, "")
        for at, name in enumerate(COUNTERS):
            if len({effect.counts[at] for effect in effects}) > 1:
                self.note(name, "")
        if not self.ends(edges):
            pairs = zip(self.graphs, edges, strict=True)
            for ours, theirs in zip(*(graph.flags(e.state) for graph, e in pairs), strict=True):
                for flag in ({*ours} ^ {*theirs}) - {"-"}:
                    self.note("page_map", flag)

    def note(self, kind: str, flag: str) -> None:
        self.lengths.setdefault((kind, flag), self.depth + 1)
