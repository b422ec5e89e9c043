"""Does the loader read what the scenario format says?"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import get_args

import pytest

from swaptrace.advice import Advice
from swaptrace.scenario.base import ByteRange
from swaptrace.scenario.claims import Expected
from swaptrace.scenario.hardware import KERNEL_DEFAULTS, KiB, Machine, MiB, Swap
from swaptrace.scenario.loader import load_text
from swaptrace.scenario.operations import OPERATIONS
from swaptrace.scenario.schema import (
    AccessStep,
    ClearRefsStep,
    ExitStep,
    ForkStep,
    MadviseStep,
    MeasureStep,
    MemsetStep,
    MlockStep,
    MmapStep,
    MprotectStep,
    MunlockStep,
    MunmapStep,
    RepeatStep,
    Step,
)
from swaptrace.scenario.uffd import UffdWriteprotectStep

READ_THEN_WRITE = """\
# scenarios/read-then-write.yaml
name: read-then-write            # optional; default: the file's stem
description: Swap a private buffer out, then read and write back every page.
machine:                         # optional; every key has the default shown
  kernel: "6.12"
  page_size: 4KiB
  soft_dirty: true
  hw_dirty: true
  mkwrite_dirties: false
  per_vma_lock: true
  zeromap: true
  write_upgrade: true
  swap:                          # or in short, `swap: zram`
    backend: zram
    size: 256MiB
    page_cluster: 3
steps:
  - mmap: buf
    size: 2MiB
  - memset: buf
    value: 0x11
  - madvise: buf
    advice: MADV_PAGEOUT
  - measure: read_write_data
    steps:
      - read_write: buf
expect:
  read_write_data:
    prepatch: {minflt: 512, majflt: 512}
    final: {minflt: 0, majflt: 512}
"""


def machine(text: str, **overrides: str) -> Machine:
    """The machine of a scenario with this `machine:` section, and overrides without dots."""
    settings = {"machine." + key.replace("__", "."): value for key, value in overrides.items()}
    section = f"machine: {text}\n" if text else ""
    return load_text(section + "steps: [clear_refs: soft_dirty]\n", overrides=settings).machine


def steps(text: str, page_size: str = "4KiB") -> tuple[Step, ...]:
    """The steps of a scenario with these lines of steps."""
    return load_text(f"machine: {{page_size: {page_size}}}\nsteps:\n{text}").steps


def spans(text: str, page_size: str = "4KiB") -> list[ByteRange]:
    """The ranges of the steps after the first."""
    found = [getattr(step, "span", None) for step in steps(text, page_size)[1:]]
    return [span for span in found if span is not None]


def test_reads_the_whole_example() -> None:
    """Does every section of the format's example arrive, with lines and columns?"""
    scenario = load_text(READ_THEN_WRITE, "scenarios/read-then-write.yaml")
    whole = ByteRange(0, 2 * MiB)
    assert scenario.name == "read-then-write"
    assert scenario.description.startswith("Swap a private buffer out")
    assert scenario.file == "scenarios/read-then-write.yaml"
    assert scenario.text[17] == "  - mmap: buf"
    assert scenario.machine == Machine()
    assert scenario.steps == (
        MmapStep(line=18, column=5, region="buf", size=2 * MiB),
        MemsetStep(line=20, column=5, region="buf", value=0x11, span=whole),
        MadviseStep(line=22, column=5, region="buf", advice=Advice.PAGEOUT, span=whole),
        MeasureStep(
            line=24,
            column=5,
            label="read_write_data",
            steps=(
                AccessStep(
                    line=26, column=9, op="read_write", region="buf", span=whole, stride=4 * KiB
                ),
            ),
        ),
    )
    assert scenario.expect == (
        Expected("read_write_data", "prepatch", "minflt", 512, 29),
        Expected("read_write_data", "prepatch", "majflt", 512, 29),
        Expected("read_write_data", "final", "minflt", 0, 30),
        Expected("read_write_data", "final", "majflt", 512, 30),
    )


STEPS = """\
- {mmap: a, size: 64KiB, prot: r, at: 0x10000000}
- {munmap: a, offset: 60KiB, length: 4KiB, errno: ENOMEM}
- {mprotect: a, prot: none, offset: 4KiB, length: 4KiB, errno: EACCES}
- {memset: a, value: 255, offset: 1, length: 2}
- {read: a, offset: 1, length: 2, stride: 1, order: backward}
- {write: a, value: 0, stride: 8KiB, order: random, seed: 7}
- {read_write: a, order: forward}
- {madvise: a, advice: FREE, errno: EINVAL}
- {mlock: a, errno: EAGAIN}
- {munlock: a}
- {fork: child}
- {clear_refs: soft_dirty, process: child}
- {uffd_writeprotect: a, wp: False, length: 8KiB, process: child}
- {exit: child, process: child}
- measure: w
  steps: [{repeat: 3, steps: [read: a]}]
"""
"""Each key of most operations, as a file has it."""


def test_reads_every_step_with_every_key() -> None:
    """Does each key of each operation reach the step?"""
    found = steps(STEPS)
    whole = ByteRange(0, 64 * KiB)
    assert [(step.line, step.column) for step in found[:3]] == [(3, 4), (4, 4), (5, 4)]
    here = 1  # where they stand does not matter below
    assert tuple(replace(step, line=here, column=1) for step in found[:14]) == (
        MmapStep(line=here, region="a", size=64 * KiB, prot="r", at=0x10000000),
        MunmapStep(line=here, region="a", span=ByteRange(60 * KiB, 4 * KiB), errno="ENOMEM"),
        MprotectStep(
            line=here, region="a", prot="none", span=ByteRange(4 * KiB, 4 * KiB), errno="EACCES"
        ),
        MemsetStep(line=here, region="a", value=255, span=ByteRange(1, 2)),
        AccessStep(
            line=here, op="read", region="a", span=ByteRange(1, 2), stride=1, order="backward"
        ),
        AccessStep(
            line=here,
            op="write",
            region="a",
            span=whole,
            stride=8 * KiB,
            order="random",
            seed=7,
            value=0,
        ),
        AccessStep(line=here, op="read_write", region="a", span=whole, stride=4 * KiB),
        MadviseStep(line=here, region="a", advice=Advice.FREE, span=whole, errno="EINVAL"),
        MlockStep(line=here, region="a", span=whole, errno="EAGAIN"),
        MunlockStep(line=here, region="a", span=whole),
        ForkStep(line=here, child="child"),
        ClearRefsStep(line=here, process="child"),
        UffdWriteprotectStep(
            line=here, process="child", region="a", span=ByteRange(0, 8 * KiB), wp=False
        ),
        ExitStep(line=here, process="child"),
    )


def test_reads_steps_within_steps() -> None:
    """Do measure and repeat hold theirs?"""
    measure = steps(STEPS)[14]
    assert isinstance(measure, MeasureStep)
    repeat = measure.steps[0]
    assert isinstance(repeat, RepeatStep)
    assert repeat.count == 3
    assert [step.op for step in repeat.steps] == ["read"]


def test_every_step_of_the_schema_can_be_written() -> None:
    """Does the table of operations know every class of step, under the name it has?"""
    classes = set(get_args(Step)) - {AccessStep}
    assert {cls.op for cls in classes} | {"read", "write", "read_write"} == set(OPERATIONS)


@pytest.mark.parametrize("advice", Advice)
def test_advice_with_and_without_prefix(advice: Advice) -> None:
    """May the MADV_ be left out?"""
    text = "- {mmap: a, size: 4KiB}\n"
    for name in (str(advice), advice.name):
        step = steps(f"{text}- {{madvise: a, advice: {name}}}\n")[1]
        assert isinstance(step, MadviseStep)
        assert step.advice is advice


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("0x3000", 0x3000),
        ("0o20000", 0o20000),
        ("12KiB", 12 * KiB),
        ("12K", 12 * KiB),
        ("3MiB", 3 * MiB),
        ("3M", 3 * MiB),
        ("2GiB", 2048 * MiB),
        ("2G", 2048 * MiB),
        ("1TiB", MiB * MiB),
        ("1T", MiB * MiB),
        ('"8KiB"', 8 * KiB),
        ("1", 4096),
        ("4097", 8192),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """Are sizes bytes or binary units, and regions rounded up to whole pages?"""
    step = steps(f"- {{mmap: a, size: {text}}}\n")[0]
    assert isinstance(step, MmapStep)
    assert step.size == size


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("True", True), ("TRUE", True), ("false", False), ("FALSE", False)],
)
def test_booleans(text: str, value: bool) -> None:
    """Are YAML's spellings of true and false taken, from the file and the command line?"""
    assert machine(f"{{zeromap: {text}}}").zeromap is value
    assert machine("", zeromap=text).zeromap is value


@pytest.mark.parametrize("kernel", KERNEL_DEFAULTS)
def test_kernel_sets_defaults(kernel: str) -> None:
    """Does the kernel set what the file leaves open, quoted or not, and nothing else?"""
    made = machine(f"{{kernel: {kernel}}}")
    assert machine(f'{{kernel: "{kernel}"}}') == made
    assert machine("", kernel=kernel) == made
    implied = {**KERNEL_DEFAULTS[kernel], "kernel": kernel}
    assert asdict(made) == {**asdict(Machine()), **implied}


def test_explicit_settings_win_over_the_kernel() -> None:
    """Wherever the kernel comes from, and wherever the setting does?"""
    for made in (
        machine("{zeromap: true, kernel: 6.1}"),
        machine("{zeromap: true}", kernel="6.1"),
        machine("{kernel: 6.1}", zeromap="true"),
        machine("{kernel: 6.12, zeromap: false}", kernel="6.1", zeromap="true"),
    ):
        assert made == Machine(kernel="6.1", per_vma_lock=False, zeromap=True, write_upgrade=False)


def test_swap_in_short_and_in_full() -> None:
    """Is `swap: disk` the backend alone, and is an override merged into either form?"""
    disk = Machine(swap=Swap(backend="disk"))
    assert machine("{swap: disk}") == disk
    assert machine("{swap: {backend: disk}}") == disk
    assert machine("{swap: zswap}", swap="disk") == disk
    assert machine("{swap: zswap}", swap__backend="disk") == disk
    sized = Machine(swap=Swap(backend="disk", size=MiB, page_cluster=0))
    assert machine("{swap: disk}", swap__size="1MiB", swap__page_cluster="0") == sized
    assert machine("{swap: {size: 1MiB, page_cluster: 0}}", swap="disk") == sized


def test_the_last_override_wins() -> None:
    """Of two overrides of one setting, is it the later that counts?"""
    settings = {"machine.swap": "disk", "machine.swap.backend": "zswap"}
    scenario = load_text("steps: [clear_refs: soft_dirty]", overrides=settings)
    assert scenario.machine.swap.backend == "zswap"


def test_page_size_from_an_override_governs_the_file() -> None:
    """Are regions, strides and ranges those of the page size that the run has?"""
    text = "steps:\n- {mmap: a, size: 4KiB}\n- read: a\n"
    found = load_text(text, overrides={"machine.page_size": "64KiB"}).steps
    assert isinstance(found[0], MmapStep)
    assert found[0].size == 64 * KiB
    assert isinstance(found[1], AccessStep)
    assert (found[1].stride, found[1].span) == (64 * KiB, ByteRange(0, 64 * KiB))


def test_ranges_of_system_calls_are_whole_pages() -> None:
    """Is a range rounded as the kernel does, and that of an access left alone?"""
    assert spans(
        """\
- {mmap: a, size: 16000}
- {munmap: a, offset: 8KiB, length: 1}
- {mprotect: a, prot: r, length: 4097}
- {madvise: a, advice: COLD, offset: 4KiB, length: 5000}
- {mlock: a, offset: 4095, length: 2}
- {munlock: a, offset: 8191, length: 1}
- {uffd_writeprotect: a, offset: 4KiB}
- {read: a, offset: 100, length: 1}
- {write: a, offset: 100}
"""
    ) == [
        ByteRange(8192, 4096),
        ByteRange(0, 8192),
        ByteRange(4096, 8192),
        ByteRange(0, 8192),
        ByteRange(4096, 4096),
        ByteRange(4096, 12288),
        ByteRange(100, 1),
        ByteRange(100, 16284),
    ]


def test_names_default_to_the_file() -> None:
    """What is a scenario called that has no name?"""
    text = "steps: [clear_refs: soft_dirty]\n"
    assert load_text(text).name == "scenario"
    assert load_text(text, name="stdin").name == "stdin"
    assert load_text(f"name: own\n{text}", name="stdin").name == "own"
    assert load_text(text).description == ""


def test_text_is_text_whatever_yaml_would_make_of_it() -> None:
    """Do numbers, booleans and dates stay what was written?"""
    text = "name: 6.10\ndescription: 2024-06-01\nsteps:\n- {mmap: on, size: 4KiB}\n- read: on\n"
    scenario = load_text(text)
    assert (scenario.name, scenario.description) == ("6.10", "2024-06-01")


def test_byte_order_mark_and_carriage_returns_are_no_matter() -> None:
    """Is a file of another system read as the same scenario?"""
    lines = READ_THEN_WRITE.replace("\n", "\r\n").encode("utf-8-sig")
    assert load_text(lines) == load_text(READ_THEN_WRITE)
    assert load_text(lines).text == load_text(READ_THEN_WRITE).text
    assert load_text("\ufeff" + READ_THEN_WRITE) == load_text(READ_THEN_WRITE)


def test_inner_steps_are_executed_by_the_process_of_the_outer_one() -> None:
    """Who executes the steps of a window that says who executes it?"""
    found = steps(
        """\
- {mmap: a, size: 4KiB}
- fork: c
- measure: w
  process: c
  steps:
  - read: a
  - {read: a, process: main}
  - repeat: 2
    steps:
    - read: a
  - repeat: 2
    process: main
    steps:
    - read: a
"""
    )
    measure = found[2]
    assert isinstance(measure, MeasureStep)
    inner = [step for outer in measure.steps[2:] for step in getattr(outer, "steps", ())]
    assert [step.process for step in measure.steps] == ["c", "main", "c", "main"]
    assert [step.process for step in inner] == ["c", "main"]


def test_windows_may_repeat_and_be_expected() -> None:
    """May two windows share a label, and a window be inside of a repeat?"""
    text = """\
steps:
- {measure: w, steps: [clear_refs: soft_dirty]}
- {repeat: 2, steps: [{measure: w, steps: [clear_refs: soft_dirty]}]}
expect:
  w: {new: {minflt: 0}, ./my-policy.py: {rewrites: 0x10}}
  total: {}
"""
    assert load_text(text).expect == (
        Expected("w", "new", "minflt", 0, 5),
        Expected("w", "./my-policy.py", "rewrites", 16, 5),
    )
