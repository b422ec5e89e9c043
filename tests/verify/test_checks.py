"""Does an emitted program assert on a kernel what `check` steps claim?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swaptrace.verify.emit import emit_c
from swaptrace.verify.fitting import MAX_DATA_PAGES, check_runnable
from swaptrace.verify.limiting import Unfit
from tests.commandline import run
from tests.effort import exhaustive
from tests.verify.programs import on_this_kernel, scenario

HOLDS = """\
steps:
- {mmap: buf, size: 64KiB}
- check: {pages: {buf: 16-}, data: {buf: zero}}
- {memset: buf, value: 0x11}
- {write: buf, value: 0x22, offset: 4100, length: 1}
- {madvise: buf, advice: PAGEOUT, length: 4KiB}
- check: {pages: {buf: '1S,15PX'}, data: {buf: '1:unchanged,1:0x22,14:0x11'}, violations: []}
- {madvise: buf, advice: FREE, offset: 60KiB}
- {munmap: buf, offset: 56KiB, length: 4KiB}
- fork: child
- {write: buf, process: child, length: 8KiB}
- {madvise: buf, advice: DONTNEED, process: child, offset: 32KiB, length: 4KiB}
- check: {data: {buf: '2:unchanged,6:0x11,1:zero,5:0x11,1:-,1:unchanged'}}
  process: child
- repeat: 2
  steps:
  - check: {data: {buf: '1:0x11,1:0x22,12:0x11,1:-,1:0x11'}, policies: [merged]}
  - check: {data: {buf: zero}, policies: [rfc]}
"""


def verified(path: Path, text: str) -> dict[str, Any]:
    """What a scenario comes to on the running kernel."""
    path.write_text(text)
    result = run("verify", "--setup-zram", "256M", "--format", "json", path)
    assert "Error" not in result.stderr
    found: dict[str, Any] = json.loads(result.stdout)["scenarios"][0]
    return found


@exhaustive
@on_this_kernel
def test_what_holds_agrees(tmp_path: Path) -> None:
    """Of page maps, of data in memory, of other policies, and wherever a page was last written?"""
    assert verified(tmp_path / "holds.yaml", HOLDS)["status"] == "agrees"


@on_this_kernel
def test_what_does_not_hold_fails_and_is_named(tmp_path: Path) -> None:
    """Also where the model does the same as the kernel, and is it the first?"""
    text = HOLDS.replace("1:0x22,14:0x11", "1:0x22,14:0x12").replace(
        "policies: [rfc]", "policies: [merged]"
    )
    found = verified(tmp_path / "wrong.yaml", text)
    assert (found["status"], found.get("first_difference")) == ("failed", None)
    assert found["reason"] == (
        "a check does not hold: line 7, data of buf in main: 1:unread,1:0x22,14:0x11 in step 5, "
        "expected 1:unchanged,1:0x22,14:0x12"
    )


def test_each_claim_is_a_statement() -> None:
    """Does a program say what it asserts, in words that can be changed?"""
    text = emit_c(scenario(HOLDS))
    for statement in (
        'CHECK(P_main, 3, "1") {',
        'expect_pages(R_buf, "1S,15PX", false);',
        "RUN(1, UNCHANGED), RUN(1, 0x22), RUN(14, 0x11));",
        'CHECK(P_main, 18, "12[%ld].1", i1) {\n\t\t\tonly_of(false, false);',
        "4 * KiB, MADV_FREE)), maybe_zero(R_buf, 60 * KiB, 4 * KiB);",
    ):
        assert statement in text


def test_data_of_very_many_pages_are_not_checked() -> None:
    """Is a region refused of which no program could note what was written?"""
    text = f"steps:\n- {{mmap: buf, size: {(MAX_DATA_PAGES + 1) * 4096}}}\n"
    check_runnable(scenario(text))
    with pytest.raises(Unfit, match="more than 65536 pages"):
        check_runnable(scenario(text + "- check: {data: {buf: zero}}\n"))
