"""Does each rule of large folios show in the version that it says, from 6.8 to 6.12?

What is expected of 6.8 to 6.11 follows from their source alone: no kernel was asked.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import fields
from random import Random
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swaptrace import policies
from swaptrace.errors import SwaptraceError
from swaptrace.kernels import Rule, follows
from swaptrace.mm.event import Facts
from swaptrace.replay import engine
from swaptrace.replay.engine import world_of
from swaptrace.replay.execution import execute
from swaptrace.replay.folios.memory import Folios
from swaptrace.replay.folios.slotmap import CpuSlotMap, slot_map
from swaptrace.replay.folios.sweep import Sweep
from swaptrace.replay.table import Table
from swaptrace.replay.tally import Tally
from swaptrace.replay.world import static_facts
from swaptrace.result.result import PolicyResult
from swaptrace.scenario.hardware import Machine, Swap
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.schema import Scenario
from tests.effort import examples
from tests.replay.clusters import Clusters
from tests.replay.test_blocks import agree

AT = "0x7f0000000000"
PAGEOUT = "{madvise: a, advice: PAGEOUT}"
TWO = "{mmap: a, size: 128KiB}; {write: a}"
"""Two folios of 64 KiB."""


def replayed(kernel: str, steps: str, thp: str = "64KiB", **machine: str) -> PolicyResult:
    """What comes of steps, written without line breaks."""
    text = f"steps: [{', '.join(steps.split('; '))}]"
    settings = {"kernel": kernel, "thp": thp, **machine}
    overrides = {f"machine.{key.replace('_', '.')}": value for key, value in settings.items()}
    scenario = load_text(text.encode(), "versions", overrides)
    return engine.replay(scenario, policies.find("prepatch"), pages=True)


def counts(result: PolicyResult, *names: str) -> tuple[int, ...]:
    """Some counters."""
    return tuple(result.total.get(name, 0) for name in names)


@pytest.mark.parametrize(
    ("kernel", "folios_out", "split", "major", "folios_in"),
    [
        ("6.8", 0, 32, 512, 0),
        ("6.9", 0, 32, 512, 0),
        ("6.10", 32, 0, 512, 0),
        ("6.11", 32, 0, 512, 0),
        ("6.12", 32, 0, 32, 32),
    ],
)
def test_folios_are_split_then_go_whole_then_come_back_whole(
    kernel: str, folios_out: int, split: int, major: int, folios_in: int
) -> None:
    """Are 2 MiB written as pages, from 6.10 on as folios, and from 6.12 on read as folios, too?"""
    result = replayed(kernel, f"{{mmap: a, size: 2MiB}}; {{write: a}}; {PAGEOUT}; {{read: a}}")
    found = counts(result, "mthp_swpout", "mthp_split", "majflt", "mthp_swpin")
    assert found == (folios_out, split, major, folios_in)
    assert counts(result, "pswpout", "pswpin") == (512, 512)


@pytest.mark.parametrize("kernel", ["6.8", "6.9", "6.10", "6.11"])
def test_2_mib_go_to_swap_whole_and_come_back_page_by_page(kernel: str) -> None:
    """Is what a PMD entry maps swapped out whole, by all of them (THP_SWAP)?"""
    steps = f"{{mmap: a, size: 2MiB, at: {AT}}}; {{write: a}}; {PAGEOUT}; {{read: a}}"
    result = replayed(kernel, steps, thp="2MiB")
    assert counts(result, "thp_swpout", "mthp_split", "majflt") == (1, 0, 512)


@pytest.mark.parametrize("kernel", ["6.8", "6.9"])
def test_zswap_stores_the_pages_of_what_was_split(kernel: str) -> None:
    """Up to 6.9, does zswap get single pages of 64 KiB, and is 2 MiB an error, which it refuses?"""
    steps = f"{TWO}; {PAGEOUT}; {{read: a}}"
    result = replayed(kernel, steps, swap_backend="zswap")
    assert counts(result, "zswpout", "zswpin", "pswpout", "mthp_split") == (32, 32, 0, 2)
    with pytest.raises(SwaptraceError, match="large folios in zswap is modelled as since"):
        replayed(kernel, f"{TWO}; {{madvise: a, advice: COLLAPSE}}", swap_backend="zswap")


@pytest.mark.parametrize(("kernel", "minor"), [("6.8", 512), ("6.10", 512), ("6.11", 1)])
def test_what_is_in_the_swap_cache_whole_is_mapped_whole(kernel: str, minor: int) -> None:
    """Does one fault map 2 MiB that a disk has left in the swap cache, since 6.11?"""
    steps = f"{{mmap: a, size: 2MiB, at: {AT}}}; {{write: a}}; {PAGEOUT}; {{read: a}}"
    result = replayed(kernel, steps, thp="2MiB", swap_backend="disk")
    assert counts(result, "minflt", "majflt") == (1 + minor, 0)


@pytest.mark.parametrize(
    ("kernel", "written", "pages"),
    [
        ("6.8", 16 + 1, "16S"),
        ("6.10", 16 + 1, "16S"),
        # The write has mapped all of it, and freed its slots.
        ("6.11", 16 + 16, "16S"),
    ],
)
def test_a_write_fault_frees_the_swap_cache_of_a_large_folio(
    kernel: str, written: int, pages: str
) -> None:
    """Does a write to one page of a folio in the swap cache make all of it dirty, since 6.11?"""
    steps = "{mmap: a, size: 64KiB}; {write: a}; {madvise: a, advice: PAGEOUT}; "
    steps += f"{{write: a, length: 4KiB}}; {PAGEOUT}"
    result = replayed(kernel, steps, swap_backend="disk")
    assert counts(result, "pswpout") == (written,)
    assert result.pages is not None
    assert result.pages["main"]["a"].replace("D", "") == pages


@pytest.mark.parametrize(
    ("kernel", "written", "split"), [("6.8", 0, 0), ("6.9", 31, 2), ("6.10", 31, 1)]
)
def test_a_folio_whose_first_page_is_gone(kernel: str, written: int, split: int) -> None:
    """Does MADV_PAGEOUT stop at it up to 6.8, and split only what it has to from 6.10 on?"""
    result = replayed(kernel, f"{TWO}; {{madvise: a, advice: DONTNEED, length: 4KiB}}; {PAGEOUT}")
    assert counts(result, "pswpout", "mthp_split") == (written, split)


@pytest.mark.parametrize(
    ("kernel", "split"), [("6.8", (2, 0)), ("6.9", (2, 0)), ("6.10", (0, 1)), ("6.11", (0, 1))]
)
def test_madv_free_splits_or_stops_up_to_6_9(kernel: str, split: tuple[int, int]) -> None:
    """Are whole folios split, and none behind one whose first page is gone; later the opposite?"""
    free = "{madvise: a, advice: FREE}"
    whole = replayed(kernel, f"{TWO}; {free}")
    part = replayed(kernel, f"{TWO}; {{madvise: a, advice: DONTNEED, length: 4KiB}}; {free}")
    assert (*counts(whole, "mthp_split"), *counts(part, "mthp_split")) == split


@pytest.mark.parametrize(
    ("kernel", "written"),
    [("6.8", 512), ("6.9", 512), ("6.10", 512 + 31 * 16), ("6.11", 512 + 31 * 16)],
)
def test_a_shared_folio_ends_the_walk_of_its_page_table_up_to_6_9(
    kernel: str, written: int
) -> None:
    """Of 4 MiB whose first folio has two owners, does MADV_PAGEOUT leave all that the same page
    table maps, and nothing of the next one; later that folio alone?"""
    steps = f"{{mmap: a, size: 4MiB, at: {AT}}}; {{write: a}}; {{fork: b}}; "
    steps += "{madvise: a, advice: DONTNEED, offset: 64KiB, process: b}; "
    assert counts(replayed(kernel, steps + PAGEOUT), "pswpout") == (written,)
    cold = replayed(kernel, f"{steps}{{madvise: a, advice: COLD}}")
    assert counts(cold, "mthp_split") == (32 if kernel in ("6.8", "6.9") else 0,)


@pytest.mark.parametrize(("kernel", "written"), [("6.9", 512), ("6.10", 0)])
def test_whether_a_pmd_entry_shares_its_folio(kernel: str, written: int) -> None:
    """If another process maps all of it but the first page, is it taken for one's own up to 6.9?"""
    steps = f"{{mmap: a, size: 2MiB, at: {AT}}}; {{write: a}}; {{fork: b}}; "
    steps += f"{{madvise: a, advice: DONTNEED, length: 4KiB, process: b}}; {PAGEOUT}"
    assert counts(replayed(kernel, steps, thp="2MiB"), "pswpout") == (written,)


@pytest.mark.parametrize(("kernel", "found"), [("6.8", (1, 0)), ("6.9", (0, 1)), ("6.12", (0, 1))])
def test_the_last_page_of_a_folio_is_copied(kernel: str, found: tuple[int, int]) -> None:
    """Is it reused by 6.8 alone, where nobody else refers to the folio?"""
    steps = "{mmap: a, size: 64KiB}; {write: a}; {fork: b}; {exit: b}; "
    steps += "{madvise: a, advice: DONTNEED, length: 60KiB}; {write: a, offset: 60KiB}"
    result = replayed(kernel, steps.replace("offset: 60KiB}", "offset: 60KiB, length: 4KiB}"))
    assert counts(result, "wp_reuse", "wp_copy") == found


@pytest.mark.parametrize(("kernel", "counted"), [("6.9", 1), ("6.10", 0)])
def test_thp_split_page_counts_small_sizes_up_to_6_9(kernel: str, counted: int) -> None:
    """Is the split of 64 KiB seen in /proc/vmstat, too?"""
    result = replayed(kernel, f"{TWO}; {PAGEOUT[:-1]}, length: 4KiB}}")
    assert counts(result, "mthp_split", "thp_split_page") == (1, counted)


@pytest.mark.parametrize(("kernel", "written"), [("6.11", 1), ("6.12", 0)])
def test_pages_of_zeroes_survive_a_split_up_to_6_11(kernel: str, written: int) -> None:
    """Are they written as others are, and not replaced by the shared zero page?"""
    steps = "{mmap: a, size: 64KiB}; {memset: a, value: 0}; "
    result = replayed(kernel, f"{steps}{PAGEOUT[:-1]}, length: 4KiB}}")
    assert counts(result, "mthp_split", "pswpout") == (1, written)


OPERATIONS = (
    *(f"{{madvise: a, advice: {advice}, @}}" for advice in ("PAGEOUT", "PAGEOUT", "COLD", "FREE")),
    *("{madvise: a, advice: DONTNEED, @}", "{read: a, @}", "{write: a, @}"),
)


@st.composite
def advised(draw: st.DrawFn) -> Scenario:
    """Advice on parts of memory on both sides of the end of a page table, of up to two processes,
    in an old kernel."""
    steps, processes = ["{mmap: a, size: 384KiB, at: 0x7f00001c0000}", "{write: a}"], ["main"]
    for _ in range(draw(st.integers(1, 7))):
        if len(processes) == 1 and draw(st.booleans()):
            steps.append("{fork: b}")
            processes.append("b")
        first = draw(st.integers(0, 95))
        last = draw(st.one_of(st.just(95), st.integers(first, 95)))
        where = f"offset: {4 * first}KiB, length: {4 * (last + 1 - first)}KiB"
        who = draw(st.sampled_from(processes))
        steps.append(draw(st.sampled_from(OPERATIONS)).replace("@", f"{where}, process: {who}"))
    machine = {
        "machine.kernel": draw(st.sampled_from(["6.8", "6.9", "6.10", "6.11", "6.12"])),
        "machine.thp": draw(st.sampled_from(["16KiB", "64KiB", "128KiB"])),
        "machine.swap.backend": draw(st.sampled_from(["zram", "disk"])),
        "machine.swap.page_cluster": draw(st.sampled_from(["0", "3"])),
    }
    return load_text(f"steps: [{', '.join(steps)}]".encode(), "advised", machine)


@settings(max_examples=examples(100))
@given(advised(), st.sampled_from(["prepatch", "merged", "final"]))
def test_walks_that_split_or_stop_equal_page_by_page(scenario: Scenario, policy: str) -> None:
    """Do blocks that are looked up end a walk where the page table as a whole does?"""
    agree(scenario, policy)


def test_a_device_that_may_have_no_free_cluster_is_an_error() -> None:
    """Is nothing counted of 6.11 where 2 MiB of slots in a row might not be found, and of 6.12?"""
    steps = f"{{mmap: a, size: 256KiB}}; {{write: a}}; {PAGEOUT}"
    with pytest.raises(SwaptraceError, match="are not modelled before Linux"):
        replayed("6.11", steps, swap_size="4MiB")
    assert counts(replayed("6.12", steps, swap_size="4MiB"), "mthp_swpout") == (4,)
    assert counts(replayed("6.9", steps, swap_size="4MiB"), "pswpout") == (64,)


def test_slots_that_were_released_may_not_be_free_yet() -> None:
    """Up to 6.11, is a cluster sought only while more are free than a CPU may hold back?"""
    slots = slot_map("6.11", 68 * 512 - 1, 512)
    assert isinstance(slots, CpuSlotMap)
    first = slots.allocate(4)
    assert first is not None
    assert len(slots.free) == 66
    slots.release(first)
    assert slots.allocate(4) == first + 16  # there is room in the cluster that the CPU has
    with pytest.raises(SwaptraceError, match="not more than 66 times 2 MiB"):
        slots.allocate(3)


@pytest.mark.parametrize(("kernel", "major"), [("6.12", 5), ("6.14", 5), ("6.15", 2)])
def test_a_slot_that_a_cpu_set_aside_is_not_given_out_again(kernel: str, major: int) -> None:
    """Up to 6.14, do single pages get the 64 slots in turn that a CPU has set aside, so that four
    of them are not aligned after one that was released? (6.12.117 shows it.)"""
    steps = "{mmap: a, size: 16KiB}; {write: a}; {madvise: a, offset: 12KiB, advice: PAGEOUT}"
    steps += f"; {{read: a}}; {PAGEOUT}; {{read: a}}"
    assert counts(replayed(kernel, steps, thp="16KiB"), "majflt") == (major,)


@settings(max_examples=examples(50))
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=8), st.randoms())
def test_slots_of_single_pages_are_where_the_second_implementation_has_them(
    turns: list[tuple[int, int]], random: Random
) -> None:
    """From 6.12 to 6.14, does the map with large folios give slots as the naive device does, which
    keeps back what is released?"""
    machine = Machine(kernel="6.12", swap=Swap(size=64 << 20))
    naive = Clusters(machine, lambda _: False, lambda _: None)
    slots, held = slot_map("6.12", naive.total, naive.size), list[int]()
    for takes, frees in turns:
        for _ in range(takes):
            position = slots.allocate(0)
            assert position == naive.allocate()
            assert position is not None
            held.append(position)
        random.shuffle(held)
        for position in held[:frees]:
            slots.release(position)
            naive.freed(position)
        del held[:frees]


@pytest.mark.parametrize("pages", [80, 300, 700, 2200])
def test_a_device_that_fills_gives_slots_as_the_second_implementation_does(pages: int) -> None:
    """Up to its last slot, also where the CPU gives up what it has set aside?"""
    machine = Machine(kernel="6.12", swap=Swap(size=pages * 4096))
    naive = Clusters(machine, lambda _: False, lambda _: None)
    slots = slot_map("6.12", naive.total, naive.size)
    found = [(slots.allocate(0), naive.allocate()) for _ in range(pages + 1)]
    assert [ours for ours, _ in found] == [theirs for _, theirs in found]
    assert found[-1] == (None, None)
    assert None not in found[-2]


SINGLY = """\
steps:
- {mmap: few, size: 20KiB, at: 0x7e0000000000}
- {mmap: many, size: 16MiB, at: 0x7f0000000000}
- {madvise: few, advice: NOHUGEPAGE}
- {madvise: many, advice: NOHUGEPAGE}
- {write: few}
- {write: many}
- {madvise: few, advice: PAGEOUT}
- {madvise: many, advice: PAGEOUT}
"""


def slots_after(text: str, jumps: bool) -> tuple[object, ...]:
    """The swap device at the end, with or without jumps over page tables."""
    machine = {"machine.kernel": "6.12", "machine.thp": "16KiB"}
    scenario = load_text(text.encode(), "slots", machine)
    world = world_of(scenario.machine, Table(policies.find("merged")))
    jump = nullcontext() if jumps else mock.patch.object(Sweep, "jump", return_value=0)
    with jump:
        for step in scenario.steps:
            assert execute(world, Tally(), step) is None
    assert isinstance(world.arena, Folios)
    regions = world.arena.regions
    slots = regions.slots
    rows = [
        [each.rows_at(at) for each in tables.stretches for at in range(each.tables)]
        for tables in regions.tables.values()
    ]
    free = [number for each in slots.free for number in each.numbers]
    return slots.lists(), slots.next, slots.stock, slots.used, free, rows


def test_slots_set_aside_are_as_without_jumps() -> None:
    """Where page tables are jumped over, are the slots that a CPU has left those that it would
    have, and do loops fold and count as page by page?"""
    assert slots_after(SINGLY, jumps=True) == slots_after(SINGLY, jumps=False)
    more = "- repeat: 7\n  steps: [{read: few}, {madvise: few, advice: PAGEOUT}]\n"
    more += "- {madvise: few, advice: HUGEPAGE}\n- {read: few}\n"
    machine = {"machine.kernel": "6.12", "machine.thp": "16KiB", "machine.swap.backend": "zram"}
    agree(load_text((SINGLY + more).encode(), "stock", machine), "merged")


@pytest.mark.parametrize("kernel", ["6.7", "6.8", "6.9", "6.10", "6.11", "6.12", "7.3"])
def test_facts_are_the_rules_of_these_names(kernel: str) -> None:
    """Is each fact that is called as a rule, and no feature of a machine, what the kernel has?"""
    names = {*Facts._fields} - {field.name for field in fields(Machine)}
    rules = [rule for rule in Rule if rule.name.lower() in names]
    assert {Rule.SWAPS_OUT_WHOLE, Rule.SWAPS_IN_WHOLE} <= {*rules}
    facts = static_facts(Machine(kernel=kernel))
    for rule in rules:
        assert getattr(facts, rule.name.lower()) == follows(kernel, rule)


LEVEL = f"{TWO}; {PAGEOUT}; {{read: a}}; {{write: a, offset: 32KiB, length: 4KiB}}"
"""Two folios with a dirty PTE in the middle of the first."""


@pytest.mark.parametrize(
    ("protect", "before", "since"),
    [
        ("{mprotect: a, prot: r}; {mprotect: a, prot: rw}", "32PX", "16PDX,16PX"),
        ("{uffd_writeprotect: a}", "32PXU", "16PDXU,16PXU"),
        # PAGEMAP_SCAN does so one by one (seen on 7.3.4).
        (
            "{uffd_register: a, mode: wp, features: WP_ASYNC}; "
            "{pagemap_scan: a, wp: true, category: WRITTEN}",
            *("32PXU", "32PXU"),
        ),
        ("{mprotect: a, offset: 32KiB, prot: r}", "32PX", "32PX"),  # the first one is dirty
        ("{mprotect: a, length: 32KiB, prot: r}", "32PX", "32PX"),  # none is
    ],
)
def test_protection_is_changed_of_several_ptes_at_once_since_6_17(
    protect: str, before: str, since: str
) -> None:
    """Are all PTEs of a large folio dirty after a change of their protection if one was, and
    soft-dirty if it was not the first (seen on 6.18.15, 7.2.12 and 7.3.4)?"""
    for kernel, shown in (("6.16", before), ("6.17", since)):
        found = replayed(kernel, f"{LEVEL}; {{clear_refs: soft_dirty}}; {protect}").pages
        assert found is not None
        assert found["main"]["a"] == shown, kernel


@pytest.mark.parametrize(
    ("kernel", "registered", "kept"),
    [
        ("6.14", "{uffd_register: a, mode: wp}", 6),
        ("6.16", "{uffd_register: a, mode: wp}", 16),
        ("7.2", "{uffd_register: a, mode: wp}", 6),
        ("7.2", "{uffd_register: a, mode: missing}", 16),
        ("7.3", "{uffd_register: a, mode: wp}", 16),
        ("7.3", "{uffd_writeprotect: a, mode: rwp, wp: false}", 16),
    ],
)
def test_who_is_registered_decides_in_7_2_how_lazyfree_ptes_go(
    kernel: str, registered: str, kept: int
) -> None:
    """Are the pages before one that was written since MADV_FREE gone, or kept as they are unmapped
    together (seen on 6.16.12, 6.18.15, 7.2.12 and 7.3.4)?"""
    steps = f"{{mmap: a, size: 64KiB}}; {{write: a}}; {registered}; {{madvise: a, advice: FREE}}"
    written = "{write: a, offset: 40KiB, length: 4KiB}"
    found = replayed(kernel, f"{steps}; {written}; {PAGEOUT}").pages
    gone = f"{16 - kept}D," if kept < 16 else ""
    assert found == {"main": {"a": f"{gone}{kept}PDX"}}
