"""From an emitted program to an executable."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from swaptrace.errors import SwaptraceError, printable, quote

COMPILERS: Final = ("gcc", "clang", "cc")
FLAGS: Final = ("-std=c11", "-O1", "-ffp-contract=off", "-pthread")
PROBE: Final = "int main(void) { return 0; }\n"


@dataclass(frozen=True)
class Compiler:
    """A C compiler that works, and whether it can link statically, as a guest needs it."""

    command: tuple[str, ...]
    static: bool

    def build(self, text: str, directory: Path, name: str) -> Path:
        """Compile a program into `directory`; the executable. The source stays beside it.

        Raises `SwaptraceError` with what the compiler says.
        """
        source, binary = directory / f"{name}.c", directory / name
        source.write_text(text, encoding="utf-8")
        flags = [*FLAGS, "-static"] if self.static else list(FLAGS)
        _compile([*self.command, *flags, str(source), "-o", str(binary)])
        return binary


def find_compiler(directory: Path) -> Compiler:
    """The compiler of `CC`, else gcc, clang or cc; tried out within `directory`."""
    given = shlex.split(os.environ.get("CC", ""))
    names = [given] if given else [[name] for name in COMPILERS]
    command = next((words for words in names if shutil.which(words[0])), None)
    if command is None:
        if given:
            raise SwaptraceError(f"CC={quote(given[0])}: there is no such compiler")
        raise SwaptraceError(
            "a C compiler is needed and there is none: install gcc or clang with the headers of "
            "libc (Debian: gcc, libc6-dev), or name one in CC"
        )
    dynamic = Compiler(tuple(command), static=False)
    dynamic.build(PROBE, directory, "probe")
    try:
        Compiler(dynamic.command, static=True).build(PROBE, directory, "probe")
    except SwaptraceError:
        return dynamic
    return Compiler(dynamic.command, static=True)


def _compile(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
    except OSError as error:
        raise SwaptraceError(f"{printable(command[0])}: {error.strerror}") from error
    if done.returncode:
        first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr)
        raise SwaptraceError(f"{printable(command[0])} failed: {printable(first.strip())}")
