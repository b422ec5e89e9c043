"""Is the per-CPU batch of new folios kept as a kernel keeps it, from one fault to the next?"""

from __future__ import annotations

from pathlib import Path
from random import Random
from unittest import mock

import pytest

from swaptrace import policies
from swaptrace.errors import ScenarioError, SwaptraceError
from swaptrace.replay.engine import replay
from swaptrace.replay.runs.batch import LruBatch
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import AccessPatternStep
from swaptrace.traces.patterns import accesses
from tests.effort import examples, some
from tests.ktree.wholes import EARLY, KERNELS, Write, edited
from tests.ktree.wholes import written as written  # a fixture
from tests.replay.keeping import lists

CAPACITY = {"6.1": 15, "6.12": 31, "7.2": 31, "7.3": 31}

FORKED = """\
- {mmap: b, size: 256KiB}
- {write: b}
- {madvise: b, advice: PAGEOUT}
- {fork: child}
- {madvise: b, advice: WILLNEED, length: 4KiB}
- {exit: child}
"""
"""No page is marked exclusive, the batch is empty, and the first page is in the swap cache."""


def run(
    kernel: str, steps: str, swap: str = "zram", batch: bool = True, policy: str = "merged"
) -> PolicyResult:
    """A replay, with read-ahead only where `swap` says so."""
    cluster = "" if ":" in swap else ", page_cluster: 0"
    machine = f'kernel: "{kernel}", lru_batch: {str(batch).lower()}'
    text = f"machine: {{{machine}, swap: {{backend: {swap}{cluster}}}}}\nsteps:\n{steps}"
    return replay(load_text(text, "batch"), policies.from_argument(policy), steps=True, pages=True)


@pytest.mark.parametrize("lock", ["", "- {mlock: b, flags: MLOCK_ONFAULT}\n"])
@pytest.mark.parametrize("kernel", CAPACITY)
def test_the_folio_that_fills_the_batch_empties_it(kernel: str, lock: str) -> None:
    """Does a write to a shared page drain if, and only if, the page is still in the batch, of new
    folios or, in a locked VMA, of mlock?"""
    full = CAPACITY[kernel]
    # In 7.3 a page with another owner is copied without a drain; in 6.12 exit_mmap() drains.
    alone = "- {exit: child}\n" if kernel == "7.3" else ""
    for pages, drains in ((full - 1, 1), (full, 0), (full + 1, 1), (2 * full, 0)):
        touched = f"- {{mmap: b, size: 256KiB}}\n{lock}- {{write: b, length: {4 * pages}KiB}}\n"
        last = f"- {{write: b, offset: {4 * (pages - 1)}KiB, length: 4KiB}}\n"
        found = run(kernel, f"{touched}- {{fork: child}}\n{alone}{last}")
        assert found.total.get("lru_drains", 0) == drains


ALONE = """\
- {mmap: b, size: 256KiB}
- {write: b}
- {madvise: b, advice: PAGEOUT}
"""
"""Every page is marked exclusive."""

DRAINS = {
    "a write to swap on zram": ("zram", ALONE + "- {write: b}\n", {"7.2": 64}),
    "a write to swap in zswap": (
        "zswap",
        ALONE + "- {write: b}\n",
        {"6.1": 64, "6.12": 64, "7.2": 64},
    ),
    "a write to what is not exclusive": (
        "zram",
        FORKED + "- {write: b}\n",
        {"7.2": 63, "7.3": 63},
    ),
    "a read": ("zswap", ALONE + "- {read: b}\n", {}),
    "read-ahead, by windows of eight": (
        "zswap, page_cluster: 3",
        ALONE + "- {read: b}\n",
        {"6.1": 9, "6.12": 9, "7.2": 9},
    ),
}


@pytest.mark.parametrize("what", DRAINS)
def test_which_faults_drain(what: str) -> None:
    """Is lru_drains what the sources of these kernels call?"""
    swap, steps, wanted = DRAINS[what]
    found: dict[str, int] = {}
    for kernel in CAPACITY:
        if kernel == "7.3" and "cluster" in swap:
            continue
        counted = run(kernel, steps, swap).total.get("lru_drains", 0)
        found |= {kernel: counted} if counted else {}
    assert found == wanted


def test_nothing_is_counted_where_the_batch_is_not_kept() -> None:
    """Is the counter zero, and all else the same, by default?"""
    kept, default = (run("7.2", ALONE + "- {write: b}\n", batch=b) for b in (True, False))
    assert "lru_drains" not in default.total
    assert dict(kept.total) == {**default.total, "lru_drains": 64}


ZSWAP = "zswap, page_cluster: 3"

LOCKED = ("DONTNEED_LOCKED", "WILLNEED", "POPULATE_WRITE", "POPULATE_READ")
"""Advice that a locked VMA does not refuse."""

ADVICE = ("PAGEOUT", "PAGEOUT", "DONTNEED", "WILLNEED", "POPULATE_WRITE")


def random_steps(seed: int, more: bool = False) -> str:
    """Accesses, advice and forks, on ranges of forty pages; with `more` what there is besides."""
    random, processes = Random(seed), ["main"]
    locked, marked = set(), False
    steps = ["- {mmap: b, size: 160KiB}"]
    for number in range(random.randint(5, 14)):
        process, first = random.choice(processes), random.randrange(40)
        pages = f"offset: {4 * first}KiB, length: {4 * random.randint(1, 40 - first)}KiB"
        on = f"{pages}, process: {process}"
        kinds = ["read", "write", "read_write", "advice", "advice", "fork", "exit"]
        locks = ["mlock", "mlock", "munlock"]
        kind = random.choice([*kinds, *locks, "pattern", "repeat", "pin"] if more else kinds)
        if kind == "pattern":
            how = f"pattern: uniform, count: 60, write_share: 0.5, seed: {number}"
            steps.append(f"- {{access: b, {how}, process: {process}}}")
        elif kind == "repeat":
            advice = "DONTNEED_LOCKED" if process in locked else "FREE"
            once = f"{{madvise: b, advice: {advice}, {on}}}, {{write: b, {on}}}"
            steps.append(f"- {{repeat: {random.randint(2, 40)}, steps: [{once}]}}")
        elif kind == "pin" and not marked:  # a page that is marked twice is not modelled
            mode = random.choice(["longterm", "longterm_read", "get"])
            steps.append(f"- {{pin: b, mode: {mode}}}")
            marked = True
        elif kind == "mlock":
            flags = random.choice([", flags: MLOCK_ONFAULT", ""])
            steps.append(f"- {{mlock: b, {on}{flags}}}")
            locked.add(process)
            marked = True
        elif kind == "munlock":
            steps.append(f"- {{munlock: b, process: {process}}}")
            marked = True
            locked.discard(process)
        elif kind == "advice":
            given = [*ADVICE, "FREE", "FREE", *["COLD"] * (2 * (not marked))] if more else ADVICE
            advice = random.choice(LOCKED if process in locked else given)
            marked |= advice.startswith("POPULATE")
            steps.append(f"- {{madvise: b, advice: {advice}, {on}}}")
        elif kind == "fork" and len(processes) < 3:
            processes.append(f"c{number}")
            steps.append(f"- {{fork: c{number}, process: {process}}}")
        elif kind == "exit" and process != "main":
            processes.remove(process)
            steps.append(f"- {{exit: {process}}}")
        elif kind in ("read", "write", "read_write"):
            steps.append(f"- {{{kind}: b, {on}}}")
    return "\n".join(steps) + "\n"


@pytest.mark.parametrize("seed", range(examples(12)))
def test_the_c_of_a_tree_sees_the_same_batch(seed: int, written: Write) -> None:
    """Do folio_test_lru(), lru_add_drain() and the references of a tree come to the same counts?"""
    steps = random_steps(seed, more=True)
    for name, kernel in KERNELS.items():
        tree = written(name, edited(name, EARLY[name]))
        for swap in ("zram", "disk"):
            own = run(kernel, steps, swap)
            other = run(kernel, steps, swap, policy=f"kernel:{tree}")
            assert (own.steps, own.pages) == (other.steps, other.pages)


@pytest.mark.parametrize("seed", range(examples(12)))
def test_reuse_does_not_depend_on_what_waits_in_the_batch(seed: int) -> None:
    """Does a write drain before it asks, so that only lru_drains tells that the batch is kept?"""
    steps = random_steps(100 + seed)
    for kernel in CAPACITY:
        kept = run(kernel, steps, "disk")
        default = run(kernel, steps, "disk", batch=False)
        counted = {name: n for name, n in kept.total.items() if name != "lru_drains"}
        assert (counted, kept.pages) == (dict(default.total), default.pages)


@pytest.mark.parametrize("kernel", some(CAPACITY, 1))
@pytest.mark.parametrize("swap", some(["disk", "zram", ZSWAP, "disk, page_cluster: 5"], 1))
def test_lists_of_what_waits_say_the_same(kernel: str, swap: str) -> None:
    """Do counts and pages agree with a second implementation, with MADV_FREE, access
    patterns, read-ahead and repetitions?"""
    for seed in range(examples(60)):
        steps = random_steps(1000 + seed, more=True)
        own = run(kernel, steps, swap)
        with lists():
            other = run(kernel, steps, swap)
        assert dict(other.total) == dict(own.total), steps
        assert (other.pages, other.violations) == (own.pages, own.violations), steps


ORPHANED = """\
- {mmap: b, size: 256KiB}
- {write: b}
- {fork: child}
- {exit: child}
- {madvise: b, advice: FREE}
"""
"""No page is marked exclusive, and each is the process's alone."""


@pytest.mark.parametrize("kernel", CAPACITY)
def test_the_batch_of_madv_free_makes_a_write_copy(kernel: str) -> None:
    """Is a folio that waits there, with a reference and on its list, copied without a drain, and
    one that has left it reused?"""
    waiting = 64 % CAPACITY[kernel]
    found = run(kernel, ORPHANED + "- {write: b}\n").total
    assert (found["wp_copy"], found["wp_reuse"]) == (waiting, 64 - waiting)
    assert "lru_drains" not in found
    drained = run(kernel, ORPHANED + "- {madvise: b, advice: COLD}\n- {write: b}\n").total
    assert (drained["wp_reuse"], "wp_copy" in drained) == (64, False)
    assert run(kernel, ORPHANED + "- {write: b}\n", batch=False).total["wp_reuse"] == 64


LOCKED_AND_COPIED = """\
- {mmap: b, size: 256KiB}
- {mlock: b, flags: MLOCK_ONFAULT}
- {write: b}
- {fork: child}
- {madvise: b, advice: WILLNEED}
- {write: b}
"""
"""Each copy puts two entries into the batch of mlock: the new folio, then the one that a locked
VMA maps no more and that is now the child's alone."""


@pytest.mark.parametrize("kernel", CAPACITY)
def test_what_a_locked_vma_no_longer_maps_is_copied(kernel: str) -> None:
    """Is a folio that waits to be munlocked, with a reference and on its list, copied without a
    drain, and one that has left the batch reused?"""
    waiting = 2 * 64 % CAPACITY[kernel] // 2
    found = run(kernel, LOCKED_AND_COPIED + "- {write: b, process: child}\n").total
    assert (found["wp_copy"], found["wp_reuse"]) == (64 + waiting, 64 - waiting)
    assert "lru_drains" not in found
    unlocked = LOCKED_AND_COPIED + "- {munlock: b}\n- {write: b, process: child}\n"
    assert run(kernel, unlocked).total["wp_reuse"] == 64


SWAPPED_IN_LOCKED = """\
- {mmap: b, size: 4KiB}
- {write: b}
- {madvise: b, advice: PAGEOUT}
- {fork: child}
- {mlock: b, flags: MLOCK_ONFAULT}
- {read: b}
- {mmap: c, size: 124KiB, at: 0x600000000000}
- {write: c}
- {exit: child}
- {write: b}
"""
"""The page is on its list when it is written, which folios of another VMA have filled."""


def test_only_before_6_11_a_locked_vma_mlocks_what_it_swaps_in() -> None:
    """Does the page that waits in the batch of mlock make a write copy it in the one kernel, where
    exit does not drain?"""
    for kernel, copied in (("6.1", 1), ("6.12", 0)):
        with mock.patch.object(LruBatch, "zap"):
            found = run(kernel, SWAPPED_IN_LOCKED).total
        assert (found.get("wp_copy", 0), found.get("wp_reuse", 0)) == (copied, 1 - copied)


@pytest.mark.parametrize("kernel", CAPACITY)
def test_what_pageout_leaves_waits(kernel: str) -> None:
    """Does a write to a page that is left in the swap cache, on a disk, drain before it is mapped,
    up to 7.2?"""
    alone = "- {mmap: b, size: 4KiB}\n- {write: b}\n- {madvise: b, advice: PAGEOUT}\n"
    found = run(kernel, alone + "- {write: b}\n", "disk").total
    assert found.get("lru_drains", 0) == (kernel != "7.3")
    assert "lru_drains" not in run(kernel, alone + "- {read: b}\n", "disk").total


AHEAD = """\
- {mmap: b, size: 256KiB}
- {write: b}
- {madvise: b, advice: PAGEOUT}
- {fork: child}
- {read: b, length: 4KiB}
- {exit: child}
- {write: b, offset: 8KiB, length: 4KiB}
"""
"""The read brings in a window of pages, of which one is written then."""


def test_what_7_3_reads_ahead_waits() -> None:
    """Does only 7.3 drain for the neighbour, which its read-ahead left in the batch?"""
    drains = {
        kernel: [
            step.counters.get("lru_drains", 0) for step in run(kernel, AHEAD, ZSWAP).steps or ()
        ]
        for kernel in ("7.2", "7.3")
    }
    assert drains == {"7.2": [0, 0, 0, 0, 1, 0, 0], "7.3": [0, 0, 0, 0, 0, 0, 1]}


def test_an_access_pattern_is_its_accesses(tmp_path: Path) -> None:
    """Do the accesses of a pattern and of a trace fill and drain as single reads and writes do?"""
    pattern = "{access: b, pattern: uniform, count: 200, write_share: 0.5, seed: 3}"
    step = load_text(f"steps:\n- {{mmap: b, size: 256KiB}}\n- {pattern}\n").steps[1]
    assert isinstance(step, AccessPatternStep)
    pairs = [
        (page, int(write))
        for chunk in accesses(step, 64)
        for page, write in zip(chunk.page.tolist(), chunk.write.tolist(), strict=True)
    ]
    single = [
        f"- {{{'write' if write else 'read'}: b, offset: {4 * page}KiB, length: 4KiB}}\n"
        for page, write in pairs
    ]
    trace = tmp_path / "t.csv"
    trace.write_text("page,write\n" + "".join(f"{page},{write}\n" for page, write in pairs))
    for kernel in CAPACITY:
        whole = run(kernel, f"{FORKED}- {pattern}\n", ZSWAP)
        traced = run(kernel, f"{FORKED}- {{trace: {trace}, region: b}}\n", ZSWAP)
        assert (whole.total, whole.pages) == (traced.total, traced.pages)
        parts = run(kernel, FORKED + "".join(single), ZSWAP)
        assert (whole.total, whole.pages) == (parts.total, parts.pages)
        assert whole.total["lru_drains"]


UNMODELLED = {
    "a kernel whose source was not read": ("6.18", "zram", "- {read: b}\n", "as in Linux 6.1"),
    "a page that is marked twice": (
        "7.2",
        "zram",
        "- {madvise: b, advice: POPULATE_WRITE}\n- {pin: b}\n",
        "whether it is made active is not known",
    ),
    "a debugger's write": ("7.2", "zram", "- {poke: b, value: 7}\n", "poke is not modelled"),
    "a mapping that is populated": (
        "7.2",
        "zram",
        "- {mmap: s, size: 4KiB, flags: MAP_POPULATE}\n",
        "such a mmap is not modelled",
    ),
    "who is active": (
        "7.2",
        "zram",
        "- {madvise: b, advice: POPULATE_READ}\n- {madvise: b, advice: COLD}\n- {write: b}\n",
        "whether it was active is not known",
    ),
    "who was in swap": (
        "7.2",
        "zram",
        "- {read: b}\n- {madvise: b, advice: COLD}\n- {write: b}\n",
        "whether it was active is not known",
    ),
    "who was unevictable": (
        "7.2",
        "disk",
        "- {read: b}\n- {mlock: b, flags: MLOCK_ONFAULT}\n- {munlock: b}\n"
        "- {madvise: b, advice: COLD}\n- {write: b}\n",
        "whether it was active is not known",
    ),
}


@pytest.mark.parametrize("what", UNMODELLED)
def test_what_is_not_known_is_an_error(what: str) -> None:
    """Is it said, and nothing counted?"""
    kernel, swap, steps, message = UNMODELLED[what]
    with pytest.raises((ScenarioError, SwaptraceError), match=message):
        run(kernel, FORKED + steps, swap)
