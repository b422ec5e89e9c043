"""Large folios: pages in blocks, the swap device, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.errors import ScenarioError, SwaptraceError
from swaptrace.replay import engine
from swaptrace.replay.engine import Replay
from swaptrace.replay.folios import memory
from swaptrace.replay.folios.slotmap import SlotMap
from swaptrace.scenario.hardware import Swap
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario
from swaptrace.scenario.thp import Thp
from tests.effort import examples, some
from tests.replay.strategies import scenarios
from tests.replay.test_naive import expand

ROOMY = 1 << 32
KERNELS = ("6.13", "6.14", "6.16", "6.18", "7.3")

MICRO = """\
steps:
- {mmap: buf, size: 2MiB}
- {memset: buf, value: 17}
- {madvise: buf, advice: PAGEOUT}
- {read_write: buf}
"""


def micro(*steps: str, **machine: str) -> Scenario:
    """The microbenchmark with further steps, on such a machine of 6.18."""
    text = MICRO + "".join(f"- {step}\n" for step in steps)
    overrides = {f"machine.{key}": value for key, value in machine.items()}
    return load_text(text.encode(), "micro", {"machine.kernel": "6.18", **overrides})


@settings(max_examples=examples(100))
@given(
    scenarios(),
    st.sampled_from(KERNELS),
    st.sampled_from(policies.SERIES),
)
def test_blocks_without_large_folios_are_pages_by_themselves(
    scenario: Scenario, kernel: str, policy: str
) -> None:
    """Where no memory may have large folios, do blocks give what columns give?"""
    swap = Swap(scenario.machine.swap.backend, ROOMY, scenario.machine.swap.page_cluster)
    machine = replace(scenario.machine, kernel=kernel, swap=swap)
    plain = replace(scenario, machine=machine)
    blocks = replace(plain, machine=replace(machine, thp=(Thp("64KiB", "always"),)))
    none = mock.patch.object(memory, "orders_of", return_value=())
    with mock.patch.object(Replay, "check_errno"), none:
        try:
            found = engine.replay(blocks, policies.find(policy), steps=True, pages=True)
        except ScenarioError:  # a step that is not modelled with large folios
            reject()
        other = engine.replay(plain, policies.find(policy), steps=True, pages=True)
    assert found.total == other.total
    assert found.pages == other.pages
    assert {(v.kind, v.line, v.process, v.region, v.page) for v in found.violations} == {
        (v.kind, v.line, v.process, v.region, v.page) for v in other.violations
    }
    assert expand(found.steps) == expand(other.steps)


@pytest.mark.parametrize(
    ("thp", "policy", "minflt", "majflt"),
    [
        ("16KiB", "prepatch", 128 + 512, 128),
        ("64KiB", "prepatch", 32 + 512, 32),
        ("64KiB", "final", 32, 32),
        ("1MiB", "final", 2, 2),
        ("2MiB", "prepatch", 1 + 512, 512),
        ("2MiB", "final", 1, 512),
    ],
)
def test_the_microbenchmark(thp: str, policy: str, minflt: int, majflt: int) -> None:
    """Does a fault map a whole folio, in and back from swap?"""
    total = engine.replay(micro(thp=thp), policies.find(policy)).total
    assert (total["minflt"], total["majflt"], total["pswpin"]) == (minflt, majflt, 512)
    assert total["mthp_swpout"] == total["mthp_fault_alloc"] == minflt % 512
    assert total.get("mthp_swpin", 0) == (0 if thp == "2MiB" else majflt)


@pytest.mark.parametrize(
    ("steps", "pages", "counters"),
    some(
        [
            # Of a part that is given up a write brings in one page; of the whole, 2 MiB.
            ("{madvise: buf, advice: DONTNEED, length: 4KiB}", "1D,511PDX", {}),
            ("{madvise: buf, advice: DONTNEED}; {write: buf}", "512PDX", {"mthp_fault_alloc": 2}),
            ("{madvise: buf, advice: DONTNEED}; {read: buf}", "512PD", {"zero_page": 1}),
            (
                "{madvise: buf, advice: DONTNEED, length: 4KiB}; {write: buf}",
                "512PDX",
                {"mthp_fault_alloc": 1},
            ),
            # What splits a dirty entry makes it soft-dirty; that of the zero page loses the bit.
            ("{clear_refs: soft_dirty}", "512PX", {}),
            ("{clear_refs: soft_dirty}; {mprotect: buf, prot: r, length: 4KiB}", "512PDX", {}),
            ("{clear_refs: soft_dirty}; {mprotect: buf, prot: r}", "512PX", {}),
            ("{clear_refs: soft_dirty}; {mlock: buf, length: 4KiB}", "512PDX", {}),
            # A write of the child splits its entry, and then the parent's is not the only one.
            (
                "{fork: child}; {write: buf, length: 4KiB, process: child}; {write: buf}",
                "512PDX",
                {"minflt": 1 + 1 + 512, "wp_copy": 1 + 512},
            ),
            ("{fork: child}; {exit: child}; {write: buf}", "512PDX", {"minflt": 2, "wp_reuse": 1}),
            # An event, after which one page is writable, and the others wait for theirs.
            (
                "{uffd_writeprotect: buf}; {write: buf, length: 4KiB}",
                "1PDX,511PDXU",
                {"uffd_wp": 1, "minflt": 2},
            ),
            # MADV_FREE of the whole leaves the entry, and a pageout frees all at once.
            (
                "{madvise: buf, advice: FREE}; {madvise: buf, advice: PAGEOUT}; {write: buf}",
                "512PDX",
                {"mthp_fault_alloc": 2, "minflt": 2},
            ),
            (
                "{madvise: buf, advice: FREE, length: 4KiB}; {madvise: buf, advice: PAGEOUT}",
                "1D,511SD",
                {"thp_split_page": 1, "pswpout": 511},
            ),
        ],
        3,
    ),
)
def test_one_entry_maps_two_mebibytes_until_a_part_of_it_is_concerned(
    steps: str, pages: str, counters: dict[str, int]
) -> None:
    """Is the entry split where the kernel splits it, and with what bits?"""
    text = "steps: [{mmap: buf, size: 2MiB}, {memset: buf, value: 1}, "
    text += ", ".join(steps.split("; ")) + "]"
    machine = {"machine.kernel": "6.18", "machine.thp": "2MiB"}
    scenario = load_text(text.encode(), "huge", machine)
    result = engine.replay(scenario, policies.find("merged"), pages=True)
    assert result.pages is not None
    assert result.pages["main"]["buf"] == pages
    assert counters.items() <= result.total.items()


@pytest.mark.parametrize(
    ("machine", "advice", "minflt"),
    [
        ({"thp.64KiB": "madvise"}, "HUGEPAGE", 32),
        ({"thp.64KiB": "madvise"}, "NOHUGEPAGE", 512),
        ({"thp.64KiB": "madvise"}, "NORMAL", 512),
        ({"thp.64KiB": "always"}, "NORMAL", 32),
        ({"thp.64KiB": "always"}, "NOHUGEPAGE", 512),
        ({"thp.64KiB": "inherit", "thp.enabled": "always"}, "NORMAL", 32),
        ({"thp.64KiB": "inherit", "thp.enabled": "madvise"}, "NORMAL", 512),
        ({"thp.64KiB": "inherit", "thp.enabled": "madvise"}, "HUGEPAGE", 32),
        ({"thp.64KiB": "inherit", "thp.enabled": "never"}, "HUGEPAGE", 512),
        ({"thp.64KiB": "always", "thp.2MiB": "madvise"}, "HUGEPAGE", 1),
        ({"thp.64KiB": "never", "thp.2MiB": "madvise"}, "HUGEPAGE", 1),
    ],
)
def test_sizes_are_used_where_they_are_set_and_advised(
    machine: dict[str, str], advice: str, minflt: int
) -> None:
    """Is a size used always, in VMAs with MADV_HUGEPAGE, or as `enabled` says?"""
    advised = f"{{madvise: a, advice: {advice}}}"
    steps = f"steps: [{{mmap: a, size: 2MiB}}, {advised}, {{memset: a, value: 1}}]"
    overrides = {f"machine.{key}": value for key, value in machine.items()}
    scenario = load_text(steps.encode(), "advised", {"machine.kernel": "6.18", **overrides})
    assert engine.replay(scenario, policies.find("merged")).total["minflt"] == minflt


COLLAPSE = "{madvise: buf, advice: COLLAPSE}"


@pytest.mark.parametrize(
    ("steps", "pages", "counters"),
    [
        (COLLAPSE, "512PDX", {"minflt": 512}),
        # What is in swap is read, by nobody's faults, and what is missing is zeroes.
        (
            "{madvise: buf, advice: DONTNEED, length: 8KiB}; {madvise: buf, advice: PAGEOUT}; "
            + COLLAPSE,
            "512PDX",
            {"minflt": 512, "majflt": 0, "pswpin": 510},
        ),
        # A page that a child shares is copied.
        (f"{{fork: child}}; {COLLAPSE}; {{write: buf}}", "512PDX", {"minflt": 512}),
        (f"{{mprotect: buf, prot: r}}; {COLLAPSE}", "512PDX", {}),
        # There is no page table, and then one with nothing in it.
        (
            f"{{madvise: buf, advice: DONTNEED}}; {COLLAPSE[:-1]}, errno: EINVAL}}",
            "512D",
            {},
        ),
        (
            "{madvise: buf, advice: DONTNEED, length: 1MiB}; "
            f"{{madvise: buf, advice: DONTNEED, offset: 1MiB}}; {COLLAPSE}; {{read: buf}}",
            "512PDX",
            {"minflt": 512},
        ),
        (
            "{uffd_writeprotect: buf, length: 4KiB}; "
            "{madvise: buf, advice: COLLAPSE, errno: EINVAL}",
            "1PDXU,511PDX",
            {},
        ),
        (
            "{uffd_writeprotect: buf, wp: false}; {madvise: buf, advice: DONTNEED, length: 4KiB}; "
            "{madvise: buf, advice: COLLAPSE, errno: EBUSY}",
            "1D,511PDX",
            {},
        ),
        ("{madvise: buf, advice: COLLAPSE, length: 4KiB}", "512PDX", {}),
        (
            "{madvise: buf, advice: COLLAPSE, offset: 4KiB, length: 4KiB, errno: EINVAL}",
            "512PDX",
            {},
        ),
        (
            "{madvise: buf, advice: NOHUGEPAGE}; {madvise: buf, advice: COLLAPSE, errno: EINVAL}",
            "512PDX",
            {},
        ),
    ],
)
def test_madv_collapse_makes_one_folio_of_what_a_page_table_maps(
    steps: str, pages: str, counters: dict[str, int]
) -> None:
    """Is 2 MiB one folio afterwards, whose pageout is one, or is there the kernel's errno?"""
    text = "steps: [{mmap: buf, size: 2MiB}, {memset: buf, value: 1}, "
    text += ", ".join(steps.split("; ")) + "]"
    machine = {"machine.kernel": "6.18", "machine.thp.2MiB": "madvise"}
    scenario = load_text(text.encode(), "collapse", machine)
    result = engine.replay(scenario, policies.find("merged"), pages=True)
    assert result.pages is not None
    assert result.pages["main"]["buf"] == pages
    assert result.violations == ()
    assert counters.items() <= {"majflt": 0, **result.total}.items()


def test_madv_collapse_without_large_folios_is_an_error() -> None:
    """Is it said that the machine must have them?"""
    with pytest.raises(SwaptraceError, match="give machine"):
        engine.replay(micro("{madvise: buf, advice: COLLAPSE}"), policies.find("final"))


@pytest.mark.parametrize(
    ("kernels", "steps", "counters"),
    some(
        [
            # The huge zero page is split, and a page written; or 2 MiB are written at once.
            (
                ("6.12", "6.13"),
                "{mmap: a, size: 2MiB}; {read: a}; {write: a}",
                ({"minflt": 1 + 512}, {"minflt": 2}),
            ),
            # An empty page table stays, or goes.
            (
                ("6.13", "6.14"),
                "{mmap: a, size: 2MiB}; {write: a}; {madvise: a, advice: DONTNEED, length: 4KiB}; "
                "{madvise: a, advice: DONTNEED}; {write: a}",
                ({"minflt": 1 + 512}, {"minflt": 2}),
            ),
            # Half of a folio is shared, but not its first page: it is split, or left alone.
            (
                ("6.14", "6.15"),
                "{mmap: a, size: 2MiB}; {write: a}; {madvise: a, advice: DONTNEED, length: 4KiB}; "
                "{fork: b}; {madvise: a, advice: DONTNEED, length: 2040KiB, offset: 4KiB, "
                "process: b}; "
                "{write: a, length: 4KiB}; {madvise: a, advice: PAGEOUT}",
                ({"mthp_split": 1}, {"mthp_split": 0}),
            ),
            # Of what MADV_FREE gave up and is dirty in part, the pages before that are gone.
            (
                ("6.14", "6.15"),
                "{mmap: a, size: 2MiB}; {write: a}; {mprotect: a, prot: r, length: 4KiB}; "
                "{mprotect: a, prot: rw, length: 4KiB}; {madvise: a, advice: FREE}; "
                "{write: a, offset: 8KiB, length: 4KiB}; {madvise: a, advice: PAGEOUT}; {read: a}",
                ({"zero_page": 2}, {"zero_page": 0}),
            ),
        ],
        1,
    ),
)
def test_kernels_differ_in_how_they_split(
    kernels: tuple[str, str], steps: str, counters: tuple[dict[str, int], dict[str, int]]
) -> None:
    """Does each rule of large folios show, in the version that it says?"""
    for kernel, expected in zip(kernels, counters, strict=True):
        text = f"steps: [{', '.join(steps.split('; '))}]"
        machine = {"machine.kernel": kernel, "machine.thp": "2MiB"}
        scenario = load_text(text.encode(), "kernels", machine)
        total = engine.replay(scenario, policies.find("merged")).total
        assert expected.items() <= {"mthp_split": 0, "zero_page": 0, **total}.items()


def test_regions_that_share_a_page_table_are_an_error() -> None:
    """Is nothing counted of two regions whose memory might be one folio?"""
    with pytest.raises(SwaptraceError, match="share 2 MiB of addresses"):
        engine.replay(
            micro(
                "{mmap: next, size: 4KiB, at: 0x500000}",
                "{mmap: more, size: 4KiB, at: 0x502000}",
                thp="64KiB",
            ),
            policies.find("final"),
        )


@pytest.mark.parametrize(
    ("machine", "what"),
    [
        ({"thp": "64KiB", "kernel": "6.1"}, r"before Linux 6\.8; .* not 6\.1\n"),
        ({"thp": "64KiB", "kernel": "6.7"}, r"before Linux 6\.8; .* not 6\.7\n"),
        ({"thp": "64KiB", "kernel": "6.11", "memory": "4MiB"}, r"memory limit before Linux 6\.12"),
        ({"thp": "2MiB", "kernel": "6.8", "swap": "zswap"}, "with zswap before Linux 6.13"),
        ({"thp": "64KiB", "kernel": "6.10", "swap": "zswap"}, "with zswap before Linux 6.13"),
        ({"thp": "64KiB", "kernel": "6.12", "swap": "zswap"}, "with zswap before Linux 6.13"),
        ({"thp": "64KiB", "kernel": "6.14", "swap.size": "4MiB"}, "nearly half full"),
        ({"thp": "64KiB", "page_size": "16KiB", "swap.size": "64MiB"}, "pages of another size"),
        ({"thp.64KiB": "inherit"}, "give 'thp.enabled' as well"),
        ({"thp.64KiB": "always", "thp.enabled": "always"}, "means nothing where no size"),
    ],
)
def test_what_is_not_modelled_is_an_error(machine: dict[str, str], what: str) -> None:
    """Is there no count of what nothing was held against?"""
    with pytest.raises(SwaptraceError, match=what):
        engine.replay(micro(**machine), policies.find("final"))


def test_too_many_pages_are_an_error() -> None:
    """The same of what takes too long page by page."""
    steps = "{mmap: more, size: 8GiB}", "{read: more, order: random}"
    with pytest.raises(SwaptraceError, match="visits at most 1048576 pages"):
        engine.replay(micro(*steps, thp="64KiB"), policies.find("final"))


def test_slots_are_found_in_a_row_and_aligned() -> None:
    """Does each order have clusters of its own, and does a device fill to its last slot?"""
    slots = SlotMap(1100, 512, nonfull_first=True)
    first, single, second = slots.allocate(4), slots.allocate(0), slots.allocate(4)
    assert (first, single, second) == (512, 1, 528)
    for position in range(512, 528):
        slots.release(position)
    assert slots.allocate(4) == 544  # on from where the last were found
    found = [slots.allocate(0) for _ in range(1100 - 33)]
    assert len({*found, None}) == 1100 - 33 + 1
    assert slots.used == 1100
    assert slots.allocate(0) is None


SPLIT_BY_PARENT = """\
steps:
- {{mmap: buf, size: 2052KiB, at: 0x7f0000000000}}
- {{write: buf}}
- {{fork: child}}
- {{write: buf, offset: {offset}KiB, length: 4KiB}}
"""
"""The child's PMD entry maps pages of which the parent has only given up one."""


@pytest.mark.parametrize(
    ("kernel", "offset", "shown"),
    [
        ("6.10", 0, "512PX,1P"),
        ("6.10", 4, "513P"),
        ("6.11", 4, "1P,1PX,511P"),
        ("6.12", 0, "1PX,512P"),
        ("6.12", 4, "1P,1PX,511P"),
        ("6.16", 0, "512PX,1P"),
        ("6.18", 4, "513P"),
        ("7.3", 0, "512PX,1P"),
        ("7.3", 2048, "512P,1PX"),
    ],
)
def test_pages_of_a_pmd_entry_are_as_exclusive_as_the_first(
    kernel: str, offset: int, shown: str
) -> None:
    """Does pagemap show all of them as the first, as 6.16, 6.18 and 7.3 do, and 6.12 does not?
    The source says it of 6.10 as well, and not of 6.11."""
    machine = {"machine.kernel": kernel, "machine.thp": "2MiB"}
    scenario = load_text(SPLIT_BY_PARENT.format(offset=offset).encode(), "split", machine)
    pages = engine.replay(scenario, policies.find("merged"), pages=True).pages
    assert pages is not None
    assert pages["child"]["buf"].replace("D", "") == shown
