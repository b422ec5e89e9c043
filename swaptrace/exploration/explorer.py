"""`swaptrace explore` without its command line: policies in, differences or a proof out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import replace
from typing import NamedTuple

from swaptrace.backends import NO_SWAP
from swaptrace.errors import PolicyError, ScenarioError, SwaptraceError, did_you_mean, quote
from swaptrace.exploration.alphabet import BLOCK_PAGES, DEFAULT, OPERATIONS, on_targets
from swaptrace.exploration.arrays import Distinguishable, Expander
from swaptrace.exploration.blockdrawing import draw_blocks
from swaptrace.exploration.blocksearch import BlockSearch
from swaptrace.exploration.blockside import BlockSide
from swaptrace.exploration.company import beside_others, company_of
from swaptrace.exploration.decisions import Answers, Questioning, answer, check_steady, differing
from swaptrace.exploration.drawing import Drawing, draw
from swaptrace.exploration.equivalence import KINDS, Settled, settle
from swaptrace.exploration.graph import Graph, Limits
from swaptrace.exploration.scope import WAITING, not_compared, scope
from swaptrace.exploration.search import Found, FoundDifference, SearchBounds, search
from swaptrace.exploration.unasked import Unasked
from swaptrace.exploration.workers import LocalWorker, Worker, elsewhere
from swaptrace.mm.policy import Policy
from swaptrace.replay.modelled import check_machine, problem_of
from swaptrace.replay.world import static_facts
from swaptrace.scenario.garbage import no_collections
from swaptrace.scenario.hardware import Machine
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.thp import Thp, large_folios, sizes

MOST_PROCESSES = 3
"""With more, not even the operations of the default machine come to an end."""

MOST_PAIRS = 200_000
"""Of states of two policies. Most kinds of difference are found among fewer; beyond, pairs multiply
far more than the states of either policy."""

LEAST_SLOTS = 64
"""Below it, a single page could fill a part of the swap device that its fate depends on."""

LEAST_SLOTS_OF_BLOCKS = 2048
"""Below it, a block could."""

KNOWN = tuple(letter for name in OPERATIONS for letter in dict.fromkeys((name, *on_targets(name))))
"""What `--ops` takes: with large folios also with the pages of a block."""


PARTED = "what follows once both have put other numbers of folios into the per-CPU batches"
"""From there on, what other pages do fills and drains them at other times."""

ONE_IN = 17
"""Of the questions so many are asked in another order where no proof rests on all of them."""


class Request(NamedTuple):
    """What is to be explored: one policy or two, on a machine, with these operations.

    `own` are the machines of policies on kernels of their own, which differ; none where both are on
    `machine`.
    """

    policies: tuple[Policy, ...]
    machine: Machine
    limits: Limits
    bounds: SearchBounds
    own: tuple[Machine, ...] = ()

    @property
    def large(self) -> bool:
        """Whether memory comes in large folios, so that a block is explored, and not a page."""
        return large_folios(self.machine.thp)

    @property
    def size(self) -> int:
        """Of what is explored, in bytes."""
        return self.machine.page_size * (BLOCK_PAGES if self.large else 1)

    @property
    def machines(self) -> tuple[Machine, ...]:
        """That of each policy."""
        return self.own or (self.machine,) * len(self.policies)


class Exploration(NamedTuple):
    """What was found. `questions` is how many both policies were asked and answered alike: if it
    is not 0, that is the proof, and nothing was enumerated. `settled` is what was found of kinds of
    difference beyond the `found`, where the pairs of states were too many. `unseen` is what the
    policies may do otherwise where nobody has looked."""

    request: Request
    found: Found
    questions: int = 0
    settled: Settled | None = None
    unseen: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(policy.name for policy in self.request.policies)

    @property
    def differences(self) -> tuple[FoundDifference, ...]:
        beyond = self.settled.differences if self.settled else ()
        return tuple(sorted([*self.found.differences, *beyond], key=lambda each: len(each.steps)))

    @property
    def complete(self) -> bool:
        """Whether what was not found does not exist."""
        return not self.reservations and (self.found.complete or self.settled is not None)

    @property
    def reservations(self) -> tuple[str, ...]:
        """What else the policies may do, that was not compared."""
        parted = (PARTED,) if self.found.parted else ()
        return (
            self.unseen
            + parted
            + tuple(
                f"of {policy.name} {reason}"
                for policy in self.request.policies
                for reason in (*policy.unproved, *policy.undecided)
            )
        )

    @property
    def states(self) -> int:
        """How many states, or pairs of them, were visited."""
        return self.found.states + (self.settled.states if self.settled else 0)

    @property
    def proof(self) -> str:
        """How it is known that there is nothing else, or that it is not; and of what."""
        request = self.request
        operations = None if self.questions else request.limits.operations
        kernels = [machine.kernel for machine in request.own]
        kernels = kernels if len(set(kernels)) > 1 else []
        of_what = scope(request.machine, request.limits.processes, operations, kernels)
        parts = [self._compared, of_what]
        if self.reservations:
            nothing = f"not a proof: {'; '.join(self.reservations)}"
            parts = [nothing, self._compared.removeprefix("proof "), of_what]
        parts += (
            f"interpreted of {policy.name}: {', '.join(policy.interpreted)}"
            for policy in request.policies
            if policy.interpreted
        )
        parts += not_compared(request.policies, request.large)
        in_c = len(request.policies) > 1 and any(policy.functions for policy in request.policies)
        parts += [WAITING] * (in_c and not request.large and not request.machine.lru_batch)
        return "; ".join(parts)

    @property
    def _compared(self) -> str:
        """What was compared, and how."""
        found = self.found
        if self.questions:
            return (
                "proof by equal decisions: both answer alike to each of the "
                f"{self.questions:,} questions that they can be asked about a page"
            )
        visited = f"{found.states:,} states and {found.transitions:,} transitions visited"
        if self.settled:
            return (
                f"proof by minimal automata: there is nothing else; {found.states:,} pairs of "
                f"states visited, and for kinds not found there {self.settled.states:,} states and "
                f"{self.settled.transitions:,} transitions of one policy or the other"
            )
        if found.complete:
            before = " until data are lost" if found.losing else ""
            return f"proof by enumeration: there is nothing else{before}; {visited}"
        return f"not a proof: the search was cut off; {visited}, sequences up to {found.depth} long"


def request_of(
    policies: Sequence[Policy],
    overrides: Mapping[str, str],
    limits: Limits,
    bounds: SearchBounds,
    single_pages: bool = False,
) -> Request:
    """What is to be explored, each policy on its own kernel; `single_pages` asks for one policy
    with large folios and without. Raises `SwaptraceError`."""
    machines = tuple(machine_of(overrides, policy) for policy in policies)
    alike = len(set(machines)) == 1
    if len({each.capacity for each in map(company_of, machines) if each}) > 1:
        raise SwaptraceError(
            "with machine.lru_batch both policies need kernels whose batches are of one size; give "
            "--set machine.kernel=VERSION"
        )
    base = machines[0] if alike else machine_of(overrides)
    limits = limits_on(base, limits)
    request = Request(tuple(policies), base, limits, bounds, () if alike else machines)
    return beside_single_pages(request) if single_pages else request


def limits_on(machine: Machine, limits: Limits) -> Limits:
    """With large folios an operation concerns all pages of a block, or one. Raises `SwaptraceError`
    where a page is named that there is not."""
    if large_folios(machine.thp):
        if machine.lru_batch:
            raise SwaptraceError(
                "with large folios (machine.thp) machine.lru_batch must be off: what others do to "
                "the batches is explored beside single pages alone"
            )
        letters = [each for name in limits.operations for each in on_targets(name)]
        return limits._replace(operations=tuple(dict.fromkeys(letters)))
    named = [name for name in limits.operations if "@" in name]
    if not named and machine.lru_batch:
        return limits._replace(operations=beside_others(limits.operations))
    if named:
        raise SwaptraceError(
            f"--ops: {named[0]} is about a page of a large folio; give --set machine.thp=16KiB"
        )
    return limits


def beside_single_pages(request: Request) -> Request:
    """A policy with large folios beside itself where only those get them who ask for them with
    MADV_HUGEPAGE, which no operation does. Raises `SwaptraceError`."""
    if not request.large or len(request.policies) != 1:
        raise SwaptraceError("--single-pages is for one policy and --set machine.thp=16KiB")
    (policy,), (machine,) = request.policies, request.machines
    without = copy(policy)
    without.name = f"{policy.name}@4KiB"
    own = machine, replace(machine, thp=(Thp("16KiB", "madvise"),))
    return request._replace(policies=(policy, without), machine=machine, own=own)


def machine_of(overrides: Mapping[str, str], policy: Policy | None = None) -> Machine:
    """The machine of `--set`, with the kernel of the policy; a page has no neighbours, so that
    nothing is read ahead.

    Raises `ScenarioError` where a setting makes no sense for a single page, or is not modelled.
    """
    text = "machine: {swap: {page_cluster: 0}}\nsteps: [{mmap: page, size: 64KiB}]\n"
    scenario = load_text(text.encode(), "--set", overrides, name="explore")
    machine = scenario.machine
    if policy is not None:
        machine = scenario.machine_under(policy.kernel, policy.pinned)
    for setting, must in unexplored(machine):
        raise ScenarioError([problem_of(scenario, (setting,), f"machine.{setting} {must}")])
    check_machine(scenario, machine, policy or Policy())
    return machine


def unexplored(machine: Machine) -> Iterator[tuple[str, str]]:
    """The settings of a machine that make no sense for a single page, and what they must be."""
    if machine.swap.page_cluster:
        yield (
            "swap.page_cluster",
            "must be 0: explore looks at one page, and read-ahead is about its neighbours",
        )
    if machine.memory is not None:
        yield (
            "memory",
            "must not be set: explore looks at one page, and a limit is about how many there are",
        )
    if machine.swap.backend == NO_SWAP:
        yield "swap", "must not be none: explore looks at what a policy does after swap-in"
    filling = "explore does not look at what happens as swap fills up"
    if machine.swap_max is not None:
        yield "swap_max", f"must not be set: {filling}"
    large = large_folios(machine.thp)
    if large and {each.size for each in sizes(machine.thp) if each.enabled != "never"} != {"16KiB"}:
        yield (
            "thp",
            "must be 16KiB: explore looks at one block of four pages, and a larger folio has more",
        )
    least = LEAST_SLOTS_OF_BLOCKS if large else LEAST_SLOTS
    if machine.swap.size < least * machine.page_size:
        yield "swap.size", f"must be at least {least} pages: {filling}"


def operations(text: str | None) -> tuple[str, ...]:
    """The operations of `--ops`, in the order of the alphabet. Raises `SwaptraceError`."""
    if text is None:
        return DEFAULT
    wanted = [name.strip() for name in text.split(",")]
    for name in wanted:
        if name not in KNOWN:
            hint = did_you_mean(name, KNOWN if "@" in name else OPERATIONS)
            raise SwaptraceError(f"--ops: there is no operation {quote(name)}; {hint}")
    return tuple(name for name in KNOWN if name in wanted)


def explore(
    request: Request,
    tick: Callable[[int], None] = lambda _states: None,
    pairs: int = MOST_PAIRS,
) -> Exploration:
    """Look for every kind of difference between two policies, or every violation of one.

    Up to so many `pairs` of states are visited; kinds that were not found then are settled without
    (`exploration.equivalence`). Raises `PolicyError`, `UnsteadyPolicy` where a policy is found to
    be no function of what it is asked.
    """
    first, *others = request.policies
    watches = [first.watch(other, request.large) for other in others]
    try:
        exploration = _explored(request, tick, pairs)
    finally:
        unseen = [each for over in watches for each in over()]
    return exploration._replace(unseen=tuple(unseen))


def _explored(request: Request, tick: Callable[[int], None], pairs: int) -> Exploration:
    policies, limits = request.policies, request.limits
    each = zip(policies, request.machines, strict=True)
    sides = [BlockSide(*of, limits) for of in each] if request.large else []
    decide = tuple(policy for policy in policies if not policy.functions)
    asked = Questioning(decide, limits.processes, static_facts(request.machine), request.large)
    with elsewhere(asked) as backwards:
        # What is decided alike on two kernels need not come to the same.
        alike = () if request.own or request.machine.lru_batch else decided_alike(asked)
        check_steady(backwards, asked, 1 if alike else ONE_IN, alike)
    if alike:
        return Exploration(request, Found((), 0, 0, 0, True), len(alike))
    if request.large:
        with no_collections():
            return Exploration(request, BlockSearch(sides, limits, request.bounds).run(tick))
    bounded = len(policies) == 1 or request.bounds != SearchBounds()
    bounds = request.bounds if bounded else SearchBounds(states=pairs)
    found = _enumerated(request, bounds, tick)
    if len(policies) == 2 and found.losing and not found.differences:
        # Both lose the same data: neither shows more than the other, but what follows may.
        request = request._replace(limits=limits._replace(after_loss=True))
        found = _enumerated(request, bounds, tick)
    if bounded or found.complete or request.machine.lru_batch:
        return Exploration(request, found)
    kinds = KINDS - {(each.kind, each.flag) for each in found.differences}
    with no_collections():
        settled = settle(
            policies, request.machines, limits, kinds, lambda states: tick(found.states + states)
        )
    return Exploration(request, found, settled=settled)


def _enumerated(request: Request, bounds: SearchBounds, tick: Callable[[int], None]) -> Found:
    each, unasked = zip(request.policies, request.machines, strict=True), Unasked()
    graphs = [Graph(policy, machine, request.limits, unasked=unasked) for policy, machine in each]
    try:
        return _searched(graphs, True, bounds, tick)
    except Distinguishable:
        return _searched(graphs, False, bounds, tick)


def _searched(
    graphs: Sequence[Graph], merging: bool, bounds: SearchBounds, tick: Callable[[int], None]
) -> Found:
    with no_collections(), workers(graphs, merging) as sides:
        return search(sides, graphs[0].limits, bounds, tick)


def drawn(policy: Policy, machine: Machine, limits: Limits) -> Drawing:
    """The states of one page, or of a block where memory comes in large folios, under one policy.
    Raises `SwaptraceError`."""
    if machine.lru_batch:
        raise SwaptraceError("machine.lru_batch must be off: what others do is not drawn")
    if large_folios(machine.thp):
        return draw_blocks(BlockSide(policy, machine, limits))
    return draw(Graph(policy, machine, limits))


def decided_alike(asked: Questioning) -> Sequence[Answers]:
    """The answers of two policies that answer all questions alike; none where they do not, or are
    not two. Most differ in `some`, which are asked first.

    A policy need not have an answer to questions that no state leads to.
    """
    if len(asked.policies) != 2:
        return ()
    one, other = asked.policies
    try:
        if any(answer(one, each) != answer(other, each) for each in asked.some(ONE_IN)):
            return ()
        answers, different = differing(one, other, *asked[1:])
    except PolicyError:
        return ()
    return () if different else answers


@contextmanager
def workers(graphs: Sequence[Graph], merging: bool) -> Iterator[list[Worker]]:
    """Two large graphs are worked out at the same time; where both are small, that takes longer."""
    services = [Expander(graph, merging) for graph in graphs]
    if len(graphs) == 1 or graphs[0].limits.processes == 1:
        yield [LocalWorker(each) for each in services]
        return
    with ExitStack() as stack:
        yield [stack.enter_context(elsewhere(each)) for each in services]
