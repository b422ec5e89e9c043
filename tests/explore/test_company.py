"""What does explore find of a page whose per-CPU batch other pages fill and drain?"""

from __future__ import annotations

import json
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
from swaptrace.exploration.explorer import machine_of
from swaptrace.exploration.graph import Edge, Graph, Limits
from swaptrace.exploration.search import TakenOperation
from swaptrace.mm.event import MOST_ADDED
from swaptrace.policies import from_argument
from swaptrace.replay.engine import replay
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


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2", "7.3"])
@pytest.mark.parametrize("backend", some(["disk", "zram", "zswap"], 1))
def test_a_walk_counts_what_its_scenario_does(kernel: str, backend: str) -> None:
    """Are the counters and page maps of a sequence, with what others do, those of a replay that
    keeps the batch of all pages?"""
    policy = from_argument("merged")
    machine = machine_of(
        {"machine.kernel": kernel, "machine.swap.backend": backend, "machine.lru_batch": "true"}
    )
    ops = ("read", "write", "pageout", "dontneed", "free", "willneed", "fork", "exit")
    graph = Graph(policy, machine, Limits(beside_others(ops), 2))
    assert graph.company is not None
    for seed in range(examples(25)):
        crowd = Crowd(graph, graph.company, machine.page_size)
        counted = walked(crowd, Random(seed))
        size = max(crowd.written, 1) * machine.page_size
        steps = [
            {"mmap": REGION, "size": machine.page_size},
            {"mmap": OTHERS, "size": size, "at": 0x600000000000},
            *crowd.steps,
        ]
        scenario = load_text(
            yaml.safe_dump({"steps": steps}, sort_keys=False).encode(),
            "walk",
            {
                "machine.kernel": kernel,
                "machine.swap.backend": backend,
                "machine.swap.page_cluster": "0",
                "machine.lru_batch": "true",
            },
        )
        result = replay(scenario, policy, pages=True)
        assert {n: result.total.get(n, 0) for n in SHOWN} == {n: counted.get(n, 0) for n in SHOWN}
        maps = [f"1{flags}" for flags in graph.flags(crowd.state)]
        assert [(result.pages or {})[name][REGION] for name in crowd.names] == maps


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
