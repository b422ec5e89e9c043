"""Stock kernels of a distribution, booted: does the model agree, and is a panic told?

SWAPTRACE_TEST_KERNELS names images, separated by colons; their modules lie where a package of
the distribution, unpacked, has them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from swaptrace import bundled
from swaptrace.verify.build import find_compiler
from swaptrace.verify.place import Ending, Job
from swaptrace.verify.qemu import guests
from tests.commandline import run

KERNELS = [Path(name) for name in os.environ.get("SWAPTRACE_TEST_KERNELS", "").split(":") if name]

CANNOT_RUN = {
    "mkwrite-dirties": "mkwrite_dirties",
    "software-dirty-bit": "hw_dirty",
    "one-tebibyte": "",
}
"""Bundled scenarios for another processor or for more memory, and a word of the reason."""

PANIC = """\
#include <stdio.h>

int main(void)
{
	FILE *trigger = fopen("/proc/sysrq-trigger", "w");

	puts("before");
	fflush(stdout);
	fputs("c", trigger);
	fclose(trigger);
}
"""

SHOW = r"""
#include <stdio.h>

int main(void)
{
	char line[256], device[64], type[64], size[32], used[32];
	FILE *file = fopen("/proc/swaps", "r");

	fgets(line, sizeof(line), file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %63s %31s %31s", device, type, size, used) == 4)
			printf("%s %s %s\n", device, size, used);
	file = fopen("/proc/sys/vm/page-cluster", "r");
	if (file && fgets(line, sizeof(line), file))
		printf("%s", line);
	file = fopen("/sys/module/zswap/parameters/enabled", "r");
	if (file && fgets(line, sizeof(line), file))
		printf("%s", line);
}
"""
"""Prints the swap areas, page-cluster, and whether zswap is on, where the kernel has it."""

pytestmark = pytest.mark.skipif(not KERNELS, reason="SWAPTRACE_TEST_KERNELS names no kernel images")


@pytest.fixture(scope="module")
def verified() -> list[dict[str, Any]]:
    """What comes of every bundled scenario on every kernel."""
    folder = bundled.directory()
    assert folder is not None
    options = [word for kernel in KERNELS for word in ("--kernel", str(kernel))]
    result = run("verify", *options, "--format", "json", folder)
    assert result.exit_code in (0, 1)
    found = json.loads(result.stdout)
    return list(found.get("kernels", [found]))


@pytest.mark.parametrize("number", range(len(KERNELS)), ids=[path.name for path in KERNELS])
def test_every_bundled_scenario_agrees(verified: list[dict[str, Any]], number: int) -> None:
    """Is none skipped for another reason than that its machine is not this one?"""
    version = tuple(map(int, verified[number]["kernel"].split(".")[:2]))
    policy = "prepatch" if version < (6, 11) else "merged"
    assert len(verified[number]["scenarios"]) > 10
    for found in verified[number]["scenarios"]:
        if found["name"] == "half-the-memory" and not (6, 12) <= version <= (7, 2):
            assert found["status"] == "skipped"
            assert "reclaims is not modelled" in found["reason"]
        elif found["name"] in CANNOT_RUN:
            assert found["status"] == "skipped"
            assert CANNOT_RUN[found["name"]] in found["reason"]
        else:
            expected = {"name": found["name"], "policy": policy, "status": "agrees"}
            assert {key: found[key] for key in found if key != "file"} == expected


LIMITED = """\
machine:
  memory: 2MiB
  reclaim: {}
  stat_flush: 64
  lru_drain: 8
steps:
- {{mmap: buf, size: 4MiB}}
- {{write: buf}}
- {{access: buf, pattern: zipf, count: 2000, write_share: 0.3}}
- {{access: buf, pattern: uniform, count: 500, write_share: 0.3}}
"""


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda path: path.name)
def test_reclaim_under_a_memory_limit_is_that_of_the_model(kernel: Path, tmp_path: Path) -> None:
    """Under either LRU, where the kernel has both and the model is of it; else is it skipped?"""
    for reclaim in ("classic", "mglru"):
        (tmp_path / f"{reclaim}.yaml").write_text(LIMITED.format(reclaim))
    found = json.loads(run("verify", "--kernel", kernel, "--format", "json", tmp_path).stdout)
    version = tuple(map(int, found["kernel"].split(".")[:2]))
    modelled = {"classic": (6, 12) <= version <= (7, 2), "mglru": version == (6, 12)}
    for each in found["scenarios"]:
        assert each["status"] == ("agrees" if modelled[each["name"]] else "skipped"), each


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda path: path.name)
def test_swap_of_each_kind_a_hang_and_a_panic(kernel: Path, tmp_path: Path) -> None:
    """Are they set up as asked, and is what did not end told apart?"""
    compiler = find_compiler(tmp_path)
    show = compiler.build(SHOW, tmp_path, "show")
    hang = compiler.build("int main(void) { for (;;); }\n", tmp_path, "hang")
    panic = compiler.build(PANIC, tmp_path, "panic")
    jobs = [
        Job("zram", show, "zram", 16 << 20, 0, 30),
        Job("disk", show, "disk", 32 << 20, 3, 30),
        Job("zswap", show, "zswap", 64 << 20, 5, 30),
        Job("huge", show, "disk", 8 << 40, 3, 30),
        Job("hang", hang, "zram", 1 << 20, 3, 0.5),
        Job("panic", panic, "zram", 1 << 20, 3, 30),
        Job("after", show, "zram", 1 << 20, 3, 30),
    ]
    (guest,) = guests([kernel], None, 1 << 30, compiler, tmp_path)
    zram, disk, zswap, huge, hung, panicked, after = guest.run(jobs)
    off = ["N"] if zswap.ending is Ending.COMPLETED else []
    assert zram.stdout.split() == ["/dev/zram0", str(16 << 10), "0", "0", *off]
    assert disk.stdout.split() == ["/dev/vda", str(32 << 10), "0", "3", *off]
    if zswap.ending is Ending.COMPLETED:
        assert zswap.stdout.split() == ["/dev/vda", str(64 << 10), "0", "5", "Y"]
    else:
        assert zswap.reason == "this kernel has no zswap (CONFIG_ZSWAP)"
    assert huge.reason == "it wants a swap area larger than the disk of this guest can be"
    assert hung.ending is Ending.NOT_RUN
    assert panicked.stdout == "before\n"
    because = "Kernel panic - not syncing: sysrq triggered crash"
    assert panicked[2:] == (Ending.FAILED, f"cut off: {because}")
    assert after[2:] == (Ending.NOT_RUN, because)
