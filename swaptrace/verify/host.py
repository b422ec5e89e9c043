"""The running kernel as a place where compiled scenarios run."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from swaptrace.scenario.schema import Backend
from swaptrace.scenario.values import human
from swaptrace.verify import swap
from swaptrace.verify.children import kill_group, start
from swaptrace.verify.place import Job, Outcome
from swaptrace.verify.zram import OwnSwap, own_swap

PAGE_CLUSTER: Final = Path("/proc/sys/vm/page-cluster")
ZSWAP: Final = Path("/sys/module/zswap/parameters/enabled")
BLOCK: Final = Path("/sys/class/block")

ENDED_BY_ITSELF: Final = (0, 1, 4)
"""Exit codes of an emitted program: done, failed (its last line says why), skipped."""

HINT: Final = "`--setup-zram 256M` makes one for the run (root)"


class Host:
    """The running kernel. With `setup` (bytes) a zram device of at most that size is made for
    the run; without it the swap must be there."""

    title = "running kernel"

    def __init__(self, setup: int | None = None) -> None:
        self.setup = setup

    def run(self, jobs: Iterable[Job]) -> Generator[Outcome, None, None]:
        """One after the other. Raises `SwaptraceError` where no swap can be set up."""
        if self.setup is None:
            for job in jobs:
                reason = unfit(job, existing_backend())
                yield Outcome(job.name, skipped=reason) if reason else execute(job)
            return
        with own_swap() as own:
            for job in jobs:
                yield self.on_own_swap(own, job)

    def on_own_swap(self, own: OwnSwap, job: Job) -> Outcome:
        """Run a job with a new swap area on our device."""
        assert self.setup is not None
        if job.backend != "zram":
            reason = f"it wants swap on {job.backend}, and --setup-zram makes zram"
            return Outcome(job.name, skipped=reason)
        if job.swap_size > self.setup:
            wanted, most = human(job.swap_size), human(self.setup)
            reason = f"it wants a swap area of {wanted}; --setup-zram allows {most}"
            return Outcome(job.name, skipped=reason)
        if ZSWAP.exists():
            own.set(ZSWAP, "N")
        own.set(PAGE_CLUSTER, str(job.page_cluster))
        own.fresh(job.swap_size)
        try:
            return execute(job)
        finally:
            own.off()


def existing_backend() -> Backend | str:
    """What the swap that is active amounts to, or why it amounts to nothing that is modelled."""
    areas = list(swap.active())
    if not areas:
        return f"no swap area is active; {HINT}"
    kinds = {_kind(Path(area.device).name) for area in areas}
    if len(kinds) > 1:
        return f"swap areas of several kinds are active: {', '.join(sorted(kinds))}"
    kind = kinds.pop()
    if ZSWAP.exists() and ZSWAP.read_text().strip() == "Y":
        return "zswap" if kind == "disk" else f"zswap is on, in front of {kind}"
    return kind


def _kind(name: str) -> str:
    """Of a block device; a partition has the queue of its disk."""
    if name.startswith("zram"):
        return "zram"
    queue = BLOCK / name / "queue"
    if not queue.is_dir():
        queue = (BLOCK / name).resolve().parent / "queue"
    try:
        rotational = (queue / "rotational").read_text().strip() == "1"
    except OSError:
        return "a file, of which nothing is known"
    return "a rotational disk, where read-ahead follows slots" if rotational else "disk"


def unfit(job: Job, existing: str) -> str | None:
    """Why a job cannot run with the swap that is there."""
    if existing in ("zram", "zswap", "disk"):
        if existing == job.backend:
            return None
        return f"it wants swap on {job.backend}, and what is active is {existing}; {_advice(job)}"
    return existing if HINT in existing else f"{existing}; {_advice(job)}"


def _advice(job: Job) -> str:
    if job.backend == "zram":
        return HINT
    return f"try --set machine.swap.backend=…, or make swap on {job.backend} active"


def execute(job: Job) -> Outcome:
    """Run the program, for as long as it may take; whatever happens, nothing of it remains."""
    process = start([job.binary], stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    with closing(process.stdout):
        try:
            stdout, _ = process.communicate(timeout=job.timeout)
        except subprocess.TimeoutExpired:
            kill_group(process)
            stdout, _ = process.communicate()
            failed = f"it did not end within {job.timeout:g} seconds"
            return Outcome(job.name, stdout.decode(errors="replace"), failed=failed)
        except BaseException:
            kill_group(process)
            process.wait()
            raise
    return Outcome(job.name, stdout.decode(errors="replace"), failed=ending(process.returncode))


def ending(code: int) -> str | None:
    """What is wrong with how a program ended; None if it ended by itself."""
    if code < 0:
        return f"the program was killed by {signal.Signals(-code).name}"
    return None if code in ENDED_BY_ITSELF else f"the program ended with exit code {code}"
