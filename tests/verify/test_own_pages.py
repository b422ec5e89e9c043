"""Does nothing that the TLB still holds from before a step change what a step counts?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commandline import run
from tests.effort import exhaustive
from tests.verify.programs import on_this_kernel

pytestmark = on_this_kernel

BY_A_CHILD = """\
steps:
- {mmap: r, size: 4KiB}
- {fork: child}
- {read: r}
- {access: r, count: 1, pattern: zipf, process: child}
"""
"""The child's first step in which the program writes what it has only read since the fork."""

LOCKED = """\
steps:
- {mmap: r, size: 4KiB}
- {memset: r, value: 0}
- {fork: child}
- {memset: r, value: 0, process: child}
- {read: r}
- {mlockall: [MCL_CURRENT]}
- {memset: r, value: 34}
"""
"""The kernel makes a page writable that the process has read since the fork, for mlock."""


@exhaustive
@pytest.mark.parametrize("text", [BY_A_CHILD, LOCKED], ids=["its own", "a region"])
def test_a_page_that_the_kernel_has_reused_counts_for_nothing(text: str, tmp_path: Path) -> None:
    """Does no write find an entry of the TLB from before (a spurious fault)?"""
    for number in range(8):
        (tmp_path / f"{number}.yaml").write_text(text)
    done = run("verify", "--setup-zram", "256M", "--format", "json", str(tmp_path))
    found = json.loads(done.stdout)["scenarios"]
    assert [each["status"] for each in found] == ["agrees"] * 8
