"""Does a kernel do with pinned pages what the model does?"""

from __future__ import annotations

import json
import shutil
from errno import EFAULT
from pathlib import Path
from typing import Any

import pytest

from swaptrace.verify.build import find_compiler
from swaptrace.verify.emit import emit_c
from tests.commandline import SWAPTRACE, run
from tests.processes import completed
from tests.verify.programs import on_this_kernel, scenario
from tests.verify.test_emit import needs_compiler

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
- {write: buf, offset: 1MiB, length: 1MiB}
- {pin: buf, mode: get}
- fork: child
- {madvise: buf, advice: PAGEOUT}
- {write: buf, length: 2MiB}
- {write: buf, process: child}
- {unpin: buf}
- {madvise: buf, advice: PAGEOUT}
- {pin: buf, offset: 12KiB, length: 2MiB, mode: get}
- {read: buf}
"""
"""More pages than a pipe of an ordinary user can have."""


def verified_as(user: str, path: Path, size: str = "4MiB") -> dict[str, Any]:
    """What it comes to for a user with other limits."""
    path.write_text(MANY.replace("4MiB", size))
    given = [*user.split(), *SWAPTRACE, "verify", "--setup-zram", "256M", "--format", "json"]
    found: dict[str, Any] = json.loads(completed([*given, str(path)]).stdout)["scenarios"][0]
    return found


ORDINARY = "setpriv --bounding-set=-sys_resource"
needs_setpriv = pytest.mark.skipif(
    not shutil.which("setpriv"), reason="setpriv (util-linux) is not there"
)


@on_this_kernel
@needs_setpriv
def test_a_pin_goes_into_several_pipes_where_one_cannot_have_all(tmp_path: Path) -> None:
    """Without CAP_SYS_RESOURCE, is every page got once, and given back?"""
    assert verified_as(ORDINARY, tmp_path / "many.yaml")["status"] == "agrees"


@on_this_kernel
@needs_setpriv
@pytest.mark.skipif(not shutil.which("prlimit"), reason="prlimit (util-linux) is not there")
def test_a_pin_that_no_pipes_can_have_is_skipped(tmp_path: Path) -> None:
    """Where there can be few descriptors, is that said, instead of that a process died?"""
    found = verified_as(f"prlimit --nofile=24 {ORDINARY}", tmp_path / "many.yaml", "32MiB")
    assert found["status"] == "skipped"
    assert "fs.pipe-max-size" in str(found)


WITHOUT_SWAP = """\
machine: {swap: none}
steps:
- {mmap: buf, size: 64KiB}
- {mmap: ro, size: 16KiB, prot: r}
- {pin: ro}
- {unpin: ro}
- {pin: buf}
- {unpin: buf}
"""


def printed(tmp_path: Path, edit: tuple[str, str] = ("", "")) -> str:
    """What a program with an edit prints, on any kernel without swap."""
    text = emit_c(scenario(WITHOUT_SWAP)).replace(*edit)
    binary = find_compiler(tmp_path).build(text, tmp_path, "program")
    stdout: str = completed([binary], text=True).stdout
    if '"skip"' in stdout:
        pytest.skip(stdout)
    return stdout


@needs_compiler
def test_what_the_kernel_did_not_pin_can_be_unpinned(tmp_path: Path) -> None:
    """Is it the errno that differs then, instead of that the program fails?"""
    stdout = printed(tmp_path)
    assert f'"step":"2","errno":{EFAULT},' in stdout
    assert '"step":"5"' in stdout
    assert "failed" not in stdout


@needs_compiler
@pytest.mark.parametrize(
    ("edit", "cause"),
    [
        (("1 /* no buffers */", "99"), "cannot unpin: Invalid argument"),
        (("if (pin->ring && ", "if (pin->ring && raise(SIGKILL) && "), "Killed"),
    ],
)
def test_a_process_that_dies_says_of_what(
    tmp_path: Path, edit: tuple[str, str], cause: str
) -> None:
    """With the step, whether it ends itself or a signal ends it?"""
    stdout = printed(tmp_path, edit)
    assert f"a process died in step 5: {cause}" in stdout
