"""Do stock kernels copy as many pages as the model that keeps the per-CPU batches?

SWAPTRACE_TEST_KERNELS is as in `test_qemu_kernels`. A page of one owner is copied rather than
reused while a batch has a reference to it; the last few of 64 pages wait in theirs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from swaptrace.kernels import BATCHES_READ
from swaptrace.verify.build import find_compiler
from swaptrace.verify.place import Job
from swaptrace.verify.qemu import guests
from tests.replay.test_batch import run
from tests.verify.test_qemu_kernels import KERNELS

CASES = {
    "reused": ("map(); fork_and(0);", "- {write: b}\n- {fork: a}\n- {exit: a}\n"),
    "free": (
        "map(); fork_and(0); madvise(b, SIZE, MADV_FREE);",
        "- {write: b}\n- {fork: a}\n- {exit: a}\n- {madvise: b, advice: FREE}\n",
    ),
    "cold": (
        "map(); madvise(b, SIZE, MADV_FREE); touch(); madvise(b, SIZE, MADV_PAGEOUT);"
        "fork_and(0); madvise(b, SIZE, MADV_COLD);",
        "- {write: b}\n- {madvise: b, advice: FREE}\n- {write: b}\n"
        "- {madvise: b, advice: PAGEOUT}\n- {fork: a}\n- {exit: a}\n"
        "- {madvise: b, advice: COLD}\n",
    ),
    "exit": (
        "map(); fork_and(1);",
        "- {write: b}\n- {fork: a}\n- {mlock: b, flags: MLOCK_ONFAULT, process: a}\n- {exit: a}\n",
    ),
    "advice": (
        "map(); fork_and(2);",
        "- {write: b}\n- {fork: a}\n- {mlock: b, flags: MLOCK_ONFAULT, process: a}\n"
        "- {madvise: b, advice: DONTNEED_LOCKED, process: a}\n- {exit: a}\n",
    ),
    "copied": (
        "map(); fork_and(3);",
        "- {write: b}\n- {fork: a}\n- {mlock: b, flags: MLOCK_ONFAULT, process: a}\n"
        "- {write: b, process: a}\n- {exit: a}\n",
    ),
}
"""What a program does to the pages, and what a scenario, before all are written."""

COPIED = """\
- {mmap: w, size: 512KiB, shared: true, file: f}
- {write: w}
- {mmap: s, size: 512KiB, at: 0x500000000000, OBJECT}
- {mlock: s, flags: MLOCK_ONFAULT}
- {mmap: b, size: 256KiB}
- {mlock: b, flags: MLOCK_ONFAULT}
- {write: b}
- {fork: a}
- {madvise: b, advice: WILLNEED}
- {write: b}
"""
"""The last pages that a child has now for itself wait to be munlocked."""

MERGED = """prot: rw}
- {memset: s, value: 7}
- {madvise: s, advice: MERGEABLE}
- {ksm_scan: true"""

OBJECTS = {
    **{
        f"shared {pages}": (
            f"-1, {pages}, 1",
            "shared: true",
            f"{{write: s, length: {4 * pages}KiB}}",
        )
        for pages in (6, 7, 26, 27)
    },
    **{
        f"merged {pages}": (f"-2, {pages}, 1", MERGED, f"{{write: s, length: {4 * pages}KiB}}")
        for pages in (3, 4, 13, 14)
    },
    "file 0": ("memfd(), 0, 16", "file: f", "{read: b, length: 4KiB}"),
    "file 1": ("memfd(), 16, 16", "file: f", "{read: s, length: 64KiB}"),
    "file 2": ("memfd(), 32, 16", "file: f", "{read: s, length: 128KiB}"),
}
"""What is then touched of an object, or written of merged pages, that a locked VMA maps, before the
child writes: page by page, or by faults that map sixteen."""

OBJECT_CASES = {
    name.replace(" ", "_"): (
        f'of_object("{name.replace(" ", "_")}", {touched});',
        COPIED.replace("OBJECT", given) + f"- {step}\n",
        ", process: a",
    )
    for name, (touched, given, step) in OBJECTS.items()
}

PROGRAM = """\
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 64
#define SIZE (PAGES * 4096L)

static char *b;
static int pagemap;

static void touch(void)
{
	for (long i = 0; i < SIZE; i += 4096)
		b[i]++;
}

static void map(void)
{
	b = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(b, SIZE, MADV_NOHUGEPAGE);
	touch();
}

static void fork_and(int how)
{
	if (!fork()) {
		if (how)
			mlock2(b, SIZE, MLOCK_ONFAULT);
		if (how == 2)
			madvise(b, SIZE, 24 /* MADV_DONTNEED_LOCKED */);
		if (how == 3)
			touch();
		_exit(0);
	}
	wait(NULL);
}

static uint64_t frame(int page)
{
	uint64_t entry = 0;

	pread(pagemap, &entry, 8, ((uintptr_t)b / 4096 + page) * 8);
	return entry & ((1ULL << 55) - 1);
}

static void write_all(const char *name)
{
	uint64_t before[PAGES];
	int copied = 0;

	for (int i = 0; i < PAGES; i++)
		before[i] = frame(i);
	touch();
	for (int i = 0; i < PAGES; i++)
		copied += frame(i) != before[i];
	printf("%s %d\\n", name, copied);
	munmap(b, SIZE);
}

static int memfd(void)
{
	static char bytes[2 * SIZE];
	int fd = memfd_create("f", 0);

	memset(bytes, 1, sizeof(bytes));
	write(fd, bytes, sizeof(bytes));
	return fd;
}

static long ksm(const char *file, const char *value)
{
	char path[64], number[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/mm/ksm/%s", file);
	fd = open(path, value ? O_WRONLY : O_RDONLY);
	if (value)
		write(fd, value, strlen(value));
	else
		read(fd, number, sizeof(number) - 1);
	close(fd);
	return atol(number);
}

static void merge(void)
{
	long scans = ksm("full_scans", NULL);

	ksm("sleep_millisecs", "0");
	ksm("run", "1");
	while (ksm("full_scans", NULL) < scans + 4)
		usleep(10000);
	ksm("run", "0");
}

static void of_object(const char *name, int fd, long pages, long stride)
{
	int go[2], flags = (fd == -1 ? MAP_SHARED : MAP_PRIVATE) | (fd < 0 ? MAP_ANONYMOUS : 0);
	volatile char *s = mmap((void *)0x500000000000, 2 * SIZE, PROT_READ | PROT_WRITE,
				flags | MAP_FIXED, fd, 0);
	char c;

	pipe(go);
	fflush(stdout);
	if (fd == -2) {
		madvise((void *)s, 2 * SIZE, MADV_NOHUGEPAGE);
		memset((void *)s, 7, 2 * SIZE);
		madvise((void *)s, 2 * SIZE, MADV_MERGEABLE);
		merge();
	}
	mlock2((void *)s, 2 * SIZE, MLOCK_ONFAULT);
	b = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(b, SIZE, MADV_NOHUGEPAGE);
	mlock2(b, SIZE, MLOCK_ONFAULT);
	touch();
	if (!fork()) {
		pagemap = open("/proc/self/pagemap", O_RDONLY);
		read(go[0], &c, 1);
		write_all(name);
		fflush(stdout);
		_exit(0);
	}
	madvise(b, SIZE, MADV_WILLNEED);
	touch();
	for (long i = 0; i < pages; i += stride) {
		if (fd < 0)
			s[i * 4096] = 1;
		else
			(void)s[i * 4096];
	}
	write(go[1], "", 1);
	wait(NULL);
	munmap(b, SIZE);
}

int main(void)
{
	struct utsname name;
	cpu_set_t one;
	int lru_gen = open("/sys/kernel/mm/lru_gen/enabled", O_WRONLY);

	if (lru_gen >= 0)
		write(lru_gen, "0", 1);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	uname(&name);
	puts(name.release);
BODY
}
"""


@pytest.mark.skipif(not KERNELS, reason="SWAPTRACE_TEST_KERNELS names no kernel images")
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda path: path.name)
def test_as_many_pages_wait_in_a_batch_as_on_a_kernel(kernel: Path, tmp_path: Path) -> None:
    """By how many of them a write copies, after advice, mlock, and processes that exit?"""
    compiler = find_compiler(tmp_path)
    body = "".join(f'\t{does} write_all("{name}");\n' for name, (does, _) in CASES.items())
    body += "".join(f"\t{does}\n" for does, *_ in OBJECT_CASES.values())
    program = compiler.build(PROGRAM.replace("BODY", body), tmp_path, "batches")
    (guest,) = guests([kernel], None, 1 << 30, compiler, tmp_path)
    (outcome,) = guest.run([Job("batches", program, "zram", 16 << 20, 0, 60)])
    release, *lines = outcome.stdout.splitlines()
    version = ".".join(release.split(".")[:2])
    if version not in BATCHES_READ:
        pytest.skip(f"the batches of Linux {version} are not modelled")
    seen = {name: int(copied) for name, copied in (line.split() for line in lines)}
    modelled = {}
    mapped = "- {mmap: b, size: 256KiB}\n"
    every = {name: (mapped + steps, "") for name, (_, steps) in CASES.items()}
    every |= {name: (steps, by) for name, (_, steps, by) in OBJECT_CASES.items()}
    for name, (steps, by) in every.items():
        found = run(version, f"{steps}- {{write: b{by}}}\n").steps or ()
        modelled[name] = found[-1].counters.get("wp_copy", 0)
    assert seen == modelled
