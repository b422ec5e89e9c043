"""Random scenarios for property tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

from hypothesis import strategies as st

from swaptrace.advice import Advice
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.hardware import Machine, Swap
from swaptrace.scenario.pagescan import MincoreStep, PagemapScanStep
from swaptrace.scenario.remote import MigrateStep, PokeStep
from swaptrace.scenario.schema import (
    AccessPatternStep,
    AccessStep,
    ClearRefsStep,
    ExitStep,
    ForkStep,
    LockAllFlag,
    LockFlag,
    MadviseStep,
    MemsetStep,
    MlockallStep,
    MlockStep,
    MmapStep,
    MprotectStep,
    MunlockallStep,
    MunlockStep,
    MunmapStep,
    Pattern,
    Prot,
    RepeatStep,
    Scenario,
    Step,
)
from swaptrace.scenario.uffd import UffdRegisterStep, UffdWriteprotectStep
from swaptrace.verify.leaves import written
from swaptrace.verify.random_uffd import FEATURES, scan_step, uffd_step

PAGE = 4096
LOCK_ALL: tuple[LockAllFlag, ...] = get_args(LockAllFlag)
ADVICE = (
    *(Advice.PAGEOUT, Advice.PAGEOUT),
    *(each for each in Advice if each not in (Advice.RANDOM, Advice.SEQUENTIAL, Advice.COLLAPSE)),
)
"""All that is modelled under a memory limit as well."""


@st.composite
def machines(draw: st.DrawFn, pages: int) -> Machine:
    """Any back end and feature; devices that come to a threshold with so many pages are likely."""
    flag = st.booleans()
    slots = draw(st.sampled_from([1 << 20, 3 * pages, 2 * pages, pages, pages // 2 + 1, 0]))
    return Machine(
        kernel=draw(st.sampled_from(["6.1", "6.10", "6.12", "6.16", "6.18", "7.2", "7.3"])),
        soft_dirty=draw(flag),
        hw_dirty=draw(flag),
        mkwrite_dirties=draw(flag),
        per_vma_lock=draw(flag),
        zeromap=draw(flag),
        write_upgrade=draw(flag),
        swap=Swap(
            backend=draw(st.sampled_from(["zram", "zswap", "disk"])) if slots else "none",
            size=PAGE * slots,
            page_cluster=draw(st.sampled_from([3, 3, 0, 1, 6])),
        ),
    )


@st.composite
def spans(draw: st.DrawFn, pages: int) -> ByteRange:
    """Whole pages of a region, often all of them."""
    if draw(st.booleans()):
        return ByteRange(0, pages * PAGE)
    first = draw(st.integers(0, pages - 1))
    return ByteRange(first * PAGE, draw(st.integers(1, pages - first)) * PAGE)


@st.composite
def access_patterns(draw: st.DrawFn, span: ByteRange, process: str) -> AccessPatternStep:
    """An `access` step on the region `r`."""
    pages = span.length // PAGE
    kinds: list[Pattern] = ["sequential", "uniform", "zipf"]
    if pages > 1:
        kinds.append("hot")
    pattern = draw(st.sampled_from(kinds))
    return AccessPatternStep(
        line=1,
        process=process,
        region="r",
        span=span,
        count=draw(st.integers(1, 2 * pages)),
        pattern=pattern,
        exponent=draw(st.sampled_from([0.8, 1.0])) if pattern == "zipf" else 1.0,
        hot_pages=draw(st.integers(1, pages - 1)) if pattern == "hot" else 0,
        write_share=draw(st.sampled_from([0, 0.3, 1])),
        seed=draw(st.integers(0, 3)),
    )


SINCE_6_12 = (UffdRegisterStep, PagemapScanStep, MigrateStep)


@st.composite
def page_accesses(draw: st.DrawFn, span: ByteRange, process: str) -> AccessStep:
    """Accesses to the pages of a range, in an order."""
    return AccessStep(
        line=1,
        process=process,
        op=draw(st.sampled_from(["read", "write", "read_write"])),
        region="r",
        span=span,
        stride=draw(st.sampled_from([PAGE, PAGE, PAGE, 2 * PAGE, 7 * PAGE, 6144, 512])),
        order=draw(st.sampled_from(["forward", "forward", "backward", "random"])),
        seed=draw(st.integers(0, 3)),
        value=draw(st.sampled_from([None, None, 0, 7])),
    )


@st.composite
def leaf_steps(draw: st.DrawFn, pages: int, process: str, registers: bool = False) -> Step:
    """A step of one process on the region `r`; with `registers` also on a userfaultfd."""
    span = draw(spans(pages))
    place: Any = {"line": 1, "process": process}
    kind = draw(st.sampled_from("aaaaaaaammmmpulkcxsi" + "fffwog" * registers))
    if kind == "a":
        return draw(page_accesses(span, process))
    if kind == "s":
        return draw(access_patterns(span, process))
    if kind == "m":
        return MadviseStep(**place, region="r", advice=draw(st.sampled_from(ADVICE)), span=span)
    if kind == "p":
        return MprotectStep(
            **place, region="r", prot=draw(st.sampled_from(["rw", "rw", "r", "none"])), span=span
        )
    if kind == "o":
        return PokeStep(**place, region="r", span=span, value=draw(st.sampled_from([0, 7])))
    if kind == "g":
        return MigrateStep(**place, region="r", span=span)
    if kind == "i":
        return MincoreStep(**place, region="r", span=span)
    if kind == "w":
        step = scan_step(draw(st.randoms(use_true_random=False)), "r", process, span)
        # Of what is not registered some answers depend on page tables, and are an error.
        return replace(step, flags=draw(st.sampled_from([1, 2, 3])), vec=True)
    if kind == "f":
        random, features = draw(st.randoms(use_true_random=False)), draw(st.sampled_from(FEATURES))
        return uffd_step(random, features, "r", process, span, ByteRange(0, pages * PAGE))
    if kind == "u":
        return UffdWriteprotectStep(**place, region="r", span=span, wp=draw(st.booleans()))
    if kind == "l":
        flags: tuple[LockFlag, ...] = draw(st.sampled_from([(), ("MLOCK_ONFAULT",)]))
        return MlockStep(**place, region="r", span=span, flags=flags)
    if kind == "k":
        return MunlockStep(**place, region="r", span=span)
    if kind == "x":
        return MunmapStep(**place, region="r", span=span)
    others: list[Step] = [
        ClearRefsStep(**place),
        MunlockallStep(**place),
        MlockallStep(**place, flags=tuple(sorted(draw(st.sets(st.sampled_from(LOCK_ALL)))))),
        MemsetStep(**place, region="r", span=span, value=0),
        MemsetStep(**place, region="r", span=span, value=1),
    ]
    return draw(st.sampled_from(others))


@st.composite
def scenarios(
    draw: st.DrawFn,
    max_pages: int = 40,
    max_steps: int = 14,
    registers: bool = False,
    objects: tuple[tuple[bool, str | None], ...] = ((False, None),),
) -> Scenario:
    """Up to three processes on one region, which is private anonymous memory unless `objects` are
    given: whether it is shared, and of which file, of any size."""
    pages = draw(st.integers(1, max_pages))
    prot: Prot = draw(st.sampled_from(["rw", "rw", "rw", "r"]))
    shared, file = draw(st.sampled_from(objects))
    mapped = MmapStep(line=1, region="r", size=pages * PAGE, prot=prot, shared=shared, file=file)
    if file is not None and draw(st.booleans()):
        mapped = replace(mapped, file_size=draw(st.integers(1, pages * PAGE + PAGE)))
    steps: list[Step] = [mapped]
    steps.append(
        AccessStep(line=1, op="write", region="r", span=ByteRange(0, pages * PAGE), stride=PAGE)
        if draw(st.booleans())
        else MadviseStep(line=1, region="r", advice=Advice.WILLNEED, span=ByteRange(0, PAGE))
    )
    alive = ["main"]
    for number in range(draw(st.integers(1, max_steps))):
        process = draw(st.sampled_from(alive))
        choice = draw(st.integers(0, 11))
        if choice == 0 and len(alive) < 3:
            alive.append(f"child{number}")
            steps.append(ForkStep(line=1, process=process, child=alive[-1]))
        elif choice == 1 and len(alive) > 1:
            alive.remove(process)
            steps.append(ExitStep(line=1, process=process))
        elif choice == 2:
            inner = draw(st.lists(leaf_steps(pages, process, registers), min_size=1, max_size=3))
            steps.append(RepeatStep(line=1, count=draw(st.integers(1, 6)), steps=tuple(inner)))
        else:
            steps.append(draw(leaf_steps(pages, process, registers)))
    machine = draw(machines(pages))
    if any(isinstance(step, SINCE_6_12) for step in written(tuple(steps))):
        machine = replace(machine, kernel=draw(st.sampled_from(["6.12", "6.18", "7.3"])))
    return Scenario("random", "", machine, tuple(steps))
