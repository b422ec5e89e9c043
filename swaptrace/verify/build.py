"""From an emitted program to an executable."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from swaptrace.errors import SwaptraceError, printable, quote
from swaptrace.verify.children import ChildProgram
from swaptrace.verify.signals import deferred

COMPILERS: Final = ("gcc", "clang", "cc")
FLAGS: Final = ("-std=c11", "-O1", "-ffp-contract=off", "-pthread")
PROBE: Final = "int main(void) { return 0; }\n"


@dataclass(frozen=True)
class Compiler:
    """A C compiler that works, and whether it can link statically, as a guest needs it."""

    command: tuple[str, ...]
    static: bool

    def begin(self, text: str, directory: Path, name: str) -> Compilation:
        """Begin to compile a program into `directory`; the source stays beside it.

        It has to be ended, or its result to be waited for.
        """
        source, binary = directory / f"{name}.c", directory / name
        source.write_text(text, encoding="utf-8")
        flags = [*FLAGS, "-static"] if self.static else list(FLAGS)
        return Compilation([*self.command, *flags, str(source), "-o", str(binary)], binary)

    def build(self, text: str, directory: Path, name: str) -> Path:
        """Compile a program; the executable. Raises `SwaptraceError` as the compiler says."""
        compilation = None
        try:
            with deferred():
                compilation = self.begin(text, directory, name)
            return compilation.result()
        finally:
            if compilation is not None:
                compilation.end()


class Compilation:
    """A compiler that runs. What it says, and its temporary files, lie beside the executable."""

    def __init__(self, command: list[str], binary: Path) -> None:
        self._name = printable(command[0])
        self._binary = binary
        self._log = binary.with_suffix(".log")
        environment = {**os.environ, "TMPDIR": str(binary.parent)}
        try:
            with self._log.open("wb") as log:
                self._program = ChildProgram(command, stderr=log, environment=environment)
        except OSError as error:
            raise SwaptraceError(f"{self._name}: {error.strerror}") from error

    def result(self) -> Path:
        """The executable, when it is ready. Raises `SwaptraceError` with what the compiler says."""
        code = self._program.wait()
        said = self._log.read_text(encoding="utf-8", errors="replace")
        self._log.unlink()
        if code:
            first = next((line for line in said.splitlines() if "error" in line), said)
            ending = first.strip() or f"it ended with {code}"
            raise SwaptraceError(f"{self._name} failed: {printable(ending)}")
        return self._binary

    def end(self) -> None:
        """Give it up, if it still runs; its files remain."""
        self._program.end()


def find_compiler(directory: Path) -> Compiler:
    """The compiler of `CC`, else gcc, clang or cc; tried out within `directory`."""
    given = _words(os.environ.get("CC", ""))
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


def _words(text: str) -> list[str]:
    """A command as a shell splits it."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise SwaptraceError(
            f"CC={quote(text)}: {str(error).lower()}; it is split into words as by a shell"
        ) from error
