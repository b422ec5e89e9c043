"""Does a kernel do with pinned pages what the model does?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.commandline import SWAPTRACE, run
from tests.processes import completed
from tests.verify.programs import on_this_kernel

PINS = """\
steps:
- {mmap: buf, size: 64KiB}
- {mmap: other, size: 64KiB}
- {memset: buf, value: 0x11}
- {pin: buf, length: 32KiB}
- {pin: other}
- {madvise: buf, advice: PAGEOUT}
- check: {pages: {buf: '8PX,8S', other: 16PX}}
- fork: child
- check: {pages: {buf: '8PX,8S', other: 16PX}, data: {buf: 0x11}}
- check: {pages: {buf: '8PX,8S', other: 16PX}, data: {buf: 0x11}}
  process: child
- {write: buf, value: 0x22}
- {write: buf, process: child, value: 0x33}
- check: {data: {buf: 0x22}, violations: []}
- {madvise: other, advice: DONTNEED}
- {write: other}
- {mprotect: buf, prot: r}
- {mprotect: buf, prot: rw}
- {write: buf}
- {madvise: buf, advice: FREE}
- {madvise: buf, advice: PAGEOUT}
- check: {pages: {buf: '8PX,8-'}}
- {unpin: buf}
- {madvise: buf, advice: PAGEOUT}
- {read: buf}
- {unpin: other}
- {exit: child}
- {pin: buf, mode: get}
- {madvise: buf, advice: PAGEOUT}
- {write: buf}
- {madvise: buf, advice: PAGEOUT}
- fork: second
- {write: buf, process: second}
- {write: buf}
- {madvise: buf, advice: PAGEOUT}
- {read_write: buf}
- {unpin: buf}
- {pin: buf}
- {mprotect: other, prot: none}
- {pin: other, errno: EFAULT}
- {pin: other, mode: get, errno: EFAULT}
- {unpin: buf}
- {mmap: ro, size: 16KiB, prot: r}
- {pin: ro, errno: EFAULT}
- {pin: ro, mode: get}
- {munmap: buf}
"""
"""Pins and references before and after forks, reclaim, MADV_FREE, and where there may be none."""


@on_this_kernel
def test_pins_agree_on_the_running_kernel(tmp_path: Path) -> None:
    """Are counts, errnos and page maps those of the model after every step?"""
    path = tmp_path / "pins.yaml"
    path.write_text(PINS)
    found = json.loads(run("verify", "--setup-zram", "256M", "--format", "json", path).stdout)
    assert found["scenarios"][0]["status"] == "agrees", found


MANY = """\
steps:
- {mmap: buf, size: 4MiB}
- {pin: buf, mode: get}
"""
"""More pages than a pipe of an ordinary user can have."""


@on_this_kernel
@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv (util-linux) is not there")
def test_a_pin_that_is_too_large_for_this_user_is_skipped(tmp_path: Path) -> None:
    """Without CAP_SYS_RESOURCE, is said what there can not be, instead of that a process died?"""
    path = tmp_path / "many.yaml"
    path.write_text(MANY)
    without = ["setpriv", "--bounding-set=-sys_resource", *SWAPTRACE]
    given = [*without, "verify", "--setup-zram", "256M", "--format", "json", str(path)]
    scenario = json.loads(completed(given).stdout)["scenarios"][0]
    assert scenario["status"] == "skipped"
    assert "fs.pipe-max-size" in str(scenario)
