"""Does a guest that misbehaves end well? The emulator is a script that plays a guest."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from swaptrace.errors import SwaptraceError
from swaptrace.verify import qemu
from swaptrace.verify.build import Compiler
from swaptrace.verify.place import Ending, Job, JobOutcome
from swaptrace.verify.qemu import QEMU, Guest, guests, kvm_works
from swaptrace.verify.workdir import PREFIX
from tests.commandline import finished, run, start
from tests.effort import exhaustive, some
from tests.processes import alive, until
from tests.verify.guests import image, module, script

OPTIONS = """\
case " $* " in *" -S "*) exit 1;; esac
for option; do
  case $last in
    -initrd) initramfs=$option;;
    -serial) case $option in file:*) console=${option#file:};; esac;;
  esac
  last=$option
done
"""
"""The beginning of a script: no KVM, and which files it is given."""

HANGS = "echo $$ > qemu.pid; exec sleep 600"


class Setting:
    """A directory with an image and jobs, where the emulator is what a test says."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.image = image(root / "boot" / "bzImage")
        (root / "work").mkdir()
        monkeypatch.setattr(Guest, "init", b"init")
        monkeypatch.setenv("PATH", f"{root / 'bin'}:{os.environ['PATH']}")
        monkeypatch.chdir(root)

    def emulator(self, text: str) -> None:
        script(self.root / "bin" / QEMU, OPTIONS + text)

    def guest(self, memory: int = 1 << 30, accelerated: bool = True) -> Guest:
        compiler = Compiler(("cc",), static=True)
        return Guest(self.image, (), memory, accelerated, compiler, self.root / "work")

    def jobs(self, number: int, size: int = 100, swap_size: int = 1 << 20) -> Iterator[Job]:
        """Each is there only until the next is asked for."""
        for n in range(number):
            binary = self.root / f"job-{n}"
            binary.write_bytes(b"x" * size)
            yield Job(f"job-{n}", binary, "disk", swap_size, 3, 0.2)
            binary.unlink()

    def run(self, number: int, guest: Guest | None = None, size: int = 100) -> list[JobOutcome]:
        outcomes = list((guest or self.guest()).run(self.jobs(number, size)))
        assert list((self.root / "work").iterdir()) == []
        return outcomes


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    return Setting(tmp_path, monkeypatch)


def report(*jobs: str) -> str:
    """A script that reports each job with these lines."""
    lines = [f"\\n@begin {n}\\n{job}\\n" for n, job in enumerate(jobs)]
    return "".join(f"printf '{line}'\n" for line in lines)


DONE = "printf '\\n@done\\n'; exec sleep 600"


def test_outcomes_come_in_order_and_the_guest_is_ended(setting: Setting) -> None:
    setting.emulator(report("a\\n\\n@exit 0", "\\n@skipped no zram") + DONE)
    skipped = JobOutcome("job-1", "", Ending.SKIPPED, "no zram")
    assert setting.run(2) == [JobOutcome("job-0", "a\n"), skipped]


def test_what_a_guest_is_given(setting: Setting) -> None:
    """A plan with a line for each job, a disk that holds the largest swap area, and no panic where
    a busy host makes the timer late?"""
    setting.emulator(
        f"cp $initramfs seen; stat -c %s ${{console%console}}disk > disk; echo $* > words\n{DONE}"
    )
    assert setting.run(1)[0].ending is Ending.NOT_RUN
    assert b"job disk 1048576 3 200 -\n" in (setting.root / "seen").read_bytes()
    assert int((setting.root / "disk").read_text()) == (1 << 20) + 4096
    words = (setting.root / "words").read_text()
    assert "-accel kvm -cpu host " in words
    assert "-smp 1 -m 1024M" in words
    assert " no_timer_check " in words
    list(setting.guest(accelerated=False).run(setting.jobs(1)))
    assert "-accel tcg -cpu max" in (setting.root / "words").read_text()


def test_no_jobs_need_no_boot(setting: Setting) -> None:
    setting.emulator("touch booted")
    assert setting.run(0) == []
    assert not (setting.root / "booted").exists()


def test_more_programs_than_fit_into_memory_take_several_boots(setting: Setting) -> None:
    setting.emulator("echo >> boots\n" + report("\\n@exit 0", "\\n@exit 0") + DONE)
    outcomes = setting.run(4, setting.guest(memory=4 * 300), size=100)
    assert [outcome.name for outcome in outcomes] == ["job-0", "job-1", "job-2", "job-3"]
    assert (setting.root / "boots").read_text() == "\n\n"


def test_a_kernel_that_panics(setting: Setting) -> None:
    """Does the job that ran say the first line of it, and those that did not, why?"""
    oops = "[    9.1][   T57] BUG: kernel NULL pointer dereference, address: 0000000000000008"
    text = f"echo '{oops}' > $console; echo '[ 9.2] Kernel panic - not syncing' >> $console"
    setting.emulator(report("a\\n\\n@exit 0", '{"a"') + text)
    because = "BUG: kernel NULL pointer dereference, address: 0000000000000008"
    assert setting.run(3) == [
        JobOutcome("job-0", "a\n"),
        JobOutcome("job-1", '{"a"\n', Ending.FAILED, f"cut off: {because}"),
        JobOutcome("job-2", "", Ending.NOT_RUN, because),
    ]


def test_a_kernel_that_complains_and_goes_on(
    setting: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    """Is it told, though every job came to its end?"""
    bad = "BUG: Bad rss-counter state mm:00000000deadbeef type:MM_SWAPENTS val:1"
    setting.emulator(f"echo '[ 7.0] {bad}' > $console\n" + report("\n@exit 0") + DONE)
    assert setting.run(1) == [JobOutcome("job-0")]
    assert capsys.readouterr().err == f"{setting.image}: the kernel said: {bad}\n"


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("echo 'qemu: out of memory' >&2; exit 1", "qemu: out of memory"),
        ("echo '[ 1.0] no init' > $console", "[ 1.0] no init"),
        ("exit 0", "CONFIG_SERIAL_8250_CONSOLE"),
        ("echo rubbish; exec sleep 600", "the guest's report is damaged: 'rubbish' between"),
    ],
)
def test_a_guest_that_comes_to_nothing(setting: Setting, text: str, failed: str) -> None:
    setting.emulator(text)
    (outcome,) = setting.run(1)
    assert outcome.ending is Ending.NOT_RUN
    assert failed in outcome.reason.replace('"', "'")


@pytest.mark.parametrize(
    ("text", "reason"),
    some(
        [
            ("", "the guest said nothing within 1.5 seconds"),
            (
                "printf '\\n@begin 0\\na\\n'",
                "cut off: the guest said nothing more within 0.3 seconds "
                "(--timeout is a part of them)",
            ),
        ],
        1,
    ),
)
def test_a_guest_that_says_nothing_more_is_ended(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    """Before its first job and within one, whose timeout the guest should have seen to?"""
    monkeypatch.setattr(qemu, "BOOT", 1.5)
    monkeypatch.setattr(qemu, "SLACK", 0.1)
    setting.emulator(f"echo $$ > qemu.pid\n{text}\nexec sleep 600")
    (outcome,) = setting.run(1)
    assert (outcome.ending, outcome.reason) == (Ending.NOT_RUN, reason)
    assert not Path("/proc", (setting.root / "qemu.pid").read_text().strip()).exists()


def test_a_run_that_is_given_up_leaves_nothing(setting: Setting) -> None:
    """Is the guest gone when the generator is closed, while it still runs?"""
    setting.emulator("echo $$ > qemu.pid\n" + report("\\n@exit 0") + "exec sleep 600")
    outcomes = setting.guest().run(setting.jobs(2))
    assert next(outcomes).name == "job-0"
    outcomes.close()
    assert not Path("/proc", (setting.root / "qemu.pid").read_text().strip()).exists()
    assert list((setting.root / "work").iterdir()) == []


def test_a_comma_in_a_path_is_no_end_of_an_option() -> None:
    assert qemu.escaped(Path("/a,b/c")) == "/a,,b/c"


def test_what_is_wrong_is_said_before_anything_runs(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler, root = Compiler(("cc",), static=True), setting.root
    setting.emulator("exit 1")
    with pytest.raises(SwaptraceError, match="--memory 16MiB: a guest needs 256MiB at least"):
        list(guests([setting.image], None, 16 << 20, compiler, root))
    (root / "modules").mkdir()
    (root / "modules" / "zram.ko").write_bytes(module(release="6.1.0"))
    with pytest.raises(SwaptraceError, match=r"it is of kernel 6\.1\.0"):
        list(guests([setting.image], root / "modules", 1 << 30, compiler, root))
    monkeypatch.setenv("PATH", str(root))
    with pytest.raises(SwaptraceError, match="apt install qemu-system-x86"):
        list(guests([setting.image], None, 1 << 30, compiler, root))


@pytest.mark.parametrize(
    ("flags", "device", "text", "works"),
    [
        ("vmx", "/dev/null", 'read word; test "$word" = quit', True),
        ("svm", "/dev/null", "exit 0", True),
        ("vmx", "/dev/null", "kill -ABRT $$", False),
        ("vmx", "/dev/null", "exec sleep 600", False),
        ("vmx", "none", "exit 0", False),
        ("sse", "/dev/null", "exit 0", False),
    ],
)
def test_kvm_takes_more_than_its_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, device: str, text: str, works: bool
) -> None:
    """Is it used only with virtualisation by the processor, and where QEMU can start with it?"""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(qemu, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(qemu, "KVM", Path(device))
    monkeypatch.setattr(qemu, "PROBE", 0.5)
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : fpu {flags} apic\n")
    assert kvm_works(str(script(tmp_path / QEMU, f"exec 2>&1; {text}"))) is works


def test_a_compiler_that_cannot_link_statically(tmp_path: Path) -> None:
    guest = Guest(tmp_path, (), 1 << 30, False, Compiler(("cc",), static=False), tmp_path)
    with pytest.raises(SwaptraceError, match=r"cannot link statically.*libc6-dev"):
        _ = guest.init


@pytest.mark.parametrize("compiler", some(["gcc", "clang"], 1))
def test_the_first_process_compiles_without_a_warning(tmp_path: Path, compiler: str) -> None:
    if not any(Path(d, compiler).exists() for d in os.get_exec_path()):
        pytest.skip(f"there is no {compiler}")
    made = Compiler((compiler, "-Wall", "-Wextra", "-Werror"), static=True)
    guest = Guest(tmp_path, (), 1 << 30, False, made, tmp_path)
    assert guest.init.startswith(b"\x7fELF")


def test_options_that_do_not_belong_together(setting: Setting) -> None:
    kernel = ("verify", "--kernel", setting.image)
    result = run(*kernel, "--setup-zram", "16M", "zero-pages")
    assert (result.exit_code, "--setup-zram is for the running kernel" in result.stderr) == (
        2,
        True,
    )
    for words in (("verify",), (*kernel, "--kernel", setting.image)):
        result = run(*words, "--modules", setting.root, "zero-pages")
        assert result.exit_code == 2
        assert "--modules belongs to one --kernel" in result.stderr


@exhaustive
def test_two_kernels_are_two_columns(setting: Setting) -> None:
    """And is a kernel that does not boot told as such: not run, exit code 2?"""
    setting.emulator("echo '[ 1.0] Kernel panic - not syncing: no init' > $console")
    other = image(setting.root / "boot" / "other", "6.1.0-other")
    kernels = ("--kernel", setting.image, "--kernel", other)
    result = run("verify", *kernels, "zero-pages", "--format", "json")
    assert result.exit_code == 2
    found = json.loads(result.stdout)["kernels"]
    assert [each["place"] for each in found] == [str(setting.image), str(other)]
    for each in found:
        assert each["scenarios"][0]["status"] == "not run"
        assert "Kernel panic - not syncing: no init" in each["scenarios"][0]["reason"]


@exhaustive
@pytest.mark.parametrize("number", some([signal.SIGTERM, signal.SIGINT, signal.SIGKILL], 1))
def test_no_emulator_and_no_file_outlives_the_program(setting: Setting, number: int) -> None:
    """Not even SIGKILL, after which the next run removes the files."""
    setting.emulator(HANGS)
    temporary = setting.root / "tmp"
    temporary.mkdir()
    env = {"TMPDIR": str(temporary), "PATH": os.environ["PATH"]}
    pid = setting.root / "qemu.pid"
    process = start("verify", "--kernel", setting.image, "zero-pages", env=env)
    until(lambda: pid.exists() and pid.read_text().endswith("\n"), process)
    process.send_signal(number)
    finished(process)
    until(lambda: not alive(int(pid.read_text())))
    if number == signal.SIGKILL:
        assert len(list(temporary.glob(f"{PREFIX}*"))) == 1
        setting.emulator("exit 1")
        finished(start("verify", "--kernel", setting.image, "zero-pages", env=env))
    assert list(temporary.glob(f"{PREFIX}*")) == []
