"""A kernel image as a place: a virtual machine that boots it and runs all jobs in one boot."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from select import select
from subprocess import PIPE
from time import monotonic
from typing import ClassVar, Final

from swaptrace.errors import SwaptraceError, printable
from swaptrace.scenario.values import human
from swaptrace.terminal.output import complain
from swaptrace.verify.build import Compiler
from swaptrace.verify.children import ChildProgram, running
from swaptrace.verify.image import modules_of, version_of
from swaptrace.verify.initramfs import Initramfs
from swaptrace.verify.modules import Module, modules
from swaptrace.verify.place import Ending, Job, JobOutcome
from swaptrace.verify.thp import HUGE_PAGES
from swaptrace.verify.transcript import DamagedReport, Transcript, trouble, warning

QEMU: Final = "qemu-system-x86_64"
KVM: Final = Path("/dev/kvm")
CPUINFO: Final = Path("/proc/cpuinfo")
VIRTUALISATION: Final = {"vmx", "svm"}
PROBE: Final = 30.0
"""Seconds that QEMU may take to find out whether KVM works."""

BARE: Final = ("-nodefaults", "-no-user-config", "-display", "none", "-machine", "mem-merge=off")
"""Nor do guests share pages by KSM, which scenarios here might be about."""

ACCELERATED: Final = ("-accel", "kvm", "-cpu", "host")
EMULATED: Final = ("-accel", "tcg", "-cpu", "max")

PAGE: Final = 4096
"""Of every x86; the header of a swap area takes one."""

LEAST: Final = 256 << 20
"""With less memory a stock kernel does not boot."""

LARGEST_DISK: Final = 1 << 40
"""Bytes, none of which takes space before it is written. A job that wants more is skipped."""

PROGRAMS: Final = 1 / 4
"""How much of the memory the programs of one boot may take. The archive is there beside them
until it is unpacked; what has run is removed."""

BOOT: Final = 300.0
"""Seconds until the first job begins, at most; in an emulation without KVM it is slow."""
SLACK: Final = 60.0
"""Seconds that a job may take beyond its timeout, which is init's to see to, and to set up swap."""

DRIVE: Final = "format=raw,if=none,id=swap,cache=unsafe"

COMMAND_LINE: Final = (
    "console=ttyS0 loglevel=5 8250.nr_uarts=2 panic=-1 oops=panic no_timer_check "
    "rootfstype=ramfs zswap.enabled=0 transparent_hugepage=never proc_mem.force_override=always"
)
"""In a ramfs nothing of the programs can be swapped out. /proc/PID/mem writes to what is read-only,
as most kernels are built to do. On a busy host an emulated timer is late, but not broken."""


@dataclass(frozen=True)
class Guest:
    """A kernel to boot, which takes as long as a dozen jobs. `needed` are its modules in the order
    of loading; `memory` is in bytes; `accelerated` is by KVM; what the guest needs is made in
    `directory`."""

    at_once: ClassVar[int] = 16
    limits: ClassVar[bool] = True

    image: Path
    needed: tuple[Module, ...]
    memory: int
    accelerated: bool
    compiler: Compiler
    directory: Path

    @property
    def title(self) -> str:
        """The path of the image, as it was given."""
        return str(self.image)

    def run(self, jobs: Iterable[Job]) -> Generator[JobOutcome, None, None]:
        """All in one boot, or in as few as the memory allows.

        Raises `SwaptraceError` where QEMU or the compiler are of no use.
        """
        qemu = find_qemu()
        remaining = iter(jobs)
        while True:
            with tempfile.TemporaryDirectory(dir=self.directory) as private:
                batch = self.pack(remaining, Path(private))
                if not batch:
                    return
                yield from self.boot(qemu, batch, Path(private))

    @cached_property
    def init(self) -> bytes:
        """The first process of the guest."""
        if not self.compiler.static:
            raise SwaptraceError(
                f"{printable(self.compiler.command[0])} cannot link statically, as programs for a "
                "guest are: install the static libc (Debian: libc6-dev)"
            )
        text = files("swaptrace.verify").joinpath("init.c").read_text(encoding="utf-8")
        return self.compiler.build(text, self.directory, "init").read_bytes()

    def pack(self, jobs: Iterator[Job], private: Path) -> list[Job]:
        """Write the initramfs and the disk for as many jobs as a boot takes; these."""
        batch: list[Job] = []
        with (private / "initramfs").open("wb") as file:
            archive = Initramfs(file)
            archive.file("init", self.init, executable=True)
            plan = []
            archive.directory("modules")
            for module in self.needed:
                archive.file(f"modules/{module.name}.ko", module.data)
                plan.append(f"module /modules/{module.name}.ko\n")
            archive.directory("jobs")
            full = archive.size + self.memory * PROGRAMS
            while archive.size < full and (job := next(jobs, None)) is not None:
                archive.file(f"jobs/{len(batch)}", job.binary.read_bytes(), executable=True)
                plan.append(planned(job))
                batch.append(job)
            archive.file("plan", "".join(plan).encode())
            archive.close()
        sizes = (job.swap_size + PAGE for job in batch if job.backend != "zram")
        with (private / "disk").open("wb") as disk:
            disk.truncate(min(max(sizes, default=PAGE), LARGEST_DISK))
        return batch

    def boot(
        self, qemu: str, batch: Sequence[Job], private: Path
    ) -> Generator[JobOutcome, None, None]:
        """Boot once. What has no outcome when the guest ends failed, for the same reason."""
        transcript = Transcript(batch)
        arguments = self.arguments(qemu, private)
        with (
            (private / "qemu").open("wb") as log,
            running(arguments, stdout=PIPE, stderr=log) as process,
        ):
            reason = yield from follow(process, transcript)
        console = _text(private / "console")
        if not transcript.left:
            if (said := warning(console)) is not None:
                complain(f"{self.title}: the kernel said: {said}")
            return
        yield from _cut_off(transcript, trouble(console), reason or _last_word(private))

    def arguments(self, qemu: str, private: Path) -> list[str]:
        """The machine: a console, the port of init, and a disk, on which writes may get lost
        when the host crashes."""
        return [
            *(qemu, *BARE, *(ACCELERATED if self.accelerated else EMULATED)),
            *("-no-reboot", "-smp", "1", "-m", f"{self.memory >> 20}M"),
            *("-kernel", str(self.image), "-initrd", str(private / "initramfs")),
            *("-append", COMMAND_LINE),
            *("-serial", f"file:{escaped(private / 'console')}", "-serial", "stdio"),
            *("-drive", f"file={escaped(private / 'disk')},{DRIVE}"),
            *("-device", "virtio-blk-pci,drive=swap"),
        ]


def guests(
    images: Iterable[Path], directory: Path | None, memory: int, compiler: Compiler, private: Path
) -> Iterator[Guest]:
    """A guest for each image, checked as far as that can be done before anything is compiled.

    `directory` holds the modules, None to look where the image lies. Raises `SwaptraceError`.
    """
    qemu = find_qemu()
    if memory < LEAST:
        raise SwaptraceError(f"--memory {human(memory)}: a guest needs {human(LEAST)} at least")
    accelerated = kvm_works(qemu)
    if not accelerated:
        complain(f"{KVM} cannot be used: the processor is emulated, which is slow.")
    for image in images:
        version = version_of(image)
        found = directory or modules_of(image, version)
        needed = () if found is None else modules(found, version)
        yield Guest(image, needed, memory, accelerated, compiler, private)


def planned(job: Job) -> str:
    """The lines of the plan for a job (see init.c); the sizes of large folios its program sets."""
    milliseconds = max(1, round(job.timeout * 1000))
    lru = job.limited or "-"
    huge = f"huge {job.settings[HUGE_PAGES]}\n" if HUGE_PAGES in job.settings else ""
    return f"{huge}job {job.backend} {job.swap_size} {job.page_cluster} {milliseconds} {lru}\n"


def find_qemu() -> str:
    """The emulator. Raises `SwaptraceError` if there is none."""
    found = shutil.which(QEMU)
    if found is None:
        raise SwaptraceError(
            f"--kernel needs {QEMU}, which is not there (Debian: apt install qemu-system-x86)"
        )
    return found


def kvm_works(qemu: str) -> bool:
    """Whether QEMU runs a stock kernel with KVM here, found out by a machine that is not started.

    KVM may refuse though its device is there; and without virtualisation by the processor it
    only runs guests that are made for that.
    """
    if not (VIRTUALISATION & set(_text(CPUINFO).split()) and os.access(KVM, os.R_OK | os.W_OK)):
        return False
    with suppress(subprocess.TimeoutExpired):
        probe = [qemu, *BARE, *ACCELERATED, "-S", "-monitor", "stdio"]
        done = subprocess.run(probe, input=b"quit\n", capture_output=True, timeout=PROBE)
        return done.returncode == 0
    return False


def follow(
    process: ChildProgram, transcript: Transcript
) -> Generator[JobOutcome, None, str | None]:
    """The outcomes as they come, until init is done; why it did not get there, if it is known."""
    port = process.port
    deadline = monotonic() + BOOT
    while not transcript.done:
        ready, _, _ = select([port], [], [], max(0.0, deadline - monotonic()))
        if not ready:
            return _silence(transcript.current)
        data = os.read(port, 1 << 16)
        if not data:
            return None
        before = transcript.current
        try:
            yield from transcript.feed(data)
        except DamagedReport as damage:
            return f"the guest's report is damaged: {damage}"
        job = transcript.current
        if job is not before:
            deadline = monotonic() + SLACK + (0.0 if job is None else job.timeout)
    return None


def _silence(running: Job | None) -> str:
    """What a guest that says nothing more has not done in time."""
    if running is None:
        return f"the guest said nothing within {BOOT:g} seconds"
    seconds = running.timeout + SLACK
    return f"the guest said nothing more within {seconds:g} seconds (--timeout is a part of them)"


def _cut_off(transcript: Transcript, trouble: str | None, reason: str) -> Iterator[JobOutcome]:
    """The outcomes of the jobs that have none when a guest has ended.

    A kernel that says that it cannot go on failed under the job that ran. Otherwise, and of the
    jobs that had not begun, nothing is known.
    """
    for job in transcript.left:
        if job is not transcript.current:
            yield JobOutcome(job.name, ending=Ending.NOT_RUN, reason=trouble or reason)
        elif trouble is not None:
            yield JobOutcome(job.name, transcript.stdout, Ending.FAILED, f"cut off: {trouble}")
        else:
            yield JobOutcome(job.name, transcript.stdout, Ending.NOT_RUN, f"cut off: {reason}")


def _last_word(private: Path) -> str:
    """What QEMU or else the kernel said last."""
    for name in ("qemu", "console"):
        lines = [line.strip() for line in _text(private / name).splitlines() if line.strip()]
        if lines:
            return lines[-1]
    return (
        "the kernel said nothing on its serial port (CONFIG_SERIAL_8250_CONSOLE, "
        "CONFIG_BLK_DEV_INITRD)"
    )


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""


def escaped(path: Path) -> str:
    """A path within an option of QEMU, where a comma ends a value."""
    return str(path).replace(",", ",,")
