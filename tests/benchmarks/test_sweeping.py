"""Does a grid of 64 cells over a million accesses keep all processors busy?

Needs the extra `fast` and a machine that does nothing else. Prints the share of the processors'
time that the processes of `sweep` have used:
python -m tests.benchmarks.test_sweeping [DIRECTORY]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORK = """\
steps:
- mmap: buf
  size: 64MiB
- trace: million.npz
"""
GRID = ("--over", "machine.memory=10%..100%/16", "--over", "machine.reclaim=classic,lru")


def make(place: Path) -> None:
    """A trace of a million accesses, and its scenario."""
    from swaptrace.scenario.base import ByteRange
    from swaptrace.scenario.schema import AccessPatternStep
    from swaptrace.traces.patterns import accesses
    from swaptrace.traces.writer import TraceWriter

    span = ByteRange(0, 64 << 20)
    step = AccessPatternStep(
        line=1, region="buf", span=span, count=10**6, pattern="zipf", write_share=0.3
    )
    with TraceWriter(str(place / "million.npz")) as writer:
        for chunk in accesses(step, 1 << 14):
            writer.write(chunk)
    (place / "work.yaml").write_text(WORK)


def busy(place: Path, cells: str, jobs: int) -> tuple[float, float]:
    """How long a sweep takes, and the share of the time of so many processors that it uses."""
    words = ("sweep", "work.yaml", *GRID, "-p", "old,new", "--cells", cells, "--jobs", str(jobs))
    environment = {k: v for k, v in os.environ.items() if k != "SWAPTRACE_INTERPRETED"}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "swaptrace", *words, "-o", f"{cells}.txt"],
        cwd=place,
        env=environment,
        check=True,
    )
    seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, used / (seconds * jobs)


def main(place: Path) -> None:
    """One process, then one for each processor; the bytes must be the same."""
    make(place)
    busy(place, "warm", 1)
    for jobs in (1, len(os.sched_getaffinity(0))):
        seconds, share = busy(place, f"with{jobs}", jobs)
        print(f"--jobs {jobs}: {seconds:.1f} s, {share:.0%} of {jobs} processors")
    texts = {path.read_bytes() for path in place.glob("with*.txt")}
    print("the same bytes" if len(texts) == 1 else "DIFFERENT BYTES")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))
