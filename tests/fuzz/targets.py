"""What is fuzzed: every reader of what may come from a stranger, and inputs to begin with.

A target takes bytes. It may refuse them by an error of swaptrace's own; whatever else it raises,
and what takes more than `SECONDS` of the processor or `MEMORY` more than at the start, is a fault.
"""

from __future__ import annotations

import gzip
import io
import lzma
import re
import signal
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import numpy as np

from swaptrace.csource.cfile import from_file
from swaptrace.errors import SwaptraceError
from swaptrace.exploration.explorer import operations
from swaptrace.importers.convert import calls_of, convert, convert_lackey
from swaptrace.importers.lines import blocks, unpacked
from swaptrace.importers.recorder import AccessRecorder
from swaptrace.importers.scenario import Target as Files
from swaptrace.importers.scenario import write
from swaptrace.ktree.diff import patches_of
from swaptrace.policies import from_argument
from swaptrace.result.judge import thresholds
from swaptrace.result.snapshot import read_saved
from swaptrace.scenario.loader import load_text
from swaptrace.traces.files import open_trace
from swaptrace.verify.image import version_of
from swaptrace.verify.observed import parse
from tests.commandline import LOST, READ_WRITE, ROOT

SECONDS: Final = 2.0
MEMORY: Final = 1 << 30

# The peak of a process only grows: an earlier input, or another test, that took more would hide
# what an input takes. CLEAR_REFS_MM_HIWATER_RSS (fs/proc/task_mmu.c) makes it what is taken now.
CLEAR_REFS: Final = Path("/proc/self/clear_refs")
HIWATER_RSS: Final = b"5"
STATUS: Final = Path("/proc/self/status")
VM_HWM: Final = re.compile(rb"VmHWM:\s*(\d+) kB")

TREE: Final = ROOT / "tests" / "ktree" / "tree"
CASES: Final = ROOT / "tests" / "csource" / "errors"

Read = Callable[[bytes], object]


class TooMuch(BaseException):
    """An input that takes too long or too much memory; no reader may catch it."""


class Target(NamedTuple):
    """A reader, and inputs that it takes or nearly takes."""

    read: Read
    given: tuple[bytes, ...] = ()
    made: Callable[[], Iterable[bytes]] = tuple
    """More of them, where they take a library that is not needed before."""

    @property
    def seeds(self) -> tuple[bytes, ...]:
        """All of them."""
        return (*self.given, *self.made())


def examine(read: Read, data: bytes) -> None:
    """Give an input to a reader; a fault raises."""
    CLEAR_REFS.write_bytes(HIWATER_RSS)
    before = peak()
    with limited_to(SECONDS), suppress(SwaptraceError, click.UsageError):
        read(data)
    grown = peak() - before
    if grown << 10 > MEMORY:
        raise TooMuch(f"an input of {len(data)} bytes takes {grown >> 10} MiB")


def peak() -> int:
    """The most KiB of memory that the process has had since its peak was reset."""
    return int(VM_HWM.findall(STATUS.read_bytes())[0])


@contextmanager
def limited_to(seconds: float) -> Iterator[None]:
    """Interrupt what takes more than so much time of the processor."""

    def late(*_: object) -> None:
        raise TooMuch(f"an input takes more than {seconds} seconds")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


# Readers.


def in_file(suffix: str, read: Callable[[str], object]) -> Read:
    """A reader of bytes, made of one that takes a path."""

    def reader(data: bytes) -> None:
        with tempfile.NamedTemporaryFile(suffix=suffix, dir=shared_memory()) as file:
            file.write(data)
            file.flush()
            read(file.name)

    return reader


def shared_memory() -> str | None:
    """A directory whose files need no disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def trace(path: str) -> None:
    for _ in open_trace(path).chunks(1000):
        pass


def imported(fmt: str) -> Read:
    """All that an import does, up to the files."""

    def reader(data: bytes) -> None:
        with tempfile.TemporaryDirectory(dir=shared_memory()) as made:
            recorder = AccessRecorder(Path(made), every_access=False)
            try:
                log = blocks(unpacked(io.BytesIO(data), "log", ignored), "log")  # type: ignore[arg-type]
                if fmt == "lackey":
                    convert_lackey(log, "log", recorder)
                else:
                    convert(fmt, log, "log", recorder)
                write(recorder, Files(Path(made), "log", "fuzzed"))
            finally:
                recorder.close()

    return reader


def strace(data: bytes) -> None:
    """A log of calls beside one of accesses."""
    with tempfile.TemporaryDirectory(dir=shared_memory()) as made:
        recorder = AccessRecorder(Path(made), every_access=False, mapped=True)
        try:
            calls = list(calls_of(io.BytesIO(data), "calls"))
            convert_lackey(blocks(io.BytesIO(MARKED), "log"), "log", recorder, calls)
            write(recorder, Files(Path(made), "log", "fuzzed"))
        finally:
            recorder.close()


def ignored(_bytes: int) -> None:
    """Nobody is told how much has been read."""


def text_of(read: Callable[[str], object]) -> Read:
    """A reader of text, as one of bytes."""
    return lambda data: read(data.decode("utf-8", "replace"))


def patch(path: str) -> None:
    """A patch on a tree, and the policy of what that gives."""
    from_argument(f"kernel:{TREE}+{path}")


def options(data: bytes) -> None:
    """The values of options: the first byte chooses which."""
    if not data:
        return
    text = data[1:].decode("utf-8", "replace")
    keys = ("machine.memory", "machine.swap.size", "machine.kernel", "machine.page_size", text)
    match data[0] % 4:
        case 0:
            thresholds(text)
        case 1:
            operations(text)
        case 2:
            load_text(LOST, "<string>", {keys[data[0] // 4 % len(keys)]: text})
        case _:
            key, _, value = text.partition("=")
            load_text(LOST, "<string>", {key: value})


# Inputs.


def npz(**arrays: Any) -> bytes:
    made = io.BytesIO()
    np.savez(made, **arrays)
    return made.getvalue()


def deflated() -> bytes:
    made = io.BytesIO()
    np.savez_compressed(made, page=np.arange(9), write=np.zeros(9, np.bool_))
    return made.getvalue()


def other_zips() -> Iterator[bytes]:
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", method) as archive:
            archive.writestr("page.npy", b"\x93NUMPY\1\0")
        yield made.getvalue()


def parquet() -> Iterator[bytes]:
    import pyarrow
    from pyarrow import parquet as writer

    table = pyarrow.table({"page": [1, 2, 3], "write": [True] * 3, "region": ["a", "b", "a"]})
    choices: tuple[dict[str, Any], ...] = ({}, {"compression": "none"}, {"use_dictionary": False})
    for chosen in choices:
        made = io.BytesIO()
        writer.write_table(table, made, **chosen)
        yield made.getvalue()


RESULT: Final = b"""{"schema": "swaptrace.result/1", "version": "1", "scenarios": [{"name": "a",
"file": "a.yaml", "machine": {"swap": {"size": 1}}, "policies": {"final": {"total": {"minflt": 1},
"windows": {"w": {"majflt": 2}}, "violations": [{"kind": "lost_write", "step": "1", "line": 1,
"process": "main", "region": "a", "page": 0, "pages": 1}]}}, "expectations": []}]}"""
BASELINE: Final = b"""{"schema": "swaptrace.baseline/1", "scenarios": {"a": {"final": {"windows":
{"total": {"minflt": 1}}, "violations": []}}}}"""
ROWS: Final = b"page,write,region,process\n1,0,a,main\n4294967295,1,b,child\n"
ADDRESSES: Final = b"address,write\n0x10000,1\n65540,0\n"
LACKEY: Final = (
    b"==1== Lackey\nI  04016b80,3\n S 1fff000ffc,8\n L 04a2b010,8\n M 04a2b010,8\n"
    b"7 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x4a2b000\n"
    b"7 munmap(0x4a2b000, 4096) = 0\n"
)
MARKED: Final = (
    b" L 04034e40,8\n S 04055000,8\n"
    b"SYSCALL[1,1]( 1) sys_munmap ( 0x4034000 )[sync] --> Success(0x0)\n L 04034e40,8\n"
)
STRACE: Final = (
    b"brk(NULL) = 0x4034000\nbrk(0x4056000) = 0x4056000\n"
    b"[pid 7] 12:00:01.5 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x5000000"
    b"\n"
    b"7 mremap(0x5000000, 8192, 16384, MREMAP_MAYMOVE) = 0x6000000\n"
    b"7 madvise(0x6000000, 4096, MADV_DONTNEED) = 0\n8 mlock(0x6000000, 4096 <unfinished ...>\n"
    b"8 <... mlock resumed>) = 0\n7 mprotect(0x6000000, 4096, PROT_NONE) = 0\n"
    b"7 munmap(0x4034000, 4096) = 0\n7 clone(flags=CLONE_VM|CLONE_THREAD) = 9\n"
)
PERF: Final = (
    b"  a 25347 25850.334792: page-faults:     7f1000000038\n"
    b"  my prog: x 25347 25850.334793: cpu/mem-loads,ldlat=30/P:     7f1000001a80\n"
)
VIEW: Final = (
    b"           8           2:     4711 write        8 byte(s) @ 0x00007f1000000ffc by PC "
    b"0x00007f1000000100\n"
)
PATCH: Final = b"""From 0 Mon Sep 17 00:00:00 2001
From: A <a@example.org>
Subject: [PATCH 1/2] mm: =?utf-8?q?a_change?=
Content-Type: text/plain; charset="utf-8"

---
--- a/mm/memory.c
+++ b/mm/memory.c
@@ -1,1 +1,1 @@
-/* old */
+/* new */
"""
MBOX: Final = b"From a Thu Jan  1 00:00:00 1970\n" + PATCH + b"\nFrom b\nSubject: Re: [x]\n\n> +a\n"
CODE: Final = (
    b"/* a policy */\nif (exclusive || folio_ref_count(folio) == 1)\n\tpte = pte_mkdirty(pte);\n"
)
IMAGE: Final = bytes(0x202) + b"HdrS" + bytes(8) + b"\x10\0" + b"6.12.0-mine \0"
OBSERVED: Final = b'{"kernel": "6.12"}\n{"step": "0", "counters": {"minflt": 1}}\n'
SCENARIOS: Final = (
    READ_WRITE.encode(),
    LOST.encode(),
    b"steps:\n- mmap: a\n  size: 1MiB\n- fork: b\n- repeat: 3\n  steps:\n  - trace: t.npz\n",
)


def all_targets() -> dict[str, Target]:
    """Every target by name; that of Parquet if there is pyarrow."""
    found = {
        "scenario": Target(lambda data: load_text(data), SCENARIOS),
        "trace-npz": Target(in_file(".npz", trace), (npz_seed(), deflated(), *other_zips())),
        "trace-csv": Target(in_file(".csv", trace), (ROWS,)),
        "trace-gz": Target(in_file(".csv.gz", trace), (gzip.compress(ROWS),)),
        "trace-xz": Target(in_file(".csv.xz", trace), (lzma.compress(ROWS),)),
        "lackey": Target(imported("lackey"), (LACKEY, gzip.compress(LACKEY))),
        "strace": Target(strace, (STRACE,)),
        "perf": Target(imported("perf"), (PERF,)),
        "drmemtrace": Target(imported("drmemtrace"), (VIEW,)),
        "csv": Target(
            imported("csv"), (b"address,write\n0x10000,1\n65540,0\n", b"page,write\n7,0\n")
        ),
        "saved": Target(text_of(lambda text: read_saved(text, "file")), (RESULT, BASELINE)),
        "c": Target(in_file(".c", from_file), (CODE, *(c.read_bytes() for c in cases()))),
        "mail": Target(lambda data: patches_of("mail", data), (PATCH, MBOX)),
        "patch": Target(in_file(".patch", patch), (PATCH, MBOX)),
        "image": Target(in_file("", lambda path: version_of(Path(path))), (IMAGE,)),
        "observed": Target(text_of(parse), (OBSERVED,)),
        "options": Target(options, (b"\0minflt=5%", b"\1read,write", b"\2" + b"64MiB", b"\3a=b")),
    }
    if find_spec("pyarrow") is not None:
        found["trace-parquet"] = Target(in_file(".parquet", trace), made=parquet)
    return found


def npz_seed() -> bytes:
    return npz(
        page=np.arange(4),
        write=np.zeros(4, np.bool_),
        region=np.zeros(4, np.uint16),
        regions=np.array(["heap"]),
    )


def cases() -> list[Path]:
    return sorted(CASES.glob("*.c"))
