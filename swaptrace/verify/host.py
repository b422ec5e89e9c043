"""The running kernel as a place where compiled scenarios run."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from time import monotonic
from typing import ClassVar, Final

from swaptrace.backends import BACKENDS, NO_SWAP
from swaptrace.scenario.hardware import Backend
from swaptrace.scenario.values import human
from swaptrace.verify import swap
from swaptrace.verify.cgroup import NoCgroup, hierarchy, own_cgroup
from swaptrace.verify.children import running
from swaptrace.verify.place import Ending, Job, JobOutcome, out_of_time
from swaptrace.verify.thp import selected
from swaptrace.verify.zram import OwnSwap, own_swap

PAGE_CLUSTER: Final = Path("/proc/sys/vm/page-cluster")
ZSWAP: Final = Path("/sys/module/zswap/parameters/enabled")
BLOCK: Final = Path("/sys/class/block")

ENDED_BY_ITSELF: Final = (0, 1, 4)
"""Exit codes of an emitted program: done, failed (its last line says why), skipped."""

HINT: Final = "`--setup-zram 256M` makes one for the run (root)"


@dataclass(frozen=True)
class Host:
    """The running kernel. With `own` every job gets a new swap area on that device, of at most
    `most` bytes; without it the swap must be there."""

    own: OwnSwap | None = None
    most: int = 0

    title: ClassVar[str] = "running kernel"
    at_once: ClassVar[int] = 1

    def run(self, jobs: Iterable[Job]) -> Generator[JobOutcome, None, None]:
        """One after the other. Raises `SwaptraceError` where the swap area cannot be made."""
        for job in jobs:
            reason = self.unfit(job)
            if reason is not None:
                yield JobOutcome(job.name, ending=Ending.SKIPPED, reason=reason)
            elif self.own is None:
                yield execute(job)
            else:
                yield on_own_swap(self.own, job)

    def unfit(self, job: Job) -> str | None:
        """Why a job cannot run here."""
        if job.limited is not None and (reason := self.unlimited()) is not None:
            return f"its limit takes a memory cgroup: {reason}"
        if self.own is None:
            return unfit(job, existing_backend()) or other_settings(job)
        if job.backend == NO_SWAP:
            return without_swap()
        if job.backend != "zram":
            return f"it wants swap on {job.backend}, and --setup-zram makes zram"
        if job.swap_size > self.most:
            wanted, most = human(job.swap_size), human(self.most)
            return f"it wants a swap area of {wanted}; --setup-zram allows {most}"
        return None

    @property
    def limits(self) -> bool:
        """Whether memory cgroups can be made for jobs."""
        return self.unlimited() is None

    def unlimited(self) -> str | None:
        """Why there is no memory cgroup for a job."""
        if self.own is None:
            return "--setup-zram makes one for the run, with swap of its own (root)"
        try:
            hierarchy()
        except NoCgroup as reason:
            return str(reason)
        return None


@contextmanager
def host(setup: int | None) -> Iterator[Host]:
    """The running kernel, with a zram device of at most `setup` bytes for as long as it is used.

    Raises `SwaptraceError` where that cannot be had.
    """
    if setup is None:
        yield Host()
        return
    with own_swap() as own:
        yield Host(own, setup)


def on_own_swap(own: OwnSwap, job: Job) -> JobOutcome:
    """Run a job with a new swap area on our device."""
    if ZSWAP.exists():
        own.set(ZSWAP, "N")
    own.set(PAGE_CLUSTER, str(job.page_cluster))
    for path, word in job.settings.items():
        own.set(path, word)
    if job.backend == NO_SWAP:
        return execute_within(own, job)
    own.fresh(job.swap_size)
    try:
        return execute_within(own, job)
    finally:
        own.off()


def execute_within(own: OwnSwap, job: Job) -> JobOutcome:
    """Run a job, within its memory limit if it has one."""
    return execute(job) if job.limited is None else in_own_cgroup(own, job)


def in_own_cgroup(own: OwnSwap, job: Job) -> JobOutcome:
    """Run a job with a memory limit in a memory cgroup."""
    try:
        with own_cgroup(own.notes, hierarchy()) as directory:
            return execute(job, directory)
    except NoCgroup as reason:
        return JobOutcome(job.name, ending=Ending.SKIPPED, reason=str(reason))


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


def without_swap() -> str | None:
    """Why there is no machine without swap here."""
    active = ", ".join(area.device for area in swap.active())
    return f"it wants a machine without swap, and {active} is active" if active else None


def unfit(job: Job, existing: str) -> str | None:
    """Why a job cannot run with the swap that is there."""
    if job.backend == NO_SWAP:
        return without_swap()
    if existing in BACKENDS:
        if existing == job.backend:
            return None
        return f"it wants swap on {job.backend}, and what is active is {existing}; {_advice(job)}"
    return existing if HINT in existing else f"{existing}; {_advice(job)}"


def other_settings(job: Job) -> str | None:
    """Why settings are not the job's, where nobody is to change them."""
    for path, word in job.settings.items():
        if (found := selected(path.read_text())) != word:
            return f"it wants {path} set to {word}, and it is {found}; --setup-zram sets it (root)"
    return None


def _advice(job: Job) -> str:
    if job.backend == "zram":
        return HINT
    return f"try --set machine.swap.backend=…, or make swap on {job.backend} active"


def execute(job: Job, *arguments: Path) -> JobOutcome:
    """Run the program, for as long as it may take, and end all its processes."""
    deadline = monotonic() + job.timeout
    with running([job.binary, *arguments], stdout=PIPE) as program:
        stdout = b"".join(program.output(deadline))
        program.end()
        if not program.ended_by_itself:
            return out_of_time(job, stdout.decode(errors="replace"))
        return ended(job, stdout.decode(errors="replace"), program.code)


def ended(job: Job, stdout: str, code: int) -> JobOutcome:
    """The outcome of a program that has ended with this exit code, or of a signal (negative)."""
    if code in ENDED_BY_ITSELF:
        return JobOutcome(job.name, stdout)
    if code < 0:
        reason = f"the program was killed by {_name_of(-code)}"
    else:
        reason = f"the program ended with exit code {code}"
    return JobOutcome(job.name, stdout, Ending.FAILED, reason)


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal between the two that have names
        return f"signal {number}"
