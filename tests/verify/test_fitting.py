"""Which machine is the model, and which scenarios can a kernel not be compared with?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swaptrace.verify.fitting import (
    MAX_EXECUTED,
    check_runnable,
    discards_pmd,
    machine_for,
)
from swaptrace.verify.limiting import Unfit
from swaptrace.verify.observed import SwapArea
from tests.verify.programs import FACTS, scenario

ONE_PAGE = "steps:\n- {mmap: buf, size: 4KiB}\n"
HALF = """\
machine: {swap: {size: 32KiB}}
steps:
- {mmap: buf, size: 1TiB}
- {write: buf, length: 16KiB}
"""


def test_the_model_is_the_kernel_that_ran() -> None:
    """Are features that the scenario only has by default replaced?"""
    old = replace(FACTS, kernel="6.1.176", soft_dirty=False)
    machine = machine_for(scenario(ONE_PAGE), old)
    assert (machine.kernel, machine.zeromap, machine.write_upgrade) == ("6.1", False, False)
    assert (machine.per_vma_lock, machine.soft_dirty) == (False, False)
    imagined = scenario(f"machine: {{kernel: 6.1}}\n{ONE_PAGE}")
    assert machine_for(imagined, FACTS).kernel == "6.12"


def test_a_kernel_for_one_cpu_has_no_per_vma_lock() -> None:
    assert machine_for(scenario(ONE_PAGE), FACTS).per_vma_lock
    assert not machine_for(scenario(ONE_PAGE), replace(FACTS, smp=False)).per_vma_lock


@pytest.mark.parametrize(
    ("machine", "facts", "reason"),
    [
        ("hw_dirty: false", {}, "it wants hw_dirty: false, which this kernel does not have"),
        ("mkwrite_dirties: true", {}, "it wants mkwrite_dirties: true, which"),
        ("zeromap: false", {}, "it wants zeromap: false, which"),
        ("per_vma_lock: false", {}, "it wants per_vma_lock: false, which"),
        ("soft_dirty: false", {}, "it wants a kernel without soft-dirty bits"),
        ("swap: {page_cluster: 0}", {}, "it wants page-cluster 0, this kernel's is set to 3"),
    ],
)
def test_what_a_scenario_says_on_purpose_must_be_so(
    machine: str, facts: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Unfit) as caught:
        machine_for(scenario(f"machine: {{{machine}}}\n{ONE_PAGE}"), replace(FACTS, **facts))
    assert reason in str(caught.value)


def test_another_architecture_is_taken_at_the_scenarios_word() -> None:
    arm = replace(FACTS, arch="aarch64")
    assert not machine_for(scenario(f"machine: {{hw_dirty: false}}\n{ONE_PAGE}"), arm).hw_dirty


def test_what_is_explicit_and_so_is_fine() -> None:
    """May a scenario for 6.1 that wants zeromap run on a kernel that has it?"""
    text = f"machine: {{kernel: 6.1, zeromap: true}}\n{ONE_PAGE}"
    assert machine_for(scenario(text), FACTS).zeromap


@pytest.mark.parametrize(
    "swap",
    [
        [SwapArea("/dev/zram1", 32 << 10, 0)],
        [SwapArea("/dev/zram1", 1 << 30, 0)],
    ],
    ids=["the same size", "so large that half of it is never used"],
)
def test_swap_that_does(swap: list[SwapArea]) -> None:
    text = HALF if swap[0].size == 32 << 10 else ONE_PAGE
    assert machine_for(scenario(text), replace(FACTS, swap=tuple(swap)))


@pytest.mark.parametrize(
    "swap",
    [
        [SwapArea("/dev/zram1", 1 << 30, 0)],
        [SwapArea("/dev/zram1", 32 << 10, 4096)],
        [SwapArea("/dev/zram1", 32 << 10, 0), SwapArea("/dev/vdb", 1 << 20, 0)],
    ],
    ids=["another size", "in use", "not the only one"],
)
def test_a_scenario_that_fills_its_swap_needs_its_very_own(swap: list[SwapArea]) -> None:
    with pytest.raises(Unfit, match="it may use half of its swap area"):
        machine_for(scenario(HALF), replace(FACTS, swap=tuple(swap)))


def test_a_scenario_without_swap_wants_none_to_be_active() -> None:
    """Is a kernel with a swap area another machine, however little of it is used?"""
    text = f"machine: {{swap: none}}\n{ONE_PAGE}"
    assert machine_for(scenario(text), replace(FACTS, swap=())).swap.size == 0
    with pytest.raises(Unfit, match="it wants a machine without swap"):
        machine_for(scenario(text), FACTS)


def test_a_forked_process_fills_swap_as_well() -> None:
    text = HALF.replace("16KiB", "12KiB")
    large = replace(FACTS, swap=(SwapArea("/dev/zram1", 1 << 30, 0),))
    assert machine_for(scenario(text), large)
    with pytest.raises(Unfit, match="it may use half"):
        machine_for(scenario(f"{text}- {{fork: child}}\n"), large)


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (
            f"- {{repeat: {MAX_EXECUTED}, steps: [{{read: buf}}]}}",
            "it executes 20001 steps; at most 20000 are compared",
        ),
        (
            "- {mmap: high, size: 8KiB, at: 0x6ffffffff000}",
            "region high lies on both sides of 0x700000000000",
        ),
    ],
)
def test_what_no_kernel_can_run_as_a_program(steps: str, reason: str) -> None:
    with pytest.raises(Unfit) as caught:
        check_runnable(scenario(f"{ONE_PAGE}{steps}\n"))
    assert reason in str(caught.value)


@pytest.mark.parametrize("at", [0x10000, 0x400000, 0x55D0C0FFE000, 0x7F1234560000, 0x7FFFFFFFE000])
def test_any_address_of_a_process_can_be_a_region(at: int) -> None:
    """Is there a place in a program for what /proc/PID/maps shows?"""
    check_runnable(scenario(f"steps:\n- {{mmap: buf, size: 4KiB, at: {at:#x}}}\n"))


@pytest.mark.parametrize(
    ("release", "whole"),
    [
        ("6.12.116", True),
        ("6.12.117", False),
        ("6.18.15", True),
        ("6.18.44", False),
        ("6.18", True),
        ("7.2.13", True),
    ],
)
def test_stable_releases_that_split_what_madv_free_leaves(release: str, whole: bool) -> None:
    """Is it known of a release, and so of the machine, where there are large folios?"""
    assert discards_pmd(release) is whole
    large = scenario(f"machine: {{thp: 2MiB, kernel: 6.18}}\n{ONE_PAGE}")
    assert machine_for(large, replace(FACTS, kernel=release)).discards_pmd is whole
