"""On the kernel that runs here: does ksmd split large folios as in the model?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swaptrace.verify.journal import journal
from tests.commandline import run
from tests.verify.programs import on_this_kernel
from tests.verify.test_thp import has_sizes

HEAD = """\
machine: {kernel: '6.18', thp: {64KiB: always}}
steps:
- {mmap: a, size: 1MiB, at: 0x600000000000}
- {madvise: a, advice: MERGEABLE}
"""
EACH_OTHER = "".join(
    f"- {{memset: a, value: {20 + folio}, offset: {64 * folio}KiB, length: 4KiB}}\n"
    for folio in range(16)
)
"""Pages of zeroes are left of each folio. A scan splits one, and searches no others then."""


@on_this_kernel
@has_sizes
def test_as_many_scans_are_made_as_there_are_folios(tmp_path: Path) -> None:
    """Are all split when the step is over, as a write to each page then shows?"""
    with journal():
        pass
    path = tmp_path / "many.yaml"
    path.write_text(f"{HEAD}{EACH_OTHER}- ksm_scan: true\n- {{memset: a, value: 9}}\n")
    result = run("verify", "--setup-zram", "256M", "--format", "json", path)
    (found,) = json.loads(result.stdout)["scenarios"]
    if found["status"] == "skipped":
        pytest.skip(found["reason"])
    if found["status"] != "agrees":  # others may have had large folios meanwhile
        differed = found["first_difference"]["kernel"]
        assert [*differed] == ["counters"], found
        assert [*differed["counters"]] == ["mthp_fault_alloc"], found
