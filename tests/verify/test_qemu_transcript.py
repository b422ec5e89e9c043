"""Is what a guest says understood, however it is cut up, and damage noticed?"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swaptrace.verify.place import Ending, Job, JobOutcome
from swaptrace.verify.transcript import DamagedReport, Transcript, trouble

JOBS = [Job(f"job-{n}", Path("/none"), "zram", 1 << 20, 3, 2.5) for n in range(6)]

REPORT = b"""
@begin 0
{"a": 1}
{"b": 2}

@exit 0

@begin 1

@skipped this kernel has no zram (CONFIG_ZRAM)

@begin 2
{"a"
@timeout

@begin 3
{}

@signal 11

@begin 4

@failed swapon: Invalid argument

@begin 5

@exit 3

@done
"""

OUTCOMES = [
    JobOutcome("job-0", '{"a": 1}\n{"b": 2}\n'),
    JobOutcome("job-1", "", Ending.SKIPPED, "this kernel has no zram (CONFIG_ZRAM)"),
    JobOutcome("job-2", '{"a"', Ending.NOT_RUN, "it did not end within 2.5 seconds (--timeout)"),
    JobOutcome("job-3", "{}\n", Ending.FAILED, "the program was killed by SIGSEGV"),
    JobOutcome("job-4", "", Ending.NOT_RUN, "swapon: Invalid argument"),
    JobOutcome("job-5", "", Ending.FAILED, "the program ended with exit code 3"),
]


@given(st.lists(st.integers(0, len(REPORT)), max_size=8))
def test_a_report_in_pieces_of_any_size(cuts: list[int]) -> None:
    transcript = Transcript(JOBS)
    ends = [0, *sorted(cuts), len(REPORT)]
    pieces = [REPORT[start:end] for start, end in pairwise(ends)]
    assert [outcome for piece in pieces for outcome in transcript.feed(piece)] == OUTCOMES
    assert transcript.done
    assert not transcript.left


@given(st.integers(0, len(REPORT) - len("@done\n")))
def test_a_report_that_breaks_off(length: int) -> None:
    """Are the outcomes of what had ended there, the others left, and the guest not done?"""
    transcript = Transcript(JOBS)
    found = transcript.feed(REPORT[:length])
    assert found == OUTCOMES[: len(found)]
    assert [job.name for job in transcript.left] == [o.name for o in OUTCOMES[len(found) :]]
    assert not transcript.done


def test_what_a_program_printed_before_the_end_is_kept() -> None:
    transcript = Transcript(JOBS)
    transcript.feed(b'\n@begin 0\n{"a": 1}\n{"b"')
    assert transcript.current == JOBS[0]
    assert transcript.stdout == '{"a": 1}\n{"b"'


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (b"@begin 1\n", "'@begin 1' where a job has to begin"),
        (b"@begin 0\n@begin 1\n", "'@begin 1' while a job runs"),
        (b"@exit 0\n", "'@exit 0' where a job has to begin"),
        (b"@begin 0\n@exit x\n", "'x' is no number"),
        (b"@begin 0\n@exit \xc2\xb2\n", "'²' is no number"),
        (b"@begin 0\n@signal 999\n", "'999' is no signal"),
        (b"@done\n", "'@done' where a job has to begin"),
        (b"noise\n", "'noise' between two jobs"),
        (b"@begin 0\n@exit 0\n\x1b[31m\xff\n", "between two jobs"),
        (REPORT + b"@begin 6\n", "'@begin 6' after its end"),
    ],
)
def test_a_damaged_report(report: bytes, message: str) -> None:
    with pytest.raises(DamagedReport) as caught:
        Transcript(JOBS).feed(report)
    assert message in str(caught.value).replace('"', "'")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("console", "found"),
    [
        ("", None),
        ("[    1.0] Linux version 6.12.1\n[    1.5] zram: Added device: zram0\n", None),
        (
            "[    8.1] sysrq: Trigger a crash\n"
            "[    8.2] Kernel panic - not syncing: sysrq triggered crash\n",
            "Kernel panic - not syncing: sysrq triggered crash",
        ),
        (
            "[  12.34][ T57] BUG: kernel NULL pointer dereference, address: 0000000000000008\n"
            "[   12.345679][   T57] #PF: supervisor read access in kernel mode\n"
            "[   12.345680][   T57] Oops: Oops: 0000 [#1] PREEMPT SMP\n"
            "[   12.345690][   T57] Kernel panic - not syncing: Fatal exception\n",
            "BUG: kernel NULL pointer dereference, address: 0000000000000008",
        ),
        ("<0>kernel BUG at mm/memory.c:4321!\n", "kernel BUG at mm/memory.c:4321!"),
        (
            "[    3.9] VFS: Cannot open root device\n"
            "[    4.0] Kernel panic - not syncing: VFS: Unable to mount root fs\n",
            "Kernel panic - not syncing: VFS: Unable to mount root fs",
        ),
    ],
)
def test_the_first_message_of_a_kernel_that_ends(console: str, found: str | None) -> None:
    assert trouble(console) == found
