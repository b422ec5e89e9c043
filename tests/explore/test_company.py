"""What does explore find of a page whose per-CPU batch other pages fill and drain?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from swaptrace.counters import COUNTERS
from swaptrace.errors import SwaptraceError
from swaptrace.exploration.alphabet import REGION
from swaptrace.exploration.company import beside_others
from swaptrace.exploration.crowding import OTHERS, Crowd
from swaptrace.exploration.explorer import explore, machine_of, operations, request_of
from swaptrace.exploration.graph import Edge, Graph, Limits
from swaptrace.exploration.search import SearchBounds, TakenOperation
from swaptrace.exploration.witness import short, witnesses
from swaptrace.mm.event import MOST_ADDED
from swaptrace.mm.policy import SwapinFault, SwapinPte
from swaptrace.policies import from_argument
from swaptrace.policies.final import Final
from swaptrace.replay.engine import replay
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from tests.commandline import run
from tests.effort import examples, some
from tests.ktree.wholes import EARLY, KERNELS, OPS, SMALL, Write, edited
from tests.ktree.wholes import written as written  # a fixture

KEPT = ("--set", "machine.lru_batch=true")
OFTEN = ("read", "write", "pageout", "fork")
SHOWN = (
    "majflt",
    "pswpin",
    "pswpout",
    "wp_reuse",
    "wp_copy",
    "lru_drains",
    "zero_page",
    "rewrites",
)
"""Counters that the first writes of other pages add nothing to."""


def explored(one: object, other: object, kernel: str, *words: str, ops: str = OPS) -> Any:
    """The JSON, and the exit code."""
    machine = ("--set", f"machine.kernel={kernel}", *KEPT, "--ops", ops, *words)
    done = run("explore", "--policies", f"{one},{other}", *machine, "--format", "json")
    assert done.exit_code != 2, done.output
    return {**json.loads(done.stdout), "exit": done.exit_code}


@pytest.mark.parametrize("backend", some(["disk", "zram"], 1))
@pytest.mark.parametrize("name", some(KERNELS, 1))
def test_a_tree_is_proved_equal_with_its_batches(name: str, backend: str, written: Write) -> None:
    """Whatever other pages do, and is that said?"""
    tree = written(name, edited(name, EARLY[name]))
    swap = ("--set", f"machine.swap.backend={backend}")
    found = explored(f"kernel:{tree}", "merged", KERNELS[name], *swap)
    assert found["exit"] == 0
    assert str(found["proof"]).startswith("proof by enumeration")
    assert "whenever other pages fill or drain the per-CPU batches" in str(found["proof"])


DRAINS = "\tif (!folio_test_lru(folio))\n\t\tlru_add_drain();\n"


def test_a_tree_that_does_not_drain_is_told_apart(written: Write, tmp_path: Path) -> None:
    """By a copy in the place of a reuse, with a scenario that shows it, and without a proof that
    there is nothing else?"""
    tree = written("before", edited("before", (DRAINS, "")))
    pair = (f"kernel:{SMALL / 'before'}", f"kernel:{tree}")
    found = explored(*pair, KERNELS["before"], "--out", str(tmp_path))
    assert found["exit"] == 1
    assert {"lru_drains", "wp_reuse", "wp_copy"} <= {each["kind"] for each in found["differences"]}
    assert "not a proof: what follows once both have put other numbers" in str(found["proof"])
    without = run("explore", "--policies", ",".join(pair), "--ops", OPS)
    assert "when every access finds the per-CPU batches empty" in without.stdout
    assert "compared with --set machine.lru_batch=true" in without.stdout
    assert "compared with --set" not in str(found["proof"])


READS = "\tpte = mk_pte(&folio->page, vma->vm_page_prot);\n"
UPGRADES = "\t\tif ((vma->vm_flags & VM_WRITE) && !userfaultfd_pte_wp(vma, pte) &&\n"
ASKS = UPGRADES.replace("VM_WRITE) &&", "VM_WRITE) && !folio_test_lru(folio) &&")


def test_what_only_a_full_batch_shows_is_found(written: Write) -> None:
    """Where the folio that is read fills it, is the sequence found, and replayed?"""
    name, kernel = "before", KERNELS["before"]
    tree = written(name, edited(name, (UPGRADES, ASKS)))
    found = explored(
        f"kernel:{SMALL / name}", f"kernel:{tree}", kernel, ops="write,pageout,read,fork"
    )
    shortest = found["differences"][0]
    assert shortest["steps"][-1] == {"write": REGION}
    assert shortest["steps"][-2]["write"] == OTHERS


class SoleReader(Final):
    """Dirties what it reads for nobody else, as where the folio has filled the batch at once."""

    name = "sole-reader"

    def swapin_pte(self, fault: SwapinFault) -> SwapinPte:
        answer = super().swapin_pte(fault)
        alone = not fault.write and fault.folio.ref_count == 1
        return answer._replace(pte=answer.pte.mkdirty()) if alone else answer


def test_a_read_may_fill_the_batch() -> None:
    """Is a policy told apart that asks for references in between, and replayed?"""
    machine = {"machine.kernel": "6.12", "machine.lru_batch": "true"}
    limits = Limits(operations("read,write,pageout"), 1)
    request = request_of([SoleReader(), Final()], machine, limits, SearchBounds())
    (witness,) = witnesses(explore(request))
    assert short(witness.difference.steps) == "write, pageout, read~1"


TWICE = "\tif (folio_test_swapcache(folio))\n\t\tfolio_add_lru(folio);\n"


def test_other_numbers_in_the_batch_are_no_proof(written: Write) -> None:
    """Is what shows no difference otherwise not decided?"""
    name, kernel = "before", KERNELS["before"]
    tree = written(name, edited(name, (READS, TWICE + READS)))
    found = explored(
        f"kernel:{SMALL / name}",
        f"kernel:{tree}",
        kernel,
        "--processes",
        "1",
        "--set",
        "machine.swap.backend=disk",
        ops="write,pageout,read",
    )
    assert (found["exit"], found["differences"]) == (3, [])


def graph_on(kernel: str, backend: str) -> Graph:
    """What `merged` does on a machine, beside other pages."""
    settings = {"machine.swap.backend": backend, "machine.lru_batch": "true"}
    machine = machine_of({"machine.kernel": kernel, **settings})
    ops = ("read", "write", "pageout", "dontneed", "free", "willneed", "fork", "exit")
    return Graph(from_argument("merged"), machine, Limits(beside_others(ops), 2))


def replayed(crowd: Crowd, kernel: str, backend: str) -> PolicyResult:
    """What the steps of a sequence come to with the batch of all pages."""
    page_size = crowd.page_size
    steps = [
        {"mmap": REGION, "size": page_size},
        {"mmap": OTHERS, "size": max(crowd.written, 1) * page_size, "at": 0x600000000000},
        *crowd.steps,
    ]
    machine = {
        "machine.kernel": kernel,
        "machine.swap.backend": backend,
        "machine.swap.page_cluster": "0",
        "machine.lru_batch": "true",
    }
    text = yaml.safe_dump({"steps": steps}, sort_keys=False)
    return replay(load_text(text.encode(), "walk", machine), from_argument("merged"), pages=True)


def of_shown(counted: Mapping[str, int]) -> dict[str, int]:
    return {name: counted.get(name, 0) for name in SHOWN}


@pytest.mark.parametrize("kernel", some(["6.1", "6.12", "7.2", "7.3"], 2))
@pytest.mark.parametrize("backend", some(["disk", "zram", "zswap"], 1))
def test_a_walk_counts_what_its_scenario_does(kernel: str, backend: str) -> None:
    """Are the counters and page maps of a sequence, with what others do, those of a replay that
    keeps the batch of all pages?"""
    graph = graph_on(kernel, backend)
    assert graph.company is not None
    for seed in range(examples(25)):
        crowd = Crowd(graph, graph.company, 4096)
        counted = walked(crowd, Random(seed))
        result = replayed(crowd, kernel, backend)
        assert of_shown(result.total) == of_shown(counted)
        maps = [f"1{flags}" for flags in graph.flags(crowd.state)]
        assert [(result.pages or {})[name][REGION] for name in crowd.names] == maps


DRAINING = [
    f"{before}, {each}, {after}"
    for before in ("write", "write, pageout", "write, free", "write, fork", "write, pageout, fork")
    for each in (
        *("read", "write", "pageout", "dontneed", "free", "willneed", "exit"),
        *("others_fill", "others_drain"),
    )
    for after in ("write, write by child", "fork, write, write by child", "write by child, write")
]
"""Of each operation whether it drains the batches: before it a folio is put into one, behind it
whoever writes asks for its references."""


def meant(word: str, crowd: Crowd) -> TakenOperation | None:
    """An operation of whoever is first, unless it says who; None if it cannot be."""
    name, _, who = word.partition(" by ")
    several = len(crowd.names) == 2
    if several if name == "fork" else not several and (who or name == "exit"):
        return None
    process = crowd.names[-1] if who else crowd.names[0]
    return TakenOperation(name, process, f"of-{process}" if name == "fork" else "")


@pytest.mark.parametrize("kernel", some(["6.1", "6.12", "7.2", "7.3"], 1))
def test_each_operation_drains_what_it_does_in_a_replay(kernel: str) -> None:
    """Between what fills the batches and what asks for references, does none empty them in a search
    and not in its scenario, nor the other way round?"""
    graph = graph_on(kernel, "disk")
    assert graph.company is not None
    for words in DRAINING:
        crowd = Crowd(graph, graph.company, 4096)
        counted = dict.fromkeys(COUNTERS, 0)
        for taken in (meant(word, crowd) for word in words.split(", ")):
            if taken is not None:
                process = crowd.names.index(taken.process)
                letter = graph.limits.operations.index(taken.operation)
                edges = graph.edges_of(crowd.state, process)
                (edge,) = (each for each in edges if each.operation == letter)
                for counter, times in zip(COUNTERS, edge.effect.counts, strict=True):
                    counted[counter] += times
                crowd.take(taken)
        assert of_shown(replayed(crowd, kernel, "disk").total) == of_shown(counted), words


def happens(edge: Edge, letters: tuple[str, ...]) -> bool:
    """Whether it is as it is called: a full batch tells nothing where nothing is added, and is not
    that of the shortest sequence."""
    return "~" not in letters[edge.operation] or edge.effect.batch.filled


def walked(crowd: Crowd, random: Random) -> dict[str, int]:
    """Thirty operations by chance, and what they count."""
    counted = dict.fromkeys(COUNTERS, 0)
    letters, born = crowd.graph.limits.operations, 0
    for _ in range(30):
        if crowd.company.capacity - crowd.count < MOST_ADDED:  # the next could fill it as well
            break
        edges = [e for e in crowd.graph.edges(crowd.state) if happens(e, letters)]
        often = [e for e in edges if letters[e.operation].startswith(OFTEN)]
        edge = random.choice(random.choice([edges, often or edges]))
        name, child = letters[edge.operation], ""
        if name == "fork":
            born += 1
            child = f"c{born}"
        for counter, times in zip(COUNTERS, edge.effect.counts, strict=True):
            counted[counter] += times
        crowd.take(TakenOperation(name, crowd.names[edge.process], child))
    return counted


def test_locked_pages_are_not_explored_with_the_batch() -> None:
    """Is mlock an error where it is named, and left out where it is not?"""
    with pytest.raises(SwaptraceError, match="mlock is not explored where"):
        beside_others(("write", "mlock"))


def test_batches_of_two_sizes_are_an_error() -> None:
    """As one scenario cannot fill both?"""
    done = run("explore", "--policies", "merged@6.1,merged@7.3", *KEPT)
    assert done.exit_code == 2
    assert "both policies need kernels whose batches are of one size" in done.stderr


def test_a_kernel_whose_drains_are_not_known_is_an_error() -> None:
    """Is 6.18 refused as in a replay?"""
    done = run("explore", "--policies", "merged", "--set", "machine.kernel=6.18", *KEPT)
    assert done.exit_code == 2
    assert "as in Linux 6.1, 6.12, 7.2, 7.3, not as in 6.18" in done.stderr


def test_large_folios_are_not_explored_beside_others() -> None:
    """Is it said what to leave out?"""
    settings = {"machine.kernel": "7.2", "machine.lru_batch": "true", "machine.thp": "16KiB"}
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    done = run("explore", "--policies", "merged", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "machine.lru_batch must be off" in done.stderr
