"""Fuzz readers: `python -m tests.fuzz [TARGET ...] [--seconds N | --inputs N] [--jobs N]`.

Each target gets so many seconds (60), or inputs, from atheris, which follows the code that an input
reaches, or from hypothesis where there is no atheris. A fault is printed, and its input is kept
in a file of the directory of --keep; the exit code is 1 then.

A million inputs over all targets: python -m tests.fuzz --inputs 60000
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

EXECUTED: Final = re.compile(r"(?:Done|executed:?) (\d+)")
LONGEST: Final = 4096
KEEP: Final = Path(__file__).parents[2] / ".pytest_cache" / "fuzz"
"""Where inputs are kept that a reader fails on."""


def main() -> int:
    """Run what the command line says; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--inputs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=KEEP, metavar="DIR", help=f"{KEEP}")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        fuzz_one(asked.targets[0], asked)
        return 0
    from tests.fuzz.targets import all_targets

    wanted = asked.targets or list(all_targets())
    options = [f"--seconds={asked.seconds}", f"--seed={asked.seed}"]
    options += [f"--inputs={asked.inputs}"] if asked.inputs else []
    asked.keep.mkdir(parents=True, exist_ok=True)
    options.append(f"--keep={asked.keep.resolve()}")
    with ThreadPoolExecutor(asked.jobs) as pool:
        done = list(pool.map(lambda name: fuzz(name, options), wanted))
    print(f"{sum(count for count, _ in done):,} inputs, {sum(not ok for _, ok in done)} faults")
    return 0 if all(ok for _, ok in done) else 1


def fuzz(name: str, options: list[str]) -> tuple[int, bool]:
    """One target in a process of its own: how many inputs it was given, and whether all is well."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "tests.fuzz", name, "--one", *options]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    said = done.stdout + done.stderr
    counts = [int(each) for each in EXECUTED.findall(said)]
    counts += [int(each) for each in re.findall(r"^#(\d+)\s", said, re.MULTILINE)]
    count = max(counts, default=0)
    ok = done.returncode == 0
    print(
        f"{name}: {count:,} inputs in {time.monotonic() - begun:.0f} s: {'ok' if ok else 'FAULT'}"
    )
    if not ok:
        print(said[-6000:])
    sys.stdout.flush()
    return count, ok


def fuzz_one(name: str, asked: argparse.Namespace) -> None:
    """Fuzz one target in this process."""
    if find_spec("atheris") is None:
        by_hypothesis(name, asked)
    else:
        by_atheris(name, asked)


def by_atheris(name: str, asked: argparse.Namespace) -> None:
    """By libFuzzer, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=["swaptrace"]):
        from tests.fuzz.targets import all_targets, examine
    target = all_targets()[name]
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(target.seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        bound = f"-runs={asked.inputs}" if asked.inputs else f"-max_total_time={asked.seconds}"
        kept = f"-artifact_prefix={asked.keep}/{name}-"
        options = [bound, kept, f"-seed={asked.seed + 1}", f"-max_len={LONGEST}", "-timeout=60"]
        flags = ["-rss_limit_mb=3072", "-print_final_stats=0", "-verbosity=1"]
        atheris.Setup(
            [sys.argv[0], *options, *flags, corpus], lambda data: examine(target.read, data)
        )
        atheris.Fuzz()


@contextmanager
def keeping(path: Path, data: bytes) -> Iterator[None]:
    """Keep the input in a file if it is a fault; the last one is the smallest."""
    try:
        yield
    except Exception:
        path.write_bytes(data)
        print(f"kept in {path}")
        raise


def by_hypothesis(name: str, asked: argparse.Namespace) -> None:
    """By mutations of the seeds."""
    from hypothesis import HealthCheck, given, seed, settings

    from tests.fuzz.mutations import mutated
    from tests.fuzz.targets import all_targets, examine

    target = all_targets()[name]
    until = time.monotonic() + asked.seconds
    executed = 0

    def one(data: bytes) -> None:
        nonlocal executed
        if asked.inputs or time.monotonic() < until:
            executed += 1
            with keeping(asked.keep / f"{name}-fault", data):
                examine(target.read, data)

    while executed < (asked.inputs or 1 << 62) and (asked.inputs or time.monotonic() < until):
        checks = settings(
            max_examples=min(asked.inputs or 5000, 5000),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        seed(asked.seed + executed)(checks(given(mutated(target.seeds))(one)))()
    print(f"executed: {executed}")


if __name__ == "__main__":
    raise SystemExit(main())
